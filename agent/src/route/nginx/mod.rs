//! nginx, by a file with the servers of one upstream, and reloads.
//!
//! What is told is in the file, so a reload forgets nothing. nginx as distributions have it neither
//! checks its servers nor counts per server. What is open is read from the kernel instead: the
//! connections that workers have to a server, old workers included, which end what they began.

mod conf;
mod file;
mod processes;

use super::fault::{Fault, instead};
use super::router::{Change, Router, Seen, Share, View};
use crate::context::Settings;
use crate::durable::write_atomic;
use conf::Conf;
use file::{Entry, ServersFile};
use pipelines::protocol::answer::{Check, Counters};
use processes::{Master, Worker};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

/// How long a master may take to have new workers.
const RELOAD: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// One upstream of the nginx on this host.
#[derive(Debug)]
pub struct Nginx {
    command: conf::Command,
    file: PathBuf,
    upstream: String,
    /// The configuration as it was found, once it was looked at.
    conf: Option<Conf>,
    /// What nginx was last made to load here.
    loaded: Option<String>,
}

impl Nginx {
    pub fn new(settings: &Settings, file: &Path, upstream: &str) -> Nginx {
        let command = conf::Command::new(settings.nginx.as_deref());
        let (file, upstream) = (file.to_owned(), upstream.to_owned());
        Nginx { command, file, upstream, conf: None, loaded: None }
    }

    async fn master(&mut self) -> Result<Master, Fault> {
        let conf = match &self.conf {
            Some(conf) => conf,
            None => {
                let conf = self.command.dump().await?;
                self.refuse_other(&conf)?;
                self.conf.insert(conf)
            }
        };
        Master::find(&conf.pid_file)
    }

    /// The configuration has to have this upstream, and this file in it.
    fn refuse_other(&self, conf: &Conf) -> Result<(), Fault> {
        let (upstream, file) = (&self.upstream, self.file.display());
        if !conf.upstreams.contains(upstream) {
            let all: Vec<&str> = conf.upstreams.iter().map(String::as_str).collect();
            let message =
                format!("nginx has no upstream '{upstream}': {}", instead(upstream, &all));
            return Err(Fault::router(message));
        }
        let here = self.file.canonicalize().unwrap_or_else(|_| self.file.clone());
        if !conf.files.iter().any(|file| *file == here || *file == self.file) {
            return Err(Fault::router(format!(
                "nginx does not read {file}: write `include {file};` into `upstream {upstream}`, and at least \
                 one line `server ADDRESS:PORT; # NAME` into the file"
            )));
        }
        Ok(())
    }

    fn read(&self) -> Result<ServersFile, Fault> {
        let text = std::fs::read_to_string(&self.file).map_err(|e| self.disk("reading", &e))?;
        ServersFile::parse(&text).map_err(|(line, what)| {
            Fault::router(format!("{}:{line}: {what}", self.file.display()))
        })
    }

    /// As a whole, with the rights it had.
    fn write(&self, text: &str) -> Result<(), Fault> {
        let rights = std::fs::metadata(&self.file).map(|meta| meta.permissions());
        let written = rights.and_then(|rights| {
            write_atomic(&self.file, text.as_bytes())?;
            std::fs::set_permissions(&self.file, rights)
        });
        written.map_err(|e| self.disk("writing", &e))
    }

    fn disk(&self, doing: &str, error: &io::Error) -> Fault {
        let remedy = match error.kind() {
            io::ErrorKind::PermissionDenied => ": run the agent as root, or give its user the file",
            io::ErrorKind::NotFound => {
                ": it has to be there, with a line `server ADDRESS:PORT; # NAME` for each host"
            }
            _ => "",
        };
        Fault::router(format!("{doing} {}: {error}{remedy}", self.file.display()))
    }

