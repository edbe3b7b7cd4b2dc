//! What people say to a deployment, and what is made of it.

use super::examples::{Story, fleet, story};
use super::*;
use crate::deploy::event::{Closed, HoldAt};
use crate::deploy::people::{self, Retry};
use crate::deploy::state::{Overridden, Promoted};
use crate::spec::group::CanaryStep;

fn abort() -> Event {
    Event::Abort { by: "ada".into(), reason: "no".into() }
}

fn decide_now(story: &Story, approve: bool) -> Event {
    let (step, generation) = (story.state.step, story.state.generation);
    Event::Decide { by: "eve".into(), step, generation, approve, reason: String::new() }
}

/// A canary that asks after its first host and holds after half of them.
fn asking() -> Story {
    let step = |weight, approve, hold| CanaryStep {
        weight,
        hosts: None,
        hold,
        min_samples: None,
        analyse: Vec::new(),
        approve,
    };
    let steps = vec![step(25, true, Millis::ZERO), step(50, false, Millis::from_minutes(10))];
    let group = group(Strategy::Canary { steps, bake: Millis::ZERO }, None);
    let mut story = Story::begin(plan_for(&group, &fleet(4, Some("v1")), "v2"));
    for host in story.take_started() {
        story.end(host, HostOutcome::Succeeded);
    }
    assert_eq!(people::asks(&story.plan, &story.state), Some(story.state.step));
    story
}

fn closed_until(until: Option<Timestamp>) -> Option<Closed> {
    Some(Closed { reason: "a freeze".into(), until })
}

/// One that arrives while its group is closed.
fn frozen(purpose: Purpose, until: Option<Timestamp>) -> Story {
    let group = group(rolling(1), Some(Amount::Count(1)));
    let order = Order { deployment: DeploymentId(7), revision: revision("v2"), purpose };
    let plan = compile(&group, &fleet_of(&fleet(3, Some("v1"))), order).unwrap();
    let mut story = Story::begin(plan);
    (story.state, story.all) = (State::new(&story.plan, Timestamp(0)), Vec::new());
    story.facts.closed = closed_until(until);
    story.take_started();
    story.say(&Event::Tick);
    story
}

#[test]
fn an_abort_is_obeyed_wherever_a_deployment_stands() {
    let queued = frozen(Purpose::Forward, None);
    let mut paused = frozen(Purpose::Forward, None);
    paused.say(&Event::Pause { by: "ada".into(), reason: String::new() });
    let mut paused_at_work = story(3, 1, Some("v1"));
    paused_at_work.say(&Event::Pause { by: "ada".into(), reason: String::new() });
    let mut promoted = asking();
    promoted.say(&Event::Promote { by: "ada".into(), full: true, at: None });
    for (mut story, end) in [
        (queued, Phase::Cancelled),
        (paused, Phase::Cancelled),
        (story(3, 1, Some("v1")), Phase::RollingBack),
        (paused_at_work, Phase::RollingBack),
        (asking(), Phase::RollingBack),
        (promoted, Phase::RollingBack),
    ] {
        story.say(&abort());
        assert_eq!(story.state.phase, end);
        let before = story.state.clone();
        story.say(&abort());
        assert_eq!(story.state, before, "a second one finds nothing more to do");
        story.say(&Event::Promote { by: "ada".into(), full: true, at: None });
        let late = decide_now(&story, true);
        story.say(&late);
        assert_eq!(story.state.phase, end, "nothing wins over it");
    }
}

#[test]
fn a_halt_stops_the_way_back_and_says_of_every_host_what_it_serves() {
    let mut story = story(3, 1, Some("v1"));
    let halt = || Event::Halt { by: "ada".into(), reason: "v1 is worse".into() };
    story.say(&halt());
    assert_eq!((story.state.phase, &story.state.halt), (Phase::Running, &None), "no way back yet");
    story.take_started();
    story.end(1, HostOutcome::Succeeded);
    assert_eq!(story.take_started(), [2]);
    story.say(&abort());
    assert_eq!(story.state.phase, Phase::RollingBack);
    assert_eq!(story.take_started(), [1], "the one that nothing runs on goes first");
    story.say(&halt());
    story.end(1, HostOutcome::Succeeded);
    assert_eq!(story.state.phase, Phase::RollingBack, "what runs comes to its end");
    story.end(2, HostOutcome::Cancelled { touched: true });
    assert!(story.take_started().is_empty(), "nothing is begun");
    assert_eq!(story.state.phase, Phase::RollbackFailed);
    let said = |id| story.state.hosts[&AgentId(id)].fault.clone();
    let message = "nobody knows what it runs: ada halted the way back".to_owned();
    assert_eq!((said(1), said(2), said(3)), (None, Some(Fault::Stuck { message }), None));
    let twice = people::may_halt(&story.state).unwrap_err();
    assert_eq!(twice.what, "was halted by ada already");
}

