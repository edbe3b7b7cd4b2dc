//! The link to the controller, and the books: which tasks this agent holds, what became of them,
//! and how long ago the controller was heard.
//!
//! `poll` asks and obeys, `run` gives a task its turn, `ship` sends its log and its reports, `held`
//! keeps it on disk, `fence` refuses ghosts, `lease` measures silence. Nothing here knows how to
//! build or deploy.

mod fence;
mod held;
mod lease;
mod poll;
mod run;
mod ship;
#[cfg(test)]
pub(crate) mod test_tasks;
mod turns;

use crate::context::{Cache, Settings};
use crate::controller::Controller;
use crate::state::State;
use anyhow::{Context, Result};
use fence::Fence;
use held::Held;
use lease::Silence;
use pipelines::protocol::join::Role;
use pipelines::protocol::task::TaskKey;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use turns::Turns;

pub use poll::{End, FREE_MIN, serve};
pub use run::failed;

/// Between looks for containers nobody needs.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// How an operator set this agent up.
#[derive(Debug, Clone)]
pub struct Setup {
    pub role: Role,
    /// Builds at a time. A host is changed by one deployment at a time, whatever this says.
    pub slots: u32,
    pub settings: Settings,
    pub cache_bytes_max: u64,
    /// How long running work may go on after the agent was told to stop.
    pub stop_grace: Duration,
}

/// Everything the parts of the link share.
pub struct Link {
    state: State,
    controller: Controller,
    setup: Setup,
    settings: Arc<Settings>,
    cache: Arc<Cache>,
    /// Changes when the agent process starts again.
    boot: String,
    fence: Mutex<Fence>,
    held: Mutex<BTreeMap<TaskKey, Arc<Held>>>,
    silence: Silence,
    turns: Arc<Turns>,
    /// Bumped when a new poll would say something else than the one that is out.
    changed: watch::Sender<()>,
    draining: CancellationToken,
    running: TaskTracker,
    shipping: TaskTracker,
}

impl Link {
    /// Opens the books in the state directory.
    ///
    /// # Errors
    /// When the disk does not give what an earlier life wrote.
    pub fn open(state: State, controller: Controller, setup: Setup) -> Result<Arc<Link>> {
        let fence = Fence::open(state.root()).context("reading the highest epoch ever obeyed")?;
        let cache_bytes_max = match setup.role {
            Role::Build => setup.cache_bytes_max,
            // Releases are kept unpacked; their bundles would only be there twice.
            Role::Deploy => 0,
        };
        let cache = Cache::open(&state.cache(), cache_bytes_max).context("opening the cache")?;
        let held = held::restore(&state.tasks(), &state.done())
            .context("reading the tasks of an earlier life")?;
        let slots = match setup.role {
            Role::Build => setup.slots.max(1),
            Role::Deploy => 1,
        };
        Ok(Arc::new(Link {
            controller,
            settings: Arc::new(setup.settings.clone()),
            cache: Arc::new(cache),
            boot: hex::encode(rand::random::<[u8; 8]>()),
            fence: Mutex::new(fence),
            held: Mutex::new(held.into_iter().map(|h| (h.key(), h)).collect()),
            silence: Silence::default(),
            turns: Turns::new(slots as usize),
            changed: watch::Sender::new(()),
            draining: CancellationToken::new(),
            running: TaskTracker::new(),
            shipping: TaskTracker::new(),
            setup: Setup { slots, ..setup },
            state,
        }))
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<TaskKey, Arc<Held>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes containers an earlier life left behind and no task of this one claims. Not being able
    /// to is no reason not to work: the engine may come later.
    pub async fn sweep(&self) {
        let held = || {
            let mut keys = held::keys(&self.state.tasks())?;
            keys.extend(self.held().keys().copied());
            Ok(keys)
        };
        match crate::build::sweep(&self.settings, held).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "removed containers of an earlier life"),
            Err(e) => tracing::warn!("cannot look for containers of an earlier life: {e:#}"),
        }
    }

    /// Sweeps again and again: Docker may have been away when a container was to be removed.
    async fn sweep_for_ever(self: Arc<Self>) {
        loop {
            tokio::time::sleep(SWEEP_EVERY).await;
            self.sweep().await;
        }
    }

    /// Gives a task its two companions: one that does the work, one that tells the controller.
    fn start(self: &Arc<Self>, task: Arc<Held>) {
        if !task.is_finished() {
            let place = self.turns.stand(task.key());
            self.running.spawn(run::run(self.clone(), task.clone(), place));
        }
        self.shipping.spawn(ship::ship(self.clone(), task));
    }
}