    /// Has nginx take a file it accepts, and proves that it did: no worker of before takes requests.
    async fn load(&mut self, text: &str, before: &str) -> Result<(), Fault> {
        let master = self.master().await?;
        self.write(text)?;
        if let Err(refused) = self.command.test().await {
            self.write(before)?;
            return Err(refused);
        }
        let old = master.workers()?;
        self.command.reload().await?;
        let deadline = Instant::now() + RELOAD;
        loop {
            let now = master.workers()?;
            let is_old = |worker: &&Worker| old.iter().any(|old| old.is_same(worker));
            let taking = now.iter().filter(|worker| !worker.is_leaving);
            let (old, new): (Vec<&Worker>, Vec<&Worker>) = taking.partition(is_old);
            if old.is_empty() && !new.is_empty() {
                break;
            }
            if Instant::now() >= deadline {
                return Err(Fault::router(format!(
                    "nginx was told to reload, and {} of its workers are those of before after {} s: its error \
                     log says why",
                    old.len(),
                    RELOAD.as_secs()
                )));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.loaded = Some(text.to_owned());
        Ok(())
    }

    /// Open connections to the servers of the file.
    async fn open(&mut self) -> Result<(String, BTreeMap<SocketAddr, u32>), Fault> {
        let master = self.master().await?;
        Ok((master.life(), master.connections()?))
    }
}

impl Router for Nginx {
    async fn look(&mut self) -> Result<View, Fault> {
        let (life, open) = self.open().await?;
        let seen = |entry: &Entry| Seen {
            name: entry.name.clone(),
            address: entry.socket_address(),
            share: if entry.down { Share::Out } else { Share::In { weight: entry.weight } },
            check: Check::None,
            in_flight: entry.socket_address().and_then(|at| open.get(&at).copied()).unwrap_or(0),
            words: entry.to_string(),
        };
        Ok(View { life, servers: self.read()?.servers().map(seen).collect() })
    }

    async fn add(&mut self, name: &str, address: SocketAddr) -> Result<(), Fault> {
        let mut file = self.read()?;
        if let Some(entry) = file.servers().find(|entry| entry.socket_address() == Some(address)) {
            return Err(Fault::router(format!(
                "{} has {address} as '{}': write `# {name}` behind it",
                self.file.display(),
                entry.name
            )));
        }
        file.add(name, address);
        // Loaded with the change that follows; it gets nothing before.
        self.write(&file.to_string())
    }

    async fn prove(&mut self, _names: &[String]) -> Result<(), Fault> {
        // There is no check to wait for.
        Ok(())
    }

    async fn shift(&mut self, changes: &[Change]) -> Result<(), Fault> {
        let mut file = self.read()?;
        let before = file.to_string();
        for change in changes {
            let Some(entry) = file.server(change.name()) else { continue };
            match change {
                Change::In { weight, .. } => (entry.weight, entry.down) = (*weight, false),
                Change::Drain { name } | Change::Out { name } => {
                    if entry.socket_address().is_none() {
                        return Err(Fault::router(format!(
                            "{}: '{name}' is `{}`, whose open requests cannot be counted: write an IP address",
                            self.file.display(),
                            entry.address
                        )));
                    }
                    entry.down = true;
                }
                Change::Gone { name } => file.remove(name),
            }
        }
        let text = file.to_string();
        if self.loaded.as_ref() == Some(&text) {
            return Ok(());
        }
        self.load(&text, &before).await
    }

    /// nginx cannot end the requests of one server. They are counted; who stops the application, ends
    /// them.
    async fn cut(&mut self, names: &[String]) -> Result<BTreeMap<String, u32>, Fault> {
        let view = self.look().await?;
        let named = view.servers.into_iter().filter(|seen| names.contains(&seen.name));
        Ok(named
            .filter(|seen| seen.in_flight > 0)
            .map(|seen| (seen.name, seen.in_flight))
            .collect())
    }

    /// It has no counters per server, and none are made up.
    async fn count(&mut self, _names: &[String]) -> Result<Counters, Fault> {
        let life = self.master().await?.life();
        Ok(Counters { life, servers: Vec::new() })
    }
}
