//! Ordering what is known.

use super::*;

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
