//! Secrets we hand out: long and random, shown once, kept only as SHA-256.

use base64::Engine as _;
use rand::TryRngCore as _;
use sha2::{Digest as _, Sha256};

/// A new secret of `bytes` random bytes, as letters and digits safe in URLs and headers.
///
/// # Panics
/// When the operating system has no randomness to give.
#[must_use]
pub fn random(bytes: usize) -> String {
    let mut raw = vec![0u8; bytes];
    rand::rngs::OsRng.try_fill_bytes(&mut raw).expect("the operating system gives randomness");
    // Hexadecimal: join tokens and headers take letters and digits only.
    hex::encode(raw)
}

/// What is stored of a secret. No salt and no stretching: the secret has at least 128 random bits.
#[must_use]
pub fn hash(secret: &str) -> Vec<u8> {
    Sha256::digest(secret.as_bytes()).to_vec()
}

/// The token inside an `Authorization` header: `Bearer T`, or the password of `Basic` (what git sends).
#[must_use]
pub fn from_authorization(header: &str) -> Option<String> {
    let (scheme, rest) = header.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let raw = base64::engine::general_purpose::STANDARD.decode(rest.trim()).ok()?;
        let text = String::from_utf8(raw).ok()?;
        return text.split_once(':').map(|(_, password)| password.to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_bearer_and_in_what_git_sends() {
        assert_eq!(from_authorization("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(from_authorization("bearer  abc ").as_deref(), Some("abc"));
        assert_eq!(from_authorization("Basic Z2l0OnMzY3IzdDp4").as_deref(), Some("s3cr3t:x"));
        for bad in ["", "abc", "Basic !!!", "Digest abc"] {
            assert_eq!(from_authorization(bad), None, "{bad}");
        }
    }

    #[test]
    fn secrets_differ_and_only_their_hash_is_kept() {
        let (a, b) = (random(24), random(24));
        assert_ne!(a, b);
        assert_eq!(a.len(), 48);
        assert_eq!(hash(&a).len(), 32);
        assert_ne!(hash(&a), hash(&b));
    }
}
