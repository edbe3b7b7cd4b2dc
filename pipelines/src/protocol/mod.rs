//! What an agent and the controller say to each other, as JSON over HTTPS. The agent always dials.
//!
//! ```text
//! POST /agent/v1/join                         JoinRequest   → JoinReply      (join token)
//! POST /agent/v1/poll                         PollRequest   → PollReply      (held up to `wait`)
//! GET  /agent/v1/whoami                       → WhoamiReply
//! POST /agent/v1/leave                        LeaveRequest  → LeaveReply     (the credential ends)
//! POST /agent/v1/tasks/{id}/log?attempt&offset   raw bytes  → LogReply
//! POST /agent/v1/tasks/{id}/report            Report        → ReportReply
//! GET  /agent/v1/artifacts/{digest}           → the bytes    (only for a task the agent holds)
//! PUT  /agent/v1/tasks/{id}/artifacts/{digest}?attempt       raw bytes, verified while received
//! ```
//!
//! The link is level-triggered: a poll says which tasks the agent holds, the reply says which it
//! should hold and which to give up. A lost reply therefore costs a round trip and nothing else.
//! Every task carries the controller's `epoch` and its deployment's `generation`; an agent keeps the
//! highest of both on disk and refuses lower ones. Readers ignore fields they do not know.

pub mod answer;
pub mod join;
pub mod poll;
pub mod report;
pub mod route;
pub mod task;
pub mod whoami;

/// The version both sides speak. The controller refuses agents below [`VERSION_FLOOR`].
pub const VERSION: u32 = 1;
/// The oldest agent version this controller still understands.
pub const VERSION_FLOOR: u32 = 1;

/// Header in which the agent names itself; the credential is in `Authorization: Bearer`.
pub const AGENT_HEADER: &str = "pipeyard-agent";

/// `error.code` of the refusal (401) of a credential that is missing, unknown or revoked. A 401 without
/// it comes from something else on the way.
pub const UNKNOWN_AGENT: &str = "unknown-agent";

/// Largest piece of log one request may carry, in bytes.
pub const LOG_CHUNK_MAX: usize = 1 << 20;
