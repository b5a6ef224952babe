/// A policy that is compiled and committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Component {
    /// The name of the plugin, and of its file in `plugins/dist` without `.wasm`.
    pub name: &'static str,
    /// The cargo package.
    pub package: &'static str,
    /// Its folder, from the root of the repository.
    pub folder: &'static str,
}

/// Every component in `plugins/dist`, by name.
pub const COMPONENTS: &[Component] = &[
    Component {
        name: "example-forecaster",
        package: "example-policy",
        folder: "sdk/examples/rust",
    },
    Component {
        name: "logistic-failure",
        package: "haggle-logistic-failure",
        folder: "plugins/logistic-failure",
    },
    Component { name: "misbehaving", package: "haggle-misbehaving", folder: "tests/misbehaving" },
    Component {
        name: "price-performance",
        package: "haggle-price-performance",
        folder: "plugins/price-performance",
    },
    Component {
        name: "seasonal-smoothing",
        package: "haggle-seasonal-smoothing",
        folder: "plugins/seasonal-smoothing",
    },
    Component { name: "slo-tiers", package: "haggle-slo-tiers", folder: "plugins/slo-tiers" },
];

/// What the compiler is told besides `profile.plugin`, the same on every machine. Paths are remapped on
/// top of it.
pub const RUSTFLAGS: &[&str] = &[];

impl Component {
    /// The file's name in `plugins/dist`.
    #[must_use]
    pub fn file(&self) -> String {
        format!("{}.wasm", self.name)
    }

    /// The name of the file in `plugins/dist` that holds the component's SHA-256.
    #[must_use]
    pub fn digest_file(&self) -> String {
        format!("{}.sha256", self.name)
    }

    /// The name of the core module that cargo makes of the package.
    #[must_use]
    pub fn module(&self) -> String {
        format!("{}.wasm", self.package.replace('-', "_"))
    }
}
