//! Deliveries in GitHub's shape: `X-Hub-Signature-256`, `X-GitHub-Event`, `X-GitHub-Delivery`.

use crate::sources::url::same_repository;
use crate::state::Controller;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use hmac::{Hmac, KeyInit as _, Mac as _};
use pipelines::run::trigger::{Push, Trigger, TriggerKind, concerns, sources};
use pipelines::spec::pipeline::SourceFrom;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use store::pipelines::Row;
use store::{runs, webhooks};

type Answer = (StatusCode, String);

/// The part of a push payload that is used. Everything in it is somebody's word; it never replaces
/// what is registered here.
#[derive(Deserialize)]
struct Payload {
    #[serde(rename = "ref")]
    reference: String,
    after: String,
    #[serde(default)]
    deleted: bool,
    repository: Repository,
    #[serde(default)]
    commits: Vec<Commit>,
    #[serde(default)]
    pusher: Pusher,
}

#[derive(Deserialize)]
struct Repository {
    clone_url: String,
}

#[derive(Deserialize)]
struct Commit {
    #[serde(default)]
    added: Vec<String>,
    #[serde(default)]
    modified: Vec<String>,
    #[serde(default)]
    removed: Vec<String>,
}

#[derive(Deserialize, Default)]
struct Pusher {
    #[serde(default)]
    name: String,
}

/// GitHub lists at most this many commits; with more, paths are not known.
const COMMITS_LISTED: usize = 20;

pub(super) async fn receive(
    State(controller): State<Controller>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    // The same answer for an unknown name and for a bad signature: a caller learns nothing.
    let refused = || (StatusCode::UNAUTHORIZED, "the signature does not match\n".to_owned());
    let Ok(candidates) = candidates(&controller, &name).await else { return unavailable() };
    let Some(signature) = signature(&headers) else { return refused() };
    let signed: Vec<&Row> = candidates
        .iter()
        .filter(|row| {
            let secret = controller.keys.webhook_secret(&row.name, row.webhook_counter);
            verifies(&secret, &body, &signature)
        })
        .collect();
    if candidates.is_empty() {
        // As much work as for a known name.
        verifies("nobody has this secret", &body, &signature);
    }
    if signed.is_empty() {
        return refused();
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(delivery) = text("x-github-delivery").filter(|id| (1..=100).contains(&id.len()))
    else {
        return (StatusCode::BAD_REQUEST, "X-GitHub-Delivery is missing\n".to_owned());
    };
    match text("x-github-event") {
        Some("ping") => (StatusCode::OK, "pong\n".to_owned()),
        Some("push") => push(&controller, &name, delivery, &body, &signed).await,
        _ => (StatusCode::ACCEPTED, "this event starts nothing\n".to_owned()),
    }
}

fn unavailable() -> Answer {
    // Not a success: the sender may deliver again.
    (StatusCode::SERVICE_UNAVAILABLE, "try again later\n".to_owned())
}

/// The pipeline of that name, or those whose source address ends in it.
async fn candidates(controller: &Controller, name: &str) -> anyhow::Result<Vec<Row>> {
    let all = store::pipelines::list(&mut *controller.pool.acquire().await?).await?;
    if all.iter().any(|row| row.name == name) {
        return Ok(all.into_iter().filter(|row| row.name == name).collect());
    }
    let ends_in_name = |row: &Row| {
        sources(&row.spec.0).any(|(_, source)| match &source.from {
            SourceFrom::Git(address) => {
                let last = address.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
                last.trim_end_matches(".git") == name
            }
            SourceFrom::Repository(_) => false,
        })
    };
    Ok(all.into_iter().filter(ends_in_name).collect())
}

/// The one signature header, exactly in its form: `sha256=` and 64 lower-case hexadecimal digits.
fn signature(headers: &HeaderMap) -> Option<Vec<u8>> {
    let mut given = headers.get_all("x-hub-signature-256").iter();
    let (Some(value), None) = (given.next(), given.next()) else { return None };
    let hex = value.to_str().ok()?.strip_prefix("sha256=")?;
    let lower = hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if lower { hex::decode(hex).ok() } else { None }
}

/// Constant-time comparison over the raw bytes of the body.
fn verifies(secret: &str, body: &[u8], signature: &[u8]) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return false };
    mac.update(body);
    mac.verify_slice(signature).is_ok()
}

