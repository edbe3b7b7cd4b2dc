//! What balancers were told last, on disk: a reload makes them forget, and this agent remembers.
//!
//! One file per backend in `routers/`. A server is forgotten when it is told to be gone, and kept
//! otherwise.

use super::cohort::Told;
use super::order::{Target, Wanted};
use super::router::{Share, View};
use crate::context::{Cancel, Reason};
use crate::durable::{read_json, write_json};
use crate::state::private_dir;
use pipelines::protocol::route::Traffic;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// See the module text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub target: Target,
    /// The balancer's life in which it was told.
    pub life: String,
    /// The highest generation obeyed, per deployment group.
    pub generations: BTreeMap<String, u64>,
    pub servers: BTreeMap<String, Server>,
    /// Servers that have not been told again in this life what they were told in an earlier one.
    #[serde(default)]
    pub owed: BTreeSet<String>,
    /// Servers that this agent added, and the life in which it did. All others are there by the
    /// balancer's configuration, and who removes them from it means it.
    #[serde(default)]
    pub added: BTreeMap<String, String>,
    /// Where this is a group's second backend: whose requests go there.
    #[serde(default)]
    pub cohort: Option<Told>,
}

/// What one server is to get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    pub address: Option<SocketAddr>,
    pub traffic: Traffic,
}

impl Kept {
    /// What is on disk about this target, or nothing yet. Blocks.
    ///
    /// # Errors
    /// When the file is there and unreadable.
    pub fn load(state: &Path, target: &Target) -> io::Result<Kept> {
        let fresh = || Kept {
            target: target.clone(),
            life: String::new(),
            generations: BTreeMap::new(),
            servers: BTreeMap::new(),
            owed: BTreeSet::new(),
            added: BTreeMap::new(),
            cohort: None,
        };
        Ok(read_json(&path(state, target))?.unwrap_or_else(fresh))
    }

    /// Everything kept. A file that cannot be read is skipped, and named in the log. Blocks.
    pub fn all(state: &Path) -> Vec<Kept> {
        let Ok(entries) = std::fs::read_dir(dir(state)) else { return Vec::new() };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let paths = paths.filter(|path| path.extension().is_some_and(|end| end == "json"));
        let read = |path: PathBuf| {
            read_json(&path).unwrap_or_else(|e| {
                tracing::debug!("cannot read what a balancer was told: {e}");
                None
            })
        };
        paths.filter_map(read).collect()
    }

    /// Remembers one server's traffic; one that is gone is forgotten.
    pub fn note(&mut self, wanted: &Wanted) {
        let known = self.servers.get(&wanted.name).and_then(|server| server.address);
        match wanted.traffic {
            Traffic::Gone => {
                self.servers.remove(&wanted.name);
                self.owed.remove(&wanted.name);
                self.added.remove(&wanted.name);
            }
            traffic @ (Traffic::In { .. } | Traffic::Out) => {
                let address = wanted.address.or(known);
                self.servers.insert(wanted.name.clone(), Server { address, traffic });
            }
        }
    }

    /// A life that knows nothing of the one before. What it has from its beginning is in its
    /// configuration by now, whoever added it once.
    pub fn begin(&mut self, view: &View) {
        view.life.clone_into(&mut self.life);
        if let Some(told) = &mut self.cohort {
            told.is_owed = true;
            // Nobody is there but who was brought in: the configuration may have all of them in.
            for seen in view.servers.iter().filter(|seen| seen.share != Share::Out) {
                let out = Server { address: None, traffic: Traffic::Out };
                self.servers.entry(seen.name.clone()).or_insert(out);
            }
        }
        self.owed = self.servers.keys().cloned().collect();
        self.added.retain(|name, life| *life == view.life || view.server(name).is_none());
    }

    /// Whether it was told that this server is in.
    pub fn is_in(&self, name: &str) -> bool {
        self.servers.get(name).is_some_and(|server| matches!(server.traffic, Traffic::In { .. }))
    }

    /// Whether there is something to be told again in this life.
    pub fn is_owing(&self) -> bool {
        !self.owed.is_empty() || self.cohort.as_ref().is_some_and(|told| told.is_owed)
    }

    /// Hears a group's generation: Err with the highest when a later one has spoken.
    pub fn hear(&mut self, group: &str, generation: u64) -> Result<(), u64> {
        let highest = self.generations.get(group).copied().unwrap_or(0);
        if generation < highest {
            return Err(highest);
        }
        self.generations.insert(group.to_owned(), generation);
        Ok(())
    }

    /// # Errors
    /// When it may not be on disk.
    pub async fn save(&self, state: &Path) -> io::Result<()> {
        let (kept, state) = (self.clone(), state.to_owned());
        let save = move || {
            private_dir(&dir(&state))?;
            write_json(&path(&state, &kept.target), &kept)
        };
        tokio::task::spawn_blocking(save).await.map_err(io::Error::other)?
    }
}

