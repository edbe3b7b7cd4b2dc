//! Lists that are short, because every entry is compared with every other.

use crate::spec::codes;
use crate::spec::decode::Report;
use crate::spec::yaml::Node;

/// More than anybody writes by hand, and few enough to compare each with each.
pub(crate) const ENTRIES_MAX: usize = 1000;

impl Report {
    /// As [`Report::list`]; entries beyond what is compared are an error, and left out.
    pub(crate) fn short_list<'n>(&mut self, node: &'n Node, path: &str) -> &'n [Node] {
        let items = self.list(node, path);
        if let Some(first) = items.get(ENTRIES_MAX) {
            let message = format!("`{path}` has {} entries, {ENTRIES_MAX} at most", items.len());
            self.error(first.at, codes::TOO_LARGE, message, "split the file");
        }
        &items[..items.len().min(ENTRIES_MAX)]
    }
}
