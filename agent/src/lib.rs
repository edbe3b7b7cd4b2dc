//! The agent of Pipeyard.

pub mod mask;
