//! Newtypes for everything that has an identity. Numbers come from the database or from a counter in
//! a state; nothing here makes one up.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The text was not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not {kind}: write {example}")]
pub struct BadId {
    pub text: String,
    pub kind: &'static str,
    pub example: &'static str,
}

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        /// Reads the number with or without its prefix.
        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                let digits = text.strip_prefix($prefix).unwrap_or(text);
                match digits.parse::<i64>() {
                    Ok(number) if number > 0 && digits.bytes().all(|b| b.is_ascii_digit()) => Ok(Self(number)),
                    _ => Err(BadId { text: text.to_owned(), kind: $kind, example: concat!($prefix, "12 or 12") }),
                }
            }
        }
    };
}

numbered!(
    /// One execution of a pipeline.
    RunId, "r-", "a run"
);
numbered!(
    /// One rollout of a revision to a deployment group.
    DeploymentId, "d-", "a deployment"
);
numbered!(
    /// One piece of work handed to one agent.
    TaskId, "t-", "a task"
);
numbered!(
    /// An agent; an agent in the deploy role is a host.
    AgentId, "a-", "an agent"
);

/// SHA-256 of some content, as 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

impl Digest {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Digest {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        if hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            Ok(Self(hex.to_owned()))
        } else {
            Err(BadId {
                text: text.to_owned(),
                kind: "a digest",
                example: "64 hexadecimal digits (SHA-256)",
            })
        }
    }
}

impl TryFrom<String> for Digest {
    type Error = BadId;
    fn try_from(text: String) -> Result<Self, BadId> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.0
    }
}

/// Whether `text` may name a pipeline, group, stage, action, artifact, agent or repository:
/// 1 to 64 of letters, digits, `-`, `_` and `.`, starting with a letter or a digit.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (1..=64).contains(&text.len())
        && text.as_bytes()[0].is_ascii_alphanumeric()
        && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_what_they_print() {
        assert_eq!("r-12".parse(), Ok(RunId(12)));
        assert_eq!("12".parse(), Ok(RunId(12)));
        for bad in ["", "r-", "r-0", "-3", "+3", "d-3", "r-1x"] {
            assert!(bad.parse::<RunId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_digest_is_exactly_sixty_four_lower_case_hex_digits() {
        let good = "ab".repeat(32);
        assert_eq!(good.parse::<Digest>().unwrap().short(), "abababababab");
        for bad in ["", "AB", &"AB".repeat(32), &"ab".repeat(31), "../../etc/passwd"] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
        assert!(serde_json::from_str::<Digest>("\"nope\"").is_err());
    }

    #[test]
    fn a_name_cannot_be_an_option_or_a_path() {
        assert!(is_name("web-1.eu_west"));
        for bad in ["", "-x", ".hidden", "a/b", "a b", "a\n", "é", &"x".repeat(65)] {
            assert!(!is_name(bad), "{bad:?}");
        }
    }
}
