//! Plans and drift: questions to agents and what is made of the answers. The agents' part is played
//! here, by hand, through the store.

use super::sample;
use super::server::Server;
use axum::http::StatusCode;
use bytes::Bytes;
use pipelines::command::Serving;
use pipelines::ids::{AgentId, DeploymentId};
use pipelines::protocol::answer::{Answer, Change, FileChange, Inspection, Preview};
use pipelines::protocol::join::{JoinRequest, Role as AgentRole};
use pipelines::protocol::report::{ErrorCode, Outcome, TaskError};
use pipelines::protocol::task::{Artifact, Purpose, Revision, Task, Work};
use pipelines::time::Millis;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use store::users::Role;
use store::{PgPool, agents, artifacts, deployments, groups, tasks};

async fn join(server: &Server, name: &str) -> AgentId {
    let mut conn = server.app.pool.acquire().await.unwrap();
    let tags = [("role".to_owned(), "web".to_owned())].into();
    let minute = Millis::from_secs(60);
    let (id, secret) =
        agents::create_join_token(&mut conn, AgentRole::Deploy, &tags, 1, minute, "ada")
            .await
            .unwrap();
    let request = JoinRequest {
        protocol: 1,
        token: id,
        name: name.to_owned(),
        version: "0.1.0".to_owned(),
        tags: Default::default(),
        idempotency: name.to_owned(),
    };
    agents::join(&mut conn, &secret, &request, "10.0.0.1").await.unwrap().0
}

