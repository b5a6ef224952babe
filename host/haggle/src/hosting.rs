//! A host on the network: its address, its API, and the end of both.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpListener},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use haggle_api::{ApiOptions, Opening};
use tokio::{runtime::Runtime, sync::watch, task::JoinHandle};

/// A running API. It ends when it is told to, or by a signal.
pub(crate) struct Hosting {
    runtime: Runtime,
    api: JoinHandle<std::io::Result<()>>,
    close: watch::Sender<bool>,
    /// Told when a signal has come or the API has ended.
    over: Receiver<()>,
}

/// Opens the port.
///
/// # Errors
/// Where somebody else has the port, or where the address could be reached by others.
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

/// Each connection is an open file, and the usual limit of 1024 is below what the API allows.
fn raise_open_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, limit = ?limit.current, "the limit of open files cannot be raised");
    }
}

impl Hosting {
    /// Serves the API of a host, which may still be opening. A signal that comes before it is open ends the
    /// process at once, since nothing is under way.
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
                // Its other end gone is as good as being asked.
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
            // Whoever asks twice does not want to wait.
            if signal().await.is_ok() {
                std::process::exit(130);
            }
        });
        Ok(Self { runtime, api, close, over: is_over })
    }

    /// Waits; true says that it is time to close.
    pub(crate) fn wait(&self, patience: Duration) -> bool {
        !matches!(self.over.recv_timeout(patience), Err(RecvTimeoutError::Timeout))
    }

    /// Waits until it is time to close.
    pub(crate) fn wait_until_over(&self) {
        // Both of its other ends gone is as good as being told.
        let _ = self.over.recv();
    }

    /// Ends the API; requests in flight may finish.
    pub(crate) fn close(self) -> anyhow::Result<()> {
        let Self { runtime, api, close, .. } = self;
        close.send_replace(true);
        let outcome = runtime.block_on(api);
        // Reading a plugin's body may have left a thread behind that nobody waits for.
        runtime.shutdown_timeout(Duration::from_secs(1));
        outcome.context("the API ended abruptly")?.context("the API ended")
    }
}

/// Resolves when the process is asked to end.
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
