//! The Rust side of `wit/`: generated types, and the bindings of each exported interface.
//!
//! One umbrella world exports every role; since a component has only some of them, the interfaces are
//! looked up one by one and never through the world.

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package haggle:host;
            world every-role {
                import haggle:policy/log@0.1.0;
                export haggle:policy/metadata@0.1.0;
                export haggle:policy/forecasting@0.1.0;
                export haggle:policy/failure-prediction@0.1.0;
                export haggle:policy/bidding@0.1.0;
                export haggle:policy/tiering@0.1.0;
            }
        ",
        world: "haggle:host/every-role",
        exports: { default: async },
        additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
    });
}

pub(crate) use generated::haggle::policy::log;

/// What all roles share: `types.wit`.
pub mod types {
    pub use super::generated::haggle::policy::types::*;
}

macro_rules! role {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub mod $name {
            pub use super::generated::exports::haggle::policy::$name::*;
        }
    };
}

role!(/** Who a plugin is: `policy.wit`. */ metadata);
role!(/** Demand ahead: `forecasting.wit`. */ forecasting);
role!(/** Failures ahead: `failure-prediction.wit`. */ failure_prediction);
role!(/** Both sides of a negotiation: `bidding.wit`. */ bidding);
role!(/** Who comes first: `tiering.wit`. */ tiering);
