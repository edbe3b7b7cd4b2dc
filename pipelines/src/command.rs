//! Everything a decision may want done: one list for runs and deployments, so that one exhaustive
//! match in the controller (`engine::perform`) shows every effect the product has.
//!
//! A command is safe to perform twice: each names what it acts on together with its attempt.

use crate::deploy::Lane;
use crate::ids::{AgentId, DeploymentId};
use crate::protocol::route::Traffic;
use crate::protocol::task::{Artifact, Part, Purpose, Revision};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Fetch a source action's revision into the store. The only command that leaves the database
    /// before an agent asks.
    FetchSource {
        action: String,
        attempt: u32,
    },
    /// Queue a build for any build agent.
    StartBuild {
        action: String,
        attempt: u32,
    },
    CancelBuild {
        action: String,
        attempt: u32,
    },
    /// Create a deployment of `bundle` to `group` for this run's action.
    StartDeployment {
        action: String,
        attempt: u32,
        group: String,
        bundle: Artifact,
    },
    AbortDeployment {
        deployment: DeploymentId,
        reason: String,
    },

    /// Hand a host its work: these parts of the way to its target (`Plan::target`).
    StartHost {
        host: AgentId,
        attempt: u32,
        generation: u64,
        purpose: Purpose,
        parts: Vec<Part>,
    },
    CancelHost {
        host: AgentId,
        attempt: u32,
    },
    /// Have the balancer changed, all of it in one task of the agent beside it.
    Route {
        attempt: u32,
        generation: u64,
        orders: Vec<(AgentId, Traffic)>,
        /// Those of them that get the requests of the group's cohorts as well; all others get none.
        #[serde(default)]
        cohort: Vec<AgentId>,
        /// Hosts that the balancer finds bad keep nobody else out.
        partial: bool,
    },
    CancelRoute {
        attempt: u32,
    },
    /// Have an instance made whose agent joins as this host.
    Launch {
        host: AgentId,
        attempt: u32,
    },
    /// Have an instance taken away.
    Dismiss {
        host: AgentId,
        attempt: u32,
    },
    /// Note what a host serves now.
    RecordHost {
        host: AgentId,
        serving: Serving,
    },
    /// Note what traffic it was proved to get. `weight`: what it has when it serves like any other, which
    /// is another one while shares are in force, and would be forgotten while it is out.
    RecordTraffic {
        host: AgentId,
        lane: Lane,
        weight: u16,
    },
    /// The revision becomes these hosts' last good one and the group's base.
    RecordGood {
        hosts: Vec<AgentId>,
    },

    /// Look again at this time at the latest.
    WakeAt {
        at: Timestamp,
    },
    /// It is over: free what it held, tell whoever waits for it.
    Finished,
}

/// What is known of a host's application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Serving {
    /// It passed every hook and check of this revision.
    Revision(Revision),
    /// Its agent is silent; anything may run there.
    Unknown,
    /// The last work failed after the application was touched.
    Broken,
}

/// What one look at an aggregate produced.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision<State> {
    pub state: State,
    pub commands: Vec<Command>,
    /// Never empty for something unfinished: what for, on whom, since when, until when.
    pub waiting: Vec<Waiting>,
}

/// Why something unfinished does not move right now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// A sentence without a full stop: `host-2 is running its update, step ValidateService`.
    pub what: String,
    /// Whom it waits for: a host, an agent, a person, a run.
    pub whom: String,
    pub since: Timestamp,
    pub until: Option<Timestamp>,
    /// True when a person has to act.
    pub person: bool,
}
