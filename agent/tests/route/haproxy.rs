//! What only HAProxy does: checks, counters, state that a reload loses, an admin socket with levels.

use crate::balancer::{Balancer, Kind, Setup};
use crate::load::{Load, client, get, requests};
use crate::support::Stub;
use crate::support::agent::Agent;
use crate::task::{observe, order, route, run, run_route, run_with, task, to};
use crate::wait_until;
use crate::web::Web;
use agent::context::{Cancel, Reason};
use pipelines::protocol::answer::{Answer, Check};
use pipelines::protocol::join::Role;
use pipelines::protocol::report::Outcome;
use pipelines::protocol::route::{Observe, ServerOrder, Traffic};
use pipelines::protocol::task::{TaskKey, Work};
use pipelines::spec::group::{self, Router};
use pipelines::time::Millis;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

const MAINT: u32 = 1;

/// Not only drained.
pub fn is_out(balancer: &Balancer, name: &str) -> bool {
    balancer.admin(name).is_some_and(|(admin, _)| admin & MAINT == MAINT)
}

pub fn setup() -> Setup {
    Setup::new(Kind::Haproxy)
}

#[tokio::test]
async fn no_request_reaches_a_server_whose_check_is_red() {
    let (one, off) = (Web::start("web-1").await, Web::start("off-2").await);
    off.green(false);
    let balancer = Balancer::start(setup(), &[&one, &off]).await;
    let load = Load::start(&balancer.url("/"), 2, true);
    let mut late = route(balancer.router(), &[("off-2", to(100))]);
    late.ready = Millis(600);
    let done = run_route(&balancer, late).await;
    let message = &done.refused().message;
    assert!(message.contains("check of 'off-2' (L7STS/503"), "{message}");
    assert!(message.contains("was not good within 600 ms, so no traffic was given"), "{message}");
    assert!(is_out(&balancer, "off-2"));
    assert_eq!(off.requests(), 0);

    let becomes_green = async {
        let checked = async || {
            balancer.ask("show stat shop 4 -1").contains("off-2,0,0,0,0,,0,0,0,,0,,0,0,0,0,DOWN")
        };
        wait_until("its check to fail", checked).await;
        off.green(true);
    };
    off.green(false);
    let orders = [("off-2", to(100))];
    let (done, ()) = tokio::join!(run(&balancer, &orders), becomes_green);
    assert_eq!(done.server("off-2").check, Check::Up);
    wait_until("requests", async || off.requests() > 20).await;
    assert_eq!(off.while_red(), 0);
    assert_eq!(load.stop().await.failed, Vec::<String>::new());
}

/// The trap of maintenance: what it answered before counts for nothing.
#[tokio::test]
async fn a_server_that_was_green_before_its_maintenance_has_to_prove_itself_again() {
    let (one, two) = (Web::start("web-1").await, Web::start("web-2").await);
    let balancer = Balancer::start(setup(), &[&one, &two]).await;
    run(&balancer, &[("web-2", Traffic::Out)]).await.routed();
    two.green(false);
    let load = Load::start(&balancer.url("/"), 2, true);
    let sticky = Load::start(&format!("{}#cookie=SRV=web-2", balancer.url("/")), 2, true);
    let before = two.requests();
    let mut late = route(balancer.router(), &[("web-2", to(100))]);
    late.ready = Millis(500);
    run_route(&balancer, late).await.refused();
    assert_eq!(two.requests(), before);
    two.green(true);
    run(&balancer, &[("web-2", to(100))]).await.routed();
    assert_eq!(two.while_red(), 0);
    assert_eq!(load.stop().await.failed, Vec::<String>::new());
    assert_eq!(sticky.stop().await.failed, Vec::<String>::new());
}

#[tokio::test]
async fn a_server_without_a_check_comes_in_at_once_and_is_said_to_have_none() {
    let (one, off) = (Web::start("web-1").await, Web::start("off-2").await);
    off.green(false);
    let balancer = Balancer::start(Setup { checks: false, ..setup() }, &[&one, &off]).await;
    let done = run(&balancer, &[("off-2", to(100))]).await;
    assert_eq!(done.server("off-2").check, Check::None);
    assert!(requests(&balancer.url("/"), 20).await.of("off-2") > 5);
}

