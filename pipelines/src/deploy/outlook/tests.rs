//! Plans in words.

use super::*;
use crate::deploy::strategy::{Fleet, Member, Order, compile};
use crate::deploy::tests::{group, member, plan_for, revision, rolling};
use crate::deploy::{Lane, PlanRouter};
use crate::ids::DeploymentId;
use crate::protocol::task::Purpose;
use crate::spec::group::{Amount, Group, Strategy};

fn fleet(count: i64) -> Vec<Member> {
    (1..=count).map(|id| member(id, Some("v1"))).collect()
}

#[test]
fn the_floor_is_said_with_the_sum_it_comes_from() {
    let cases = [
        (
            Some(Amount::Percent(75)),
            6,
            3,
            "6 hosts; at least 5 stay in service (min-healthy 75% of 6 = 4.5, rounded up), so 1 at a time",
        ),
        (
            Some(Amount::Percent(50)),
            6,
            2,
            "6 hosts; at least 3 stay in service (min-healthy 50% of 6 = 3), so 2 at a time",
        ),
        (
            Some(Amount::Count(1)),
            2,
            1,
            "2 hosts; at least 1 stays in service (min-healthy 1), so 1 at a time",
        ),
        (
            None,
            3,
            3,
            "3 hosts; none has to stay in service (no min-healthy is set, so it is what the strategy \
             leaves), so 3 at a time",
        ),
    ];
    for (asked, total, batch, expected) in cases {
        let strategy = if batch == total { Strategy::AllAtOnce } else { rolling(batch) };
        let group = group(strategy, asked);
        let plan = plan_for(&group, &fleet(i64::from(total)), "v2");
        assert_eq!(capacity(&group, &plan)[0], expected);
    }
}

#[test]
fn batches_are_counted_and_a_floor_that_narrows_them_is_said() {
    let wide = group(rolling(2), None);
    let plan = plan_for(&wide, &fleet(6), "v2");
    assert_eq!(capacity(&wide, &plan)[1], "4 batches: 1, then 2 times 2, then 1");
    let single = group(rolling(1), None);
    let said = capacity(&single, &plan_for(&single, &fleet(3), "v2"));
    assert_eq!(said[1], "3 batches of 1");
    let last = said.last().unwrap();
    assert!(
        last.ends_with("its earlier revision, 2 at a time, with at least 1 in service"),
        "{last}"
    );
    let narrow = group(rolling(3), Some(Amount::Count(5)));
    let plan = plan_for(&narrow, &fleet(6), "v2");
    let said = capacity(&narrow, &plan);
    assert!(
        said[1].ends_with("of a batch only 1 may be out at once, the others wait for them"),
        "{said:?}"
    );
}

#[test]
fn a_fleet_at_its_floor_is_told_that_nobody_may_leave() {
    let group = group(rolling(1), Some(Amount::Count(2)));
    let mut hosts = fleet(3);
    hosts[2].serving = None;
    let said = capacity(&group, &plan_for(&group, &hosts, "v2")).join("\n");
    let expected =
        "2 of 3 serve now, without host-3; until more do, none of those that serve may leave";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn the_failure_budget_is_said_in_hosts() {
    let mut group = group(rolling(1), None);
    assert!(
        capacity(&group, &plan_for(&group, &fleet(3), "v2")).contains(&"no host may fail".into())
    );
    group.max_failures = Amount::Percent(34).into();
    let said = capacity(&group, &plan_for(&group, &fleet(6), "v2")).join("\n");
    let expected =
        "at most 2 may fail (max-failures 34% of 6, rounded down), and none in the first batch";
    assert!(said.contains(expected), "{said}");
}

fn behind_a_router(steps: &str) -> (Group, Plan) {
    let text = format!(
        "version: 1\ngroup: g\napplication: a\nhosts: {{tags: {{role: web}}}}\n\
         router: {{haproxy: {{agent: lb, backend: b, socket: /run/s}}}}\n{steps}"
    );
    let group = crate::spec::group::parse(&text).into_result().unwrap().0;
    let mut members = fleet(4);
    members.iter_mut().for_each(|member| member.lane = Lane::In { weight: 100 });
    let router = PlanRouter {
        agent: AgentId(9),
        name: "lb".to_owned(),
        settings: group.router.clone().unwrap(),
        drain: Millis::ZERO,
        ready: Millis::ZERO,
        equal: 100,
    };
    let fleet = Fleet { members, new: Vec::new(), router: Some(router) };
    let order =
        Order { deployment: DeploymentId(1), revision: revision("v2"), purpose: Purpose::Forward };
    let plan = compile(&group, &fleet, order).unwrap();
    (group, plan)
}

#[test]
fn every_shift_says_what_each_host_gets() {
    let (_, plan) =
        behind_a_router("strategy: {canary: {steps: [{weight: 25, hold: 5m}], bake: 1m}}\n");
    let shifts = traffic(&plan);
    let weights: Vec<Vec<u16>> =
        shifts.values().map(|hosts| hosts.iter().map(|(_, weight)| *weight).collect()).collect();
    // A quarter to one of four is as much as each has; then everybody gets the same.
    assert_eq!(weights[0].len(), 4);
    let (new, old) =
        (u64::from(weights[0][0]), weights[0][1..].iter().map(|w| u64::from(*w)).sum::<u64>());
    assert_eq!(new * 3, old, "{weights:?}");
    assert_eq!(weights[1], [100, 100, 100, 100]);
    assert_eq!(least_time(&plan), Millis::from_minutes(6));
    let unrouted = plan_for(&group(rolling(1), None), &fleet(2), "v2");
    assert!(traffic(&unrouted).is_empty());
}

#[test]
fn a_deployment_that_would_not_start_says_why() {
    let group = group(rolling(1), None);
    let mut plan = plan_for(&group, &fleet(3), "v2");
    assert_eq!(refusal(&plan, |_| true), None);
    let text = refusal(&plan, |id| id.0 != 2).unwrap();
    assert!(text.starts_with("the agent is silent on host-2;"), "{text}");
    plan.host.skip_offline = true;
    assert_eq!(refusal(&plan, |id| id.0 != 2), None);
    assert_eq!(refusal(&plan, |_| false).unwrap(), "every agent of the group is silent");
    assert!(refusal(&plan_for(&group, &[], "v2"), |_| true).unwrap().contains("selector"));
}

#[test]
fn what_cannot_be_undone_is_named() {
    let mut group = group(rolling(1), None);
    let known = |hooks: &[(&str, &str)]| {
        let hooks = hooks.iter().map(|(event, script)| ((*event).to_owned(), (*script).to_owned()));
        IrreversibleHooks::Known(hooks.collect())
    };
    let plan = plan_for(&group, &fleet(2), "v2");
    assert!(cannot_be_undone(&plan, &known(&[])).is_empty(), "it goes back to v1 everywhere");
    let mut hosts = fleet(2);
    hosts[1].good = None;
    group.hooks.irreversible = vec!["AfterInstall".to_owned()];
    let plan = plan_for(&group, &hosts, "v2");
    let said = cannot_be_undone(&plan, &known(&[("AfterInstall", "hooks/migrate.sh")]));
    assert!(
        said[0].contains("(AfterInstall runs hooks/migrate.sh): once a host was changed"),
        "{said:?}"
    );
    assert!(said[1].starts_with("host-2 does not have an earlier revision"), "{said:?}");
    let said = cannot_be_undone(&plan, &IrreversibleHooks::Unknown);
    assert!(said[0].contains("no host said whether"), "{said:?}");
}
