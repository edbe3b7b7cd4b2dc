//! Every effect of every decision, in one exhaustive match. Inside the deciding transaction: what can
//! be a row becomes a row; what must leave the database becomes an outbox entry.

use super::{Effects, Engine};
use anyhow::{Context as _, Result};
use pipelines::command::{Command, Serving};
use pipelines::deploy::{self, Plan};
use pipelines::ids::{AgentId, DeploymentId};
use pipelines::protocol::task::{
    Artifact, Build, Deploy, EnvVar, NamedArtifact, Part, Purpose, Revision, Work,
};
use pipelines::run;
use pipelines::run::event::DeploymentEnd;
use pipelines::spec::pipeline as spec;
use pipelines::time::Millis;
use std::collections::BTreeMap;
use store::tasks::New;
use store::{PgConnection, deployments, groups, inbox, outbox, runs, tasks};

/// A build that names no timeout gets CodeBuild's default.
const BUILD_TIMEOUT: Millis = Millis::from_minutes(60);

/// Whose commands these are.
pub(super) enum Subject<'a> {
    Run { row: &'a runs::Row, state: &'a run::State },
    Deployment { row: &'a deployments::Row, plan: &'a Plan, state: &'a deploy::State },
}

pub(super) async fn perform(
    engine: &Engine,
    conn: &mut PgConnection,
    subject: &Subject<'_>,
    command: &Command,
    effects: &mut Effects,
) -> Result<()> {
    match (command, subject) {
        (Command::WakeAt { .. }, _) => {} // saved with the state
        (Command::FetchSource { .. }, Subject::Run { row, .. }) => {
            outbox::put(conn, row.id(), command, engine.epoch).await?;
            effects.outbox = true;
        }
        (Command::StartBuild { action, attempt }, Subject::Run { row, state }) => {
            start_build(engine, conn, row, state, action, *attempt).await?;
            effects.builds = true;
        }
        (Command::CancelBuild { action, attempt }, Subject::Run { row, .. }) => {
            cancel_build(conn, row, action, *attempt, effects).await?;
        }
        (
            Command::StartDeployment { action, attempt, group, bundle },
            Subject::Run { row, state },
        ) => {
            start_deployment(conn, row, state, (action, *attempt), group, bundle).await?;
            effects.again = true;
        }
        (Command::AbortDeployment { deployment, reason }, _) => {
            let event = deploy::Event::Abort { by: "its run".to_owned(), reason: reason.clone() };
            inbox::post_deployment(conn, *deployment, &event).await?;
            effects.again = true;
        }
        (
            Command::StartHost { host, attempt, generation, purpose, parts },
            Subject::Deployment { row, plan, .. },
        ) => {
            let revision = plan.target(*host, *purpose).context("a host without a target")?;
            let work = Work::Deploy(host_work(plan, *host, revision, *purpose, parts));
            let new = New {
                work: &work,
                needs: vec![revision.bundle.digest.clone()],
                generation: *generation,
                epoch: engine.epoch,
                timeout: plan.host.timeout,
            };
            tasks::queue_host(conn, row.id(), *host, *attempt, &new).await?;
            effects.agents.insert(*host);
        }
        (Command::CancelHost { host, attempt }, Subject::Deployment { row, .. }) => {
            tasks::cancel_host(conn, row.id(), *host, *attempt).await?;
            effects.agents.insert(*host);
        }
        (Command::RecordHost { host, serving }, Subject::Deployment { row, .. }) => {
            record_host(conn, row, *host, serving).await?;
        }
        (Command::RecordGood { hosts }, Subject::Deployment { row, plan, .. }) => {
            groups::record_good(conn, row.group_id, hosts, &plan.revision).await?;
        }
        (Command::Finished, Subject::Deployment { row, plan, state }) => {
            finish_deployment(conn, row, plan, state).await?;
            effects.again = true;
        }
        (Command::Finished, Subject::Run { .. }) => {} // neighbours are told by the caller
        (command, _) => anyhow::bail!("a command from the wrong side: {command:?}"),
    }
    Ok(())
}

