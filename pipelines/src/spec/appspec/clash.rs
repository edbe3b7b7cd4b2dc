//! Entries of `files` that would put something at one place. CodeDeploy refuses them while it plans;
//! here they are found without the bundle, as far as the text alone says so.

use crate::spec::appspec::FileMapping;
use crate::spec::appspec::paths::{COMPARED_MAX, is_file, modest};
use crate::spec::codes;
use crate::spec::decode::Report;
use crate::spec::yaml::Mark;

struct Copying<'f> {
    file: &'f FileMapping,
    source: Vec<&'f str>,
    to: Vec<&'f str>,
    /// Whether the source can only be a file.
    one: bool,
}

pub(super) fn check(report: &mut Report, files: &[(Mark, FileMapping)]) {
    let mut before: Vec<Copying<'_>> = Vec::new();
    for (at, file) in files.iter().take(COMPARED_MAX) {
        let (Some(source), Some(to)) = (modest(&file.source), modest(&file.destination)) else {
            continue;
        };
        let copying = Copying { file, one: is_file(&file.source), source, to };
        if let Some(message) = before.iter().find_map(|other| other.clash(&copying)) {
            let help = "CodeDeploy refuses the deployment; remove one of the two";
            report.error(*at, codes::DUPLICATE_DESTINATION, message, help);
        }
        before.push(copying);
    }
}

impl Copying<'_> {
    fn clash(&self, other: &Self) -> Option<String> {
        let (source, destination) = (&other.file.source, &other.file.destination);
        if self.to == other.to && self.source == other.source {
            return Some(format!("'{source}' is copied to '{destination}' twice"));
        }
        let alike = self.one && other.one && self.source.last() == other.source.last();
        if alike && self.to == other.to {
            let first = &self.file.source;
            return Some(format!("'{first}' and '{source}' would be one file in '{destination}'"));
        }
        let (outer, inner) = if self.brings(other) {
            (self, other)
        } else if other.brings(self) {
            (other, self)
        } else {
            return None;
        };
        let (whole, part) = (&outer.file.source, &inner.file.source);
        Some(format!("'{whole}' brings '{part}' to '{}' already", inner.file.destination))
    }

    /// Whether copying this directory puts something where `part` of it goes by its own entry.
    fn brings(&self, part: &Self) -> bool {
        let rest = part.source.strip_prefix(self.source.as_slice());
        let Some(rest) = rest.filter(|rest| !rest.is_empty()) else { return false };
        let lands = part.to.strip_prefix(self.to.as_slice());
        lands == Some(rest) || (part.one && lands == rest.split_last().map(|(_, above)| above))
    }
}
