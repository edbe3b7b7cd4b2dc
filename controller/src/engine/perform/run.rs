//! What runs want done: builds, and deployments that begin.

use super::super::{Effects, Engine};
use anyhow::{Context as _, Result};
use pipelines::ids::AgentId;
use pipelines::protocol::task::{Artifact, Build, EnvVar, NamedArtifact, Purpose, Work};
use pipelines::run;
use pipelines::spec::pipeline as spec;
use pipelines::time::Millis;
use std::collections::BTreeMap;
use store::deployments::Rejected;
use store::tasks::New;
use store::{PgConnection, deployments, groups, inbox, runs, tasks};

/// A build that names no timeout gets CodeBuild's default.
const BUILD_TIMEOUT: Millis = Millis::from_minutes(60);

pub(super) async fn start_build(
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
pub(super) async fn cancel_build(
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

pub(super) async fn start_deployment(
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
    let revision = state.deployable(&row.spec.0, row.number, bundle);
    let order = deployments::Order {
        group: group.id,
        revision: &revision,
        purpose: Purpose::Forward,
        by: &row.trigger.0.by,
        run: Some((run, action, attempt)),
    };
    let event = match deployments::create(conn, &order).await? {
        Ok(deployment) => {
            run::Event::DeploymentCreated { action: action.to_owned(), attempt, deployment }
        }
        Err(Rejected { by }) => refuse(format!(
            "{by} is unfinished in {}, and the group rejects newer deployments meanwhile (newer: \
             reject); start the run again when it is over",
            group.name
        )),
    };
    Ok(inbox::post_run(conn, run, &event).await?)
}
