//! What can be wrong with a group, and what its short forms mean.

mod sense;

use crate::spec::group::{Amount, Group, RollbackOn, Strategy, parse};
use crate::spec::{Kind, trial};
use crate::time::Millis;

const INSTANCES: &str = "instances: {docker: {agent: d, image: i}}\n";
const ROUTER: &str = "router: {haproxy: {agent: a, backend: b}}\n";
const HEAD: &str = "group: web\napplication: shop\nhosts: {tags: {role: web}}\n";

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    trial::check(Kind::Group, text, expected);
}

/// After a head of three lines that is all right.
#[track_caller]
fn check_after(text: &str, expected: &[&str]) {
    check(&format!("{HEAD}{text}"), expected);
}

#[track_caller]
fn read(rest: &str) -> Group {
    parse(&format!("{HEAD}{rest}")).into_result().unwrap().0
}

#[test]
fn the_example_reads_as_meant() {
    let text = "version: 1
group: production
application: shop
hosts: {tags: {role: web, env: production}}
strategy: {canary: {steps: [{weight: 10, hold: 5m}, {weight: 50, hold: 10m}]}}
min-healthy: 75%
router: {haproxy: {agent: lb-1, backend: shop}}
monitors:
  - {name: errors, prometheus: {url: 'http://p:9090', query: up}, fail-above: 0.02}
rollback: {on: [failure, alarm, stop]}
";
    let group = parse(text).into_result().unwrap().0;
    assert_eq!((group.name.as_str(), group.min_healthy), ("production", Some(Amount::Percent(75))));
    let Strategy::Canary { steps, .. } = &group.strategy else { panic!() };
    assert_eq!((steps[1].weight, steps[1].hold), (50, Millis::from_minutes(10)));
    assert_eq!(group.router.unwrap().balancer.agent(), "lb-1");
    assert_eq!(group.monitors[0].fail_above, Some(0.02));
}

#[test]
fn defaults_are_careful() {
    let group = read("");
    assert_eq!(group.strategy, Strategy::default());
    assert_eq!(group.rollback.on, [RollbackOn::Failure, RollbackOn::Alarm, RollbackOn::Stop]);
    assert_eq!((group.keep_releases.count, group.ignore_stop_failures), (5, true));
    assert_eq!((group.timeout, group.drain.timeout), (Millis::from_minutes(60), Millis(30_000)));
    assert!(read("rollback: never\n").rollback.on.is_empty());
}

