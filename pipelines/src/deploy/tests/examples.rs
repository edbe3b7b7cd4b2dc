//! Single deployments, told step by step.

use super::*;
use crate::command::{Command, Serving};

/// A deployment under test: what was started and not answered yet.
pub(super) struct Story {
    pub(super) plan: Plan,
    pub(super) state: State,
    pub(super) facts: Facts,
    pub(super) now: Timestamp,
    pub(super) started: Vec<(AgentId, u32, Purpose)>,
    pub(super) cancelled: Vec<AgentId>,
    pub(super) all: Vec<Command>,
}

impl Story {
    pub(super) fn begin(plan: Plan) -> Story {
        let facts = alive(&plan);
        let state = State::new(&plan, Timestamp(0));
        let mut story = Story {
            plan,
            state,
            facts,
            now: Timestamp(1000),
            started: Vec::new(),
            cancelled: Vec::new(),
            all: Vec::new(),
        };
        story.say(&Event::Tick);
        story
    }

    pub(super) fn say(&mut self, event: &Event) {
        self.now = self.now + Millis(1000);
        let decision = decide(&self.plan, &self.state, &self.facts, event, self.now);
        self.state = decision.state;
        for command in &decision.commands {
            match command {
                Command::StartHost { host, attempt, purpose, .. } => {
                    self.started.push((*host, *attempt, *purpose));
                }
                Command::CancelHost { host, .. } => self.cancelled.push(*host),
                _ => {}
            }
        }
        self.all.extend(decision.commands);
    }

    /// The hosts that were started since the last call.
    pub(super) fn take_started(&mut self) -> Vec<i64> {
        std::mem::take(&mut self.started).into_iter().map(|(host, ..)| host.0).collect()
    }

    pub(super) fn end(&mut self, host: i64, outcome: HostOutcome) {
        let host = AgentId(host);
        let attempt = self.state.hosts[&host].attempt;
        self.say(&Event::HostFinished { host, attempt, outcome });
    }

    pub(super) fn silence(&mut self, host: i64) {
        let facts = HostFacts { alive: false, last_seen: Some(self.now) };
        self.facts.hosts.insert(AgentId(host), facts);
        self.say(&Event::Tick);
    }
}

pub(super) fn fleet(count: i64, serving: Option<&str>) -> Vec<Member> {
    (1..=count).map(|id| member(id, serving)).collect()
}

pub(super) fn story(count: i64, batch: u32, serving: Option<&str>) -> Story {
    let group = group(rolling(batch), None);
    Story::begin(plan_for(&group, &fleet(count, serving), "v2"))
}

#[test]
fn the_first_batch_is_one_host_and_the_next_waits_for_it() {
    let mut story = story(5, 2, Some("v1"));
    assert_eq!(story.take_started(), [1]);
    story.say(&Event::Tick);
    assert_eq!(story.take_started(), [0; 0], "a tick starts nothing twice");
    story.end(1, HostOutcome::Succeeded);
    assert_eq!(story.take_started(), [2, 3]);
    story.end(3, HostOutcome::Succeeded);
    assert_eq!(story.take_started(), [0; 0], "the batch is not done");
    story.end(2, HostOutcome::Succeeded);
    assert_eq!(story.take_started(), [4, 5]);
    story.end(4, HostOutcome::Succeeded);
    story.end(5, HostOutcome::Succeeded);
    assert_eq!(story.state.phase, Phase::Succeeded);
    let good = (1..=5).map(AgentId).collect();
    assert!(story.all.contains(&Command::RecordGood { hosts: good }));
    assert_eq!(story.all.last(), Some(&Command::Finished));
}

#[test]
fn a_failure_on_the_first_host_rolls_back_that_host_and_touches_no_other() {
    let mut story = story(3, 1, Some("v1"));
    assert_eq!(story.take_started(), [1]);
    story.end(1, failed(true));
    assert_eq!(story.state.phase, Phase::RollingBack);
    assert_eq!(story.started, [(AgentId(1), 2, Purpose::Rollback)]);
    assert_eq!(story.take_started(), [1]);
    story.end(1, HostOutcome::Succeeded);
    assert_eq!(story.state.phase, Phase::RolledBack);
    assert!(!story.state.hosts[&AgentId(2)].touched && !story.state.hosts[&AgentId(3)].touched);
    let good = |command: &Command| matches!(command, Command::RecordGood { .. });
    assert!(!story.all.iter().any(good), "a failed revision is no base");
    let serving = Serving::Revision(revision("v1"));
    assert!(story.all.contains(&Command::RecordHost { host: AgentId(1), serving }));
}

