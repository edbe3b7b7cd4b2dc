//! Every page with rows behind it, as a browser without JavaScript gets it.

use super::server::{Browser, Server, form_request, page_request};
use super::stage;
use axum::http::StatusCode;
use pipelines::ids::{DeploymentId, RunId};
use store::inbox;
use store::users::Role;

async fn stage() -> (Server, Browser) {
    let server = Server::start().await;
    server.user("ada", Role::Admin).await;
    stage::fill(&server).await;
    let browser = server.sign_in("ada").await;
    (server, browser)
}

async fn html(server: &Server, browser: &Browser, path: &str) -> String {
    let answer = server.send(page_request(path, &browser.cookie)).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
    answer.text()
}

/// The first headline: the sentence a person would say.
fn sentence(html: &str) -> &str {
    let rest = html.split("<h1>").nth(1).unwrap_or_default();
    rest.split("</h1>").next().unwrap_or_default()
}

#[tokio::test]
async fn every_page_begins_with_a_sentence() {
    let (server, browser) = stage().await;
    let cases = [
        ("/", "One thing needs you; 2 runs are under way"),
        ("/pipelines/shop", "shop #3: running, just now"),
        ("/runs/r-2", "shop #2 with 4f2c91e Fix needs somebody: sign-off needs an approval"),
        ("/runs/3", "Running shop #3 with 4f2c91e Fix: stage 2 of 3, build"),
        (
            "/deployments/d-3",
            "Deploying 4f2c91e Fix to production: 1 of 3 hosts updated, step 2 of 2: update \
             host-2, host-3",
        ),
        (
            "/deployments/d-2",
            "bad5eed Second failed on production and was rolled back: host-1 failed in \
             ValidateService: validate.sh exited with 1",
        ),
        ("/groups/production", "production serves a11ce00 First on 3 hosts"),
        ("/hosts", "3 hosts, all heard from"),
        ("/agents", "4 agents, all heard from"),
        ("/tasks/t-1/log", "Log of compile of run r-1 on builder-1"),
        ("/deployments/d-3/abort", "Abort d-3 of 4f2c91e Fix to production?"),
        ("/runs/r-3/stop", "Stop shop #3?"),
        ("/groups/production/rollback?to=d-1", "Bring production back to a11ce00 First?"),
    ];
    for (path, expected) in cases {
        let html = html(&server, &browser, path).await;
        // The first deployment's label stands for all of its kind; see the samples.
        assert_eq!(sentence(&html), expected, "{path}");
        assert!(html.len() < 60_000, "{path} has {} bytes", html.len());
    }
}

#[tokio::test]
async fn what_others_wrote_is_shown_and_never_obeyed() {
    let (server, browser) = stage().await;
    for path in ["/", "/pipelines/shop", "/runs/r-1", "/tasks/t-1/log"] {
        let html = html(&server, &browser, path).await;
        assert!(!html.contains(stage::HOSTILE), "{path}");
        assert!(html.contains("&lt;script&gt;") || html.contains("&#60;script&#62;"), "{path}");
    }
    let log = html(&server, &browser, "/tasks/t-1/log").await;
    assert!(log.contains("<span class=\"fg1\">shop.c:3: error: "));
    let raw = server.send(page_request("/tasks/t-1/log/raw", &browser.cookie)).await;
    assert_eq!(raw.headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(raw.headers["x-content-type-options"], "nosniff");
}

#[tokio::test]
async fn a_failed_run_shows_the_end_of_the_log_that_says_why() {
    let (server, browser) = stage().await;
    let html = html(&server, &browser, "/runs/r-1").await;
    assert!(html.contains("make: *** [shop.o] Error 1"));
    assert!(html.contains("href=\"/tasks/t-1/log\""));
    assert!(html.contains("title=\"failed\">✗</span> BUILD"), "its phases are listed");
    assert!(!html.contains("data-events"), "what is over needs no stream");
}

#[tokio::test]
async fn an_approval_is_given_by_form_and_an_old_page_decides_nothing() {
    let (server, browser) = stage().await;
    let page = html(&server, &browser, "/runs/r-2").await;
    assert!(page.contains("action=\"/runs/r-2/actions/sign-off\""));
    let send = async |attempt: u32, answer: &str, comment: &str| {
        let form =
            format!("csrf={}&attempt={attempt}&answer={answer}&comment={comment}", browser.csrf);
        let path = "/runs/r-2/actions/sign-off";
        server.send(form_request(path, Some(&browser.cookie), &form)).await
    };
    assert_eq!(send(7, "approve", "").await.status, StatusCode::CONFLICT);
    assert_eq!(send(1, "reject", "").await.status, StatusCode::BAD_REQUEST);
    let approved = send(1, "approve", "fine").await;
    assert_eq!((approved.status, approved.location()), (StatusCode::SEE_OTHER, "/runs/r-2"));
    let mut conn = server.app.pool.acquire().await.unwrap();
    let told = inbox::take_run(&mut conn, RunId(2)).await.unwrap();
    assert!(told.iter().any(|event| matches!(
        event,
        pipelines::run::Event::Decided { by, approved: true, comment, .. }
            if by == "ada" && comment == "fine"
    )));
}

#[tokio::test]
async fn a_deployment_is_paused_aborted_and_rolled_back_by_form() {
    let (server, browser) = stage().await;
    let post = async |path: &str, fields: &str| {
        let form = format!("csrf={}&{fields}", browser.csrf);
        server.send(form_request(path, Some(&browser.cookie), &form)).await
    };
    let paused = post("/deployments/d-3/steer", "wanted=pause").await;
    assert_eq!(paused.location(), "/deployments/d-3");
    assert_eq!(post("/deployments/d-3/abort", "reason=no").await.status, StatusCode::SEE_OTHER);
    let mut conn = server.app.pool.acquire().await.unwrap();
    let told = inbox::take_deployment(&mut conn, DeploymentId(3)).await.unwrap();
    assert!(told.iter().any(|event| matches!(event, pipelines::deploy::Event::Pause { .. })));
    assert!(told.iter().any(|event| matches!(event, pipelines::deploy::Event::Abort { .. })));
    let over = post("/deployments/d-2/abort", "").await;
    assert_eq!(over.status, StatusCode::CONFLICT);
    assert!(over.text().contains("<h1>deployment d-2 is over: rolled back</h1>"));
    let started = post("/pipelines/shop/runs", "").await;
    assert_eq!(started.location(), "/runs/r-4");
    let stopped = post("/runs/r-4/stop", "reason=oops&abandon=yes").await;
    assert_eq!(stopped.location(), "/runs/r-4");
}

#[tokio::test]
async fn a_viewer_sees_no_buttons_that_would_refuse() {
    let (server, _) = stage().await;
    server.user("vic", Role::Viewer).await;
    let browser = server.sign_in("vic").await;
    for path in ["/pipelines/shop", "/runs/r-2", "/deployments/d-3", "/groups/production"] {
        let html = html(&server, &browser, path).await;
        let main = html.split("<main").nth(1).unwrap();
        assert!(!main.contains("<form") && !main.contains("…</a>"), "{path}");
    }
    let answer = server.send(page_request("/runs/r-2/stop", &browser.cookie)).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.text().contains("this needs the role developer"));
}

#[tokio::test]
async fn an_empty_installation_says_how_to_begin() {
    let server = Server::start().await;
    server.user("ada", Role::Admin).await;
    let browser = server.sign_in("ada").await;
    let html = html(&server, &browser, "/").await;
    assert!(html.contains("pipectl login https://pipeyard.example:8443"));
    assert!(html.contains("pipectl apply -f pipeline.yml"));
}
