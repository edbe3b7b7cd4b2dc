//! The held poll: compares what the agent holds with what it should hold, and waits when they agree.

use super::auth::Agent;
use super::clean::Clean;
use super::{cancelled_unseen, finish_without_agent};
use crate::error::Failure;
use crate::state::Controller;
use axum::Json;
use axum::extract::State;
use pipelines::protocol::VERSION_FLOOR;
use pipelines::protocol::join::Role;
use pipelines::protocol::poll::{PollReply, PollRequest};
use pipelines::protocol::task::{Task, TaskKey};
use std::collections::BTreeSet;
use std::pin::pin;
use std::time::Duration;
use store::agents::Known;
use store::{Connection as _, tasks};
use tokio::time::Instant;

/// A poll is never held longer, whatever the agent asks for.
const HOLD_MAX: Duration = Duration::from_secs(50);

pub(super) async fn poll(
    State(controller): State<Controller>,
    Agent(agent): Agent,
    Clean(request): Clean<PollRequest>,
) -> Result<Json<PollReply>, Failure> {
    if request.protocol < VERSION_FLOOR {
        return Err(Failure::TooOld);
    }
    note_condition(&controller, &agent, &request).await?;
    let number = controller.polls.begin(agent.id);
    let deadline = Instant::now() + request.wait.to_std().min(HOLD_MAX);
    let wake = controller.wakes.agent_wake(agent.id);
    let takes_builds = agent.role == Role::Build && request.free_slots > 0 && !agent.drained;
    loop {
        // Registered before looking, so that nothing between the look and the wait is missed.
        let mut builds = pin!(controller.wakes.builds_wake().notified());
        builds.as_mut().enable();
        if !controller.polls.is_newest(agent.id, number) {
            // What this one says of the agent is old; the wake-up it may have taken is not its own.
            wake.notify_one();
            return Ok(Json(nothing(&controller).await?));
        }
        let reply = look(&controller, &agent, &request, takes_builds).await?;
        let says_something =
            !(reply.tasks.is_empty() && reply.cancel.is_empty() && reply.forget.is_empty());
        if says_something || Instant::now() >= deadline {
            return Ok(Json(reply));
        }
        tokio::select! {
            () = wake.notified() => {}
            () = builds, if takes_builds => {}
            () = tokio::time::sleep_until(deadline) => {}
            () = controller.stop.cancelled() => return Ok(Json(reply)),
        }
        // It may have been revoked while this was held.
        if !store::agents::takes_part(&mut *controller.pool.acquire().await?, agent.id).await? {
            return Err(Failure::Unauthorized);
        }
    }
}

/// Remembers what the agent says of itself; the database hears of it only when it changed.
async fn note_condition(
    controller: &Controller,
    agent: &Known,
    request: &PollRequest,
) -> Result<(), Failure> {
    let condition = (request.version.clone(), request.unfit.clone(), request.installed.clone());
    if controller.conditions.is_known(agent.id, &condition) {
        return Ok(());
    }
    let fits = request.version.len() <= 64 && request.installed.len() <= 1000;
    if !fits || request.unfit.as_ref().is_some_and(|text| text.len() > 1000) {
        return Err(Failure::Invalid("the agent says too much of itself".to_owned()));
    }
    let mut conn = controller.pool.acquire().await?;
    let (version, unfit, installed) = &condition;
    store::agents::note_condition(&mut conn, agent.id, version, unfit.as_deref(), installed)
        .await?;
    controller.conditions.remember(agent.id, condition);
    Ok(())
}

async fn nothing(controller: &Controller) -> Result<PollReply, Failure> {
    let epoch = store::lease::epoch(&mut *controller.pool.acquire().await?).await?;
    let lease = controller.lease;
    Ok(PollReply { epoch, lease, tasks: Vec::new(), cancel: Vec::new(), forget: Vec::new() })
}

async fn look(
    controller: &Controller,
    agent: &Known,
    request: &PollRequest,
    takes_builds: bool,
) -> Result<PollReply, Failure> {
    let mut conn = controller.pool.acquire().await?;
    let holding: BTreeSet<TaskKey> = request.holding.iter().copied().collect();
    let mut held = tasks::held(&mut conn, agent.id).await?;
    // What a lost reply gave it takes a place as well.
    let on_its_way = held.iter().filter(|held| !holding.contains(&held.task.key)).count();
    let slots = i64::from(request.free_slots) - i64::try_from(on_its_way).unwrap_or(i64::MAX);
    if takes_builds && slots > 0 && tasks::claim_builds(&mut conn, agent.id, slots).await? > 0 {
        // Who waits for a build wants to know that an agent took it.
        controller.wakes.pages();
        held = tasks::held(&mut conn, agent.id).await?;
    }
    let now_epoch = store::lease::epoch(&mut conn).await?;
    let should: BTreeSet<TaskKey> = held.iter().map(|held| held.task.key).collect();
    let (mut start, mut cancel) = (Vec::new(), Vec::new());
    for held in held {
        match (holding.contains(&held.task.key), held.cancel) {
            (true, true) => cancel.push(held.task.key),
            (true, false) => {}
            // The row is what counts, whatever controller wrote it: it goes out under today's epoch.
            (false, false) => start.push(Task { epoch: now_epoch, ..held.task }),
            (false, true) => {
                // It never got there, or was forgotten there: nobody will report it but us.
                let mut tx = conn.begin().await?;
                let outcome = cancelled_unseen();
                finish_without_agent(&mut tx, held.task.key.task, &outcome).await?;
                tx.commit().await?;
                controller.wakes.engine();
            }
        }
    }
    let forget: Vec<TaskKey> = holding.difference(&should).copied().collect();
    // What is to be forgotten may still run there.
    cancel.extend(forget.iter().copied());
    Ok(PollReply { epoch: now_epoch, lease: controller.lease, tasks: start, cancel, forget })
}
