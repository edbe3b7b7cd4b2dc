//! Tests of the whole router, and the samples all tests of this crate use.

mod api;
mod doors;
mod install;
mod monitors;
mod pages;
mod plans;
pub mod sample;
pub mod server;
mod showcase;
mod shown;
mod stage;
mod steering;
mod streams;