#[test]
fn strategies_have_short_forms_and_names_of_aws() {
    let rolling = |batch: Amount, first_batch| {
        let (batch, bake) = (batch.into(), Millis::ZERO);
        Strategy::Rolling { batch, first_batch, barrier: false, hold: None, bake }
    };
    let cases = [
        ("all-at-once", Strategy::AllAtOnce),
        ("CodeDeployDefault.AllAtOnce", Strategy::AllAtOnce),
        ("OneAtATime", rolling(Amount::Count(1), None)),
        ("rolling", rolling(Amount::Count(1), None)),
        ("{rolling: }", rolling(Amount::Count(1), None)),
        (
            "{rolling: {batch: 25%, first-batch: 1}}",
            rolling(Amount::Percent(25), Some(Amount::Count(1))),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(read(&format!("strategy: {text}\n")).strategy, expected, "{text}");
    }
    assert_eq!(read("strategy: HalfAtATime\n").min_healthy, Some(Amount::Percent(50)));
    check_after("strategy: roling\n", &["E bad-value 4:11"]);
    check_after("strategy: canary\n", &["E bad-value 4:11"]);
    check_after("strategy: {roling: {}}\n", &["E unknown-key 4:12"]);
    check_after("strategy: {}\n", &["E action-kind 4:11"]);
    check_after("strategy: {rolling: {batch: 1}, all-at-once: }\n", &["E action-kind 4:11"]);
}

#[test]
fn capacity_that_cannot_work_is_refused() {
    check_after("strategy: {rolling: {batch: 0}}\n", &["E capacity 4:29"]);
    check_after("strategy: {rolling: {batch: 101%}}\n", &["E bad-number 4:29"]);
    check_after("strategy: all-at-once\nmin-healthy: 1\n", &["E capacity 5:1"]);
    check_after("strategy: all-at-once\nmin-healthy: 0\n", &[]);
    check_after("min-healthy: 100%\n", &["E capacity 4:1"]);
    check_after("min-healthy: 95%\n", &["W capacity-doubt 4:1"]);
    check_after("strategy: {rolling: {batch: 50%}}\nmin-healthy: 75%\n", &["W capacity-doubt 5:1"]);
    let extra = "strategy: {rolling-extra: {batch: 2}}\nmin-healthy: 100%\n";
    check_after(&format!("{extra}{INSTANCES}"), &[]);
    check_after("strategy: HalfAtATime\nmin-healthy: 100%\n", &["E capacity 5:1"]);
}

#[test]
fn a_canary_grows_on_hosts_that_can_carry_it() {
    let canary =
        |steps: &str| format!("strategy: {{canary: {{bake: 1m, steps: [{steps}]}}}}\n{ROUTER}");
    check_after(&canary("{weight: 90, hosts: 10%}"), &["E capacity 4:39"]);
    check_after(&canary("{weight: 10, hold: 1m}, {weight: 10}"), &["E bad-value 4:63"]);
    check_after(&canary("{weight: 100, hold: 1m}, {weight: 50}"), &["E bad-value 4:64"]);
    check_after(&canary("{weight: 0}"), &["E bad-number 4:48"]);
    check_after(&canary(""), &["E missing-key 4:38"]);
    check_after(&canary("{weight: 10, analyse: [nope]}"), &["E unknown-name 4:62"]);
    check_after(&canary("{weight: 10}, {weight: 20}"), &["W no-hold 4:39"]);
    check_after(&canary("{weight: 10, approve: true}, {weight: 20}"), &[]);
    check_after(&format!("{}analysis:\n", canary("{weight: 10}, {weight: 20}")), &[]);
    check_after(
        &format!("strategy: {{linear: {{step: 10, every: 0s}}}}\n{ROUTER}"),
        &["W no-hold 4:31"],
    );
    check_after("strategy: Canary10Percent5Minutes\n", &["W no-router 4:1"]);
}

#[test]
fn blue_and_green_are_two_sets_with_a_router() {
    check_after(
        &format!(
            "strategy: blue-green\n{INSTANCES}router: {{port: 80, haproxy: {{agent: a, \
                          backend: b}}}}\n"
        ),
        &[],
    );
    check_after(&format!("strategy: blue-green\n{ROUTER}"), &["E no-instances 4:1"]);
    check_after(
        &format!("strategy: {{blue-green: {{blue: {{tags: {{a: b}}}}}}}}\n{ROUTER}"),
        &["E missing-key 4:24"],
    );
    let sets = |green: &str| {
        format!(
            "strategy: {{blue-green: {{blue: {{tags: {{set: a}}}}, \
             green: {{tags: {{set: {green}}}}}}}}}\n"
        )
    };
    check_after(&sets("b"), &["E no-router 4:1"]);
    let router = "router: {nginx: {agent: a, upstream: b}}\n";
    check_after(&format!("{}{router}", sets("b")), &[]);
    check_after(&format!("{}{router}", sets("a")), &["E capacity 4:24"]);
}

#[test]
fn hosts_are_selected_by_something() {
    let hosts = |text: &str| format!("group: g\napplication: a\nhosts: {text}\n");
    check(&hosts("{}"), &["E no-hosts 3:8"]);
    check(&hosts("{tags: {}}"), &["E no-hosts 3:8"]);
    check(&hosts("{tags: {role: }}"), &["E missing-key 3:16"]);
    check(&hosts("{selector: {any: []}}"), &["E no-hosts 3:25"]);
    check(&hosts("{selector: {tags: {a: b}, not: {tags: {a: b}}}}"), &["E action-kind 3:19"]);
    check(&hosts("{selector: {not: {tags: {a: b}}}}"), &[]);
    check("group: g\n", &["E missing-key 1:1", "E missing-key 1:1"]);
}

#[test]
fn health_monitors_and_the_rest_are_checked() {
    assert_eq!(read("health: http://127.0.0.1/x\n").health.unwrap().status, 200);
    check_after("health: {http: 'http://x', timeout: 5s, healthy-for: 10s}\n", &["E capacity 4:9"]);
    check_after("health: {http: 'http://x', interval: 0s}\n", &["E capacity 4:9"]);
    check_after("health: {http: /x}\n", &["E bad-url 4:16"]);
    check_after("router: {}\n", &["E action-kind 4:9"]);
    check_after("rollback: {on: [failures]}\n", &["E bad-value 4:17"]);
    check_after("keep-releases: 0\n", &["E bad-number 4:16"]);
    check_after("ignore-stop-failures: yes\n", &["E bad-boolean 4:23"]);
    check_after(
        "windows: [{days: [mon], from: 2026-01-01, to: 2026-01-02}]\n",
        &["E bad-schedule 4:31"],
    );
    assert_eq!(read("zones: az\n").zones.unwrap().tag, "az");
    check_after(&format!("drain: 5s\n{ROUTER}"), &[]);
    check_after("drain: 5s\n", &["W ignored-key 4:1"]);
    check_after("timeout: 0s\n", &["E bad-duration 4:10"]);
    check_after("timeout: 5m\nhooks: {timeout: 10m}\n", &["W capacity-doubt 5:1"]);
    check_after("timeout: 5m\nhooks: {env: {A: b}}\n", &[]);
    check_after("hooks: {irreversible: [AfterInstal]}\n", &["E bad-value 4:24"]);
}
