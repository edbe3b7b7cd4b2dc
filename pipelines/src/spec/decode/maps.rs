//! Mappings whose keys the author chooses.

use crate::spec::codes;
use crate::spec::decode::{Fields, Report};
use crate::spec::yaml::{Mark, Node};
use std::collections::BTreeMap;

impl Report {
    /// A mapping of names to single values, with the place of every key. A value that says nothing
    /// is the empty text, as AWS has it.
    pub(crate) fn scalars(&mut self, node: &Node, path: &str) -> Vec<(String, Mark, String)> {
        let Some(fields) = Fields::open(self, node, path) else { return Vec::new() };
        let mut pairs = Vec::new();
        for (key, at, value) in fields.entries() {
            if value.is_null() {
                pairs.push((key.to_owned(), at, String::new()));
            } else if let Some(text) = self.text(value, &fields.join(key)) {
                pairs.push((key.to_owned(), at, text));
            }
        }
        pairs
    }

    /// As [`Report::scalars`], without the places.
    pub(crate) fn scalar_map(&mut self, node: &Node, path: &str) -> BTreeMap<String, String> {
        self.scalars(node, path).into_iter().map(|(key, _, value)| (key, value)).collect()
    }

    /// A list of texts, or one text alone, which AWS's own examples have in places.
    pub(crate) fn texts_or_text(&mut self, node: &Node, path: &str) -> Vec<String> {
        let Some(text) = node.text().filter(|_| !node.is_null()) else {
            return self.texts(node, path);
        };
        let message = format!("`{path}` is one text; it is read as a list with this one entry");
        self.warn(node.at, codes::NOT_A_LIST, message, "put `- ` before it");
        vec![text.to_owned()]
    }

    /// Whether `name` can be an environment variable of a shell; the author is told if not.
    pub(crate) fn variable_name(&mut self, at: Mark, name: &str, path: &str) -> bool {
        let fits = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
        let good = name.bytes().all(fits) && !name.starts_with(|c: char| c.is_ascii_digit());
        if good && !name.is_empty() {
            return true;
        }
        let message = format!("`{path}`: no shell can use a variable called '{name}'");
        let better: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let help = format!("write `{}`, for example", better.trim_start_matches(char::is_numeric));
        self.lenient(at, codes::BAD_VARIABLE, message, help);
        false
    }
}
