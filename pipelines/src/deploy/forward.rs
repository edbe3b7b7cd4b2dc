//! Going forward through the plan's steps.

use super::event::{MonitorState, Verdict};
use super::host::{App, Host, Lane, Stage};
use super::people::THE_ANALYSIS;
use super::plan::{Enter, Inconclusive, Judge, PlanHost, Share, Step};
use super::retire;
use super::share;
use super::state::{Cause, Pause, Promoted};
use super::strategy::TEST_MONITOR;
use super::turn::{Progress, Turn};
use crate::ids::AgentId;
use crate::protocol::route::Traffic;
use crate::protocol::task::{Part, Purpose};
use crate::time::{Millis, Timestamp};

/// How much longer than its time a hold waits for monitors that have no data.
pub(super) const NO_DATA_PATIENCE: Millis = Millis::from_minutes(10);

/// Moves past every step that is behind the deployment.
pub(super) fn skip_done(turn: &mut Turn<'_>) {
    while let Some(step) = turn.plan.steps.get(turn.state.step) {
        let done = match step {
            Step::Provision { hosts } => hosts.iter().all(|id| {
                let host = turn.host(*id);
                let left_out = host.fault.is_some() || host.excluded.is_some();
                let there = !matches!(host.app, App::Absent | App::Unknown);
                host.work.is_none() && (there || left_out)
            }),
            Step::Install { hosts, enter, .. } => {
                hosts.iter().all(|id| is_installed(turn.host(*id), *enter))
                    && owed(turn).next().is_none()
            }
            Step::Shift { share, .. } => share::is_reached(turn, *share),
            Step::Hold { time, judge } => is_over(turn, *time, judge.as_ref()),
            Step::Approve { promote_after, .. } => {
                let by_time = |after: Millis| turn.now >= turn.state.step_since + after;
                turn.state.approved_by.is_some() || promote_after.is_some_and(by_time)
            }
            Step::Retire { hosts, .. } => hosts.iter().all(|id| retire::is_retired(turn, *id)),
        };
        // While it is paused nothing ends by time alone.
        let by_time = matches!(step, Step::Hold { .. } | Step::Approve { .. });
        if !done || (by_time && turn.state.paused.is_some()) {
            return;
        }
        turn.state.step += 1;
        turn.state.step_since = turn.now;
        turn.state.approved_by = None;
    }
}

/// Works on the step in progress.
pub(super) fn step(turn: &mut Turn<'_>) {
    let plan = turn.plan;
    match &plan.steps[turn.state.step] {
        Step::Provision { hosts } => provision(turn, hosts),
        Step::Install { hosts, width, enter } => install(turn, hosts, *width, *enter),
        Step::Shift { share, .. } => share::shift(turn, *share),
        Step::Hold { time, judge } => hold(turn, *time, judge.as_ref()),
        Step::Approve { timeout, .. } => {
            let over = turn.now >= turn.state.step_since + *timeout;
            if over && turn.state.paused.is_none() {
                turn.state.cause = Some(Cause::ApprovalExpired);
            }
        }
        Step::Retire { hosts, keep } => retire::retire(turn, hosts, *keep),
    }
}

/// Left out, failed within what may fail, or where it should be.
fn is_installed(host: &Host, enter: Enter) -> bool {
    if host.work.is_some() {
        return false;
    }
    if host.excluded.is_some() || host.fault.is_some() {
        return true;
    }
    let placed = match (host.lane, enter) {
        (Lane::Direct, _) => true,
        (Lane::In { .. }, _) => !host.unsettled,
        (Lane::Out | Lane::Gone, Enter::Wait) => true,
        (Lane::Out | Lane::Gone | Lane::Unknown, _) => false,
    };
    host.app == App::New && placed
}

/// Hosts of earlier steps that are wanted again.
fn owed(turn: &Turn<'_>) -> impl Iterator<Item = AgentId> {
    let behind = &turn.plan.steps[..turn.state.step];
    let installed = behind.iter().filter(|step| matches!(step, Step::Install { .. }));
    installed.flat_map(|step| step.hosts().iter().copied()).filter(|id| {
        let host = turn.host(*id);
        host.app != App::New && host.fault.is_none() && host.excluded.is_none()
    })
}

fn provision(turn: &mut Turn<'_>, hosts: &[AgentId]) {
    if turn.state.paused.is_some() {
        return;
    }
    for id in hosts {
        let host = turn.host(*id);
        let missing = matches!(host.app, App::Absent | App::Unknown);
        if missing && host.work.is_none() && host.fault.is_none() && host.excluded.is_none() {
            turn.launch(*id);
        }
    }
}

