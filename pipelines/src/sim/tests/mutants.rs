//! Engines that were broken on purpose. A checker that lets one of them pass does not check.

use crate::command::Command;
use crate::deploy::event::{MonitorState, StepVerdict, Verdict};
use crate::deploy::{Event, Facts, Phase, Plan, State, Step, step};
use crate::ids::AgentId;
use crate::protocol::route::Traffic;
use crate::protocol::task::Part;
use crate::sim::{Engine, Faults, RULES, Settings, play};
use crate::time::Timestamp;
use std::collections::BTreeSet;

mod newer;

use newer::*;

type Out<'a> = &'a mut Vec<Command>;

/// What is wrong with it, it, and the rules by which it may be caught.
const MUTANTS: &[(&str, Engine, &[&str])] = &[
    ("hears no abort", no_abort, &["I18"]),
    ("hears no halt", no_halt, &["I18"]),
    ("goes on after a halt", halts_not, &["I18"]),
    ("hears no pause", no_pause, &["I17"]),
    ("keeps no floor", no_floor, &["I1"]),
    ("keeps no zone", no_zones, &["I26"]),
    ("knows no width", no_width, &["I12"]),
    ("takes every agent for alive", all_alive, &["I9", "I14", "I1"]),
    ("does not raise the generation", same_generation, &["I4"]),
    ("hands one attempt out twice", one_attempt, &["I6"]),
    ("does not take hosts out of traffic", no_drain, &["I2"]),
    ("gives the new revision double weight", double_weight, &["I13", "I20"]),
    ("does not hold", no_hold, &["hold", "I21"]),
    ("needs no verdict", no_verdict, &["I21"]),
    ("keeps no freeze", no_freeze, &["calendar"]),
    ("hears no override", no_override, &["calendar"]),
    ("hears no alarm", no_alarm, &["I19"]),
    ("takes silence for well", no_data_is_well, &["I21"]),
    ("is content with one step", early_success, &["I10"]),
    ("is content with turning back", early_rollback, &["I7", "rule"]),
    ("calls everything good", all_good, &["I11"]),
    ("lets too many fail", no_budget, &["I10"]),
    ("obeys a stale page", stale_page, &["approval"]),
    ("takes any word for the current one", any_attempt, &["I5", "I6", "I7", "I10", "I11", "I2"]),
    ("never stops telling a cohort apart", lasting_cohort, &["cohort"]),
    ("forgets the cohort", no_cohort, &["cohort"]),
    ("sends the cohort to anybody", cohort_astray, &["cohort", "I2"]),
    ("asks for no later look", no_wake, &["I20"]),
    ("retires the old set whatever became of the new one", blind_retirement, &["I16"]),
    ("leaves nobody on the way back", nobody_left, &["I15", "I1"]),
    ("does not mend shares", no_mend, &["I20"]),
    ("gives more to hosts that are silent", blind_shift, &["I14"]),
    ("takes half an order for a done one", half_for_done, &["I5"]),
    ("takes the new ones out before the old ones are in", out_alone, &["I15"]),
    ("does not count hosts that others installed", only_ours, &["I1", "I13", "I15", "I2"]),
    ("works on hosts nobody ordered", untouched_work, &["I8"]),
    ("turns back again and again", many_generations, &["I25"]),
    ("depends on more than it was told", moody, &["I29", "I20", "I5"]),
    ("gives every host the same weight", one_weight, &["I7"]),
    ("sends traffic to what does not run", blind_traffic, &["I2", "I5", "I7", "I13", "I14", "I15"]),
];

/// Rules that no engine can break: the database keeps I3, agents keep I22 to I24 (see `retention`),
/// strategies I30; I27 is a fault and I28 how things are built.
const NOT_THE_ENGINES: [&str; 7] = ["I3", "I22", "I23", "I24", "I27", "I28", "I30"];

