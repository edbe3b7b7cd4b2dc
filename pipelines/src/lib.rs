//! The domain of Pipeyard: the files users write, and every decision made about them.
//!
//! Five rules hold for everything in this crate: no IO, no clock, no randomness, no async, no logging.
//! What a decision needs is an argument; what it wants done is a value it returns.

pub mod analysis;
pub mod calendar;
pub mod command;
pub mod deploy;
pub mod ids;
pub mod monitor;
pub mod protocol;
pub mod run;
pub mod sim;
pub mod spec;
pub mod time;