fn install(turn: &mut Turn<'_>, hosts: &[AgentId], width: u32, enter: Enter) {
    if share::in_force(turn).is_some_and(|share| share::mend(turn, share)) {
        return;
    }
    let mut moves = Moves::default();
    let mut progress = Progress::Done;
    let hosts: Vec<AgentId> = owed(turn).chain(hosts.iter().copied()).collect();
    for id in &hosts {
        let plan = turn.plan;
        let Some(planned) = plan.host(*id) else { continue };
        if is_installed(turn.host(*id), enter) {
            continue;
        }
        let moved = install_one(turn, planned, &hosts, (width, enter), &mut moves);
        if moved == Progress::Working || progress == Progress::Done {
            progress = moved;
        }
    }
    match share::in_force(turn) {
        Some(share @ Share::Percent(_)) => moves.make_within(turn, share),
        Some(Share::Equal) | None => moves.make(turn, Purpose::Forward),
    }
    // Nothing runs and nothing may begin: it will not get better by waiting.
    if progress == Progress::Blocked && turn.state.paused.is_none() && !turn.state.is_busy() {
        let available = turn.available();
        let min_healthy = turn.plan.limits.min_healthy;
        turn.state.cause = Some(Cause::HealthConstraints { available, min_healthy });
    }
}

/// Changes of traffic that became due in one look; one task for the balancer.
#[derive(Default)]
pub(super) struct Moves {
    pub out: Vec<(AgentId, Traffic)>,
    pub into: Vec<(AgentId, Traffic)>,
}

impl Moves {
    pub fn make(self, turn: &mut Turn<'_>, purpose: Purpose) {
        if purpose == Purpose::Rollback && !self.into.is_empty() {
            // Each by itself: one that the balancer finds red must not keep the others out. And before
            // anybody leaves for them.
            for one in self.into {
                turn.route_for(vec![one], (Stage::Entering, purpose), Vec::new());
            }
            return;
        }
        turn.route_for(self.out, (Stage::Draining, purpose), Vec::new());
        turn.route_for(self.into, (Stage::Entering, purpose), Vec::new());
    }

    /// As [`Moves::make`], while shares are in force: those who stay take over in the same order, so
    /// that the share holds at every moment. One order at a time, or two would contradict each other.
    fn make_within(self, turn: &mut Turn<'_>, share: Share) {
        if !turn.state.routes.is_empty() || (self.out.is_empty() && self.into.is_empty()) {
            return;
        }
        let going: Vec<AgentId> = self.out.iter().map(|(id, _)| *id).collect();
        let beside = share::beside(turn, share, &going);
        turn.route_for(self.out, (Stage::Draining, Purpose::Forward), beside);
        turn.route_for(self.into, (Stage::Entering, Purpose::Forward), Vec::new());
    }
}

fn install_one(
    turn: &mut Turn<'_>,
    planned: &PlanHost,
    step: &[AgentId],
    (width, enter): (u32, Enter),
    moves: &mut Moves,
) -> Progress {
    let id = planned.id;
    let host = turn.host(id);
    if host.work.is_some() {
        return Progress::Working;
    }
    let begun = host.is_begun(planned);
    if !begun {
        let moving = |id: &&AgentId| {
            let host = turn.host(**id);
            let begun = host.work.is_some() || host.left || host.touched || host.unsettled;
            begun && !is_installed(host, enter)
        };
        let full = step.iter().filter(moving).count() >= width as usize;
        let floor = turn.plan.limits.min_healthy;
        let alone = share::is_last_old(turn, id);
        if full || alone || turn.state.paused.is_some() || !turn.may_leave(planned, floor) {
            return Progress::Blocked;
        }
    }
    // One that is tried again takes its place in the line like any other.
    let working = step.iter().filter(|id| turn.host(**id).work.is_some()).count();
    let working = working + moves.out.len() + moves.into.len();
    if working >= width as usize || !turn.facts.is_alive(id) {
        return Progress::Blocked;
    }
    let host = turn.host(id);
    if host.app == App::New {
        return match host.lane {
            Lane::In { .. } => turn.settle(id, Purpose::Forward),
            _ if enter == Enter::Wait => {
                moves.out.push((id, Traffic::Out));
                Progress::Working
            }
            _ => {
                moves.into.push((id, turn.plan.own_traffic(id)));
                Progress::Working
            }
        };
    }
    match host.lane {
        // A second try is new work, and no work begins while it is paused.
        _ if host.touched && turn.state.paused.is_some() => return Progress::Blocked,
        Lane::Direct | Lane::Out | Lane::Gone => {
            let parts = Turn::update_parts(host);
            turn.send(id, Stage::Updating, Purpose::Forward, &parts);
        }
        Lane::In { .. } if !host.left && host.is_sound(planned) => {
            turn.send(id, Stage::Leaving, Purpose::Forward, &[Part::Fetch, Part::BeforeBlock]);
        }
        Lane::In { .. } | Lane::Unknown => moves.out.push((id, Traffic::Out)),
    }
    Progress::Working
}

