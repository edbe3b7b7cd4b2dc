//! The files users write.
pub mod appspec;
pub mod group;
pub mod pipeline;
