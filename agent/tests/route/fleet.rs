//! Orders to an HAProxy for a fleet that is not as it was: servers that stay red, or were removed by people.

use crate::balancer::Balancer;
use crate::haproxy::{is_out, setup};
use crate::load::Load;
use crate::task::{order, route, run_route, run_with, to};
use crate::wait_until;
use crate::web::Web;
use agent::context::{Cancel, Reason};
use pipelines::protocol::answer::Check;
use pipelines::protocol::report::Outcome;
use pipelines::protocol::route::{ServerOrder, Traffic};
use pipelines::time::Millis;

/// One red server does not hold up the green ones, where the order allows it.
#[tokio::test]
async fn a_partial_order_goes_on_with_those_that_are_green() {
    let (one, red) = (Web::start("web-1").await, Web::start("off-2").await);
    let green = Web::start("off-3").await;
    red.green(false);
    let balancer = Balancer::start(setup(), &[&one, &red, &green]).await;
    let orders = [("web-1", Traffic::Out), ("off-2", to(100)), ("off-3", to(50))];
    let order = |partial, orders: &[(&str, Traffic)]| {
        let mut order = route(balancer.router(), orders);
        (order.ready, order.partial) = (Millis(1500), partial);
        order
    };
    // Nobody proves itself: nothing changes, partial or not. Nor does it when all are to.
    let only_red = [("web-1", Traffic::Out), ("off-2", to(100))];
    for order in [order(true, &only_red), order(false, &orders)] {
        let done = run_route(&balancer, order).await;
        assert!(done.refused().message.contains("check of 'off-2'"), "{done:?}");
        assert_eq!(balancer.admin("web-1"), Some((0, 100)));
        assert!(is_out(&balancer, "off-2") && is_out(&balancer, "off-3"));
    }

    let load = Load::start(&balancer.url("/"), 2, true);
    let done = run_route(&balancer, order(true, &orders)).await;
    assert_eq!(done.server("web-1").traffic, Traffic::Out);
    assert_eq!(done.server("off-2").traffic, Traffic::Out);
    assert_eq!((done.server("off-3").traffic, &done.server("off-3").check), (to(50), &Check::Up));
    assert!(
        done.log.contains("going on without: the balancer's own check of 'off-2'"),
        "{}",
        done.log
    );
    assert!(is_out(&balancer, "off-2"));
    assert_eq!(load.stop().await.failed, Vec::<String>::new());
    assert_eq!(red.requests(), 0);
    // Nor is it told to the next process, which would wait for it.
    let target = agent::route::Target::of(&balancer.router()).unwrap();
    let kept = agent::route::Kept::load(&balancer.dir().join("state"), &target).unwrap();
    assert_eq!(kept.servers["off-2"].traffic, Traffic::Out);
    assert_eq!(kept.servers["off-3"].traffic, to(50));
}

/// Nor do the green ones wait for it: where the old servers come back, they serve while a dead one has its
/// time, and what is on its way out leaves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_server_does_not_keep_the_others_from_traffic() {
    let (bad, dead) = (Web::start("web-1").await, Web::start("off-2").await);
    let (back, late) = (Web::start("off-3").await, Web::start("off-4").await);
    dead.green(false);
    late.green(false);
    let balancer = Balancer::start(setup(), &[&bad, &dead, &back, &late]).await;
    let load = Load::start(&balancer.url("/"), 2, true);
    let orders =
        [("off-2", to(100)), ("off-3", to(50)), ("off-4", to(60)), ("web-1", Traffic::Out)];
    let mut order = route(balancer.router(), &orders);
    (order.ready, order.partial) = (Millis::from_secs(12), true);
    let cancel = Cancel::default();
    let began = std::time::Instant::now();
    let order = run_with(&balancer, order, 1, cancel.clone());
    let meanwhile = async {
        let flipped = async || back.requests() > 5 && !is_in(&balancer, "web-1");
        wait_until("the green one to serve, and the bad one to leave", flipped).await;
        let flipped = began.elapsed();
        assert!(!is_in(&balancer, "off-4"), "it is red still");
        late.green(true);
        wait_until("the late one to serve", async || late.requests() > 5).await;
        flipped
    };
    let (done, flipped) = tokio::join!(order, meanwhile);
    assert!(flipped.as_secs() < 4, "a third of the time and more: {flipped:?}");
    assert!(began.elapsed().as_secs() < 12, "nor is the whole time waited for the dead one");
    for (name, traffic) in
        [("off-2", Traffic::Out), ("off-3", to(50)), ("off-4", to(60)), ("web-1", Traffic::Out)]
    {
        assert_eq!(done.server(name).traffic, traffic, "{name}");
    }
    assert!(is_out(&balancer, "off-2") && is_out(&balancer, "web-1"));
    assert_eq!(load.stop().await.failed, Vec::<String>::new());
    assert_eq!((dead.requests(), late.while_red()), (0, 0));
}