#[tokio::test]
async fn a_stop_while_waiting_for_green_leaves_the_server_out() {
    let (one, off) = (Web::start("web-1").await, Web::start("off-2").await);
    off.green(false);
    let balancer = Balancer::start(setup(), &[&one, &off]).await;
    let cancel = Cancel::default();
    let waiting = async {
        let draining = async || balancer.admin("off-2").is_some_and(|(admin, _)| admin & 8 == 8);
        wait_until("it to be proving itself", draining).await;
        cancel.cancel(Reason::Controller);
    };
    let order = route(balancer.router(), &[("off-2", to(100))]);
    let (done, ()) = tokio::join!(run_with(&balancer, order, 1, cancel.clone()), waiting);
    assert!(matches!(done.outcome, Outcome::Cancelled { touched: true, .. }), "{done:?}");
    assert!(is_out(&balancer, "off-2"));
    assert_eq!(off.requests(), 0);
}

#[tokio::test]
async fn counters_are_of_servers_and_of_one_life() {
    let (one, two) = (Web::start("web-1").await, Web::start("web-2").await);
    let balancer = Balancer::start(setup(), &[&one, &two]).await;
    two.fail(true);
    requests(&balancer.url("/"), 40).await;
    let counters = observe(&balancer, &["web-2", "web-1", "nobody"]).await;
    let of = |name: &str| counters.servers.iter().find(|server| server.name == name).unwrap();
    assert_eq!(counters.servers.len(), 2);
    assert_eq!((of("web-1").requests, of("web-1").errors), (20, 0));
    assert_eq!((of("web-2").requests, of("web-2").errors), (20, 20));
    assert!(of("web-1").latency_ms.is_some());
    assert_eq!(observe(&balancer, &[]).await.life, counters.life);
    balancer.reload().await;
    let fresh = observe(&balancer, &["web-1"]).await;
    assert_ne!(fresh.life, counters.life);
    assert_eq!((fresh.servers[0].requests, fresh.servers[0].latency_ms), (0, None));
}

#[tokio::test]
async fn a_request_without_an_answer_is_an_error() {
    let one = Web::start("web-1").await;
    let balancer = Balancer::start(Setup { checks: false, ..setup() }, &[&one]).await;
    balancer.answers("web-1").await;
    let before = observe(&balancer, &["web-1"]).await.servers[0].clone();
    let listener = one.address;
    drop(one);
    wait_until("the port to be closed", async || {
        tokio::net::TcpStream::connect(listener).await.is_err()
    })
    .await;
    requests(&balancer.url("/"), 3).await;
    let after = observe(&balancer, &["web-1"]).await.servers[0].clone();
    assert_eq!((after.requests - before.requests, after.errors - before.errors), (3, 3));
}

#[tokio::test]
async fn a_static_algorithm_is_refused_with_the_remedy() {
    let (one, two) = (Web::start("web-1").await, Web::start("web-2").await);
    let setup = Setup { algorithm: "static-rr", ..setup() };
    let balancer = Balancer::start(setup, &[&one, &two]).await;
    let done = run(&balancer, &[("web-1", to(50)), ("web-2", Traffic::Out)]).await;
    assert!(done.refused().message.contains("`balance roundrobin`"), "{done:?}");
    assert_eq!(balancer.admin("web-1"), Some((0, 100)));
    assert_eq!(balancer.admin("web-2"), Some((0, 100)));
    // In and out need no other weights.
    run(&balancer, &[("web-1", to(100)), ("web-2", Traffic::Out)]).await.routed();
}

