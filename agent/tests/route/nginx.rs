//! What only nginx does: a file, a test before every reload, and workers that stay for their requests.

use crate::balancer::{Balancer, Kind, Setup};
use crate::load::requests;
use crate::task::{route, run, to};
use crate::web::Web;
use agent::context::{Cancel, Settings};
use pipelines::protocol::answer::{Answer, Routed};
use pipelines::protocol::report::Outcome;
use pipelines::protocol::route::{Observe, Traffic};
use std::os::unix::fs::PermissionsExt;

async fn one() -> (Balancer, Web) {
    let one = Web::start("web-1").await;
    let balancer = Balancer::start(Setup::new(Kind::Nginx), &[&one]).await;
    (balancer, one)
}

#[tokio::test]
async fn a_configuration_nginx_refuses_changes_nothing() {
    let (balancer, one) = one().await;
    let text = format!("server {} weight=100 max_fails=1; # web-1\n", one.address);
    std::fs::write(balancer.servers_file(), &text).unwrap();
    // Broken elsewhere, by somebody else, since it was started.
    let conf = balancer.dir().join("conf");
    let good = std::fs::read_to_string(&conf).unwrap();
    std::fs::write(&conf, format!("{good}nonsense;\n")).unwrap();
    let done = run(&balancer, &[("web-1", to(7))]).await;
    let message = &done.refused().message;
    assert!(message.contains("unknown directive \"nonsense\""), "{message}");
    assert_eq!(std::fs::read_to_string(balancer.servers_file()).unwrap(), text);

    std::fs::write(&conf, good).unwrap();
    let mode = std::fs::Permissions::from_mode(0o640);
    std::fs::set_permissions(balancer.servers_file(), mode).unwrap();
    run(&balancer, &[("web-1", to(7))]).await.routed();
    let after = std::fs::read_to_string(balancer.servers_file()).unwrap();
    assert_eq!(after, format!("server {} weight=7 max_fails=1; # web-1\n", one.address));
    let mode = std::fs::metadata(balancer.servers_file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
}

#[tokio::test]
async fn a_file_that_is_not_ours_to_read_is_named_with_its_line() {
    let (balancer, one) = one().await;
    let file = balancer.servers_file();
    std::fs::write(&file, format!("server {}; # web-1\nkeepalive 4;\n", one.address)).unwrap();
    let done = run(&balancer, &[("web-1", to(7))]).await;
    let message = &done.refused().message;
    assert!(message.starts_with(&format!("{}:2: `keepalive 4;`", file.display())), "{message}");

    let conf = balancer.dir().join("conf");
    let text = std::fs::read_to_string(&conf).unwrap();
    let other = format!("server {};", one.address);
    let without = text.replace(&format!("include {};", file.display()), &other);
    std::fs::write(&conf, without).unwrap();
    let done = run(&balancer, &[("web-1", to(7))]).await;
    let message = &done.refused().message;
    assert!(message.contains(&format!("write `include {};`", file.display())), "{message}");
}

/// An nginx that is told to reload and does not.
fn deaf(balancer: &Balancer) -> Settings {
    let shim = balancer.dir().join("shim");
    std::fs::write(
        &shim,
        "#!/bin/sh\nfor a; do [ \"$a\" != -s ] || exit 0; done\nexec nginx \"$@\"\n",
    )
    .unwrap();
    std::fs::set_permissions(&shim, std::fs::Permissions::from_mode(0o755)).unwrap();
    let conf = balancer.dir().join("conf");
    let nginx = Some(format!("{} -c {}", shim.display(), conf.display()));
    Settings { nginx, ..Settings::default() }
}

/// A reload that nobody saw happening did not happen.
#[tokio::test]
async fn workers_that_stay_are_a_failure() {
    let (balancer, _one) = one().await;
    let settings = deaf(&balancer);
    let order = route(balancer.router(), &[("web-1", to(7))]);
    let done = crate::task::run_as(&balancer, settings, order, 1, Cancel::default()).await;
    let message = &done.refused().message;
    assert!(message.contains("2 of its workers are those of before after 10 s"), "{message}");
}

/// What is read back without any change.
async fn survey(balancer: &Balancer) -> Outcome {
    let observe = Observe { router: balancer.router(), servers: vec!["web-1".into()] };
    agent::route::survey(&observe, &balancer.settings(), &balancer.dir().join("state")).await
}

#[track_caller]
fn traffic(outcome: &Outcome) -> Traffic {
    match outcome {
        Outcome::Succeeded { answer: Some(Answer::Routed(Routed { servers })), .. } => {
            servers[0].traffic
        }
        other => panic!("{other:?}"),
    }
}

/// As an agent that was killed between writing and reloading leaves it.
#[tokio::test]
async fn a_file_that_nginx_has_not_loaded_is_not_believed() {
    let (one, two) = (Web::start("web-1").await, Web::start("web-2").await);
    let balancer = Balancer::start(Setup::new(Kind::Nginx), &[&one, &two]).await;
    run(&balancer, &[("web-2", to(50))]).await.routed();
    assert_eq!(traffic(&survey(&balancer).await), to(100));
    let file = balancer.servers_file();
    let text = std::fs::read_to_string(&file).unwrap();
    let down = text.replace("; # web-1", " down; # web-1");
    assert_ne!(down, text);
    // Longer ago than a reload that has just been can be told from one that comes.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    std::fs::write(&file, &down).unwrap();
    match survey(&balancer).await {
        Outcome::Failed { error, .. } => {
            let words = format!("nginx has not loaded {} as it is yet", file.display());
            assert!(error.message.contains(&words), "{error:?}");
        }
        other => panic!("{other:?}"),
    }
    // Nothing is left to write, and it is loaded all the same.
    let done = run(&balancer, &[("web-1", Traffic::Out)]).await;
    assert_eq!(done.server("web-1").traffic, Traffic::Out);
    assert_eq!(requests(&balancer.url("/"), 20).await.of("web-2"), 20);
    assert_eq!(traffic(&survey(&balancer).await), Traffic::Out);

    // Somebody else's change counts once it is loaded, whoever had nginx do it.
    std::fs::write(&file, &text).unwrap();
    balancer.reload().await;
    let both = async || requests(&balancer.url("/"), 20).await.of("web-1") > 0;
    crate::wait_until("the reload", both).await;
    assert_eq!(traffic(&survey(&balancer).await), to(100));
}

#[tokio::test]
async fn a_reload_that_fails_puts_the_earlier_file_back() {
    let (balancer, _one) = one().await;
    run(&balancer, &[("web-1", to(50))]).await.routed();
    let before = std::fs::read_to_string(balancer.servers_file()).unwrap();
    let order = route(balancer.router(), &[("web-1", to(7))]);
    let shim = deaf(&balancer);
    let done = crate::task::run_as(&balancer, shim, order, 1, Cancel::default()).await;
    assert!(done.refused().message.contains("those of before"), "{done:?}");
    assert_eq!(std::fs::read_to_string(balancer.servers_file()).unwrap(), before);
    // It may yet have loaded the other: the file is no proof until the next reload.
    assert!(matches!(survey(&balancer).await, Outcome::Failed { .. }));
    run(&balancer, &[("web-1", to(50))]).await.routed();
    assert_eq!(traffic(&survey(&balancer).await), to(50));
}

#[tokio::test]
async fn an_nginx_that_does_not_run_is_said_not_to() {
    let (balancer, _one) = one().await;
    std::fs::remove_file(balancer.dir().join("pid")).unwrap();
    let done = run(&balancer, &[("web-1", Traffic::Out)]).await;
    let message = &done.refused().message;
    assert!(message.contains("nginx does not run"), "{message}");
    assert_eq!(requests(&balancer.url("/"), 5).await.of("web-1"), 5);
}
