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
pub mod codes;
mod decode;
mod globs;
mod graph;
pub mod group;
mod kind;
pub mod pipeline;
mod problem;
mod text;
mod yaml;

pub use globs::Globs;
pub use kind::Kind;
pub use problem::{Parsed, Problem, Severity};
