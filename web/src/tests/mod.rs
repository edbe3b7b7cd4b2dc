//! Tests of the whole router, and the samples all tests of this crate use.

mod api;
pub mod sample;
pub mod server;
