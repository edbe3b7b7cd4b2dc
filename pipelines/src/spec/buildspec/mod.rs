//! `buildspec.yml`, AWS's format for builds, versions 0.1 and 0.2.
//!
//! Rules are from the CodeBuild user guide ("Build specification reference"); where practice
//! differs from the guide, the reader of that key says so.

mod artifacts;
mod batch;
mod cache;
mod env;
mod hints;
mod matrix;
mod model;
mod on_failure;
mod phases;
mod read;
mod reports;
#[cfg(test)]
mod tests;

pub use batch::{Batch, BatchEnv, BatchTask, DynamicMatrix, Fanout, Matrix, StaticMatrix};
pub use model::{
    ArtifactSet, Artifacts, Buildspec, Cache, CacheAction, Env, Phase, PhaseName, Phases, Proxy,
    ReportFormat, ReportGroup, Step, Version,
};
pub use on_failure::{BadOnFailure, OnFailure};
pub use read::parse;
pub(crate) use read::read;

/// What [`parse`] gives, by the same name in each of the four formats.
pub type Model = Buildspec;
