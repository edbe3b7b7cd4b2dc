//! Which paths a permission is about: entries that hit nothing, and entries that hit the same.
//!
//! Without the bundle not everything can be known. What is reported here is sure, or sure as soon
//! as there is anything at all below a path.

use crate::spec::appspec::paths::{COMPARED_MAX, fits, is_file, modest};
use crate::spec::appspec::{FileMapping, Permission, PermissionType};
use crate::spec::codes;
use crate::spec::decode::Report;
use crate::spec::yaml::Mark;

/// A permission with its place.
pub(super) type Placed = (Mark, Permission);

/// Only what a deployment copies gets permissions; for all else CodeDeploy says nothing.
pub(super) fn check_covered(report: &mut Report, permissions: &[Placed], files: &[FileMapping]) {
    // What is wrong about such paths has been said.
    let strange = |path: &str| !path.starts_with('/') || path.contains(['*', '$']);
    if files.len() > COMPARED_MAX || files.iter().any(|file| strange(&file.destination)) {
        return;
    }
    let Some(places) = files.iter().map(lands).collect::<Option<Vec<_>>>() else { return };
    for (at, permission) in permissions.iter().take(COMPARED_MAX) {
        let Some(object) = modest(&permission.object) else { continue };
        let covered = places.iter().any(|(place, file)| {
            place.starts_with(&object) || (!file && object.starts_with(place))
        });
        if covered || strange(&permission.object) {
            continue;
        }
        let message = format!("`files` copies nothing to '{}'", permission.object);
        let help = "only what this deployment copies gets permissions; set others in a script";
        report.warn(*at, codes::IGNORED_KEY, message, help);
    }
}

/// Where a mapping puts something, and whether that is one file.
fn lands(file: &FileMapping) -> Option<(Vec<&str>, bool)> {
    let (source, mut place) = (modest(&file.source)?, modest(&file.destination)?);
    let one = is_file(&file.source);
    place.extend(source.last().filter(|_| one));
    Some((place, one))
}

/// Two entries that hit one path fail the deployment; the last one does not win.
pub(super) fn check_overlaps(report: &mut Report, permissions: &[Placed]) {
    for (index, (at, two)) in permissions.iter().take(COMPARED_MAX).enumerate() {
        let hits = permissions[..index].iter().find_map(|(first, one)| {
            let hit = overlap(one, two).or_else(|| overlap(two, one))?;
            Some((first.line, hit))
        });
        match hits {
            Some((line, Hit::Twin)) => {
                let message = format!(
                    "'{}' has two entries for the same, lines {line} and {}; the deployment fails",
                    two.object, at.line
                );
                let help = "merge them, or let them differ in `pattern` or `type`";
                report.error(*at, codes::DUPLICATE_PERMISSION, message, help);
            }
            Some((line, Hit::Both)) => {
                let message = format!(
                    "what this entry is about has one in line {line} already; the deployment fails"
                );
                let help = "no path may have two: keep them apart by `pattern`, `except` or `type`";
                report.warn(*at, codes::DUPLICATE_PERMISSION, message, help);
            }
            None => {}
        }
    }
}

enum Hit {
    /// The two say they are about the same.
    Twin,
    /// The wider one has everything the other one can be about.
    Both,
}

fn overlap(wide: &Permission, narrow: &Permission) -> Option<Hit> {
    let common = |kind| wide.types.contains(&kind) && narrow.types.contains(&kind);
    let file = common(PermissionType::File);
    if !file && !common(PermissionType::Directory) {
        return None;
    }
    let (outer, inner) = (modest(&wide.object)?, modest(&narrow.object)?);
    let below = inner.strip_prefix(outer.as_slice())?;
    let everything = wide.pattern == "**";
    if below.is_empty() {
        if wide.pattern == narrow.pattern && wide.except == narrow.except {
            return Some(Hit::Twin);
        }
        let names = [&wide.pattern, &narrow.pattern];
        let taken_out = |except: &Permission| {
            names.iter().any(|name| except.except.iter().any(|out| fits(name, out)))
        };
        let within = everything || (narrow.pattern != "**" && fits(&narrow.pattern, &wide.pattern));
        let apart =
            !(everything && narrow.pattern == "**") && (taken_out(wide) || taken_out(narrow));
        return (within && !apart).then_some(Hit::Both);
    }
    // A directory of its own may well hold no other directories, and `except` may name it.
    let named = below.len() == 1 && wide.except.iter().any(|out| fits(below[0], out));
    (everything && file && !named).then_some(Hit::Both)
}
