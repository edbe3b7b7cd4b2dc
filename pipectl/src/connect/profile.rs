//! What a login leaves behind: one file only its owner can read.

use crate::exit::{Failure, Result};
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Profile {
    pub url: String,
    pub user: String,
    pub token: String,
    /// The controller's CA certificate, when it was given as a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// Its fingerprint, when it was given as one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_sha256: Option<String>,
    #[serde(default)]
    pub allow_plain_http: bool,
}

impl Profile {
    /// None when nobody logged in here.
    pub fn load() -> Result<Option<Profile>> {
        match path() {
            Some(path) => Profile::load_from(&path),
            None => Ok(None),
        }
    }

    pub fn load_from(path: &Path) -> Result<Option<Profile>> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(path, &error)),
        };
        serde_yaml::from_str(&text).map(Some).map_err(|error| unusable(path, &error))
    }

    /// Returns where it was written.
    pub fn save(&self) -> Result<PathBuf> {
        let Some(path) = path() else {
            return Err(Failure::failed(
                "there is no home directory to remember the token in",
                "set HOME, or use PIPEYARD_URL and PIPEYARD_TOKEN",
            ));
        };
        self.save_to(&path)?;
        Ok(path)
    }

    fn save_to(&self, path: &Path) -> Result<()> {
        let write = || -> std::io::Result<()> {
            if let Some(directory) = path.parent() {
                std::fs::create_dir_all(directory)?;
            }
            let text = serde_yaml::to_string(self).map_err(std::io::Error::other)?;
            let new = path.with_extension("new");
            // Made anew, so that nobody can have opened it before.
            let _ = std::fs::remove_file(&new);
            let mut file =
                std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
            file.write_all(text.as_bytes())?;
            std::fs::rename(&new, path)
        };
        write().map_err(|error| {
            Failure::failed(format!("cannot write {}: {error}", path.display()), "")
        })
    }
}

fn path() -> Option<PathBuf> {
    let home = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let config = home("XDG_CONFIG_HOME").or_else(|| Some(home("HOME")?.join(".config")))?;
    Some(config.join("pipeyard").join("profile.yml"))
}

fn unusable(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::failed(
        format!("cannot use {}: {error}", path.display()),
        "mend or remove it, then run 'pipectl login'",
    )
}

/// Scheme, host and port: whom a token belongs to.
pub fn origin(url: &str) -> Result<String> {
    let bad = |why: &str| {
        Failure::usage(format!("'{url}' is not an address: {why}"), "write https://HOST:PORT")
    };
    let url = reqwest::Url::parse(url).map_err(|error| bad(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(bad("it is neither http:// nor https://"));
    }
    Ok(url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_profile_reads_back_and_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipeyard/profile.yml");
        assert_eq!(Profile::load_from(&path).unwrap(), None);
        let profile = Profile {
            url: "https://a.example:8443".to_owned(),
            user: "ada".to_owned(),
            token: "pyt1".to_owned(),
            ca: None,
            ca_sha256: Some("0f".repeat(32)),
            allow_plain_http: false,
        };
        profile.save_to(&path).unwrap();
        profile.save_to(&path).unwrap();
        assert_eq!(Profile::load_from(&path).unwrap(), Some(profile));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, "url: [").unwrap();
        assert!(Profile::load_from(&path).is_err());
    }

    #[test]
    fn a_token_belongs_to_scheme_host_and_port() {
        let same = |a: &str, b: &str| origin(a).unwrap() == origin(b).unwrap();
        assert!(same("https://a.example", "https://a.example:443/"));
        assert!(!same("https://a.example", "http://a.example"));
        assert!(!same("https://a.example", "https://a.example:8443"));
        assert!(origin("a.example").is_err() && origin("ftp://a").is_err());
    }
}
