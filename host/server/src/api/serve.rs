use std::{future::Future, io, sync::Arc, time::Duration};

use axum::serve::ListenerExt;
use tokio::net::TcpListener;

use crate::Host;

use super::{
    ApiOptions, assemble,
    state::{Api, Closing},
};

/// How long requests in flight may take to end once the server closes. A negotiation that takes longer
/// is settled by its own deadline, whether or not somebody still waits for the answer.
const GRACE: Duration = Duration::from_secs(10);

/// Serves the API on `listener` until `shutdown` resolves. Then it accepts nothing more, ends the event
/// streams, and gives requests in flight ten seconds.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(
    listener: TcpListener,
    host: Arc<Host>,
    options: ApiOptions,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let closing = Closing::default();
    let router = assemble(Api::new(host, options, closing.clone()));
    let signal = closing.clone();
    let listener = listener.tap_io(|stream| {
        // Answers are small and events single: waiting to fill a packet only adds delay.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!("a connection keeps Nagle's algorithm: {error}");
        }
    });
    let server = axum::serve(listener, router).with_graceful_shutdown(async move {
        shutdown.await;
        signal.begin();
    });
    let overdue = async {
        closing.begun().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        ended = server => ended,
        () = overdue => {
            tracing::warn!("closed with requests in flight");
            Ok(())
        }
    }
}
