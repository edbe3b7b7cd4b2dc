//! A group file of the user's, for verbs that work with one before it is applied.

use crate::exit::{Failure, Result};
use pipelines::spec::group::{self, Group};
use std::path::Path;

/// # Errors
/// When it cannot be read or has an error; the first one is said.
pub fn read(path: &Path) -> Result<Group> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|e| {
        Failure::usage(format!("cannot read {shown}: {e}"), "name a group file: --group group.yml")
    })?;
    let parsed = group::parse(&text);
    parsed.value.ok_or_else(|| {
        let first = parsed.problems.iter().find(|problem| problem.is_error());
        let first = first.map(ToString::to_string).unwrap_or_default();
        Failure::usage(format!("{shown}:{first}"), format!("`pipectl lint {shown}` says all of it"))
    })
}
