//! Monitors and the judge, as far as they end or hold a deployment.

use super::*;
use crate::deploy::event::{MonitorFact, MonitorState, StepVerdict, Verdict};
use crate::deploy::plan::{Inconclusive, Judge};
use crate::deploy::state::Cause;

/// One host that is updated already, and a hold of ten seconds since 0.
struct Held {
    plan: Plan,
    state: State,
    facts: Facts,
}

impl Held {
    fn with(judge: Option<Judge>) -> Held {
        let mut plan = plan_for(&group(rolling(1), None), &[member(1, None)], "v2");
        plan.monitors = vec!["errors".to_owned(), "queue".to_owned()];
        plan.steps.push(Step::Hold { time: Millis::from_secs(10), judge });
        let mut state = State::new(&plan, Timestamp(0));
        (state.phase, state.step, state.generation) = (Phase::Running, plan.steps.len() - 1, 1);
        state.hosts.get_mut(&AgentId(1)).unwrap().app = App::New;
        let facts = alive(&plan);
        Held { plan, state, facts }
    }

    fn say(mut self, monitor: &str, state: MonitorState, looked_at: i64) -> Held {
        let (name, reason) = (monitor.to_owned(), String::new());
        let looked_at = Timestamp(looked_at);
        self.facts.monitors.push(MonitorFact { name, state, reason, looked_at });
        self
    }

    fn judged(mut self, verdict: Verdict) -> Held {
        let (step, reason) = (self.state.step, "n = 9".to_owned());
        self.facts.verdict = Some(StepVerdict { step, verdict, reason });
        self
    }

    fn at(&self, now: i64) -> State {
        decide(&self.plan, &self.state, &self.facts, &Event::Tick, Timestamp(now)).state
    }
}

fn judge(monitors: &[&str]) -> Judge {
    let monitors = monitors.iter().map(|name| (*name).to_owned()).collect();
    let (until, inconclusive) = (Millis::from_secs(60), Inconclusive::Rollback);
    Judge { monitors, min_samples: 1, until, inconclusive }
}

#[test]
fn a_hold_ends_by_looks_from_after_it_began() {
    let ok = MonitorState::Ok;
    let both = |at| Held::with(None).say("errors", ok, 5_000).say("queue", ok, at);
    assert_eq!(both(5_000).at(9_000).phase, Phase::Running, "not yet");
    assert_eq!(both(5_000).at(11_000).phase, Phase::Succeeded);
    assert_eq!(both(0).at(11_000).phase, Phase::Succeeded, "at the moment it began");
    assert_eq!(both(-1).at(11_000).phase, Phase::Running, "a look from before says nothing");
    let silent =
        Held::with(None).say("errors", ok, 5_000).say("queue", MonitorState::NoData, 5_000);
    assert_eq!(silent.at(11_000).phase, Phase::Running, "no data is no success");
    let late = 10_000 + 10 * 60_000;
    assert!(matches!(silent.at(late).cause, Some(Cause::Analysis { .. })), "and not for ever");
}

#[test]
fn a_judged_hold_waits_for_the_monitors_it_names() {
    let (ok, none) = (MonitorState::Ok, MonitorState::NoData);
    let held = |names: &[&str]| {
        let held = Held::with(Some(judge(names)));
        held.say("errors", ok, 5_000).say("queue", none, 5_000).judged(Verdict::Pass)
    };
    assert_eq!(held(&["errors"]).at(11_000).phase, Phase::Succeeded);
    assert_eq!(held(&["queue"]).at(11_000).phase, Phase::Running);
    assert_eq!(held(&[]).at(11_000).phase, Phase::Running, "none named is all");
    assert_eq!(held(&["test"]).at(11_000).phase, Phase::Running, "the trial is not a monitor");
}

#[test]
fn a_verdict_decides_and_none_decides_in_time() {
    let ok = MonitorState::Ok;
    let held = |verdict| {
        let held = Held::with(Some(judge(&[]))).judged(verdict);
        held.say("errors", ok, 5_000).say("queue", ok, 5_000)
    };
    assert_eq!(held(Verdict::Pass).at(11_000).phase, Phase::Succeeded);
    let cause = Some(Cause::Analysis { reason: "n = 9".to_owned() });
    assert_eq!(held(Verdict::Fail).at(1_000).cause, cause, "at once");
    assert_eq!(held(Verdict::Inconclusive).at(59_000).phase, Phase::Running);
    assert_eq!(held(Verdict::Inconclusive).at(60_000).cause, cause);
}
