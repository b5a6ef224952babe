//! `haggle serve`

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use anyhow::Context;
use clap::Args;
use haggle_api::Opening;
use haggle_runtime::{Host, HostOptions};
use haggle_sandbox::Options;
use haggle_transport::{HttpTransport, Transports};

use super::compile_worker;
use crate::{
    hosting::{self, Hosting},
    output,
    settings::Settings,
};

/// Run a host: it reconciles at every interval, and serves the HTTP API
///
/// Options override the configuration file. SIGINT or SIGTERM stops the host once the requests in flight are
/// done.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = LONG_EXAMPLES)]
pub(crate) struct Serve {
    /// The address on which the API listens; it must be a loopback address [default: 127.0.0.1:4870]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// The directory for all data that must outlive the process [default: ./haggle-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// A configuration file in YAML
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Start even if acknowledged writes are lost; the host keeps a copy of the damaged state
    #[arg(long)]
    accept_loss: bool,
}

const EXAMPLES: &str = "\
Examples:
  haggle serve
  haggle serve --listen 127.0.0.1:4880 --data /var/lib/haggle
  haggle serve --config haggle.yaml --log info,haggle_runtime=debug --log-format json

`haggle serve --help` shows the configuration file.";

const LONG_EXAMPLES: &str = "\
Examples:
  haggle serve
  haggle serve --listen 127.0.0.1:4880 --data /var/lib/haggle
  haggle serve --config haggle.yaml --log debug --log-format json

The configuration file, with the defaults:
  listen: 127.0.0.1:4870
  data: ./haggle-data
  hosts: []                      # names behind a proxy, as haggle.example
  interval: 15s                  # between two reconcile passes
  actuator: dry_run              # or simulator
  endpoints:
    allow: []                    # also link-local or metadata addresses
  limits:                        # what a call of a plugin may use
    fuel: 50000000000            # instructions
    deadline_ms: 60000
    memory_bytes: 268435456
    answer_bytes: 33554432
    log_lines: 100
    log_line_bytes: 1024
    upload_bytes: 67108864
    compile_ms: 180000
    instances: 32                # calls at the same time
    wait_ms: 60000
  plugins: {}                    # what they may read, such as:
  # plugins: {NAME: {directories: [{host: /srv/data, guest: /data}]}}
  store:
    journal_bytes: 268435456     # the oldest journalled calls go first
    journal_calls: 100000
    cache_bytes: 67108864";

impl Serve {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let settings = self.settings()?;
        let listener = hosting::listen(settings.listen)?;
        let address = listener.local_addr().context("the address is not known")?;
        let data = settings.data.display().to_string();
        // Serve before the host opens, so that clients can query its health meanwhile.
        let opening = Opening::default();
        let hosting = Hosting::start(listener, opening.clone(), settings.api_options())?;
        output::note(format_args!(
            "haggle starts: {address}/livez answers, /readyz says when it is open"
        ));
        let http = settings.http_options(address);
        let addresses = http.addresses.clone();
        let http = Arc::new(HttpTransport::new(http));
        let host = Host::open(HostOptions {
            data: Some(settings.data.clone()),
            live: true,
            driver: settings.driver(),
            transport: Transports::new().with("http", http),
            addresses,
            interval: settings.interval,
            sandbox: Options {
                limits: settings.limits,
                compiler: compile_worker::compiler()?,
                cache: None,
            },
            store: settings.store_options(),
            grants: settings.grants(),
            ..HostOptions::default()
        })
        .with_context(|| format!("the host cannot be opened on {data}"))?;
        opening.done(host);
        output::note(format_args!("haggle serves http://{address} and keeps its data in {data}"));
        hosting.wait_until_over();
        output::note("haggle closes");
        hosting.close()
    }

    fn settings(&self) -> anyhow::Result<Settings> {
        let mut settings = match &self.config {
            Some(path) => Settings::open(path)?,
            None => Settings::default(),
        };
        if let Some(listen) = self.listen {
            settings.listen = listen;
        }
        if let Some(data) = &self.data {
            settings.data.clone_from(data);
        }
        settings.accept_loss = self.accept_loss;
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::{LONG_EXAMPLES, Serve};
    use crate::settings::Settings;

    #[test]
    fn the_documented_defaults_are_the_defaults() {
        let (_, documented) = LONG_EXAMPLES.split_once("with the defaults:\n").unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        let text: String = documented.lines().map(|line| format!("{}\n", &line[2..])).collect();
        std::fs::write(file.path(), text).unwrap();
        assert_eq!(Settings::open(file.path()).unwrap(), Settings::default());
    }

    #[test]
    fn the_command_line_goes_before_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "listen: 127.0.0.1:1\ndata: /a\n").unwrap();
        let serve = Serve {
            listen: Some("127.0.0.1:2".parse().unwrap()),
            data: None,
            config: Some(file.path().to_owned()),
            accept_loss: false,
        };
        let settings = serve.settings().unwrap();
        assert_eq!((settings.listen.port(), settings.data.to_str()), (2, Some("/a")));
    }
}
