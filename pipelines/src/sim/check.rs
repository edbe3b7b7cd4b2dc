//! The rules of delivery, asserted from outside: by what was commanded and by what is really there.

mod end;
mod people;
mod rules;

pub use end::the_end;
pub use rules::RULES;

use super::Violation;
use super::fleet::index_of;
use super::play::Play;
use super::scenario::version_of;
use crate::command::Command;
use crate::deploy::event::{MonitorState, Verdict};
use crate::deploy::plan::Inconclusive;
use crate::deploy::state::Promoted;
use crate::deploy::{App, Event, Host, Lane, Phase, Plan, Share, Stage, State, Step, invariants};
use crate::ids::AgentId;
use crate::protocol::route::Traffic;
use crate::protocol::task::{Part, Purpose};

/// What was seen on the way.
#[derive(Debug, Default)]
pub struct Seen {
    pub wake_at: Option<i64>,
    /// Weights of new and old hosts after the balancer's last change.
    pub share: (u64, u64),
    pub dismissed: Vec<AgentId>,
    /// Attempts handed out, per host.
    attempts: Vec<(AgentId, u32)>,
    generation: u64,
    /// The step in progress and since when, as seen from here.
    entered: (usize, i64),
}

/// After a decision and before it is carried out.
pub fn decision(
    play: &mut Play<'_>,
    before: &State,
    event: &Event,
    commands: &[Command],
) -> Vec<Violation> {
    let mut found = Found::default();
    for text in invariants::check(&play.plan, before, &play.state, &play.facts, commands) {
        let (invariant, message) = text.split_once(": ").unwrap_or(("rule", &text));
        found.add(invariant, message);
    }
    people::heard(play, before, event, &mut found);
    if before.phase == Phase::Running && play.state.phase == Phase::RollingBack {
        let rose = play.state.generation > before.generation;
        found.must(rose, "I4", "it turned back without outranking what was said before");
    }
    steps(play, before, event, &mut found);
    alarms(play, &mut found);
    for command in commands {
        commanded(play, before, command, &mut found);
        people::halted(before, command, &mut found);
        last_look(play, command, &mut found);
    }
    width(&play.plan, &play.state, &mut found);
    if play.state.step != play.seen.entered.0 || before.phase == Phase::Queued {
        play.seen.entered = (play.state.step, play.now);
    }
    if !play.state.phase.is_final() && !commands.iter().any(|c| matches!(c, Command::WakeAt { .. }))
    {
        let queued = play.state.phase == Phase::Queued && !people::is_waited_out(play);
        let waits = queued
            || play.facts.patient
            || play.state.paused.is_some()
            || promoted_or_approval(play);
        found.must(
            waits || blocked_by_silence(play),
            "I20",
            "unfinished, and nobody will look again",
        );
    }
    found.list
}

#[derive(Default)]
struct Found {
    list: Vec<Violation>,
}

impl Found {
    fn add(&mut self, invariant: &str, message: &str) {
        let (invariant, message) = (invariant.to_owned(), message.to_owned());
        self.list.push(Violation { invariant, message });
    }

    fn must(&mut self, holds: bool, invariant: &str, message: &str) {
        if !holds {
            self.add(invariant, message);
        }
    }
}

fn promoted_or_approval(play: &Play<'_>) -> bool {
    matches!(play.plan.steps.get(play.state.step), Some(Step::Approve { .. }))
}

/// It goes on when somebody's agent speaks again, which is an event of its own.
fn blocked_by_silence(play: &Play<'_>) -> bool {
    play.plan.hosts.iter().any(|planned| !play.facts.is_alive(planned.id))
}

/// How a step may be left: I14, I16, I21 and the approvals.
fn steps(play: &Play<'_>, before: &State, event: &Event, found: &mut Found) {
    let (plan, after) = (&play.plan, &play.state);
    if before.phase != Phase::Running {
        return;
    }
    for step in before.step..after.step {
        match &plan.steps[step] {
            Step::Hold { judge: Some(judge), .. } => {
                let promoted =
                    after.promoted == Promoted::All || after.promoted == Promoted::Step(step);
                let verdict = play.facts.verdict.as_ref().filter(|verdict| verdict.step == step);
                let passed = verdict.is_some_and(|verdict| verdict.verdict == Verdict::Pass);
                let let_go = judge.inconclusive == Inconclusive::Promote
                    && verdict.is_none_or(|verdict| verdict.verdict != Verdict::Fail);
                found.must(promoted || passed || let_go, "I21", "a step passed without a verdict");
            }
            Step::Hold { time, judge: None } => {
                let promoted =
                    after.promoted == Promoted::All || after.promoted == Promoted::Step(step);
                let since =
                    if play.seen.entered.0 == step { play.seen.entered.1 } else { play.now };
                let held =
                    crate::time::Timestamp(play.now).since(crate::time::Timestamp(since)) >= *time;
                found.must(promoted || held, "hold", "a hold was not held");
                let silent = play.facts.monitors.iter().any(|fact| {
                    fact.state == MonitorState::NoData && !after.ailing.contains(&fact.name)
                });
                found.must(promoted || !silent, "I21", "no data counted as success");
            }
            Step::Approve { promote_after, .. } => {
                let agreed = before.approved_by.is_some() || promote_after.is_some();
                let now = matches!(event, Event::Decide { approve: true, step: of, generation, .. }
                    if *of == step && *generation == before.generation);
                found.must(agreed || now, "approval", "an approval was skipped");
            }
            Step::Install { hosts, .. } => {
                for id in hosts {
                    let host = &after.hosts[id];
                    let turned = after.phase != Phase::Running;
                    let left_out = host.fault.is_some() || host.excluded.is_some() || turned;
                    found.must(
                        left_out || host.app == App::New,
                        "I10",
                        "a step was left half-done",
                    );
                }
            }
            Step::Shift { cohort, .. } => cohorts(play, *cohort, found),
            Step::Provision { .. } | Step::Retire { .. } => {}
        }
    }
}

