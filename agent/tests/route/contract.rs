//! What every driver has to do, whatever the balancer.

use crate::balancer::{Balancer, Kind, Setup};
use crate::load::{Load, client, get, requests};
use crate::task::{Done, observe, order, route, run, run_route, run_with, to};
use crate::wait_until;
use crate::web::Web;
use agent::context::{Cancel, Reason};
use pipelines::protocol::answer::Check;
use pipelines::protocol::report::{ErrorCode, Outcome};
use pipelines::protocol::route::{ServerOrder, Traffic};
use pipelines::time::Millis;

/// The same scenario on both drivers.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod on_haproxy {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(super::Kind::Haproxy).await; })*
        }
        mod on_nginx {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(super::Kind::Nginx).await; })*
        }
    };
}

on_both! {
    weights_are_shares,
    what_is_out_gets_nothing_and_comes_back,
    an_open_request_ends_before_its_server_is_out,
    what_is_open_after_the_drain_time_is_counted,
    clients_that_stick_are_moved,
    a_switch_under_load_fails_no_request,
    servers_are_added_and_forgotten,
    the_last_server_that_answers_stays,
    what_is_unknown_is_named_with_what_there_is,
    nothing_but_names_gets_through,
    an_older_generation_is_refused,
    a_stop_says_what_is_true,
    a_reload_under_load_forgets_nothing_that_is_configured,
}

async fn two(kind: Kind) -> (Balancer, Web, Web) {
    let (one, two) = (Web::start("web-1").await, Web::start("web-2").await);
    let balancer = Balancer::start(Setup::new(kind), &[&one, &two]).await;
    (balancer, one, two)
}

async fn weights_are_shares(kind: Kind) {
    let (balancer, _one, _two) = two(kind).await;
    let done = run(&balancer, &[("web-1", to(10)), ("web-2", to(90))]).await;
    assert_eq!(done.server("web-1").traffic, to(10));
    assert_eq!(done.server("web-2").traffic, to(90));
    let tally = requests(&balancer.url("/"), 200).await;
    assert_eq!((tally.failed.len(), tally.total()), (0, 200), "{tally:?}");
    assert!((15..=25).contains(&tally.of("web-1")), "{tally:?}");
}

async fn what_is_out_gets_nothing_and_comes_back(kind: Kind) {
    let (balancer, one, _two) = two(kind).await;
    for _ in 0..2 {
        // The second time nothing is left to do, and that is as good.
        let done = run(&balancer, &[("web-1", Traffic::Out)]).await;
        let server = done.server("web-1");
        assert_eq!((server.traffic, server.in_flight, server.cut), (Traffic::Out, 0, 0));
    }
    let before = one.requests();
    let tally = requests(&balancer.url("/"), 40).await;
    assert_eq!((tally.of("web-2"), one.requests()), (40, before), "{tally:?}");
    let done = run(&balancer, &[("web-1", to(100))]).await;
    assert_eq!(done.server("web-1").traffic, to(100));
    let tally = requests(&balancer.url("/"), 40).await;
    assert!((15..=25).contains(&tally.of("web-1")), "{tally:?}");
}

