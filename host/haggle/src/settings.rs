//! The configuration file of `haggle serve`.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, anyhow, bail};
use haggle_actuate::{Driver, DryRun, Immediate, Simulator};
use haggle_api::ApiOptions;
use haggle_front::AllowedHost;
use haggle_model::{Name, Span};
use haggle_sandbox::{Grant, Limits};
use haggle_store::StoreOptions;
use haggle_transport::{AddressPolicy, HttpOptions};
use serde::{Deserialize, Deserializer, de::Error};

use crate::{input, yaml};

/// All settings. The comments give the defaults.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// The address on which the API listens: 127.0.0.1:4870.
    pub(crate) listen: SocketAddr,
    /// Host names by which clients may reach the API, in addition to `localhost` and the listen address:
    /// none.
    #[serde(deserialize_with = "hosts")]
    pub(crate) hosts: Vec<AllowedHost>,
    /// The data directory: ./haggle-data.
    pub(crate) data: PathBuf,
    /// The time between two reconcile passes: 15s.
    pub(crate) interval: Span,
    /// The actuator that carries out decisions: dry_run.
    pub(crate) actuator: ActuatorKind,
    /// The allowed endpoints of parties: all but link-local and metadata addresses.
    pub(crate) endpoints: EndpointSettings,
    /// Limits of a plugin call.
    pub(crate) limits: Limits,
    /// Grants to individual plugins: none.
    pub(crate) plugins: BTreeMap<Name, PluginGrants>,
    /// Limits of the store.
    pub(crate) store: StoreBounds,
    /// Whether to start even if acknowledged writes are lost. Only the command line can set it, because it
    /// applies to a single start.
    #[serde(skip)]
    pub(crate) accept_loss: bool,
}

/// The actuator that carries out decisions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ActuatorKind {
    /// Only records decisions.
    #[default]
    DryRun,
    /// Simulates replicas.
    Simulator,
}

/// The allowed endpoints of parties.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct EndpointSettings {
    /// Link-local or metadata addresses that endpoints may nevertheless have: none.
    pub(crate) allow: Vec<IpAddr>,
}

/// The grants to one plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PluginGrants {
    /// The directories that the plugin may read.
    pub(crate) directories: Vec<Grant>,
}

/// Limits of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StoreBounds {
    /// Maximum size of the call journal in bytes; the oldest calls are removed first: 256 MiB.
    #[serde(deserialize_with = "journal_bytes")]
    pub(crate) journal_bytes: u64,
    /// Maximum number of journalled calls; the oldest are removed first: 100000.
    #[serde(deserialize_with = "journal_calls")]
    pub(crate) journal_calls: u64,
    /// The size of the page cache in bytes: 64 MiB.
    #[serde(deserialize_with = "cache_bytes")]
    pub(crate) cache_bytes: u64,
}

