//! The Rust side of `wit/`: generated types, and bindings for each exported interface.
//!
//! One umbrella world exports every role. A component has only some of them, so the interfaces are looked up
//! individually and never through the world.

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package haggle:host;
            world every-role {
                import haggle:plugin/log@0.2.0;
                export haggle:plugin/metadata@0.2.0;
                export haggle:plugin/forecasting@0.2.0;
                export haggle:plugin/failure-prediction@0.2.0;
                export haggle:plugin/answering@0.2.0;
                export haggle:plugin/selling@0.2.0;
                export haggle:plugin/ranking@0.2.0;
                export haggle:plugin/tiering@0.2.0;
            }
        ",
        world: "haggle:host/every-role",
        exports: { default: async },
        additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
    });
}

pub(crate) use generated::haggle::plugin::log;

/// The types that all roles share: `types.wit`.
pub mod types {
    pub use super::generated::haggle::plugin::types::*;
}

/// The types that sellers and buyers share: `market.wit`.
pub mod market {
    pub use super::generated::haggle::plugin::market::*;
}

macro_rules! interface {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub mod $name {
            pub use super::generated::exports::haggle::plugin::$name::*;
        }
    };
}

interface!(/** What a plugin says about itself: `plugin.wit`. */ metadata);
interface!(/** Demand ahead: `forecasting.wit`. */ forecasting);
interface!(/** Failures ahead: `failure-prediction.wit`. */ failure_prediction);
interface!(/** Answers to calls for proposals: `answering.wit`. */ answering);
interface!(/** Bids of a provider: `selling.wit`. */ selling);
interface!(/** Scores of bids: `ranking.wit`. */ ranking);
interface!(/** Tiers and shares: `tiering.wit`. */ tiering);
