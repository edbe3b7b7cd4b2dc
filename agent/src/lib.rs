//! The agent: it joins a controller, holds a poll, and runs the tasks it is given on this host.
//!
//! `link` talks and keeps the books, `build`, `deploy`, `route`, `instance` and `measure` do the
//! work and see only a [`context::TaskContext`].

pub mod archive;
pub mod backoff;
pub mod build;
pub mod cli;
pub mod context;
pub mod controller;
pub mod deploy;
pub mod doctor;
pub mod durable;
pub mod host;
pub mod identity;
pub mod instance;
pub mod link;
pub mod mask;
pub mod measure;
pub mod route;
pub mod state;
pub mod tls;
pub mod whoami;
