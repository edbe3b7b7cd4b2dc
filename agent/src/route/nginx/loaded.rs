//! What nginx was last seen to load here, on disk. Its file only says what it is to load: an agent that
//! dies between writing it and the reload must not believe the file afterwards.

use crate::durable::{read_json, write_json};
use crate::route::kept;
use crate::route::order::Target;
use crate::state::private_dir;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io;
use std::path::{Path, PathBuf};

/// The note about one upstream.
#[derive(Debug)]
pub struct Loaded(PathBuf);

#[derive(Debug, Serialize, Deserialize)]
struct Note {
    /// The master's life in which it was loaded.
    life: String,
    /// Of the file's text. None: a reload was asked for, and nobody knows what came of it.
    digest: Option<String>,
}

/// What is known of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    Loaded,
    /// Something else was loaded last, or nothing is known of this life.
    Other,
    /// What nginx has is anybody's guess until the next reload.
    Unsure,
}

impl Loaded {
    pub fn at(state: &Path, target: &Target) -> Loaded {
        // Another ending than what is told to balancers that forget.
        Loaded(kept::path(state, target).with_extension("loaded"))
    }

    pub fn known(&self, life: &str, text: &str) -> Known {
        match read_json::<Note>(&self.0) {
            Ok(Some(Note { life: of, digest })) if of == life => match digest {
                Some(loaded) if loaded == digest_of(text) => Known::Loaded,
                Some(_) => Known::Other,
                None => Known::Unsure,
            },
            // One that cannot be read is as good as none: a reload more than necessary.
            Ok(_) | Err(_) => Known::Other,
        }
    }

    /// # Errors
    /// When it may not be on disk.
    pub fn note(&self, life: &str, text: Option<&str>) -> io::Result<()> {
        if let Some(dir) = self.0.parent() {
            private_dir(dir)?;
        }
        write_json(&self.0, &Note { life: life.to_owned(), digest: text.map(digest_of) })
    }
}

fn digest_of(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}