async fn push(
    controller: &Controller,
    name: &str,
    delivery: &str,
    body: &[u8],
    signed: &[&Row],
) -> Answer {
    let Ok(payload) = serde_json::from_slice::<Payload>(body) else {
        return (StatusCode::BAD_REQUEST, "this is not a push payload\n".to_owned());
    };
    if payload.deleted {
        return (StatusCode::ACCEPTED, "a deleted ref starts nothing\n".to_owned());
    }
    let commit = &payload.after;
    if commit.len() != 40 || !commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return (StatusCode::BAD_REQUEST, "'after' is not a commit id\n".to_owned());
    }
    match start(controller, name, delivery, body, &payload, signed).await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::warn!(error = %format!("{error:#}"), "a delivery could not be noted");
            unavailable()
        }
    }
}

/// Notes the delivery and creates the runs in one transaction: a success answer means exactly that.
async fn start(
    controller: &Controller,
    name: &str,
    delivery: &str,
    body: &[u8],
    payload: &Payload,
    signed: &[&Row],
) -> anyhow::Result<Answer> {
    let mut tx = controller.pool.begin().await?;
    // A replay may carry a new id: the signature covers the body only, so the body counts as well.
    let digest = hex::encode(Sha256::digest(body));
    let fresh = webhooks::note_delivery(&mut tx, name, delivery).await?
        && webhooks::note_delivery(&mut tx, name, &digest).await?;
    if !fresh {
        return Ok((StatusCode::OK, "this delivery was taken before\n".to_owned()));
    }
    let mut started = Vec::new();
    let mut ours = false;
    for row in signed {
        for (_, source) in sources(&row.spec.0) {
            let SourceFrom::Git(address) = &source.from else { continue };
            if !same_repository(address, &payload.repository.clone_url) {
                continue;
            }
            ours = true;
            let push = Push {
                from: source.from.clone(),
                reference: payload.reference.clone(),
                commit: payload.after.clone(),
                changed: changed(payload),
            };
            if let Some(pushed) = concerns(&row.spec.0, &push) {
                let trigger = Trigger {
                    kind: TriggerKind::Webhook,
                    by: format!("webhook ({})", printable(&payload.pusher.name)),
                    push: Some(pushed),
                    variables: BTreeMap::new(),
                };
                let label = payload.after.get(..7).unwrap_or_default();
                started.push(runs::create(&mut tx, row.id, &trigger, label).await?.to_string());
                break;
            }
        }
    }
    if !ours {
        let text = "no pipeline here has this repository as its source\n".to_owned();
        return Ok((StatusCode::NOT_FOUND, text));
    }
    tx.commit().await?;
    controller.wakes.engine();
    controller.wakes.pages();
    Ok((StatusCode::ACCEPTED, format!("started: {}\n", started.join(" "))))
}

fn changed(payload: &Payload) -> Option<Vec<String>> {
    if payload.commits.is_empty() || payload.commits.len() >= COMMITS_LISTED {
        return None;
    }
    let lists = payload.commits.iter().flat_map(|c| [&c.added, &c.modified, &c.removed]);
    Some(lists.flatten().cloned().collect())
}

fn printable(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("x-hub-signature-256", HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn only_one_well_formed_signature_is_a_signature() {
        let good = format!("sha256={}", "0f".repeat(32));
        assert!(signature(&headers(&[&good])).is_some());
        let upper = format!("sha256={}", "0F".repeat(32));
        let sha1 = format!("sha1={}", "0f".repeat(20));
        for bad in
            [&[][..], &[""], &["sha256="], &[&upper], &[&sha1], &[&good[..70]], &[&good, &good]]
        {
            assert!(signature(&headers(bad)).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn the_signature_is_over_the_raw_bytes() {
        let secret = "s3cret";
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(b"{\"a\": 1}");
        let signature = mac.finalize().into_bytes();
        assert!(verifies(secret, b"{\"a\": 1}", &signature));
        assert!(!verifies(secret, b"{\"a\":1}", &signature), "the same JSON in other bytes");
        assert!(!verifies("other", b"{\"a\": 1}", &signature));
    }
}
