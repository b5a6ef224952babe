use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use hyper::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, lookup_host};
use tower::Service;

use crate::{AddressPolicy, RefusedAddress};

/// Opens connections to addresses that the policy allows. It resolves a name once, and connects to the
/// addresses that it has checked.
#[derive(Clone, Debug)]
pub(crate) struct Connector(pub(crate) Arc<AddressPolicy>);

/// The reason why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("it must not be connected to: {0}")]
    Refused(#[from] RefusedAddress),
    #[error("its name was not resolved: {0}")]
    Unresolved(io::Error),
    #[error("its name has no address")]
    NoAddress,
    #[error("no connection was made: {0}")]
    Unconnected(io::Error),
}

impl Connector {
    async fn connect(self, uri: Uri) -> Result<TokioIo<TcpStream>, ConnectError> {
        let port = uri.port_u16().unwrap_or(80);
        let host = uri.host().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let addresses: Vec<SocketAddr> = match bare.parse::<IpAddr>() {
            Ok(ip) => vec![SocketAddr::new(ip, port)],
            Err(_) => lookup_host((host, port)).await.map_err(ConnectError::Unresolved)?.collect(),
        };
        let mut outcome = Err(ConnectError::NoAddress);
        for address in addresses {
            outcome = self.open(address).await;
            // If any address of a name is refused, the remaining addresses are not tried.
            if matches!(outcome, Ok(_) | Err(ConnectError::Refused(_))) {
                break;
            }
        }
        outcome.map(TokioIo::new)
    }

    async fn open(&self, address: SocketAddr) -> Result<TcpStream, ConnectError> {
        self.0.check(address)?;
        let stream = TcpStream::connect(address).await.map_err(ConnectError::Unconnected)?;
        let local = stream.local_addr().map_err(ConnectError::Unconnected)?;
        self.0.check_connected(local, address)?;
        // A message is one write, so waiting to fill a packet only adds delay.
        stream.set_nodelay(true).map_err(ConnectError::Unconnected)?;
        Ok(stream)
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}
