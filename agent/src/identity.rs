//! Who this agent is to its controller, and how it becomes so.

use crate::controller::Controller;
use crate::durable::{read_json, remove_if_there, write_json};
use crate::tls::{SeenCa, Trust, check_url, http_client, pem};
use anyhow::{Context, Result, bail};
use pipelines::ids::{AgentId, is_name};
use pipelines::protocol;
use pipelines::protocol::join::{JoinRequest, JoinToken, Role};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What joining gave. Kept in `identity.json`, readable by its owner alone.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    pub url: String,
    pub agent: AgentId,
    pub role: Role,
    pub name: String,
    pub credential: String,
    pub tags: BTreeMap<String, String>,
    /// The only root for TLS from then on. None: plain HTTP, or a CA the system knows.
    pub ca_pem: Option<String>,
}

/// What an operator says to make a host join.
#[derive(Debug, Clone)]
pub struct Wish {
    pub url: String,
    pub token: JoinToken,
    pub name: String,
    pub tags: BTreeMap<String, String>,
    pub allow_plain_http: bool,
}

/// A join that was begun: the same words again if the reply was lost.
#[derive(Serialize, Deserialize)]
struct Begun {
    token: String,
    name: String,
    idempotency: String,
}

/// Where it is in a state directory.
#[must_use]
pub fn path(state: &Path) -> PathBuf {
    state.join("identity.json")
}

impl Identity {
    /// A name nobody else on this Docker engine has: two agents of two controllers may be called the
    /// same and count their tasks the same.
    #[must_use]
    pub fn unique_name(&self) -> String {
        use sha2::{Digest as _, Sha256};
        let hash = Sha256::digest(self.credential.as_bytes());
        format!("{}-{}", self.name, hex::encode(&hash[..4]))
    }

    /// # Errors
    /// When the file is there and unreadable.
    pub fn load(state: &Path) -> Result<Option<Identity>> {
        read_json(&path(state)).context("reading this agent's identity")
    }

    /// A client that speaks as this agent.
    ///
    /// # Errors
    /// When the stored CA is not a certificate, or the URL is not allowed.
    pub fn controller(&self, allow_plain_http: bool) -> Result<Controller> {
        check_url(&self.url, allow_plain_http)?;
        let trust = match &self.ca_pem {
            Some(pem) => Trust::Ca(pem.clone()),
            None if self.url.starts_with("https:") => Trust::System,
            None => Trust::Plain,
        };
        let http = http_client(&self.url, trust)?;
        Ok(Controller::new(http, &self.url, &self.name, &self.credential))
    }
}

/// Turns the one-time token into this agent's own credential.
///
/// # Errors
/// When the controller cannot be reached, is not the one of the token, or refuses.
pub async fn join(state: &Path, wish: &Wish) -> Result<Identity> {
    check_url(&wish.url, wish.allow_plain_http)?;
    if !is_name(&wish.name) {
        bail!("'{}' cannot name an agent: use letters, digits, '-', '_' and '.'", wish.name);
    }
    let begun_path = state.join("joining.json");
    let begun = begin(&begun_path, wish)?;
    let seen = SeenCa::default();
    let trust = match &wish.token.ca_sha256 {
        Some(sha256) if wish.url.starts_with("https:") => {
            Trust::Fingerprint(sha256.clone(), seen.clone())
        }
        _ if wish.url.starts_with("https:") => Trust::System,
        _ => Trust::Plain,
    };
    let http = http_client(&wish.url, trust)?;
    let controller = Controller::new(http, &wish.url, &wish.name, &wish.token.secret);
    let request = JoinRequest {
        protocol: protocol::VERSION,
        token: wish.token.id.clone(),
        name: wish.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        tags: wish.tags.clone(),
        idempotency: begun.idempotency,
    };
    let reply = controller.join(&request).await.with_context(|| format!("joining {}", wish.url))?;
    let identity = Identity {
        url: wish.url.clone(),
        agent: reply.agent,
        role: reply.role,
        name: reply.name,
        credential: reply.credential,
        tags: reply.tags,
        ca_pem: seen.get().map(pem),
    };
    write_json(&path(state), &identity).context("keeping this agent's identity")?;
    remove_if_there(&begun_path)?;
    Ok(identity)
}

fn begin(path: &Path, wish: &Wish) -> Result<Begun> {
    if let Ok(Some(begun)) = read_json::<Begun>(path)
        && begun.token == wish.token.id
        && begun.name == wish.name
    {
        return Ok(begun);
    }
    let idempotency = hex::encode(rand::random::<[u8; 16]>());
    let begun = Begun { token: wish.token.id.clone(), name: wish.name.clone(), idempotency };
    write_json(path, &begun).context("noting that this agent is about to join")?;
    Ok(begun)
}
