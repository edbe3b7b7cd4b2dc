//! The archive of an artifact. The same files give the same bytes: sorted, without owners or times,
//! so that an artifact that did not change has the digest it had.

use super::select::{Kind, Selected};
use crate::build::beneath::Tree;
use std::fs::File;
use std::io::{self, BufWriter, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use tar::{Builder, EntryType, Header};

/// 1980-01-01, the first day that zip can write; no program thinks it a mistake, unlike 1970.
const MTIME: u64 = 315_532_800;
/// Fast enough to keep up with a disk.
const ZSTD_LEVEL: i32 = 3;

/// Writes a `.tar.zst` of the selected files.
pub fn pack(selected: &Selected, to: &Path) -> io::Result<()> {
    let encoder = zstd::Encoder::new(BufWriter::new(File::create(to)?), ZSTD_LEVEL)?;
    let mut builder = Builder::new(encoder);
    for (name, entry) in &selected.entries {
        let mut header = Header::new_gnu();
        header.set_mtime(MTIME);
        header.set_uid(0);
        header.set_gid(0);
        let told = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", name.display()));
        match &entry.kind {
            Kind::File => {
                let file = Tree::open(&entry.path).map_err(told)?;
                let meta = file.metadata().map_err(told)?;
                // Without setuid and its kind.
                header.set_mode(meta.permissions().mode() & 0o777);
                header.set_size(meta.len());
                header.set_entry_type(EntryType::Regular);
                let mut exactly = file.take(meta.len());
                builder.append_data(&mut header, name, &mut exactly).map_err(told)?;
                if exactly.limit() > 0 {
                    return Err(told(io::ErrorKind::UnexpectedEof.into()));
                }
            }
            Kind::Link(target) => {
                header.set_mode(0o777);
                header.set_size(0);
                header.set_entry_type(EntryType::Symlink);
                builder.append_link(&mut header, name, target).map_err(told)?;
            }
        }
    }
    builder.into_inner()?.finish()?.flush()
}