/// Behind a shift every good host on the new revision gets the cohorts' requests, or none does.
fn cohorts(play: &Play<'_>, wanted: bool, found: &mut Found) {
    if play.state.phase != Phase::Running {
        return;
    }
    for (id, host) in &play.state.hosts {
        let good = host.app == App::New && host.fault.is_none() && host.excluded.is_none();
        if good && matches!(host.lane, Lane::In { .. }) {
            let as_wanted = play.hosts[index_of(*id)].cohort == wanted;
            found.must(as_wanted, "cohort", "a shift left the cohorts where they were");
        }
    }
}

/// I19: in every waiting state an alarm turns it back.
fn alarms(play: &Play<'_>, found: &mut Found) {
    if play.state.phase != Phase::Running {
        return;
    }
    let failing = play.facts.monitors.iter().any(|fact| {
        fact.state == MonitorState::Fail
            && play.plan.monitors.contains(&fact.name)
            && !play.state.ailing.contains(&fact.name)
    });
    found.must(!failing, "I19", "an alarm was not heard");
    let faulty = |host: &&Host| host.fault.is_some() && host.excluded.is_none();
    let faulty = play.state.hosts.values().filter(faulty).count();
    let allowed = play.plan.limits.max_failures as usize;
    found.must(faulty <= allowed, "I10", "more hosts failed than may");
}

fn commanded(play: &mut Play<'_>, before: &State, command: &Command, found: &mut Found) {
    match command {
        Command::StartHost { host, attempt, generation, purpose, parts } => {
            let twice = play.seen.attempts.contains(&(*host, *attempt));
            found.must(!twice, "I6", "an attempt was handed out twice");
            play.seen.attempts.push((*host, *attempt));
            generations(play, *generation, found);
            zones(play, before, *host, *purpose, found);
            let again = play.state.phase.is_final();
            found.must(!again, "I25", "work after the end");
            if parts.contains(&Part::Install) && play.plan.router.is_some() {
                let out = !matches!(play.real_lane(*host), Lane::In { .. });
                found.must(out, "I2", "an application is changed under traffic");
            }
        }
        Command::Route { generation, orders, .. } => {
            generations(play, *generation, found);
            shares(play, orders, found);
        }
        Command::Dismiss { host, .. } => {
            let routed = play.hosts[index_of(*host)].weight.is_some();
            found.must(!routed, "I16", "an instance goes although the balancer sends to it");
        }
        Command::RecordGood { hosts } => {
            let new = version_of(&play.plan.revision);
            for host in hosts {
                let real = &play.hosts[index_of(*host)];
                let good =
                    real.version == new && (real.sound || real.lost_for_good || !real.exists);
                found.must(good, "I11", "good is what does not run there");
            }
        }
        _ => {}
    }
}

/// I16: the old set goes only while the new one serves.
fn last_look(play: &Play<'_>, command: &Command, found: &mut Found) {
    let (plan, state) = (&play.plan, &play.state);
    let Some(Step::Retire { hosts, .. }) = plan.steps.get(state.step) else { return };
    let goes = match command {
        Command::StartHost { host, purpose: Purpose::Forward, .. }
        | Command::Dismiss { host, .. } => hosts.contains(host),
        Command::Route { orders, .. } => orders.iter().any(|(host, _)| hosts.contains(host)),
        _ => false,
    };
    if state.phase != Phase::Running || !goes || play.facts.patient {
        return;
    }
    let stays = plan.hosts.iter().filter(|planned| {
        let host = &state.hosts[&planned.id];
        !hosts.contains(&planned.id) && host.app == App::New && host.excluded.is_none()
    });
    let stays: Vec<AgentId> = stays.map(|planned| planned.id).collect();
    let serves = |id: &&AgentId| {
        let host = &state.hosts[*id];
        matches!(host.lane, Lane::In { .. } | Lane::Direct) && play.facts.is_alive(**id)
    };
    let wanted = (plan.limits.min_healthy as usize).min(stays.len()).max(1);
    let serving = stays.iter().filter(serves).count();
    found.must(serving >= wanted, "I16", "the old set goes, and the new one does not serve");
}

