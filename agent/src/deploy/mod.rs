//! Deployments: bringing this host to a revision by its appspec, the way CodeDeploy does, with its
//! faults mended: everything that can be found wrong is found before the running application is
//! touched, an installation is all or nothing, and a script is never run twice.
//!
//! `steps` makes a task's parts a sequence, `engine` carries it out, `events` run scripts in their
//! `environment`, and `ending` is what comes of it; `recorder` keeps it in the journal. `release` has the bundle unpacked, `inventory`
//! tells whether it still is what it was. `preflight` looks: `plan` at the bundle, `survey` at the
//! host; `preview` shows what they saw. `install` and `undo` act, by `spot`; `script` runs what the appspec
//! names, `health` asks the application. `group` is what this host knows of a deployment group, and
//! `inspect` compares it with what is there.

mod ending;
mod engine;
mod environment;
mod events;
mod fault;
mod group;
mod handle;
mod health;
mod inspect;
mod install;
mod inventory;
pub mod local;
mod marks;
mod output;
mod permissions;
mod place;
mod plan;
mod preflight;
mod preview;
mod privileges;
mod processes;
mod recorder;
mod release;
mod script;
mod shared;
mod sources;
mod spot;
mod steps;
mod survey;
mod undo;

pub use group::installed;
pub use inspect::run as inspect;
pub use preview::run as preview;

use crate::context::TaskContext;
use crate::link::failed;
use engine::Job;
use group::Home;
use pipelines::protocol::report::{ErrorCode, Outcome};
use pipelines::protocol::task::{Deploy, Task};

/// Runs one deployment task to its end. `resume`: the agent was started again while it ran; the
/// task's journal says how far it was.
pub async fn run(_task: &Task, deploy: &Deploy, ctx: &TaskContext, resume: bool) -> Outcome {
    let home = match Home::open(&ctx.dirs.state, &deploy.group) {
        Ok(home) => home,
        // An earlier life of the agent may have come as far as the installation.
        Err(e) => return failed(ErrorCode::AgentError, format!("preparing: {e}"), resume),
    };
    if resume {
        ctx.log.say("[agent] the agent was started again; the deployment goes on").await;
    }
    let steps = steps::of(deploy);
    Job { deploy, ctx, home, steps, appspec_name: None }.run().await
}