impl Settings {
    /// The default listen address.
    pub(crate) const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4870);

    /// Reads a settings file.
    ///
    /// # Errors
    /// With file, line, column and field.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let text = input::text(path)?;
        Self::parse(&path.display().to_string(), &text)
    }

    fn parse(source: &str, text: &str) -> anyhow::Result<Self> {
        let settings: Option<Self> = yaml::read(text, source, 1)?;
        let settings = settings.unwrap_or_default();
        settings.validate().with_context(|| source.to_owned())?;
        Ok(settings)
    }

    /// Validates ranges that the types do not enforce.
    pub(crate) fn validate(&self) -> anyhow::Result<()> {
        if self.interval < Span::from_secs(1) || self.interval > Span::from_mins(24 * 60) {
            bail!("interval is {}: it must lie between 1s and 1d", self.interval);
        }
        const DAY_MS: u64 = 24 * 60 * 60 * 1000;
        const GIB: u64 = 1 << 30;
        let limits = &self.limits;
        for (field, value, least, most) in [
            ("fuel", limits.fuel, 1, 1 << 60),
            ("deadline_ms", limits.deadline_ms, 1, DAY_MS),
            // A plugin can use at most 4 GiB.
            ("memory_bytes", limits.memory_bytes as u64, 1 << 16, 4 * GIB),
            ("answer_bytes", limits.answer_bytes as u64, 1, 4 * GIB),
            ("log_lines", limits.log_lines as u64, 0, 1 << 20),
            ("log_line_bytes", limits.log_line_bytes as u64, 0, 1 << 20),
            ("upload_bytes", limits.upload_bytes as u64, 1, 4 * GIB),
            ("compile_ms", limits.compile_ms, 1, DAY_MS),
            ("instances", u64::from(limits.instances), 1, 10_000),
            ("wait_ms", limits.wait_ms, 0, DAY_MS),
        ] {
            if !(least..=most).contains(&value) {
                bail!("limits.{field} is {value}: it must lie between {least} and {most}");
            }
        }
        self.store_options().check().map_err(|error| anyhow!("store.{error}"))?;
        for (name, grants) in &self.plugins {
            if let Some(grant) = grants.directories.iter().find(|g| !g.guest.starts_with('/')) {
                let guest = &grant.guest;
                bail!("plugins.{name}.directories: the guest path {guest:?} must begin with /");
            }
        }
        Ok(())
    }

    /// Creates the driver that carries out decisions.
    pub(crate) fn driver(&self) -> Arc<dyn Driver> {
        match self.actuator {
            ActuatorKind::DryRun => Arc::new(Immediate::new(DryRun::new())),
            ActuatorKind::Simulator => Arc::new(Immediate::new(Simulator::new())),
        }
    }

    /// The options of the API.
    pub(crate) fn api_options(&self) -> ApiOptions {
        let mut options =
            ApiOptions { upload_bytes: self.limits.upload_bytes, ..ApiOptions::default() };
        options.front.hosts.clone_from(&self.hosts);
        options
    }

    /// The options of the HTTP transport, for a host that listens on `own`.
    pub(crate) fn http_options(&self, own: SocketAddr) -> HttpOptions {
        let addresses = AddressPolicy { own: vec![own], allowed: self.endpoints.allow.clone() };
        HttpOptions { addresses, ..HttpOptions::default() }
    }

    /// The directories that plugins may read.
    pub(crate) fn grants(&self) -> BTreeMap<Name, Vec<Grant>> {
        let directories =
            |(name, grants): (&Name, &PluginGrants)| (name.clone(), grants.directories.clone());
        self.plugins.iter().map(directories).collect()
    }

    /// The options of the store.
    pub(crate) fn store_options(&self) -> StoreOptions {
        let StoreBounds { journal_bytes, journal_calls, cache_bytes } = self.store;
        let accept_loss = self.accept_loss;
        StoreOptions {
            journal_bytes,
            journal_calls,
            cache_bytes,
            accept_loss,
            ..StoreOptions::default()
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: Self::LISTEN,
            hosts: Vec::new(),
            data: PathBuf::from("./haggle-data"),
            interval: Span::from_secs(15),
            actuator: ActuatorKind::default(),
            endpoints: EndpointSettings::default(),
            limits: Limits::default(),
            plugins: BTreeMap::new(),
            store: StoreBounds::default(),
            accept_loss: false,
        }
    }
}

impl Default for StoreBounds {
    fn default() -> Self {
        let StoreOptions { journal_bytes, journal_calls, cache_bytes, .. } =
            StoreOptions::default();
        Self { journal_bytes, journal_calls, cache_bytes }
    }
}

fn journal_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    whole("store.journal_bytes", deserializer)
}

fn journal_calls<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    whole("store.journal_calls", deserializer)
}

fn cache_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    whole("store.cache_bytes", deserializer)
}

/// Deserializes a whole number; an error names the field. `validate` checks the range.
fn whole<'de, D: Deserializer<'de>>(field: &str, deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    let digits = text.replace('_', "");
    digits.parse().map_err(|_| {
        D::Error::custom(format!("{field} is {text}: give a whole number from 0 to {}", u64::MAX))
    })
}

fn hosts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<AllowedHost>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
}

#[cfg(test)]
mod tests {
    use super::{ActuatorKind, Settings};
    use haggle_model::Span;

