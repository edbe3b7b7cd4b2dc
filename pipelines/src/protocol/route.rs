//! What the agent beside a balancer is asked to do with it.
//!
//! The contract every driver keeps: apply what is wanted, read it back, say how many requests are
//! still open, count. A driver that cannot read back reports a failure, never a hope.

use crate::ids::DeploymentId;
use crate::spec::group::Router;
use crate::time::Millis;
use serde::{Deserialize, Serialize};

/// Make the balancer send traffic as said, and prove it.
///
/// The task's generation is the fence: the agent remembers the highest it saw per balancer and backend,
/// and refuses lower ones. What was applied last is applied again when the balancer was reloaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Route {
    pub deployment: DeploymentId,
    pub group: String,
    pub router: Router,
    /// Only these servers are changed. Weights are lowered before others are raised.
    pub servers: Vec<ServerOrder>,
    /// How long open requests of a server that goes out may last; what is open then is cut and counted.
    pub drain: Millis,
    /// How long the balancer's own check may take to find a server healthy. It gets no traffic sooner.
    pub ready: Millis,
    /// The group lets all of its hosts be out of service at once, so the last one may go as well.
    #[serde(default)]
    pub may_empty: bool,
    /// Go on without servers that do not prove themselves, as long as one does: they stay out, the rest
    /// is done, and the answer says what each gets. Otherwise one of them is enough for nothing to change.
    #[serde(default)]
    pub partial: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerOrder {
    /// As the balancer knows it; the host's name unless the group says otherwise.
    pub name: String,
    /// `10.0.0.7:8080`, for a server the balancer may not know yet. Never a name: a balancer takes one
    /// that does not resolve without a word.
    pub address: Option<String>,
    pub traffic: Traffic,
    /// Whether requests of the group's cohorts (by header or cookie) go to this server as well, while it
    /// is in. They go to nobody else then.
    #[serde(default)]
    pub cohort: bool,
}

/// What a server gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Traffic {
    /// Its share is its weight among all servers of the backend; 1 to 256.
    In { weight: u16 },
    /// None: drained, then taken out so that sticky sessions move as well.
    Out,
    /// Out, and forgotten by the balancer; for hosts that go away.
    Gone,
}

/// Read what the balancer says of these servers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observe {
    pub router: Router,
    pub servers: Vec<String>,
}
