//! HAProxy, by its admin socket. Written for 2.6 and measured on it.
//!
//! What it does not say by itself, and what follows:
//! - A server that leaves maintenance is up at once, before any check. So it leaves it for *drain*, is
//!   said to be down there, and has to become green by checks made since.
//! - Drain still serves clients that stick. So what goes out ends in maintenance.
//! - `set` answers prose or nothing, and a weight of 1000 % is taken. So numbers are checked before, and
//!   everything is read back after.

mod map;
mod socket;
mod words;

pub use map::{Entries, Maps};

use super::fault::{Fault, instead};
use super::router::{Change, Router, Share, View};
use pipelines::protocol::answer::Counters;
use socket::Socket;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;
use words::{Row, State};

/// Commands of one line; a longer one would not fit the buffer it is read into (16 kB by default).
const LINE_MAX: usize = 8 << 10;
/// How long a server may refuse to be deleted because a connection is still being closed.
const DELETE_WAIT: Duration = Duration::from_secs(5);
/// Of an answer, in messages.
const SHOWN_MAX: usize = 200;
const DELETE_EVERY: Duration = Duration::from_millis(25);
/// The check of servers that are added. `default-server` does not hold for them.
const ADDED_CHECK: &str = "check inter 1000 rise 2 fall 2";

/// One backend of one HAProxy.
#[derive(Debug)]
pub struct Haproxy {
    socket: Socket,
    backend: String,
    /// As of the last look.
    rows: Vec<Row>,
}

impl Haproxy {
    pub fn new(socket: &Path, backend: &str) -> Haproxy {
        let socket = Socket::new(socket);
        Haproxy { socket, backend: backend.to_owned(), rows: Vec::new() }
    }

    async fn state(&mut self) -> Result<State, Fault> {
        let backend = &self.backend;
        let line = format!(
            "show cli level;show info;show servers state {backend};show stat {backend} 4 -1"
        );
        let answer = self.socket.ask(&line).await?;
        let state = words::parse(&answer).map_err(|strange| {
            Fault::router(format!("HAProxy answers what this agent does not understand: {strange}"))
        })?;
        if state.level != "admin" {
            return Err(Fault::router(format!(
                "the socket {} has level {}, which may not change servers: write `level admin` behind its \
                 `stats socket` in the `global` section of haproxy.cfg, and restart HAProxy",
                self.socket, state.level
            )));
        }
        if state.is_missing {
            let all = self.socket.ask("show backend").await?;
            let all: Vec<&str> =
                all.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).collect();
            return Err(Fault::router(format!(
                "HAProxy has no backend '{}': {}",
                self.backend,
                instead(&self.backend, &all)
            )));
        }
        self.rows.clone_from(&state.rows);
        Ok(state)
    }

    /// Commands that answer nothing when they are obeyed, as few lines as possible.
    async fn order(&self, commands: &[String]) -> Result<(), Fault> {
        let mut line = String::new();
        for (at, command) in commands.iter().enumerate() {
            if !line.is_empty() {
                line.push(';');
            }
            line.push_str(command);
            let next = commands.get(at + 1).map_or(0, String::len);
            if line.len() + next + 1 > LINE_MAX || at + 1 == commands.len() {
                let answer = self.socket.ask(&line).await?;
                let prose: Vec<&str> =
                    answer.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
                if !prose.is_empty() {
                    return Err(refused(&line, &prose.join(" ")));
                }
                line.clear();
            }
        }
        Ok(())
    }

    /// Weights other than those of the configuration need an algorithm that knows weights that change.
    /// Asked in the only way without an effect: by adding a server that is there.
    async fn refuse_static(&self, changes: &[Change]) -> Result<(), Fault> {
        let other = |row: &&Row| {
            changes.iter().any(|change| match change {
                Change::In { name, weight } => {
                    *name == row.name && *weight != row.weight && *weight != row.initial_weight
                }
                Change::Drain { .. } | Change::Out { .. } | Change::Gone { .. } => false,
            })
        };
        let Some(row) = self.rows.iter().find(other) else { return Ok(()) };
        let probe = format!("add server {}/{} 127.0.0.1:1", self.backend, row.name);
        let answer = self.socket.ask(&probe).await?;
        if answer.contains("dynamic load balancing") {
            return Err(Fault::router(format!(
                "backend '{}' balances by a static algorithm, which keeps weights as they are in haproxy.cfg: \
                 write `balance roundrobin` or `balance leastconn` there, or `hash-type consistent` beside a \
                 hash",
                self.backend
            )));
        }
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<(), Fault> {
        let deadline = Instant::now() + DELETE_WAIT;
        let command = format!("del server {}/{name}", self.backend);
        loop {
            let answer = self.socket.ask(&command).await?;
            let answer = answer.trim();
            // `No such server.`: a reload forgot it first.
            if answer.is_empty() || answer.contains("deleted") || answer.contains("No such server")
            {
                return Ok(());
            }
            if !answer.contains("still has") || Instant::now() >= deadline {
                return Err(refused(&command, answer));
            }
            tokio::time::sleep(DELETE_EVERY).await;
        }
    }

    fn set(&self, name: &str, what: &str) -> String {
        format!("set server {}/{name} {what}", self.backend)
    }
}

