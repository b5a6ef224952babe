//! A host on the network: its address, its API, and their shutdown.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpListener},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use haggle_api::{ApiOptions, Opening};
use tokio::{runtime::Runtime, sync::watch, task::JoinHandle};

/// A running API. It ends when it is closed, or by a signal.
pub(crate) struct Hosting {
    runtime: Runtime,
    api: JoinHandle<std::io::Result<()>>,
    close: watch::Sender<bool>,
    /// Notified when a signal has arrived or the API has ended.
    over: Receiver<()>,
}

/// Binds the port.
///
/// # Errors
/// When another process uses the port, or when the address is not a loopback address.
pub(crate) fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    if !address.ip().is_loopback() {
        bail!(
            "{address} can be reached by others, and the API asks nobody who they are: listen on 127.0.0.1 and put a reverse proxy that authenticates in front of it"
        );
    }
    let listener = TcpListener::bind(address).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => {
            anyhow!("{address} is taken by another process: choose another port with --listen, e.g. --listen 127.0.0.1:4871")
        }
        _ => anyhow!("cannot listen on {address}: {error}"),
    })?;
    listener.set_nonblocking(true).with_context(|| format!("cannot listen on {address}"))?;
    raise_open_files();
    Ok(listener)
}

/// Raises the limit of open files: each connection uses one, and the usual limit of 1024 is below the API's
/// own limit.
fn raise_open_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, limit = ?limit.current, "the limit of open files cannot be raised");
    }
}

impl Hosting {
    /// Serves the API of a host, which may still be opening. A signal before the host is open ends the
    /// process at once, because no work is in progress.
    pub(crate) fn start(
        listener: TcpListener,
        opening: Opening,
        options: ApiOptions,
    ) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("the runtime cannot be started")?;
        let (close, closing) = watch::channel(false);
        let (over, is_over) = mpsc::channel();
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener).context("the port cannot be served")?
        };
        let ended = over.clone();
        let opened = opening.clone();
        let api = runtime.spawn(async move {
            let mut closing = closing;
            let asked = async move {
                // A dropped sender means the same as a request to close.
                drop(closing.wait_for(|close| *close).await);
            };
            let outcome = haggle_api::serve(listener, opening, options, asked).await;
            let _ = ended.send(());
            outcome
        });
        runtime.spawn(async move {
            if signal().await.is_ok() {
                if opened.host().is_none() {
                    std::process::exit(130);
                }
                let _ = over.send(());
            }
            // A second signal ends the process without waiting.
            if signal().await.is_ok() {
                std::process::exit(130);
            }
        });
        Ok(Self { runtime, api, close, over: is_over })
    }

    /// Waits up to `patience`; `true` means that it is time to close.
    pub(crate) fn wait(&self, patience: Duration) -> bool {
        !matches!(self.over.recv_timeout(patience), Err(RecvTimeoutError::Timeout))
    }

    /// Waits until it is time to close.
    pub(crate) fn wait_until_over(&self) {
        // If both senders are dropped, it is time to close as well.
        let _ = self.over.recv();
    }

    /// Shuts the API down; requests in flight may finish.
    pub(crate) fn close(self) -> anyhow::Result<()> {
        let Self { runtime, api, close, .. } = self;
        close.send_replace(true);
        let outcome = runtime.block_on(api);
        // Reading a plugin's body may have left a blocked thread behind.
        runtime.shutdown_timeout(Duration::from_secs(1));
        outcome.context("the API ended abruptly")?.context("the API ended")
    }
}

/// Resolves when the process receives SIGINT or SIGTERM.
#[cfg(unix)]
async fn signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn signal() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}

#[cfg(test)]
mod tests {
    use super::listen;

    #[test]
    fn only_this_machine_may_ask() {
        let error = listen("0.0.0.0:0".parse().unwrap()).unwrap_err().to_string();
        assert!(error.contains("reverse proxy"), "{error}");
        assert!(listen("127.0.0.1:0".parse().unwrap()).is_ok());
    }

    #[test]
    fn a_port_that_is_taken_is_said_with_a_way_out() {
        let first = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let error = listen(first.local_addr().unwrap()).unwrap_err().to_string();
        assert!(error.contains("taken") && error.contains("--listen"), "{error}");
    }
}
