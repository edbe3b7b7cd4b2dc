//! Noting an event in a run's state.

use super::event::{BuildOutcome, DeploymentEnd, Event};
use super::freeze::frozen;
use super::state::{Action, ActionState, Approval, Phase, State};
use crate::command::Command;
use crate::deploy::state::Overridden;
use crate::spec::pipeline::Pipeline;
use crate::time::Timestamp;

/// How often an attempt lost to infrastructure (a silent agent, a broken disk) is done again.
const LOST_MAX: u32 = 1;

pub(super) fn record(
    pipeline: &Pipeline,
    state: &mut State,
    event: &Event,
    now: Timestamp,
    commands: &mut Vec<Command>,
) {
    if state.phase.is_final() {
        return;
    }
    match event {
        Event::SourceReady { action, attempt, revision, artifact } => {
            let Some(action) = current(state, action, *attempt) else { return };
            action.revision = Some(revision.clone());
            let name = source_output(pipeline, &revision.repository, event);
            action.outputs.insert(name, artifact.clone());
            action.end(ActionState::Succeeded, now);
        }
        Event::SourceFailed { action, attempt, message } => {
            fail(current(state, action, *attempt), message, now);
        }
        Event::BuildFinished { action: name, attempt, outcome } => {
            let Some(action) = current(state, name, *attempt) else { return };
            let missing = missing_output(pipeline, name, outcome);
            build_finished(action, outcome, now);
            if let Some(output) = missing {
                let message = format!(
                    "the build ended without its output {output}: give the buildspec an artifacts \
                     section for it"
                );
                action.end(ActionState::Failed { message }, now);
            }
        }
        Event::BuildLost { action, attempt, message } => {
            let Some(action) = current(state, action, *attempt) else { return };
            lost(action, message, now);
        }
        Event::DeploymentCreated { action, attempt, deployment } => {
            let Some(action) = current(state, action, *attempt) else { return };
            action.deployment = Some(*deployment);
        }
        Event::DeploymentRefused { action, attempt, message } => {
            fail(current(state, action, *attempt), message, now);
        }
        Event::DeploymentFinished { action, attempt, end, message } => {
            let Some(action) = current(state, action, *attempt) else { return };
            let message = message.clone();
            let next = match end {
                DeploymentEnd::Succeeded => ActionState::Succeeded,
                DeploymentEnd::Failed => ActionState::Failed { message },
                DeploymentEnd::RolledBack => ActionState::RolledBack { message },
                DeploymentEnd::Cancelled => ActionState::Stopped,
            };
            action.end(next, now);
        }
        Event::Override { by, reason } => {
            overridden(pipeline, state, (by.as_str(), reason.as_str()), now);
        }
        Event::Decided { action, by, approved, comment } => {
            decided(
                state,
                action,
                Approval { by: by.clone(), approved: *approved, comment: comment.clone(), at: now },
            );
        }
        Event::Stop { by, reason, abandon } => stop(state, by, reason, *abandon, now, commands),
        Event::Tick => {}
    }
}

fn overridden(pipeline: &Pipeline, state: &mut State, (by, reason): (&str, &str), now: Timestamp) {
    if frozen(pipeline, state, now).is_some() {
        let (by, reason) = (by.to_owned(), reason.to_owned());
        state.overridden = Some(Overridden { by, reason, at: now });
    }
}

/// The action, if this is its current attempt and it is at work.
fn current<'a>(state: &'a mut State, name: &str, attempt: u32) -> Option<&'a mut Action> {
    let action = state.actions.get_mut(name)?;
    (action.attempt == attempt && action.state == ActionState::Working).then_some(action)
}

/// A source action's output is named in the pipeline; by default like the action.
fn source_output(pipeline: &Pipeline, repository: &str, event: &Event) -> String {
    let Event::SourceReady { action: name, .. } = event else { return repository.to_owned() };
    let mut actions = pipeline.stages.iter().flat_map(|stage| &stage.actions);
    let declared = actions.find(|action| &action.name == name);
    declared.and_then(|action| action.outputs.first()).unwrap_or(name).clone()
}

fn fail(action: Option<&mut Action>, message: &str, now: Timestamp) {
    if let Some(action) = action {
        action.end(ActionState::Failed { message: message.to_owned() }, now);
    }
}

fn build_finished(action: &mut Action, outcome: &BuildOutcome, now: Timestamp) {
    match outcome {
        BuildOutcome::Succeeded { artifacts, exported } => {
            let named = artifacts.iter().map(|a| (a.name.clone(), a.artifact.clone()));
            action.outputs = named.collect();
            action.exported = exported.clone();
            action.end(ActionState::Succeeded, now);
        }
        BuildOutcome::Failed(error) if error.code.is_infrastructure() => {
            lost(action, &error.message, now);
        }
        BuildOutcome::Failed(error) => {
            let place = match (&error.step, &error.command) {
                (Some(step), Some(command)) => format!("{step}: {command}: "),
                (Some(step), None) => format!("{step}: "),
                _ => String::new(),
            };
            let message = format!("{place}{}", error.message);
            action.end(ActionState::Failed { message }, now);
        }
        BuildOutcome::Cancelled => action.end(ActionState::Stopped, now),
    }
}

/// An output the pipeline promises to later actions and a successful build did not make.
fn missing_output(pipeline: &Pipeline, name: &str, outcome: &BuildOutcome) -> Option<String> {
    let BuildOutcome::Succeeded { artifacts, .. } = outcome else { return None };
    let mut actions = pipeline.stages.iter().flat_map(|stage| &stage.actions);
    let declared = actions.find(|action| action.name == name)?;
    let made = |output: &&String| artifacts.iter().any(|artifact| artifact.name == **output);
    declared.outputs.iter().find(|output| !made(output)).cloned()
}

/// Once is forgiven and done again as a new, recorded attempt; the second time it fails.
fn lost(action: &mut Action, message: &str, now: Timestamp) {
    if action.lost < LOST_MAX {
        action.lost += 1;
        action.state = ActionState::Pending;
    } else {
        let message = format!("{message} (and so did the attempt before)");
        action.end(ActionState::Failed { message }, now);
    }
}

/// The first answer counts; a later one changes nothing.
fn decided(state: &mut State, name: &str, approval: Approval) {
    let Some(action) = state.actions.get_mut(name) else { return };
    if !matches!(action.state, ActionState::Asking { .. }) {
        return;
    }
    let now = approval.at;
    let next = if approval.approved {
        ActionState::Succeeded
    } else {
        let reason =
            if approval.comment.is_empty() { "no reason given" } else { &approval.comment };
        ActionState::Failed { message: format!("rejected by {}: {reason}", approval.by) }
    };
    action.decision = Some(approval);
    action.end(next, now);
}

fn stop(
    state: &mut State,
    by: &str,
    reason: &str,
    abandon: bool,
    now: Timestamp,
    commands: &mut Vec<Command>,
) {
    if state.phase == Phase::Running {
        state.phase = Phase::Stopping;
        let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        state.cause = Some(format!("stopped by {by}{reason}"));
    }
    if !abandon {
        return;
    }
    for (name, action) in &mut state.actions {
        match (&action.state, action.deployment) {
            (ActionState::Working, Some(deployment)) => commands.push(Command::AbortDeployment {
                deployment,
                reason: format!("its run was stopped by {by}"),
            }),
            (ActionState::Working, None) => commands
                .push(Command::CancelBuild { action: name.clone(), attempt: action.attempt }),
            (ActionState::Asking { .. }, _) => action.end(ActionState::Stopped, now),
            _ => {}
        }
    }
}