#[tokio::test]
async fn sockets_that_are_of_no_use_are_told_apart() {
    let one = Web::start("web-1").await;
    let balancer = Balancer::start(setup(), &[&one]).await;
    let at = |socket: &Path| {
        Router::from(group::Balancer::Haproxy {
            agent: "lb".into(),
            backend: "shop".into(),
            socket: socket.display().to_string(),
            next_backend: None,
            map: None,
        })
    };
    let ask = async |socket: &Path| {
        run_route(&balancer, route(at(socket), &[("web-1", to(1))])).await.refused().message.clone()
    };
    let missing = ask(&balancer.dir().join("none.sock")).await;
    assert!(missing.contains("there is no socket") && missing.contains("level admin"), "{missing}");
    let user = ask(&balancer.dir().join("user.sock")).await;
    assert!(user.contains("has level user") && user.contains("write `level admin`"), "{user}");
    let dead = balancer.dir().join("dead.sock");
    drop(UnixListener::bind(&dead).unwrap());
    let dead = ask(&dead).await;
    assert!(dead.contains("nobody listens") && dead.contains("systemctl status haproxy"), "{dead}");
}

/// A socket that passes everything on but what it swallows, as an operator at work or another version of
/// HAProxy might; and how often it was asked.
fn relay(balancer: &Balancer, swallows: &'static str) -> (Router, Arc<AtomicU32>) {
    let path = balancer.dir().join("relay.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let (real, asked) = (balancer.socket(), Arc::new(AtomicU32::new(0)));
    let count = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let mut line = vec![0; 1 << 14];
            let size = client.read(&mut line).await.unwrap();
            let line = String::from_utf8_lossy(&line[..size]).into_owned();
            let kept = line.trim().split(';').filter(|command| !command.contains(swallows));
            let line = kept.collect::<Vec<_>>().join(";");
            let mut answer = b"\n".to_vec();
            if !line.is_empty() {
                // Away for a moment during a reload, as the real one is.
                let Ok(mut server) = UnixStream::connect(&real).await else { continue };
                server.write_all(format!("{line}\n").as_bytes()).await.unwrap();
                server.read_to_end(&mut answer).await.unwrap();
            }
            client.write_all(&answer).await.unwrap();
        }
    });
    let socket = path.display().to_string();
    (
        group::Balancer::Haproxy {
            agent: "lb".into(),
            backend: "shop".into(),
            socket,
            next_backend: None,
            map: None,
        }
        .into(),
        asked,
    )
}

#[tokio::test]
async fn what_is_not_read_back_did_not_happen() {
    let (one, two) = (Web::start("web-1").await, Web::start("web-2").await);
    let balancer = Balancer::start(setup(), &[&one, &two]).await;
    let (router, _) = relay(&balancer, "state maint");
    let done = run_route(&balancer, route(router, &[("web-1", Traffic::Out)])).await;
    let error = done.refused();
    assert!(
        error.message.contains("told that 'web-1' is out, and says that it is DRAIN"),
        "{error:?}"
    );
    assert!(error.touched);
}

