//! Random groups and fleets.

use super::Dice;
use super::faults::Faults;
use crate::deploy::strategy::{Fleet, Member};
use crate::deploy::{Lane, PlanRouter};
use crate::ids::AgentId;
use crate::protocol::task::{Artifact, Revision};
use crate::spec::group::{
    self, Amount, CanaryStep, Group, MaxFailures, OfflineHosts, Selector, Strategy,
};
use crate::time::Millis;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::fleet::Version;

/// The agent beside the balancer.
pub const ROUTER: AgentId = AgentId(1_000_000);

/// A group with everything a random one may want; strategy and numbers are thrown each time.
static TEMPLATE: LazyLock<Group> = LazyLock::new(|| {
    let canary = "  cohorts: [{header: X-Canary, value: '1'}]\nanalysis:\nmonitors: [{name: errors, router: error-rate, fail-above: 0.05}]\n\
                  strategy: Canary10Percent5Minutes\n";
    let immutable = "instances: {docker: {agent: host-1, image: host}}\nstrategy: immutable\n";
    Group { instances: group_of(immutable).instances, ..group_of(canary) }
});

/// No strategy takes every key, so no one file may have them all.
fn group_of(rest: &str) -> Group {
    let text = format!(
        "version: 1\ngroup: production\napplication: shop\nhosts: {{tags: {{role: web}}}}\nzones: zone\n\
         router:\n  port: 8080\n  \
         haproxy: {{agent: lb-1, backend: shop, next-backend: next, map: /shop.map}}\n{rest}"
    );
    let parsed = group::parse(&text);
    let problems: Vec<String> = parsed.problems.iter().map(ToString::to_string).collect();
    parsed.value.unwrap_or_else(|| panic!("the template is right: {problems:?}"))
}

/// `v2`, as a revision.
#[must_use]
pub fn revision(version: Version) -> Revision {
    let digit = char::from(b'0' + version % 10);
    let digest = digit.to_string().repeat(64).parse().expect("64 hexadecimal digits");
    Revision { bundle: Artifact { digest, size: 1 }, commit: None, label: format!("v{version}") }
}

#[must_use]
pub fn version_of(revision: &Revision) -> Version {
    revision.label[1..].parse().unwrap_or(0)
}

/// What a deployment starts from.
pub struct Scenario {
    pub group: Group,
    pub members: Vec<Member>,
    pub router: Option<PlanRouter>,
}

/// A fleet for a group of the user's.
#[must_use]
pub fn of_group(group: &Group, hosts: u32, dice: &mut Dice) -> Scenario {
    let router = group.router.as_ref().map(|settings| PlanRouter {
        agent: ROUTER,
        name: settings.balancer.agent().to_owned(),
        settings: settings.clone(),
        drain: group.drain.timeout,
        ready: Millis::from_secs(30),
        equal: u16::try_from(1 + dice.below(200)).unwrap_or(PlanRouter::EQUAL),
    });
    let zones = 1 + dice.below(4);
    // Hosts of one kind, or of several.
    let alike = dice.permille(600);
    let empty = dice.permille(50);
    // Somebody else installed what the balancer serves, on some hosts or on all.
    let adopted = if router.is_some() && dice.permille(150) { 300 + dice.below(800) } else { 0 };
    let adopted = u32::try_from(adopted).unwrap_or(0);
    let members = (1..=hosts)
        .map(|number| {
            let serves = !empty && !dice.permille(80);
            let foreign = serves && dice.permille(adopted);
            let set = if number % 2 == 0 { "green" } else { "blue" };
            let zone = format!("z{}", u64::from(number) % zones);
            let mut tags: BTreeMap<String, String> = wanted_tags(group, number);
            tags.entry("set".to_owned()).or_insert_with(|| set.to_owned());
            let tag = group.zones.as_ref().map_or("zone", |zones| zones.tag.as_str());
            tags.insert(tag.to_owned(), zone);
            let fixed_sets = matches!(group.strategy, Strategy::BlueGreen { blue: Some(_), .. });
            let idle = fixed_sets && set == "green";
            let lane = match (router.is_some(), serves && !idle) {
                (false, _) => Lane::Direct,
                (true, true) if !alike => Lane::In { weight: own_weight(dice) },
                (true, true) => {
                    Lane::In { weight: router.as_ref().map_or(1, |router| router.equal) }
                }
                (true, false) => Lane::Out,
            };
            Member {
                id: AgentId(i64::from(number)),
                name: format!("host-{number}"),
                tags,
                alive: true,
                serving: (serves && !foreign).then(|| revision(1)),
                good: (serves && !foreign).then(|| revision(1)),
                lane,
                weight: None,
                answers: foreign && matches!(lane, Lane::In { .. }),
                instance: group.instances.is_some() && dice.permille(500),
            }
        })
        .collect();
    Scenario { group: group.clone(), members, router }
}

/// Small, usual and large machines, and any other.
fn own_weight(dice: &mut Dice) -> u16 {
    let any = 1 + dice.below(256);
    let weight = *dice.pick(&[50, 100, 200, any]).unwrap_or(&any);
    u16::try_from(weight).unwrap_or(PlanRouter::EQUAL)
}

/// Tags that the group's blue and green selectors ask for, alternately.
fn wanted_tags(group: &Group, number: u32) -> BTreeMap<String, String> {
    let Strategy::BlueGreen { blue: Some(blue), green: Some(green), .. } = &group.strategy else {
        return BTreeMap::new();
    };
    match if number.is_multiple_of(2) { green } else { blue } {
        Selector::Tags(tags) => tags.clone(),
        Selector::All(_) | Selector::Any(_) | Selector::Not(_) => BTreeMap::new(),
    }
}

