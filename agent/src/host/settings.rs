//! How an operator set the installed agent up, in a file that both service managers read: one
//! `NAME='value'` a line.

use super::{Layout, STATE_DIR};
use crate::durable::write_atomic;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What an installation takes over from its environment. The token is not among them.
const NAMES: [&str; 11] = [
    "PIPEYARD_ALLOW_PLAIN_HTTP",
    "PIPEYARD_BUILD_CPUS",
    "PIPEYARD_BUILD_MEMORY_MB",
    "PIPEYARD_BUILD_NETWORK",
    "PIPEYARD_CACHE_MB",
    "PIPEYARD_DOCKER_HOST",
    "PIPEYARD_LOG",
    "PIPEYARD_NGINX",
    "PIPEYARD_SLOTS",
    "PIPEYARD_STATE_DIR",
    "PIPEYARD_STOP_GRACE",
];

/// Names and values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings(BTreeMap<String, String>);

impl Settings {
    /// Those of the installed agent; none when there are none.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn load(layout: &Layout) -> Result<Settings> {
        let path = layout.settings();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Settings::default()),
            Err(e) => return Err(e).with_context(|| format!("reading {}", path.display())),
        };
        Ok(Settings::parse(&text))
    }

    fn parse(text: &str) -> Settings {
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        let pairs = lines.filter_map(|line| line.split_once('='));
        let bare = |value: &str| value.trim_matches(['\'', '"']).to_owned();
        Settings(pairs.map(|(name, value)| (name.to_owned(), bare(value))).collect())
    }

    /// What the environment of this process says, of what an installation takes over.
    ///
    /// # Errors
    /// When a value cannot be one line of the file.
    pub fn from_environment() -> Result<Settings> {
        let mut found = BTreeMap::new();
        for name in NAMES {
            let Ok(value) = std::env::var(name) else { continue };
            if value.contains(['\'', '"', '\\', '\n']) {
                bail!("{name} cannot be kept: it holds a quote, a backslash or a line break");
            }
            found.insert(name.to_owned(), value);
        }
        Ok(Settings(found))
    }

    /// Adds these to those in the file, or puts them in the place of theirs. Says whether it changed.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, layout: &Layout) -> Result<bool> {
        let known = Settings::load(layout)?;
        let mut all = known.clone();
        all.0.extend(self.0.clone());
        if all == known {
            return Ok(false);
        }
        let lines = all.0.iter().map(|(name, value)| format!("{name}='{value}'\n"));
        let path = layout.settings();
        write_atomic(&path, lines.collect::<String>().as_bytes())
            .with_context(|| format!("writing {}", path.display()))?;
        Ok(true)
    }

    /// The value for a command of this process: the environment goes before the file.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().or_else(|| self.0.get(name).cloned())
    }

    /// Where the agent's state is: as given, as installed, or where it is unless told otherwise.
    #[must_use]
    pub fn state_dir(&self, given: Option<PathBuf>) -> PathBuf {
        let installed = || self.0.get("PIPEYARD_STATE_DIR").map(PathBuf::from);
        given.or_else(installed).unwrap_or_else(|| STATE_DIR.into())
    }

    /// Whether plain HTTP to other machines was allowed.
    #[must_use]
    pub fn allow_plain_http(&self) -> bool {
        self.get("PIPEYARD_ALLOW_PLAIN_HTTP").is_some_and(|value| value == "true")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_and_nothing_given_changes_nothing() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("etc")).unwrap();
        let layout = Layout { root: root.path().to_owned() };
        let settings = Settings(BTreeMap::from([
            ("PIPEYARD_SLOTS".to_owned(), "4".to_owned()),
            ("PIPEYARD_STATE_DIR".to_owned(), "/srv/a b".to_owned()),
        ]));
        assert!(settings.keep(&layout).unwrap());
        assert!(!settings.keep(&layout).unwrap(), "the same again");
        assert!(!Settings::default().keep(&layout).unwrap());
        let read = Settings::load(&layout).unwrap();
        assert_eq!(read, settings);
        let more = Settings(BTreeMap::from([("PIPEYARD_SLOTS".to_owned(), "5".to_owned())]));
        assert!(more.keep(&layout).unwrap());
        let both = Settings::load(&layout).unwrap().0;
        assert_eq!((both["PIPEYARD_SLOTS"].as_str(), both.len()), ("5", 2), "the other one stays");
        assert_eq!(read.state_dir(None), PathBuf::from("/srv/a b"));
        assert_eq!(read.state_dir(Some("/x".into())), PathBuf::from("/x"));
        assert_eq!(Settings::default().state_dir(None), PathBuf::from(STATE_DIR));
    }

    #[test]
    fn lines_an_operator_wrote_are_understood() {
        let read =
            Settings::parse("# slots\nPIPEYARD_SLOTS=3\n\nPIPEYARD_NGINX=\"nginx -p /srv\"\n");
        assert_eq!(read.0["PIPEYARD_SLOTS"], "3");
        assert_eq!(read.0["PIPEYARD_NGINX"], "nginx -p /srv");
        assert_eq!(read.0.len(), 2);
    }
}
