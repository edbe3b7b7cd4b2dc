//! The controller: machines talk to it (agents, forges, git), the engine inside it decides, and it
//! mounts the people's side (`web`). What it knows is in Postgres; any controller can answer any
//! agent, one at a time decides.

mod agents;
pub mod app;
pub mod config;
mod destination;
mod engine;
mod error;
mod first_start;
mod git;
mod hooks;
mod listen;
mod monitors;
mod postgres;
mod process;
mod slot;
mod sources;
mod state;
mod tls;
mod wakes;