/// Any group the product has a strategy for.
#[must_use]
pub fn random(dice: &mut Dice) -> Scenario {
    let hosts = match dice.below(4) {
        0 => 1 + dice.below(3),
        1 | 2 => 2 + dice.below(10),
        _ => 1 + dice.below(40),
    };
    let hosts = u32::try_from(hosts).unwrap_or(1);
    let mut group = TEMPLATE.clone();
    group.strategy = strategy(dice);
    let needs_router =
        matches!(group.strategy, Strategy::BlueGreen { .. } | Strategy::Immutable { .. });
    if !needs_router && dice.permille(500) {
        group.router = None;
    }
    let tries = matches!(group.strategy, Strategy::Canary { .. } | Strategy::Linear { .. });
    if let Some(router) = &mut group.router
        && !(tries && dice.permille(500))
    {
        router.cohorts.clear();
    }
    if dice.permille(500) {
        group.analysis = None;
    }
    if dice.permille(600) {
        group.monitors.clear();
    }
    if dice.permille(700) {
        group.zones = None;
    } else if let Some(zones) = &mut group.zones {
        zones.one_at_a_time = dice.permille(400);
        zones.hold = Millis::from_secs(dice.below(60));
        zones.whole_zone = dice.permille(300);
    }
    group.min_healthy = dice.permille(400).then(|| match dice.permille(500) {
        true => Amount::Percent(u32::try_from(dice.below(100)).unwrap_or(0)),
        false => Amount::Count(u32::try_from(dice.below(u64::from(hosts))).unwrap_or(0)),
    });
    if dice.permille(300) {
        group.max_failures = MaxFailures {
            total: Amount::Percent(u32::try_from(dice.below(50)).unwrap_or(0)),
            per_batch: dice.permille(300).then_some(Amount::Count(1)),
            in_a_row: dice.permille(300).then_some(1),
        };
    }
    if dice.permille(200) {
        group.offline = OfflineHosts::Skip;
    }
    group.keep_releases.count = 1 + u32::try_from(dice.below(3)).unwrap_or(0);
    if dice.permille(150) {
        group.rollback.on.clear();
    }
    if !matches!(group.strategy, Strategy::BlueGreen { blue: None, .. })
        && !matches!(group.strategy, Strategy::Immutable { .. } | Strategy::RollingExtra { .. })
    {
        group.instances = None;
    }
    of_group(&group, hosts, dice)
}

fn amount(dice: &mut Dice) -> Amount {
    match dice.permille(500) {
        true => Amount::Count(1 + u32::try_from(dice.below(4)).unwrap_or(0)),
        false => Amount::Percent(1 + u32::try_from(dice.below(100)).unwrap_or(0)),
    }
}

fn time(dice: &mut Dice) -> Millis {
    Millis::from_secs(dice.below(600))
}

fn strategy(dice: &mut Dice) -> Strategy {
    let bake = if dice.permille(500) { Millis::ZERO } else { time(dice) };
    match dice.below(8) {
        0 => Strategy::AllAtOnce,
        1 | 2 => Strategy::Rolling {
            batch: amount(dice).into(),
            first_batch: dice.permille(300).then(|| amount(dice)),
            barrier: dice.permille(500),
            hold: dice.permille(300).then(|| time(dice)),
            bake,
        },
        3 => {
            let (batch, extra) = (amount(dice), amount(dice));
            Strategy::RollingExtra { batch, extra, hold: None, bake }
        }
        4 => Strategy::Immutable { first: amount(dice), bake, keep_old: time(dice) },
        5 => {
            let fixed = dice.permille(600);
            let set =
                |name: &str| Selector::Tags(BTreeMap::from([("set".to_owned(), name.to_owned())]));
            Strategy::BlueGreen {
                blue: fixed.then(|| set("blue")),
                green: fixed.then(|| set("green")),
                test: None,
                approve: dice.permille(400),
                promote_after: dice.permille(300).then(|| time(dice)),
                bake,
                keep_old: time(dice),
            }
        }
        6 => Strategy::Canary { steps: canary_steps(dice), bake },
        _ => Strategy::Linear {
            step: 5 + u32::try_from(dice.below(45)).unwrap_or(0),
            every: time(dice),
            bake,
        },
    }
}

fn canary_steps(dice: &mut Dice) -> Vec<CanaryStep> {
    let mut weight = 0;
    let mut steps = Vec::new();
    for _ in 0..=dice.below(3) {
        weight += 1 + u32::try_from(dice.below(30)).unwrap_or(0);
        steps.push(CanaryStep {
            weight,
            hosts: dice.permille(200).then_some(Amount::Percent((weight * 2).min(100))),
            hold: time(dice),
            min_samples: None,
            analyse: Vec::new(),
            approve: dice.permille(150),
        });
    }
    steps
}

/// The fleet with hosts to be made, as the controller would hand it to a strategy.
#[must_use]
pub fn fleet(scenario: &Scenario, members: Vec<Member>, first_new: i64) -> Fleet {
    let wanted = crate::deploy::strategy::new_hosts(&scenario.group, &members);
    let new = (0..i64::from(wanted))
        .map(|number| (AgentId(first_new + number), format!("new-{}", first_new + number)));
    Fleet { new: new.collect(), members, router: scenario.router.clone() }
}

/// How bad a day it is.
#[must_use]
pub fn weather(faults: Faults, dice: &mut Dice) -> Faults {
    // Most things go right most of the time; without calm days some paths are never walked.
    if dice.permille(300) { Faults { people: faults.people, ..Faults::NONE } } else { faults }
}
