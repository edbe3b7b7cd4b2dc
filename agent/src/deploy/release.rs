//! Release directories: a bundle unpacked once, named by its digest, kept while it may be wanted.

use super::engine::blocking;
use super::fault::{Fault, Stop};
use super::group::{Home, Standing};
use super::inventory::{self, Found};
use crate::archive::{ArchiveError, Format, Modes, Rules, unpack};
use crate::context::{ContentError, TaskContext};
use crate::durable::{remove_if_there, remove_tree, sync_dir, sync_files};
use pipelines::deploy::retention::{self, Keep};
use pipelines::ids::Digest;
use pipelines::protocol::report::ErrorCode;
use pipelines::protocol::task::Artifact;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Both names of an appspec, in the order people use them.
pub const APPSPECS: [&str; 2] = ["appspec.yml", "appspec.yaml"];

/// Makes sure the bundle is unpacked on this host, and says how that went.
pub async fn provide(ctx: &TaskContext, home: &Home, bundle: &Artifact) -> Result<String, Stop> {
    let release = home.release(&bundle.digest);
    let short = bundle.digest.short().to_owned();
    match kept(&release).await? {
        Kept::Not => {}
        Kept::Whole(text) => return Ok(format!("revision {short} is on this host already{text}")),
        Kept::Damaged(why) => {
            let text = format!("[DownloadBundle] the kept revision {short} is not used: {why}");
            ctx.log.say(&text).await;
        }
    }
    let file = ctx.dirs.work.join("bundle");
    fetch(ctx, bundle, &file).await?;
    let (home, size) = (home.clone(), bundle.size);
    let unpacked = tokio::task::spawn_blocking(move || {
        let result = put_in_place(&file, &home.releases(), &release);
        // The bundle served its purpose, or is bad; either way one copy on disk is enough.
        let _ = std::fs::remove_file(&file);
        result
    });
    let files = unpacked
        .await
        .map_err(|e| Fault::new(ErrorCode::AgentError, format!("unpacking failed: {e}")))??;
    Ok(format!("revision {short}: {size} bytes, {files} files"))
}

/// Has the bundle as a file.
pub async fn fetch(ctx: &TaskContext, bundle: &Artifact, file: &Path) -> Result<(), Stop> {
    ctx.content.fetch(bundle, file).await.map_err(|e| match e {
        ContentError::Cancelled => Stop::Told,
        e => {
            let error = e.into_task_error("DownloadBundle");
            Fault::new(error.code, error.message).into()
        }
    })
}

/// Looks at a release that an earlier task of the same deployment provided; touches nothing, because
/// scripts may have put something there for others. `whole`: every file is compared.
pub fn look(release: &Path, whole: bool) -> Result<(), String> {
    if release.symlink_metadata().is_err() {
        return Err("it is not on this host".to_owned());
    }
    match inventory::look(release, whole) {
        Ok(Found::Whole { .. }) => Ok(()),
        Ok(Found::Damaged(why)) => Err(why),
        Err(e) => Err(format!("it cannot be read: {e}")),
    }
}

enum Kept {
    Not,
    Whole(String),
    Damaged(String),
}

async fn kept(release: &Path) -> Result<Kept, Fault> {
    if release.symlink_metadata().is_err() {
        return Ok(Kept::Not);
    }
    let release = release.to_owned();
    let verified = blocking(move || inventory::verify(&release)).await?;
    Ok(match verified.map_err(|e| Fault::disk("looking at the kept bundle", &e))? {
        Found::Whole { removed: 0 } => Kept::Whole(String::new()),
        Found::Whole { removed } => {
            Kept::Whole(format!("; what was left in it was removed: {removed}"))
        }
        Found::Damaged(why) => Kept::Damaged(why),
    })
}

/// Unpacks an archive to `release`, in place of what is there. Blocks.
///
/// # Errors
/// When the archive is refused or the disk fails; no half release is left behind.
pub fn put_in_place(file: &Path, releases: &Path, release: &Path) -> Result<u64, Fault> {
    let disk = |e: io::Error| Fault::disk("keeping the bundle", &e);
    let name = release.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let fresh = releases.join(format!(".{name}.new"));
    remove_tree(&fresh).map_err(disk)?;
    let format = sniff(file).map_err(disk)?.ok_or_else(|| {
        Fault::new(
            ErrorCode::BundleInvalid,
            "the bundle is no archive: make it a .tar.zst, .tar.gz, .tar or .zip",
        )
    })?;
    // Root runs scripts from here, now and at a later deployment: nobody else may change them.
    let rules = Rules { modes: Modes::Sheltered, ..Rules::default() };
    let unpacked = unpack(file, format, &fresh, &rules).map_err(|e| refusal(&e))?;
    let inner = inner_directory(&fresh).map_err(disk)?;
    let top = inner.as_deref().unwrap_or(&fresh);
    let files: Vec<PathBuf> = walkdir::WalkDir::new(top)
        .into_iter()
        .map(|entry| Ok(entry?.into_path()))
        .collect::<io::Result<_>>()
        .map_err(disk)?;
    sync_files(files.iter().map(PathBuf::as_path)).map_err(disk)?;
    inventory::take(top, release).map_err(disk)?;
    if release.symlink_metadata().is_ok() {
        let bad = releases.join(format!(".{name}.bad"));
        remove(&bad).map_err(disk)?;
        std::fs::rename(release, &bad).map_err(disk)?;
        std::fs::rename(top, release).map_err(disk)?;
        remove(&bad).map_err(disk)?;
    } else {
        std::fs::rename(top, release).map_err(disk)?;
    }
    sync_dir(releases).map_err(disk)?;
    remove_tree(&fresh).map_err(disk)?;
    Ok(unpacked.files)
}

