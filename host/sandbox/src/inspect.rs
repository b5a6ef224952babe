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

/// More than the parser, the validator and the encoder take for what nests as deeply as is allowed.
const STACK: usize = 64 << 20;

/// Imports, and exports, that a component may have; WASI has some thirty interfaces.
const MOST_NAMES: usize = 1000;

const PACKAGE: &str = "haggle:plugin/";
const VERSION: &str = "@0.2.0";
/// The package of the contract before version 0.2.
const OLD_PACKAGE: &str = "haggle:policy/";

/// What an upload turns out to be, found without running any of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// Checks the size and the first eight bytes, and nothing else: all that is safe with bytes that nobody has
/// looked at.
///
/// # Errors
/// [`LoadError`] where they cannot be an upload.
pub fn check_header(bytes: &[u8], limits: &Limits) -> Result<(), LoadError> {
    if bytes.len() > limits.upload_bytes {
        return Err(LoadError::TooLarge { actual: bytes.len(), limit: limits.upload_bytes });
    }
    format(bytes)?;
    Ok(())
}

/// What an upload is, read in this process. A host that does not trust the bytes has its
/// [`Compiler`](crate::Compiler) look at them instead. Returns the component's bytes as well.
///
/// # Errors
/// [`LoadError`] saying what is wrong with the bytes.
pub fn inspect<'a>(
    bytes: &'a [u8],
    limits: &Limits,
) -> Result<(Inspection, Cow<'a, [u8]>), LoadError> {
    check_header(bytes, limits)?;
    on_large_stack(|| examine(bytes)).map_err(LoadError::Host)?.map_err(LoadError::Refused)
}

/// Parses, encodes where it is a core module, and validates; then reads imports and exports. It may recurse
/// as deeply as [`nesting`] allows.
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

/// Makes a core module that carries component type information a component.
///
/// # Errors
/// [`Refusal::NotEncodable`].
pub fn encode(module: &[u8]) -> Result<Vec<u8>, Refusal> {
    ComponentEncoder::default()
        .module(module)
        .and_then(|encoder| encoder.validate(false).encode())
        .map_err(|error| Refusal::NotEncodable(format!("{error:#}")))
}

/// Runs on a thread whose stack has room for everything that nests as deeply as is allowed.
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

/// What the first eight bytes say.
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

/// What is understood: the finished standards that toolchains emit, and nothing experimental.
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

    /// What was found before the component was compiled.
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
