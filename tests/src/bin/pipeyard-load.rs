//! Requests without a pause, counted by what was answered: the load of `make demo-canary`.
//!
//! `pipeyard-load URL CLIENTS FILE [TIMES]` asks until FILE is removed, and keeps writing into it how many
//! answers there were of each kind: `{"200 v1": 812, "500 v3": 4}`. Into a second file go the first and the
//! last moment of each kind, milliseconds since the epoch: `{"200 v1": {"first": 1700000000000, "last": …}}`.

use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Answers of one kind.
#[derive(Default)]
struct Kind {
    count: u64,
    span: Span,
}

/// Milliseconds since the epoch.
#[derive(Default, Clone, Copy, Serialize)]
struct Span {
    first: u64,
    last: u64,
}

type Kinds = Arc<Mutex<BTreeMap<String, Kind>>>;

/// Between two questions of one client: a reader, not a storm.
const PAUSE: Duration = Duration::from_millis(20);
const WRITE_EVERY: Duration = Duration::from_millis(100);

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (url, clients, file, times) = match arguments.as_slice() {
        [url, clients, file] => (url, clients, file, None),
        [url, clients, file, times] => (url, clients, file, Some(PathBuf::from(times))),
        _ => anyhow::bail!("usage: pipeyard-load URL CLIENTS FILE [TIMES]"),
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let kinds = Kinds::default();
    let file = PathBuf::from(file);
    std::fs::write(&file, "{}")?;
    for _ in 0..clients.parse::<usize>()? {
        tokio::spawn(ask(url.clone(), kinds.clone()));
    }
    while file.exists() {
        let counts: BTreeMap<_, _> =
            lock(&kinds).iter().map(|(k, v)| (k.clone(), v.count)).collect();
        replace(&file, &counts, true)?;
        if let Some(times) = &times {
            let spans: BTreeMap<_, _> =
                lock(&kinds).iter().map(|(k, v)| (k.clone(), v.span)).collect();
            replace(times, &spans, false)?;
        }
        tokio::time::sleep(WRITE_EVERY).await;
    }
    Ok(())
}

/// Whole or not at all: somebody reads it at any time. A file whose absence ends all of this is not made
/// anew.
fn replace(file: &Path, content: &impl Serialize, only_if_there: bool) -> anyhow::Result<()> {
    let beside = file.with_extension("new");
    std::fs::write(&beside, serde_json::to_string(content)?)?;
    if only_if_there && !file.exists() {
        std::fs::remove_file(&beside)?;
    } else {
        std::fs::rename(&beside, file)?;
    }
    Ok(())
}

async fn ask(url: String, kinds: Kinds) {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20));
    let Ok(client) = client.build() else { return };
    loop {
        let answer = match get(&client, &url).await {
            Ok(answer) => answer,
            Err(error) => format!("no answer: {error}"),
        };
        note(&kinds, answer);
        tokio::time::sleep(PAUSE).await;
    }
}

fn note(kinds: &Kinds, answer: String) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let now = u64::try_from(now).unwrap_or(u64::MAX);
    let mut known = lock(kinds);
    let kind = known.entry(answer).or_default();
    kind.count += 1;
    if kind.count == 1 {
        kind.span.first = now;
    }
    kind.span.last = now;
}

async fn get(client: &reqwest::Client, url: &str) -> reqwest::Result<String> {
    let answer = client.get(url).send().await?;
    let status = answer.status().as_u16();
    let body = answer.text().await?;
    Ok(format!("{status} {}", body.lines().next().unwrap_or_default()))
}

fn lock(kinds: &Kinds) -> std::sync::MutexGuard<'_, BTreeMap<String, Kind>> {
    kinds.lock().unwrap_or_else(PoisonError::into_inner)
}
