//! What `pipectl` relies on.

use super::sample;
use super::server::Server;
use axum::http::StatusCode;
use pipelines::deploy::Event;
use pipelines::ids::DeploymentId;
use pipelines::protocol::task::Purpose;
use serde_json::{Value, json};
use store::users::Role;
use store::{deployments, groups, inbox, logs, runs, tasks};

fn files(files: &[(&str, &str)]) -> Value {
    let files: Vec<Value> =
        files.iter().map(|(path, text)| json!({"path": path, "text": text})).collect();
    json!({"files": files, "dry_run": false})
}

async fn applied(server: &Server, token: &str) {
    let both = files(&[("pipeline.yml", sample::PIPELINE), ("group.yml", sample::GROUP)]);
    let answer = server.post("/api/v1/apply", token, both).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
}

#[tokio::test]
async fn a_password_becomes_a_token_that_says_who_one_is() {
    let server = Server::start().await;
    server.user("ada", Role::Operator).await;
    let login = json!({"user": "ada", "password": "secret"});
    let answer = server.post("/api/v1/login", "", login).await.json();
    assert_eq!((&answer["user"], &answer["role"]), (&json!("ada"), &json!("operator")));
    let me = server.get("/api/v1/whoami", answer["token"].as_str().unwrap()).await;
    assert_eq!(me.json(), json!({"user": "ada", "role": "operator", "server_version": "test"}));
    for wrong in [json!({"user": "ada", "password": "x"}), json!({"user": "eve", "password": "x"})]
    {
        let refused = server.post("/api/v1/login", "", wrong).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
        assert_eq!(refused.json()["error"]["code"], "wrong-credentials");
    }
    let foreign = server.get("/api/v1/whoami", "pytnonsense").await;
    assert_eq!(foreign.json()["error"]["code"], "unauthenticated");
}

#[tokio::test]
async fn apply_registers_everything_and_says_what_changed() {
    let server = Server::start().await;
    let token = server.user("ada", Role::Developer).await;
    let both = files(&[("pipeline.yml", sample::PIPELINE), ("group.yml", sample::GROUP)]);
    let mut dry = both.clone();
    dry["dry_run"] = json!(true);
    let rehearsed = server.post("/api/v1/apply", &token, dry).await.json();
    assert_eq!(rehearsed["changes"][0]["change"], "created");
    let mut conn = server.app.pool.acquire().await.unwrap();
    assert!(groups::list(&mut conn).await.unwrap().is_empty(), "a dry run registers nothing");

    let first = server.post("/api/v1/apply", &token, both.clone()).await.json();
    assert_eq!(first["changes"][0]["kind"], "pipeline");
    assert_eq!(first["changes"][1]["name"], "production");
    assert!(store::repositories::exists(&mut conn, "shop").await.unwrap());
    let again = server.post("/api/v1/apply", &token, both).await.json();
    assert_eq!(again["changes"][0]["change"], "unchanged");
    assert_eq!(again["changes"][0]["diff"], "");
    let edited = sample::GROUP.replace("batch: 2", "batch: 1");
    let third = server.post("/api/v1/apply", &token, files(&[("group.yml", &edited)])).await.json();
    let change = &third["changes"][0];
    assert_eq!((&change["change"], &change["version"]), (&json!("updated"), &json!(2)));
    let diff = change["diff"].as_str().unwrap();
    assert!(diff.contains("-strategy: {rolling: {batch: 2}}\n+strategy: {rolling: {batch: 1}}"));
}

