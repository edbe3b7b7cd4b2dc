//! Reaching the controller: whom to believe, what to send, when to try again.

mod client;
mod profile;
mod trust;

pub use client::{Client, parse, refused};
pub use profile::{Profile, origin};

use crate::cli::Global;
use crate::exit::{Failure, Result};
use trust::Trust;

/// A client for the address and the token that flags, environment or the last login give.
pub fn connect(global: &Global) -> Result<Client> {
    let profile = Profile::load()?;
    let known = profile.as_ref();
    let url = global.url.clone().or_else(|| known.map(|profile| profile.url.clone()));
    let Some(url) = url else {
        return Err(Failure::usage(
            "no controller is known",
            "run 'pipectl login URL', or set PIPEYARD_URL and PIPEYARD_TOKEN",
        ));
    };
    // What was remembered for one address is never sent to another.
    let same = known.filter(|profile| origin(&profile.url).ok() == origin(&url).ok());
    let token = global.token.clone().or_else(|| same.map(|profile| profile.token.clone()));
    let Some(token) = token else {
        return Err(Failure::usage(
            format!("there is no token for {url}"),
            "run 'pipectl login URL', or set PIPEYARD_TOKEN",
        ));
    };
    let plain = global.allow_plain_http || same.is_some_and(|profile| profile.allow_plain_http);
    Client::new(&url, trust(global, same)?, Some(token), plain)
}

/// A client that has no token yet.
pub fn connect_without_token(global: &Global, url: &str) -> Result<Client> {
    Client::new(url, trust(global, None)?, None, global.allow_plain_http)
}

fn trust(global: &Global, profile: Option<&Profile>) -> Result<Trust> {
    if let Some(path) = &global.ca {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::usage(format!("cannot read {}: {error}", path.display()), "check --ca")
        })?;
        return Ok(Trust::Ca(text));
    }
    let remembered = profile.and_then(|profile| profile.ca_sha256.clone());
    if let Some(fingerprint) = global.ca_sha256.clone().or(remembered) {
        let is_digest =
            fingerprint.len() == 64 && fingerprint.bytes().all(|b| b.is_ascii_hexdigit());
        return if is_digest {
            Ok(Trust::Fingerprint(fingerprint.to_ascii_lowercase()))
        } else {
            Err(Failure::usage("--ca-sha256 is not a fingerprint", "give 64 hexadecimal digits"))
        };
    }
    Ok(match profile.and_then(|profile| profile.ca.clone()) {
        Some(pem) => Trust::Ca(pem),
        None => Trust::System,
    })
}
