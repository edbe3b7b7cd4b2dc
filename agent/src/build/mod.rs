//! The build engine: one build in one fresh container, by a buildspec.

pub mod driver;
pub mod marks;
pub mod plan;