#[tokio::test]
async fn one_mistake_refuses_every_file_and_all_are_named() {
    let server = Server::start().await;
    let token = server.user("ada", Role::Developer).await;
    let bad = sample::PIPELINE.replace("stages:", "stagez:");
    let unknown = sample::PIPELINE.replace("group: production", "group: prodution");
    let sent = files(&[
        ("group.yml", sample::GROUP),
        ("a/pipeline.yml", &bad),
        ("b/pipeline.yml", &unknown),
    ]);
    let answer = server.post("/api/v1/apply", &token, sent).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let body = answer.json();
    assert_eq!(body["error"]["code"], "invalid-files");
    assert_eq!(body["error"]["message"], "2 of 3 files cannot be used");
    assert_eq!(body["files"][0]["file"], "a/pipeline.yml");
    let problem = &body["files"][1]["problems"][0];
    assert_eq!(problem["code"], "unknown-group");
    assert_eq!(problem["line"], 22);
    assert!(problem["help"].as_str().unwrap().starts_with("write `production`"));
    let mut conn = server.app.pool.acquire().await.unwrap();
    assert!(groups::list(&mut conn).await.unwrap().is_empty(), "nothing is half-registered");
}

#[tokio::test]
async fn a_run_is_started_shown_listed_and_stopped() {
    let server = Server::start().await;
    let token = server.user("ada", Role::Developer).await;
    applied(&server, &token).await;
    let commit = "4f2c91e0".repeat(5);
    let wanted = json!({"commit": commit, "variables": {"LOG_LEVEL": "debug"}});
    let created = server.post("/api/v1/pipelines/shop/runs", &token, wanted).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.text());
    assert_eq!(created.json(), json!({"run": "r-1"}));
    let shown = server.get("/api/v1/runs/r-1", &token).await.json();
    assert_eq!(
        shown["trigger"],
        json!({"kind": "manual", "by": "ada", "branch": "main", "commit": commit})
    );
    assert_eq!(shown["stages"][2]["actions"][0]["kind"], "approval");
    assert_eq!(shown["stages"][2]["actions"][0]["state"], "pending");
    assert_eq!(shown["variables"]["LOG_LEVEL"], "debug");
    assert!(shown["created_at"].as_str().unwrap().ends_with('Z'));

    server.post("/api/v1/pipelines/shop/runs", &token, json!({})).await;
    let page = server.get("/api/v1/runs?pipeline=shop&limit=1", &token).await.json();
    assert_eq!((&page["runs"][0]["id"], &page["next"]), (&json!("r-2"), &json!("r-2")));
    let rest = server.get("/api/v1/runs?before=r-2&limit=5", &token).await.json();
    assert_eq!((&rest["runs"][0]["id"], &rest["next"]), (&json!("r-1"), &Value::Null));

    let stopped = server.post("/api/v1/runs/1/stop", &token, json!({"reason": "typo"})).await;
    assert_eq!(stopped.status, StatusCode::ACCEPTED);
    let mut conn = server.app.pool.acquire().await.unwrap();
    let told = inbox::take_run(&mut conn, pipelines::ids::RunId(1)).await.unwrap();
    assert!(matches!(&told[1], pipelines::run::Event::Stop { by, .. } if by == "ada"));
}

#[tokio::test]
async fn what_cannot_be_started_is_refused_with_what_to_do() {
    let server = Server::start().await;
    let token = server.user("ada", Role::Developer).await;
    applied(&server, &token).await;
    let cases = [
        ("/api/v1/pipelines/shap/runs", json!({}), StatusCode::NOT_FOUND, "shap"),
        (
            "/api/v1/pipelines/shop/runs",
            json!({"commit": "main"}),
            StatusCode::BAD_REQUEST,
            "commit",
        ),
        (
            "/api/v1/pipelines/shop/runs",
            json!({"variables": {"LEVEL": "x"}}),
            StatusCode::BAD_REQUEST,
            "LEVEL",
        ),
        ("/api/v1/runs/r-99/stop", json!({}), StatusCode::NOT_FOUND, "r-99"),
        ("/api/v1/runs/nonsense/stop", json!({}), StatusCode::NOT_FOUND, "nonsense"),
    ];
    for (path, body, status, word) in cases {
        let answer = server.post(path, &token, body).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert!(answer.json()["error"]["message"].as_str().unwrap().contains(word));
    }
}