#[test]
fn updated_hosts_are_rolled_back_too_failed_ones_first() {
    let mut story = story(4, 3, Some("v1"));
    story.end(1, HostOutcome::Succeeded);
    story.take_started();
    story.end(2, failed(true));
    assert_eq!(story.cancelled, [AgentId(3), AgentId(4)]);
    assert_eq!(story.take_started()[0], 2, "out of service goes first");
    story.end(3, HostOutcome::Cancelled { touched: false });
    story.end(4, HostOutcome::Succeeded);
    story.end(2, HostOutcome::Succeeded);
    for host in [1, 4] {
        story.end(host, HostOutcome::Succeeded);
    }
    assert_eq!(story.state.phase, Phase::RolledBack);
    assert_eq!(story.state.status(&story.plan, AgentId(3)), HostStatus::Pending);
}

#[test]
fn a_host_that_failed_before_it_was_touched_needs_no_rollback() {
    let mut story = story(3, 1, Some("v1"));
    story.take_started();
    story.end(1, failed(false));
    assert_eq!(story.state.phase, Phase::Failed);
    assert_eq!(story.take_started(), [0; 0]);
}

#[test]
fn the_first_deployment_has_nothing_to_return_to_and_says_so() {
    let mut story = story(2, 1, None);
    story.end(1, failed(true));
    assert_eq!(story.state.phase, Phase::RollbackFailed);
    let Some(Fault::Stuck { message }) = &story.state.hosts[&AgentId(1)].fault else {
        panic!("{:?}", story.state.hosts);
    };
    assert!(message.contains("no earlier revision"), "{message}");
}

#[test]
fn a_silent_agent_counts_as_failed_and_nothing_hangs() {
    let mut story = story(3, 1, Some("v1"));
    story.end(1, HostOutcome::Succeeded);
    story.take_started();
    story.silence(2);
    assert_eq!(story.state.phase, Phase::RollingBack);
    assert_eq!(story.take_started(), [1], "what can be reached goes back");
    story.end(1, HostOutcome::Succeeded);
    assert_eq!(story.state.phase, Phase::RollbackFailed, "host 2 is not known to be back");
    let unknown = Command::RecordHost { host: AgentId(2), serving: Serving::Unknown };
    assert!(story.all.contains(&unknown));
}

#[test]
fn a_host_that_is_busy_for_others_is_waited_for_and_its_time_counts_from_its_turn() {
    let mut story = story(2, 1, Some("v1"));
    let host = AgentId(1);
    let behind = Some("deployment d-2 of group other".to_owned());
    story.facts.places.insert(host, Place { counts_from: None, behind });
    story.now = story.now + Millis(story.plan.host.timeout.0 * 20);
    let decision = decide(&story.plan, &story.state, &story.facts, &Event::Tick, story.now);
    assert_eq!(decision.state.phase, Phase::Running);
    let waiting = decision.waiting.iter().find(|waiting| waiting.whom == "host-1").unwrap();
    assert_eq!(waiting.what, "host-1, which is busy with deployment d-2 of group other");
    assert_eq!(waiting.until, None, "nobody knows");
    // Its turn has come, and with it its time.
    let place = Place { counts_from: Some(story.now), behind: None };
    story.facts.places.insert(host, place);
    story.now = story.now + story.plan.host.timeout;
    story.say(&Event::Tick);
    assert_eq!(story.state.phase, Phase::Running);
    story.now = story.now + Millis::from_minutes(2);
    story.say(&Event::Tick);
    assert_eq!(story.state.phase, Phase::RollingBack);
    assert!(story.state.cause.unwrap().to_string().contains("did not end its work in time"));
}

#[test]
fn a_silent_agent_is_found_before_anything_is_touched() {
    let plan = plan_for(&group(rolling(1), None), &fleet(3, Some("v1")), "v2");
    let mut facts = alive(&plan);
    facts.hosts.insert(AgentId(2), HostFacts { alive: false, last_seen: None });
    let state = State::new(&plan, Timestamp(0));
    let decision = decide(&plan, &state, &facts, &Event::Tick, Timestamp(1));
    assert_eq!(decision.state.phase, Phase::Failed);
    assert_eq!(decision.commands, [Command::Finished]);
    assert!(decision.state.cause.unwrap().to_string().contains("host-2"));
}

#[test]
fn late_and_foreign_words_change_nothing() {
    let mut story = story(2, 1, Some("v1"));
    let before = story.state.clone();
    let host = AgentId(1);
    story.say(&Event::HostFinished { host, attempt: 9, outcome: HostOutcome::Succeeded });
    story.say(&Event::HostFinished {
        host: AgentId(99),
        attempt: 1,
        outcome: HostOutcome::Succeeded,
    });
    assert_eq!(story.state, before);
    story.end(1, HostOutcome::Succeeded);
    let after = story.state.clone();
    story.say(&Event::HostFinished { host, attempt: 1, outcome: failed(true) });
    assert_eq!(story.state, after, "the first word counts");
}

