//! Moving a run as far as the facts allow: enter a stage, start what may start, leave it, end.

use super::event::Facts;
use super::freeze::frozen;
use super::state::{Action as ActionRecord, ActionState, Phase, State};
use crate::command::{Command, Waiting};
use crate::deploy::Closed;
use crate::deploy::people::THE_CALENDAR;
use crate::spec::pipeline::{Action, Mode, Pipeline, Stage, Work};
use crate::time::Timestamp;

pub fn advance(
    pipeline: &Pipeline,
    state: &mut State,
    facts: &Facts,
    now: Timestamp,
    commands: &mut Vec<Command>,
) -> Vec<Waiting> {
    let was_final = state.phase.is_final();
    while state.phase == Phase::Running {
        if state.stage >= pipeline.stages.len() {
            finish(state, Phase::Succeeded, now);
            break;
        }
        if !state.entered && !enter(pipeline, state, facts, now) {
            break;
        }
        let stage = &pipeline.stages[state.stage];
        expire(stage, state, now);
        if let Some(cause) = failure(stage, state) {
            state.cause.get_or_insert(cause);
            state.phase = Phase::Stopping;
            break;
        }
        let ended = start_actions(stage, state, now, commands);
        let done = stage.actions.iter().all(|a| record(state, a).state == ActionState::Succeeded);
        if !done && !ended {
            break;
        }
        if done {
            state.stage += 1;
            state.entered = false;
            state.waiting_since = now;
        }
    }
    if state.phase == Phase::Stopping {
        wind_down(pipeline, state, now);
    }
    if state.phase.is_final() && !was_final {
        commands.push(Command::Finished);
    }
    waiting(pipeline, state, facts, now, commands)
}

/// Enters the stage if no other run is in it. A run that waits while a newer one waits for the same
/// stage is superseded, as in CodePipeline.
fn enter(pipeline: &Pipeline, state: &mut State, facts: &Facts, now: Timestamp) -> bool {
    match pipeline.mode {
        Mode::Parallel => {}
        Mode::Queued if facts.behind.is_some() => return false,
        Mode::Queued => {}
        Mode::Superseded => {
            if let Some(newer) = facts.newer_waiting {
                state.cause = Some(format!("superseded by {newer}"));
                finish(state, Phase::Superseded, now);
                return false;
            }
            if facts.stage_held_by.is_some() {
                return false;
            }
        }
    }
    if frozen(pipeline, state, now).is_some() {
        return false;
    }
    state.entered = true;
    true
}

fn record<'a>(state: &'a State, action: &Action) -> &'a ActionRecord {
    // Every action of the pipeline has a record from the start (`State::new`).
    &state.actions[&action.name]
}

/// Approvals whose time is up count as rejected.
fn expire(stage: &Stage, state: &mut State, now: Timestamp) {
    for action in &stage.actions {
        let Some(record) = state.actions.get_mut(&action.name) else { continue };
        if let ActionState::Asking { until: Some(until) } = record.state
            && now >= until
        {
            let message = "nobody decided in time".to_owned();
            record.end(ActionState::Failed { message }, now);
        }
    }
}

fn failure(stage: &Stage, state: &State) -> Option<String> {
    stage.actions.iter().find_map(|action| {
        let state = &record(state, action).state;
        match state {
            ActionState::Failed { message } | ActionState::RolledBack { message } => {
                Some(format!("{}: {message}", action.name))
            }
            ActionState::Stopped => Some(format!("{} was stopped", action.name)),
            _ => None,
        }
    })
}

/// Starts every action whose needs are met; true when at least one ended at once.
fn start_actions(
    stage: &Stage,
    state: &mut State,
    now: Timestamp,
    commands: &mut Vec<Command>,
) -> bool {
    let mut ended = false;
    for action in &stage.actions {
        let ready = record(state, action).state == ActionState::Pending
            && needs(stage, action)
                .all(|needed| record(state, needed).state == ActionState::Succeeded);
        if ready {
            start(action, state, now, commands);
            ended |= record(state, action).state.is_final();
        }
    }
    ended
}

/// The actions of the same stage that must be done first: named ones and producers of inputs.
fn needs<'a>(stage: &'a Stage, action: &'a Action) -> impl Iterator<Item = &'a Action> {
    stage.actions.iter().filter(move |other| {
        other.name != action.name
            && (action.needs.contains(&other.name)
                || other.outputs.iter().any(|output| wants(action, output)))
    })
}

fn wants(action: &Action, artifact: &str) -> bool {
    match &action.work {
        Work::Deploy(deploy) => deploy.artifact == artifact,
        _ => action.inputs.iter().any(|input| input == artifact),
    }
}

fn start(action: &Action, state: &mut State, now: Timestamp, commands: &mut Vec<Command>) {
    let artifact = match &action.work {
        Work::Deploy(deploy) => state.artifact(&deploy.artifact).cloned(),
        _ => None,
    };
    let Some(record) = state.actions.get_mut(&action.name) else { return };
    record.attempt += 1;
    record.started_at.get_or_insert(now);
    record.state = ActionState::Working;
    let (name, attempt) = (action.name.clone(), record.attempt);
    match &action.work {
        Work::Source(_) => commands.push(Command::FetchSource { action: name, attempt }),
        Work::Build(_) => commands.push(Command::StartBuild { action: name, attempt }),
        Work::Deploy(deploy) => match artifact {
            Some(bundle) => commands.push(Command::StartDeployment {
                action: name,
                attempt,
                group: deploy.group.clone(),
                bundle,
            }),
            None => {
                let message = format!(
                    "artifact {} was not produced: give the build an artifacts section",
                    deploy.artifact
                );
                record.end(ActionState::Failed { message }, now);
            }
        },
        Work::Approval(approval) => {
            let until = approval.timeout.map(|timeout| now + timeout);
            record.state = ActionState::Asking { until };
        }
        other => {
            let _ = other;
            let message = format!("{} actions are not available yet", action.kind());
            record.end(ActionState::Failed { message }, now);
        }
    }
}

