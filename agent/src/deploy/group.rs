//! What this host knows of a deployment group: what is installed, what last worked, and which files
//! belong to it. Keyed by the group's name, so a group made anew still owns what it put here.
//!
//! ```text
//! groups/GROUP/group.json      [`Standing`]
//! groups/GROUP/manifest.json   [`Manifest`]; writing it is what commits an installation
//! groups/GROUP/marks-ID.json   [`Marks`] of the installation with that name
//! groups/GROUP/undo.json       there while an installation is half-way, see `install`
//! releases/GROUP/DIGEST/       bundles, unpacked
//! ```

use super::marks::Marks;
use super::undo::Undo;
use crate::durable::{read_json, remove_if_there, sync_parent, write_atomic, write_json};
use pipelines::ids::{DeploymentId, Digest, is_name};
use pipelines::protocol::poll::Installed;
use pipelines::protocol::report::ErrorCode;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// A revision, and the deployment that brought it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stand {
    pub digest: Digest,
    pub deployment: DeploymentId,
}

/// `group.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// The revision of the last deployment that succeeded as a whole. Stop scripts come from it.
    pub good: Option<Stand>,
    /// Digests of successful deployments, the newest last, each once.
    pub history: Vec<Digest>,
    /// The deployment some of whose scripts ran here before anything was installed, in a task of
    /// its own.
    #[serde(default)]
    pub touched: Option<Stand>,
    /// The last failure since a deployment succeeded, for the scripts of a rollback.
    #[serde(default)]
    pub failed: Option<Failed>,
}

/// A deployment that failed after it had touched the application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    pub stand: Stand,
    pub event: String,
    pub script: Option<String>,
    pub code: ErrorCode,
}

/// `manifest.json`: the files on this host that belong to the group, and the revision they are of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Names the installation that wrote it.
    pub install: String,
    pub stand: Stand,
    pub entries: BTreeMap<PathBuf, Kind>,
}

/// What was put there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    File,
    Link,
    Directory,
}

impl Kind {
    #[must_use]
    pub fn of(meta: &std::fs::Metadata) -> Option<Kind> {
        let kind = meta.file_type();
        if kind.is_symlink() {
            Some(Kind::Link)
        } else if kind.is_dir() {
            Some(Kind::Directory)
        } else if kind.is_file() {
            Some(Kind::File)
        } else {
            None
        }
    }
}

/// Where a group's things are. Its directories exist.
#[derive(Debug, Clone)]
pub struct Home {
    name: String,
    state: PathBuf,
}

impl Home {
    /// # Errors
    /// When the name could be a path, or the directories cannot be made.
    pub fn open(state: &Path, name: &str) -> io::Result<Home> {
        if !is_name(name) {
            let message = format!("'{name}' cannot name a deployment group");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let home = Home { name: name.to_owned(), state: state.to_owned() };
        // Hooks run as other users, who have to get at their own scripts.
        std::fs::DirBuilder::new().recursive(true).mode(0o755).create(home.releases())?;
        crate::state::private_dir(&home.dir())?;
        sync_parent(&home.dir())?;
        Ok(home)
    }

    /// For looking only: nothing is made.
    #[must_use]
    pub fn at(state: &Path, name: &str) -> Home {
        Home { name: name.to_owned(), state: state.to_owned() }
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    #[must_use]
    pub fn state(&self) -> &Path {
        &self.state
    }

    #[must_use]
    pub fn releases(&self) -> PathBuf {
        self.state.join("releases").join(&self.name)
    }

    #[must_use]
    pub fn release(&self, digest: &Digest) -> PathBuf {
        self.releases().join(digest.as_str())
    }

    #[must_use]
    pub fn undo_path(&self) -> PathBuf {
        self.dir().join("undo.json")
    }

    fn dir(&self) -> PathBuf {
        self.state.join("groups").join(&self.name)
    }

    /// # Errors
    /// When the file is there and unreadable.
    pub fn standing(&self) -> io::Result<Standing> {
        Ok(read_json(&self.dir().join("group.json"))?.unwrap_or_default())
    }

    /// # Errors
    /// When it may not be on disk.
    pub fn set_standing(&self, standing: &Standing) -> io::Result<()> {
        write_json(&self.dir().join("group.json"), standing)
    }

    /// # Errors
    /// When the file is there and unreadable.
    pub fn manifest(&self) -> io::Result<Option<Manifest>> {
        read_json(&self.dir().join("manifest.json"))
    }

    /// # Errors
    /// When it may not be on disk.
    pub fn set_manifest(&self, manifest: &Manifest) -> io::Result<()> {
        write_json(&self.dir().join("manifest.json"), manifest)
    }

    /// The manifest, unless an installation is half-way.
    ///
    /// # Errors
    /// When a file is there and unreadable.
    pub fn whole_manifest(&self) -> io::Result<Option<Manifest>> {
        let manifest = self.manifest()?;
        // Once the manifest is of it, an installation is whole, whatever is left to clean up.
        let undo = read_json::<Undo>(&self.undo_path())?;
        Ok(manifest.filter(|m| undo.is_none_or(|undo| undo.install == m.install)))
    }

    /// What was noted about the files of an installation; None by an agent that noted nothing.
    ///
    /// # Errors
    /// When the file is there and unreadable.
    pub fn marks(&self, install: &str) -> io::Result<Option<Marks>> {
        read_json(&self.marks_path(install))
    }

    /// # Errors
    /// When they may not be on disk.
    pub fn set_marks(&self, install: &str, marks: &Marks) -> io::Result<()> {
        write_atomic(&self.marks_path(install), &serde_json::to_vec(marks)?)
    }

    /// Removes the marks of all other installations.
    ///
    /// # Errors
    /// When one cannot be removed; it can be tried again.
    pub fn forget_marks_but(&self, install: &str) -> io::Result<()> {
        let own = self.marks_path(install);
        for entry in std::fs::read_dir(self.dir())? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with("marks-") && path != own {
                remove_if_there(&path)?;
            }
        }
        Ok(())
    }

    fn marks_path(&self, install: &str) -> PathBuf {
        self.dir().join(format!("marks-{install}.json"))
    }

    /// The manifests of all other groups on this host, by group name.
    ///
    /// # Errors
    /// When one of them cannot be read: whose files are whose would be a guess.
    pub fn others(&self) -> io::Result<BTreeMap<String, Manifest>> {
        let mut others = BTreeMap::new();
        for name in names(&self.state)? {
            if name != self.name {
                let other = Home { name: name.clone(), state: self.state.clone() };
                others.extend(other.manifest()?.map(|manifest| (name, manifest)));
            }
        }
        Ok(others)
    }
}

fn names(state: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(state.join("groups")) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if is_name(&name) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// What each group has on this host. A group whose installation is half-way has nothing.
#[must_use]
pub fn installed(state: &Path) -> Vec<Installed> {
    let names = names(state).unwrap_or_else(|e| {
        tracing::error!("cannot read what is installed: {e}");
        Vec::new()
    });
    let of = |group: String| {
        let home = Home { name: group.clone(), state: state.to_owned() };
        // Only the head of the manifest is wanted here, but it is read a few times a minute at
        // most.
        let stand = match home.whole_manifest() {
            Ok(manifest) => manifest.map(|m| m.stand),
            Err(e) => {
                tracing::error!("cannot read what is installed of {group}: {e}");
                None
            }
        };
        let (digest, deployment) = stand.map(|s| (s.digest, s.deployment)).unzip();
        Installed { group, digest, deployment }
    };
    names.into_iter().map(of).collect()
}