pub(super) fn is_promoted(turn: &Turn<'_>) -> bool {
    match turn.state.promoted {
        Promoted::No => false,
        Promoted::Step(step) => step == turn.state.step,
        Promoted::All => true,
    }
}

/// Whether every monitor the hold is about has something to say about the time since it began.
fn monitors_speak(turn: &Turn<'_>, judge: Option<&Judge>) -> bool {
    let chosen = |name: &&String| match judge {
        // The trial of an idle set is no monitor of the group's.
        Some(judge) if judge.monitors.iter().any(|chosen| chosen != TEST_MONITOR) => {
            judge.monitors.contains(*name)
        }
        _ => true,
    };
    let speaks = |name: &String| {
        turn.facts.monitors.iter().any(|fact| {
            let fresh = fact.looked_at >= turn.state.step_since;
            fact.name == *name && fact.state != MonitorState::NoData && fresh
        })
    };
    let mut names = turn.plan.monitors.iter().filter(chosen);
    names.all(|name| turn.state.ailing.contains(name) || speaks(name))
}

fn verdict(turn: &Turn<'_>) -> Option<Verdict> {
    let verdict = turn.facts.verdict.as_ref()?;
    (verdict.step == turn.state.step).then_some(verdict.verdict)
}

fn is_over(turn: &Turn<'_>, time: Millis, judge: Option<&Judge>) -> bool {
    if is_promoted(turn) {
        return true;
    }
    if turn.now < turn.state.step_since + time {
        return false;
    }
    match judge {
        None => monitors_speak(turn, judge),
        Some(judge) => match verdict(turn) {
            Some(Verdict::Pass) => monitors_speak(turn, Some(judge)),
            Some(Verdict::Fail) => false,
            Some(Verdict::Inconclusive) | None => {
                let over = turn.now >= turn.state.step_since + judge.until.max(time);
                over && judge.inconclusive == Inconclusive::Promote
                    && monitors_speak(turn, Some(judge))
            }
        },
    }
}

/// When a hold gives up waiting.
pub(super) fn hold_until(since: Timestamp, time: Millis, judge: Option<&Judge>) -> Timestamp {
    let until = judge.map_or(Millis(time.0 + NO_DATA_PATIENCE.0), |judge| judge.until.max(time));
    since + until
}

/// A hold that is not over: because it failed, because it cannot be judged in time, or not yet.
fn hold(turn: &mut Turn<'_>, time: Millis, judge: Option<&Judge>) {
    let reason = |turn: &Turn<'_>, otherwise: &str| {
        turn.facts.verdict.as_ref().map_or_else(|| otherwise.to_owned(), |v| v.reason.clone())
    };
    if judge.is_some() && verdict(turn) == Some(Verdict::Fail) {
        let reason = reason(turn, "the new hosts do worse than the old ones");
        turn.state.cause = Some(Cause::Analysis { reason });
        return;
    }
    let over = turn.now >= hold_until(turn.state.step_since, time, judge);
    if !over || turn.state.paused.is_some() {
        return;
    }
    if judge.is_some_and(|judge| judge.inconclusive == Inconclusive::Pause) {
        turn.state.paused = Some(Pause { by: THE_ANALYSIS.to_owned(), since: turn.now });
        return;
    }
    let reason = if monitors_speak(turn, judge) {
        reason(turn, "too few requests to judge the new hosts by")
    } else {
        "a monitor had no data until the end, and no data is no success".to_owned()
    };
    turn.state.cause = Some(Cause::Analysis { reason });
}

/// Who a share is between: hosts on the new revision, and those in traffic on what was before.
pub(super) fn sides(turn: &Turn<'_>, share: Share) -> (Vec<AgentId>, Vec<AgentId>) {
    let (mut new, mut old) = (Vec::new(), Vec::new());
    for planned in &turn.plan.hosts {
        let host = turn.host(planned.id);
        let left_out = host.excluded.is_some() || host.fault.is_some();
        match host.app {
            _ if host.lane == Lane::Direct => {}
            App::New if !left_out => new.push(planned.id),
            // Left out or not, it has the old revision's traffic.
            App::Before if planned.serving && matches!(planned.lane, Lane::In { .. }) => {
                old.push(planned.id);
            }
            _ => {}
        }
    }
    // Where nobody is left on the other side, equal is all there is.
    if share == Share::Equal {
        new.append(&mut old);
    }
    (new, old)
}
