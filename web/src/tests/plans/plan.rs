//! What a deployment would do, as JSON.

use super::*;
use pipelines::protocol::answer::Preview;
use serde_json::Value;

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
    assert!(agents::set_state(&mut conn, "host-3", "drained").await.unwrap().is_some());
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
        groups::record_traffic(&mut conn, row.id, *host, (lane, 50)).await.unwrap();
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

#[tokio::test]
async fn hosts_that_are_to_be_made_are_in_the_plan_and_nobody_is_announced() {
    let group = "version: 1
group: production
application: shop
hosts: {tags: {role: web}}
strategy: {immutable: {first: 1, bake: 2m, keep-old: 10m}}
instances: {docker: {agent: host-1, image: host:12}, tags: {role: web}, count: 2}
router: {port: 8080, haproxy: {agent: host-1, backend: shop}}
";
    let (server, token, hosts) = installation(group).await;
    let bundle = artifact(&server, "first").await;
    let first = Revision { bundle, ..sample::revision('a', "a1 First") };
    serves(&server, &hosts, &first).await;
    let answer = server.post("/api/v1/groups/production/plan", &token, json!({})).await;
    let plan = answer.json();
    let of = |key: &str| -> Vec<&str> {
        plan["hosts"].as_array().unwrap().iter().map(|h| h[key].as_str().unwrap_or("-")).collect()
    };
    assert_eq!(of("name"), ["host-1", "host-2", "host-3", "new-1", "new-2"], "{plan}");
    assert_eq!(of("asked"), ["retired", "retired", "retired", "new", "new"]);
    assert_eq!(of("will_serve"), ["-", "-", "-", "a1 First", "a1 First"]);
    assert_eq!(plan["steps"][0]["sentence"], "launch new-1");
    assert_eq!(plan["least_secs"], 720);
    let notes = plan["notes"].to_string();
    assert!(notes.contains("\"2 hosts will be made from host:12 by the agent host-1"), "{notes}");
    let floor = plan["capacity"][0].as_str().unwrap();
    assert!(floor.ends_with("no host that serves is worked on"), "{floor}");
    let agents = server.get("/api/v1/agents", &token).await.json();
    assert_eq!(agents["agents"].as_array().unwrap().len(), 3, "nobody was announced");
}
