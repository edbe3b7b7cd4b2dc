//! What a build leaves behind: which files make up an artifact, and the archive made of them.
//! Runs on the host, after the container has ended, on a workspace that hostile code has written.

mod hints;
mod pack;
mod select;

pub use pack::pack;
pub use select::{Entry, Kind, NothingThere, Selected, select};

/// Which files make up one artifact; the names are the buildspec's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileSet {
    pub files: Vec<String>,
    /// Already expanded by the build's shell.
    pub base_directory: Option<String>,
    pub discard_paths: bool,
    pub exclude_paths: Vec<String>,
    pub enable_symlinks: bool,
}
