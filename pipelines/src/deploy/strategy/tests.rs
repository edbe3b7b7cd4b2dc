//! Plans from settings and fleets.

use super::*;
use crate::deploy::tests::{fleet_of, group, member, plan_for, rolling};
use crate::spec::group::Amount;

fn batches(plan: &Plan) -> Vec<Vec<i64>> {
    plan.steps.iter().map(|step| step.hosts().iter().map(|id| id.0).collect()).collect()
}

fn fleet(count: i64) -> Vec<Member> {
    (1..=count).map(|id| member(id, Some("v1"))).collect()
}

#[test]
fn rolling_starts_with_one_host_then_goes_in_batches() {
    let plan = plan_for(&group(rolling(2), None), &fleet(6), "v2");
    assert_eq!(batches(&plan), [vec![1], vec![2, 3], vec![4, 5], vec![6]]);
    assert_eq!(plan.limits.min_healthy, 4);
    assert_eq!(plan.strategy, "rolling, first 1, then 2 at a time");
}

#[test]
fn a_group_may_say_how_large_the_first_batch_is() {
    let batch = Amount::Percent(50);
    let strategy = Strategy::Rolling {
        batch: batch.into(),
        first_batch: Some(batch),
        barrier: true,
        hold: None,
        bake: Millis::ZERO,
    };
    let plan = plan_for(&group(strategy, None), &fleet(5), "v2");
    assert_eq!(batches(&plan), [vec![1, 2, 3], vec![4, 5]], "a percentage rounds up");
}

#[test]
fn all_at_once_is_one_step_and_no_hosts_is_none() {
    let all = group(Strategy::AllAtOnce, None);
    assert_eq!(batches(&plan_for(&all, &fleet(3), "v2")), [vec![1, 2, 3]]);
    assert!(plan_for(&all, &[], "v2").steps.is_empty());
}

#[test]
fn hosts_out_of_service_go_first_then_zones_take_turns() {
    let mut hosts = fleet(5);
    for (host, zone) in hosts.iter_mut().zip(["a", "a", "a", "b", "b"]) {
        host.tags.insert("zone".to_owned(), zone.to_owned());
    }
    hosts[4].serving = None;
    let plan = plan_for(&group(rolling(1), None), &hosts, "v2");
    let order: Vec<i64> = plan.hosts.iter().map(|host| host.id.0).collect();
    assert_eq!(order, [5, 1, 4, 2, 3]);
}

#[test]
fn names_are_ordered_as_people_count() {
    let mut hosts = fleet(10);
    hosts.reverse();
    let plan = plan_for(&group(rolling(1), None), &hosts, "v2");
    let order: Vec<i64> = plan.hosts.iter().map(|host| host.id.0).collect();
    assert_eq!(order, (1..=10).collect::<Vec<_>>());
}

#[test]
fn a_floor_that_forbids_every_deployment_is_refused_in_words() {
    let group = group(rolling(1), Some(Amount::Percent(75)));
    let order = Order {
        deployment: DeploymentId(1),
        revision: crate::deploy::tests::revision("v2"),
        purpose: Purpose::Forward,
    };
    let error = compile(&group, &fleet_of(&fleet(3)), order).unwrap_err();
    assert!(error.to_string().contains("3 of 3 hosts"), "{error}");
}

#[test]
fn a_rollback_needs_no_probe_host_and_never_rolls_back_itself() {
    let order = Order {
        deployment: DeploymentId(1),
        revision: crate::deploy::tests::revision("v1"),
        purpose: Purpose::Rollback,
    };
    let plan = compile(&group(rolling(1), None), &fleet_of(&fleet(4)), order).unwrap();
    assert_eq!(batches(&plan), [vec![1, 2, 3, 4]]);
    assert!(matches!(plan.steps[0], Step::Install { width: 2, .. }), "twice as fast");
    assert_eq!(plan.rollback, RollbackOn::NEVER);
}

