use std::{error::Error, net::SocketAddr, sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use haggle_model::{Endpoint, EndpointHost};
use haggle_negotiate::Message;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    Request, Response, StatusCode, Uri,
    body::{Bytes, Incoming},
    header::{self, HeaderValue},
    http::uri::InvalidUri,
};
use hyper_util::{
    client::legacy::{Client, Error as ClientError},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::timeout;

use crate::{
    AddressPolicy, BoxFuture, CLOUD_EVENT, Reply, Transport,
    connect::{ConnectError, Connector},
    event::{answer, cloud_event},
    line::{Bounds, Lines},
};

/// The limits of an [`HttpTransport`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpOptions {
    /// Time limit of a delivery, from connecting to the end of the response. A party that needs longer
    /// answers later, or is asked again. A message also waits at most this long to be sent.
    pub patience: Duration,
    /// Maximum number of messages in flight.
    pub in_flight: usize,
    /// Maximum number of messages in flight to one party, identified by its address including the path,
    /// because a gateway may serve several parties.
    pub in_flight_each: usize,
    /// Maximum number of messages waiting to be sent.
    pub waiting: usize,
    /// Maximum number of messages waiting to be sent to one party.
    pub waiting_each: usize,
    /// The allowed addresses.
    pub addresses: AddressPolicy,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(10),
            in_flight: 1024,
            in_flight_each: 4,
            waiting: 4096,
            waiting_each: 64,
            addresses: AddressPolicy::default(),
        }
    }
}

/// Posts messages over HTTP, as CloudEvents in structured mode. It follows no redirects. It must run in a
/// tokio runtime with time and I/O enabled.
#[derive(Debug)]
pub struct HttpTransport {
    client: Client<Connector, Full<Bytes>>,
    lines: Lines,
    patience: Duration,
}

/// How long an idle connection is kept for the next message.
const IDLE: Duration = Duration::from_secs(30);

impl HttpTransport {
    /// Creates a transport with these limits.
    #[must_use]
    pub fn new(options: HttpOptions) -> Self {
        let HttpOptions { patience, in_flight, in_flight_each, waiting, waiting_each, addresses } =
            options;
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(in_flight_each)
            .build(Connector(Arc::new(addresses)));
        let bounds = Bounds { in_flight, in_flight_each, waiting, waiting_each, patience };
        Self { client, lines: Lines::new(bounds), patience }
    }

    async fn post(&self, endpoint: &Endpoint, message: &Message) -> Reply {
        let Ok(request) = request(endpoint, message) else {
            return Reply::Never(format!("{endpoint} is no address that can be asked"));
        };
        let _place = match self.lines.enter(&party(endpoint)).await {
            Ok(place) => place,
            Err(why) => return Reply::Unreached(format!("{endpoint} was not reached: {why}")),
        };
        let exchange = async {
            match self.client.request(request).await {
                Ok(response) => reply(endpoint, response).await,
                Err(error) => unreached(endpoint, &error),
            }
        };
        timeout(self.patience, exchange).await.unwrap_or_else(|_| {
            let patience = self.patience;
            Reply::Unreached(format!("{endpoint} did not answer within {patience:?}"))
        })
    }
}

impl Transport for HttpTransport {
    fn deliver<'a>(&'a self, endpoint: &'a Endpoint, message: &'a Message) -> BoxFuture<'a, Reply> {
        Box::pin(self.post(endpoint, message))
    }
}

/// The text that identifies a party.
fn party(endpoint: &Endpoint) -> String {
    let (port, target) = (endpoint.port(), endpoint.target());
    match endpoint.host() {
        EndpointHost::Name(name) => format!("{}:{port}{target}", name.to_ascii_lowercase()),
        EndpointHost::Address(ip) => {
            format!("{}{target}", SocketAddr::new(ip.to_canonical(), port))
        }
    }
}

fn request(
    endpoint: &Endpoint,
    message: &Message,
) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let uri: Uri = format!("http://{}{}", endpoint.authority(), endpoint.target())
        .parse()
        .map_err(|error: InvalidUri| hyper::http::Error::from(error))?;
    let event = cloud_event(message).to_string();
    let mut request = Request::post(uri)
        .header(header::CONTENT_TYPE, CLOUD_EVENT)
        .header(header::ACCEPT, "*/*")
        .header(header::USER_AGENT, concat!("haggle/", env!("CARGO_PKG_VERSION")))
        .body(Full::new(Bytes::from(event)))?;
    if let Some(credentials) = endpoint.credentials() {
        let plain = [credentials.user, credentials.password].join(&b':');
        let mut value = HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(plain)))?;
        value.set_sensitive(true);
        request.headers_mut().insert(header::AUTHORIZATION, value);
    }
    Ok(request)
}

async fn reply(endpoint: &Endpoint, response: Response<Incoming>) -> Reply {
    let status = response.status();
    let refused = || format!("{endpoint} answered with status {}", status.as_u16());
    match status.as_u16() {
        200..=299 => {}
        408 | 425 | 429 | 500..=599 => return Reply::Unreached(refused()),
        _ => return Reply::Never(redirected(status, refused())),
    }
    match Limited::new(response.into_body(), Message::MOST_BYTES).collect().await {
        Ok(body) => match &*body.to_bytes() {
            [] => Reply::Nothing,
            body => match answer(body) {
                Ok(said) => Reply::Said(Box::new(said)),
                Err(why) => Reply::Unreadable(format!("{endpoint} gave no readable answer: {why}")),
            },
        },
        Err(error) => {
            let most = Message::MOST_BYTES;
            let why = match error.is::<LengthLimitError>() {
                true => format!("it is longer than the {most} bytes that are read"),
                false => "it broke off".to_owned(),
            };
            Reply::Unreadable(format!("{endpoint} gave no readable answer: {why}"))
        }
    }
}

fn redirected(status: StatusCode, refused: String) -> String {
    match status.is_redirection() {
        true => format!("{refused}, and redirects are not followed: give the address itself"),
        false => refused,
    }
}

fn unreached(endpoint: &Endpoint, error: &ClientError) -> Reply {
    match cause::<ConnectError>(error) {
        Some(error @ ConnectError::Refused(_)) => {
            Reply::Never(format!("{endpoint} was not asked: {error}"))
        }
        Some(error) => Reply::Unreached(format!("{endpoint} was not reached: {error}")),
        // The client library's error is about the protocol and contains nothing that was sent or received.
        None => {
            let why = cause::<hyper::Error>(error).map(ToString::to_string);
            let why = why.unwrap_or_else(|| "the connection failed".to_owned());
            Reply::Unreached(format!("{endpoint} was not reached: {why}"))
        }
    }
}

/// Returns the first cause of type `T`.
fn cause<T: Error + 'static>(error: &ClientError) -> Option<&T> {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}
