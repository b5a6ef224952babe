//! The bindings that `wit-bindgen` generates from the contract.
//!
//! Each role is generated from a world of its own, so that a plugin exports the roles it names and no
//! other. `types` and `market` are generated once and shared, so that all roles use the same Rust types.

#![allow(missing_docs, unreachable_pub, unsafe_code, clippy::all, clippy::pedantic)]

pub mod vocabulary {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package haggle:sdk;
            world vocabulary {
                import haggle:plugin/types@0.2.0;
                import haggle:plugin/market@0.2.0;
                import haggle:plugin/log@0.2.0;
            }
        ",
        additional_derives: [PartialEq],
        generate_unused_types: true,
        pub_export_macro: true,
        generate_all,
    });
}

pub mod metadata {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package haggle:sdk;
            world metadata { export haggle:plugin/metadata@0.2.0; }
        ",
        additional_derives: [PartialEq],
        pub_export_macro: true,
        generate_all,
    });
}

pub mod forecasting {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package haggle:sdk;
            world forecasting { export haggle:plugin/forecasting@0.2.0; }
        ",
        additional_derives: [PartialEq],
        pub_export_macro: true,
        with: { "haggle:plugin/types@0.2.0": crate::bindings::vocabulary::haggle::plugin::types },
        generate_all,
    });
}

pub mod failure_prediction {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package haggle:sdk;
            world failure-prediction { export haggle:plugin/failure-prediction@0.2.0; }
        ",
        additional_derives: [PartialEq],
        pub_export_macro: true,
        with: { "haggle:plugin/types@0.2.0": crate::bindings::vocabulary::haggle::plugin::types },
        generate_all,
    });
}

pub mod answering {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package haggle:sdk;
            world answering { export haggle:plugin/answering@0.2.0; }
        ",
        additional_derives: [PartialEq],
        pub_export_macro: true,
        with: { "haggle:plugin/types@0.2.0": crate::bindings::vocabulary::haggle::plugin::types },
        generate_all,
    });
}

pub mod selling {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package haggle:sdk;
            world selling { export haggle:plugin/selling@0.2.0; }
        ",
        additional_derives: [PartialEq],
        pub_export_macro: true,
        with: {
            "haggle:plugin/types@0.2.0": crate::bindings::vocabulary::haggle::plugin::types,
            "haggle:plugin/market@0.2.0": crate::bindings::vocabulary::haggle::plugin::market,
        },
        generate_all,
    });
}

pub mod ranking {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package haggle:sdk;
            world ranking { export haggle:plugin/ranking@0.2.0; }
        ",
        additional_derives: [PartialEq],
        pub_export_macro: true,
        with: {
            "haggle:plugin/types@0.2.0": crate::bindings::vocabulary::haggle::plugin::types,
            "haggle:plugin/market@0.2.0": crate::bindings::vocabulary::haggle::plugin::market,
        },
        generate_all,
    });
}

pub mod tiering {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package haggle:sdk;
            world tiering { export haggle:plugin/tiering@0.2.0; }
        ",
        additional_derives: [PartialEq],
        pub_export_macro: true,
        with: { "haggle:plugin/types@0.2.0": crate::bindings::vocabulary::haggle::plugin::types },
        generate_all,
    });
}
