use std::{borrow::Cow, collections::BTreeSet};

use wasmparser::{Encoding, Parser, Payload, Validator, WasmFeatures};
use wit_component::ComponentEncoder;

use crate::{error::LoadError, functions::Role, limits::Limits};

const PACKAGE: &str = "haggle:policy/";
const VERSION: &str = "@0.1.0";

/// What an upload turns out to be, found without running any of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// What it can decide.
    pub roles: BTreeSet<Role>,
    /// What it wants from the host.
    pub imports: Vec<String>,
    /// What it gives.
    pub exports: Vec<String>,
    /// It was a core module that carries component type information.
    pub encoded: bool,
    /// Whether it imports WASI.
    pub wasi: bool,
}

/// Parses, encodes where it is a core module, and validates; then reads imports and exports. Returns the
/// component's bytes as well.
///
/// # Errors
/// [`LoadError`] saying what is wrong with the bytes.
pub fn inspect<'a>(
    bytes: &'a [u8],
    limits: &Limits,
) -> Result<(Inspection, Cow<'a, [u8]>), LoadError> {
    if bytes.len() > limits.upload_bytes {
        return Err(LoadError::TooLarge { actual: bytes.len(), limit: limits.upload_bytes });
    }
    let (component, encoded) = match encoding(bytes)? {
        Encoding::Component => (Cow::Borrowed(bytes), false),
        Encoding::Module => (Cow::Owned(encode(bytes)?), true),
    };
    Validator::new_with_features(features())
        .validate_all(&component)
        .map_err(|error| LoadError::Invalid(error.to_string()))?;
    let (imports, exports) = names(&component)?;
    let roles = roles(&exports)?;
    let wasi = imports.iter().any(|import| import.starts_with("wasi:"));
    Ok((Inspection { roles, imports, exports, encoded, wasi }, component))
}

/// Makes a core module that carries component type information a component.
///
/// # Errors
/// [`LoadError::NotEncodable`].
pub fn encode(module: &[u8]) -> Result<Vec<u8>, LoadError> {
    ComponentEncoder::default()
        .module(module)
        .and_then(|encoder| encoder.validate(false).encode())
        .map_err(|error| LoadError::NotEncodable(format!("{error:#}")))
}

fn encoding(bytes: &[u8]) -> Result<Encoding, LoadError> {
    let first = Parser::new(0).parse_all(bytes).next();
    match first {
        Some(Ok(Payload::Version { encoding, .. })) => Ok(encoding),
        Some(Err(error)) => Err(LoadError::NotWasm(first_line(error.message()))),
        _ => Err(LoadError::NotWasm("it is empty".to_owned())),
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim_end_matches(':').to_owned()
}

/// What is understood: the finished standards that toolchains emit, and nothing experimental.
pub(crate) fn features() -> WasmFeatures {
    (WasmFeatures::WASM2 | WasmFeatures::TAIL_CALL | WasmFeatures::EXTENDED_CONST)
        .union(WasmFeatures::MULTI_MEMORY)
        .union(WasmFeatures::COMPONENT_MODEL)
}

/// The names of the outermost component's imports and exports.
fn names(component: &[u8]) -> Result<(Vec<String>, Vec<String>), LoadError> {
    let invalid = |error: wasmparser::BinaryReaderError| LoadError::Invalid(error.to_string());
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(invalid)? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    imports.push(import.map_err(invalid)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    exports.push(export.map_err(invalid)?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok((imports, exports))
}

fn roles(exports: &[String]) -> Result<BTreeSet<Role>, LoadError> {
    let ours = |export: &String| {
        let (interface, version) = export.strip_prefix(PACKAGE)?.split_once('@')?;
        Some((interface.to_owned(), format!("@{version}")))
    };
    for export in exports {
        if let Some((_, version)) = ours(export)
            && version != VERSION
        {
            let known = format!("{PACKAGE}*{VERSION}");
            return Err(LoadError::Version { export: export.clone(), known });
        }
    }
    let has = |interface: &str| exports.iter().filter_map(ours).any(|(name, _)| name == interface);
    let roles: BTreeSet<Role> =
        Role::ALL.into_iter().filter(|role| has(role.interface())).collect();
    if roles.is_empty() {
        let found = if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") };
        return Err(LoadError::NoRole { found });
    }
    if !has("metadata") {
        return Err(LoadError::NoMetadata);
    }
    Ok(roles)
}

#[cfg(test)]
mod tests {
    use super::inspect;
    use crate::{LoadError, limits::Limits};

    fn refused(bytes: &[u8]) -> LoadError {
        inspect(bytes, &Limits::default()).unwrap_err()
    }

    #[test]
    fn says_what_is_wrong_with_the_bytes() {
        assert!(matches!(refused(b""), LoadError::NotWasm(_)));
        assert!(matches!(refused(b"#!/bin/sh\n"), LoadError::NotWasm(_)));
        assert!(matches!(
            refused(b"\0asm\x01\0\0\0"),
            LoadError::NoRole { .. } | LoadError::NotEncodable(_)
        ));
        let component = wat::parse_str("(component)").unwrap();
        assert!(matches!(refused(&component), LoadError::NoRole { .. }));
        let truncated = &haggle_builtin::BUILTIN[0].bytes[..1000];
        assert!(matches!(refused(truncated), LoadError::Invalid(_)));
        let limits = Limits { upload_bytes: 3, ..Limits::default() };
        assert!(matches!(inspect(b"\0asm", &limits), Err(LoadError::TooLarge { .. })));
    }

    #[test]
    fn a_flipped_byte_never_panics() {
        let good = haggle_builtin::BUILTIN[0].bytes;
        for at in (0..good.len()).step_by(good.len() / 200) {
            let mut bad = good.to_vec();
            bad[at] ^= 0x55;
            drop(inspect(&bad, &Limits::default()));
        }
    }
}
