//! Requests without a pause, counted by what was answered: the load of `make demo-canary`.
//!
//! `pipeyard-load URL CLIENTS FILE` asks until FILE is removed, and keeps writing into it how many
//! answers there were of each kind: `{"200 v1": 812, "500 v3": 4}`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

type Counts = Arc<Mutex<BTreeMap<String, u64>>>;

/// Between two questions of one client: a reader, not a storm.
const PAUSE: Duration = Duration::from_millis(20);
const WRITE_EVERY: Duration = Duration::from_millis(100);

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, clients, file] = arguments.as_slice() else {
        anyhow::bail!("usage: pipeyard-load URL CLIENTS FILE");
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let counts = Counts::default();
    let file = PathBuf::from(file);
    std::fs::write(&file, "{}")?;
    for _ in 0..clients.parse::<usize>()? {
        tokio::spawn(ask(url.clone(), counts.clone()));
    }
    while file.exists() {
        let text = serde_json::to_string(&*lock(&counts))?;
        // Whole or not at all: somebody reads it at any time.
        let beside = file.with_extension("new");
        std::fs::write(&beside, text)?;
        if !file.exists() {
            break;
        }
        std::fs::rename(&beside, &file)?;
        tokio::time::sleep(WRITE_EVERY).await;
    }
    let _ = std::fs::remove_file(file.with_extension("new"));
    Ok(())
}

async fn ask(url: String, counts: Counts) {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20));
    let Ok(client) = client.build() else { return };
    loop {
        let answer = match get(&client, &url).await {
            Ok(answer) => answer,
            Err(error) => format!("no answer: {error}"),
        };
        *lock(&counts).entry(answer).or_default() += 1;
        tokio::time::sleep(PAUSE).await;
    }
}

async fn get(client: &reqwest::Client, url: &str) -> reqwest::Result<String> {
    let answer = client.get(url).send().await?;
    let status = answer.status().as_u16();
    let body = answer.text().await?;
    Ok(format!("{status} {}", body.lines().next().unwrap_or_default()))
}

fn lock(counts: &Counts) -> std::sync::MutexGuard<'_, BTreeMap<String, u64>> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}
