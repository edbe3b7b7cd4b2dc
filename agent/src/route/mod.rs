//! Traffic: driving the balancer on this agent's host.
//!
//! `order` checks what is wanted, `plan` turns it into steps or refuses it, `apply` does the steps
//! and reads back (`prove` the first of them), `kept` remembers them and `watch` tells them again to a
//! balancer that was reloaded. `cohort` sends some requests to servers of their own around that.
//! [`router::Router`] is what a driver must do; `haproxy` and `nginx` do it.

mod apply;
mod cohort;
mod fault;
mod haproxy;
mod kept;
mod nginx;
mod order;
mod plan;
mod prove;
mod read_back;
mod router;
mod watch;

pub use kept::Kept;
pub use order::Target;
pub use watch::watch;

use crate::context::{Settings, TaskContext};
use crate::link::failed;
use apply::Job;
use cohort::Cohort;
use fault::{Fault, Stop};
use haproxy::Haproxy;
use nginx::Nginx;
use order::Wish;
use pipelines::protocol::answer::{Answer, Counters, Routed};
use pipelines::protocol::report::{ErrorCode, Outcome, Step, StepStatus, TaskError};
use pipelines::protocol::route::{Observe, Route};
use pipelines::protocol::task::Task;
use read_back::in_words;
use router::Router;
use std::path::Path;

/// The one step that people see of such a task.
const STEP: &str = "Route";

/// Does what a task wants of the balancer. After a restart of the agent it is done again from the
/// beginning: every step is safe to repeat.
pub async fn run(task: &Task, route: &Route, ctx: &TaskContext) -> Outcome {
    let (target, wish) = match Target::of(&route.router).and_then(|t| Ok((t, Wish::of(route)?))) {
        Ok(checked) => checked,
        Err(fault) => return failed(fault.code, fault.message, false),
    };
    let turn = kept::turn(&ctx.dirs.state, &target);
    turn.hurry();
    let _held = tokio::select! {
        held = turn.busy.lock() => held,
        () = ctx.cancel.cancelled() => return ctx.stopped(Vec::new(), None, false),
    };
    let kept = match begin(task, route, &target, ctx).await {
        Ok(kept) => kept,
        Err(fault) => return failed(fault.code, fault.message, false),
    };
    match &target {
        Target::Haproxy { socket, backend } => {
            let mut cohort = match Cohort::open(route, ctx).await {
                Ok(cohort) => cohort,
                Err(fault) => return failed(fault.code, fault.message, false),
            };
            let mut haproxy = Haproxy::new(socket, backend);
            to_its_end(&mut haproxy, (&target, &wish, kept), cohort.as_mut(), ctx).await
        }
        Target::Nginx { file, upstream } => {
            let mut nginx = Nginx::new(&ctx.settings, &ctx.dirs.state, file, upstream);
            to_its_end(&mut nginx, (&target, &wish, kept), None, ctx).await
        }
    }
}

/// Reads the balancer's counters. `state` is the agent's state directory.
pub async fn observe(observe: &Observe, settings: &Settings, state: &Path) -> Outcome {
    match count(observe, settings, state).await {
        Ok(counters) => succeeded(Vec::new(), Answer::Counters(counters)),
        Err(fault) => failed(fault.code, fault.message, false),
    }
}

/// Reads what the balancer sends these servers now. `state` is the agent's state directory.
pub async fn survey(observe: &Observe, settings: &Settings, state: &Path) -> Outcome {
    let looked = async {
        match Target::of(&observe.router)? {
            Target::Haproxy { socket, backend } => Haproxy::new(&socket, &backend).look().await,
            Target::Nginx { file, upstream } => {
                let mut nginx = Nginx::new(settings, state, &file, &upstream);
                nginx.refuse_unloaded().await?;
                nginx.look().await
            }
        }
    };
    match looked.await {
        Ok(view) => {
            let servers = observe.servers.iter().map(|name| read_back::state(&view, name));
            succeeded(Vec::new(), Answer::Routed(Routed { servers: servers.collect() }))
        }
        Err(fault) => failed(fault.code, fault.message, false),
    }
}

