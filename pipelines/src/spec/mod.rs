//! The files users write.
pub mod appspec;
pub mod group;
