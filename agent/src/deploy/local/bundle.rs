//! A bundle on this disk as an archive: a directory is packed, always to the same bytes.

use super::BundleKind;
use crate::archive::Format;
use crate::deploy::release::sniff;
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// Puts the bundle as one file into `room`.
pub fn archive(bundle: &Path, kind: Option<BundleKind>, room: &Path) -> Result<PathBuf> {
    let archive = room.join(".part-bundle");
    let shown = bundle.display();
    let is_directory = bundle.is_dir();
    if let Some(kind) = kind
        && is_directory != (kind == BundleKind::Directory)
    {
        let what = if is_directory { "a directory" } else { "a file" };
        bail!("{shown} is {what}, which --type does not say");
    }
    if is_directory {
        pack(bundle, &archive).with_context(|| format!("packing {shown}"))?;
        return Ok(archive);
    }
    let found = sniff(bundle).with_context(|| format!("reading {shown}"))?;
    let wanted = match kind {
        Some(BundleKind::Zip) => Some(Format::Zip),
        Some(BundleKind::Tar) => Some(Format::Tar),
        Some(BundleKind::Tgz) => Some(Format::TarGz),
        Some(BundleKind::Directory) | None => found,
    };
    if found != wanted {
        bail!("{shown} is not what --type says");
    }
    std::fs::copy(bundle, &archive).with_context(|| format!("reading {shown}"))?;
    Ok(archive)
}

/// Times and owners are left out, so that the same files are the same revision.
fn pack(directory: &Path, archive: &Path) -> Result<()> {
    let mut tar = tar::Builder::new(zstd::Encoder::new(File::create(archive)?, 1)?);
    for entry in WalkDir::new(directory).min_depth(1).sort_by_file_name() {
        let entry = entry?;
        let name = entry.path().strip_prefix(directory)?;
        let meta = entry.path().symlink_metadata()?;
        let mut header = tar::Header::new_gnu();
        header.set_mode(meta.permissions().mode() & 0o777);
        header.set_size(0);
        if meta.is_symlink() {
            header.set_entry_type(tar::EntryType::Symlink);
            tar.append_link(&mut header, name, std::fs::read_link(entry.path())?)?;
        } else if meta.is_dir() {
            header.set_entry_type(tar::EntryType::Directory);
            tar.append_data(&mut header, name, std::io::empty())?;
        } else if meta.is_file() {
            header.set_size(meta.len());
            tar.append_data(&mut header, name, File::open(entry.path())?)?;
        } else {
            bail!("{} is neither a file, a directory nor a link", name.display());
        }
    }
    tar.into_inner()?.finish()?.sync_all()?;
    Ok(())
}
