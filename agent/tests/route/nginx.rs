//! What only nginx does: a file, a test before every reload, and workers that stay for their requests.

use crate::balancer::{Balancer, Kind, Setup};
use crate::load::requests;
use crate::task::{route, run, to};
use crate::web::Web;
use agent::context::{Cancel, Settings};
use pipelines::protocol::route::Traffic;
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

/// A reload that nobody saw happening did not happen.
#[tokio::test]
async fn workers_that_stay_are_a_failure() {
    let (balancer, _one) = one().await;
    let shim = balancer.dir().join("shim");
    std::fs::write(
        &shim,
        "#!/bin/sh\nfor a; do [ \"$a\" != -s ] || exit 0; done\nexec nginx \"$@\"\n",
    )
    .unwrap();
    std::fs::set_permissions(&shim, std::fs::Permissions::from_mode(0o755)).unwrap();
    let conf = balancer.dir().join("conf");
    let nginx = Some(format!("{} -c {}", shim.display(), conf.display()));
    let settings = Settings { nginx, ..Settings::default() };
    let order = route(balancer.router(), &[("web-1", to(7))]);
    let done = crate::task::run_as(&balancer, settings, order, 1, Cancel::default()).await;
    let message = &done.refused().message;
    assert!(message.contains("2 of its workers are those of before after 10 s"), "{message}");
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