#[test]
fn aborting_stops_and_rolls_back_what_was_touched() {
    let mut story = story(3, 1, Some("v1"));
    story.end(1, HostOutcome::Succeeded);
    story.take_started();
    story.say(&Event::Abort { by: "ada".into(), reason: "wrong day".into() });
    assert_eq!(story.cancelled, [AgentId(2)]);
    assert_eq!(story.state.phase, Phase::RollingBack);
    story.end(2, HostOutcome::Cancelled { touched: true });
    story.end(1, HostOutcome::Succeeded);
    story.end(2, HostOutcome::Succeeded);
    assert_eq!(story.state.phase, Phase::RolledBack);
    assert_eq!(story.state.cause.unwrap().to_string(), "stopped by ada: wrong day");
}

#[test]
fn a_paused_deployment_starts_nothing_and_says_who_paused_it() {
    let mut story = story(3, 1, Some("v1"));
    story.say(&Event::Pause { by: "ada".into(), reason: String::new() });
    story.take_started();
    story.end(1, HostOutcome::Succeeded);
    assert_eq!(story.take_started(), [0; 0]);
    let decision = decide(&story.plan, &story.state, &story.facts, &Event::Tick, story.now);
    assert!(decision.waiting[0].person && decision.waiting[0].what.contains("ada"));
    story.say(&Event::Resume { by: "ada".into() });
    assert_eq!(story.take_started(), [2]);
}

#[test]
fn one_deployment_at_a_time_and_the_generation_rises() {
    let plan = plan_for(&group(rolling(1), None), &fleet(2, Some("v1")), "v2");
    let mut facts = alive(&plan);
    facts.held_by = Some("d-3".into());
    facts.group_generation = 41;
    let state = State::new(&plan, Timestamp(0));
    let queued = decide(&plan, &state, &facts, &Event::Tick, Timestamp(1));
    assert_eq!(queued.state.phase, Phase::Queued);
    assert!(queued.waiting[0].what.contains("d-3"));
    facts.held_by = None;
    let running = decide(&plan, &queued.state, &facts, &Event::Tick, Timestamp(2));
    assert_eq!((running.state.phase, running.state.generation), (Phase::Running, 42));
    let failed = Event::HostFinished { host: AgentId(1), attempt: 1, outcome: failed(true) };
    let back = decide(&plan, &running.state, &facts, &failed, Timestamp(3));
    assert_eq!((back.state.phase, back.state.generation), (Phase::RollingBack, 43));
}

#[test]
fn the_floor_of_healthy_hosts_is_never_undercut_by_us() {
    // Three in service, at least two must stay: one at a time, although the batch is three.
    let group = group(rolling(3), Some(Amount::Count(2)));
    let mut story = Story::begin(plan_for(&group, &fleet(3, Some("v1")), "v2"));
    story.end(1, HostOutcome::Succeeded);
    story.take_started();
    story.end(2, HostOutcome::Succeeded);
    assert_eq!(story.take_started(), [3]);
    story.end(3, HostOutcome::Succeeded);
    assert_eq!(story.state.phase, Phase::Succeeded);
}

#[test]
fn a_floor_that_faults_made_unreachable_ends_the_deployment_with_the_reason() {
    let group = group(rolling(1), Some(Amount::Count(2)));
    let mut hosts = fleet(3, Some("v1"));
    hosts[2].serving = None;
    let mut story = Story::begin(plan_for(&group, &hosts, "v2"));
    assert_eq!(story.take_started(), [3], "what serves nothing goes first and costs nothing");
    story.end(3, failed(true));
    story.end(3, failed(true));
    assert_eq!(story.state.phase, Phase::RollbackFailed);
    let unlimited = crate::deploy::tests::group(rolling(1), None);
    let plan = plan_for(&unlimited, &fleet(2, Some("v1")), "v2").with_floor(2);
    let mut again = Story::begin(plan);
    assert_eq!(again.state.phase, Phase::Failed);
    assert!(matches!(again.state.cause, Some(Cause::HealthConstraints { .. })));
    assert_eq!(again.take_started(), [0; 0]);
}

impl Plan {
    /// The same plan with a floor that no check at planning time would let through.
    fn with_floor(mut self, min_healthy: u32) -> Plan {
        self.limits.min_healthy = min_healthy;
        self
    }
}

#[test]
fn an_agent_that_never_ends_is_given_up_in_time() {
    let mut story = story(2, 1, Some("v1"));
    story.take_started();
    story.now = story.now + story.plan.host.timeout + Millis::from_minutes(3);
    story.facts.patient = true;
    story.say(&Event::Tick);
    assert_eq!(story.state.phase, Phase::Running, "its word may be on its way");
    story.facts.patient = false;
    story.say(&Event::Tick);
    assert_eq!(story.cancelled, [AgentId(1)]);
    assert_eq!(story.state.phase, Phase::RollingBack);
}

#[test]
fn a_state_survives_the_database() {
    let mut story = story(3, 1, Some("v1"));
    story.end(1, failed(true));
    let text = serde_json::to_string(&story.state).unwrap();
    assert_eq!(serde_json::from_str::<State>(&text).unwrap(), story.state);
    let text = serde_json::to_string(&story.plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), story.plan);
}
