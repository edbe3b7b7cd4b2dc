//! Every route without credentials, and what a browser alone may not do.

use super::server::{Server, call, form_request};
use axum::http::{Method, StatusCode};
use serde_json::json;
use store::users::Role;

/// Paths anybody may ask for.
const PUBLIC: [&str; 9] = [
    "/sign-in",
    "/api/v1/login",
    "/healthz",
    "/readyz",
    "/assets/{fingerprint}/{name}",
    "/install.sh",
    "/install/ca.pem",
    "/install/SHA256SUMS",
    "/install/{program}",
];

/// Every path the sources register, found in them, so that a new route cannot be forgotten here.
fn routes() -> Vec<String> {
    let sources = [
        include_str!("../api/mod.rs"),
        include_str!("../pages/mod.rs"),
        include_str!("../live/mod.rs"),
        include_str!("../shell/mod.rs"),
        include_str!("../health.rs"),
        include_str!("../install/mod.rs"),
    ];
    let found = sources.iter().flat_map(|text| text.split(".route(").skip(1));
    found.map(|rest| rest.split('"').nth(1).unwrap().to_owned()).collect()
}

#[tokio::test]
async fn nobody_gets_in_without_credentials() {
    let server = Server::start().await;
    let routes = routes();
    assert!(routes.len() > 30, "{routes:?}");
    for route in routes.iter().filter(|route| !PUBLIC.contains(&route.as_str())) {
        let path = route
            .replace("{id}", "1")
            .replace("{name}", "shop")
            .replace("{action}", "x")
            .replace("{*rest}", "x");
        let mut answered = 0;
        for method in [Method::GET, Method::POST] {
            for accept in ["application/json", "text/html"] {
                let mut request = call(method.clone(), &path, "", None);
                request.headers_mut().insert("accept", accept.parse().unwrap());
                let answer = server.send(request).await;
                if answer.status == StatusCode::METHOD_NOT_ALLOWED {
                    continue;
                }
                answered += 1;
                let refused = answer.status == StatusCode::UNAUTHORIZED
                    || (answer.status == StatusCode::SEE_OTHER
                        && answer.location().starts_with("/sign-in"));
                assert!(refused, "{method} {path} as {accept}: {}", answer.status);
            }
        }
        assert!(answered >= 2, "{path} answers nothing");
    }
}

#[tokio::test]
async fn every_answer_carries_the_headers_that_protect_it() {
    let server = Server::start().await;
    for path in ["/sign-in", "/api/v1/whoami", "/healthz", "/nowhere"] {
        let headers = server.get(path, "").await.headers;
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("'nonce-"), "{path}");
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["referrer-policy"], "no-referrer");
    }
}

#[tokio::test]
async fn a_cookie_alone_changes_nothing() {
    let server = Server::start().await;
    server.user("ada", Role::Admin).await;
    let browser = server.sign_in("ada").await;
    let cookie = Some(browser.cookie.as_str());
    let forged = server.send(form_request("/sign-out", cookie, "csrf=0000")).await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    let mut foreign = form_request("/sign-out", cookie, &format!("csrf={}", browser.csrf));
    foreign.headers_mut().insert("sec-fetch-site", "cross-site".parse().unwrap());
    assert_eq!(server.send(foreign).await.status, StatusCode::FORBIDDEN);
    let mut json = call(Method::POST, "/api/v1/join-tokens", "", Some(json!({"role": "build"})));
    json.headers_mut().insert("cookie", browser.cookie.parse().unwrap());
    let refused = server.send(json).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "JSON calls need a token");
    let own = form_request("/sign-out", cookie, &format!("csrf={}", browser.csrf));
    let answer = server.send(own).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/sign-in"));
    let after = server.send(super::server::page_request("/", &browser.cookie)).await;
    assert_eq!(after.location(), "/sign-in", "the session is over");
}

#[tokio::test]
async fn signing_in_leads_back_only_into_this_server() {
    let server = Server::start().await;
    server.user("ada", Role::Viewer).await;
    for (next, expected) in
        [("/runs/r-1", "/runs/r-1"), ("//evil.example", "/"), ("/%5Cevil", "/"), ("", "/")]
    {
        let form = format!("user=ada&password=secret&next={next}");
        let answer = server.send(form_request("/sign-in", None, &form)).await;
        assert_eq!(answer.location(), expected, "{next}");
    }
    let wrong = server.send(form_request("/sign-in", None, "user=ada&password=x")).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert!(wrong.text().contains("the user or the password is wrong"));
}