/// A slow request to `web-1`, which is to be open already when this returns.
async fn slow(balancer: &Balancer, one: &Web) -> tokio::task::JoinHandle<Result<String, String>> {
    let url = balancer.url("/slow");
    let (before, client) = (one.slow(), client(false));
    let mut open = Vec::new();
    // Whoever gets it: one of the next two is for this server.
    while one.slow() == before {
        let (url, client) = (url.clone(), client.clone());
        open.push(tokio::spawn(async move { get(&client, &url).await }));
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    open.pop().unwrap()
}

async fn an_open_request_ends_before_its_server_is_out(kind: Kind) {
    let (balancer, one, two) = two(kind).await;
    two.release();
    let open = slow(&balancer, &one).await;
    let orders = [("web-1", Traffic::Out)];
    let out = run(&balancer, &orders);
    tokio::pin!(out);
    // While it is open the order is not done, and no new request comes.
    let drained = async {
        balancer_sends_only(&balancer, "web-2").await;
        one.release();
    };
    let (out, ()) = tokio::join!(&mut out, drained);
    assert_eq!(open.await.unwrap().as_deref(), Ok("web-1"));
    let server = out.server("web-1");
    assert_eq!((server.traffic, server.in_flight, server.cut), (Traffic::Out, 0, 0));
}

async fn balancer_sends_only(balancer: &Balancer, name: &str) {
    wait_until("only one server to be asked", async || {
        requests(&balancer.url("/"), 20).await.of(name) == 20
    })
    .await;
}

async fn what_is_open_after_the_drain_time_is_counted(kind: Kind) {
    let (balancer, one, two) = two(kind).await;
    two.release();
    let open = slow(&balancer, &one).await;
    let mut route = route(balancer.router(), &[("web-1", Traffic::Out)]);
    route.drain = Millis(300);
    let done = run_route(&balancer, route).await;
    let server = done.server("web-1");
    assert_eq!((server.traffic, server.cut), (Traffic::Out, 1), "{}", done.log);
    assert!(done.log.contains("web-1: 1 open requests cut after the drain time"), "{}", done.log);
    match kind {
        Kind::Haproxy => assert_eq!(open.await.unwrap(), Err("502".to_owned())),
        // It cannot cut one server's requests, and says that it is still open.
        Kind::Nginx => {
            assert_eq!(server.in_flight, 1);
            one.release();
            assert_eq!(open.await.unwrap().as_deref(), Ok("web-1"));
        }
    }
}

/// A cookie with which requests go to `web-1`.
async fn cookie(balancer: &Balancer) -> String {
    if balancer.kind == Kind::Haproxy {
        return "SRV=web-1".to_owned();
    }
    for number in 0..100 {
        let url = format!("{}#cookie=SRV=c{number}", balancer.url("/"));
        if get(&client(false), &url).await.as_deref() == Ok("web-1") {
            return format!("SRV=c{number}");
        }
    }
    panic!("no cookie leads to web-1");
}

async fn clients_that_stick_are_moved(kind: Kind) {
    let (one, two) = (Web::start("web-1").await, Web::start("web-2").await);
    let setup = Setup { sticky: true, ..Setup::new(kind) };
    let balancer = Balancer::start(setup, &[&one, &two]).await;
    let url = format!("{}#cookie={}", balancer.url("/"), cookie(&balancer).await);
    let tally = requests(&url, 20).await;
    assert_eq!(tally.of("web-1"), 20, "{tally:?}");
    // Sticks, and asks all the time.
    let load = Load::start(&url, 2, false);
    let mut route = route(balancer.router(), &[("web-1", Traffic::Out)]);
    route.drain = Millis(2000);
    let done = run_route(&balancer, route).await;
    assert_eq!((done.server("web-1").traffic, done.server("web-1").cut), (Traffic::Out, 0));
    let before = one.requests();
    let tally = requests(&url, 20).await;
    assert_eq!((tally.of("web-2"), one.requests()), (20, before), "{tally:?}");
    let tally = load.stop().await;
    assert_eq!(tally.failed, Vec::<String>::new());
    assert!(tally.of("web-2") > 0, "{tally:?}");
}

async fn a_switch_under_load_fails_no_request(kind: Kind) {
    let (blue, blue_2) = (Web::start("blue-1").await, Web::start("blue-2").await);
    let (green, green_2) = (Web::start("off-green-1").await, Web::start("off-green-2").await);
    let all = [&blue, &blue_2, &green, &green_2];
    let balancer = Balancer::start(Setup::new(kind), &all).await;
    // nginx closes idle connections of clients when it is reloaded; one that asks just then would fail.
    let load = Load::start(&balancer.url("/"), 4, kind == Kind::Haproxy);
    wait_until("load", async || blue.requests() + blue_2.requests() > 200).await;
    let forth = [
        ("blue-1", Traffic::Out),
        ("blue-2", Traffic::Out),
        ("off-green-1", to(100)),
        ("off-green-2", to(100)),
    ];
    let back = [
        ("off-green-1", Traffic::Out),
        ("off-green-2", Traffic::Out),
        ("blue-1", to(100)),
        ("blue-2", to(100)),
    ];
    let mut flips = Vec::new();
    let (greens, blues) = ([&green, &green_2], [&blue, &blue_2]);
    for (orders, names) in [(forth, greens), (back, blues), (forth, greens), (back, blues)] {
        let before: Vec<u32> = names.iter().map(|web| web.requests()).collect();
        let done = run(&balancer, &orders).await;
        flips.push(flip_micros(&done));
        let both = async || names.iter().zip(&before).all(|(web, n)| web.requests() > n + 50);
        wait_until("requests at the other side", both).await;
        let tally = requests(&balancer.url("/"), 40).await;
        let here: u32 = names.iter().map(|web| tally.of(web.name)).sum();
        assert_eq!(here, 40, "{tally:?}");
    }
    let tally = load.stop().await;
    assert_eq!(tally.failed, Vec::<String>::new());
    let requests = tally.total();
    println!("{kind:?}: flips {flips:?} µs; {requests} requests during four switches, none failed");
    // A busy machine may make some of them wait.
    assert!(kind == Kind::Nginx || flips.iter().any(|micros| *micros < 50_000), "{flips:?}");
}

fn flip_micros(done: &Done) -> u64 {
    let line = done.log.lines().find(|line| line.contains("changed in")).unwrap();
    line.split(' ').rev().nth(1).unwrap().parse().unwrap()
}

async fn servers_are_added_and_forgotten(kind: Kind) {
    let (balancer, one, _two) = two(kind).await;
    let three = Web::start("web-3").await;
    let new = |traffic| ServerOrder {
        address: Some(three.address.to_string()),
        ..order("web-3", traffic)
    };
    let mut route = route(balancer.router(), &[]);
    route.servers = vec![new(to(100))];
    let done = run_route(&balancer, route.clone()).await;
    assert_eq!(done.server("web-3").traffic, to(100));
    assert_eq!(three.while_red(), 0);
    let tally = requests(&balancer.url("/"), 60).await;
    assert!((15..=25).contains(&tally.of("web-3")), "{tally:?}");
    // The same name at another address is a mistake.
    route.servers[0].address = Some(one.address.to_string());
    let message = &run_route(&balancer, route.clone()).await.refused().message.clone();
    assert!(message.contains("correct one of the two"), "{message}");
    for _ in 0..2 {
        route.servers = vec![new(Traffic::Gone)];
        let done = run_route(&balancer, route.clone()).await;
        assert_eq!(done.server("web-3").traffic, Traffic::Gone);
        let done = run(&balancer, &[("web-3", Traffic::Out)]).await;
        assert!(done.refused().message.contains("no server 'web-3'"), "{done:?}");
    }
    assert_eq!(requests(&balancer.url("/"), 20).await.of("web-3"), 0);
}

async fn the_last_server_that_answers_stays(kind: Kind) {
    let (balancer, _one, _two) = two(kind).await;
    run(&balancer, &[("web-1", Traffic::Out)]).await.routed();
    let done = run(&balancer, &[("web-2", Traffic::Out)]).await;
    let error = done.refused();
    assert!(error.message.contains("taking out web-2 would leave nobody in 'shop'"), "{error:?}");
    assert!(!error.touched);
    assert_eq!(requests(&balancer.url("/"), 10).await.of("web-2"), 10);
    // Who names all of them means it.
    let both = [("web-1", Traffic::Out), ("web-2", Traffic::Out)];
    run(&balancer, &both).await.routed();
    assert_eq!(requests(&balancer.url("/"), 3).await.failed.len(), 3);
    run(&balancer, &[("web-2", to(1))]).await.routed();
    assert_eq!(requests(&balancer.url("/"), 10).await.of("web-2"), 10);
}

async fn what_is_unknown_is_named_with_what_there_is(kind: Kind) {
    let (balancer, _one, _two) = two(kind).await;
    let done = run(&balancer, &[("wbe-1", to(1))]).await;
    let error = done.refused();
    assert!(
        error.message.contains("'shop' has no server 'wbe-1': did you mean 'web-1'?"),
        "{error:?}"
    );
    assert!(!error.touched);
    let other = route(balancer.router_of("shpo"), &[("web-1", to(1))]);
    let error = run_route(&balancer, other).await.refused().message.clone();
    let what = if kind == Kind::Haproxy { "backend" } else { "upstream" };
    assert!(error.contains(&format!("has no {what} 'shpo': did you mean 'shop'?")), "{error}");
    assert!(error.contains("api"), "{error}");
}

async fn nothing_but_names_gets_through(kind: Kind) {
    let (balancer, _one, _two) = two(kind).await;
    let before = picture(&balancer);
    let attempts = [
        ("web-1;set server shop/web-2 state maint", None),
        ("web-1\nset server shop/web-2 state maint", None),
        ("web-1 state maint;", None),
        ("x", Some("127.0.0.1:80;del server shop/web-1")),
        ("x", Some("127.0.0.1:80; } server { listen 1")),
        ("x\nserver 127.0.0.1:80", Some("127.0.0.1:80")),
    ];
    for (name, address) in attempts {
        let mut route = route(balancer.router(), &[]);
        route.servers =
            vec![ServerOrder { address: address.map(str::to_owned), ..order(name, Traffic::Out) }];
        let done = run_route(&balancer, route).await;
        assert!(!done.refused().touched, "{name}");
    }
    let router = balancer.router_of("shop/web-1 state maint;show info");
    run_route(&balancer, route(router, &[("web-1", to(7))])).await.refused();
    assert_eq!(picture(&balancer), before);
}

/// All a balancer knows about its servers.
fn picture(balancer: &Balancer) -> String {
    match balancer.kind {
        Kind::Haproxy => {
            let names = ["web-1", "web-2"].map(|name| balancer.admin(name));
            let count = balancer.ask("show servers state").lines().count();
            format!("{names:?} {count}")
        }
        Kind::Nginx => std::fs::read_to_string(balancer.servers_file()).unwrap(),
    }
}

async fn an_older_generation_is_refused(kind: Kind) {
    let (balancer, _one, _two) = two(kind).await;
    let order = |weight| route(balancer.router(), &[("web-1", to(weight))]);
    run_with(&balancer, order(50), 5, Cancel::default()).await.routed();
    let late = run_with(&balancer, order(70), 4, Cancel::default()).await;
    match &late.outcome {
        Outcome::Failed { error, .. } => {
            assert_eq!((error.code, error.touched), (ErrorCode::Fenced, false));
        }
        other => panic!("{other:?}"),
    }
    // The same again, and another group's own count.
    run_with(&balancer, order(50), 5, Cancel::default()).await.routed();
    let mut other = order(60);
    other.group = "other".into();
    let done = run_with(&balancer, other, 1, Cancel::default()).await;
    assert_eq!(done.server("web-1").traffic, to(60));
}

async fn a_stop_says_what_is_true(kind: Kind) {
    let (balancer, one, two) = two(kind).await;
    two.release();
    let open = slow(&balancer, &one).await;
    let cancel = Cancel::default();
    let order = route(balancer.router(), &[("web-1", Traffic::Out)]);
    let stopped = async {
        balancer_sends_only(&balancer, "web-2").await;
        cancel.cancel(Reason::Controller);
    };
    let (done, ()) = tokio::join!(run_with(&balancer, order, 1, cancel.clone()), stopped);
    match &done.outcome {
        Outcome::Cancelled { steps, touched: true } => {
            let message = steps[0].message.as_deref().unwrap();
            assert!(message.starts_with("stopped; now web-1: "), "{message}");
            assert!(message.contains(" open") && !message.contains(" 0 open"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    // Not cut: nobody waited for the drain time.
    one.release();
    assert_eq!(open.await.unwrap().as_deref(), Ok("web-1"));
}

async fn a_reload_under_load_forgets_nothing_that_is_configured(kind: Kind) {
    let (balancer, one, _two) = two(kind).await;
    run(&balancer, &[("web-1", Traffic::Out)]).await.routed();
    let watch = tokio::spawn(agent::route::watch(balancer.dir().join("state")));
    let load = Load::start(&balancer.url("/"), 4, false);
    balancer.reload().await;
    if kind == Kind::Haproxy {
        let out = async || balancer.admin("web-1").is_some_and(|(admin, _)| admin & 1 == 1);
        wait_until("web-1 to be out again", out).await;
    }
    balancer_sends_only(&balancer, "web-2").await;
    let before = one.requests();
    assert_eq!(requests(&balancer.url("/"), 40).await.of("web-2"), 40);
    assert_eq!(one.requests(), before);
    let tally = load.stop().await;
    assert_eq!(tally.failed, Vec::<String>::new());
    println!("{kind:?}: {} requests during a reload, none failed", tally.total());
    watch.abort();
}

#[tokio::test]
async fn nginx_checks_and_counts_nothing_and_says_so() {
    let (balancer, _one, _two) = two(Kind::Nginx).await;
    let done = run(&balancer, &[("web-1", to(5))]).await;
    assert_eq!(done.server("web-1").check, Check::None);
    let counters = observe(&balancer, &["web-1"]).await;
    assert_eq!(counters.servers, []);
    assert!(!counters.life.is_empty());
}
