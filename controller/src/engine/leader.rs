//! Taking and keeping the lease, and running the engine while it lasts.

use super::grace::Grace;
use super::{Engine, Joining, dispatch, liveness, run};
use crate::destination::Policy;
use crate::monitors;
use crate::sources::Sources;
use pipelines::protocol::join::Lease;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::PgPool;
use store::wake::Wakes;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long a controller may be away before another takes over.
const LEASE: Duration = Duration::from_secs(6);
/// Renewed this often; a holder that could not renew stops deciding at two thirds of the lease.
const RENEW: Duration = Duration::from_secs(2);

/// How often a controller that does not lead asks whether it may.
const ASK: Duration = Duration::from_millis(250);

/// How long a part of the engine gets to end after its term.
const PATIENCE: Duration = Duration::from_secs(10);

/// This controller process.
#[derive(Clone)]
pub struct Identity {
    pub holder: Uuid,
    pub pool: PgPool,
    pub wakes: Wakes,
    pub lease: Lease,
    pub sources: Sources,
    /// Where its monitors may ask.
    pub monitors: Policy,
    pub joining: Joining,
}

/// Waits for the lease, leads while it lasts, and begins again; until `stop`.
pub async fn lead(me: Identity, stop: CancellationToken) {
    // Our earlier life, if any, is over: nobody need wait for its lease.
    let mut first = true;
    while !stop.is_cancelled() {
        let asked = Instant::now();
        let answer = match first {
            true => store::lease::reclaim(&me.pool, me.holder, LEASE).await,
            false => store::lease::take(&me.pool, me.holder, LEASE).await,
        };
        first &= answer.is_err();
        match answer {
            Ok(Some(epoch)) => term(&me, epoch, asked, &stop).await,
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "cannot ask for the lease"),
        }
        tokio::select! {
            () = tokio::time::sleep(ASK) => {}
            () = stop.cancelled() => {}
        }
    }
    if let Err(error) = store::lease::give_up(&me.pool, me.holder).await {
        tracing::warn!(%error, "cannot give the lease up; the next controller waits for it to lapse");
    }
}

/// One term of leadership, from taking the lease to losing it.
async fn term(me: &Identity, epoch: u64, since: Instant, stop: &CancellationToken) {
    tracing::info!(epoch, "this controller leads");
    let over = stop.child_token();
    let engine = Arc::new(Engine {
        pool: me.pool.clone(),
        wakes: me.wakes.clone(),
        epoch,
        lease: me.lease,
        grace: Grace::new(me.lease.silent_for_max, since),
        joining: me.joining.clone(),
    });
    let outbox = Arc::new(tokio::sync::Notify::new());
    let parts = [
        tokio::spawn(run(engine.clone(), outbox.clone(), over.clone())),
        tokio::spawn(dispatch::run(engine.clone(), me.sources.clone(), outbox, over.clone())),
        tokio::spawn(liveness::run(engine.clone(), over.clone())),
        tokio::spawn(monitors::run(engine, me.monitors, over.clone())),
    ];
    let [mut engine, mut effects, mut looks, mut watching] = parts;
    // A lease without an engine would keep everybody else from deciding.
    tokio::select! {
        () = keep(me, epoch, since, &over) => {}
        ended = &mut engine => note(ended),
        ended = &mut effects => note(ended),
        ended = &mut looks => note(ended),
        ended = &mut watching => note(ended),
    }
    over.cancel();
    for part in [engine, effects, looks, watching] {
        let abort = part.abort_handle();
        if !part.is_finished() && tokio::time::timeout(PATIENCE, part).await.is_err() {
            abort.abort();
        }
    }
}

fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a part of the engine ended badly");
    }
}

/// Renews until it fails for too long, by this process's own monotonic clock.
async fn keep(me: &Identity, epoch: u64, since: Instant, over: &CancellationToken) {
    let mut renewed = since;
    loop {
        tokio::select! {
            () = tokio::time::sleep(RENEW) => {}
            () = over.cancelled() => return,
        }
        let asked = Instant::now();
        let answer = tokio::time::timeout(RENEW, store::lease::take(&me.pool, me.holder, LEASE));
        match answer.await {
            Ok(Ok(Some(now))) if now == epoch => renewed = asked,
            Ok(Ok(_)) => {
                tracing::warn!(epoch, "the lease has passed to another epoch");
                return;
            }
            Ok(Err(error)) => tracing::warn!(%error, "cannot renew the lease"),
            Err(_) => tracing::warn!("renewing the lease takes too long"),
        }
        if renewed.elapsed() > LEASE * 2 / 3 {
            tracing::warn!(
                epoch,
                "the lease could not be renewed in time; this controller steps back"
            );
            return;
        }
    }
}