/// Neither in maintenance nor drained; whether its configuration disables it does not matter.
fn is_in(balancer: &Balancer, name: &str) -> bool {
    balancer.admin(name).is_some_and(|(admin, _)| admin & 0b1001 == 0)
}

/// What was let in stays in when the order is stopped while it waits for the rest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_partial_order_takes_back_only_what_is_late() {
    let (one, dead, back) =
        (Web::start("web-1").await, Web::start("off-2").await, Web::start("off-3").await);
    dead.green(false);
    let balancer = Balancer::start(setup(), &[&one, &dead, &back]).await;
    let mut order = route(balancer.router(), &[("off-2", to(100)), ("off-3", to(50))]);
    order.partial = true;
    let cancel = Cancel::default();
    let order = run_with(&balancer, order, 1, cancel.clone());
    let meanwhile = async {
        let served = async || is_in(&balancer, "off-3");
        wait_until("the green one to serve", served).await;
        cancel.cancel(Reason::Controller);
    };
    let (done, ()) = tokio::join!(order, meanwhile);
    assert!(matches!(done.outcome, Outcome::Cancelled { .. }), "{done:?}");
    assert!(is_in(&balancer, "off-3") && is_out(&balancer, "off-2"));
    let target = agent::route::Target::of(&balancer.router()).unwrap();
    let kept = agent::route::Kept::load(&balancer.dir().join("state"), &target).unwrap();
    assert_eq!(kept.servers["off-3"].traffic, to(50), "and so it is told to the next process");
}

/// Who removes a server from the configuration and reloads means it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_removed_from_the_configuration_stays_removed() {
    let (one, two) = (Web::start("web-1").await, Web::start("web-2").await);
    let three = Web::start("web-3").await;
    let balancer = Balancer::start(setup(), &[&one, &two]).await;
    // As a group with a `port` says it: with an address for each.
    let at = |web: &Web, traffic| ServerOrder {
        address: Some(web.address.to_string()),
        ..order(web.name, traffic)
    };
    let mut orders = route(balancer.router(), &[]);
    orders.servers = vec![at(&one, to(40)), at(&two, to(50)), at(&three, to(60))];
    run_route(&balancer, orders).await.routed();

    let conf = balancer.dir().join("conf");
    let text = std::fs::read_to_string(&conf).unwrap();
    let without: Vec<&str> = text.lines().filter(|line| !line.contains("server web-2 ")).collect();
    std::fs::write(&conf, without.join("\n") + "\n").unwrap();
    let watch = tokio::spawn(agent::route::watch(balancer.dir().join("state")));
    balancer.reload().await;
    let told = async || {
        balancer.admin("web-1") == Some((0, 40)) && balancer.admin("web-3") == Some((0, 60))
    };
    wait_until("what was added to be added again", told).await;
    let target = agent::route::Target::of(&balancer.router()).unwrap();
    let state = balancer.dir().join("state");
    let done = async || agent::route::Kept::load(&state, &target).unwrap().owed.is_empty();
    wait_until("nothing to be left to tell", done).await;
    assert_eq!(balancer.admin("web-2"), None);
    watch.abort();
}