/// A group of fixed hosts that its instances take the place of.
fn replaced(router: &str) -> (Group, Vec<Member>) {
    let text = format!(
        "version: 1\ngroup: g\napplication: a\nhosts: {{tags: {{role: web}}}}\nstrategy: immutable\n\
         instances: {{docker: {{agent: d, image: i}}}}\n{router}"
    );
    let group = crate::spec::group::parse(&text).value.expect("the group has no errors");
    let mut members = fleet(3);
    members.iter_mut().for_each(|member| member.lane = Lane::In { weight: 100 });
    (group, members)
}

#[test]
fn a_group_does_not_grow_when_instances_take_the_place_of_fixed_hosts() {
    let (group, mut members) =
        replaced("router: {port: 80, haproxy: {agent: lb, backend: shop}}\n");
    assert_eq!(new_hosts(&group, &members), 3);
    // The fixed ones are out of traffic from then on, and stay members.
    members.iter_mut().for_each(|member| member.lane = Lane::Out);
    for id in 4..=6 {
        let lane = Lane::In { weight: 100 };
        members.push(Member { lane, instance: true, ..member(id, Some("v2")) });
    }
    assert_eq!(new_hosts(&group, &members), 3, "and not six");
    members.iter_mut().for_each(|member| member.lane = Lane::Out);
    assert_eq!(new_hosts(&group, &members), 6, "where nobody serves, all there are");
}

#[test]
fn fixed_hosts_that_cannot_be_taken_out_of_service_are_not_replaced() {
    let (group, mut members) = replaced("");
    let plan = |members: &[Member]| {
        let new = vec![(AgentId(9), "new-9".to_owned())];
        let fleet = Fleet { members: members.to_vec(), new, router: None };
        let (revision, purpose) = (crate::deploy::tests::revision("v2"), Purpose::Forward);
        compile(&group, &fleet, Order { deployment: DeploymentId(1), revision, purpose })
    };
    let refused = plan(&members).unwrap_err().to_string();
    assert!(refused.contains("host-1 was not made by the group"), "{refused}");
    members.iter_mut().for_each(|member| member.instance = true);
    assert!(plan(&members).is_ok());
}

#[test]
fn a_first_canary_is_not_compared_with_nobody() {
    let text = "version: 1\ngroup: g\napplication: a\nhosts: {tags: {role: web}}\nanalysis:\n\
                monitors: [{name: up, http: {url: \"http://shop.example.com/\"}}]\n\
                router: {haproxy: {agent: lb, backend: shop}}\nstrategy: Canary10Percent5Minutes\n";
    let parsed = crate::spec::group::parse(text);
    let group = parsed.value.unwrap_or_else(|| panic!("{:?}", parsed.problems));
    let settings = group.router.clone().expect("the group has one");
    let plan = |members: &[Member]| {
        let router = PlanRouter {
            agent: AgentId(99),
            name: "lb".to_owned(),
            settings: settings.clone(),
            drain: Millis::ZERO,
            ready: Millis::ZERO,
            equal: 100,
        };
        let fleet = Fleet { members: members.to_vec(), new: Vec::new(), router: Some(router) };
        let (revision, purpose) = (crate::deploy::tests::revision("v2"), Purpose::Forward);
        compile(&group, &fleet, Order { deployment: DeploymentId(1), revision, purpose }).unwrap()
    };
    let judged = |plan: &Plan| {
        plan.steps.iter().any(|step| matches!(step, Step::Hold { judge: Some(_), .. }))
    };
    let routed = |serving: Option<&str>| -> Vec<Member> {
        let lane = if serving.is_some() { Lane::In { weight: 100 } } else { Lane::Out };
        (1..=4).map(|id| Member { lane, ..member(id, serving) }).collect()
    };
    let (mut first, later) = (routed(None), routed(Some("v1")));
    assert!(judged(&plan(&later)), "{:?}", plan(&later).steps);
    let unjudged = plan(&first);
    assert!(!judged(&unjudged));
    assert!(unjudged.strategy.ends_with("no host serves anything yet to compare it with"));
    assert_eq!(unjudged.monitors, ["up"], "monitors count as ever");
    // Whoever installed it: what answers can be compared with.
    (first[0].answers, first[0].lane) = (true, Lane::In { weight: 100 });
    assert!(judged(&plan(&first)));
}