#[test]
fn a_closed_group_keeps_deployments_until_it_opens() {
    let opens = Timestamp(3_600_000);
    let mut story = frozen(Purpose::Forward, Some(opens));
    assert_eq!(story.state.phase, Phase::Queued);
    assert!(story.all.contains(&crate::command::Command::WakeAt { at: opens }), "{:?}", story.all);
    let waits = waiting::waiting(&story.plan, &story.state, &story.facts);
    assert_eq!(waits[0].what, "deployments do not start now: a freeze");
    assert_eq!((waits[0].whom.as_str(), waits[0].until), (people::THE_CALENDAR, Some(opens)));
    story.facts.closed = None;
    story.say(&Event::Tick);
    assert_eq!(story.take_started(), [1]);
}

#[test]
fn a_rollback_starts_while_the_group_is_closed() {
    let mut story = frozen(Purpose::Rollback, None);
    assert!(story.state.phase == Phase::Running && !story.take_started().is_empty());
    let word = Event::Override { by: "ada".into(), reason: "now".into() };
    story.say(&word);
    assert_eq!(story.state.overridden, None);
}

#[test]
fn an_override_lets_a_deployment_through_and_is_kept() {
    let mut story = frozen(Purpose::Forward, None);
    story.say(&Event::Override { by: "ada".into(), reason: "an outage".into() });
    assert_eq!(story.take_started(), [1]);
    let (by, reason, at) = ("ada".into(), "an outage".into(), story.now);
    assert_eq!(story.state.overridden, Some(Overridden { by, reason, at }));
    let again = people::may_override(&story.plan, &story.state).unwrap_err();
    assert_eq!(again.what, "has begun already");
    // It stays in the queue for other reasons.
    let mut held = frozen(Purpose::Forward, None);
    held.facts.held_by = Some("d-6".into());
    held.say(&Event::Override { by: "ada".into(), reason: String::new() });
    assert_eq!(held.state.phase, Phase::Queued);
    assert!(people::may_override(&held.plan, &held.state).unwrap_err().what.contains("by ada"));
    held.facts.held_by = None;
    held.say(&Event::Tick);
    assert_eq!(held.state.phase, Phase::Running);
}

#[test]
fn an_approval_is_of_one_step_and_promoting_gives_none() {
    let mut story = asking();
    let step = story.state.step;
    let refused = people::may_promote(&story.plan, &story.state, false).unwrap_err();
    assert!(refused.what.starts_with("waits for an approval"), "{refused:?}");
    story.say(&Event::Promote { by: "ada".into(), full: true, at: None });
    assert_eq!((story.state.step, story.state.promoted), (step, Promoted::All));
    let mut other = decide_now(&story, true);
    if let Event::Decide { generation, .. } = &mut other {
        *generation += 1;
    }
    story.say(&other);
    assert_eq!(story.state.step, step, "what was seen was something else");
    let yes = decide_now(&story, true);
    story.say(&yes);
    assert!(story.state.step > step);
    let mut rejected = asking();
    let no = decide_now(&rejected, false);
    rejected.say(&no);
    assert_eq!(rejected.state.phase, Phase::RollingBack);
    assert_eq!(rejected.state.cause.as_ref().unwrap().to_string(), "rejected by eve");
}

#[test]
fn promoting_ends_a_hold_and_there_has_to_be_one() {
    let mut story = asking();
    let yes = decide_now(&story, true);
    story.say(&yes);
    let early = people::may_promote(&story.plan, &story.state, false).unwrap_err();
    assert!(early.what.starts_with("holds nothing back now: step "), "{early:?}");
    for host in story.take_started() {
        story.end(host, HostOutcome::Succeeded);
    }
    assert!(matches!(story.plan.steps[story.state.step], Step::Hold { .. }));
    story.say(&Event::Pause { by: "ada".into(), reason: String::new() });
    let paused = people::may_promote(&story.plan, &story.state, false).unwrap_err();
    assert_eq!(
        (paused.what.as_str(), paused.remedy.as_str()),
        ("is paused by ada", "resume it first")
    );
    story.say(&Event::Resume { by: "ada".into() });
    let hold = story.state.step;
    story.say(&Event::Promote { by: "ada".into(), full: false, at: None });
    assert!(story.state.step > hold && !story.take_started().is_empty());
}

#[test]
fn a_pause_of_the_analysis_ends_with_the_promotion_it_asks_for() {
    let mut story = asking();
    let yes = decide_now(&story, true);
    story.say(&yes);
    for host in story.take_started() {
        story.end(host, HostOutcome::Succeeded);
    }
    let (by, since) = (people::THE_ANALYSIS.to_owned(), story.now);
    story.state.paused = Some(state::Pause { by, since });
    let hold = story.state.step;
    story.say(&Event::Promote { by: "ada".into(), full: false, at: None });
    assert!(story.state.paused.is_none() && story.state.step > hold);
}

