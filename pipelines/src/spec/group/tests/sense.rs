//! Settings that are right one by one and cannot work together, and the newer settings themselves.

use super::{INSTANCES, ROUTER, check, check_after, read};
use crate::spec::group::{
    Amount, Analysis, Balancer, Bytes, CohortBy, Group, KeepReleases, Metric, Provider, SharedKind,
    Strategy, parse,
};
use crate::time::Millis;

const IN_PLACE: &str = "strategy: rolling\n";
const CANARY: &str = "strategy: Canary10Percent5Minutes\n";

#[test]
fn a_selection_of_nothing_is_refused() {
    let hosts = |text: &str| format!("group: g\napplication: a\nhosts: {text}\n");
    let both = "{tags: {role: web}, selector: {not: {tags: {role: web}}}}";
    check(&hosts(both), &["E no-hosts 3:1"]);
    check(&hosts("{selector: {all: [{tags: {a: x}}, {tags: {a: y}}]}}"), &["E no-hosts 3:1"]);
    check(&hosts("{selector: {any: [{tags: {a: x}}, {tags: {a: y}}]}}"), &[]);
    let sets = "strategy: {blue-green: {blue: {tags: {role: db}}, green: {tags: {set: b}}}}\n";
    check_after(&format!("{sets}{ROUTER}"), &["E no-hosts 4:1"]);
}

#[test]
fn hosts_are_made_where_a_strategy_wants_them() {
    for kind in ["immutable", "rolling-extra"] {
        let strategy =
            format!("strategy: {kind}\nrouter: {{port: 80, nginx: {{agent: a, upstream: u}}}}\n");
        check_after(&strategy, &["E no-instances 4:1"]);
        check_after(&format!("{strategy}{INSTANCES}"), &[]);
    }
    check_after(&format!("{IN_PLACE}{INSTANCES}"), &["E ignored-key 5:1"]);
    // A key that says nothing is no key.
    check_after(&format!("{IN_PLACE}instances:\n"), &[]);
    check_after(
        "strategy: immutable\ninstances:\nrouter:\n",
        &["E no-instances 4:1", "W no-router 4:1"],
    );
    check_after(&format!("strategy: immutable\n{INSTANCES}"), &["W no-router 4:1"]);
    check_after(&format!("strategy: immutable\n{INSTANCES}{ROUTER}"), &["E missing-key 6:1"]);
    check_after(&format!("{CANARY}{ROUTER}{INSTANCES}"), &[]);
    let sized = |count| {
        format!(
            "strategy: {{immutable: {{first: 3}}}}\nrouter: {{port: 80, nginx: {{agent: a, upstream: \
             u}}}}\ninstances: {{count: {count}, docker: {{agent: d, image: i}}}}\n"
        )
    };
    check_after(&sized(3), &[]);
    check_after(&sized(2), &["E capacity 4:1"]);
}

#[test]
fn new_hosts_belong_to_their_group() {
    let text = |hosts: &str, tags: &str| {
        format!(
            "group: g\napplication: a\nhosts: {hosts}\nstrategy: rolling-extra\ninstances: {{tags: \
             {tags}, docker: {{agent: d, image: i, memory: 512MiB, cpus: 1.5}}}}\n"
        )
    };
    let group = parse(&text("{tags: {role: web}}", "{size: s}")).into_result().unwrap().0;
    let instances = group.instances.unwrap();
    assert_eq!(instances.tags["role"], "web");
    let Provider::Docker(docker) = instances.provider;
    assert_eq!((docker.memory, docker.cpus), (Some(Bytes(512 << 20)), Some(1.5)));
    check(&text("{tags: {role: \"web*\"}}", "{size: s}"), &["E no-hosts 5:13"]);
    check(&text("{tags: {role: \"web*\"}}", "{role: web-new}"), &[]);
}

#[test]
fn what_nginx_does_not_count_is_not_watched() {
    let nginx = format!("{CANARY}router: {{nginx: {{agent: a, upstream: u}}}}\n");
    let watched = "monitors: [{name: m, router: error-rate, fail-above: 2%}]\n";
    check_after(&format!("{nginx}{watched}"), &["E no-counters 6:22"]);
    check_after(&format!("{nginx}analysis: {{every: 10s}}\n"), &["E no-counters 6:1"]);
    let asked = "monitors: [{name: m, http: {url: \"http://m/\", value: /a}, fail-above: 2}]\n";
    check_after(&format!("{nginx}{asked}"), &[]);
    let haproxy = format!("{CANARY}router: {{haproxy: {{agent: a, backend: b}}}}\n");
    check_after(&format!("{haproxy}{watched}analysis: {{every: 10s}}\n"), &[]);
}

