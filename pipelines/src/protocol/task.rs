//! A task: everything an agent needs to do one piece of work, and the limits it must keep.

use crate::ids::{DeploymentId, Digest, RunId, TaskId};
use crate::protocol::route::{Observe, Route};
use crate::spec::appspec::FileExists;
use crate::spec::group::{Docker, Health, HooksPolicy};
use crate::time::Millis;
use serde::{Deserialize, Serialize};

/// A task's identity for fencing: a late word about an earlier attempt changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskKey {
    pub task: TaskId,
    pub attempt: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    pub key: TaskKey,
    pub epoch: u64,
    /// Deploy tasks: the deployment's generation, rising within the group. Zero for builds.
    pub generation: u64,
    /// Measured by the agent from the moment it starts; it ends the task as `TimedOut` after that.
    pub timeout: Millis,
    pub work: Work,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    Build(Build),
    Deploy(Deploy),
    /// What the same deployment would change; nothing is touched.
    Preview(Deploy),
    /// What became of the installed files since.
    Inspect(Inspect),
    /// For the agent beside a balancer.
    Route(Route),
    /// The balancer's counters, for monitors.
    Observe(Observe),
    /// What the balancer sends these servers now; one it does not know is `Gone`.
    Survey(Observe),
    /// For the agent beside a Docker engine: make a host.
    Launch(Launch),
    /// Take one away that was made before. One that is not there was taken away already.
    Dismiss(Dismiss),
    /// A command that measures something, for monitors.
    Measure(Measure),
}

/// A container as a host, with an agent in it that joins by itself. Made twice it is one.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Launch {
    /// Which controller's it is, by the UUID of its database: several may use one Docker engine.
    #[serde(default)]
    pub installation: String,
    pub deployment: DeploymentId,
    pub group: String,
    /// The host's name, and the container's.
    pub name: String,
    pub settings: Docker,
    /// Where the agent inside finds the controller, and the token it joins with: good for this host
    /// alone, once.
    pub url: String,
    pub token: String,
}

impl std::fmt::Debug for Launch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Launch({} from {})", self.name, self.settings.image)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dismiss {
    /// Which controller's it is, by the UUID of its database: several may use one Docker engine.
    #[serde(default)]
    pub installation: String,
    pub deployment: DeploymentId,
    pub group: String,
    pub name: String,
}

/// Run by a shell on the agent's host, as the agent's own user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measure {
    pub run: String,
    pub timeout: Millis,
}

/// Compare what is installed with what was installed: drift.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspect {
    pub group: String,
}

/// Content in the controller's store, a `.tar.zst` archive unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    pub digest: Digest,
    /// Size in bytes as stored.
    pub size: u64,
}

/// One build in one fresh container, by the rules of the CodeBuild user guide.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Build {
    pub run: RunId,
    pub pipeline: String,
    pub action: String,
    /// Counts up per pipeline and action: `CODEBUILD_BUILD_NUMBER`.
    pub number: i64,
    pub image: String,
    /// The buildspec's text, already parsed without errors by the controller.
    pub buildspec: String,
    /// Unpacked to `CODEBUILD_SRC_DIR`.
    pub source: Artifact,
    /// Unpacked to `CODEBUILD_SRC_DIR_<name>`.
    pub secondary_sources: Vec<NamedArtifact>,
    /// Wins over the buildspec's `env.variables`.
    pub env: Vec<EnvVar>,
    /// Names the outputs: the first is the primary artifact, the others are secondary ones by id.
    pub outputs: Vec<String>,
    pub initiator: String,
    pub source_version: String,
    pub repository: String,
    /// When the run started, milliseconds since the epoch: `CODEBUILD_START_TIME`.
    pub started_at: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedArtifact {
    pub name: String,
    pub artifact: Artifact,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvVar {
    pub name: String,
    pub value: String,
    /// The value is masked in logs and never printed.
    pub secret: bool,
}

impl std::fmt::Debug for EnvVar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = if self.secret { "***" } else { &self.value };
        write!(f, "{}={value}", self.name)
    }
}

/// Why a host is being changed. Hooks see it; the work is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    Forward,
    Rollback,
}

/// A stretch of a deployment on one host, between two moments at which somebody else has to act: the
/// balancer, the controller, a person. A task carries the parts it does, in this order. Event names and
/// their order are CodeDeploy's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Fetch, verify, unpack, and plan all of it. Touches nothing that runs.
    Fetch,
    /// `BeforeBlockTraffic`, while the host still has traffic.
    BeforeBlock,
    /// `AfterBlockTraffic`.
    AfterBlock,
    /// `ApplicationStop` to `ValidateService`, and the health check.
    Install,
    /// `BeforeAllowTraffic`, on a host that proved itself.
    BeforeAllow,
    /// `AfterAllowTraffic`.
    AfterAllow,
}

impl Part {
    /// A whole deployment where nothing sends traffic: CodeDeploy runs no traffic events then.
    pub const WITHOUT_ROUTER: [Part; 2] = [Part::Fetch, Part::Install];
}

fn without_router() -> Vec<Part> {
    Part::WITHOUT_ROUTER.to_vec()
}

/// Bring this host to `revision`, by its appspec.
///
/// Everything that can be found wrong is found before the running application is touched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deploy {
    pub deployment: DeploymentId,
    pub group: String,
    pub application: String,
    pub revision: Revision,
    pub purpose: Purpose,
    #[serde(default = "without_router")]
    pub parts: Vec<Part>,
    /// A failing `ApplicationStop` (or Before/AfterBlockTraffic) of the old revision only warns.
    pub ignore_stop_failures: bool,
    /// The group's choice, used where the appspec has none. Default: DISALLOW.
    pub file_exists_behavior: Option<FileExists>,
    /// Releases to keep per group besides the current one.
    pub keep_releases: u32,
    /// Bytes the kept releases may take together; the oldest go first. None: no limit.
    #[serde(default)]
    pub keep_bytes: Option<u64>,
    pub health: Option<Health>,
    /// Limits and environment of every hook.
    #[serde(default)]
    pub hooks: HooksPolicy,
    /// Absolute paths that outlive every revision: no deployment removes or replaces what is below.
    #[serde(default)]
    pub shared: Vec<String>,
    /// Those of them that are directories: made before the first installation where they are absent.
    #[serde(default)]
    pub shared_directories: Vec<String>,
    /// Digests that must not be pruned whatever `keep_releases` says (rollback targets).
    pub pinned: Vec<Digest>,
}

/// What is deployed: content by digest, and where it came from, for people and hooks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    pub bundle: Artifact,
    /// Commit the bundle was built from, when known: `BUNDLE_COMMIT`.
    pub commit: Option<String>,
    /// Short words for people: `4f2c91e Fix the footer`.
    pub label: String,
}
