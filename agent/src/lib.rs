//! The agent of Pipeyard.

pub mod build;
pub mod mask;