async fn start_build(
    engine: &Engine,
    conn: &mut PgConnection,
    row: &runs::Row,
    state: &run::State,
    name: &str,
    attempt: u32,
) -> Result<()> {
    let action = action_of(row, name)?;
    let spec::Work::Build(build) = &action.work else { anyhow::bail!("{name} is not a build") };
    let named = |input: &String| {
        let artifact = state.artifact(input).cloned();
        let artifact = artifact.with_context(|| format!("input {input} of {name} is missing"))?;
        anyhow::Ok(NamedArtifact { name: input.clone(), artifact })
    };
    let mut inputs = action.inputs.iter().map(named).collect::<Result<Vec<_>>>()?.into_iter();
    let source = inputs.next().with_context(|| format!("{name} has no input"))?;
    let buildspec = store::runs::spec_text(conn, row.id(), name).await?;
    let buildspec = buildspec.with_context(|| format!("the buildspec of {name} is missing"))?;
    let revision = source_revision(row, state, &source.name);
    let work = Work::Build(Build {
        run: row.id(),
        pipeline: row.pipeline.clone(),
        action: name.to_owned(),
        number: row.number,
        image: build.image.clone(),
        buildspec,
        source: source.artifact.clone(),
        secondary_sources: inputs.collect(),
        env: environment(row, build),
        outputs: action.outputs.clone(),
        initiator: row.trigger.0.by.clone(),
        source_version: revision.map(|r| r.commit.clone()).unwrap_or_default(),
        repository: revision.map(|r| r.repository.clone()).unwrap_or_default(),
        started_at: row.created_at,
    });
    let Work::Build(build) = &work else { return Ok(()) };
    let secondary = build.secondary_sources.iter().map(|named| named.artifact.digest.clone());
    let needs = std::iter::once(build.source.digest.clone()).chain(secondary).collect();
    let timeout = action.timeout.unwrap_or(BUILD_TIMEOUT);
    let new = New { work: &work, needs, generation: 0, epoch: engine.epoch, timeout };
    Ok(tasks::queue_build(conn, row.id(), name, attempt, &new).await?)
}

/// The pipeline's variables with their defaults, what this run was started with, and the action's own
/// variables: each wins over the ones before.
fn environment(row: &runs::Row, build: &spec::Build) -> Vec<EnvVar> {
    let declared = row.spec.0.variables.iter();
    let mut all: BTreeMap<String, String> = declared
        .filter_map(|(name, variable)| Some((name.clone(), variable.default.clone()?)))
        .collect();
    all.extend(row.trigger.0.variables.clone());
    all.extend(build.env.clone());
    all.into_iter().map(|(name, value)| EnvVar { name, value, secret: false }).collect()
}

fn action_of<'a>(row: &'a runs::Row, name: &str) -> Result<&'a spec::Action> {
    let mut actions = row.spec.0.stages.iter().flat_map(|stage| &stage.actions);
    actions.find(|action| action.name == name).with_context(|| format!("no action {name}"))
}

/// The revision behind an input: the source that made it, or the run's first one.
fn source_revision<'a>(
    row: &'a runs::Row,
    state: &'a run::State,
    input: &str,
) -> Option<&'a run::SourceRevision> {
    let made_it = state.actions.values().find(|action| action.outputs.contains_key(input));
    made_it.and_then(|action| action.revision.as_ref()).or_else(|| state.revision(&row.spec.0))
}

/// Nobody has it yet: it ends here. Otherwise its agent is told.
async fn cancel_build(
    conn: &mut PgConnection,
    row: &runs::Row,
    action: &str,
    attempt: u32,
    effects: &mut Effects,
) -> Result<()> {
    let Some((task, taken)) = tasks::cancel_build(conn, row.id(), action, attempt).await? else {
        return Ok(());
    };
    if taken {
        let holder = tasks::by_id(conn, task).await?.and_then(|task| task.agent_id);
        effects.agents.extend(holder.map(AgentId));
        return Ok(());
    }
    crate::agents::finish_without_agent(conn, task, &crate::agents::cancelled_unseen()).await
}

