use super::*;
use crate::protocol::answer::{Counters, ServerCounters};
use crate::spec::group::{Metric, RouterMetric};

const NOW: Timestamp = Timestamp(10_000_000);

fn monitor(rest: &str) -> Monitor {
    let text = format!(
        "group: shop\napplication: shop\nhosts: {{tags: {{role: web}}}}\nmonitors: [{{name: m, \
         command: {{agent: a, run: x}}, {rest}}}]\n"
    );
    crate::spec::group::parse(&text).value.unwrap().monitors.remove(0)
}

/// One look a second; the last one is now.
fn samples(looks: &[Look]) -> Vec<Sample> {
    let at = |index: usize| NOW - Millis::from_secs((looks.len() - 1 - index) as u64);
    looks.iter().enumerate().map(|(i, look)| Sample { at: at(i), look: look.clone() }).collect()
}

fn state(monitor: &Monitor, looks: &[Look]) -> MonitorState {
    fact(monitor, &samples(looks), None, NOW).state
}

fn values(values: &[f64]) -> Vec<Look> {
    values.iter().map(|value| Look::value(*value)).collect()
}

#[test]
fn so_many_bad_values_of_so_many_make_an_alarm() {
    let monitor = monitor("fail-above: 2%, failures: 3, of: 5");
    let cases = [
        (values(&[0.01]), MonitorState::Ok),
        (values(&[0.9, 0.9]), MonitorState::Ok),
        (values(&[0.9, 0.9, 0.9]), MonitorState::Fail),
        (values(&[0.9, 0.0, 0.9, 0.0, 0.9]), MonitorState::Fail),
        (values(&[0.9, 0.0, 0.9, 0.0, 0.0, 0.9]), MonitorState::Ok),
        (values(&[0.02, 0.02, 0.02]), MonitorState::Ok),
    ];
    for (looks, expected) in cases {
        assert_eq!(state(&monitor, &looks), expected, "{looks:?}");
    }
    let said = fact(&monitor, &samples(&values(&[0.0, 0.07])), None, NOW);
    assert_eq!(said.reason, "0.07, fails above 0.02; 1 of the last 5 bad, 3 make an alarm");
    assert_eq!(said.looked_at, NOW);
}

#[test]
fn no_data_is_never_success_and_heals_nothing() {
    let none = || Look::missing("silence");
    let hold = monitor("fail-above: 1, failures: 2");
    assert_eq!(state(&hold, &[]), MonitorState::NoData);
    assert_eq!(state(&hold, &[none()]), MonitorState::NoData);
    assert_eq!(state(&hold, &[Look::Value(0.0), none()]), MonitorState::NoData);
    assert_eq!(state(&hold, &[none(), Look::Value(0.0)]), MonitorState::Ok);
    let split = [Look::Value(2.0), none(), none(), none(), Look::Value(2.0)];
    assert_eq!(state(&hold, &split), MonitorState::Fail, "silence pushes nothing out");
    let fail = monitor("fail-above: 1, failures: 2, no-data: fail");
    assert_eq!(state(&fail, &[none()]), MonitorState::NoData);
    assert_eq!(state(&fail, &[none(), none()]), MonitorState::Fail);
    assert_eq!(state(&fail, &[]), MonitorState::NoData);
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(state(&hold, &[Look::value(value)]), MonitorState::NoData, "{value}");
    }
}

#[test]
fn both_bounds_hold_and_what_is_bad_by_itself_needs_none() {
    let both = monitor("fail-above: 10, fail-below: 5");
    for (value, expected) in [
        (4.9, MonitorState::Fail),
        (5.0, MonitorState::Ok),
        (10.0, MonitorState::Ok),
        (10.1, MonitorState::Fail),
        (f64::MAX, MonitorState::Fail),
        (f64::MIN, MonitorState::Fail),
    ] {
        assert_eq!(state(&both, &[Look::Value(value)]), expected, "{value}");
    }
    let none = monitor("dry-run: false");
    assert_eq!(state(&none, &[Look::Bad { why: "exit code 1".to_owned() }]), MonitorState::Fail);
    assert_eq!(state(&none, &[Look::Good]), MonitorState::Ok);
}

