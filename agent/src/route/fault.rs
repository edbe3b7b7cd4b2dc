//! Why traffic was not sent as wanted.

use pipelines::protocol::report::ErrorCode;
use std::io;

/// What ended the work on a balancer before its end.
#[derive(Debug)]
pub enum Stop {
    Fault(Fault),
    /// The task was told to stop; the reason is in its context.
    Told,
    /// The balancer was started or reloaded meanwhile, and may have forgotten what it was told.
    Reloaded,
}

/// A failure: what is wrong, in the balancer's words where it has any, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub code: ErrorCode,
    pub message: String,
}

impl Fault {
    /// The balancer, its configuration or the order is at fault.
    pub fn router(message: impl Into<String>) -> Fault {
        Fault { code: ErrorCode::RouterFailed, message: message.into() }
    }

    /// This agent's disk is at fault.
    pub fn disk(error: &io::Error) -> Fault {
        let message = format!("keeping what the balancer was told: {error}");
        Fault { code: ErrorCode::AgentError, message }
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Stop {
        Stop::Fault(fault)
    }
}

/// `did you mean 'web-1'?`, or the list of what there is.
pub fn instead(name: &str, known: &[&str]) -> String {
    let near = |known: &&&str| strsim::osa_distance(name, known) <= (name.len() / 3).clamp(1, 4);
    let nearest =
        known.iter().filter(near).min_by_key(|known| strsim::osa_distance(name, known)).copied();
    match nearest {
        Some(nearest) => format!("did you mean '{nearest}'? There are: {}", list(known)),
        None if known.is_empty() => "there are none".to_owned(),
        None => format!("there are: {}", list(known)),
    }
}

/// Names for a sentence; of very many only the first.
fn list(known: &[&str]) -> String {
    const LISTED_MAX: usize = 20;
    let shown = known.iter().take(LISTED_MAX).copied().collect::<Vec<_>>().join(", ");
    match known.len().saturating_sub(LISTED_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered_and_a_far_one_is_not() {
        let known = ["web-1", "web-2", "cart"];
        assert_eq!(instead("wbe-2", &known), "did you mean 'web-2'? There are: web-1, web-2, cart");
        assert_eq!(instead("database", &known), "there are: web-1, web-2, cart");
        assert_eq!(instead("web-1", &[]), "there are none");
    }
}
