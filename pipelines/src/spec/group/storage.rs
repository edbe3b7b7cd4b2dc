//! What stays on a host from one release to the next.

use crate::spec::codes;
use crate::spec::decode::{Fields, Report};
use crate::spec::group::Bytes;
use crate::spec::yaml::Node;
use serde::{Deserialize, Serialize};

/// A path that belongs to no release: no deployment and no rollback replaces, removes or restores it
/// or what is below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
#[schemars(transform = crate::spec::schema::forms::or_text)]
pub struct SharedPath {
    /// Absolute, without `.` and `..`.
    pub path: String,
    /// What is there.
    #[serde(default)]
    pub kind: SharedKind,
}

/// What a shared path is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub enum SharedKind {
    /// Made before the first install when it is absent.
    #[default]
    Directory,
    /// Somebody else's to make.
    File,
}

/// Successful releases kept on a host besides the current one's needs: what is running, last good
/// or a rollback target is never removed, whatever the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", from = "Written")]
#[derive(schemars::JsonSchema)]
#[schemars(!from, transform = crate::spec::schema::forms::or_count)]
pub struct KeepReleases {
    /// At most so many; 5 where absent.
    #[schemars(with = "Option<u32>", range(min = 1, max = 1000))]
    pub count: u32,
    /// All kept releases together, such as 2GB; without a limit where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Bytes>,
}

impl Default for KeepReleases {
    fn default() -> Self {
        Self { count: 5, bytes: None }
    }
}

/// The short form is the number alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Count(u32),
    Both { count: u32, bytes: Option<Bytes> },
}

impl From<Written> for KeepReleases {
    fn from(written: Written) -> Self {
        match written {
            Written::Count(count) => Self { count, bytes: None },
            Written::Both { count, bytes } => Self { count, bytes },
        }
    }
}

/// `5`, or `{count: 5, bytes: 2GB}`.
pub(super) fn keep_releases(report: &mut Report, node: &Node) -> Option<KeepReleases> {
    if node.text().is_some() {
        let count = report.number(node, "keep-releases", 1..=1000)?;
        return Some(KeepReleases { count, bytes: None });
    }
    let mut fields = Fields::open(report, node, "keep-releases")?;
    let count = fields.get("count");
    let count = count.map(|node| report.number(node, "keep-releases.count", 1..=1000));
    let bytes = fields.get("bytes").map(|node| report.bytes(node, "keep-releases.bytes"));
    fields.finish(report);
    let default = KeepReleases::default();
    Some(KeepReleases {
        count: count.unwrap_or(Some(default.count))?,
        bytes: bytes.map_or(Some(None), |bytes| bytes.map(Some))?,
    })
}

/// A list of paths, or of `{path, kind}`.
pub(super) fn shared(report: &mut Report, node: &Node) -> Vec<SharedPath> {
    let mut paths: Vec<SharedPath> = Vec::new();
    for (index, item) in report.short_list(node, "shared").iter().enumerate() {
        let at = format!("shared[{index}]");
        let Some(found) = shared_path(report, item, &at) else { continue };
        if let Some(other) = paths.iter().find(|other| overlap(&other.path, &found.path)) {
            let message = format!("`{at}`: '{}' is within '{}'", found.path, other.path);
            report.error(item.at, codes::DUPLICATE_NAME, message, "keep the outer one of the two");
        }
        paths.push(found);
    }
    paths
}

fn shared_path(report: &mut Report, node: &Node, at: &str) -> Option<SharedPath> {
    if node.text().is_some() {
        let path = absolute(report, node, at)?;
        return Some(SharedPath { path, kind: SharedKind::Directory });
    }
    let mut fields = Fields::open(report, node, at)?;
    let path = fields.require(report, "path", "write a path such as /srv/shop/uploads");
    let path = path.and_then(|node| absolute(report, node, &fields.join("path")));
    let kinds = [("directory", SharedKind::Directory), ("file", SharedKind::File)];
    let kind = fields.get("kind");
    let kind = kind.map(|node| report.choice(node, &fields.join("kind"), &kinds));
    fields.finish(report);
    Some(SharedPath { path: path?, kind: kind.unwrap_or(Some(SharedKind::Directory))? })
}

/// An absolute path below the root, without a `/` at its end.
fn absolute(report: &mut Report, node: &Node, at: &str) -> Option<String> {
    let text = report.word(node, at)?;
    let path = text.trim_end_matches('/');
    let part_is_good = |part: &str| !part.is_empty() && part != "." && part != "..";
    if path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(part_is_good)) {
        return Some(path.to_owned());
    }
    let message = format!("`{at}`: '{text}' is not an absolute path below `/`");
    let help = "write a path such as /srv/shop/uploads, without `..`";
    report.error(node.at, codes::BAD_PATH, message, help);
    None
}

/// Whether one is the other, or below it.
fn overlap(a: &str, b: &str) -> bool {
    let within = |outer: &str, inner: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    within(a, b) || within(b, a)
}
