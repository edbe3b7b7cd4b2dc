//! Tells a balancer again what it was told, when it was started or reloaded since and forgot.
//!
//! nginx is left alone: its truth is its file, which a reload reads again.
//!
//! Nothing else is ever changed here: servers no task has named are the operator's, and so is everything
//! an operator does between two reloads.

use super::apply::Job;
use super::cohort;
use super::fault::{Fault, Stop};
use super::haproxy::Haproxy;
use super::kept::{self, Kept};
use super::order::{Target, Wanted, Wish};
use super::router::{Router, Seen, Share, View};
use crate::context::Cancel;
use pipelines::protocol::route::Traffic;
use std::collections::{BTreeMap, BTreeSet};
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
    let is_told = |kept: &Kept, view: &View| view.life == kept.life && !kept.is_owing();
    if is_told(kept, &router.look().await?) {
        return Ok(());
    }
    // What was read before may be older than a task that has ended since.
    let (here, wanted) = (state.to_owned(), target.clone());
    let loaded = tokio::task::spawn_blocking(move || Kept::load(&here, &wanted)).await;
    let mut kept = loaded.map_err(std::io::Error::other).flatten().map_err(|e| Fault::disk(&e))?;
    let view = router.look().await?;
    if is_told(&kept, &view) {
        return Ok(());
    }
    if view.life != kept.life {
        tracing::info!(balancer = %target.key(), "it was reloaded; telling it again what it was told");
        kept.begin(&view);
        kept.save(state).await.map_err(|e| Fault::disk(&e))?;
    }
    let cancel = Cancel::default();
    turn.watching(Some(cancel.clone()));
    let told = tell(router, state, &mut kept, &cancel).await;
    turn.watching(None);
    let view = router.look().await?;
    if view.life == kept.life {
        // An operator may change these from now on.
        let Kept { owed, servers, added, .. } = &mut kept;
        owed.retain(|name| {
            let can_be_added = added.contains_key(name);
            servers.get(name).is_some_and(|server| !is_so(name, server, can_be_added, &view))
        });
        cohort::settle(&mut kept, &view).await?;
        kept.save(state).await.map_err(|e| Fault::disk(&e))?;
    }
    match told {
        // When it was reloaded once more, the next look sees it. When a task came, it is waiting.
        Ok(()) | Err(Stop::Told | Stop::Reloaded) => Ok(()),
        Err(Stop::Fault(fault)) => Err(fault),
    }
}

/// Whether the balancer does with a server what it was told, as far as it can. One it does not know gets
/// nothing, and cannot get anything unless it may be added.
fn is_so(name: &str, server: &kept::Server, can_be_added: bool, view: &View) -> bool {
    match (view.server(name), server.traffic) {
        (Some(seen), traffic) => seen.share != Share::Drained && seen.traffic() == traffic,
        (None, Traffic::In { .. }) => server.address.is_none() || !can_be_added,
        (None, Traffic::Out | Traffic::Gone) => true,
    }
}

/// In this order: a server that is to be out has come back with traffic; weights are quick; a server
/// that has to be added again has to prove itself, and may not be able to.
const TURNS: [fn(&Traffic, Option<&Seen>) -> bool; 3] = [
    |traffic, _| !is_bringing(*traffic),
    |traffic, seen| is_bringing(*traffic) && is_in(seen),
    |traffic, seen| is_bringing(*traffic) && !is_in(seen),
];

fn is_in(seen: Option<&Seen>) -> bool {
    seen.is_some_and(|seen| matches!(seen.share, Share::In { .. }))
}

async fn tell<R: Router>(
    router: &mut R,
    state: &Path,
    kept: &mut Kept,
    cancel: &Cancel,
) -> Result<(), Stop> {
    let target = kept.target.clone();
    // What is done is noted as done meanwhile.
    let owed = kept.owed.clone();
    if !owed.is_empty() {
        // Whatever the map's file had for the new life: nobody there is known to be good yet.
        cohort::suspend(kept).await?;
    }
    for is_its_turn in TURNS {
        let wish = wish(kept, &owed, &router.look().await?, is_its_turn);
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
    }
    Ok(())
}

/// What was told, as far as it can be told again: a server that is not there any more is out by itself,
/// and comes in only when this agent had added it, with its address. One that was configured was removed
/// by people.
fn wish(
    kept: &Kept,
    owed: &BTreeSet<String>,
    view: &View,
    is_its_turn: fn(&Traffic, Option<&Seen>) -> bool,
) -> Wish {
    let mut servers = Vec::new();
    for (name, server) in kept.servers.iter().filter(|(name, _)| owed.contains(*name)) {
        let seen = view.server(name);
        let can_be_added = is_bringing(server.traffic)
            && server.address.is_some()
            && kept.added.contains_key(name);
        if is_its_turn(&server.traffic, seen) && (seen.is_some() || can_be_added) {
            // Where the balancer has it is the operator's to say.
            let address = server.address.filter(|_| seen.is_none());
            servers.push(Wanted { name: name.clone(), address, traffic: server.traffic });
        }
    }
    Wish {
        servers,
        linger: Duration::ZERO,
        finish: FINISH,
        ready: READY,
        strict: false,
        may_empty: false,
        partial: false,
    }
}

fn is_bringing(traffic: Traffic) -> bool {
    matches!(traffic, Traffic::In { .. })
}