#[test]
fn a_look_grows_old() {
    let monitor = monitor("fail-above: 1, every: 30s, no-data: fail");
    let old = |secs| Sample { at: NOW - Millis::from_secs(secs), look: Look::Value(0.0) };
    assert_eq!(fact(&monitor, &[old(120)], None, NOW).state, MonitorState::Ok);
    let said = fact(&monitor, &[old(121)], None, NOW);
    assert_eq!(
        (said.state, said.reason.as_str()),
        (MonitorState::NoData, "the last look was 2 min 1 s ago")
    );
    assert!(!is_due(&monitor, Some(&old(29)), None, NOW));
    assert!(is_due(&monitor, Some(&old(30)), None, NOW));
    assert!(is_due(&monitor, None, None, NOW));
    assert!(is_due(&monitor, Some(&old(3)), Some(NOW - Millis::from_secs(2)), NOW), "a hold began");
    assert!(!is_due(&monitor, Some(&old(3)), Some(NOW - Millis::from_secs(4)), NOW));
}

#[test]
fn a_persons_word_counts_instead() {
    let monitor = monitor("fail-above: 1");
    let word = |state| Override { state, by: "ada".into(), reason: "drill".into(), at: NOW };
    let bad = samples(&[Look::Value(2.0)]);
    let ok = fact(&monitor, &bad, Some(&word(Forced::Ok)), NOW);
    assert_eq!((ok.state, ok.reason.as_str()), (MonitorState::Ok, "set by ada: drill"));
    let alarm = fact(&monitor, &[], Some(&word(Forced::Alarm)), NOW);
    assert_eq!((alarm.state, alarm.looked_at), (MonitorState::Fail, NOW));
}

fn counters(life: &str, servers: &[(&str, u64, u64, Option<u32>)]) -> Counters {
    let server = |(name, requests, errors, latency_ms): &(&str, u64, u64, Option<u32>)| {
        let name = (*name).to_owned();
        ServerCounters { name, requests: *requests, errors: *errors, latency_ms: *latency_ms }
    };
    Counters { life: life.to_owned(), servers: servers.iter().map(server).collect() }
}

#[test]
fn counters_are_compared_with_themselves_only() {
    let before = counters("1", &[("a", 100, 1, None), ("b", 50, 0, None), ("c", 7, 7, None)]);
    let after =
        counters("1", &[("a", 300, 5, Some(10)), ("b", 150, 2, Some(40)), ("d", 9, 9, None)]);
    let all = sum(&before, &after, ["a", "b", "c", "d", "e"]);
    assert_eq!((all.servers, all.requests, all.errors, all.latency), (2, 300, 6, Some(20.0)));
    let anew = counters("2", &[("a", 300, 5, None)]);
    assert_eq!(sum(&before, &anew, ["a"]), Sum::default());
    let fell = counters("1", &[("a", 99, 9, None), ("b", 60, 0, None)]);
    assert_eq!(sum(&before, &fell, ["a", "b"]).requests, 10, "b alone");
    let refused = counters("1", &[("a", 100, 9, None)]);
    let refused = sum(&before, &refused, ["a"]);
    assert_eq!((refused.requests, refused.errors), (8, 8), "errors without a counted request");
    let huge =
        counters("1", &[("a", u64::MAX, u64::MAX, Some(u32::MAX)), ("b", u64::MAX, 0, None)]);
    assert_eq!(sum(&before, &huge, ["a", "b"]).requests, u64::MAX);
}

#[test]
fn a_routers_metric_is_missing_rather_than_made_up() {
    let names = ["a".to_owned()];
    let look = |metric, min, before: Option<&Counters>, after: &Counters| {
        router_look(metric, min, (before, after), &names)
    };
    let (rate, latency) = (RouterMetric::ErrorRate, RouterMetric::Latency);
    let before = counters("1", &[("a", 0, 0, None)]);
    let after = counters("1", &[("a", 50, 10, Some(120))]);
    assert_eq!(look(rate, None, Some(&before), &after), Look::Value(0.2));
    assert_eq!(look(latency, None, Some(&before), &after), Look::Value(120.0));
    assert_eq!(look(rate, Some(50), Some(&before), &after), Look::Value(0.2));
    let untimed = counters("1", &[("a", 50, 10, None)]);
    for (found, why) in [
        (look(rate, Some(51), Some(&before), &after), "50 of 51"),
        (look(rate, None, Some(&before), &before), "0 of 1"),
        (look(rate, None, None, &after), "looked at once"),
        (look(rate, None, Some(&counters("0", &[])), &after), "anew"),
        (look(rate, None, Some(&after), &before), "no two counts"),
        (look(latency, None, Some(&before), &untimed), "time"),
        (router_look(rate, None, (Some(&before), &after), &[]), "no host"),
    ] {
        let Look::Missing { why: said } = &found else { panic!("{found:?}") };
        assert!(said.contains(why), "{said} instead of {why}");
    }
    assert!(matches!(monitor("failures: 1").metric, Metric::Command { .. }));
}