fn dir(state: &Path) -> PathBuf {
    state.join("routers")
}

/// The backend's name is for people, the digest tells apart what is called the same.
pub fn path(state: &Path, target: &Target) -> PathBuf {
    let digest = hex::encode(&Sha256::digest(target.key())[..8]);
    dir(state).join(format!("{}-{digest}.json", target.name()))
}

/// Whose turn it is at one target, in this process: a task's or the watch's.
#[derive(Debug, Default)]
pub struct Turn {
    /// Held while at work.
    pub busy: Arc<tokio::sync::Mutex<()>>,
    watching: Mutex<Option<Cancel>>,
}

impl Turn {
    /// Makes the watch give way; it goes on later.
    pub fn hurry(&self) {
        if let Some(cancel) = &*self.watching.lock().unwrap_or_else(PoisonError::into_inner) {
            cancel.cancel(Reason::Controller);
        }
    }

    /// How the watch is told to give way.
    pub fn watching(&self, cancel: Option<Cancel>) {
        *self.watching.lock().unwrap_or_else(PoisonError::into_inner) = cancel;
    }
}

/// The turn at this target, the same for everybody.
pub fn turn(state: &Path, target: &Target) -> Arc<Turn> {
    static TURNS: LazyLock<Mutex<BTreeMap<PathBuf, Arc<Turn>>>> = LazyLock::new(Mutex::default);
    let mut turns = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
    turns.entry(path(state, target)).or_default().clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::router::Seen;
    use pipelines::protocol::answer::Check;

    fn target(backend: &str) -> Target {
        Target::Haproxy { socket: "/run/a.sock".into(), backend: backend.into() }
    }

    fn wanted(traffic: Traffic, address: Option<&str>) -> Wanted {
        let address = address.map(|text| text.parse().unwrap());
        Wanted { name: "a".into(), address, traffic }
    }

    #[tokio::test]
    async fn what_was_told_survives_and_what_is_gone_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let mut kept = Kept::load(dir.path(), &target("shop")).unwrap();
        kept.note(&wanted(Traffic::In { weight: 7 }, Some("10.0.0.1:80")));
        // Later orders may leave out the address.
        kept.note(&wanted(Traffic::Out, None));
        kept.hear("web", 3).unwrap();
        kept.save(dir.path()).await.unwrap();

        let mut kept = Kept::load(dir.path(), &target("shop")).unwrap();
        let address = Some("10.0.0.1:80".parse().unwrap());
        assert_eq!(kept.servers["a"], Server { address, traffic: Traffic::Out });
        assert_eq!(kept.hear("web", 2), Err(3));
        assert_eq!(kept.hear("other", 1), Ok(()));
        kept.note(&wanted(Traffic::Gone, None));
        kept.save(dir.path()).await.unwrap();
        assert_eq!(Kept::all(dir.path()), [kept]);
        assert!(Kept::load(dir.path(), &target("other")).unwrap().servers.is_empty());
    }

    #[test]
    fn a_new_life_owes_everything() {
        let mut kept = Kept::load("/nowhere".as_ref(), &target("shop")).unwrap();
        kept.note(&wanted(Traffic::Out, None));
        kept.begin(&View { life: "2".into(), servers: Vec::new() });
        assert_eq!(kept.owed.iter().collect::<Vec<_>>(), ["a"]);
        kept.note(&wanted(Traffic::Gone, None));
        assert!(kept.owed.is_empty());
    }

    #[test]
    fn what_was_added_and_is_configured_by_now_counts_as_configured() {
        let mut kept = Kept::load("/nowhere".as_ref(), &target("shop")).unwrap();
        for (name, life) in [("a", "1"), ("b", "1"), ("c", "2")] {
            kept.added.insert(name.to_owned(), life.to_owned());
        }
        let seen = |name: &str| Seen {
            name: name.to_owned(),
            address: None,
            share: Share::Out,
            check: Check::None,
            in_flight: 0,
            words: String::new(),
        };
        // A task has added `c` to the new life before anybody else looked at it.
        kept.begin(&View { life: "2".into(), servers: vec![seen("a"), seen("c")] });
        assert_eq!(kept.added.keys().collect::<Vec<_>>(), ["b", "c"]);
    }

    #[test]
    fn one_target_has_one_turn_and_tasks_go_before_the_watch() {
        let (one, same) = (turn("/s".as_ref(), &target("x")), turn("/s".as_ref(), &target("x")));
        let other = turn("/s".as_ref(), &target("y"));
        assert!(Arc::ptr_eq(&one, &same));
        let cancel = Cancel::default();
        one.watching(Some(cancel.clone()));
        other.hurry();
        assert!(!cancel.is_cancelled());
        same.hurry();
        assert!(cancel.is_cancelled());
    }
}