/// Removes whatever it is.
fn remove(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Ok(meta) if meta.is_dir() => remove_tree(path),
        Ok(_) => remove_if_there(path),
        Err(_) => Ok(()),
    }
}

fn refusal(error: &ArchiveError) -> Fault {
    let code = if error.is_disk_full() { ErrorCode::OutOfDisk } else { ErrorCode::BundleInvalid };
    Fault::new(code, error.to_string())
}

/// What the content says it is; names and labels are not asked.
pub fn sniff(file: &Path) -> io::Result<Option<Format>> {
    let mut head = Vec::new();
    File::open(file)?.take(512).read_to_end(&mut head)?;
    Ok(match head.as_slice() {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Format::TarZst),
        [0x1f, 0x8b, ..] => Some(Format::TarGz),
        [b'P', b'K', 3 | 5, 4 | 6, ..] => Some(Format::Zip),
        head if head.get(257..262) == Some(b"ustar") => Some(Format::Tar),
        _ => None,
    })
}

/// The single directory at the top that holds the appspec, as archives of repositories have it.
fn inner_directory(top: &Path) -> io::Result<Option<PathBuf>> {
    let entries: Vec<_> = std::fs::read_dir(top)?.collect::<io::Result<_>>()?;
    let [only] = entries.as_slice() else { return Ok(None) };
    let holds = only.file_type()?.is_dir()
        && APPSPECS.iter().any(|name| only.path().join(name).symlink_metadata().is_ok());
    Ok(holds.then(|| only.path()))
}

/// Removes the releases nobody may want again. Never fails a deployment; says what it removed.
/// Whatever the limits, the last good one and the wanted ones stay.
pub fn prune(home: &Home, standing: &Standing, keep: Keep, wanted: &[Digest]) -> Vec<String> {
    let good = standing.good.iter().map(|stand| &stand.digest);
    let fixed: Vec<Digest> = wanted.iter().chain(good).cloned().collect();
    let size = |digest: &Digest| bytes_of(&home.release(digest));
    let kept = retention::kept(&standing.history, &fixed, keep, size);
    let kept: Vec<&str> = kept.iter().map(Digest::as_str).collect();
    let mut removed = Vec::new();
    let Ok(entries) = std::fs::read_dir(home.releases()) else { return removed };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let inventory_of = inventory::release_of(&name);
        if kept.contains(&inventory_of.unwrap_or(&name)) {
            continue;
        }
        match remove(&entry.path()) {
            // It goes with its release, which is what people know.
            Ok(()) if inventory_of.is_some() => {}
            Ok(()) => removed.push(name),
            Err(e) => tracing::warn!("cannot remove release {name} of {}: {e}", home.name()),
        }
    }
    removed
}

/// What its files hold, those that scripts left in it included.
fn bytes_of(release: &Path) -> u64 {
    let files = walkdir::WalkDir::new(release).into_iter().filter_map(Result::ok);
    let metas = files.filter_map(|entry| entry.metadata().ok());
    metas.filter(std::fs::Metadata::is_file).map(|meta| meta.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::super::group::Stand;
    use super::*;
    use pipelines::ids::DeploymentId;

    fn digest(n: u8) -> Digest {
        format!("{n:02x}").repeat(32).parse().unwrap()
    }

    #[test]
    fn pruning_keeps_recent_successes_the_last_good_one_and_what_is_wanted() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path(), "web").unwrap();
        for n in 1..=8 {
            let release = home.release(&digest(n));
            std::fs::create_dir(&release).unwrap();
            inventory::take(&release, &release).unwrap();
        }
        std::fs::create_dir(home.releases().join(".half.new")).unwrap();
        let good = Stand { digest: digest(1), deployment: DeploymentId(1) };
        let history = [2, 3, 4, 5].map(digest).to_vec();
        let standing = Standing { good: Some(good), history, ..Standing::default() };
        let mut removed = prune(&home, &standing, Keep { number: 2, bytes: None }, &[digest(7)]);
        removed.sort();
        let mut expected = vec![".half.new".to_owned()];
        expected.extend([2, 3, 6, 8].map(|n| digest(n).to_string()));
        assert_eq!(removed, expected);
        for n in 1..=8 {
            let release = home.release(&digest(n));
            assert_eq!(inventory::path_of(&release).exists(), release.exists(), "{n}");
        }
    }

    #[test]
    fn pruning_by_bytes_drops_the_oldest_first_and_never_what_is_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path(), "web").unwrap();
        for n in 1..=6 {
            std::fs::create_dir(home.release(&digest(n))).unwrap();
            std::fs::write(home.release(&digest(n)).join("file"), [0; 100]).unwrap();
        }
        let good = Stand { digest: digest(6), deployment: DeploymentId(1) };
        let history = [1, 2, 3, 4, 5, 6].map(digest).to_vec();
        let standing = Standing { good: Some(good), history, ..Standing::default() };
        let there = || [1, 2, 3, 4, 5, 6].map(|n| home.release(&digest(n)).exists());
        let keep = |bytes| Keep { number: 5, bytes: Some(bytes) };
        // The oldest is pinned; two more fit besides the two that must stay.
        prune(&home, &standing, keep(450), &[digest(1)]);
        assert_eq!(there(), [true, false, false, true, true, true]);
        prune(&home, &standing, keep(0), &[digest(1)]);
        assert_eq!(there(), [true, false, false, false, false, true]);
    }
}
