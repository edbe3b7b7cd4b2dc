//! `on-failure`: what a failed phase does to the build.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What a failed phase does to the build. As text: `ABORT`, `CONTINUE`, `RETRY`, `RETRY-2`,
/// `RETRY-timed? out`, `RETRY-2-timed? out`; the default is the empty text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum OnFailure {
    /// CodeBuild's own: `build` goes on to `post_build`, every other phase ends the build.
    #[default]
    Default,
    Abort,
    Continue,
    Retry {
        count: u32,
        pattern: Option<String>,
    },
}

impl OnFailure {
    /// What a bare `RETRY` means (CodeBuild user guide).
    pub const RETRIES: u32 = 3;
    pub const RETRIES_MAX: u32 = 100;
}

/// Not one of the forms of `on-failure`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write ABORT, CONTINUE, RETRY, RETRY-<count>, RETRY-<regex> or RETRY-<count>-<regex>")]
pub struct BadOnFailure;

impl FromStr for OnFailure {
    type Err = BadOnFailure;
    fn from_str(text: &str) -> Result<Self, BadOnFailure> {
        match text {
            "" => return Ok(OnFailure::Default),
            "ABORT" => return Ok(OnFailure::Abort),
            "CONTINUE" => return Ok(OnFailure::Continue),
            "RETRY" => return Ok(OnFailure::Retry { count: OnFailure::RETRIES, pattern: None }),
            _ => {}
        }
        let rest =
            text.strip_prefix("RETRY-").filter(|rest| !rest.is_empty()).ok_or(BadOnFailure)?;
        let (first, pattern) = rest.split_once('-').map_or((rest, None), |(a, b)| (a, Some(b)));
        if first.is_empty() || !first.bytes().all(|b| b.is_ascii_digit()) {
            return Ok(OnFailure::Retry {
                count: OnFailure::RETRIES,
                pattern: Some(rest.to_owned()),
            });
        }
        let count = first.parse().ok().filter(|count| *count <= OnFailure::RETRIES_MAX);
        let pattern = pattern.filter(|pattern| !pattern.is_empty()).map(str::to_owned);
        Ok(OnFailure::Retry { count: count.ok_or(BadOnFailure)?, pattern })
    }
}

impl fmt::Display for OnFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OnFailure::Default => Ok(()),
            OnFailure::Abort => f.write_str("ABORT"),
            OnFailure::Continue => f.write_str("CONTINUE"),
            OnFailure::Retry { count, pattern: None } => write!(f, "RETRY-{count}"),
            OnFailure::Retry { count, pattern: Some(pattern) } => {
                write!(f, "RETRY-{count}-{pattern}")
            }
        }
    }
}

impl TryFrom<String> for OnFailure {
    type Error = BadOnFailure;
    fn try_from(text: String) -> Result<Self, BadOnFailure> {
        text.parse()
    }
}

impl From<OnFailure> for String {
    fn from(value: OnFailure) -> String {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_failure_takes_a_count_a_pattern_or_both() {
        let retry = |count, pattern: Option<&str>| OnFailure::Retry {
            count,
            pattern: pattern.map(str::to_owned),
        };
        let cases = [
            ("RETRY", retry(3, None)),
            ("RETRY-0", retry(0, None)),
            ("RETRY-timed-out", retry(3, Some("timed-out"))),
            ("RETRY-2-timed-out", retry(2, Some("timed-out"))),
            ("ABORT", OnFailure::Abort),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse(), Ok(expected.clone()), "{text}");
            assert_eq!(expected.to_string().parse(), Ok(expected), "{text}");
        }
        for bad in ["ABORT | CONTINUE", "abort", "RETRY-", "RETRY-101", "retry"] {
            assert!(bad.parse::<OnFailure>().is_err(), "{bad}");
        }
    }
}