#[test]
fn routers_check_servers_and_tell_requests_apart() {
    let router = |rest: &str| {
        format!(
            "{CANARY}router: {{haproxy: {{agent: a, backend: b, next-backend: c, map: /m}}, {rest}}}\n"
        )
    };
    let cohort = "cohorts: [{cookie: tester, value: \"yes\"}]";
    let found = read(&router(&format!("port: 8080, check: 2s, {cohort}"))).router.unwrap();
    assert_eq!((found.port, found.check.every), (Some(8080), Millis::from_secs(2)));
    assert_eq!(found.cohorts[0].by, CohortBy::Cookie("tester".to_owned()));
    assert!(matches!(found.balancer, Balancer::Haproxy { map: Some(_), .. }));
    check_after(&router("port: 70000"), &["E bad-number 5:75"]);
    check_after(&router("check: 0s"), &["E bad-duration 5:76"]);
    check_after(&router("cohorts: [{value: x}]"), &["E action-kind 5:79"]);
    check_after(&router("cohorts: [{header: A, value: \"a b\"}]"), &["E bad-value 5:98"]);
    check_after(
        &format!("{CANARY}router: {{haproxy: {{agent: a, backend: b}}, {cohort}}}\n"),
        &["E missing-key 5:43"],
    );
    let rolling = router(cohort).replace(CANARY, IN_PLACE);
    check_after(&rolling, &["E ignored-key 5:69"]);
    check_after("router: {nginx: {agent: a, upstream: u}, check: 1s}\n", &["E ignored-key 4:42"]);
}

#[test]
fn a_monitor_can_fail_and_need_not() {
    let monitor = |rest: &str| format!("{IN_PLACE}{ROUTER}monitors: [{{name: a, {rest}}}]\n");
    let group = read(&monitor("command: {agent: web-1, run: ./check}, failures: 3, of: 5"));
    assert_eq!((group.monitors[0].failures, group.monitors[0].of), (3, 5));
    assert!(matches!(&group.monitors[0].metric, Metric::Command { agent, .. } if agent == "web-1"));
    assert_eq!(read(&monitor("http: 'http://x/', failures: 2")).monitors[0].of, 2);
    check_after(&monitor("router: latency"), &["E missing-key 6:12"]);
    check_after(&monitor("router: latency, fail-above: "), &["E missing-key 6:12"]);
    check_after(&monitor("fail-above: 1"), &["E action-kind 6:12"]);
    check_after(&monitor("router: latency, fail-above: 1, fail-below: 2"), &["E capacity 6:12"]);
    check_after(&monitor("router: error-rate, fail-above: 5"), &["E capacity 6:42"]);
    check_after(&monitor("router: error-rate, fail-above: 5%, min-samples: 9"), &[]);
    check_after(&monitor("http: 'http://x/', min-samples: 9"), &["E ignored-key 6:41"]);
    check_after(&monitor("http: 'http://x/', fail-above: 9"), &["E ignored-key 6:41"]);
    check_after(
        &monitor("http: {url: 'http://x/', value: a.b}, fail-above: 9"),
        &["E bad-value 6:54"],
    );
    check_after(&monitor("http: 'http://x/', failures: 3, of: 2"), &["E capacity 6:54"]);
    check_after(&monitor("http: 'http://x/', every: 0s"), &["E bad-duration 6:48"]);
    check_after("monitors: [{name: a, router: latency, fail-above: 1}]\n", &["E no-router 4:22"]);
}

#[test]
fn a_judgement_needs_two_revisions_and_a_router() {
    let group = read(&format!("{CANARY}{ROUTER}analysis:\n"));
    assert_eq!(group.analysis, Some(Analysis::default()));
    check_after(&format!("{CANARY}analysis:\n"), &["E no-router 5:1"]);
    check_after(&format!("{IN_PLACE}{ROUTER}analysis:\n"), &["E ignored-key 6:1"]);
    let judged = |rule: &str| format!("{CANARY}{ROUTER}analysis: {{{rule}}}\n");
    check_after(&judged("errors: {ratio: 1}"), &["E capacity 6:28"]);
    check_after(&judged("errors: {p: 2}"), &["E bad-number 6:24"]);
    check_after(&judged("latency: {windows: 6}"), &["E capacity 6:21"]);
    check_after(&judged("inconclusive: promot"), &["E bad-value 6:26"]);
    check_after(&judged("every: 0s"), &["E bad-duration 6:19"]);
}