async fn start_deployment(
    conn: &mut PgConnection,
    row: &runs::Row,
    state: &run::State,
    (action, attempt): (&str, u32),
    group: &str,
    bundle: &Artifact,
) -> Result<()> {
    let run = row.id();
    let refuse = |message: String| run::Event::DeploymentRefused {
        action: action.to_owned(),
        attempt,
        message,
    };
    let Some(group) = groups::by_name(conn, group).await? else {
        let message = format!("there is no deployment group {group}; apply its file first");
        return Ok(inbox::post_run(conn, run, &refuse(message)).await?);
    };
    let source = state.revision(&row.spec.0);
    let revision = Revision {
        bundle: bundle.clone(),
        commit: source.map(|source| source.commit.clone()),
        label: source.map_or_else(
            || format!("{} #{}", row.pipeline, row.number),
            run::SourceRevision::label,
        ),
    };
    let order = deployments::Order {
        group: group.id,
        revision: &revision,
        purpose: Purpose::Forward,
        by: &row.trigger.0.by,
        run: Some((run, action, attempt)),
    };
    let deployment = deployments::create(conn, &order).await?;
    let created = run::Event::DeploymentCreated { action: action.to_owned(), attempt, deployment };
    Ok(inbox::post_run(conn, run, &created).await?)
}

fn host_work(
    plan: &Plan,
    host: AgentId,
    revision: &Revision,
    purpose: Purpose,
    parts: &[Part],
) -> Deploy {
    let prior = plan.host(host).and_then(|host| host.prior.as_ref());
    Deploy {
        deployment: plan.deployment,
        group: plan.group.clone(),
        application: plan.application.clone(),
        revision: revision.clone(),
        purpose,
        parts: parts.to_vec(),
        ignore_stop_failures: plan.host.ignore_stop_failures,
        file_exists_behavior: plan.host.file_exists_behavior,
        keep_releases: plan.host.keep_releases,
        keep_bytes: plan.host.keep_bytes,
        health: plan.host.health.clone(),
        hooks: plan.host.hooks.clone(),
        shared: plan.host.shared.clone(),
        pinned: prior.map(|prior| prior.bundle.digest.clone()).into_iter().collect(),
    }
}

async fn record_host(
    conn: &mut PgConnection,
    row: &deployments::Row,
    host: AgentId,
    serving: &Serving,
) -> Result<()> {
    Ok(groups::record_host(conn, row.group_id, host, row.id(), serving).await?)
}

/// Tells the run that waits for it, and whoever is next in the group.
async fn finish_deployment(
    conn: &mut PgConnection,
    row: &deployments::Row,
    plan: &Plan,
    state: &deploy::State,
) -> Result<()> {
    tasks::close_deployment(conn, row.id()).await?;
    if let (Some(run), Some(action), Some(attempt)) = (row.run_id, &row.action, row.attempt) {
        let event = run::Event::DeploymentFinished {
            action: action.clone(),
            attempt: attempt.unsigned_abs(),
            end: end_of(state.phase),
            message: end_message(row.id(), plan, state),
        };
        inbox::post_run(conn, pipelines::ids::RunId(run), &event).await?;
    }
    for (other, _) in deployments::unfinished(conn, row.group_id).await? {
        if other != row.id() {
            inbox::post_deployment(conn, other, &deploy::Event::Tick).await?;
        }
    }
    Ok(())
}

fn end_of(phase: deploy::Phase) -> DeploymentEnd {
    match phase {
        deploy::Phase::Succeeded => DeploymentEnd::Succeeded,
        deploy::Phase::RolledBack => DeploymentEnd::RolledBack,
        deploy::Phase::Cancelled | deploy::Phase::Superseded => DeploymentEnd::Cancelled,
        deploy::Phase::Failed
        | deploy::Phase::RollbackFailed
        | deploy::Phase::Queued
        | deploy::Phase::Running
        | deploy::Phase::Failing
        | deploy::Phase::RollingBack => DeploymentEnd::Failed,
    }
}

fn end_message(id: DeploymentId, plan: &Plan, state: &deploy::State) -> String {
    let cause = state.cause.as_ref().map_or_else(String::new, |cause| format!(": {cause}"));
    let what = match state.phase {
        deploy::Phase::RolledBack => "was rolled back",
        deploy::Phase::RollbackFailed => "failed and could not be rolled back everywhere",
        deploy::Phase::Cancelled => "was cancelled",
        deploy::Phase::Superseded => "was superseded",
        _ => "failed",
    };
    format!("{id} to {} {what}{cause}", plan.group)
}
