//! Calls to the JSON API.

use super::profile::origin;
use super::trust::Trust;
use crate::exit::{Exit, Failure, Result};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How long a lost connection is tried again while watching.
const PATIENCE: Duration = Duration::from_secs(60);
const TIMEOUT: Duration = Duration::from_secs(40);

pub struct Client {
    http: reqwest::Client,
    origin: String,
    token: Option<String>,
}

/// A part of a log.
pub struct Piece {
    pub bytes: Vec<u8>,
    pub next: u64,
    pub is_final: bool,
}

/// An answer with the status that says how it is meant.
pub struct Reply {
    pub status: StatusCode,
    pub body: Value,
}

impl Client {
    pub fn new(
        url: &str,
        trust: Trust,
        token: Option<String>,
        allow_plain_http: bool,
    ) -> Result<Client> {
        let origin = origin(url)?;
        if origin.starts_with("http:") && !allow_plain_http && !is_loopback(&origin) {
            return Err(Failure::usage(
                format!("{origin} would send the token in the clear"),
                "use https://, or pass --allow-plain-http if the network is trusted",
            ));
        }
        let mut builder = reqwest::Client::builder()
            // The token goes to this origin and nowhere else.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .timeout(TIMEOUT)
            .user_agent(concat!("pipectl/", env!("CARGO_PKG_VERSION")));
        if is_loopback(&origin) {
            builder = builder.no_proxy();
        }
        if let Some(config) = trust.config()? {
            builder = builder.tls_backend_preconfigured(config);
        }
        let http = builder.build().map_err(|error| {
            Failure::failed(format!("cannot set up the connection: {error}"), "")
        })?;
        Ok(Client { http, origin, token })
    }

    pub fn origin(&self) -> &str {
        &self.origin
    }

    pub async fn get(&self, path: &str) -> Result<Value> {
        self.expect(self.call(Method::GET, path, None).await?)
    }

    pub async fn post(&self, path: &str, body: Value) -> Result<Value> {
        self.expect(self.call(Method::POST, path, Some(body)).await?)
    }

    /// The answer whatever its status; what is no JSON becomes an error.
    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Result<Reply> {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let text = response.text().await.map_err(|error| self.unreachable(&error))?;
        match serde_json::from_str(&text) {
            Ok(body) => Ok(Reply { status, body }),
            Err(_) => Err(Failure::new(
                Exit::Unreachable,
                format!("{} does not answer like a Pipeyard controller ({status})", self.origin),
                "check the address",
            )),
        }
    }

    /// Asks again while the connection is lost, for a minute; `tell` is called once when it is.
    pub async fn get_patiently(&self, path: &str, tell: impl Fn(&str)) -> Result<Value> {
        let mut lost_at: Option<Instant> = None;
        loop {
            match self.get(path).await {
                Err(failure) if failure.exit == Exit::Unreachable => {
                    let since = *lost_at.get_or_insert_with(|| {
                        tell(&format!(
                            "lost the controller, trying again for {} s",
                            PATIENCE.as_secs()
                        ));
                        Instant::now()
                    });
                    if since.elapsed() > PATIENCE {
                        return Err(failure);
                    }
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                answer => {
                    if lost_at.is_some() && answer.is_ok() {
                        tell("the controller is back");
                    }
                    return answer;
                }
            }
        }
    }

    /// Log bytes from `offset`; the server holds the request up to `wait` while there are none.
    pub async fn log(&self, task: &str, offset: u64, wait: Duration) -> Result<Piece> {
        let path = format!("/api/v1/tasks/{task}/log?offset={offset}&wait={}", wait.as_millis());
        let request = self.request(Method::GET, &path);
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        if !status.is_success() {
            let text = response.text().await.unwrap_or_default();
            let body = serde_json::from_str(&text).unwrap_or(Value::Null);
            return Err(refused(&Reply { status, body }));
        }
        let header = |name: &str| response.headers().get(name)?.to_str().ok().map(str::to_owned);
        let next = header("pipeyard-log-next").and_then(|text| text.parse().ok());
        let is_final = header("pipeyard-log-final").as_deref() == Some("true");
        let bytes = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        let next = next.unwrap_or(offset + bytes.len() as u64);
        Ok(Piece { bytes: bytes.to_vec(), next, is_final })
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.origin));
        let request = request.header("accept", "application/json");
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    fn expect(&self, reply: Reply) -> Result<Value> {
        if reply.status.is_success() { Ok(reply.body) } else { Err(refused(&reply)) }
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let mut why = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            why = cause.to_string();
            source = cause.source();
        }
        let help = if why.contains("certificate") || why.contains("UnknownIssuer") {
            "pass --ca FILE: the controller's is tls/ca.pem in its data directory"
        } else {
            "check that the controller runs and that the address is right"
        };
        Failure::new(Exit::Unreachable, format!("cannot reach {}: {why}", self.origin), help)
    }
}

/// What the server's refusal means for us.
pub fn refused(reply: &Reply) -> Failure {
    let text = |key: &str| reply.body["error"][key].as_str().unwrap_or_default().to_owned();
    let message = Some(text("message")).filter(|text| !text.is_empty());
    let message = message.unwrap_or_else(|| format!("the server refused: {}", reply.status));
    let exit = match reply.status {
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            Exit::Unreachable
        }
        StatusCode::BAD_REQUEST => Exit::Usage,
        _ => Exit::Failed,
    };
    Failure::new(exit, message, text("help"))
}

/// The answer as one of our structs.
pub fn parse<T: DeserializeOwned>(body: &Value) -> Result<T> {
    serde_json::from_value(body.clone()).map_err(|error| {
        Failure::failed(
            format!("cannot understand the server's answer: {error}"),
            "pipectl and the controller may differ too much in version",
        )
    })
}

fn is_loopback(origin: &str) -> bool {
    let url = reqwest::Url::parse(origin).ok();
    let Some(host) = url.as_ref().and_then(reqwest::Url::host_str) else { return false };
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_token_is_not_sent_in_the_clear_to_another_machine() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = |url, plain| Client::new(url, Trust::Fingerprint("0".repeat(64)), None, plain);
        assert_eq!(client("http://10.0.0.1:8080", false).err().unwrap().exit, Exit::Usage);
        assert!(client("http://10.0.0.1:8080", true).is_ok());
        for near in ["http://127.0.0.1:80", "http://localhost:1", "http://[::1]:1"] {
            assert!(client(near, false).is_ok(), "{near}");
        }
        assert!(client("http://127.0.0.1.evil.example", false).is_err());
    }

    #[test]
    fn a_refusal_keeps_the_servers_words() {
        let body = json!({"error": {"code": "conflict", "message": "no", "help": "do"}});
        let failure = refused(&Reply { status: StatusCode::CONFLICT, body });
        assert_eq!(failure, Failure::failed("no", "do"));
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let failure = refused(&Reply { status, body: Value::Null });
        assert_eq!(failure.exit, Exit::Unreachable);
    }
}
