//! A controller's identity that survives its restarts.
//!
//! Several controllers may share a data directory. Each holds the lock of one slot file in it; the
//! file's content is the slot's id. Whoever holds the lock knows that the slot's earlier holder is
//! dead, and may take its lease back at once.

use anyhow::{Context as _, Result, bail};
use nix::fcntl::{Flock, FlockArg};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Controllers on one data directory.
const SLOTS: u32 = 16;

pub struct Slot {
    pub id: Uuid,
    /// Held until the process ends, however it ends.
    _lock: Flock<File>,
}

impl Slot {
    /// Takes the first free slot.
    ///
    /// # Errors
    /// When the files cannot be used, or every slot is taken.
    pub fn take(data: &Path) -> Result<Slot> {
        // The first slot again after a crash: its lock may live on for a moment in a child that the
        // killed controller had forked and not started yet.
        let deadline = Instant::now() + Duration::from_millis(500);
        for number in 1..=SLOTS {
            loop {
                if let Some(slot) = Slot::try_take(data, number)? {
                    return Ok(slot);
                }
                if number > 1 || Instant::now() > deadline {
                    break;
                }
                std::thread::sleep(Duration::from_millis(25));
            }
        }
        bail!("{SLOTS} controllers use this data directory already")
    }

    fn try_take(data: &Path, number: u32) -> Result<Option<Slot>> {
        let path = data.join(format!("controller-{number}.id"));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .with_context(|| format!("opening {}", path.display()))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => {
                Slot::identify(lock).map(Some).with_context(|| format!("using {}", path.display()))
            }
            Err(_) => Ok(None),
        }
    }

    fn identify(mut lock: Flock<File>) -> Result<Slot> {
        let mut text = String::new();
        lock.read_to_string(&mut text)?;
        let id = match text.trim().parse() {
            Ok(id) => id,
            Err(_) => {
                let id = Uuid::new_v4();
                lock.rewind()?;
                lock.set_len(0)?;
                write!(lock, "{id}")?;
                lock.sync_all()?;
                id
            }
        };
        Ok(Slot { id, _lock: lock })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_held_by_one_and_keeps_its_id() {
        let dir = tempfile::tempdir().unwrap();
        let first = Slot::take(dir.path()).unwrap();
        let second = Slot::take(dir.path()).unwrap();
        assert_ne!(first.id, second.id);
        let id = first.id;
        drop(first);
        assert_eq!(Slot::take(dir.path()).unwrap().id, id);
    }
}
