use std::{borrow::Cow, collections::BTreeSet};

use serde::{Deserialize, Serialize};
use wasmparser::{Parser, Payload, Validator, WasmFeatures};
use wasmtime::{Engine, component::Component};
use wit_component::ComponentEncoder;

use crate::{
    error::{LoadError, Refusal},
    limits::Limits,
    nesting,
    role::Role,
    text,
};

/// Stack size that suffices for the parser, validator and encoder at the maximum nesting depth, in bytes.
const STACK: usize = 64 << 20;

/// Maximum number of imports, and of exports, of a component; WASI has about thirty interfaces.
const MOST_NAMES: usize = 1000;

const PACKAGE: &str = "haggle:plugin/";
const VERSION: &str = "@0.2.0";
/// The package of the contract before version 0.2.
const OLD_PACKAGE: &str = "haggle:policy/";

/// The properties of an upload, found without running it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspection {
    /// The exported roles.
    pub roles: BTreeSet<Role>,
    /// The names of its imports.
    pub imports: Vec<String>,
    /// The names of its exports.
    pub exports: Vec<String>,
    /// Whether the upload was a core module with component type information.
    pub encoded: bool,
    /// Whether it imports WASI.
    pub wasi: bool,
}

/// Checks only the size and the first eight bytes, which is safe for untrusted bytes.
///
/// # Errors
/// [`LoadError`] when the bytes cannot be an upload.
pub fn check_header(bytes: &[u8], limits: &Limits) -> Result<(), LoadError> {
    if bytes.len() > limits.upload_bytes {
        return Err(LoadError::TooLarge { actual: bytes.len(), limit: limits.upload_bytes });
    }
    format(bytes)?;
    Ok(())
}

/// Inspects an upload in this process, and also returns the component's bytes. For untrusted bytes, use
/// [`Compiler`](crate::Compiler) instead.
///
/// # Errors
/// [`LoadError`] with the reason.
pub fn inspect<'a>(
    bytes: &'a [u8],
    limits: &Limits,
) -> Result<(Inspection, Cow<'a, [u8]>), LoadError> {
    check_header(bytes, limits)?;
    on_large_stack(|| examine(bytes)).map_err(LoadError::Host)?.map_err(LoadError::Refused)
}

/// Parses an upload, encodes it if it is a core module, validates it, and reads its imports and exports. The
/// recursion depth is bounded by [`nesting`].
pub(crate) fn examine(bytes: &[u8]) -> Result<(Inspection, Cow<'_, [u8]>), Refusal> {
    let format = format(bytes)?;
    nesting::check(bytes)?;
    let component = match format {
        Format::Component => Cow::Borrowed(bytes),
        Format::Module => Cow::Owned(encode(bytes)?),
    };
    Validator::new_with_features(features())
        .validate_all(&component)
        .map_err(|error| Refusal::Invalid(error.to_string()))?;
    let (imports, exports) = names(&component)?;
    let inspection = Inspection::of(imports, exports, format == Format::Module)?;
    Ok((inspection, component))
}

/// Encodes a core module with component type information as a component.
///
/// # Errors
/// [`Refusal::NotEncodable`].
pub fn encode(module: &[u8]) -> Result<Vec<u8>, Refusal> {
    ComponentEncoder::default()
        .module(module)
        .and_then(|encoder| encoder.validate(false).encode())
        .map_err(|error| Refusal::NotEncodable(format!("{error:#}")))
}

/// Runs work on a thread whose stack suffices for the maximum nesting depth.
pub(crate) fn on_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("upload".to_owned()).stack_size(STACK);
        let running = thread.spawn_scoped(scope, work).map_err(|error| error.to_string())?;
        running.join().map_err(|_| "looking at the upload panicked".to_owned())
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Component,
    Module,
}