    #[test]
    fn an_empty_file_means_the_defaults() {
        for text in ["", "# nothing yet\n", "{}"] {
            assert_eq!(Settings::parse("h.yaml", text).unwrap(), Settings::default());
        }
        assert_eq!(Settings::default().listen.to_string(), "127.0.0.1:4870");
    }

    #[test]
    fn what_is_given_counts_and_the_rest_stays() {
        let text = "
hosts: [haggle.example, '10.0.0.7:8443']
interval: 1m
actuator: simulator
endpoints:
  allow: [169.254.7.7]
limits:
  fuel: 1000000
plugins:
  mine:
    directories:
      - host: /srv/calendar
        guest: /calendar
store:
  journal_calls: 10
";
        let settings = Settings::parse("h.yaml", text).unwrap();
        assert_eq!(settings.interval, Span::from_mins(1));
        assert_eq!(settings.actuator, ActuatorKind::Simulator);
        assert_eq!(settings.limits.fuel, 1_000_000);
        assert_eq!(settings.limits.instances, Settings::default().limits.instances);
        assert_eq!(settings.api_options().front.hosts.len(), 2);
        let own = "127.0.0.1:4870".parse().unwrap();
        let addresses = settings.http_options(own).addresses;
        assert!(addresses.check(own).is_err());
        assert!(addresses.check("169.254.7.7:80".parse().unwrap()).is_ok());
        assert!(addresses.check("169.254.7.8:80".parse().unwrap()).is_err());
        let grants = settings.grants();
        assert_eq!(grants["mine"][0].guest, "/calendar");
        assert_eq!(settings.store_options().journal_calls, 10);
    }

    #[test]
    fn a_number_of_no_use_is_named_with_its_bounds() {
        let numbers = [
            ("limits", "fuel"),
            ("limits", "deadline_ms"),
            ("limits", "memory_bytes"),
            ("limits", "answer_bytes"),
            ("limits", "log_lines"),
            ("limits", "log_line_bytes"),
            ("limits", "upload_bytes"),
            ("limits", "compile_ms"),
            ("limits", "instances"),
            ("limits", "wait_ms"),
            ("store", "journal_bytes"),
            ("store", "journal_calls"),
            ("store", "cache_bytes"),
        ];
        for (part, field) in numbers {
            for value in ["-1", "1e30", "18446744073709551616", "nan"] {
                let text = format!("{part}:\n  {field}: {value}");
                let error = format!("{:#}", Settings::parse("h.yaml", &text).unwrap_err());
                assert!(error.contains("h.yaml, line 2"), "{field}: {value}: {error}");
                if part == "store" {
                    let said = format!("store.{field} is {value}: give a whole number");
                    assert!(error.contains(&said), "{error}");
                }
            }
            let text = format!("{part}:\n  {field}: {}", u64::MAX);
            let error = format!("{:#}", Settings::parse("h.yaml", &text).unwrap_err());
            assert!(error.contains(field) || error.contains("line 2"), "{error}");
        }
        let error = Settings::parse("h.yaml", "store: {cache_bytes: 0}").unwrap_err();
        let said = "h.yaml: store.cache_bytes is 0: it must lie between 1048576 and";
        assert!(format!("{error:#}").starts_with(said), "{error:#}");
    }

    #[test]
    fn a_mistake_is_named_with_its_place() {
        for (text, said) in [
            ("listen: everywhere", "h.yaml, line 1"),
            ("interval: 1s\nactuator: kubernetes", "h.yaml, line 2"),
            ("limits:\n  feul: 3", "feul"),
            ("interval: 10ms", "h.yaml: interval is 10ms"),
            ("limits: {fuel: 0}", "limits.fuel"),
            ("plugins: {mine: {directories: [{host: /a, guest: b}]}}", "plugins.mine.directories"),
            ("hosts: ['http://haggle.example/']", "is not a host"),
            ("endpoints: {allow: [everything]}", "h.yaml, line 1"),
            ("surprise: 1", "surprise"),
        ] {
            let error = format!("{:#}", Settings::parse("h.yaml", text).unwrap_err());
            assert!(error.contains(said), "{error}");
        }
    }
}
