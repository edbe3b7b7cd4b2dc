//! Content kept on this disk by its digest, so that the same bytes are not fetched twice.
//!
//! Nothing in here is trusted: an entry is hashed again each time it is used, so a file that was
//! damaged, or half written when the machine died, is found and thrown away.

use pipelines::ids::Digest;
use pipelines::protocol::task::Artifact;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A directory of files named by digest; the least recently used go first.
#[derive(Debug)]
pub struct Cache {
    dir: PathBuf,
    bytes_max: u64,
}

/// SHA-256 and size of a file.
///
/// # Errors
/// When it cannot be read.
pub fn measure(path: &Path) -> io::Result<Artifact> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut size = 0;
    let mut buffer = vec![0; 128 * 1024];
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            return Ok(Artifact { digest: digest_of(hash), size });
        }
        hash.update(&buffer[..n]);
        size += n as u64;
    }
}

/// The digest of everything a hasher was fed.
#[must_use]
pub fn digest_of(hash: Sha256) -> Digest {
    hex::encode(hash.finalize()).parse().expect("SHA-256 has 64 hexadecimal digits")
}

impl Cache {
    /// Opens the directory and removes what an earlier life left half done in it.
    ///
    /// # Errors
    /// When the directory cannot be made or read.
    pub fn open(dir: &Path, bytes_max: u64) -> io::Result<Cache> {
        std::fs::create_dir_all(dir)?;
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().parse::<Digest>().is_err() {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(Cache { dir: dir.to_owned(), bytes_max })
    }

    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Gives `dest` the content if it is here and intact. Blocks while hashing.
    ///
    /// # Errors
    /// When `dest` cannot be written.
    pub fn get(&self, artifact: &Artifact, dest: &Path) -> io::Result<bool> {
        let kept = self.dir.join(artifact.digest.as_str());
        match measure(&kept) {
            Ok(found) if found == *artifact => {}
            Ok(_) => {
                std::fs::remove_file(&kept)?;
                return Ok(false);
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(e),
        }
        // Only the order of use depends on this; a file system without it is no reason to fail.
        let _ = File::open(&kept).and_then(|f| f.set_modified(SystemTime::now()));
        place(&kept, dest)?;
        Ok(true)
    }

    /// Takes a verified file (same file system) into the cache and gives `dest` its content. What
    /// would not be kept anyway is not copied.
    ///
    /// # Errors
    /// When renaming or writing fails.
    pub fn take(&self, file: &Path, artifact: &Artifact, dest: &Path) -> io::Result<()> {
        if artifact.size > self.bytes_max {
            return std::fs::rename(file, dest);
        }
        let kept = self.dir.join(artifact.digest.as_str());
        std::fs::rename(file, &kept)?;
        place(&kept, dest)?;
        self.evict()
    }

    /// Keeps a copy of a file whose digest is known.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub fn keep(&self, file: &Path, artifact: &Artifact) -> io::Result<()> {
        let part = tempfile::Builder::new().prefix(".part-").tempfile_in(&self.dir)?;
        std::fs::copy(file, part.path())?;
        part.persist(self.dir.join(artifact.digest.as_str()))?;
        self.evict()
    }

    /// Removes least recently used files until the rest fits.
    fn evict(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.dir)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().parse::<Digest>().is_ok() {
                let meta = entry.metadata()?;
                files.push((meta.modified()?, meta.len(), entry.path()));
            }
        }
        files.sort();
        let mut total: u64 = files.iter().map(|f| f.1).sum();
        for (_, size, path) in files {
            if total <= self.bytes_max {
                break;
            }
            std::fs::remove_file(path)?;
            total -= size;
        }
        Ok(())
    }
}

/// A copy, not a link: whoever gets `dest` may change it, and the kept file must stay as it is.
/// On file systems that can, the kernel shares the blocks.
fn place(kept: &Path, dest: &Path) -> io::Result<()> {
    std::fs::copy(kept, dest).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixture {
        _dir: tempfile::TempDir,
        cache: Cache,
        root: PathBuf,
    }

    fn fixture(bytes_max: u64) -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_owned();
        let cache = Cache::open(&root.join("cache"), bytes_max).unwrap();
        Fixture { _dir: dir, cache, root }
    }

    fn put(f: &Fixture, bytes: &[u8]) -> Artifact {
        let part = f.cache.dir().join(".part");
        std::fs::write(&part, bytes).unwrap();
        let artifact = measure(&part).unwrap();
        f.cache.take(&part, &artifact, &f.root.join("first")).unwrap();
        artifact
    }

    #[test]
    fn content_is_found_again_and_damaged_content_is_not() {
        let f = fixture(1000);
        let artifact = put(&f, b"bundle");
        let dest = f.root.join("dest");
        assert!(f.cache.get(&artifact, &dest).unwrap());
        assert_eq!(std::fs::read(&dest).unwrap(), b"bundle");

        std::fs::write(&dest, b"the reader may change its copy").unwrap();
        assert!(f.cache.get(&artifact, &dest).unwrap());

        std::fs::write(f.cache.dir().join(artifact.digest.as_str()), b"bundlX").unwrap();
        assert!(!f.cache.get(&artifact, &dest).unwrap());
        assert!(!f.cache.dir().join(artifact.digest.as_str()).exists());
    }

    #[test]
    fn the_least_recently_used_content_goes_first() {
        let f = fixture(10);
        let old = put(&f, b"aaaa");
        let used = put(&f, b"bbbb");
        for (artifact, age) in [(&old, 20), (&used, 30)] {
            let file = File::open(f.cache.dir().join(artifact.digest.as_str())).unwrap();
            let when = SystemTime::now() - std::time::Duration::from_secs(age);
            file.set_modified(when).unwrap();
        }
        assert!(f.cache.get(&used, &f.root.join("dest")).unwrap());
        let new = put(&f, b"cccc");
        let here = |a: &Artifact| f.cache.dir().join(a.digest.as_str()).exists();
        assert_eq!((here(&old), here(&used), here(&new)), (false, true, true));
    }

    #[test]
    fn content_larger_than_the_cache_goes_to_its_destination_alone() {
        let f = fixture(3);
        put(&f, b"bundle");
        assert_eq!(std::fs::read(f.root.join("first")).unwrap(), b"bundle");
        assert_eq!(std::fs::read_dir(f.cache.dir()).unwrap().count(), 0);
    }

    #[test]
    fn what_an_earlier_life_left_half_fetched_is_removed() {
        let f = fixture(10);
        std::fs::write(f.cache.dir().join(".part-1"), b"half").unwrap();
        Cache::open(f.cache.dir(), 10).unwrap();
        assert_eq!(std::fs::read_dir(f.cache.dir()).unwrap().count(), 0);
    }
}
