//! Documents as responses show them.

use haggle_model::{Endpoint, Provider, Service};
use serde::{Serialize, Serializer};

/// A document as responses show it, with the secrets in its endpoint masked.
///
/// The host refuses a client that writes back a masked document, because the endpoint then contains
/// asterisks.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DocumentView<T> {
    document: T,
    endpoint: Option<String>,
}

/// A document that may have an endpoint.
pub(crate) trait HasEndpoint {
    fn take_endpoint(&mut self) -> Option<Endpoint>;
}

impl HasEndpoint for Service {
    fn take_endpoint(&mut self) -> Option<Endpoint> {
        self.endpoint.take()
    }
}

impl HasEndpoint for Provider {
    fn take_endpoint(&mut self) -> Option<Endpoint> {
        self.endpoint.take()
    }
}

impl<T: HasEndpoint> DocumentView<T> {
    pub(crate) fn new(mut document: T) -> Self {
        let endpoint = document.take_endpoint().map(|endpoint| endpoint.redacted());
        Self { document, endpoint }
    }
}

impl<T: Serialize> Serialize for DocumentView<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Fields<'a, T> {
            #[serde(flatten)]
            document: &'a T,
            #[serde(skip_serializing_if = "Option::is_none")]
            endpoint: Option<&'a str>,
        }
        Fields { document: &self.document, endpoint: self.endpoint.as_deref() }
            .serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use haggle_model::Service;
    use serde_json::json;

    use super::DocumentView;

    #[test]
    fn an_endpoint_is_shown_without_its_secrets() {
        let written = json!({
            "name": "web",
            "replica": {"capacity": {"requests_per_second": 1.0}},
            "endpoint": "http://user:hunter2@a.example/x?token=s3cr3t",
        });
        let service: Service = serde_json::from_value(written).unwrap();
        let shown = serde_json::to_value(DocumentView::new(service.clone())).unwrap();
        assert_eq!(shown["endpoint"], "http://***@a.example/x?***");
        let mut whole = serde_json::to_value(service).unwrap();
        whole["endpoint"] = shown["endpoint"].clone();
        assert_eq!(shown, whole);
    }

    #[test]
    fn without_an_endpoint_it_is_the_document() {
        let written = json!({"name": "web", "replica": {"capacity": {"requests_per_second": 1.0}}});
        let service: Service = serde_json::from_value(written).unwrap();
        let shown = serde_json::to_value(DocumentView::new(service.clone())).unwrap();
        assert_eq!(shown, serde_json::to_value(service).unwrap());
    }
}
