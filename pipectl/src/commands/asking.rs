//! Asking before something is done, where somebody is there to be asked.

use crate::exit::{Failure, Result};
use crate::output::Output;
use std::io::{IsTerminal as _, Write as _};

/// A person sits at both ends: what is printed is read, and what is typed is heard.
pub fn is_somebody_there(output: &Output) -> bool {
    output.terminal && std::io::stdin().is_terminal() && !output.is_json()
}

/// Waits for the answer to a question; anything but yes is no.
pub fn ask(question: &str) -> Result<bool> {
    let _ = write!(std::io::stderr(), "{question} [y/N] ");
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line);
    read.map_err(|error| Failure::failed(format!("cannot read the answer: {error}"), ""))?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}
