//! An agent asks who it is, and says that it goes away for good.

use crate::ids::AgentId;
use crate::protocol::join::Role;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What the controller knows of the agent that asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhoamiReply {
    pub agent: AgentId,
    pub name: String,
    pub role: Role,
    /// It takes no new work, because somebody said so.
    pub drained: bool,
    /// The controller's version.
    pub version: String,
    /// The version of this protocol that the controller speaks, and the oldest it understands.
    pub protocol: u32,
    pub protocol_floor: u32,
    /// The controller's clock when it answered.
    pub now: Timestamp,
}

/// The agent is about to be removed from its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaveRequest {
    /// Also while it has work; that work then counts as lost.
    pub force: bool,
}

/// The credential is worth nothing from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaveReply {
    pub name: String,
}
