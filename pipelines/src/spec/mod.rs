//! The files users write: pipeline, group, buildspec, appspec.
//!
//! Text goes in; a model comes out, or every mistake at once, each with line, column, what is wrong
//! and what to write instead. The way is `text` (characters) → `yaml` (a tree with places) →
//! `decode` (collecting readers) → one module per format.
//!
//! The rule: in AWS's two formats, what AWS accepts is accepted, with a warning where AWS silently
//! does something else than was meant; what AWS refuses is an error. The other two formats are
//! ours, and there an unknown or repeated key is an error.

pub mod appspec;
pub mod buildspec;
mod bytes;
pub mod codes;
mod cron;
mod decode;
mod excerpt;
mod globs;
mod graph;
pub mod group;
mod keys;
mod kind;
pub mod pipeline;
mod print;
mod problem;
mod schedule;
mod schema;
mod short;
mod text;
#[cfg(test)]
mod trial;
mod url;
mod week;
mod yaml;

pub use bytes::{lint_bytes, text_of};
pub use globs::Globs;
pub use keys::{Keys, keys};
pub use kind::Kind;
pub use print::print;
pub use problem::{Parsed, Problem, Severity};
pub use schedule::{Day, Span, Window};
pub use schema::{schema, schema_text};

/// Every problem of one file.
#[must_use]
pub fn lint(kind: Kind, text: &str) -> Vec<Problem> {
    match kind {
        Kind::Pipeline => pipeline::parse(text).problems,
        Kind::Group => group::parse(text).problems,
        Kind::Buildspec => buildspec::parse(text).problems,
        Kind::Appspec => appspec::parse(text).problems,
    }
}

/// The parse of one file as JSON, in the file's own key names, with defaults filled in and short
/// forms expanded. What [`print()`] makes of it is itself a file that reads as the same thing.
#[must_use]
pub fn normalised(kind: Kind, text: &str) -> Parsed<serde_json::Value> {
    match kind {
        Kind::Pipeline => pipeline::parse(text).map(|pipeline| pipeline.normalised()),
        Kind::Group => group::parse(text).map(|group| group.normalised()),
        Kind::Buildspec => buildspec::parse(text).map(|buildspec| buildspec.normalised()),
        Kind::Appspec => appspec::parse(text).map(|appspec| appspec.normalised()),
    }
}

/// The same as text, with keys in the order of the models.
#[must_use]
pub fn normalised_text(kind: Kind, text: &str) -> Parsed<String> {
    match kind {
        Kind::Pipeline => pipeline::parse(text).map(|model| print(&model)),
        Kind::Group => group::parse(text).map(|model| print(&model)),
        Kind::Buildspec => buildspec::parse(text).map(|model| print(&model)),
        Kind::Appspec => appspec::parse(text).map(|model| print(&model)),
    }
}
