//! Plan before act, and what became of it afterwards: by pipectl, on real hosts.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use system_tests::files::Revision;
use system_tests::{Options, World, programs};

/// Builds, and deploys nothing by itself.
const PIPELINE: &str = r#"version: 1
name: shop
stages:
  - name: source
    actions:
      - name: app
        source: {repository: shop, branch: main}
  - name: build
    actions:
      - name: compile
        build: {image: "debian:bookworm-slim"}
        outputs: [bundle]
"#;

/// What a person's call came to: its exit code and what it printed.
struct Said {
    code: Option<i32>,
    text: String,
}

async fn pipectl(world: &World, arguments: &[&str]) -> Said {
    let mut command = Command::new(programs::path("pipectl"));
    command
        .args(arguments)
        .env("PIPEYARD_URL", world.controller.url())
        .env("PIPEYARD_TOKEN", &world.api.token)
        .env("HOME", world.directory.path());
    let run = tokio::task::spawn_blocking(move || command.output());
    let Output { status, stdout, stderr } = run.await.unwrap().expect("running pipectl");
    let text = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
    println!("$ pipectl {}\n{text}", arguments.join(" "));
    Said { code: status.code(), text }
}

/// The same at a terminal, with this typed into it.
async fn at_terminal(world: &World, arguments: &[&str], typed: &'static str) -> Said {
    let line = format!("{} {}", programs::path("pipectl").display(), arguments.join(" "));
    let mut command = Command::new("script");
    command
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env("PIPEYARD_URL", world.controller.url())
        .env("PIPEYARD_TOKEN", &world.api.token)
        .env("HOME", world.directory.path())
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let run = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn()?;
        child.stdin.take().expect("a pipe").write_all(typed.as_bytes())?;
        child.wait_with_output()
    });
    let Output { status, stdout, .. } = run.await.unwrap().expect("running pipectl at a terminal");
    let text = String::from_utf8_lossy(&stdout).into_owned();
    println!("$ pipectl {} (typed: {typed:?})\n{text}", arguments.join(" "));
    Said { code: status.code(), text }
}

async fn deployments(world: &World) -> usize {
    let list = world.api.get("/api/v1/deployments").await;
    list["deployments"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn a_plan_finds_the_clash_and_drift_finds_the_hand() {
    let options = Options { pipeline: PIPELINE.to_owned(), ..Options::default() };
    let world = World::start(options).await;
    assert_eq!(world.deliver(&Revision::good("v1"), 1).await["status"], "succeeded");
    let done = pipectl(&world, &["deploy", "production", "--revision", "r-1", "--watch"]).await;
    assert_eq!((done.code, world.versions()), (Some(0), vec!["v1".to_owned(), "v1".to_owned()]));

    // Somebody put a file where the next revision wants one, and that one overwrites nothing.
    world.hosts[1].run("echo mine > /srv/shop/motd").expect("a file by hand");
    let build = "sed -i s/OVERWRITE/DISALLOW/ appspec.yml\necho new > app/motd".to_owned();
    let second = Revision { build, ..Revision::good("v2") };
    assert_eq!(world.deliver(&second, 2).await["status"], "succeeded");
    let hooks_before = world.hosts[0].witness("stop") + &world.hosts[1].witness("stop");

    let plan = pipectl(&world, &["deploy", "production", "--revision", "r-2", "--plan"]).await;
    assert_eq!(plan.code, Some(1), "a clash stands in its way");
    for said in [
        "2 hosts; at least 1 stays in service",
        "✓ 2 of 2 change",
        "+ /srv/shop/motd",
        "~ /srv/shop/version.txt",
        "ApplicationStop",
        "✗ 1 clash",
        "clash:",
        "It would fail on 1 host",
    ] {
        assert!(plan.text.contains(said), "'{said}' is not in:\n{}", plan.text);
    }
    let hooks_after = world.hosts[0].witness("stop") + &world.hosts[1].witness("stop");
    assert_eq!(hooks_after, hooks_before, "no hook ran");
    assert_eq!(world.versions(), ["v1", "v1"], "nothing was installed");
    assert_eq!(world.hosts[1].run("cat /srv/shop/motd").as_deref(), Some("mine"));
    assert_eq!(deployments(&world).await, 1, "nothing was ordered");

    world.hosts[1].run("rm /srv/shop/motd").expect("out of the way");
    let plan = pipectl(&world, &["deploy", "production", "--revision", "r-2", "--plan"]).await;
    assert_eq!(plan.code, Some(0), "{}", plan.text);
    let done = pipectl(&world, &["deploy", "production", "--revision", "r-2", "--watch"]).await;
    assert_eq!((done.code, world.versions()), (Some(0), vec!["v2".to_owned(), "v2".to_owned()]));
    let back = pipectl(&world, &["rollback", "production", "--plan"]).await;
    assert_eq!(back.code, Some(0), "{}", back.text);
    assert!(back.text.starts_with("Rollback of production to "), "{}", back.text);
    assert!(back.text.contains("- /srv/shop/motd"), "v1 had none:\n{}", back.text);
    assert_eq!(world.versions(), ["v2", "v2"], "a plan is no rollback");
    asked_at_a_terminal(&world).await;

    let in_order = pipectl(&world, &["drift", "production"]).await;
    assert_eq!(in_order.code, Some(0), "{}", in_order.text);
    world.hosts[0].run("echo edited > /srv/shop/version.txt").expect("an edit by hand");
    let drift = pipectl(&world, &["drift", "production"]).await;
    assert_eq!(drift.code, Some(1), "{}", drift.text);
    assert!(
        drift.text.contains("✗ drifted") && drift.text.contains("✓ in order"),
        "{}",
        drift.text
    );
    assert!(drift.text.contains("~ /srv/shop/version.txt"), "{}", drift.text);
    let other = pipectl(&world, &["drift", "production", "--host", "host-2"]).await;
    assert_eq!(other.code, Some(0), "{}", other.text);
    // What the report says to do about it does it.
    let done = pipectl(&world, &["deploy", "production", "--watch"]).await;
    assert_eq!((done.code, world.versions()), (Some(0), vec!["v2".to_owned(), "v2".to_owned()]));
    assert_eq!(pipectl(&world, &["drift", "production"]).await.code, Some(0));
}

/// A person is shown what it comes to and asked; whoever says `--yes` is not. Two deployments before it, and
/// two more after it, which leave the hosts as they were.
async fn asked_at_a_terminal(world: &World) {
    let no = at_terminal(world, &["rollback", "production"], "n\n").await;
    assert_eq!(no.code, Some(4), "{}", no.text);
    assert!(no.text.contains("Go ahead? [y/N]") && no.text.contains("nothing was ordered"));
    assert_eq!((deployments(world).await, world.versions()), (2, vec!["v2".into(), "v2".into()]));
    let (summary, _) = no.text.split_once("Go ahead?").unwrap();
    assert!(summary.lines().count() <= 12, "{summary}");
    assert!(summary.contains("host-1, host-2") && summary.contains("capacity"), "{summary}");

    let yes = at_terminal(world, &["rollback", "production"], "y\n").await;
    assert_eq!((yes.code, world.versions()), (Some(0), vec!["v1".to_owned(), "v1".to_owned()]));
    let again = ["deploy", "production", "--revision", "r-2", "--yes"];
    let unasked = at_terminal(world, &again, "").await;
    assert!(!unasked.text.contains("Go ahead?"), "{}", unasked.text);
    assert_eq!((unasked.code, world.versions()), (Some(0), vec!["v2".to_owned(), "v2".to_owned()]));
}