/// Something it did not do, in its words.
fn refused(command: &str, answer: &str) -> Fault {
    // To what it does not know, it answers everything it knows.
    let shown: String = answer.chars().take(SHOWN_MAX).collect();
    let mut message = format!("HAProxy answered '{shown}' to `{command}`");
    let remedy = if answer.contains("Permission denied") {
        "write `level admin` behind its `stats socket` in haproxy.cfg"
    } else if answer.contains("static LB algorithm") || answer.contains("dynamic load balancing") {
        "write `balance roundrobin` or `balance leastconn` into the backend"
    } else if answer.contains("other configuration elements")
        || answer.contains("configuration file")
    {
        "it is out of traffic; remove it from haproxy.cfg and reload"
    } else {
        ""
    };
    if !remedy.is_empty() {
        // Writing to a string cannot fail.
        let _ = write!(message, ": {remedy}");
    }
    Fault::router(message)
}

impl Router for Haproxy {
    async fn look(&mut self) -> Result<View, Fault> {
        let state = self.state().await?;
        let servers = state.rows.iter().map(Row::seen).collect();
        Ok(View { life: state.life, servers })
    }

    async fn settle(&mut self) -> Result<bool, Fault> {
        // What it says is what it does.
        Ok(false)
    }

    async fn add(&mut self, name: &str, address: SocketAddr) -> Result<(), Fault> {
        let command = format!("add server {}/{name} {address} {ADDED_CHECK}", self.backend);
        let answer = self.socket.ask(&command).await?;
        // `Already exists`: an earlier attempt came as far as this.
        if answer.contains("registered") || answer.contains("Already exists") {
            return Ok(());
        }
        Err(refused(&command, answer.trim()))
    }

    async fn prove(&mut self, names: &[String]) -> Result<(), Fault> {
        self.state().await?;
        let mut commands = Vec::new();
        for row in self.rows.iter().filter(|row| names.contains(&row.name)) {
            let name = &row.name;
            // Down only after drain: said in maintenance, it is forgotten on the way out.
            commands.push(self.set(name, "state drain"));
            if row.is_checked && !row.is_check_on {
                commands.push(format!("enable health {}/{name}", self.backend));
            }
            if row.is_checked {
                commands.push(self.set(name, "health down"));
            }
        }
        self.order(&commands).await
    }

    async fn shift(&mut self, changes: &[Change]) -> Result<(), Fault> {
        self.refuse_static(changes).await?;
        let row = |name: &str| self.rows.iter().find(|row| row.name == name);
        let (mut before, mut instant) = (Vec::new(), Vec::new());
        for change in changes {
            let name = change.name();
            match change {
                Change::In { weight, .. } => {
                    let command = self.set(name, &format!("weight {weight}"));
                    match row(name) {
                        Some(row) if row.weight == *weight => {}
                        Some(row) if matches!(row.share(), Share::In { .. }) => {
                            instant.push(command);
                        }
                        // Changes nothing yet, and so does not belong to the instant.
                        Some(_) | None => before.push(command),
                    }
                    instant.push(self.set(name, "state ready"));
                }
                Change::Drain { .. } => instant.push(self.set(name, "state drain")),
                Change::Out { .. } => instant.push(self.set(name, "state maint")),
                Change::Gone { .. } => {}
            }
        }
        self.order(&before).await?;
        self.order(&instant).await?;
        for change in changes {
            if let Change::Gone { name } = change {
                self.delete(name).await?;
            }
        }
        Ok(())
    }

    async fn cut(&mut self, names: &[String]) -> Result<BTreeMap<String, u32>, Fault> {
        // Counted by the same line that cuts, so that what ends in between is not counted.
        let mut line = format!("show stat {} 4 -1", self.backend);
        for name in names {
            let _ = write!(line, ";shutdown sessions server {}/{name}", self.backend);
        }
        let answer = self.socket.ask(&line).await?;
        let open = words::open_requests(&answer).map_err(|strange| {
            Fault::router(format!("HAProxy answers what this agent does not understand: {strange}"))
        })?;
        Ok(open.into_iter().filter(|(name, open)| *open > 0 && names.contains(name)).collect())
    }

    async fn count(&mut self, names: &[String]) -> Result<Counters, Fault> {
        let state = self.state().await?;
        let named = state.rows.iter().filter(|row| names.contains(&row.name));
        Ok(Counters { life: state.life, servers: named.map(|row| row.counted.clone()).collect() })
    }
}
