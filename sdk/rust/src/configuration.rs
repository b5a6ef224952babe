//! The operator's configuration as a type of yours (feature `config`).

use serde::de::DeserializeOwned;

use crate::types::{Context, Fault};

/// Reads the configuration that the operator gave this plugin. Derive `Deserialize` with `#[serde(default)]`, so
/// that `{}`, which a plugin without configuration gets, gives your defaults. Also derive it with
/// `deny_unknown_fields`, so that a misspelt field is an error.
///
/// # Errors
/// [`Fault::InvalidInput`] saying what is wrong and where.
///
/// ```
/// #[derive(serde::Deserialize)]
/// #[serde(default, deny_unknown_fields)]
/// struct Configuration {
///     margin: f64,
/// }
///
/// impl Default for Configuration {
///     fn default() -> Self {
///         Self { margin: 0.1 }
///     }
/// }
///
/// let context = haggle_sdk::types::Context {
///     now_ms: 0,
///     seed: 0,
///     configuration: r#"{"margin": 0.2}"#.into(),
/// };
/// let configuration: Configuration = haggle_sdk::configuration::read(&context).unwrap();
/// assert_eq!(configuration.margin, 0.2);
/// ```
pub fn read<T: DeserializeOwned>(ctx: &Context) -> Result<T, Fault> {
    parse(&ctx.configuration).map_err(Fault::InvalidInput)
}

/// Reads a configuration for [`Plugin::validate_configuration`](crate::Plugin::validate_configuration).
///
/// # Errors
/// A text saying what is wrong and where.
pub fn parse<T: DeserializeOwned>(configuration: &str) -> Result<T, String> {
    serde_json::from_str(configuration).map_err(|error| format!("configuration: {error}"))
}
