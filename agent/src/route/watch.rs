//! Tells a balancer again what it was told, when it was started or reloaded since and forgot.
//!
//! nginx is left alone: its truth is its file, which a reload reads again.
//!
//! Nothing else is ever changed here: servers no task has named are the operator's, and so is everything
//! an operator does between two reloads.

use super::apply::Job;
use super::fault::{Fault, Stop};
use super::haproxy::Haproxy;
use super::kept::{self, Kept};
use super::order::{Target, Wanted, Wish};
use super::router::{Router, View};
use crate::context::Cancel;
use pipelines::protocol::route::Traffic;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Between looks at balancers. One look costs a fraction of a millisecond.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long servers that have to be added again may take to be green, until the next attempt.
const READY: Duration = Duration::from_secs(10);
/// Open requests of servers that are to be out have this long: the new life has few of them.
const FINISH: Duration = Duration::from_secs(5);

/// Watches every balancer a task has named, for ever.
pub async fn watch(state: PathBuf) {
    // What was complained about last, per balancer: said once, not twice a second.
    let mut said: BTreeMap<String, String> = BTreeMap::new();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let here = state.clone();
        let all = tokio::task::spawn_blocking(move || Kept::all(&here)).await.unwrap_or_default();
        for kept in all.iter().filter(|kept| !kept.servers.is_empty()) {
            let key = kept.target.key();
            match look_after(&state, kept).await {
                Ok(()) => {
                    if said.remove(&key).is_some() {
                        tracing::info!(balancer = %key, "it is as it was told to be again");
                    }
                }
                Err(fault) if said.get(&key) == Some(&fault.message) => {}
                Err(fault) => {
                    tracing::warn!(balancer = %key, "{}", fault.message);
                    said.insert(key, fault.message);
                }
            }
        }
    }
}

async fn look_after(state: &Path, kept: &Kept) -> Result<(), Fault> {
    match &kept.target {
        Target::Haproxy { socket, backend } => {
            tell_again(&mut Haproxy::new(socket, backend), state, kept).await
        }
        Target::Nginx { .. } => Ok(()),
    }
}

async fn tell_again<R: Router>(router: &mut R, state: &Path, kept: &Kept) -> Result<(), Fault> {
    let target = &kept.target;
    let turn = kept::turn(state, target);
    // A task at work notices a reload by itself.
    let Ok(_held) = turn.busy.try_lock() else { return Ok(()) };
    if router.look().await?.life == kept.life {
        return Ok(());
    }
    let (here, wanted) = (state.to_owned(), target.clone());
    let loaded = tokio::task::spawn_blocking(move || Kept::load(&here, &wanted)).await;
    let mut kept = loaded.map_err(std::io::Error::other).flatten().map_err(|e| Fault::disk(&e))?;
    // What was read before may be older than a task that has ended since.
    if router.look().await?.life == kept.life {
        return Ok(());
    }
    tracing::info!(balancer = %target.key(), "it was reloaded; telling it again what it was told");
    let cancel = Cancel::default();
    turn.watching(Some(cancel.clone()));
    let told = tell(router, state, &mut kept, &cancel).await;
    turn.watching(None);
    match told {
        Ok(life) => {
            kept.life = life;
            kept.save(state).await.map_err(|e| Fault::disk(&e))
        }
        // A task came; what is missing is done after it.
        Err(Stop::Told) => Ok(()),
        Err(Stop::Fault(fault)) => Err(fault),
        Err(Stop::Reloaded) => Err(Fault::router("it was reloaded again and again")),
    }
}

/// First what protects: a server that is to be out has come back with traffic. Returns the life of the
/// balancer that was told everything.
async fn tell<R: Router>(
    router: &mut R,
    state: &Path,
    kept: &mut Kept,
    cancel: &Cancel,
) -> Result<String, Stop> {
    let target = kept.target.clone();
    let mut lives = Vec::new();
    for brings_in in [false, true] {
        let wish = wish(kept, &router.look().await?, brings_in);
        let mut job = Job {
            router: &mut *router,
            target: &target,
            wish: &wish,
            cancel,
            log: None,
            state,
            kept: &mut *kept,
            touched: false,
            life: String::new(),
        };
        job.run().await?;
        lives.push(job.life);
    }
    match lives.pop() {
        Some(life) if lives.iter().all(|earlier| *earlier == life) => Ok(life),
        _ => Err(Stop::Reloaded),
    }
}

/// What was told, as far as it can be told again: a server that is not there any more is out by itself,
/// and cannot come in without an address.
fn wish(kept: &Kept, view: &View, brings_in: bool) -> Wish {
    let servers = kept.servers.iter().filter_map(|(name, server)| {
        let is_known = view.server(name).is_some();
        let is_in = matches!(server.traffic, Traffic::In { .. });
        let can = is_known || (is_in && server.address.is_some());
        // Where the balancer has it is the operator's to say.
        let address = server.address.filter(|_| !is_known);
        let wanted = Wanted { name: name.clone(), address, traffic: server.traffic };
        (can && is_in == brings_in).then_some(wanted)
    });
    let servers = servers.collect();
    Wish { servers, linger: Duration::ZERO, finish: FINISH, ready: READY, strict: false }
}
