//! The programs that hosts install: found beside the controller's own, one per architecture, and known
//! by their digest.

use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

const NAMES: [&str; 2] = ["pipeyard-agent", "pipectl"];
/// As `uname -m` calls them.
const ARCHITECTURES: [&str; 2] = ["x86_64", "aarch64"];

/// Something that may be asked for. There are no others, so no name leads anywhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    name: &'static str,
    architecture: &'static str,
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-linux-{}", self.name, self.architecture)
    }
}

impl Program {
    fn all() -> impl Iterator<Item = Program> {
        NAMES.into_iter().flat_map(|name| {
            ARCHITECTURES.into_iter().map(move |architecture| Program { name, architecture })
        })
    }

    /// By the last part of its address: `pipeyard-agent-linux-x86_64`.
    pub fn called(text: &str) -> Option<Program> {
        Program::all().find(|program| program.to_string() == text)
    }

    /// The names of files it may be in; the short one is of a program for this very machine.
    fn files(self) -> impl Iterator<Item = String> {
        let own = self.architecture == std::env::consts::ARCH;
        std::iter::once(self.to_string()).chain(own.then(|| self.name.to_owned()))
    }
}

/// An open program. What is read from it is what the digest was made of, unless somebody writes into the
/// file; who installs it checks.
pub struct Found {
    pub file: File,
    pub size: u64,
    /// In hexadecimal.
    pub sha256: String,
}

/// A file is the same as long as all of these are.
type Stamp = (u64, u64, u64, i64, i64);

/// Where the programs are, and the digests of those that were asked for.
#[derive(Clone)]
pub struct Programs {
    directories: Arc<[PathBuf]>,
    digests: Arc<Mutex<BTreeMap<PathBuf, (Stamp, String)>>>,
}

impl Programs {
    /// Looks in these directories, the first first.
    #[must_use]
    pub fn new(directories: Vec<PathBuf>) -> Programs {
        Programs { directories: directories.into(), digests: Arc::default() }
    }

    /// None: there is no such file. Blocks, and reads the whole file the first time.
    pub fn open(&self, program: Program) -> io::Result<Option<Found>> {
        for directory in self.directories.iter() {
            for name in program.files() {
                let path = directory.join(name);
                let mut file = match File::open(&path) {
                    Ok(file) => file,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(named(&path, &error)),
                };
                let meta = file.metadata()?;
                if meta.is_file() {
                    let sha256 = self.digest(&path, &mut file).map_err(|e| named(&path, &e))?;
                    return Ok(Some(Found { file, size: meta.size(), sha256 }));
                }
            }
        }
        Ok(None)
    }

    /// Digest and name of everything there is. Blocks.
    pub fn sums(&self) -> io::Result<Vec<(String, Program)>> {
        let found = Program::all().map(|program| {
            let found = self.open(program)?;
            Ok(found.map(|found| (found.sha256, program)))
        });
        found.filter_map(io::Result::transpose).collect()
    }

    fn digest(&self, path: &Path, file: &mut File) -> io::Result<String> {
        // Held while reading: many hosts that join at once cost one look.
        let mut digests = self.digests.lock().unwrap_or_else(PoisonError::into_inner);
        let meta = file.metadata()?;
        let stamp = (meta.dev(), meta.ino(), meta.size(), meta.ctime(), meta.ctime_nsec());
        if let Some((seen, sha256)) = digests.get(path)
            && *seen == stamp
        {
            return Ok(sha256.clone());
        }
        let mut hash = Sha256::new();
        let mut piece = vec![0; super::PIECE];
        loop {
            match file.read(&mut piece)? {
                0 => break,
                count => hash.update(&piece[..count]),
            }
        }
        io::Seek::rewind(file)?;
        let sha256 = hex::encode(hash.finalize());
        digests.insert(path.to_owned(), (stamp, sha256.clone()));
        Ok(sha256)
    }
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(name: &str) -> String {
        format!("{name}-linux-{}", std::env::consts::ARCH)
    }

    #[test]
    fn only_the_names_of_programs_are_names() {
        assert!(Program::called("pipectl-linux-aarch64").is_some());
        for other in ["", "pipectl", "../pipectl-linux-x86_64", "pipectl-linux-x86_64/", "ca.key"] {
            assert_eq!(Program::called(other), None, "{other}");
        }
    }

    #[test]
    fn the_first_directory_wins_and_a_new_file_has_a_new_digest() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let programs = Programs::new(vec![first.path().to_owned(), second.path().to_owned()]);
        let agent = Program::called(&own("pipeyard-agent")).unwrap();
        assert!(programs.open(agent).unwrap().is_none());
        std::fs::write(second.path().join("pipeyard-agent"), "abc").unwrap();
        std::fs::create_dir(first.path().join("pipeyard-agent")).unwrap();
        let mut found = programs.open(agent).unwrap().unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!((found.size, found.sha256.as_str()), (3, abc));
        let mut text = String::new();
        found.file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "abc", "it is read from its beginning");
        std::fs::write(first.path().join(own("pipeyard-agent")), "abcd").unwrap();
        assert_eq!(programs.open(agent).unwrap().unwrap().size, 4);
        std::fs::write(first.path().join(own("pipeyard-agent")), "dcba").unwrap();
        let sums = programs.sums().unwrap();
        assert_eq!(sums.len(), 1);
        assert_eq!(sums[0].0, hex::encode(Sha256::digest("dcba")), "not the one remembered");
    }
}
