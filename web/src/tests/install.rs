//! What hosts fetch to become agents, without credentials.

use super::server::{Server, call};
use axum::http::{Method, StatusCode};

fn own(name: &str) -> String {
    format!("/install/{name}-linux-{}", std::env::consts::ARCH)
}

#[tokio::test]
async fn a_program_comes_whole_with_its_digest_and_not_twice() {
    let server = Server::start().await;
    let directory = server.directory.path().join("programs");
    std::fs::create_dir(&directory).unwrap();
    let content = "x".repeat(300_000);
    std::fs::write(directory.join("pipeyard-agent"), &content).unwrap();
    let answer = server.get(&own("pipeyard-agent"), "").await;
    assert_eq!((answer.status, answer.text()), (StatusCode::OK, content));
    assert_eq!(answer.headers["content-length"], "300000");
    let tag = answer.headers["etag"].to_str().unwrap();
    let sums = server.get("/install/SHA256SUMS", "").await.text();
    let name = own("pipeyard-agent");
    let name = name.rsplit('/').next().unwrap();
    assert_eq!(sums, format!("{}  {name}\n", tag.trim_matches('"')));
    let script = server.get("/install.sh", "").await.text();
    assert!(script.contains(sums.trim_end()), "the script knows the digest");
    assert!(script.contains("url='https://pipeyard.example:8443'"), "and the way back");
    let mut again = call(Method::GET, &own("pipeyard-agent"), "", None);
    again.headers_mut().insert("if-none-match", tag.parse().unwrap());
    let again = server.send(again).await;
    assert_eq!((again.status, again.bytes.len()), (StatusCode::NOT_MODIFIED, 0));
}

#[tokio::test]
async fn what_is_not_there_says_what_to_do_and_nothing_else_is_reachable() {
    let server = Server::start().await;
    let missing = server.get(&own("pipectl"), "").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    let error = missing.json()["error"].clone();
    assert!(error["message"].as_str().unwrap().contains("pipectl-linux-"), "{error}");
    assert!(error["help"].as_str().unwrap().contains("--programs"), "{error}");
    std::fs::write(server.directory.path().join("secret"), "secret").unwrap();
    for path in ["/install/..%2Fsecret", "/install/secret", "/install/../secret", "/install/"] {
        let answer = server.get(path, "").await;
        assert!(answer.status.is_client_error() || answer.status.is_redirection(), "{path}");
        assert!(!answer.text().contains("secret\n"), "{path}: {}", answer.text());
        assert_ne!(answer.text(), "secret", "{path}");
    }
}

#[tokio::test]
async fn the_authority_served_is_the_one_the_line_compares_with() {
    let server = Server::start().await;
    let pem = server.get("/install/ca.pem", "").await;
    assert_eq!(Some(pem.text()), server.app.ca_pem);
}