/// Waits for what still works, skips what never started, then ends.
fn wind_down(pipeline: &Pipeline, state: &mut State, now: Timestamp) {
    for record in state.actions.values_mut() {
        match record.state {
            ActionState::Pending => record.state = ActionState::Skipped,
            ActionState::Asking { .. } => record.end(ActionState::Stopped, now),
            _ => {}
        }
    }
    let works = state.actions.values().any(|action| action.state == ActionState::Working);
    if works {
        return;
    }
    let any = |wanted: fn(&ActionState) -> bool| {
        pipeline.stages.iter().flat_map(|s| &s.actions).any(|a| wanted(&record(state, a).state))
    };
    let phase = if any(|s| matches!(s, ActionState::Failed { .. })) {
        Phase::Failed
    } else if any(|s| matches!(s, ActionState::RolledBack { .. })) {
        Phase::RolledBack
    } else {
        Phase::Stopped
    };
    finish(state, phase, now);
}

fn finish(state: &mut State, phase: Phase, now: Timestamp) {
    state.phase = phase;
    state.finished_at = Some(now);
    for record in state.actions.values_mut() {
        if record.state == ActionState::Pending {
            record.state = ActionState::Skipped;
        }
    }
}

/// What an unfinished run waits for; also asks to be woken when an approval expires.
fn waiting(
    pipeline: &Pipeline,
    state: &State,
    facts: &Facts,
    now: Timestamp,
    commands: &mut Vec<Command>,
) -> Vec<Waiting> {
    if state.phase.is_final() {
        return Vec::new();
    }
    let mut waiting = Vec::new();
    if state.phase == Phase::Running && !state.entered {
        let closed = frozen(pipeline, state, now);
        let until = closed.as_ref().and_then(|closed| closed.until);
        commands.extend(until.map(|at| Command::WakeAt { at }));
        waiting.push(waiting_for_stage(pipeline, state, facts, closed));
    }
    for action in pipeline.stages.iter().flat_map(|stage| &stage.actions) {
        let record = record(state, action);
        let since = record.started_at.unwrap_or(state.created_at);
        let entry = match &record.state {
            ActionState::Working => waiting_for_work(action, record, facts, since),
            ActionState::Asking { until } => {
                commands.extend(until.map(|at| Command::WakeAt { at }));
                Waiting {
                    what: format!("{} needs an approval", action.name),
                    whom: approvers(action),
                    since,
                    until: *until,
                    person: true,
                }
            }
            _ => continue,
        };
        waiting.push(entry);
    }
    waiting
}

fn waiting_for_stage(
    pipeline: &Pipeline,
    state: &State,
    facts: &Facts,
    closed: Option<Closed>,
) -> Waiting {
    let stage = pipeline.stages.get(state.stage).map_or("", |stage| stage.name.as_str());
    let holder = facts.stage_held_by.or(facts.behind);
    let since = state.waiting_since;
    if let (None, Some(Closed { reason, until })) = (holder, closed) {
        let what = format!("stage {stage} does not start now: {reason}");
        return Waiting { what, whom: THE_CALENDAR.to_owned(), since, until, person: false };
    }
    let whom = holder.map_or_else(|| "the pipeline".to_owned(), |run| run.to_string());
    let what = format!("stage {stage} is taken by {whom}");
    Waiting { what, whom, since, until: None, person: false }
}

fn waiting_for_work(
    action: &Action,
    record: &ActionRecord,
    facts: &Facts,
    since: Timestamp,
) -> Waiting {
    let task = facts.tasks.get(&action.name).filter(|task| task.attempt == record.attempt);
    let agent = task.and_then(|task| task.agent.clone());
    let (what, whom) = match (&action.work, record.deployment, agent) {
        (Work::Source(source), ..) => {
            (format!("{} is being fetched", action.name), source.branch.clone())
        }
        (Work::Deploy(deploy), Some(deployment), _) => {
            (format!("{} deploys to {}", action.name, deploy.group), deployment.to_string())
        }
        (Work::Deploy(deploy), None, _) => {
            (format!("{} plans its deployment", action.name), deploy.group.clone())
        }
        (_, _, Some(agent)) => (format!("{} runs on {agent}", action.name), agent),
        (_, _, None) if facts.build_agents == 0 => (
            format!(
                "{} waits, but no build agent is connected; join one with 'pipectl join-token \
                 create --role build'",
                action.name
            ),
            "a build agent".to_owned(),
        ),
        (_, _, None) => {
            (format!("{} waits for a free build agent", action.name), "a build agent".to_owned())
        }
    };
    Waiting { what, whom, since, until: None, person: false }
}

fn approvers(action: &Action) -> String {
    match &action.work {
        Work::Approval(approval) if !approval.approvers.is_empty() => approval.approvers.join(", "),
        _ => "anyone who may approve".to_owned(),
    }
}
