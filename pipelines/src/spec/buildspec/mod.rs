//! `buildspec.yml`, AWS's format for builds, versions 0.1 and 0.2.
//!
//! Rules are from the CodeBuild user guide ("Build specification reference"); where practice
//! differs from the guide, the reader of that key says so.

mod artifacts;
mod batch;
#[cfg(test)]
mod batch_tests;
mod cache;
mod commands;
mod env;
mod failures;
#[cfg(test)]
mod hint_tests;
mod hints;
mod lists;
mod matrix;
mod model;
mod on_failure;
mod patterns;
mod phases;
mod read;
mod reports;
mod script;
#[cfg(test)]
mod script_tests;
#[cfg(test)]
mod section_tests;
mod shell;
mod steps;
mod tasks;
#[cfg(test)]
mod tests;

pub use artifacts::{ArtifactSet, Artifacts};
pub use batch::{
    Batch, BatchEnv, BatchTask, DynamicEnv, DynamicMatrix, Fanout, Matrix, StaticMatrix,
};
pub use cache::{Cache, CacheAction};
pub use model::{Buildspec, Env, Phase, PhaseName, Phases, Proxy, Version};
pub use on_failure::{BadOnFailure, OnFailure};
pub use read::parse;
pub(crate) use read::read;
pub use reports::{ReportFormat, ReportGroup};
pub use steps::Step;

/// What [`parse`] gives, by the same name in each of the four formats.
pub type Model = Buildspec;