/// A group of three hosts and an operator's token.
async fn installation(group: &str) -> (Server, String, Vec<AgentId>) {
    let server = Server::start().await;
    let token = server.user("oda", Role::Operator).await;
    let body = json!({"files": [{"path": "group.yml", "text": group}], "dry_run": false});
    let answer = server.post("/api/v1/apply", &token, body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let mut hosts = Vec::new();
    for number in 1..=3 {
        hosts.push(join(&server, &format!("host-{number}")).await);
    }
    (server, token, hosts)
}

/// Content the controller has.
async fn artifact(server: &Server, content: &'static str) -> Artifact {
    let bytes = futures::stream::iter([Ok(Bytes::from_static(content.as_bytes()))]);
    let artifact = server.app.objects.put(bytes, None, 1000).await.unwrap();
    let mut conn = server.app.pool.acquire().await.unwrap();
    artifacts::note(&mut conn, &artifact).await.unwrap();
    artifact
}

/// Host and group are noted to serve this since a successful deployment.
async fn serves(server: &Server, hosts: &[AgentId], revision: &Revision) -> DeploymentId {
    let mut conn = server.app.pool.acquire().await.unwrap();
    let group = groups::by_name(&mut conn, "production").await.unwrap().unwrap();
    let purpose = Purpose::Forward;
    let order = deployments::Order { group: group.id, revision, purpose, by: "ada", run: None };
    let id = deployments::create(&mut conn, &order).await.unwrap();
    let row = sample::deployment();
    let (plan, mut state) = (row.plan.unwrap().0, row.state.unwrap().0);
    state.phase = pipelines::deploy::Phase::Succeeded;
    let save =
        deployments::Save { plan: &plan, state: &state, waiting: &[], wake_at: None, version: 0 };
    assert!(deployments::save(&mut conn, id, &save).await.unwrap());
    for host in hosts {
        let serving = Serving::Revision(revision.clone());
        groups::record_host(&mut conn, group.id, *host, id, &serving).await.unwrap();
    }
    groups::record_good(&mut conn, group.id, hosts, revision).await.unwrap();
    id
}

/// Plays these hosts' agents: answers one question each, and returns the tasks they got.
async fn play(
    pool: PgPool,
    hosts: Vec<AgentId>,
    answer: impl Fn(AgentId, &Task) -> Outcome,
) -> Vec<Task> {
    let mut got = Vec::new();
    for host in hosts {
        let until = Instant::now() + Duration::from_secs(10);
        let task = loop {
            let mut conn = pool.acquire().await.unwrap();
            if let Some(held) = tasks::held(&mut conn, host).await.unwrap().pop() {
                break held.task;
            }
            assert!(Instant::now() < until, "{host} was never asked");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let mut conn = pool.acquire().await.unwrap();
        if let Work::Preview(deploy) = &task.work {
            let digest = &deploy.revision.bundle.digest;
            assert!(tasks::may_fetch(&mut conn, host, digest).await.unwrap(), "it may download");
        }
        let outcome = answer(host, &task);
        tasks::finish(&mut conn, host, task.key, &outcome, 0).await.unwrap();
        got.push(task);
    }
    got
}

fn said(answer: Answer) -> Outcome {
    let (steps, artifacts, exported) = (Vec::new(), Vec::new(), Default::default());
    Outcome::Succeeded { steps, artifacts, exported, answer: Some(answer) }
}

fn failed(message: &str) -> Outcome {
    let error = TaskError {
        code: ErrorCode::AgentError,
        message: message.to_owned(),
        step: None,
        command: None,
        touched: false,
    };
    Outcome::Failed { steps: Vec::new(), error, artifacts: Vec::new() }
}

fn change(path: &str, change: Change) -> FileChange {
    FileChange { path: path.to_owned(), change }
}

async fn open_questions(server: &Server, hosts: &[AgentId]) -> usize {
    let mut conn = server.app.pool.acquire().await.unwrap();
    let mut open = 0;
    for host in hosts {
        open += tasks::held(&mut conn, *host).await.unwrap().len();
    }
    open
}

#[tokio::test]
async fn a_plan_says_what_every_host_would_see() {
    let group =
        format!("{}min-healthy: 2\nhooks: {{irreversible: [AfterInstall]}}\n", sample::GROUP);
    let (server, token, hosts) = installation(&group).await;
    let first =
        Revision { bundle: artifact(&server, "first").await, ..sample::revision('a', "a1 First") };
    serves(&server, &hosts, &first).await;
    let second = artifact(&server, "second").await;
    let agents = play(server.app.pool.clone(), hosts.clone(), |host, task| {
        let Work::Preview(deploy) = &task.work else { panic!("no preview: {task:?}") };
        assert_eq!(deploy.revision.bundle.digest, second.digest);
        if host == hosts[2] {
            return failed("the disk is full");
        }
        let clash = "/srv/shop/motd is there and was not installed by this group";
        said(Answer::Preview(Preview {
            files: 3,
            bytes: 30,
            changes: vec![
                change("/srv/shop/a", Change::Replaced),
                change("/srv/shop/b", Change::Added),
                change("/srv/shop/c", Change::Removed),
            ],
            changed: 3,
            clashes: if host == hosts[1] { vec![clash.to_owned()] } else { Vec::new() },
            warnings: Vec::new(),
            hooks: vec![("AfterInstall".to_owned(), "hooks/migrate.sh".to_owned())],
            fetched: host == hosts[0],
        }))
    });
    let wanted = json!({"purpose": "forward", "revision": &second.digest.as_str()[..12]});
    let (answer, asked) =
        tokio::join!(server.post("/api/v1/groups/production/plan", &token, wanted), agents);
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(asked.len(), 3);
    let plan = answer.json();
    assert_eq!(
        plan["capacity"][0],
        "3 hosts; at least 2 stay in service (min-healthy 2), so 1 at a time"
    );
    assert_eq!(plan["refused"], Value::Null);
    assert_eq!(plan["steps"][0]["sentence"], "update host-1");
    let host = |index: usize| &plan["hosts"][index];
    assert_eq!((&host(0)["serves"], &host(0)["prior"]), (&json!("a1 First"), &json!("a1 First")));
    assert_eq!(host(0)["will_serve"], format!("artifact {}", second.digest.short()));
    let preview = &host(0)["preview"];
    let counts =
        ["added", "replaced", "removed", "changed"].map(|key| preview[key].as_u64().unwrap());
    assert_eq!(counts, [1, 1, 1, 3]);
    assert_eq!(
        (&preview["fetched"], &host(1)["preview"]["fetched"]),
        (&json!(true), &json!(false))
    );
    assert!(host(1)["preview"]["clashes"][0].as_str().unwrap().contains("/srv/shop/motd"));
    assert_eq!(
        (&host(2)["asked"], &host(2)["message"]),
        (&json!("failed"), &json!("the disk is full"))
    );
    assert_eq!(
        (&plan["clashing"], &plan["failed"], &plan["silent"]),
        (&json!(1), &json!(1), &json!(0))
    );
    let undo = plan["cannot_be_undone"][0].as_str().unwrap();
    assert!(undo.contains("AfterInstall runs hooks/migrate.sh"), "{undo}");

    assert_eq!(open_questions(&server, &hosts).await, 0, "nothing is left to be answered");
    let list = server.get("/api/v1/deployments", &token).await.json();
    assert_eq!(list["deployments"].as_array().unwrap().len(), 1, "a plan orders nothing");
}

#[tokio::test]
async fn who_does_not_answer_in_time_is_silent_and_asked_no_longer() {
    let (server, _, hosts) = installation(sample::GROUP).await;
    let inspect =
        || Work::Inspect(pipelines::protocol::task::Inspect { group: "production".into() });
    let question = |agent| crate::questions::Question { agent, work: inspect(), needs: Vec::new() };
    let asked = hosts.iter().copied().map(question).collect();
    let one = play(server.app.pool.clone(), vec![hosts[1]], |_, _| {
        said(Answer::Inspection(Inspection::default()))
    });
    let patience = Duration::from_secs(1);
    let (replies, _) = tokio::join!(crate::questions::ask(&server.app, asked, patience), one);
    let replies = replies.unwrap();
    use crate::questions::Reply;
    assert_eq!(replies[&hosts[0]], Reply::Silent);
    assert_eq!(replies[&hosts[1]], Reply::Answered(Answer::Inspection(Inspection::default())));
    assert_eq!(open_questions(&server, &hosts).await, 0, "withdrawn");
}

#[tokio::test]
async fn what_cannot_be_planned_says_why() {
    let impossible = format!("{}min-healthy: 2\n", sample::GROUP);
    let (server, token, hosts) = installation(&impossible).await;
    let path = "/api/v1/groups/production/plan";
    let nothing = server.post(path, &token, json!({})).await;
    assert_eq!(nothing.status, StatusCode::CONFLICT);
    let help = nothing.json()["error"]["help"].as_str().unwrap().to_owned();
    assert!(help.contains("a run (r-12)"), "{help}");
    let missing = server.post(path, &token, json!({"revision": "ab".repeat(32)})).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    let odd = server.post(path, &token, json!({"revision": "latest"})).await;
    assert_eq!(odd.status, StatusCode::BAD_REQUEST, "{}", odd.text());
    let back = server.post(path, &token, json!({"purpose": "rollback"})).await;
    assert_eq!(back.json()["error"]["help"], "no deployment to it has succeeded yet");

    // Two hosts, of which two have to stay.
    let mut conn = server.app.pool.acquire().await.unwrap();
    assert!(agents::set_state(&mut conn, "host-3", "drained").await.unwrap());
    let bundle = artifact(&server, "first").await;
    let refused = server.post(path, &token, json!({"revision": bundle.digest.as_str()})).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.text());
    let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("write at most 1, or add hosts"), "{message}");
    assert_eq!(open_questions(&server, &hosts).await, 0, "nobody was asked");

    let viewer = server.user("vic", Role::Viewer).await;
    for path in [path, "/api/v1/groups/production/drift", "/api/v1/groups/production/deployments"] {
        let answer = server.post(path, &viewer, json!({})).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn an_artifact_is_deployed_by_digest_deployment_or_as_it_is() {
    let (server, token, hosts) = installation(sample::GROUP).await;
    let path = "/api/v1/groups/production/deployments";
    let first =
        Revision { bundle: artifact(&server, "first").await, ..sample::revision('a', "a1 First") };
    let id = serves(&server, &hosts, &first).await;
    let second = artifact(&server, "second").await;
    for (wanted, label) in [
        (json!({}), "a1 First".to_owned()),
        (json!({"revision": id.to_string()}), "a1 First".to_owned()),
        (json!({"revision": &first.bundle.digest.as_str()[..8]}), "a1 First".to_owned()),
        (
            json!({"revision": format!("sha256:{}", second.digest)}),
            format!("artifact {}", second.digest.short()),
        ),
    ] {
        let answer = server.post(path, &token, wanted.clone()).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{wanted}: {}", answer.text());
        assert_eq!(answer.json()["revision"]["label"], label, "{wanted}");
    }
    let shown = server.get("/api/v1/deployments/d-2", &token).await.json();
    assert_eq!((&shown["purpose"], &shown["created_by"]), (&json!("forward"), &json!("oda")));
    let developer = server.user("dev", Role::Developer).await;
    let refused = server.post(path, &developer, json!({})).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "as a rollback");

    let gone = sample::revision('c', "c3 Third");
    let id = serves(&server, &[], &gone).await;
    let answer = server.post(path, &token, json!({"revision": id.to_string()})).await;
    assert_eq!(answer.json()["error"]["message"], "the artifact of c3 Third is not kept any more");
}

#[tokio::test]
async fn drift_is_reported_host_by_host() {
    let (server, token, hosts) = installation(sample::GROUP).await;
    let first = sample::revision('a', "a1 First");
    serves(&server, &hosts[..2], &first).await;
    let path = "/api/v1/groups/production/drift";
    let inspection = |drift: Vec<FileChange>, installed| Inspection {
        installed,
        files: 2,
        drifted: drift.len() as u64,
        drift,
    };
    let agents = play(server.app.pool.clone(), hosts.clone(), |host, task| {
        assert!(matches!(&task.work, Work::Inspect(inspect) if inspect.group == "production"));
        let installed = Some(first.bundle.digest.clone());
        said(Answer::Inspection(match hosts.iter().position(|id| *id == host) {
            Some(0) => inspection(Vec::new(), installed),
            Some(1) => inspection(vec![change("/srv/shop/a", Change::Altered)], installed),
            _ => Inspection::default(),
        }))
    });
    let (answer, _) = tokio::join!(server.post(path, &token, json!({})), agents);
    let drift = answer.json();
    let states: Vec<&str> = drift["hosts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|host| host["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["in-order", "drifted", "not-installed"], "{drift}");
    assert_eq!((&drift["drifted"], &drift["silent"]), (&json!(1), &json!(0)));
    assert_eq!(drift["hosts"][1]["drift"][0], json!({"path": "/srv/shop/a", "change": "altered"}));

    // The controller believes in one revision and the host has another, or none.
    let agents = play(server.app.pool.clone(), hosts[..2].to_vec(), |host, _| {
        let other = sample::revision('b', "b2 Second").bundle.digest;
        let installed = (host == hosts[0]).then_some(other);
        said(Answer::Inspection(inspection(Vec::new(), installed)))
    });
    let (answer, _) = tokio::join!(
        async {
            let one = server.post(path, &token, json!({"host": "host-1"})).await;
            (one, server.post(path, &token, json!({"host": "host-2"})).await)
        },
        agents
    );
    assert_eq!(answer.0.json()["hosts"][0]["state"], "other-revision");
    assert_eq!(answer.1.json()["hosts"][0]["state"], "missing");
    assert_eq!(answer.1.json()["drifted"], 1);
    let unknown = server.post(path, &token, json!({"host": "host-9"})).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_plan_behind_a_balancer_says_weights_and_how_old_they_are() {
    let group = "version: 1
group: production
application: shop
hosts: {tags: {role: web}}
strategy: {canary: {steps: [{weight: 25, hold: 5m}]}}
router: {haproxy: {agent: lb, backend: shop, socket: /run/haproxy.sock}}
";
    let (server, token, hosts) = installation(group).await;
    let first =
        Revision { bundle: artifact(&server, "first").await, ..sample::revision('a', "a1 First") };
    serves(&server, &hosts, &first).await;
    let path = "/api/v1/groups/production/plan";
    let none = server.post(path, &token, json!({})).await;
    let message = none.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("`router` names the agent lb, and there is none"), "{message}");

    let lb = join(&server, "lb").await;
    let mut conn = server.app.pool.acquire().await.unwrap();
    let row = groups::by_name(&mut conn, "production").await.unwrap().unwrap();
    for host in hosts.iter().chain([&lb]) {
        let lane = pipelines::deploy::Lane::In { weight: 50 };
        groups::record_traffic(&mut conn, row.id, *host, lane).await.unwrap();
    }
    drop(conn);
    let mut all = hosts.clone();
    all.push(lb);
    let agents = play(server.app.pool.clone(), all.clone(), |_, task| {
        let Work::Preview(deploy) = &task.work else { panic!("no preview: {task:?}") };
        assert_eq!(deploy.parts.len(), 6, "the parts around the balancer are looked at too");
        said(Answer::Preview(Preview::default()))
    });
    let (answer, _) = tokio::join!(server.post(path, &token, json!({})), agents);
    let plan = answer.json();
    assert_eq!(plan["notes"], json!([]), "it was noted just now");
    assert_eq!(plan["hosts"][0]["weight"], 50);
    assert_eq!(plan["least_secs"], 300);
    let shifts: Vec<&Value> = plan["steps"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|step| !step["weights"].as_array().unwrap().is_empty())
        .collect();
    assert_eq!(shifts.len(), 2, "{plan}");
    let weights = |step: &Value| -> Vec<u64> {
        let hosts = step["weights"].as_array().unwrap().iter();
        hosts.map(|host| host["weight"].as_u64().unwrap()).collect()
    };
    let canary = weights(shifts[0]);
    assert_eq!(canary[0] * 3, canary[1..].iter().sum::<u64>(), "a quarter: {canary:?}");
    assert_eq!(weights(shifts[1]), [50, 50, 50, 50], "then what they had");
}
