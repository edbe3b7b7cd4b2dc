//! Webhooks: signed, replayed, forged, too large.

use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;
use system_tests::files::Revision;
use system_tests::repository::Repository;
use system_tests::{Options, World};

const PIPELINE: &str = r#"version: 1
name: elsewhere
stages:
  - name: source
    actions:
      - name: app
        source: {git: "https://forge.invalid/team/app.git", branch: main}
  - name: build
    actions:
      - name: compile
        build: {image: "debian:bookworm-slim"}
        outputs: [bundle]
"#;

struct Forge {
    client: Client,
    url: String,
    secret: String,
}

impl Forge {
    async fn of(world: &World) -> Forge {
        let hook = world.api.get("/api/v1/pipelines/elsewhere/webhook").await;
        Forge {
            client: Client::builder().no_proxy().build().unwrap(),
            url: format!("{}/hooks/github/elsewhere", world.controller.url()),
            secret: hook["secret"].as_str().expect("a secret").to_owned(),
        }
    }

    async fn deliver(&self, id: &str, body: &str, signature: Option<&str>) -> StatusCode {
        let mut request = self
            .client
            .post(&self.url)
            .header("x-github-event", "push")
            .header("x-github-delivery", id)
            .body(body.to_owned());
        if let Some(signature) = signature {
            request = request.header("x-hub-signature-256", signature);
        }
        request.send().await.expect("an answer").status()
    }

    fn sign(&self, body: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).unwrap();
        mac.update(body.as_bytes());
        format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
    }
}

fn push(repository: &str, commit: &str) -> String {
    json!({
        "ref": "refs/heads/main",
        "after": commit,
        "repository": { "clone_url": repository },
        "pusher": { "name": "ada" },
        "commits": [],
    })
    .to_string()
}

async fn runs(world: &World) -> usize {
    let runs: Value = world.api.get("/api/v1/runs?limit=50").await;
    runs.as_array().or_else(|| runs["runs"].as_array()).map_or(0, Vec::len)
}

#[tokio::test]
async fn only_a_signed_new_delivery_for_the_right_repository_starts_a_run() {
    let options = Options { hosts: 0, pipeline: PIPELINE.to_owned(), ..Options::default() };
    let world = World::start(options).await;
    let forge = Forge::of(&world).await;
    let ours = "https://forge.invalid/team/app.git";
    let body = push(ours, &"a".repeat(40));
    let good = forge.sign(&body);
    assert_eq!(forge.deliver("1", &body, None).await, StatusCode::UNAUTHORIZED);
    let forged = format!("sha256={}", "0".repeat(64));
    assert_eq!(forge.deliver("1", &body, Some(&forged)).await, StatusCode::UNAUTHORIZED);
    let other = push(ours, &"b".repeat(40));
    assert_eq!(forge.deliver("1", &other, Some(&good)).await, StatusCode::UNAUTHORIZED);
    assert_eq!(runs(&world).await, 0, "nothing unsigned starts anything");

    let foreign = push("https://forge.invalid/team/other.git", &"a".repeat(40));
    let signed = forge.sign(&foreign);
    assert_eq!(forge.deliver("2", &foreign, Some(&signed)).await, StatusCode::NOT_FOUND);
    assert_eq!(runs(&world).await, 0);

    assert_eq!(forge.deliver("3", &body, Some(&good)).await, StatusCode::ACCEPTED);
    assert_eq!(runs(&world).await, 1);
    assert_eq!(forge.deliver("3", &body, Some(&good)).await, StatusCode::OK, "a redelivery");
    assert_eq!(forge.deliver("4", &body, Some(&good)).await, StatusCode::OK, "a replay, new id");
    assert_eq!(runs(&world).await, 1, "one delivery, one run");

    let huge = format!("{{\"pad\": \"{}\"}}", "x".repeat(26 << 20));
    let signed = forge.sign(&huge);
    // Refused while it is sent: an answer, or a connection that ends, which nobody else may use.
    let alone = Client::builder().no_proxy().build().unwrap();
    let huge = alone.post(&forge.url).header("x-hub-signature-256", signed).body(huge);
    if let Ok(answer) = huge.send().await {
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
    let unknown = forge.url.replace("elsewhere", "nowhere");
    let answer = forge.client.post(unknown).header("x-hub-signature-256", good).body(body).send();
    assert_eq!(answer.await.unwrap().status(), StatusCode::UNAUTHORIZED, "as for a bad signature");
}

#[tokio::test]
async fn a_delivered_commit_is_fetched_from_its_repository_and_built() {
    let elsewhere = system_tests::forge::Forge::start().await;
    let repository = Repository::new(elsewhere.directory().display().to_string());
    repository.commit(&Revision::good("v1"), "Open the shop");
    let first = repository.commit(&Revision::good("v2"), "Wider doors");
    repository.push();
    let address = &elsewhere.address();
    let pipeline = PIPELINE.replace("https://forge.invalid/team/app.git", address);
    let world = World::start(Options { hosts: 0, pipeline, ..Options::default() }).await;
    let forge = Forge::of(&world).await;
    // Two deliveries at once share one mirror; by then the branch has moved on.
    let second = repository.commit(&Revision::good("v3"), "Even wider doors");
    repository.push();
    for (id, commit) in [("1", &first), ("2", &second)] {
        let body = push(address, commit);
        let signature = forge.sign(&body);
        assert_eq!(forge.deliver(id, &body, Some(&signature)).await, StatusCode::ACCEPTED);
    }
    let newest = world.api.run_number(2).await;
    let end = world.api.run_end(&newest).await;
    assert_eq!(end["status"], "succeeded", "{end}");
    let label = end["label"].to_string();
    assert!(label.contains(&second[..7]) && label.contains("Even wider doors"), "{label}");
    let older = world.api.run_end("r-1").await;
    let status = older["status"].as_str().unwrap();
    assert!(["succeeded", "superseded"].contains(&status), "{older}");
}
