//! A client of a host's HTTP API.

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use haggle_front::Problem;
use serde::{Serialize, de::DeserializeOwned};
use ureq::{
    Agent, Body,
    http::{Response, StatusCode},
};

/// Selects the host.
#[derive(Debug, Args)]
pub(crate) struct Remote {
    /// URL of the host's API
    #[arg(long, value_name = "URL", env = "HAGGLE_URL", default_value = "http://127.0.0.1:4870", value_parser = base)]
    url: String,
}

/// Whether a document was created or replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Put {
    Created,
    Updated,
}

/// A client of one host.
pub(crate) struct Client {
    agent: Agent,
    base: String,
}

/// Connect timeout; a host that does not accept a connection by then counts as unreachable.
const CONNECT: Duration = Duration::from_secs(5);

/// Response timeout. A host lets a client wait for at most five minutes.
const ANSWER: Duration = Duration::from_secs(330);

/// Maximum size of a response, in bytes.
const LONGEST: u64 = 64 << 20;

impl Remote {
    pub(crate) fn connect(&self) -> Client {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // A proxy would come from the environment, and the environment must not configure this program.
            .proxy(None)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(ANSWER))
            .max_redirects(0)
            .build();
        Client { agent: config.into(), base: self.url.clone() }
    }
}

impl Client {
    /// Reads a document.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let response = self.reached(self.agent.get(self.at(path)).call())?;
        self.document(response)
    }

    /// Creates or replaces a document.
    pub(crate) fn put(&self, path: &str, document: &impl Serialize) -> anyhow::Result<Put> {
        let response = self.reached(self.agent.put(self.at(path)).send_json(document))?;
        let put =
            if response.status() == StatusCode::CREATED { Put::Created } else { Put::Updated };
        self.accepted(response)?;
        Ok(put)
    }

    /// Uploads bytes with query parameters. Returns `None` if the host has accepted them but has not
    /// finished.
    pub(crate) fn upload<T: DeserializeOwned>(
        &self,
        path: &str,
        parameters: &[(&str, &str)],
        bytes: &[u8],
    ) -> anyhow::Result<Option<T>> {
        let request = self
            .agent
            .put(self.at(path))
            .query_pairs(parameters.iter().copied())
            .content_type("application/wasm");
        let response = self.reached(request.send(bytes))?;
        if response.status() == StatusCode::ACCEPTED {
            return Ok(None);
        }
        self.document(response).map(Some)
    }

    /// Sends an empty POST request and reads the response.
    pub(crate) fn post<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let response = self.reached(self.agent.post(self.at(path)).send_empty())?;
        self.document(response)
    }

    /// Sends a document and reads the response.
    pub(crate) fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        document: &impl Serialize,
    ) -> anyhow::Result<T> {
        let response = self.reached(self.agent.post(self.at(path)).send_json(document))?;
        self.document(response)
    }

    /// Deletes a resource.
    pub(crate) fn delete(&self, path: &str) -> anyhow::Result<()> {
        let response = self.reached(self.agent.delete(self.at(path)).call())?;
        self.accepted(response).map(drop)
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn reached(
        &self,
        response: Result<Response<Body>, ureq::Error>,
    ) -> anyhow::Result<Response<Body>> {
        response.with_context(|| {
            let base = &self.base;
            format!("no host answers at {base} (start one with `haggle serve`, or name another with --url)")
        })
    }

    fn document<T: DeserializeOwned>(&self, response: Response<Body>) -> anyhow::Result<T> {
        let bytes = self.accepted(response)?;
        serde_json::from_slice(&bytes).with_context(|| {
            format!("{} answered what this version does not understand", self.base)
        })
    }

    /// Returns the body of a successful response; any other response is an error.
    fn accepted(&self, mut response: Response<Body>) -> anyhow::Result<Vec<u8>> {
        let status = response.status();
        let bytes = response
            .body_mut()
            .with_config()
            .limit(LONGEST)
            .read_to_vec()
            .with_context(|| format!("the answer of {} broke off", self.base))?;
        if status.is_success() {
            return Ok(bytes);
        }
        match serde_json::from_slice::<Problem>(&bytes) {
            Ok(problem) => bail!(problem.detail),
            Err(_) => Err(anyhow!("{} answered {status}: is it a haggle host?", self.base)),
        }
    }
}

fn base(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("http://").unwrap_or_default().trim_end_matches('/');
    if host.is_empty() || host.contains(['?', '#', ' ']) {
        return Err("it must look like http://127.0.0.1:4870".to_owned());
    }
    Ok(format!("http://{host}"))
}

#[cfg(test)]
mod tests {
    use super::base;

    #[test]
    fn an_address_ends_without_a_slash() {
        assert_eq!(base("http://127.0.0.1:4870/"), Ok("http://127.0.0.1:4870".to_owned()));
        assert_eq!(base("http://host/under/"), Ok("http://host/under".to_owned()));
        for wrong in ["127.0.0.1:4870", "https://host", "http://", "http://host?x=1", ""] {
            assert!(base(wrong).is_err(), "{wrong}");
        }
    }
}