/// The whole way: tasks from a controller, the agent's own program, and an HAProxy that forgets.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_tells_a_reloaded_haproxy_what_it_was_told() {
    let (one, two) = (Web::start("web-1").await, Web::start("web-2").await);
    let three = Web::start("web-3").await;
    let balancer = Balancer::start(setup(), &[&one, &two]).await;
    let stub = Stub::start(Role::Deploy).await;
    let state = balancer.dir().join("agent");
    let agent = Agent::run(&stub, &state);
    let (router, asked) = relay(&balancer, "nothing at all");
    let mut orders = route(router, &[("web-1", Traffic::Out), ("web-2", to(40))]);
    let address = Some(three.address.to_string());
    orders.servers.push(ServerOrder { address, ..order("web-3", to(60)) });
    let key = |n| TaskKey { task: pipelines::ids::TaskId(n), attempt: 1 };
    stub.change(|world| world.tasks.push(task(1, 3, Work::Route(orders))));
    let outcome = stub.outcome(key(1)).await;
    assert!(
        matches!(outcome, Outcome::Succeeded { answer: Some(Answer::Routed(_)), .. }),
        "{outcome:?}"
    );

    let load = Load::start(&balancer.url("/"), 4, false);
    let told = async || {
        balancer.admin("web-1") == Some((MAINT, 100))
            && balancer.admin("web-2") == Some((0, 40))
            && balancer.admin("web-3") == Some((0, 60))
    };
    assert!(told().await);
    balancer.reload().await;
    wait_until("the running agent to tell it again", told).await;
    let looked = asked.load(Ordering::SeqCst);
    wait_until("it to be done", async || asked.load(Ordering::SeqCst) > looked + 5).await;
    // An operator's change stays until the next reload, also one that was told otherwise.
    balancer.ask("set server shop/web-2 weight 41");
    let looked = asked.load(Ordering::SeqCst);
    wait_until("two more looks", async || asked.load(Ordering::SeqCst) > looked + 2).await;
    assert_eq!(balancer.admin("web-2"), Some((0, 41)));

    // Not running while it is reloaded.
    agent.kill();
    balancer.reload().await;
    assert_eq!(balancer.admin("web-3"), None);
    let agent = Agent::run(&stub, &state);
    wait_until("the next agent to tell it again", told).await;
    let observe = Observe { router: balancer.router(), servers: vec!["web-3".into()] };
    stub.change(|world| world.tasks.push(task(2, 0, Work::Observe(observe))));
    match stub.outcome(key(2)).await {
        Outcome::Succeeded { answer: Some(Answer::Counters(counters)), .. } => {
            assert_eq!(counters.servers[0].name, "web-3");
        }
        other => panic!("{other:?}"),
    }
    let tally = load.stop().await;
    assert_eq!(tally.failed, Vec::<String>::new());
    println!("{} requests during two reloads, none failed", tally.total());
    drop(agent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_in_the_middle_of_a_reload_is_done_in_the_new_life() {
    let (one, two) = (Web::start("web-1").await, Web::start("web-2").await);
    let balancer = Balancer::start(setup(), &[&one, &two]).await;
    let url = format!("{}#cookie=SRV=web-1", balancer.url("/slow"));
    let open = tokio::spawn(async move { get(&client(false), &url).await });
    wait_until("the slow request", async || one.slow() == 1).await;
    let orders = [("web-1", Traffic::Out)];
    let meanwhile = async {
        let draining = async || balancer.admin("web-1").is_some_and(|(admin, _)| admin & 8 == 8);
        wait_until("it to drain", draining).await;
        balancer.reload().await;
        let out = async || is_out(&balancer, "web-1");
        wait_until("it to be out in the new process", out).await;
        one.release();
    };
    let (done, ()) = tokio::join!(run(&balancer, &orders), meanwhile);
    assert_eq!(done.server("web-1").cut, 0);
    assert!(done.log.contains("the balancer was reloaded meanwhile"), "{}", done.log);
    // The old process lets it end.
    assert_eq!(open.await.unwrap().as_deref(), Ok("web-1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_server_that_cannot_be_told_again_holds_up_no_other_and_no_operator() {
    let (one, two) = (Web::start("web-1").await, Web::start("web-2").await);
    let balancer = Balancer::start(setup(), &[&one]).await;
    let (router, asked) = relay(&balancer, "nothing at all");
    let mut orders = route(router, &[("web-1", to(40))]);
    let address = Some(two.address.to_string());
    orders.servers.push(ServerOrder { address, ..order("web-2", to(60)) });
    run_route(&balancer, orders).await.routed();
    let watch = tokio::spawn(agent::route::watch(balancer.dir().join("state")));
    two.green(false);
    balancer.reload().await;
    let web_1 = async || balancer.admin("web-1") == Some((0, 40));
    // The first attempt lasts ten seconds; what can be told is told then.
    wait_until("what can be told", web_1).await;
    let looked = asked.load(Ordering::SeqCst);
    wait_until("the next attempt", async || asked.load(Ordering::SeqCst) > looked + 20).await;
    balancer.ask("set server shop/web-1 weight 41");
    two.green(true);
    let web_2 = async || balancer.admin("web-2") == Some((0, 60));
    wait_until("the other one", web_2).await;
    assert_eq!((two.while_red(), balancer.admin("web-1")), (0, Some((0, 41))));
    watch.abort();
}
