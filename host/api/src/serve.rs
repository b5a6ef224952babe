use std::io;

use tokio::net::TcpListener;

use crate::{
    options::ApiOptions,
    startup::{self, Opening},
};

/// Serves the API of a host, which may still be opening, on `listener` until `shutdown` resolves. Then it
/// accepts no further connections, ends event streams, and gives requests in flight the time in the front's
/// options. Requests that wait for a verdict end at once with a 503 that says where to find the verdict once
/// the host runs again.
///
/// # Errors
/// When the listener has no address.
pub async fn serve(
    listener: TcpListener,
    opening: Opening,
    options: ApiOptions,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let router = startup::router(opening.clone(), options.clone());
    let shutdown = async move {
        shutdown.await;
        if let Some(host) = opening.host() {
            host.stop_waiting();
        }
    };
    haggle_front::serve(listener, router, options.front, shutdown).await
}