#[test]
fn budgets_end_a_deployment_at_some_point() {
    let group = read("max-failures: {total: 10%, per-batch: 1}\n");
    assert_eq!(group.max_failures.per_batch, Some(Amount::Count(1)));
    assert_eq!(read("max-failures: 2\n").max_failures, Amount::Count(2).into());
    check_after("max-failures: 100%\n", &["W capacity-doubt 4:1"]);
    check_after("max-failures: {per-batch: 1}\n", &["E missing-key 4:15"]);
    check_after("max-failures: {total: 1, per-batch: 2}\n", &["W capacity-doubt 4:1"]);
    check_after("max-failures: {total: 1, in-a-row: 2}\n", &["W capacity-doubt 4:1"]);
    check_after("min-healthy: 75%\nmax-failures: 30%\n", &["W capacity-doubt 5:1"]);
}

#[test]
fn what_stays_on_a_host_is_named_once() {
    let group = read("keep-releases: {bytes: 2GB}\nshared: [/srv/a, {path: /srv/b, kind: file}]\n");
    assert_eq!(group.keep_releases, KeepReleases { count: 5, bytes: Some(Bytes(2_000_000_000)) });
    assert_eq!(
        group.shared.iter().map(|shared| shared.kind).collect::<Vec<_>>(),
        [SharedKind::Directory, SharedKind::File]
    );
    check_after("keep-releases: {bytes: 2000}\n", &["E bad-number 4:24"]);
    check_after("shared: [srv/a]\n", &["E bad-path 4:10"]);
    check_after("shared: [/srv/../etc]\n", &["E bad-path 4:10"]);
    check_after("shared: [/]\n", &["E bad-path 4:10"]);
    check_after("shared: [/srv/a, /srv/a/b]\n", &["E duplicate-name 4:18"]);
    check_after("shared: [/srv/a, /srv/ab]\n", &[]);
}

#[test]
fn batches_grow() {
    let batch = |text: &str| format!("strategy: {{rolling: {{{text}}}}}\n");
    let Strategy::Rolling { batch: found, .. } = read(&batch("batch: [1, 10%, 50%]")).strategy
    else {
        panic!()
    };
    assert_eq!((found.nth(0), found.last()), (Amount::Count(1), Amount::Percent(50)));
    check_after(&batch("batch: [2, 1]"), &["E bad-value 4:33"]);
    check_after(&batch("batch: [0, 1]"), &["E capacity 4:30"]);
    check_after(&batch("batch: []"), &["E missing-key 4:29"]);
    check_after(&batch("batch: [1, 2], first-batch: 1"), &["E ignored-key 4:37"]);
    check_after(&batch("batch: 1, first-batch: 2"), &["E bad-value 4:32"]);
    check_after("strategy: CodeDeployDefault.OneAtATim\n", &["E bad-value 4:11"]);
    let help = &parse(
        "group: g\napplication: a\nhosts: {tags: {a: b}}\nstrategy: \
                       CodeDeployDefault.OneAtATim\n",
    )
    .problems[0]
        .help;
    assert_eq!(help, "write `OneAtATime`");
}

#[test]
fn zones_leave_room() {
    check_after("strategy: all-at-once\nzones: az\n", &["E ignored-key 5:1"]);
    check_after("zones: {tag: az, min-healthy: 100%}\n", &["E capacity 4:1"]);
    check_after("zones: {tag: az, min-healthy: 1, whole-zone: true}\n", &["W capacity-doubt 4:1"]);
}

#[test]
fn some_time_is_left_to_deploy_in() {
    let times = |windows: &str, freeze: &str| format!("windows: [{windows}]\nfreeze: [{freeze}]\n");
    let weekend = "{days: [sat-sun], from: '00:00', to: '24:00'}";
    check_after(&times(weekend, weekend), &["E bad-schedule 5:1"]);
    check_after(&times("{days: [fri-sat], from: '09:00', to: '10:00'}", weekend), &[]);
    check_after(&times("", "{from: '00:00', to: '24:00'}"), &["E bad-schedule 5:1"]);
    check_after("windows: [{days: [], from: '09:00', to: '10:00'}]\n", &["E bad-schedule 4:18"]);
}

#[test]
fn groups_stored_before_there_were_more_keys_still_read() {
    let stored = serde_json::json!({
        "version": 1, "group": "web", "application": "shop", "hosts": {"tags": {"role": "web"}},
        "strategy": {"rolling": {"batch": 2}}, "max-failures": 1, "keep-releases": 3,
        "ignore-stop-failures": true, "timeout": "1h",
    });
    let group: Group = serde_json::from_value(stored).unwrap();
    assert_eq!(group.strategy, Strategy::rolling(Amount::Count(2).into()));
    assert_eq!((group.max_failures.total, group.keep_releases.count), (Amount::Count(1), 3));
}
