//! Joining: a one-time token becomes the agent's own credential.

use crate::ids::AgentId;
use crate::time::Millis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What an agent may do. Builds are hostile code by assumption, hosts are production: one agent never
/// does both with one credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    Build,
    Deploy,
}

impl Role {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Build => "build",
            Role::Deploy => "deploy",
        }
    }
}

/// Sent once with `Authorization: Bearer <secret of the join token>`. The role comes from the token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JoinRequest {
    pub protocol: u32,
    /// The token's public id.
    pub token: String,
    /// Unique among agents. Joining again under a taken name is refused.
    pub name: String,
    pub version: String,
    /// The agent's own tags; a tag that the token fixes cannot be overridden.
    pub tags: BTreeMap<String, String>,
    /// Chosen by the agent before it asks, so that a repeated join after a lost reply is the same join.
    pub idempotency: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JoinReply {
    pub agent: AgentId,
    pub role: Role,
    pub name: String,
    pub credential: String,
    pub tags: BTreeMap<String, String>,
}

/// The text of a join token: `pyj1.<id>.<secret>.<ca fingerprint or "plain">`. The fingerprint is the
/// SHA-256 of the controller's CA certificate (DER), so that the first connection is already verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinToken {
    pub id: String,
    pub secret: String,
    /// None: the controller has no TLS and the operator asked for it.
    pub ca_sha256: Option<String>,
}

/// The text is not a join token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is not a join token: make one with 'pipectl join-token create' and pass all of it")]
pub struct BadJoinToken;

impl std::str::FromStr for JoinToken {
    type Err = BadJoinToken;

    fn from_str(text: &str) -> Result<Self, BadJoinToken> {
        let parts: Vec<&str> = text.trim().split('.').collect();
        let [kind, id, secret, ca] = parts[..] else { return Err(BadJoinToken) };
        let word = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric());
        if kind != "pyj1" || !word(id) || !word(secret) {
            return Err(BadJoinToken);
        }
        let ca_sha256 = match ca {
            "plain" => None,
            hex if hex.len() == 64 && word(hex) => Some(hex.to_owned()),
            _ => return Err(BadJoinToken),
        };
        Ok(JoinToken { id: id.to_owned(), secret: secret.to_owned(), ca_sha256 })
    }
}

impl std::fmt::Display for JoinToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ca = self.ca_sha256.as_deref().unwrap_or("plain");
        write!(f, "pyj1.{}.{}.{ca}", self.id, self.secret)
    }
}

/// How long an agent may be silent before it counts as lost, and how often it should speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub silent_for_max: Millis,
    pub heartbeat: Millis,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_join_token_reads_back_what_it_prints() {
        let token = JoinToken {
            id: "k3".into(),
            secret: "s3cr3t".into(),
            ca_sha256: Some("0f".repeat(32)),
        };
        assert_eq!(token.to_string().parse(), Ok(token));
        for bad in
            ["", "pyj1.a.b", "pyj1.a.b.c", "pyj2.a.b.plain", "pyj1..b.plain", "pyj1.a.b/c.plain"]
        {
            assert_eq!(bad.parse::<JoinToken>(), Err(BadJoinToken), "{bad}");
        }
    }
}
