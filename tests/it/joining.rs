//! A machine becomes a host with one line, and is nobody's host again with one command.

use serde_json::{Value, json};
use system_tests::api::{Api, text};
use system_tests::controller::Controller;
use system_tests::files::Revision;
use system_tests::host::{Host, gateway};
use system_tests::world::{first_password, label, pass_through};
use system_tests::{Options, World, programs, wait};

/// A line and the token in it.
async fn line(api: &Api) -> (String, String) {
    let wanted = json!({ "role": "deploy", "tags": { "role": "web" }, "uses": 1 });
    let made = api.post("/api/v1/join-tokens", &wanted).await;
    (text(&made, "command"), text(&made, "token"))
}

fn installs(host: &Host, line: &str) -> String {
    let (code, said) = host.type_in(line);
    assert_eq!(code, 0, "{said}");
    said
}

fn asked(host: &Host, what: &str) -> (i32, Value) {
    let (code, said) = host.type_in(&format!("pipeyard-agent {what} -o json"));
    (code, serde_json::from_str(&said).unwrap_or_else(|_| panic!("{what}: {code} {said}")))
}

async fn wait_until_alive(api: &Api, name: &str) {
    wait::until(&format!("{name} to be alive"), || async {
        let hosts = api.get("/api/v1/hosts").await;
        let hosts = hosts["hosts"].as_array()?.clone();
        hosts.iter().any(|host| host["name"] == name && host["alive"] == true).then_some(())
    })
    .await;
}

async fn host_names(api: &Api) -> Vec<String> {
    let hosts = api.get("/api/v1/hosts").await;
    hosts["hosts"].as_array().unwrap().iter().map(|host| text(host, "name")).collect()
}

/// Processes of the agent's program: their number.
fn agents(host: &Host) -> String {
    host.run(&each_agent("echo $p")).unwrap().lines().count().to_string()
}

/// A shell's loop over them. The script that keeps the agent running is called like it, so it is its
/// program that tells.
fn each_agent(body: &str) -> String {
    format!(
        "for p in /proc/[0-9]*; do case $(readlink $p/exe) in */pipeyard-agent*) {body} ;; esac; \
         done; true"
    )
}

fn problems(doctor: &Value) -> Vec<String> {
    let checks = doctor["checks"].as_array().unwrap();
    let bad = checks.iter().filter(|check| check["verdict"] == "problem");
    bad.map(|check| text(check, "check")).collect()
}

#[tokio::test]
async fn one_line_makes_a_host_and_uninstalling_leaves_nothing_but_what_was_deployed() {
    let world = World::start(Options { hosts: 0, ..Options::default() }).await;
    let host = world.bare_host("host-1");
    let before = host.files();
    let (line, token) = line(&world.api).await;
    installs(&host, &line);
    wait_until_alive(&world.api, "host-1").await;
    let (code, me) = asked(&host, "whoami");
    assert_eq!((code, &me["name"], &me["known"]), (0, &json!("host-1"), &json!(true)), "{me}");
    assert_eq!(me["tags"], json!({ "role": "web" }));
    assert_eq!((&me["service"], &me["running"]), (&json!("init script"), &json!(true)));
    let (code, doctor) = asked(&host, "doctor");
    assert_eq!((code, problems(&doctor)), (0, Vec::new()), "{doctor}");
    nobody_can_read(&host, token.split('.').nth(2).unwrap());

    // Once more is no second join, and the service stays as it was.
    installs(&host, &line);
    assert_eq!(host_names(&world.api).await, ["host-1"]);
    assert_eq!(agents(&host), "1");

    // It is kept running.
    let killed = host.run(&each_agent("kill -9 ${p#/proc/}; echo $p")).unwrap();
    wait::until("another agent to be at work", || async {
        let now = host.run(&each_agent("echo $p")).unwrap();
        let back = !now.is_empty() && now != killed && asked(&host, "whoami").1["running"] == true;
        back.then_some(())
    })
    .await;

    // What it deploys outlives it, and what is running too.
    let serve = "setsid sleep 7777 >/dev/null 2>&1 </dev/null &";
    let start = format!("{}\n{serve}", Revision::until("go-start"));
    world.repository.commit(&Revision { start, ..Revision::good("v1") }, "Open the shop");
    world.repository.push();
    let run = world.api.run_number(1).await;
    wait::until("the start hook", || async {
        host.witness("start").contains("v1 begin").then_some(())
    })
    .await;
    let (code, said) = host.type_in("pipeyard-agent uninstall");
    assert!(code == 1 && said.contains("has work: t-") && said.contains("drain host-1"), "{said}");
    std::fs::write(world.directory.path().join("witness/host-1/go-start"), "").unwrap();
    let run = world.api.run_end(&run).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    let (code, said) = host.type_in("pipeyard-agent uninstall");
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("host-1 left") && said.contains("nothing of the agent is left"),
        "{said}"
    );
    assert_eq!(host.version(), "v1");
    host.run("grep -ql 7777 /proc/[0-9]*/cmdline").expect("the application runs");
    assert_eq!(agents(&host), "0");
    assert!(host_names(&world.api).await.is_empty(), "the controller knows");
    let mut after = host.files();
    after.retain(|file| !file.starts_with("/srv/shop"));
    assert_eq!(after, before);
}

