//! The built-in plugins as compiled components, ready to load. `plugins/build` makes them from the crates
//! beside this one; the tests here fail when they are older than their sources.

/// A built-in plugin: a compiled component and its configuration.
#[derive(Clone, Copy, Debug)]
pub struct Builtin {
    /// The name of the plugin.
    pub name: &'static str,
    /// The name of the component, which several plugins may share.
    pub component: &'static str,
    /// Its roles, as the contract names their interfaces.
    pub roles: &'static [&'static str],
    /// The component.
    pub bytes: &'static [u8],
    /// The SHA-256 of the component, in hexadecimal.
    pub sha256: &'static str,
    /// Its configuration: a JSON object.
    pub configuration: &'static str,
}

macro_rules! component {
    ($name:literal, $($role:literal),+) => {
        Builtin {
            name: $name,
            component: $name,
            roles: &[$($role),+],
            bytes: include_bytes!(concat!("../../dist/", $name, ".wasm")),
            sha256: include_str!(concat!("../../dist/", $name, ".sha256")),
            configuration: "{}",
        }
    };
}

const MARKET: Builtin = component!("market", "answering", "selling", "ranking");

/// The plugins that every host starts with. The first of each role decides where no other plugin can.
pub const BUILTIN: &[Builtin] = &[
    component!("seasonal-smoothing", "forecasting"),
    component!("ensemble", "forecasting"),
    component!("exponential-smoothing", "forecasting"),
    component!("arima", "forecasting"),
    component!("theta", "forecasting"),
    component!("decomposition", "forecasting"),
    component!("gradient-boosting", "forecasting"),
    component!("recurrent-network", "forecasting"),
    component!("logistic-failure", "failure-prediction"),
    // A replica that is twice as fast may cost twice as much, and one that may be taken back has to be cheaper.
    Builtin { name: "price-performance", ..MARKET },
    // Price alone decides; the buyer bears the risk.
    Builtin {
        name: "cheapest",
        configuration: r#"{"performance_weight": 0, "aversion": {"gold": 0, "silver": 0, "bronze": 0}}"#,
        ..MARKET
    },
    // Units that are not taken back come first, replicas are spread over providers, and a service keeps more in
    // reserve. Costs matter last.
    Builtin {
        name: "avoid-interruption",
        configuration: r#"{"reserve": {"gold": 0.05, "silver": 0.1, "bronze": 0.2}, "performance_weight": 0.25, "price_weight": 0.25, "aversion": {"gold": 16, "silver": 12, "bronze": 8}, "spread": 0.9}"#,
        ..MARKET
    },
    // A service withholds half of what it could promise, in case less is enough, and concedes it by the third
    // round; a provider asks for a margin.
    Builtin { name: "conceding", configuration: r#"{"withhold": 0.5, "margin": 0.1}"#, ..MARKET },
    component!("slo-tiers", "tiering"),
];

/// The example of `sdk/examples/rust`, for trying out how a plugin is loaded into a running host.
pub const EXAMPLE: Builtin = component!("example-forecaster", "forecasting");

#[cfg(test)]
mod tests {
    use std::path::Path;

    use haggle_plugin_manifest::{COMPONENTS, Manifest, REBUILD, hex_sha256, source_digest};

    use super::{BUILTIN, Builtin, EXAMPLE};

    /// The component for the host's tests, which read the file themselves.
    const MISBEHAVING: Builtin = component!("misbehaving", "forecasting");

    const MANIFEST: &str = include_str!("../../dist/manifest.json");

    fn all() -> Vec<Builtin> {
        BUILTIN.iter().copied().chain([EXAMPLE, MISBEHAVING]).collect()
    }

    #[test]
    fn every_component_is_here_once() {
        let mut here: Vec<_> = all().iter().map(|builtin| builtin.component).collect();
        here.sort_unstable();
        here.dedup();
        let known: Vec<_> = COMPONENTS.iter().map(|component| component.name).collect();
        assert_eq!(here, known);
    }

    #[test]
    fn components_are_what_the_manifest_says() {
        let manifest = Manifest::from_json(MANIFEST).unwrap();
        for builtin in all() {
            let name = builtin.component;
            let record = manifest.get(name);
            let record = record.unwrap_or_else(|| panic!("{name} has no entry: run `{REBUILD}`"));
            let sha256 = hex_sha256(builtin.bytes);
            assert_eq!(sha256, record.sha256, "{name} is not what was recorded: run `{REBUILD}`");
            assert_eq!(sha256, builtin.sha256, "{name}.sha256 is stale: run `{REBUILD}`");
            assert_eq!(builtin.bytes.len() as u64, record.bytes, "{name}");
        }
    }

    #[test]
    fn components_are_as_new_as_their_sources() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let manifest = Manifest::from_json(MANIFEST).unwrap();
        for component in COMPONENTS {
            let (name, record) = (component.name, manifest.get(component.name));
            let recorded = record.map(|record| record.sources_sha256.clone());
            let now = source_digest(root, component).unwrap();
            assert_eq!(
                recorded,
                Some(now),
                "the sources of {name} changed since it was compiled: run `{REBUILD}`"
            );
        }
    }
}