#[tokio::test]
async fn an_approval_is_decided_once_it_asks() {
    let server = Server::start().await;
    let operator = server.user("oda", Role::Operator).await;
    let developer = server.user("ada", Role::Developer).await;
    applied(&server, &developer).await;
    server.post("/api/v1/pipelines/shop/runs", &developer, json!({})).await;
    let path = "/api/v1/runs/r-1/actions/sign-off/approve";
    let early = server.post(path, &operator, json!({"comment": "ok"})).await;
    assert_eq!(early.status, StatusCode::CONFLICT);

    let mut conn = server.app.pool.acquire().await.unwrap();
    let row = runs::by_id(&mut conn, pipelines::ids::RunId(1)).await.unwrap().unwrap();
    let mut state = row.state.0.clone();
    state.actions.get_mut("sign-off").unwrap().state =
        pipelines::run::ActionState::Asking { until: None };
    let save = runs::Save { state: &state, waiting: &[], label: "", wake_at: None, version: 0 };
    assert!(runs::save(&mut conn, row.id(), &save).await.unwrap());

    let forbidden = server.post(path, &developer, json!({})).await;
    assert_eq!(forbidden.status, StatusCode::FORBIDDEN);
    let reject = "/api/v1/runs/r-1/actions/sign-off/reject";
    let silent = server.post(reject, &operator, json!({"comment": " "})).await;
    assert_eq!(silent.status, StatusCode::BAD_REQUEST, "a rejection needs a reason");
    let approved = server.post(path, &operator, json!({"comment": "ok"})).await;
    assert_eq!(approved.status, StatusCode::ACCEPTED, "{}", approved.text());
}

/// Two good deployments of the group, the second in place.
async fn two_good_deployments(server: &Server) -> i64 {
    let mut conn = server.app.pool.acquire().await.unwrap();
    let group = groups::by_name(&mut conn, "production").await.unwrap().unwrap();
    for (digit, label) in [('a', "a11ce00 First"), ('b', "bad5eed Second")] {
        let revision = sample::revision(digit, label);
        let purpose = Purpose::Forward;
        let order = deployments::Order {
            group: group.id,
            revision: &revision,
            purpose,
            by: "ada",
            run: None,
        };
        let id = deployments::create(&mut conn, &order).await.unwrap().unwrap();
        let row = sample::deployment();
        let (plan, mut state) = (row.plan.unwrap().0, row.state.unwrap().0);
        state.phase = pipelines::deploy::Phase::Succeeded;
        let save = deployments::Save {
            plan: &plan,
            state: &state,
            waiting: &[],
            wake_at: None,
            version: 0,
        };
        assert!(deployments::save(&mut conn, id, &save).await.unwrap());
        groups::record_good(&mut conn, group.id, &[], &revision).await.unwrap();
    }
    group.id
}

#[tokio::test]
async fn a_rollback_orders_the_revision_before() {
    let server = Server::start().await;
    let token = server.user("oda", Role::Operator).await;
    applied(&server, &token).await;
    let path = "/api/v1/groups/production/rollback";
    let nothing = server.post(path, &token, json!({})).await;
    assert_eq!(nothing.status, StatusCode::CONFLICT);
    assert_eq!(nothing.json()["error"]["help"], "no deployment to it has succeeded yet");

    two_good_deployments(&server).await;
    let answer = server.post(path, &token, json!({})).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    assert_eq!(answer.json()["deployment"], "d-3");
    assert_eq!(answer.json()["revision"]["label"], "a11ce00 First");
    let shown = server.get("/api/v1/deployments/d-3", &token).await.json();
    assert_eq!(shown["purpose"], "rollback");
    assert_eq!(shown["sentence"], "Planning the deployment of a11ce00 First to production");
    let unknown = server.post(path, &token, json!({"to": "d-77"})).await;
    assert!(unknown.json()["error"]["help"].as_str().unwrap().contains("d-2 (bad5eed Second)"));
}

