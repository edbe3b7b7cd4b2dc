//! Cohorts on a real HAProxy that is set up as docs/routers.md says.

use crate::balancer::{Balancer, Kind, Setup};
use crate::load::{Load, requests};
use crate::task::{Done, order, route, run_route, to};
use crate::wait_until;
use crate::web::Web;
use pipelines::ids::DeploymentId;
use pipelines::protocol::route::{Route, ServerOrder, Traffic};
use pipelines::spec::group;
use pipelines::time::Millis;
use std::collections::BTreeSet;

const CANARY: &str = "header:X-Canary:1";
const TESTER: &str = "cookie:tester:yes";

/// `web-1` serves, `off-2` and `off-3` are to be tried.
async fn fleet() -> (Balancer, Web, Web, Web) {
    let (one, two) = (Web::start("web-1").await, Web::start("off-2").await);
    let three = Web::start("off-3").await;
    let setup = Setup { cohorts: true, ..Setup::new(Kind::Haproxy) };
    let balancer = Balancer::start(setup, &[&one, &two, &three]).await;
    (balancer, one, two, three)
}

/// Whoever is in `cohort` gets its requests, if it comes in.
fn orders(balancer: &Balancer, orders: &[(&str, Traffic)], cohort: &[&str]) -> Route {
    let mut route = route(balancer.router_with_cohorts(), &[]);
    let order = |(name, traffic): &(&str, Traffic)| ServerOrder {
        cohort: cohort.contains(name),
        ..order(name, *traffic)
    };
    route.servers = orders.iter().map(order).collect();
    route
}

async fn run(balancer: &Balancer, servers: &[(&str, Traffic)], cohort: &[&str]) -> Done {
    run_route(balancer, orders(balancer, servers, cohort)).await
}

fn url(balancer: &Balancer, rest: &str) -> String {
    format!("{}{rest}", balancer.url("/"))
}

/// Keys that are in the map now.
fn keys(balancer: &Balancer) -> BTreeSet<String> {
    let answer = balancer.ask(&format!("show map {}", balancer.map_file().display()));
    answer.lines().filter_map(|line| line.split(' ').nth(1)).map(str::to_owned).collect()
}

fn both() -> BTreeSet<String> {
    [CANARY, TESTER].map(str::to_owned).into()
}

fn is_out(balancer: &Balancer, name: &str) -> bool {
    balancer.admin_in("shop-next", name).is_none_or(|(admin, _)| admin & 1 == 1)
}

