//! The order of words about one host. Tasks run beside each other and may come late, so that a launch
//! could overtake the dismissal that follows it; the highest word heard about a name is on disk.
//!
//! One small file per name in `instances/`, for a month: by then no task of before is about any more.

use crate::durable::{read_json, write_json};
use crate::state::private_dir;
use pipelines::ids::DeploymentId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Orders everything one installation ever says about one host: deployments are numbered as they are
/// made, and attempts rise within each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Word {
    pub deployment: DeploymentId,
    pub attempt: u32,
}

/// For people who look into the directory, the name is in it as well.
#[derive(Debug, Serialize, Deserialize)]
struct Heard {
    installation: String,
    name: String,
    highest: Word,
}

/// Hears a word: false when a later one was heard before. Blocks.
///
/// # Errors
/// When it may not be on disk; nothing may be done in its name then.
pub fn hear(state: &Path, (installation, name): (&str, &str), word: Word) -> io::Result<bool> {
    // Two words at once would each overwrite what the other has heard.
    static HEARING: Mutex<()> = Mutex::new(());
    let _held = HEARING.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = state.join("instances");
    private_dir(&dir)?;
    let path = path(&dir, installation, name);
    match read_json::<Heard>(&path)?.map(|heard| heard.highest) {
        Some(highest) if highest > word => return Ok(false),
        Some(highest) if highest == word => return Ok(true),
        Some(_) | None => {}
    }
    let (installation, name) = (installation.to_owned(), name.to_owned());
    write_json(&path, &Heard { installation, name, highest: word })?;
    forget_old(&dir);
    Ok(true)
}

/// Installations count their deployments by themselves. The digest, because a name may be no file's.
fn path(dir: &Path, installation: &str, name: &str) -> PathBuf {
    let digest = Sha256::digest(format!("{installation} {name}"));
    dir.join(format!("{}.json", hex::encode(&digest[..16])))
}

/// What cannot be removed is only too much.
fn forget_old(dir: &Path) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let age = entry.metadata().and_then(|meta| meta.modified()).map(|at| at.elapsed());
        if matches!(age, Ok(Ok(age)) if age > KEPT) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Whose turn it is with one container: whoever holds it is alone at work on that name.
pub async fn turn(name: &str) -> tokio::sync::OwnedMutexGuard<()> {
    type Turns = BTreeMap<String, Arc<tokio::sync::Mutex<()>>>;
    static TURNS: LazyLock<Mutex<Turns>> = LazyLock::new(Mutex::default);
    let turn = {
        let mut turns = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
        // Names of hosts that come and go would pile up.
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        turns.entry(name.to_owned()).or_default().clone()
    };
    turn.lock_owned().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_word_is_refused_and_the_same_again_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let hear = |of, deployment, attempt| {
            let word = Word { deployment: DeploymentId(deployment), attempt };
            hear(dir.path(), of, word).unwrap()
        };
        let web = ("one", "web");
        assert!(hear(web, 7, 2));
        assert!(hear(web, 7, 2));
        assert!(!hear(web, 7, 1));
        // Attempts begin anew with every deployment.
        assert!(!hear(web, 6, 9));
        assert!(hear(web, 8, 1));
        assert!(!hear(web, 7, 2));
        assert!(hear(("one", "../web"), 1, 1) && hear(("two", "web"), 1, 1));
    }

    #[test]
    fn old_words_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let word = Word { deployment: DeploymentId(1), attempt: 1 };
        hear(dir.path(), ("one", "a"), word).unwrap();
        let kept = dir.path().join("instances");
        let file = std::fs::File::open(path(&kept, "one", "a")).unwrap();
        file.set_modified(std::time::SystemTime::now() - KEPT - Duration::from_secs(1)).unwrap();
        hear(dir.path(), ("one", "b"), word).unwrap();
        assert_eq!(std::fs::read_dir(kept).unwrap().count(), 1);
    }
}