#[tokio::test]
async fn a_deployment_is_shown_with_steps_hosts_and_history_and_can_be_steered() {
    let server = Server::start().await;
    let token = server.user("oda", Role::Operator).await;
    applied(&server, &token).await;
    let mut conn = server.app.pool.acquire().await.unwrap();
    let group = groups::by_name(&mut conn, "production").await.unwrap().unwrap();
    let revision = sample::revision('b', "4f2c91e Fix");
    let order = deployments::Order {
        group: group.id,
        revision: &revision,
        purpose: Purpose::Forward,
        by: "ada",
        run: None,
    };
    let id = deployments::create(&mut conn, &order).await.unwrap().unwrap();
    let row = sample::deployment();
    let (plan, state) = (row.plan.unwrap().0, row.state.unwrap().0);
    let save = deployments::Save {
        plan: &plan,
        state: &state,
        waiting: &row.waiting.0,
        wake_at: None,
        version: 0,
    };
    assert!(deployments::save(&mut conn, id, &save).await.unwrap());
    let of = store::history::Of::Deployment(id);
    store::history::append(&mut conn, of, 1, &Event::Tick, "running", &row.waiting).await.unwrap();

    let shown = server.get("/api/v1/deployments/d-1", &token).await.json();
    assert!(shown["sentence"].as_str().unwrap().starts_with("Deploying 4f2c91e Fix to production"));
    assert_eq!(shown["steps"][0]["state"], "done");
    assert_eq!(shown["steps"][1]["hosts"], json!(["host-2", "host-3"]));
    assert_eq!(shown["hosts"][0]["state"], "updated");
    assert_eq!(shown["hosts"][0]["revision"], "4f2c91e Fix");
    assert_eq!(shown["hosts"][1]["revision"], Value::Null);
    assert_eq!(shown["waiting"][0]["what"], "host-2 is running its update");
    assert_eq!(shown["history"][0]["text"], "running");

    let listed = server.get("/api/v1/deployments?group=production", &token).await.json();
    assert_eq!(listed["deployments"][0]["hosts_updated"], 1);
    let resumed = server.post("/api/v1/deployments/d-1/resume", &token, json!({})).await;
    assert_eq!(resumed.status, StatusCode::CONFLICT);
    let aborted =
        server.post("/api/v1/deployments/d-1/abort", &token, json!({"reason": "no"})).await;
    assert_eq!(aborted.status, StatusCode::ACCEPTED);
    let told = inbox::take_deployment(&mut conn, DeploymentId(1)).await.unwrap();
    assert!(told.contains(&Event::Abort { by: "oda".to_owned(), reason: "no".to_owned() }));
}

#[tokio::test]
async fn a_log_is_read_in_ranges_and_waited_for() {
    let server = Server::start().await;
    let token = server.user("vic", Role::Viewer).await;
    let developer = server.user("ada", Role::Developer).await;
    applied(&server, &developer).await;
    server.post("/api/v1/pipelines/shop/runs", &developer, json!({})).await;
    let mut conn = server.app.pool.acquire().await.unwrap();
    let work = pipelines::protocol::task::Work::Deploy(sample::deploy_work());
    let new = tasks::New {
        work: &work,
        needs: Vec::new(),
        generation: 0,
        epoch: 1,
        timeout: pipelines::time::Millis::from_secs(60),
    };
    tasks::queue_build(&mut conn, pipelines::ids::RunId(1), "compile", 1, &new).await.unwrap();
    let run = server.get("/api/v1/runs/r-1", &token).await.json();
    assert_eq!(run["stages"][1]["actions"][0]["tasks"][0]["id"], "t-1");
    assert_eq!(run["stages"][1]["actions"][0]["tasks"][0]["state"], "queued");
    let row = tasks::by_id(&mut conn, pipelines::ids::TaskId(1)).await.unwrap().unwrap();
    let store: &logs::Logs = &server.app.logs;
    store.append(row.key(), 0, b"one\ntwo\n").await.unwrap();

    let part = server.get("/api/v1/tasks/t-1/log?offset=4", &token).await;
    assert_eq!(part.text(), "two\n");
    assert_eq!(part.headers["pipeyard-log-next"], "8");
    assert_eq!(part.headers["pipeyard-log-final"], "false");
    assert_eq!(part.headers["x-content-type-options"], "nosniff");
    let other = server.get("/api/v1/tasks/t-1/log?attempt=2", &token).await;
    assert_eq!(other.status, StatusCode::NOT_FOUND);

    let held = server.get("/api/v1/tasks/t-1/log?offset=8&wait=5000", &token);
    let write = async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        store.append(row.key(), 8, b"three\n").await.unwrap();
    };
    let (held, ()) = tokio::join!(held, write);
    assert_eq!(held.text(), "three\n");
    let outcome = pipelines::protocol::report::Outcome::Cancelled { steps: vec![], touched: false };
    tasks::give_up(&mut conn, row.key().task, &outcome).await.unwrap();
    let end = server.get("/api/v1/tasks/t-1/log?offset=14&wait=5000", &token).await;
    assert_eq!(end.headers["pipeyard-log-final"], "true");
}

