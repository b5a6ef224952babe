/// A plugin that is compiled and committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Component {
    /// The name of the plugin, and of its file in `plugins/dist` without `.wasm`.
    pub name: &'static str,
    /// The cargo package.
    pub package: &'static str,
    /// Its folder, from the root of the repository.
    pub folder: &'static str,
    /// The folders of the workspace's crates that are linked into it besides the SDK.
    pub libraries: &'static [&'static str],
    /// Whether its exports depend on the feature `component`. Otherwise other plugins, which link the crate as a
    /// library, would export them too.
    pub is_library: bool,
}

/// Every component in `plugins/dist`, by name.
pub const COMPONENTS: &[Component] = &[
    Component::new("arima", "haggle-arima", "plugins/arima").linking(CLASSICAL).library(),
    Component::new("decomposition", "haggle-decomposition", "plugins/decomposition")
        .linking(FORECASTING)
        .library(),
    Component::new("ensemble", "haggle-ensemble", "plugins/ensemble").linking(MEMBERS).library(),
    Component::new("example-forecaster", "example-policy", "sdk/examples/rust"),
    Component::new(
        "exponential-smoothing",
        "haggle-exponential-smoothing",
        "plugins/exponential-smoothing",
    )
    .linking(FORECASTING)
    .library(),
    Component::new("gradient-boosting", "haggle-gradient-boosting", "plugins/gradient-boosting")
        .linking(FORECASTING)
        .library(),
    Component::new("logistic-failure", "haggle-logistic-failure", "plugins/logistic-failure"),
    Component::new("market", "haggle-market", "plugins/market"),
    Component::new("misbehaving", "haggle-misbehaving", "tests/misbehaving"),
    Component::new("recurrent-network", "haggle-recurrent-network", "plugins/recurrent-network")
        .linking(FORECASTING)
        .library(),
    Component::new("seasonal-smoothing", "haggle-seasonal-smoothing", "plugins/seasonal-smoothing")
        .linking(FORECASTING)
        .library(),
    Component::new("slo-tiers", "haggle-slo-tiers", "plugins/slo-tiers"),
    Component::new("theta", "haggle-theta", "plugins/theta").linking(CLASSICAL).library(),
];

const FORECASTING: &[&str] = &["plugins/forecasting"];
/// The libraries of plugins that use the optimisers of exponential smoothing.
const CLASSICAL: &[&str] = &["plugins/forecasting", "plugins/exponential-smoothing"];
/// The libraries of the ensemble, which contain its members.
const MEMBERS: &[&str] = &[
    "plugins/arima",
    "plugins/decomposition",
    "plugins/exponential-smoothing",
    "plugins/forecasting",
    "plugins/gradient-boosting",
    "plugins/recurrent-network",
    "plugins/seasonal-smoothing",
];

/// The compiler's flags besides `profile.plugin`, the same on every machine. The build adds flags that remap paths.
/// The initial heap is as large as a batch of forecasts needs: to grow it costs the host more than one forecast,
/// and so does a larger one, which the host must search for memory to clear. Loop strength reduction splits
/// addresses as if the target could add them up again for nothing; without it, training a forest is 5% faster.
pub const RUSTFLAGS: &[&str] =
    &["-Ctarget-feature=+simd128", "-Cllvm-args=-disable-lsr", "-Clink-arg=--initial-heap=262144"];

impl Component {
    /// A component of a crate that nothing else links.
    #[must_use]
    pub const fn new(name: &'static str, package: &'static str, folder: &'static str) -> Self {
        Self { name, package, folder, libraries: &[], is_library: false }
    }

    /// The same, with these crates of the workspace linked in.
    #[must_use]
    pub const fn linking(self, libraries: &'static [&'static str]) -> Self {
        Self { libraries, ..self }
    }

    /// The same, of a crate that others link as a library.
    #[must_use]
    pub const fn library(self) -> Self {
        Self { is_library: true, ..self }
    }

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
