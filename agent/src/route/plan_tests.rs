use super::*;
use pipelines::protocol::answer::Check;
use std::time::Duration;

fn target() -> Target {
    Target::Haproxy { socket: "/run/a.sock".into(), backend: "shop".into() }
}

fn seen(name: &str, share: Share, check: Check) -> Seen {
    let (address, words) = (Some("10.0.0.1:80".parse().unwrap()), format!("{share:?}"));
    Seen { name: name.into(), address, share, check, in_flight: 0, words }
}

fn view(servers: &[(&str, Share)]) -> View {
    let servers = servers.iter().map(|(name, share)| seen(name, *share, Check::Up)).collect();
    View { life: "1".into(), servers }
}

fn wish(servers: &[(&str, Traffic)]) -> Wish {
    let wanted = |(name, traffic): &(&str, Traffic)| Wanted {
        name: (*name).into(),
        address: None,
        traffic: *traffic,
    };
    Wish {
        servers: servers.iter().map(wanted).collect(),
        linger: Duration::from_secs(3),
        finish: Duration::from_secs(1),
        ready: Duration::from_secs(1),
        strict: true,
        may_empty: false,
        partial: false,
    }
}

const fn at(weight: u16) -> Share {
    Share::In { weight }
}

const fn to(weight: u16) -> Traffic {
    Traffic::In { weight }
}

fn flip(plan: &Plan) -> Vec<String> {
    let words = |change: &Change| match change {
        Change::In { name, weight } => format!("{name}={weight}"),
        Change::Drain { name } => format!("{name} drains"),
        Change::Out { name } => format!("{name} out"),
        Change::Gone { name } => format!("{name} gone"),
    };
    plan.flip.iter().map(words).collect()
}

#[test]
fn weights_are_lowered_before_others_are_raised() {
    let view = view(&[("old", at(80)), ("new", at(20))]);
    let plan = Plan::new(&target(), &view, &wish(&[("new", to(50)), ("old", to(50))])).unwrap();
    assert_eq!(flip(&plan), ["old=50", "new=50"]);
    let plan =
        Plan::new(&target(), &view, &wish(&[("old", to(100)), ("new", Traffic::Out)])).unwrap();
    assert_eq!(flip(&plan), ["new drains", "old=100"]);
}

#[test]
fn a_whole_switch_brings_the_new_ones_in_before_the_last_old_one_goes() {
    let view = view(&[("blue-1", at(10)), ("blue-2", at(10)), ("green", Share::Out)]);
    let all = [("blue-1", Traffic::Out), ("blue-2", Traffic::Out), ("green", to(10))];
    let plan = Plan::new(&target(), &view, &wish(&all)).unwrap();
    assert_eq!(flip(&plan), ["green=10", "blue-1 drains", "blue-2 drains"]);
    assert_eq!(plan.prove, ["green"]);
    assert_eq!(plan.linger, ["blue-1", "blue-2"]);
}

#[test]
fn what_is_out_already_is_not_drained_again_but_has_to_be_empty() {
    let view = view(&[("a", at(1)), ("b", Share::Out)]);
    let plan = Plan::new(&target(), &view, &wish(&[("b", Traffic::Gone)])).unwrap();
    assert_eq!((flip(&plan), plan.linger.len()), (vec![], 0));
    assert_eq!((plan.empty, plan.gone), (vec!["b".into()], vec!["b".into()]));
}

#[test]
fn the_last_one_that_answers_stays_unless_all_are_named() {
    let mut view = view(&[("a", at(1)), ("b", at(1))]);
    view.servers[1] = seen("b", at(1), Check::Down { reason: "L7STS/503".into() });
    let refused = Plan::new(&target(), &view, &wish(&[("a", Traffic::Out)])).unwrap_err();
    assert!(refused.message.contains("taking out a would leave nobody in 'shop'"), "{refused:?}");
    // One that does not answer anyway may go, to be mended.
    Plan::new(&target(), &view, &wish(&[("b", Traffic::Out)])).unwrap();
    Plan::new(&target(), &view, &wish(&[("a", Traffic::Out), ("b", Traffic::Out)])).unwrap();
    Plan::new(&target(), &view, &wish(&[("a", Traffic::Out), ("b", to(1))])).unwrap();
    let lenient = Wish { strict: false, ..wish(&[("a", Traffic::Out)]) };
    Plan::new(&target(), &view, &lenient).unwrap();
}

#[test]
fn unknown_servers_are_added_or_named() {
    let view = view(&[("web-1", at(1))]);
    let missing = Plan::new(&target(), &view, &wish(&[("wbe-1", to(1))])).unwrap_err();
    assert!(missing.message.contains("did you mean 'web-1'?"), "{missing:?}");
    let mut new = wish(&[("web-2", to(1)), ("web-9", Traffic::Gone)]);
    new.servers[0].address = Some("10.0.0.2:80".parse().unwrap());
    let plan = Plan::new(&target(), &view, &new).unwrap();
    assert_eq!(plan.add, [("web-2".to_owned(), "10.0.0.2:80".parse().unwrap())]);
    assert_eq!((plan.prove, plan.gone.len()), (vec!["web-2".to_owned()], 0));
    let mut moved = wish(&[("web-1", to(1))]);
    moved.servers[0].address = Some("10.0.0.9:80".parse().unwrap());
    let moved = Plan::new(&target(), &view, &moved).unwrap_err();
    assert!(moved.message.contains("10.0.0.1:80 for the balancer, and 10.0.0.9:80"), "{moved:?}");
}