#[test]
fn a_late_promotion_ends_no_later_hold() {
    let hold = Millis::from_minutes(10);
    let step = |weight| CanaryStep {
        weight,
        hosts: None,
        hold,
        min_samples: None,
        analyse: Vec::new(),
        approve: false,
    };
    let strategy = Strategy::Canary { steps: vec![step(25), step(50)], bake: Millis::ZERO };
    let group = group(strategy, None);
    let mut story = Story::begin(plan_for(&group, &fleet(4, Some("v1")), "v2"));
    for host in story.take_started() {
        story.end(host, HostOutcome::Succeeded);
    }
    let seen = people::hold_at(&story.state);
    let word = Event::Promote { by: "ada".into(), full: false, at: Some(seen) };
    story.say(&word);
    for host in story.take_started() {
        story.end(host, HostOutcome::Succeeded);
    }
    let next = story.state.clone();
    assert!(matches!(story.plan.steps[next.step], Step::Hold { .. }) && next.step > seen.step);
    story.say(&word);
    assert_eq!(story.state.step, next.step, "it meant the hold before this one");
    let of_before = people::hold_at(&story.state).generation - 1;
    let at = Some(HoldAt { step: next.step, generation: of_before });
    story.say(&Event::Promote { by: "eve".into(), full: false, at });
    assert_eq!(story.state.step, next.step, "orders have changed since");
    let at = Some(people::hold_at(&story.state));
    story.say(&Event::Promote { by: "eve".into(), full: false, at });
    assert!(story.state.step > next.step);
}

fn may_fail(count: i64) -> Story {
    let mut group = group(rolling(2), Some(Amount::Count(1)));
    group.max_failures.total = Amount::Count(3);
    Story::begin(plan_for(&group, &fleet(count, Some("v1")), "v2"))
}

fn retry(story: &mut Story, host: i64) -> Result<(), String> {
    let id = AgentId(host);
    let wanted = Retry { host: id, alive: story.facts.is_alive(id) };
    let may = people::may_retry(&story.plan, &story.state, wanted);
    story.say(&Event::Retry { by: "ada".into(), host: id });
    may.map_err(|refused| refused.what)
}

#[test]
fn a_failed_host_is_tried_again_while_its_step_lasts() {
    let mut story = may_fail(5);
    story.take_started();
    assert!(retry(&mut story, 1).unwrap_err().contains("working on host-1"));
    story.end(1, HostOutcome::Succeeded);
    assert_eq!(story.take_started(), [2, 3]);
    story.end(2, failed(true));
    assert!(retry(&mut story, 1).unwrap_err().contains("it has not failed"));
    assert!(retry(&mut story, 9).unwrap_err().contains("has no host"));
    assert_eq!(retry(&mut story, 2), Ok(()));
    assert_eq!(story.take_started(), [2]);
    story.end(2, failed(true));
    story.end(3, HostOutcome::Succeeded);
    assert_eq!(story.take_started(), [4, 5]);
    // Its step is over: the one in progress takes it up, when there is room.
    assert_eq!(retry(&mut story, 2), Ok(()));
    assert_eq!(story.take_started(), [0; 0]);
    story.end(4, HostOutcome::Succeeded);
    assert_eq!(story.take_started(), [2]);
    story.end(5, HostOutcome::Succeeded);
    assert_eq!(story.state.phase, Phase::Running);
    story.end(2, HostOutcome::Succeeded);
    assert_eq!(story.state.phase, Phase::Succeeded);
}

#[test]
fn a_silent_host_is_not_tried_again() {
    let mut story = may_fail(5);
    story.end(1, HostOutcome::Succeeded);
    story.take_started();
    story.silence(2);
    assert!(story.state.hosts[&AgentId(2)].fault.is_some());
    assert!(retry(&mut story, 2).unwrap_err().contains("its agent is silent"));
    assert_eq!(story.state.phase, Phase::Running, "and nothing turns back because of the wish");
}

#[test]
fn a_host_is_left_out_unless_it_is_half_way_or_the_last() {
    let mut story = may_fail(3);
    let may = |story: &Story, host| {
        people::may_exclude(&story.plan, &story.state, AgentId(host)).map_err(|no| no.what)
    };
    assert!(may(&story, 1).unwrap_err().contains("working on host-1"));
    story.end(1, HostOutcome::Succeeded);
    assert!(may(&story, 1).unwrap_err().contains("brought host-1 to the new revision"));
    story.end(2, failed(true));
    let out =
        |host| Event::Exclude { by: "ada".into(), host: AgentId(host), reason: "disk".into() };
    story.say(&out(2));
    assert!(may(&story, 2).unwrap_err().contains("leaves host-2 out, as ada wanted"));
    story.end(3, HostOutcome::Succeeded);
    assert_eq!(story.state.phase, Phase::Succeeded);

    let mut queued = frozen(Purpose::Forward, None);
    queued.say(&out(1));
    queued.say(&out(3));
    assert!(may(&queued, 2).unwrap_err().contains("would have no host without host-2"));
    queued.say(&out(2));
    assert!(queued.state.hosts[&AgentId(2)].excluded.is_none());
    // A silent host that is left out keeps nobody from starting.
    queued.facts.closed = None;
    queued.silence(1);
    assert_eq!((queued.state.phase, queued.take_started()), (Phase::Running, vec![2]));
}
