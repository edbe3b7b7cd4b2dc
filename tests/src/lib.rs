//! The real thing, small: a controller process with its own Postgres, agents in containers, git, and
//! a client for what people do. Stories in `it/` are told with it.

pub mod api;
pub mod balancer;
pub mod controller;
pub mod files;
pub mod forge;
pub mod host;
pub mod load;
pub mod postgres;
pub mod programs;
pub mod repository;
pub mod wait;
pub mod world;

pub use world::{Options, World};
