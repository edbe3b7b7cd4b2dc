//! Server-sent events: what is sent, what resumes, what ends.

use super::server::{Browser, Server, page_request};
use super::stage;
use axum::http::StatusCode;
use http_body_util::BodyExt as _;
use pipelines::ids::TaskId;
use pipelines::protocol::report::Outcome;
use std::time::Duration;
use store::tasks;
use store::users::Role;
use tower::ServiceExt as _;

/// Reads a stream until `enough` or its end.
async fn read(server: &Server, browser: &Browser, path: &str, last: &str, enough: &str) -> String {
    let mut request = page_request(path, &browser.cookie);
    if !last.is_empty() {
        request.headers_mut().insert("last-event-id", last.parse().unwrap());
    }
    let address = ([127, 0, 0, 1], 1).into();
    request.extensions_mut().insert(crate::Peer { address, tls: false });
    let response = server.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let mut body = response.into_body();
    let mut text = String::new();
    let reading = async {
        while let Some(frame) = body.frame().await {
            if let Ok(bytes) = frame.unwrap().into_data() {
                text.push_str(&String::from_utf8_lossy(&bytes));
            }
            if !enough.is_empty() && text.contains(enough) {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), reading).await.expect("the stream is silent");
    text
}

#[tokio::test]
async fn a_log_is_streamed_in_whole_lines_resumes_and_ends() {
    let server = Server::start().await;
    server.user("ada", Role::Admin).await;
    stage::fill(&server).await;
    let browser = server.sign_in("ada").await;
    let path = "/tasks/t-2/log/events";
    let text = read(&server, &browser, path, "", "shop.c").await;
    assert!(text.contains("event: log\n") && text.contains("data: $ make\n"), "{text}");
    assert!(text.contains("data: <span class=\"fg2\">cc -c shop.c</span>\n"), "{text}");
    let offset = text.split("id: ").nth(1).unwrap().split('\n').next().unwrap().to_owned();

    let mut conn = server.app.pool.acquire().await.unwrap();
    let key = tasks::by_id(&mut conn, TaskId(2)).await.unwrap().unwrap().key();
    let end: u64 = offset.parse().unwrap();
    server.app.logs.append(key, end, b"linked\nno newline").await.unwrap();
    let outcome = Outcome::Cancelled { steps: Vec::new(), touched: false };
    tasks::give_up(&mut conn, key.task, &outcome).await.unwrap();
    let rest = read(&server, &browser, path, &offset, "").await;
    assert!(!rest.contains("shop.c"), "it goes on where it was: {rest}");
    assert!(rest.contains("data: linked\n") && rest.contains("data: no newline\n"), "{rest}");
    assert!(rest.ends_with("event: end\ndata: end\n\n"), "{rest}");
}

#[tokio::test]
async fn a_page_is_sent_again_when_it_changed() {
    let server = Server::start().await;
    server.user("ada", Role::Admin).await;
    stage::fill(&server).await;
    let browser = server.sign_in("ada").await;
    let over = read(&server, &browser, "/deployments/d-2/events", "", "").await;
    assert!(over.contains("event: page\n") && over.ends_with("event: end\ndata: end\n\n"));
    let change = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let mut conn = server.app.pool.acquire().await.unwrap();
        store::runs::mark_stuck(&mut conn, pipelines::ids::RunId(3), "a test").await.unwrap();
        server.app.wakes.pages();
    };
    let reading = read(&server, &browser, "/runs/r-3/events", "", "stuck by a defect: a test");
    let ((), text) = tokio::join!(change, reading);
    assert!(text.contains("event: title\n"));
}
