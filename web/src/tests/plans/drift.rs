//! What became of installed files, and who does not say.

use super::super::server::{form_request, page_request};
use super::*;
use crate::questions::{self, Question, Reply};
use pipelines::protocol::answer::Inspection;

#[tokio::test]
async fn who_does_not_answer_in_time_is_silent_and_asked_no_longer() {
    let (server, _, hosts) = installation(sample::GROUP).await;
    let inspect =
        || Work::Inspect(pipelines::protocol::task::Inspect { group: "production".into() });
    let question = |agent| Question { agent, work: inspect(), needs: Vec::new() };
    let asked = hosts.iter().copied().map(question).collect();
    let one = play(server.app.pool.clone(), vec![hosts[1]], |_, _| {
        said(Answer::Inspection(Inspection::default()))
    });
    let patience = Duration::from_secs(1);
    let (replies, _) = tokio::join!(questions::ask(&server.app, asked, patience), one);
    let replies = replies.unwrap();
    assert_eq!(replies[&hosts[0]], Reply::Silent);
    assert_eq!(replies[&hosts[1]], Reply::Answered(Answer::Inspection(Inspection::default())));
    assert_eq!(open_questions(&server, &hosts).await, 0, "withdrawn");
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
    let browser = server.sign_in("oda").await;
    let shown = server.send(page_request("/groups/production", &browser.cookie)).await.text();
    assert!(shown.contains("host-2 has drifted, 1 file; 1 host in order."), "{shown}");
    assert!(shown.contains("Asked just now") && shown.contains("Ask again"), "{shown}");

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
    // One host's answer is no answer of the group; the button asks them all.
    let shown = server.send(page_request("/groups/production", &browser.cookie)).await.text();
    assert!(shown.contains("host-2 has drifted"), "{shown}");
    let agents = play(server.app.pool.clone(), hosts.clone(), |_, _| {
        let installed = Some(first.bundle.digest.clone());
        said(Answer::Inspection(inspection(Vec::new(), installed)))
    });
    let form = format!("csrf={}", browser.csrf);
    let post = form_request("/groups/production/drift", Some(&browser.cookie), &form);
    let (answer, _) = tokio::join!(server.send(post), agents);
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    let shown = server.send(page_request("/groups/production", &browser.cookie)).await.text();
    assert!(shown.contains("all 3 hosts in order.") && !shown.contains("has drifted"), "{shown}");
    let unknown = server.post(path, &token, json!({"host": "host-9"})).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}