/// Reads the format from the first eight bytes.
fn format(bytes: &[u8]) -> Result<Format, Refusal> {
    let not_wasm = |cause: &str| Err(Refusal::NotWasm(cause.to_owned()));
    match bytes {
        [] => not_wasm("it is empty"),
        [b'\0', b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => Ok(Format::Component),
        [b'\0', b'a', b's', b'm', 1, 0, 0, 0, ..] => Ok(Format::Module),
        [b'\0', b'a', b's', b'm', _, _, _, _, ..] => not_wasm("its version is not known"),
        _ => not_wasm("it does not begin with `\\0asm` and a version"),
    }
}

/// The supported WebAssembly features: the finished standards that toolchains emit, nothing experimental.
pub(crate) fn features() -> WasmFeatures {
    (WasmFeatures::WASM2 | WasmFeatures::TAIL_CALL | WasmFeatures::EXTENDED_CONST)
        .union(WasmFeatures::MULTI_MEMORY)
        .union(WasmFeatures::COMPONENT_MODEL)
}

impl Inspection {
    fn of(imports: Vec<String>, exports: Vec<String>, encoded: bool) -> Result<Self, Refusal> {
        for (what, names) in [("imports", &imports), ("exports", &exports)] {
            if names.len() > MOST_NAMES {
                let what = what.to_owned();
                return Err(Refusal::TooMany { what, actual: names.len(), most: MOST_NAMES });
            }
        }
        let roles = roles(&exports)?;
        let wasi = imports.iter().any(|import| import.starts_with("wasi:"));
        Ok(Self { roles, imports, exports, encoded, wasi })
    }

    /// Recovers the inspection of a component that is already compiled.
    pub(crate) fn of_compiled(
        component: &Component,
        engine: &Engine,
        upload: &[u8],
    ) -> Result<Self, Refusal> {
        let ty = component.component_type();
        let imports = ty.imports(engine).map(|(name, _)| name.to_owned());
        let exports = ty.exports(engine).map(|(name, _)| name.to_owned());
        let imports = imports.filter(|name| name != haggle_metering::METER).collect();
        Self::of(imports, exports.collect(), format(upload)? == Format::Module)
    }
}

/// The names of the outermost component's imports and exports.
fn names(component: &[u8]) -> Result<(Vec<String>, Vec<String>), Refusal> {
    let invalid = |error: wasmparser::BinaryReaderError| Refusal::Invalid(error.to_string());
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

fn roles(exports: &[String]) -> Result<BTreeSet<Role>, Refusal> {
    let ours = |export: &String| {
        let (interface, version) = export.strip_prefix(PACKAGE)?.split_once('@')?;
        Some((interface.to_owned(), format!("@{version}")))
    };
    let is_other = |export: &&String| {
        export.starts_with(OLD_PACKAGE)
            || ours(export).is_some_and(|(_, version)| version != VERSION)
    };
    if let Some(export) = exports.iter().find(is_other) {
        let known = format!("{PACKAGE}*{VERSION}");
        return Err(Refusal::Version { export: export.clone(), known });
    }
    let has = |interface: &str| exports.iter().filter_map(ours).any(|(name, _)| name == interface);
    let roles: BTreeSet<Role> =
        Role::ALL.into_iter().filter(|role| has(role.interface())).collect();
    if roles.is_empty() {
        let mut found = if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") };
        text::cut(&mut found, text::MOST);
        return Err(Refusal::NoRole { found });
    }
    if !has("metadata") {
        return Err(Refusal::NoMetadata);
    }
    Ok(roles)
}

#[cfg(test)]
mod tests {
    use super::{MOST_NAMES, check_header, inspect};
    use crate::{LoadError, error::Refusal, limits::Limits};

    fn refused(bytes: &[u8]) -> Refusal {
        match inspect(bytes, &Limits::default()).unwrap_err() {
            LoadError::Refused(refusal) => refusal,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn says_what_is_wrong_with_the_bytes() {
        for bytes in [&b""[..], b"\0asm", b"#!/bin/sh\n", b"\0asm\x02\0\0\0"] {
            assert!(matches!(refused(bytes), Refusal::NotWasm(_)), "{bytes:?}");
            assert!(check_header(bytes, &Limits::default()).is_err(), "{bytes:?}");
        }
        assert!(matches!(
            refused(b"\0asm\x01\0\0\0"),
            Refusal::NoRole { .. } | Refusal::NotEncodable(_)
        ));
        let component = wat::parse_str("(component)").unwrap();
        assert!(matches!(refused(&component), Refusal::NoRole { .. }));
        let truncated = &haggle_builtin::BUILTIN[0].bytes[..1000];
        assert!(matches!(refused(truncated), Refusal::Invalid(_)));
        let limits = Limits { upload_bytes: 7, ..Limits::default() };
        for refused in
            [check_header(&component, &limits).err(), inspect(&component, &limits).map(drop).err()]
        {
            assert!(matches!(refused, Some(LoadError::TooLarge { actual: 8, limit: 7 })));
        }
    }

    #[test]
    fn more_names_than_a_plugin_has_are_refused() {
        let component = |count: usize| {
            let imports: String = (0..count).map(|i| format!("(import \"a{i}\" (func))")).collect();
            wat::parse_str(format!("(component {imports})")).unwrap()
        };
        assert!(matches!(refused(&component(MOST_NAMES)), Refusal::NoRole { .. }));
        let too_many = refused(&component(MOST_NAMES + 1));
        assert!(matches!(too_many, Refusal::TooMany { actual: 1001, .. }), "{too_many}");
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
