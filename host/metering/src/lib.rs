//! Metering, compiled into the guest: every core module of a component counts the instructions that it
//! executes, and shows its count to the host now and then, which knows the budget and the deadline.
//!
//! The compiler could do that itself, but its counter may be refilled at every turn of every loop, and what a
//! loop holds in registers has to survive that: numeric loops ran at half their speed. So there are two ways
//! to look at the count:
//!
//! - Where functions begin, and in loops that call something, the count is *shown* once it has passed
//!   a slice: the host adds it up, looks at the clock and lets the guest go on.
//! - In loops that call nothing it is compared with the *limit* that the host gave last. A guest that
//!   passes it does not come back: its fuel is used up, or no processor executes so much before its
//!   deadline. Nothing has to survive, so the loop keeps its registers.
//!
//! The count is an over-estimate: a turn of a loop, or a call of a function, counts its dearest path, outside
//! of inner loops; what copies or fills memory counts by the bytes. It is the same in every repetition,
//! whatever the processor. A loop whose turns hardly ever take that path may so pass the limit long before
//! its deadline; then the host repeats the call, which comes to the same, with a limit for that pace.
//!
//! The count and the limit are globals of a small module of their own, which all core modules of a component
//! share. A guest cannot reach them: they have no index that it could name.

mod component;
mod function;
mod module;
mod stretch;

/// What the guest imports: an interface with the function [`SHOW`], `func(count: s64) -> s64`, which takes
/// the instructions counted since the last time and returns the limit. A guest that has passed the limit
/// shows the complement of its count, and does not go on.
pub const METER: &str = "haggle:sandbox/meter";
/// See [`METER`].
pub const SHOW: &str = "show";
/// Where a count begins: so far that the first function that is called shows it and learns the limit.
pub const START: i64 = 1 << 62;
/// Counts up to this are not shown: some tens of microseconds.
pub(crate) const SLICE: i64 = 100_000;
/// Compiled code of another version is of no use.
pub const VERSION: u32 = 5;

/// A component that cannot be metered, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the component cannot be metered: {0}")]
pub struct Unmeterable(String);

/// Builds the meter into a component, which must be valid. The names of functions are kept for backtraces;
/// other custom sections are dropped.
///
/// # Errors
/// [`Unmeterable`] where the component is of a kind that cannot be rewritten.
pub fn instrument(component: &[u8]) -> Result<Vec<u8>, Unmeterable> {
    component::instrument(component).map_err(|error| Unmeterable(error.to_string()))
}

#[cfg(test)]
mod tests {
    use wasmparser::{KnownCustom, Name, Parser, Payload, Validator, WasmFeatures};

    use super::instrument;

    /// The names of the functions of all core modules, with their indices.
    fn function_names(component: &[u8]) -> Vec<(u32, String)> {
        let mut found = Vec::new();
        for payload in Parser::new(0).parse_all(component) {
            let Payload::CustomSection(section) = payload.unwrap() else { continue };
            let KnownCustom::Name(names) = section.as_known() else { continue };
            for name in names {
                let Name::Function(functions) = name.unwrap() else { continue };
                let named = functions.into_iter().map(Result::unwrap);
                found.extend(named.map(|naming| (naming.index, naming.name.to_owned())));
            }
        }
        found
    }

    #[test]
    fn what_is_built_in_stays_valid() {
        for built_in in haggle_builtin::BUILTIN {
            let metered = instrument(built_in.bytes).unwrap();
            Validator::new_with_features(WasmFeatures::default())
                .validate_all(&metered)
                .unwrap_or_else(|error| panic!("{}: {error}", built_in.name));
        }
    }

    #[test]
    fn functions_keep_their_names_where_their_indices_have_moved() {
        let wat = r#"(component
            (core module
              (import "host" "f" (func $imported))
              (func $first)
              (func $second (call $first))))"#;
        let metered = instrument(&wat::parse_str(wat).unwrap()).unwrap();
        // The function that shows the count comes behind the one that is imported.
        let expected = [(0, "imported"), (2, "first"), (3, "second")];
        assert_eq!(function_names(&metered), expected.map(|(at, name)| (at, name.to_owned())));
    }

    #[test]
    fn what_is_no_component_is_an_error() {
        assert!(instrument(b"\0asm\x0d\0\x01\0\x07\xff").is_err());
    }
}