#[tokio::test]
async fn a_join_token_comes_with_the_line_to_run_and_agents_can_be_drained() {
    let server = Server::start().await;
    let token = server.user("root", Role::Admin).await;
    let wanted = json!({"role": "deploy", "tags": {"role": "web"}, "uses": 3, "valid_secs": 60});
    let made = server.post("/api/v1/join-tokens", &token, wanted).await.json();
    let text = made["token"].as_str().unwrap();
    let parsed: pipelines::protocol::join::JoinToken = text.parse().unwrap();
    assert_eq!(parsed.ca_sha256, server.app.ca_sha256);
    for line in ["command", "command_wget", "user_data"] {
        let line = made[line].as_str().unwrap();
        assert!(line.contains("https://pipeyard.example:8443/install.sh"), "{line}");
        assert!(line.contains(&format!("PIPEYARD_JOIN_TOKEN={text} sh install.sh")), "{line}");
    }
    let bad =
        server.post("/api/v1/join-tokens", &token, json!({"role": "deploy", "uses": 0})).await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);

    let mut conn = server.app.pool.acquire().await.unwrap();
    let request = pipelines::protocol::join::JoinRequest {
        protocol: 1,
        token: parsed.id,
        name: "host-1".to_owned(),
        version: "1".to_owned(),
        tags: Default::default(),
        idempotency: "k".to_owned(),
    };
    store::agents::join(&mut conn, &parsed.secret, &request, "10.0.0.1").await.unwrap();
    let hosts = server.get("/api/v1/hosts", &token).await.json();
    assert_eq!(hosts["hosts"][0]["name"], "host-1");
    assert_eq!(hosts["hosts"][0]["tags"], json!({"role": "web"}));
    assert_eq!(hosts["hosts"][0]["alive"], true);
    let drained = server.post("/api/v1/agents/host-1/drain", &token, json!({})).await.json();
    assert_eq!(drained, json!({"name": "host-1", "state": "drained"}));
    let unknown = server.post("/api/v1/agents/host-9/revoke", &token, json!({})).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_webhook_secret_changes_when_it_is_rotated() {
    let server = Server::start().await;
    let token = server.user("root", Role::Admin).await;
    applied(&server, &token).await;
    let shown = server.get("/api/v1/pipelines/shop/webhook", &token).await.json();
    assert_eq!(shown["url"], "https://pipeyard.example:8443/hooks/github/shop");
    let rotated = server.post("/api/v1/pipelines/shop/webhook", &token, json!({})).await.json();
    assert_ne!(shown["secret"], rotated["secret"]);
    assert_eq!(server.get("/api/v1/pipelines/shop/webhook", &token).await.json(), rotated);
}
