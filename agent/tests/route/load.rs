//! Requests, counted by who answered them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What came of many requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    pub by: BTreeMap<String, u32>,
    /// In words, one each.
    pub failed: Vec<String>,
}

impl Tally {
    pub fn of(&self, name: &str) -> u32 {
        self.by.get(name).copied().unwrap_or(0)
    }

    pub fn total(&self) -> u32 {
        self.by.values().sum()
    }

    fn add(&mut self, answer: Result<String, String>) {
        match answer {
            Ok(name) => *self.by.entry(name).or_default() += 1,
            Err(why) => self.failed.push(why),
        }
    }
}

/// A client; `keeps` connections open between requests or not.
pub fn client(keeps: bool) -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let idle = if keeps { 8 } else { 0 };
    let client = reqwest::Client::builder().pool_max_idle_per_host(idle).no_proxy();
    client.timeout(Duration::from_secs(60)).build().unwrap()
}

/// One request: the body, which is the server's name.
pub async fn get(client: &reqwest::Client, url: &str) -> Result<String, String> {
    let mut request = client.get(url);
    if let Some((plain, cookie)) = url.split_once("#cookie=") {
        request = client.get(plain).header("cookie", cookie);
    }
    if let Some((plain, header)) = url.split_once("#header=") {
        let (name, value) = header.split_once('=').unwrap();
        request = client.get(plain).header(name, value);
    }
    let response = request.send().await.map_err(|e| format!("{e:?}"))?;
    let status = response.status().as_u16();
    let body = response.text().await.map_err(|e| format!("{e:?}"))?;
    if status == 200 { Ok(body) } else { Err(status.to_string()) }
}

/// As many requests, one after the other.
pub async fn requests(url: &str, count: u32) -> Tally {
    let client = client(true);
    let mut tally = Tally::default();
    for _ in 0..count {
        tally.add(get(&client, url).await);
    }
    tally
}

/// Clients that ask without a pause until they are told to stop.
pub struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<tokio::task::JoinHandle<Tally>>,
}

impl Load {
    pub fn start(url: &str, clients: u32, keeps: bool) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let one = |_| {
            let (stop, url, client) = (stop.clone(), url.to_owned(), client(keeps));
            tokio::spawn(async move {
                let mut tally = Tally::default();
                while !stop.load(Ordering::SeqCst) {
                    tally.add(get(&client, &url).await);
                }
                tally
            })
        };
        let clients = (0..clients).map(one).collect();
        Load { stop, clients }
    }

    pub async fn stop(self) -> Tally {
        self.stop.store(true, Ordering::SeqCst);
        let mut all = Tally::default();
        for client in self.clients {
            let one = client.await.unwrap();
            for (name, count) in one.by {
                *all.by.entry(name).or_default() += count;
            }
            all.failed.extend(one.failed);
        }
        all
    }
}
