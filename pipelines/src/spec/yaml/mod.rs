//! YAML as a tree that remembers where everything stood and how it was written.
//!
//! Scalars stay text: `3.10`, `0644` and `12e03` mean what they say, and whoever reads a value
//! decides what it is. Limits, aliases and merge keys are dealt with while the tree is built;
//! duplicate keys stay in it, because the formats answer them differently.

mod build;
mod load;
mod places;
mod readable;
mod repair;
mod syntax;
#[cfg(test)]
mod tests;

use crate::spec::problem::Problem;

pub(crate) use load::{BYTES_MAX, load};

/// A place in a file, line and column from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    pub line: u32,
    pub column: u32,
}

/// How a scalar was written. Only plain ones may mean null, a number or a boolean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Quoted,
    Block,
}

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub at: Mark,
    /// A tag the author wrote, such as `!Sub`, when it is not one of YAML's own.
    pub tag: Option<String>,
    pub value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Scalar { text: String, style: Style },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One `key: value`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub key: Node,
    pub value: Node,
}

/// One file.
#[derive(Debug)]
pub(crate) struct Document {
    /// Absent when the file says nothing.
    pub root: Option<Node>,
    /// What follows the document and is not read.
    pub rest: Option<Rest>,
    /// Syntax errors; the rest was read as if something harmless stood in their lines.
    pub broken: Vec<Problem>,
}

/// What follows the first document of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Another document.
    Document(Mark),
    /// Something that belongs to no document: the first one ends where no one would look for it.
    Text(Mark),
}

impl Node {
    /// Whether this is YAML's null: nothing at all, `~` or `null`.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, style: Style::Plain }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The text of a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    /// What a person would call this.
    pub(crate) fn what(&self) -> &'static str {
        match &self.value {
            Value::Scalar { .. } if self.is_null() => "nothing",
            Value::Scalar { .. } => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}
