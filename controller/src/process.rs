//! Child processes that never outlive us.

use nix::sys::signal::Signal;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// The child gets `signal` when the thread that started it ends, and so when this process is killed.
#[expect(unsafe_code, reason = "pre_exec has no safe form; the closure makes one system call only")]
pub fn die_with_parent(command: &mut Command, signal: Signal) {
    // SAFETY: between fork and exec only prctl is called, which is async-signal-safe.
    unsafe {
        command
            .pre_exec(move || nix::sys::prctl::set_pdeathsig(signal).map_err(std::io::Error::from));
    }
}
