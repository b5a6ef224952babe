use anyhow::{Context, Result};
use wasmparser::{Validator, WasmFeatures};
use wit_component::ComponentEncoder;

/// Makes a component of a core module that carries its component type, and validates both.
pub(crate) fn component(module: &[u8]) -> Result<Vec<u8>> {
    let bytes = ComponentEncoder::default()
        .validate(true)
        .module(module)
        .context("the module does not say what it exports: does it call an export macro?")?
        .encode()
        .context("the module does not keep to the contract")?;
    // Relaxed SIMD is left out: its results may differ from processor to processor.
    let features = WasmFeatures::default() - WasmFeatures::RELAXED_SIMD;
    Validator::new_with_features(features)
        .validate_all(&bytes)
        .context("the encoded component is not valid")?;
    Ok(bytes)
}
