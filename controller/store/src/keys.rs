//! The installation's master key: a file beside the data, never in the database.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

#[derive(Clone)]
pub struct Keys {
    master: Arc<[u8]>,
}

impl Keys {
    /// Reads the key, or makes one at the first start.
    ///
    /// # Errors
    /// When the file cannot be read or written, or is too short to be a key.
    pub fn load(path: &Path) -> io::Result<Keys> {
        if !path.exists() {
            let mut file =
                std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(crate::tokens::random(32).as_bytes())?;
            file.sync_all()?;
        }
        let master = std::fs::read(path)?;
        if master.len() < 32 {
            return Err(io::Error::other(format!("{} is too short to be a key", path.display())));
        }
        Ok(Keys { master: master.into() })
    }

    /// The secret a forge signs its deliveries for this pipeline with. Derived, not stored: the
    /// database holds only the counter that rotates it.
    ///
    /// # Panics
    /// Never: HMAC takes keys of every length.
    #[must_use]
    pub fn webhook_secret(&self, pipeline: &str, counter: i32) -> String {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.master).expect("HMAC takes keys of every length");
        mac.update(b"webhook\0");
        mac.update(pipeline.as_bytes());
        mac.update(&counter.to_be_bytes());
        hex::encode(mac.finalize().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_secret_is_stable_and_changes_with_pipeline_and_counter() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        let (first, again) = (Keys::load(&path).unwrap(), Keys::load(&path).unwrap());
        let secret = first.webhook_secret("shop", 1);
        assert_eq!(secret, again.webhook_secret("shop", 1));
        assert_ne!(secret, first.webhook_secret("shop", 2));
        assert_ne!(secret, first.webhook_secret("web", 1));
        std::fs::write(&path, "short").unwrap();
        assert!(Keys::load(&path).is_err());
    }
}
