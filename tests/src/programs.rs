//! The programs under test, as cargo built them.

use std::path::PathBuf;

/// The path of a program of this workspace.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn path(name: &str) -> PathBuf {
    let mut directory = std::env::current_exe().expect("a running test has a path");
    while directory.pop() {
        let program = directory.join(name);
        if program.is_file() {
            return program;
        }
    }
    panic!("{name} is not built: run 'cargo build --workspace' first ('make test' does)");
}