/// I4 and I25: they rise, and only once per deployment after its start.
fn generations(play: &mut Play<'_>, generation: u64, found: &mut Found) {
    found.must(generation >= play.seen.generation, "I4", "a generation fell");
    found.must(
        generation <= play.facts.group_generation + 2,
        "I25",
        "it turned back more than once",
    );
    play.seen.generation = generation;
}

/// I26: no zone loses all its hosts to us.
fn zones(play: &Play<'_>, before: &State, host: AgentId, purpose: Purpose, found: &mut Found) {
    let (plan, after) = (&play.plan, &play.state);
    let Some(planned) = plan.host(host) else { return };
    let Some(limit) =
        plan.limits.zones.iter().find(|limit| Some(&limit.zone) == planned.zone.as_ref())
    else {
        return;
    };
    let serves = |state: &State, planned: &crate::deploy::PlanHost| {
        let host = &state.hosts[&planned.id];
        let lane = matches!(host.lane, Lane::In { .. } | Lane::Direct);
        let sound = match host.app {
            App::New | App::Restored => true,
            App::Before => planned.serving,
            _ => false,
        };
        host.work.is_none_or(|work| work.stage == Stage::Settling)
            && lane
            && sound
            && play.facts.is_alive(planned.id)
    };
    if purpose == Purpose::Rollback || !serves(before, planned) {
        return;
    }
    let retires = plan
        .steps
        .iter()
        .any(|step| matches!(step, Step::Retire { hosts, .. } if hosts.contains(&host)));
    let left = plan.hosts.iter().filter(|other| other.zone == planned.zone && serves(after, other));
    let enough = left.count() >= limit.min_healthy as usize;
    found.must(enough || retires || plan.is_weighted(), "I26", "a zone lost too many hosts");
}

/// I13 and I14: never more traffic for the new revision than the step in progress allows, and only for
/// hosts that are there.
fn shares(play: &Play<'_>, orders: &[(AgentId, Traffic)], found: &mut Found) {
    let (plan, state) = (&play.plan, &play.state);
    for (id, traffic) in orders {
        let Traffic::In { weight } = traffic else { continue };
        let new = state.hosts[id].app == App::New;
        let alive = play.facts.is_alive(*id);
        let raised = !matches!(state.hosts[id].lane, Lane::In { weight: now } if now >= *weight);
        found.must(!new || alive || !raised, "I14", "traffic for a host whose agent is silent");
        let real = &play.hosts[index_of(*id)];
        found.must(real.sound || !real.connected, "I2", "traffic for what does not answer");
    }
    if !plan.is_weighted() || state.phase != Phase::Running {
        return;
    }
    let reached = plan.steps[..=state.step.min(plan.steps.len() - 1)].iter();
    let allowed = reached
        .filter_map(|step| match step {
            Step::Shift { share: Share::Percent(percent), .. } => Some(u64::from(*percent)),
            Step::Shift { share: Share::Equal, .. } => Some(100),
            _ => None,
        })
        .max()
        .unwrap_or(0);
    let after = |id: AgentId| -> u64 {
        let order = orders.iter().find(|(of, _)| *of == id).map(|(_, traffic)| *traffic);
        let lane = order.map_or(state.hosts[&id].lane, Lane::from);
        if let Lane::In { weight } = lane { u64::from(weight) } else { 0 }
    };
    let sum = |new: bool| -> u64 {
        let ids = state.hosts.iter().filter(|(_, host)| (host.app == App::New) == new);
        ids.map(|(id, _)| after(*id)).sum()
    };
    let (new, old) = (sum(true), sum(false));
    // Where nothing old is in service, there is nobody to share with.
    let others = plan.hosts.iter().any(|planned| {
        planned.serving
            && matches!(planned.lane, Lane::In { .. })
            && state.hosts[&planned.id].app == App::Before
    });
    let within = !others || new * 100 <= allowed * (new + old);
    found.must(within, "I13", "more traffic for the new revision than its step allows");
}

/// I12: never more hosts at once than the step is wide.
fn width(plan: &Plan, state: &State, found: &mut Found) {
    let Some(Step::Install { hosts, width, .. }) = plan.steps.get(state.step) else { return };
    if state.phase != Phase::Running {
        return;
    }
    let moving = hosts.iter().filter(|id| state.hosts[id].work.is_some()).count();
    found.must(moving <= *width as usize, "I12", "more hosts at once than the batch has");
}
