//! HAProxy from the distribution on this machine, the agent beside it, and clients that never stop.

use crate::programs;
use crate::wait;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The name of the agent beside it.
pub const AGENT: &str = "lb-1";

pub struct Balancer {
    haproxy: Child,
    agent: Child,
    port: u16,
    directory: PathBuf,
    beside: Beside,
}

/// How the agent beside it is started.
struct Beside {
    url: String,
    token: String,
}

impl Balancer {
    /// Starts it with an empty backend `shop`, and lets its agent join.
    ///
    /// # Panics
    /// When HAProxy does not come up.
    pub async fn start(directory: &Path, url: &str, token: &str) -> Balancer {
        let directory = directory.join("balancer");
        std::fs::create_dir_all(&directory).expect("a directory for the balancer");
        let port = free_port();
        let config = directory.join("haproxy.cfg");
        std::fs::write(&config, configuration(&directory, port)).expect("its configuration");
        let haproxy = Command::new("haproxy")
            .arg("-W")
            .arg("-f")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log(&directory, "haproxy.log"))
            .spawn()
            .expect("starting haproxy: 'scripts/setup.sh balancer' installs it");
        let beside = Beside { url: url.to_owned(), token: token.to_owned() };
        let agent = beside.start(&directory);
        let balancer = Balancer { haproxy, agent, port, directory, beside };
        wait::until("HAProxy to open its socket", || async {
            UnixStream::connect(balancer.socket()).is_ok().then_some(())
        })
        .await;
        balancer
    }

    /// Its admin socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.directory.join("admin.sock")
    }

    /// What clients ask.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// `kill -9` of the agent beside it, which then is started again.
    pub fn kill_agent(&mut self) {
        self.stop_agent();
        self.start_agent();
    }

    /// `kill -9` of the agent beside it; HAProxy goes on.
    pub fn stop_agent(&mut self) {
        self.agent.kill().expect("killing the balancer's agent");
        self.agent.wait().expect("waiting for the killed agent");
    }

    /// Started again after it was stopped.
    pub fn start_agent(&mut self) {
        self.agent = self.beside.start(&self.directory);
    }

    /// Every server with its state word and weight, by HAProxy's own word.
    #[must_use]
    pub fn servers(&self) -> BTreeMap<String, (String, u32)> {
        let mut socket = UnixStream::connect(self.socket()).expect("the admin socket");
        socket.write_all(b"show stat shop 4 -1\n").expect("asking HAProxy");
        let mut text = String::new();
        socket.read_to_string(&mut text).expect("HAProxy's answer");
        let mut lines = text.lines();
        let names: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
        let at = |name: &str| names.iter().position(|column| *column == name).unwrap_or(0);
        let (name, status, weight) = (at("svname"), at("status"), at("weight"));
        let rows = lines.map(|line| line.split(',').collect::<Vec<_>>());
        rows.filter(|row| row.len() > status.max(weight))
            .map(|row| {
                let weight = row[weight].parse().unwrap_or(0);
                (row[name].to_owned(), (row[status].to_owned(), weight))
            })
            .collect()
    }

    /// The servers that get traffic.
    #[must_use]
    pub fn serving(&self) -> Vec<String> {
        let all = self.servers().into_iter();
        all.filter(|(_, (status, weight))| status.starts_with("UP") && *weight > 0)
            .map(|(name, _)| name)
            .collect()
    }
}

impl Beside {
    fn start(&self, directory: &Path) -> Child {
        Command::new(programs::path("pipeyard-agent"))
            .args(["run", "--name", AGENT, "--url", &self.url, "--join-token", &self.token])
            .arg("--state-dir")
            .arg(directory.join("agent"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log(directory, "agent.log"))
            .spawn()
            .expect("starting the balancer's agent")
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        for child in [&mut self.agent, &mut self.haproxy] {
            let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
            let _ = child.wait();
        }
        if std::thread::panicking() {
            for name in ["agent.log", "haproxy.log"] {
                let text = std::fs::read_to_string(self.directory.join(name)).unwrap_or_default();
                eprintln!("--- {name} ---\n{text}");
            }
        }
    }
}

fn log(directory: &Path, name: &str) -> std::fs::File {
    let path = directory.join(name);
    std::fs::File::options().create(true).append(true).open(path).expect("a log file")
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound port").port()
}

/// No redispatch and no retries: what goes wrong at a server is seen by the client.
fn configuration(directory: &Path, port: u16) -> String {
    format!(
        "global\n  stats socket {}/admin.sock mode 600 level admin expose-fd listeners\n\
         defaults\n  mode http\n  retries 0\n  timeout connect 2s\n  timeout client 30s\n  timeout server 30s\n\
         frontend people\n  bind 127.0.0.1:{port}\n  default_backend shop\n\
         backend shop\n  balance roundrobin\n  option httpchk GET /version.txt\n",
        directory.display()
    )
}

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
        let stop = Arc::new(AtomicBool::new(false));
        let start = |_| tokio::spawn(ask(url.to_owned(), stop.clone()));
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

async fn ask(url: String, stop: Arc<AtomicBool>) -> Tally {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30));
    let client = client.build().expect("a plain client");
    let mut tally = Tally::default();
    while !stop.load(Ordering::SeqCst) {
        match get(&client, &url).await {
            Ok(answer) => *tally.by.entry(answer).or_default() += 1,
            Err(why) => tally.failed.push(why),
        }
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
