//! The command line: a thin client of the JSON API, plus what needs no controller at all.
//!
//! Every verb is a module in `commands`; `cli` is the list of them. Output has three forms: text for a
//! terminal, plain lines for a pipe, and the server's JSON for programs.

pub mod answer;
pub mod cli;
mod commands;
mod connect;
mod exit;
mod output;

use clap::Parser as _;
use exit::{Exit, Failure};
use output::Output;
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs one command and returns what the process should exit with.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match cli::Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, not errors; clap knows which stream each belongs on.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    let output = Output::new(&cli.global);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output.failure(&Failure::failed(format!("cannot start: {error}"), ""));
            return Exit::Failed.into();
        }
    };
    match runtime.block_on(commands::run(cli, &output)) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output.failure(&failure);
            failure.exit.into()
        }
    }
}