async fn count(observe: &Observe, settings: &Settings, state: &Path) -> Result<Counters, Fault> {
    match Target::of(&observe.router)? {
        Target::Haproxy { socket, backend } => {
            Haproxy::new(&socket, &backend).count(&observe.servers).await
        }
        Target::Nginx { file, upstream } => {
            let mut nginx = Nginx::new(settings, state, &file, &upstream);
            nginx.refuse_unloaded().await?;
            nginx.count(&observe.servers).await
        }
    }
}

/// Remembers the generation before anything is done in its name.
async fn begin(
    task: &Task,
    route: &Route,
    target: &Target,
    ctx: &TaskContext,
) -> Result<Kept, Fault> {
    let (state, wanted) = (ctx.dirs.state.clone(), target.clone());
    let kept = tokio::task::spawn_blocking(move || Kept::load(&state, &wanted)).await;
    let mut kept = kept.map_err(std::io::Error::other).flatten().map_err(|e| Fault::disk(&e))?;
    if let Err(highest) = kept.hear(&route.group, task.generation) {
        let message = format!(
            "generation {} of group {} is over; {highest} has spoken to this balancer",
            task.generation, route.group
        );
        return Err(Fault { code: ErrorCode::Fenced, message });
    }
    kept.save(&ctx.dirs.state).await.map_err(|e| Fault::disk(&e))?;
    Ok(kept)
}

async fn to_its_end<R: Router>(
    router: &mut R,
    (target, wish, mut kept): (&Target, &Wish, Kept),
    cohort: Option<&mut Cohort>,
    ctx: &TaskContext,
) -> Outcome {
    let mut job = Job {
        router,
        target,
        wish,
        cancel: &ctx.cancel,
        log: Some(&ctx.log),
        state: &ctx.dirs.state,
        kept: &mut kept,
        touched: false,
        life: String::new(),
    };
    let ended = match cohort {
        Some(cohort) => cohort.around(&mut job).await,
        None => job.run().await,
    };
    let touched = job.touched;
    match ended {
        Ok(routed) => {
            let message = summary(&routed);
            ctx.log.say(&format!("[router] {message}")).await;
            let steps = vec![step(ctx, StepStatus::Succeeded, message)];
            succeeded(steps, Answer::Routed(routed))
        }
        Err(Stop::Fault(Fault { code, message })) => {
            ctx.log.say(&format!("[router] {message}")).await;
            let steps = vec![step(ctx, StepStatus::Failed, message.clone())];
            let step = Some(STEP.to_owned());
            let error = TaskError { code, message, step, command: None, touched };
            Outcome::Failed { steps, error, artifacts: Vec::new() }
        }
        // `Job::run` turns reloads into faults.
        Err(Stop::Told | Stop::Reloaded) => {
            let message = format!("stopped; now {}", job.words().await);
            ctx.log.say(&format!("[router] {message}")).await;
            let steps = vec![step(ctx, StepStatus::Failed, message)];
            ctx.stopped(steps, Some(STEP.to_owned()), touched)
        }
    }
}

fn summary(routed: &Routed) -> String {
    let words: Vec<String> = routed
        .servers
        .iter()
        .map(|server| match server.cut {
            0 => format!("{} is {}", server.name, in_words(server.traffic)),
            cut => format!("{} is {}, {cut} requests cut", server.name, in_words(server.traffic)),
        })
        .collect();
    words.join("; ")
}

fn step(ctx: &TaskContext, status: StepStatus, message: String) -> Step {
    Step {
        name: STEP.to_owned(),
        status,
        started: pipelines::time::Millis::ZERO,
        took: Some(ctx.since.elapsed()),
        log_offset: 0,
        commands: Vec::new(),
        message: Some(message),
    }
}

fn succeeded(steps: Vec<Step>, answer: Answer) -> Outcome {
    Outcome::Succeeded {
        steps,
        artifacts: Vec::new(),
        exported: std::collections::BTreeMap::new(),
        answer: Some(answer),
    }
}
