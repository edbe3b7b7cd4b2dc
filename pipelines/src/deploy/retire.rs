//! Taking hosts out of service for good: the step after which there is no way back.

use super::forward::{Moves, is_promoted};
use super::host::{App, Excluded, Fault, Lane, Stage};
use super::state::Cause;
use super::turn::Turn;
use crate::ids::AgentId;
use crate::protocol::report::ErrorCode;
use crate::protocol::route::Traffic;
use crate::protocol::task::{Part, Purpose};
use crate::time::Millis;

pub(super) fn is_retired(turn: &Turn<'_>, id: AgentId) -> bool {
    let host = turn.host(id);
    if host.work.is_some() {
        return false;
    }
    let instance = turn.plan.host(id).is_some_and(|planned| planned.instance);
    let gone = host.app == App::Absent || host.excluded.is_some();
    let out = matches!(host.lane, Lane::Direct | Lane::Out | Lane::Gone);
    let out = out && !host.unsettled && !host.left;
    if instance { gone } else { out || gone }
}

pub(super) fn retire(turn: &mut Turn<'_>, hosts: &[AgentId], keep: Millis) {
    let kept = turn.now < turn.state.step_since + keep && !is_promoted(turn);
    if kept || turn.state.paused.is_some() {
        return;
    }
    if let Some(cause) = nobody_stays(turn, hosts) {
        turn.state.cause = Some(cause);
        return;
    }
    let mut moves = Moves::default();
    for id in hosts {
        let plan = turn.plan;
        let Some(planned) = plan.host(*id) else { continue };
        let host = turn.host(*id);
        if host.work.is_some() || is_retired(turn, *id) {
            continue;
        }
        if let Some(Fault::Failed { error }) = &host.fault
            && error.code == ErrorCode::RouterFailed
        {
            let reason = format!("the router would not let it go: {}", error.message);
            turn.host_mut(*id).excluded = Some(Excluded { by: "clean-up".to_owned(), reason });
            continue;
        }
        let away = if planned.instance { Traffic::Gone } else { Traffic::Out };
        let after_the_move = host.left && matches!(host.lane, Lane::Out | Lane::Gone);
        if after_the_move && turn.facts.is_alive(*id) {
            turn.host_mut(*id).unsettled = true;
            turn.settle(*id, Purpose::Forward);
            continue;
        }
        match host.lane {
            Lane::In { .. }
                if !host.left
                    && host.fault.is_none()
                    && turn.facts.is_alive(*id)
                    && host.is_sound(planned) =>
            {
                turn.send(*id, Stage::Leaving, Purpose::Forward, &[Part::BeforeBlock]);
            }
            Lane::Direct | Lane::Gone if planned.instance => turn.dismiss(*id, Purpose::Forward),
            Lane::Direct | Lane::Gone => {}
            Lane::Out if !planned.instance => {
                turn.settle(*id, Purpose::Forward);
            }
            Lane::In { .. } | Lane::Out | Lane::Unknown => moves.out.push((*id, away)),
        }
    }
    moves.make(turn, Purpose::Forward);
}

/// The last look before there is no way back: those who stay have to serve.
fn nobody_stays(turn: &Turn<'_>, leaving: &[AgentId]) -> Option<Cause> {
    let plan = turn.plan;
    let stays = plan.hosts.iter().filter(|planned| {
        let host = turn.host(planned.id);
        !leaving.contains(&planned.id) && host.app == App::New && host.excluded.is_none()
    });
    let (mut all, mut serving) = (0, 0);
    for planned in stays {
        all += 1;
        let sound = turn.host(planned.id).is_in_service(planned);
        serving += u32::from(sound && turn.facts.is_alive(planned.id));
    }
    let wanted = plan.limits.min_healthy.min(all).max(1);
    let cause = Cause::HealthConstraints { available: serving, min_healthy: wanted };
    (serving < wanted && !turn.facts.patient).then_some(cause)
}