#[test]
fn every_broken_engine_is_caught() {
    let (mut wrong, mut fired) = (Vec::new(), BTreeSet::new());
    for (name, engine, rules) in MUTANTS {
        let mut caught = None;
        'seeds: for faults in [Faults::DEFAULT, Faults::HEAVY] {
            let settings = Settings { faults, engine: *engine, ..Settings::default() };
            for seed in 0..10_000 {
                let story = play(seed, &settings, false);
                if let Some(broken) = story.violations.into_iter().next() {
                    caught = Some((seed, broken));
                    break 'seeds;
                }
            }
        }
        fired.extend(caught.iter().map(|(_, broken)| broken.invariant.clone()));
        match caught {
            None => wrong.push(format!("an engine that {name} was not caught")),
            Some((seed, broken)) if !rules.contains(&broken.invariant.as_str()) => {
                wrong
                    .push(format!("an engine that {name} was caught by {broken:?} in seed {seed}"));
            }
            Some(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let silent: Vec<&str> =
        RULES.iter().map(|(rule, ..)| *rule).filter(|rule| !fired.contains(*rule)).collect();
    assert_eq!(silent, NOT_THE_ENGINES, "no mutant shows that these are asserted");
}

fn with_plan(
    change: impl FnOnce(&mut Plan),
    (plan, state, facts): (&Plan, &mut State, &Facts),
    event: &Event,
    now: Timestamp,
    commands: Out<'_>,
) {
    let mut other = plan.clone();
    change(&mut other);
    step(&other, state, facts, event, now, commands);
}

fn with_facts(
    change: impl FnOnce(&mut Facts),
    (plan, state, facts): (&Plan, &mut State, &Facts),
    event: &Event,
    now: Timestamp,
    commands: Out<'_>,
) {
    let mut other = facts.clone();
    change(&mut other);
    step(plan, state, &other, event, now, commands);
}

fn no_abort(p: &Plan, s: &mut State, f: &Facts, e: &Event, now: Timestamp, c: Out<'_>) {
    let deaf = if matches!(e, Event::Abort { .. }) { &Event::Tick } else { e };
    step(p, s, f, deaf, now, c);
}

fn no_halt(p: &Plan, s: &mut State, f: &Facts, e: &Event, now: Timestamp, c: Out<'_>) {
    let deaf = if matches!(e, Event::Halt { .. }) { &Event::Tick } else { e };
    step(p, s, f, deaf, now, c);
}

fn halts_not(p: &Plan, s: &mut State, f: &Facts, e: &Event, now: Timestamp, c: Out<'_>) {
    let noted = s.halt.take();
    step(p, s, f, e, now, c);
    s.halt = noted.or(s.halt.take());
}

fn no_pause(p: &Plan, s: &mut State, f: &Facts, e: &Event, now: Timestamp, c: Out<'_>) {
    let deaf = if matches!(e, Event::Pause { .. }) { &Event::Tick } else { e };
    step(p, s, f, deaf, now, c);
}

fn no_freeze(p: &Plan, s: &mut State, f: &Facts, e: &Event, now: Timestamp, c: Out<'_>) {
    with_facts(|facts| facts.closed = None, (p, s, f), e, now, c);
}

fn no_override(p: &Plan, s: &mut State, f: &Facts, e: &Event, now: Timestamp, c: Out<'_>) {
    let deaf = if matches!(e, Event::Override { .. }) { &Event::Tick } else { e };
    step(p, s, f, deaf, now, c);
}

fn no_floor(p: &Plan, s: &mut State, f: &Facts, e: &Event, now: Timestamp, c: Out<'_>) {
    with_plan(|plan| plan.limits.min_healthy = 0, (p, s, f), e, now, c);
}

fn no_zones(p: &Plan, s: &mut State, f: &Facts, e: &Event, now: Timestamp, c: Out<'_>) {
    with_plan(|plan| plan.limits.zones.clear(), (p, s, f), e, now, c);
}

fn no_width(p: &Plan, s: &mut State, f: &Facts, e: &Event, now: Timestamp, c: Out<'_>) {
    let wide = |plan: &mut Plan| {
        for step in &mut plan.steps {
            if let Step::Install { width, .. } = step {
                *width = 1000;
            }
        }
    };
    with_plan(wide, (p, s, f), e, now, c);
}

fn all_alive(p: &Plan, s: &mut State, f: &Facts, e: &Event, now: Timestamp, c: Out<'_>) {
    let awake = |facts: &mut Facts| facts.hosts.values_mut().for_each(|host| host.alive = true);
    with_facts(awake, (p, s, f), e, now, c);
}

fn same_generation(p: &Plan, s: &mut State, f: &Facts, e: &Event, now: Timestamp, c: Out<'_>) {
    step(p, s, f, e, now, c);
    s.generation = s.generation.min(f.group_generation + 1);
    for command in c {
        match command {
            Command::StartHost { generation, .. } | Command::Route { generation, .. } => {
                *generation = s.generation;
            }
            _ => {}
        }
    }
}

fn one_attempt(p: &Plan, s: &mut State, f: &Facts, e: &Event, now: Timestamp, c: Out<'_>) {
    step(p, s, f, e, now, c);
    for command in c {
        if let Command::StartHost { host, attempt, .. } = command {
            *attempt = 1;
            s.hosts.get_mut(host).expect("a planned host").attempt = 1;
        }
    }
}

fn no_drain(p: &Plan, s: &mut State, f: &Facts, e: &Event, now: Timestamp, c: Out<'_>) {
    step(p, s, f, e, now, c);
    for command in c {
        if let Command::StartHost { parts, .. } = command
            && parts.contains(&Part::Fetch)
        {
            *parts = vec![Part::Fetch, Part::Install];
        }
    }
}

fn double_weight(p: &Plan, s: &mut State, f: &Facts, e: &Event, now: Timestamp, c: Out<'_>) {
    step(p, s, f, e, now, c);
    let shares = s.phase == Phase::Running && p.is_weighted();
    let new: Vec<_> = s
        .hosts
        .iter()
        .filter(|(_, h)| h.app == crate::deploy::App::New)
        .map(|(id, _)| *id)
        .collect();
    let double = |orders: &mut Vec<(AgentId, Traffic)>| {
        for (_, traffic) in orders.iter_mut().filter(|(id, _)| new.contains(id)) {
            if let Traffic::In { weight } = traffic {
                *weight = (*weight * 2).min(256);
            }
        }
    };
    // In its own notes as well: it lies to nobody.
    for command in c.iter_mut().filter(|_| shares) {
        let Command::Route { attempt, orders, .. } = command else { continue };
        double(orders);
        for noted in s.routes.iter_mut().filter(|noted| noted.attempt == *attempt) {
            noted.orders.clone_from(orders);
        }
    }
}

fn no_hold(p: &Plan, s: &mut State, f: &Facts, e: &Event, now: Timestamp, c: Out<'_>) {
    let short = |plan: &mut Plan| {
        for step in &mut plan.steps {
            if let Step::Hold { time, .. } = step {
                *time = crate::time::Millis::ZERO;
            }
        }
    };
    with_plan(short, (p, s, f), e, now, c);
}

fn no_verdict(p: &Plan, s: &mut State, f: &Facts, e: &Event, now: Timestamp, c: Out<'_>) {
    let step = s.step;
    let verdict = StepVerdict { step, verdict: Verdict::Pass, reason: String::new() };
    with_facts(|facts| facts.verdict = Some(verdict), (p, s, f), e, now, c);
}

fn no_alarm(p: &Plan, s: &mut State, f: &Facts, e: &Event, now: Timestamp, c: Out<'_>) {
    let deaf = |facts: &mut Facts| {
        let failing = facts.monitors.iter_mut().filter(|fact| fact.state == MonitorState::Fail);
        failing.for_each(|fact| fact.state = MonitorState::Ok);
    };
    with_facts(deaf, (p, s, f), e, now, c);
}

fn no_data_is_well(p: &Plan, s: &mut State, f: &Facts, e: &Event, now: Timestamp, c: Out<'_>) {
    let hopeful = |facts: &mut Facts| {
        let silent = facts.monitors.iter_mut().filter(|fact| fact.state == MonitorState::NoData);
        silent.for_each(|fact| fact.state = MonitorState::Ok);
    };
    with_facts(hopeful, (p, s, f), e, now, c);
}

fn early_success(p: &Plan, s: &mut State, f: &Facts, e: &Event, now: Timestamp, c: Out<'_>) {
    step(p, s, f, e, now, c);
    if s.phase == Phase::Running && s.step > 0 {
        s.phase = Phase::Succeeded;
        c.clear();
    }
}

fn early_rollback(p: &Plan, s: &mut State, f: &Facts, e: &Event, now: Timestamp, c: Out<'_>) {
    step(p, s, f, e, now, c);
    if s.phase == Phase::RollingBack {
        s.phase = Phase::RolledBack;
        c.clear();
    }
}

fn all_good(p: &Plan, s: &mut State, f: &Facts, e: &Event, now: Timestamp, c: Out<'_>) {
    step(p, s, f, e, now, c);
    for command in c {
        if let Command::RecordGood { hosts } = command {
            *hosts = p.hosts.iter().map(|planned| planned.id).collect();
        }
    }
}

fn no_budget(p: &Plan, s: &mut State, f: &Facts, e: &Event, now: Timestamp, c: Out<'_>) {
    let generous = |plan: &mut Plan| {
        plan.limits.max_failures = 1000;
        plan.limits.min_healthy = 0;
    };
    with_plan(generous, (p, s, f), e, now, c);
}

fn stale_page(p: &Plan, s: &mut State, f: &Facts, e: &Event, now: Timestamp, c: Out<'_>) {
    let mut event = e.clone();
    if let Event::Decide { generation, .. } = &mut event {
        *generation = s.generation;
    }
    step(p, s, f, &event, now, c);
}

fn any_attempt(p: &Plan, s: &mut State, f: &Facts, e: &Event, now: Timestamp, c: Out<'_>) {
    let mut event = e.clone();
    if let Event::HostFinished { host, attempt, .. } = &mut event {
        *attempt = s.hosts[host].attempt;
    }
    step(p, s, f, &event, now, c);
}

fn lasting_cohort(p: &Plan, s: &mut State, f: &Facts, e: &Event, now: Timestamp, c: Out<'_>) {
    let lasting = |plan: &mut Plan| {
        for step in &mut plan.steps {
            if let Step::Shift { cohort, .. } = step {
                *cohort = true;
            }
        }
    };
    with_plan(lasting, (p, s, f), e, now, c);
}

fn no_cohort(p: &Plan, s: &mut State, f: &Facts, e: &Event, now: Timestamp, c: Out<'_>) {
    step(p, s, f, e, now, c);
    for command in c {
        if let Command::Route { cohort, .. } = command {
            cohort.clear();
        }
    }
}

fn cohort_astray(p: &Plan, s: &mut State, f: &Facts, e: &Event, now: Timestamp, c: Out<'_>) {
    step(p, s, f, e, now, c);
    for command in c {
        let Command::Route { orders, cohort, .. } = command else { continue };
        let comes = |(id, traffic): &(AgentId, Traffic)| {
            matches!(traffic, Traffic::In { .. }).then_some(*id)
        };
        *cohort = orders.iter().filter_map(comes).collect();
    }
}

fn no_wake(p: &Plan, s: &mut State, f: &Facts, e: &Event, now: Timestamp, c: Out<'_>) {
    step(p, s, f, e, now, c);
    c.retain(|command| !matches!(command, Command::WakeAt { .. }));
}

fn blind_traffic(p: &Plan, s: &mut State, f: &Facts, e: &Event, now: Timestamp, c: Out<'_>) {
    step(p, s, f, e, now, c);
    for command in c {
        let Command::Route { orders, .. } = command else { continue };
        for (_, traffic) in orders.iter_mut().filter(|(_, traffic)| *traffic == Traffic::Out) {
            *traffic = Traffic::In { weight: 100 };
        }
    }
}
