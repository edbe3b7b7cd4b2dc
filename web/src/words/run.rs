//! A run in one sentence, and what started it.

use super::waiting::needs_person;
use pipelines::run::trigger::{Trigger, TriggerKind};
use pipelines::run::{ActionState, Phase};
use pipelines::spec::pipeline::Stage;
use pipelines::time::Timestamp;
use store::runs::Row;

/// `shop #14`.
pub fn name(pipeline: &str, number: i64) -> String {
    format!("{pipeline} #{number}")
}

/// What a person would say about it.
pub fn sentence(row: &Row) -> String {
    let (name, state) = (name(&row.pipeline, row.number), &row.state);
    if let Some(stuck) = &row.stuck {
        return format!("{name} is stuck by a defect: {stuck}");
    }
    let label = if row.label.is_empty() { String::new() } else { format!(" with {}", row.label) };
    let cause = state.cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
    match state.phase {
        Phase::Running if needs_person(&row.waiting) => {
            let asks = row.waiting.iter().find(|waiting| waiting.person);
            let what = asks.map(|waiting| waiting.what.as_str()).unwrap_or_default();
            format!("{name}{label} needs somebody: {what}")
        }
        Phase::Running => {
            let total = row.spec.stages.len();
            match row.spec.stages.get(state.stage) {
                Some(stage) if state.entered => format!(
                    "Running {name}{label}: stage {} of {total}, {}",
                    state.stage + 1,
                    stage.name
                ),
                Some(stage) => format!("{name}{label} waits to enter stage {}", stage.name),
                None => format!("Running {name}{label}"),
            }
        }
        Phase::Stopping => format!("Stopping {name}{cause}"),
        Phase::Succeeded => {
            let finished = state.finished_at.or(row.finished_at.map(Timestamp));
            let took = finished.map(|at| format!(" in {}", at.since(state.created_at)));
            format!("{name} succeeded{label}{}", took.unwrap_or_default())
        }
        Phase::Failed => format!("{name} failed{cause}"),
        Phase::RolledBack => format!("{name} was rolled back{cause}"),
        Phase::Stopped => format!("{name} was stopped{cause}"),
        Phase::Superseded => format!("{name} was overtaken{cause}"),
    }
}

/// `push to main by ada`.
pub fn trigger(trigger: &Trigger) -> String {
    let what = match (trigger.kind, &trigger.push) {
        (TriggerKind::Push, Some(push)) => format!("push to {}", push.branch),
        (TriggerKind::Push, None) => "push".to_owned(),
        (TriggerKind::Webhook, Some(push)) => format!("webhook for {}", push.branch),
        (TriggerKind::Webhook, None) => "webhook".to_owned(),
        (TriggerKind::Manual, _) => "started".to_owned(),
    };
    format!("{what} by {}", trigger.by)
}

/// The word for what started a run, as in JSON.
pub fn trigger_kind(kind: TriggerKind) -> &'static str {
    match kind {
        TriggerKind::Push => "push",
        TriggerKind::Webhook => "webhook",
        TriggerKind::Manual => "manual",
    }
}

/// A stage's state follows from its actions'.
pub fn stage_state(row: &Row, index: usize, stage: &Stage) -> &'static str {
    let states = || {
        stage
            .actions
            .iter()
            .filter_map(|action| row.state.actions.get(&action.name))
            .map(|a| &a.state)
    };
    let any = |wanted: fn(&ActionState) -> bool| states().any(wanted);
    if any(|state| matches!(state, ActionState::Failed { .. })) {
        "failed"
    } else if any(|state| matches!(state, ActionState::RolledBack { .. })) {
        "rolled-back"
    } else if any(|state| *state == ActionState::Stopped) {
        "stopped"
    } else if states().all(|state| *state == ActionState::Succeeded) {
        "succeeded"
    } else if any(|state| matches!(state, ActionState::Asking { .. })) {
        "waiting"
    } else if states().all(|state| *state == ActionState::Skipped) {
        "skipped"
    } else if index == row.state.stage && row.state.entered {
        "running"
    } else if index == row.state.stage && row.state.phase == Phase::Running {
        "waiting"
    } else {
        "pending"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::sample;

    #[test]
    fn a_run_says_where_it_is_and_why_it_ended() {
        let mut row = sample::run();
        assert_eq!(sentence(&row), "Running shop #14 with 4f2c91e Fix: stage 2 of 3, build");
        assert_eq!(stage_state(&row, 0, &row.spec.stages[0]), "succeeded");
        assert_eq!(stage_state(&row, 1, &row.spec.stages[1]), "running");
        assert_eq!(stage_state(&row, 2, &row.spec.stages[2]), "pending");
        row.state.phase = Phase::Failed;
        row.state.cause = Some("compile: BUILD: make: exited with 2".to_owned());
        assert_eq!(sentence(&row), "shop #14 failed: compile: BUILD: make: exited with 2");
        assert_eq!(trigger(&row.trigger), "push to main by ada");
    }
}
