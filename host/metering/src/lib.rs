//! Metering, compiled into the guest: every core module of a component counts the instructions that it
//! executes, and occasionally reports its count to the host, which knows the budget and the deadline.
//!
//! The compiler has such a counter, but may reload it at every iteration of every loop, and the values that a
//! loop holds in registers must survive that: numeric loops ran at half their speed. This crate therefore
//! checks the count in two ways:
//!
//! - At the beginning of functions, and in loops that call functions, the guest *reports* the count once it
//!   has passed a slice: the host adds it up, checks the clock and lets the guest continue.
//! - In loops that call nothing, the guest compares the count with the *limit* that the host gave last. A
//!   guest that passes it does not continue: its fuel is used up, or no processor executes that much before
//!   the deadline. No values have to survive, so the loop keeps its registers.
//!
//! The count is an upper bound: an iteration of a loop, or a call of a function, counts its most expensive
//! path, without inner loops; instructions that copy or fill memory count by the bytes. The count is the same
//! in every repetition, on any processor. A loop whose iterations rarely take the most expensive path may
//! therefore pass the limit long before its deadline. The host then repeats the call, which gives the same
//! result, with a limit for that pace.
//!
//! The count and the limit are globals of a separate small module, which all core modules of a component
//! share. A guest cannot access them, because they have no index in its own code.

mod component;
mod function;
mod module;
mod stretch;

/// The interface that the guest imports. It has the function [`SHOW`], `func(count: s64) -> s64`, which takes
/// the instructions counted since the last report and returns the limit. A guest that has passed the limit
/// reports the complement of its count, and does not continue.
pub const METER: &str = "haggle:sandbox/meter";
/// See [`METER`].
pub const SHOW: &str = "show";
/// The initial count, so high that the first function called reports it and gets the limit.
pub const START: i64 = 1 << 62;
/// Counts up to this are not reported; it corresponds to some tens of microseconds.
pub(crate) const SLICE: i64 = 100_000;
/// The version of the metering. Compiled code of another version cannot be used.
pub const VERSION: u32 = 5;

/// The error for a component that cannot be metered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the component cannot be metered: {0}")]
pub struct Unmeterable(String);

/// Instruments a component, which must be valid. The names of functions are kept for backtraces; other custom
/// sections are dropped.
///
/// # Errors
/// [`Unmeterable`] when the component is of a kind that cannot be rewritten.
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
        // The reporting function follows the imported one.
        let expected = [(0, "imported"), (2, "first"), (3, "second")];
        assert_eq!(function_names(&metered), expected.map(|(at, name)| (at, name.to_owned())));
    }

    #[test]
    fn what_is_no_component_is_an_error() {
        assert!(instrument(b"\0asm\x0d\0\x01\0\x07\xff").is_err());
    }
}
