//! What `wit-bindgen` makes of the contract.
//!
//! Each role is generated from a world of its own, so that a policy exports the roles it names and no
//! other; `types` is generated once and shared, so that all roles speak of the same Rust types.

#![allow(missing_docs, unreachable_pub, unsafe_code, clippy::all, clippy::pedantic)]

pub mod vocabulary {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package haggle:sdk;
            world vocabulary {
                import haggle:policy/types@0.1.0;
                import haggle:policy/log@0.1.0;
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
            world metadata { export haggle:policy/metadata@0.1.0; }
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
            world forecasting { export haggle:policy/forecasting@0.1.0; }
        ",
        additional_derives: [PartialEq],
        pub_export_macro: true,
        with: { "haggle:policy/types@0.1.0": crate::bindings::vocabulary::haggle::policy::types },
        generate_all,
    });
}

pub mod failure_prediction {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package haggle:sdk;
            world failure-prediction { export haggle:policy/failure-prediction@0.1.0; }
        ",
        additional_derives: [PartialEq],
        pub_export_macro: true,
        with: { "haggle:policy/types@0.1.0": crate::bindings::vocabulary::haggle::policy::types },
        generate_all,
    });
}

pub mod bidding {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package haggle:sdk;
            world bidding { export haggle:policy/bidding@0.1.0; }
        ",
        additional_derives: [PartialEq],
        pub_export_macro: true,
        with: { "haggle:policy/types@0.1.0": crate::bindings::vocabulary::haggle::policy::types },
        generate_all,
    });
}

pub mod tiering {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package haggle:sdk;
            world tiering { export haggle:policy/tiering@0.1.0; }
        ",
        additional_derives: [PartialEq],
        pub_export_macro: true,
        with: { "haggle:policy/types@0.1.0": crate::bindings::vocabulary::haggle::policy::types },
        generate_all,
    });
}