const HEADER: &str = "#header=X-Canary=1";
const COOKIE: &str = "#cookie=tester=yes";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cohort_gets_the_new_servers_alone_until_they_leave() {
    let (balancer, _one, two, three) = fleet().await;
    two.green(false);
    let all = [url(&balancer, ""), url(&balancer, HEADER), url(&balancer, COOKIE)];
    let load: Vec<Load> = all.iter().map(|url| Load::start(url, 1, true)).collect();
    // It becomes good while it is waited for; nobody asks it sooner.
    let tried =
        async { run(&balancer, &[("web-1", to(100)), ("off-2", to(10))], &["off-2"]).await };
    let becomes_green = async {
        let proves = async || balancer.admin_in("shop-next", "off-2").is_some();
        wait_until("it to be added", proves).await;
        assert_eq!(keys(&balancer), BTreeSet::new());
        two.green(true);
    };
    let (done, ()) = tokio::join!(tried, becomes_green);
    assert_eq!(done.server("off-2").traffic, to(10), "{}", done.log);
    assert_eq!(keys(&balancer), both());
    for whose in [HEADER, COOKIE] {
        let tally = requests(&url(&balancer, whose), 30).await;
        assert_eq!((tally.of("off-2"), tally.total()), (30, 30), "{whose} {tally:?}");
    }
    for whose in ["", "#header=X-Canary=2", "#cookie=tester=no"] {
        let tally = requests(&url(&balancer, whose), 66).await;
        assert!((3..=12).contains(&tally.of("off-2")), "{whose} {tally:?}");
    }

    // Another one beside it, and then the first one goes: the cohort stays with who is there.
    run(&balancer, &[("off-3", to(10))], &["off-3"]).await.routed();
    let tally = requests(&url(&balancer, HEADER), 40).await;
    assert_eq!(tally.of("off-2") + tally.of("off-3"), 40, "{tally:?}");
    assert!((12..=28).contains(&tally.of("off-2")), "{tally:?}");
    run(&balancer, &[("off-2", Traffic::Out)], &[]).await.routed();
    assert_eq!(requests(&url(&balancer, HEADER), 20).await.of("off-3"), 20);
    assert!(is_out(&balancer, "off-2"));

    // The last one goes: nobody is told apart any more.
    run(&balancer, &[("off-3", Traffic::Out), ("web-1", to(100))], &[]).await.routed();
    assert_eq!(keys(&balancer), BTreeSet::new());
    assert!(is_out(&balancer, "off-3"));
    assert_eq!(requests(&url(&balancer, HEADER), 20).await.of("web-1"), 20);
    for load in load {
        assert_eq!(load.stop().await.failed, Vec::<String>::new());
    }
    assert_eq!((two.while_red(), three.while_red()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cohort_ends_while_its_servers_stay_in_traffic() {
    let (balancer, _one, _two, _three) = fleet().await;
    run(&balancer, &[("web-1", to(50)), ("off-2", to(50))], &["off-2"]).await.routed();
    let load = Load::start(&url(&balancer, HEADER), 2, true);
    wait_until("the cohort to ask", async || {
        requests(&url(&balancer, HEADER), 5).await.of("off-2") == 5
    })
    .await;
    let done = run(&balancer, &[("off-2", to(50))], &[]).await;
    assert_eq!(done.server("off-2").traffic, to(50));
    assert_eq!(keys(&balancer), BTreeSet::new());
    let tally = requests(&url(&balancer, HEADER), 40).await;
    assert!((15..=25).contains(&tally.of("web-1")), "{tally:?}");
    assert_eq!(load.stop().await.failed, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_prove_itself_gets_no_cohort() {
    let (balancer, _one, two, _three) = fleet().await;
    two.green(false);
    let load = Load::start(&url(&balancer, HEADER), 2, true);
    let mut late = orders(&balancer, &[("off-2", to(10))], &["off-2"]);
    late.ready = Millis(600);
    let done = run_route(&balancer, late).await;
    let message = &done.refused().message;
    assert!(message.contains("in 'shop-next', the cohorts' backend: "), "{message}");
    assert!(message.contains("check of 'off-2'"), "{message}");
    assert_eq!(keys(&balancer), BTreeSet::new());
    assert!(is_out(&balancer, "off-2"));
    assert_eq!(load.stop().await.failed, Vec::<String>::new());
    assert_eq!(two.requests(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_the_first_backend_refuses_leaves_no_cohort() {
    let (balancer, _one, two, _three) = fleet().await;
    let impossible = [("off-2", to(10)), ("nobody", Traffic::Out)];
    let done = run(&balancer, &impossible, &["off-2"]).await;
    assert!(done.refused().message.contains("no server 'nobody'"), "{done:?}");
    assert_eq!(keys(&balancer), BTreeSet::new());
    assert!(is_out(&balancer, "off-2"));
    assert_eq!(requests(&url(&balancer, HEADER), 10).await.of("web-1"), 10);
    assert_eq!(two.requests(), 0);
}

/// One that was left by a deployment that ended badly.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_deployment_ends_the_cohort_of_the_one_before() {
    let (balancer, _one, _two, _three) = fleet().await;
    run(&balancer, &[("web-1", to(50)), ("off-2", to(50))], &["off-2"]).await.routed();
    assert_eq!(keys(&balancer), both());
    let mut next = orders(&balancer, &[("off-3", to(50))], &["off-3"]);
    next.deployment = DeploymentId(2);
    // The group has another cohort by now, too.
    next.router.cohorts.remove(1);
    run_route(&balancer, next).await.routed();
    assert_eq!(keys(&balancer), [CANARY.to_owned()].into());
    assert!(is_out(&balancer, "off-2"));
    assert_eq!(requests(&url(&balancer, HEADER), 20).await.of("off-3"), 20);
    // And now none at all.
    let mut last = orders(&balancer, &[("off-3", to(50))], &[]);
    last.router.cohorts.clear();
    run_route(&balancer, last).await.routed();
    assert_eq!(keys(&balancer), BTreeSet::new());
    assert!(is_out(&balancer, "off-3"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_gives_the_cohort_back_and_believes_no_file() {
    let (balancer, one, two, _three) = fleet().await;
    // Somebody wrote both into the files: the second backend begins with a server nobody validated.
    std::fs::write(balancer.map_file(), format!("{CANARY} shop-next\n")).unwrap();
    let conf = balancer.dir().join("conf");
    let text = std::fs::read_to_string(&conf).unwrap();
    let stranger = format!("backend shop-next\n  server stranger {} check\n", one.address);
    std::fs::write(&conf, text.replace("backend shop-next\n", &stranger)).unwrap();

    run(&balancer, &[("web-1", to(100)), ("off-2", to(10))], &["off-2"]).await.routed();
    let watch = tokio::spawn(agent::route::watch(balancer.dir().join("state")));
    let load = Load::start(&url(&balancer, HEADER), 2, false);
    balancer.reload().await;
    let told = async || {
        keys(&balancer) == both()
            && is_out(&balancer, "stranger")
            && balancer.admin_in("shop-next", "off-2") == Some((0, 100))
    };
    wait_until("the cohort to be told apart again", told).await;
    assert_eq!(requests(&url(&balancer, HEADER), 20).await.of("off-2"), 20);
    assert_eq!(requests(&url(&balancer, COOKIE), 20).await.of("off-2"), 20);

    run(&balancer, &[("off-2", Traffic::Out)], &[]).await.routed();
    assert_eq!(keys(&balancer), BTreeSet::new());
    let before = two.requests();
    balancer.reload().await;
    let withdrawn = async || keys(&balancer).is_empty() && is_out(&balancer, "stranger");
    wait_until("what the file says to be taken away", withdrawn).await;
    assert_eq!(requests(&url(&balancer, HEADER), 20).await.of("web-1"), 20);
    assert_eq!(two.requests(), before);
    assert_eq!(load.stop().await.failed, Vec::<String>::new());
    watch.abort();
}

#[tokio::test]
async fn what_a_cohort_lacks_is_named() {
    let (balancer, _one, two, _three) = fleet().await;
    let told = async |change: fn(&mut group::Balancer)| {
        let mut orders = orders(&balancer, &[("off-2", to(10))], &["off-2"]);
        change(&mut orders.router.balancer);
        let done = run_route(&balancer, orders).await;
        let error = done.refused();
        assert!(!error.touched, "{error:?}");
        error.message.clone()
    };
    let message = told(|balancer| {
        let group::Balancer::Haproxy { next_backend, .. } = balancer else { return };
        *next_backend = Some("shop-nxt".to_owned());
    });
    let message = message.await;
    assert!(message.contains("no backend 'shop-nxt': did you mean 'shop-next'?"), "{message}");
    let message = told(|balancer| {
        let group::Balancer::Haproxy { map, .. } = balancer else { return };
        *map = Some("/etc/haproxy/other.map".to_owned());
    });
    let message = message.await;
    assert!(message.contains("reads no map '/etc/haproxy/other.map': "), "{message}");
    assert!(message.contains(&balancer.map_file().display().to_string()), "{message}");
    for bad in ["/a b", "/a;show", "/a/../b"] {
        let mut orders = orders(&balancer, &[("off-2", to(10))], &["off-2"]);
        let group::Balancer::Haproxy { map, .. } = &mut orders.router.balancer else { return };
        *map = Some(bad.to_owned());
        run_route(&balancer, orders).await.refused();
    }
    let mut plain = orders(&balancer, &[("off-2", to(10))], &["off-2"]);
    plain.router = balancer.router();
    let message = run_route(&balancer, plain).await.refused().message.clone();
    assert!(message.contains("write `cohorts`, `next-backend` and `map`"), "{message}");
    assert_eq!(two.requests(), 0);
}
