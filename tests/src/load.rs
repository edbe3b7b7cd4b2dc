//! Clients that never stop, and what they were answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What came of many requests, by what was answered.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    pub by: BTreeMap<String, u32>,
    /// In words, one each.
    pub failed: Vec<String>,
}

impl Tally {
    #[must_use]
    pub fn of(&self, answer: &str) -> u32 {
        self.by.get(answer).copied().unwrap_or(0)
    }

    fn add(&mut self, answer: Result<String, String>) {
        match answer {
            Ok(answer) => *self.by.entry(answer).or_default() += 1,
            Err(why) => self.failed.push(why),
        }
    }

    #[must_use]
    pub fn total(&self) -> u32 {
        self.by.values().sum()
    }
}

/// Clients that ask without a pause until they are told to stop.
pub struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<tokio::task::JoinHandle<Tally>>,
}

impl Load {
    #[must_use]
    pub fn start(url: &str, clients: usize) -> Load {
        Load::of(url, clients, None)
    }

    /// Each request with this header.
    #[must_use]
    pub fn with_header(url: &str, clients: usize, header: (&'static str, &'static str)) -> Load {
        Load::of(url, clients, Some(header))
    }

    fn of(url: &str, clients: usize, header: Option<(&'static str, &'static str)>) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let start = |_| tokio::spawn(ask(url.to_owned(), header, stop.clone()));
        let clients = (0..clients).map(start).collect();
        Load { stop, clients }
    }

    /// # Panics
    /// When a client did.
    pub async fn stop(self) -> Tally {
        self.stop.store(true, Ordering::SeqCst);
        let mut all = Tally::default();
        for client in self.clients {
            let tally = client.await.expect("a client");
            for (answer, count) in tally.by {
                *all.by.entry(answer).or_default() += count;
            }
            all.failed.extend(tally.failed);
        }
        all
    }
}

/// What so many requests are answered, one after the other, by the answer.
pub async fn answers(
    url: &str,
    count: usize,
    header: Option<(&'static str, &'static str)>,
) -> Tally {
    let client = client(header);
    let mut tally = Tally::default();
    for _ in 0..count {
        tally.add(get(&client, url).await);
    }
    tally
}

fn client(header: Option<(&'static str, &'static str)>) -> reqwest::Client {
    let headers = header.into_iter().map(|(name, value)| {
        let name = reqwest::header::HeaderName::from_static(name);
        (name, reqwest::header::HeaderValue::from_static(value))
    });
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30));
    client.default_headers(headers.collect()).build().expect("a plain client")
}

async fn ask(
    url: String,
    header: Option<(&'static str, &'static str)>,
    stop: Arc<AtomicBool>,
) -> Tally {
    let client = client(header);
    let mut tally = Tally::default();
    while !stop.load(Ordering::SeqCst) {
        tally.add(get(&client, &url).await);
        // A client that reads a page; not a storm that starves the machine.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    tally
}

async fn get(client: &reqwest::Client, url: &str) -> Result<String, String> {
    let answer = client.get(url).send().await.map_err(|error| format!("{error:?}"))?;
    let status = answer.status().as_u16();
    let body = answer.text().await.map_err(|error| format!("{error:?}"))?;
    if status == 200 { Ok(body.trim().to_owned()) } else { Err(format!("{status} {body}")) }
}
