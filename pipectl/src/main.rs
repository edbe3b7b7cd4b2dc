//! `pipectl`: Pipeyard from the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    // One provider for everybody, before anything can ask for one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    pipectl::main(std::env::args_os())
}