/// The secret of a token is in no file and in no process.
fn nobody_can_read(host: &Host, secret: &str) {
    let look = format!(
        "grep -lsaF {secret} -r /etc /var /root /run /tmp /home; \
         for p in /proc/[0-9]*; do case $(cat $p/comm) in grep|sh|cat) ;; *) \
         grep -lsaF {secret} $p/environ $p/cmdline ;; esac; done; true"
    );
    assert_eq!(host.run(&look).unwrap(), "", "the token was left somewhere");
}

#[tokio::test]
async fn a_revoked_agent_ends_and_its_host_can_join_again_under_its_name() {
    let world = World::start(Options { hosts: 0, silence: 2, ..Options::default() }).await;
    let host = world.bare_host("host-1");
    let (first, _) = line(&world.api).await;
    installs(&host, &first);
    wait_until_alive(&world.api, "host-1").await;
    world.api.post("/api/v1/agents/host-1/revoke", &json!({})).await;
    wait::until("the agent to end", || async { (agents(&host) == "0").then_some(()) }).await;
    let log = host.run("cat /var/log/pipeyard-agent.log").unwrap();
    assert!(log.contains("was revoked") && log.contains("not started again"), "{log}");
    let (code, doctor) = asked(&host, "doctor");
    assert_eq!((code, problems(&doctor)), (1, vec!["service".into(), "credential".into()]));
    let (code, me) = asked(&host, "whoami");
    assert_eq!((code, &me["known"]), (1, &json!(false)));
    let (second, _) = line(&world.api).await;
    let said = installs(&host, &second);
    assert!(said.contains("joins again"), "{said}");
    wait_until_alive(&world.api, "host-1").await;
    assert_eq!(problems(&asked(&host, "doctor").1), Vec::<String>::new());
}

/// A controller with programs of its own, that can be tampered with.
struct Sole {
    controller: Controller,
    directory: tempfile::TempDir,
}

impl Sole {
    async fn start() -> Sole {
        let directory = tempfile::tempdir().unwrap();
        pass_through(directory.path());
        let agent = directory.path().join("programs/pipeyard-agent");
        std::fs::create_dir(agent.parent().unwrap()).unwrap();
        std::fs::copy(programs::path("pipeyard-agent"), &agent).unwrap();
        let mut controller = Controller::new(&directory.path().join("data"), None, &gateway(), 30);
        controller.programs = agent.parent().map(Into::into);
        controller.start().await;
        Sole { controller, directory }
    }

    fn ca(&self) -> std::path::PathBuf {
        self.directory.path().join("data/tls/ca.pem")
    }
}

#[tokio::test]
async fn nobody_in_between_gets_code_of_his_own_onto_a_host() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (ours, mut theirs) = (Sole::start().await, Sole::start().await);
    let data = ours.directory.path().join("data");
    let api = Api::login(&ours.controller.url(), "admin", &first_password(&data)).await;
    let (line, _) = line(&api).await;
    let witness = ours.directory.path().join("witness");
    let host = Host::bare(&label(ours.directory.path()), "host-1", witness);
    let before = host.files();
    let refuses = |line: &str, why: &str| {
        let (code, said) = host.type_in(line);
        assert!(code != 0 && said.contains(why), "{code}: {said}");
        assert_eq!(host.files(), before, "nothing may be left");
    };

    // Somebody answers in the controller's place, with an authority of his own.
    let diverted =
        line.replace(&ours.controller.port.to_string(), &theirs.controller.port.to_string());
    assert_ne!(diverted, line);
    refuses(&diverted, "ca.pem: FAILED");

    // He shows the right authority, which anybody can have, and signs with his own key.
    theirs.controller.kill();
    std::fs::copy(ours.ca(), theirs.ca()).unwrap();
    theirs.controller.start().await;
    refuses(&diverted, "SSL");

    // The program is another one than the script was made with.
    let kept = line.replace("sh install.sh)", "cp install.sh /witness/)");
    installs(&host, &kept);
    let agent = ours.directory.path().join("programs/pipeyard-agent");
    let genuine = std::fs::read(&agent).unwrap();
    let mut changed = genuine.clone();
    *changed.last_mut().unwrap() ^= 1;
    std::fs::write(&agent, changed).unwrap();
    refuses("PIPEYARD_JOIN_TOKEN=pyj1.a.b.plain sh /witness/install.sh", "nothing was installed");
    assert!(host_names(&api).await.is_empty());

    // None of it used the token up.
    std::fs::write(&agent, genuine).unwrap();
    installs(&host, &line);
    wait_until_alive(&api, "host-1").await;
}
