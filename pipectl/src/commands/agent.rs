//! `pipectl agent drain|undrain|revoke`.

use super::{Context, target};
use crate::exit::{Exit, Failure, Result};
use crate::output::clean;
use clap::{Args, Subcommand};
use serde_json::json;
use std::io::{BufRead as _, IsTerminal as _, Write as _};

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Let it finish what it does and give it nothing more.
    ///
    /// A build agent takes no further build. A host keeps serving what it serves and is left out of
    /// deployments that start from now on. Undo it with undrain.
    #[command(after_help = "Example: pipectl agent drain host-1")]
    Drain(Name),
    /// Give it work again.
    #[command(after_help = "Example: pipectl agent undrain host-1")]
    Undrain(Name),
    /// Take its credential away for good.
    ///
    /// Work it has counts as failed: a build ends, a deployment treats the host as lost. Its program ends
    /// whatever it ran, and then itself, within the time an agent may be silent. What is deployed on
    /// the host stays as it is. The host may join again, under the same name, with a new token; 'drain'
    /// first if its work should come to its end.
    #[command(after_help = "Examples:
  pipectl agent revoke host-1
  pipectl agent revoke host-1 --yes     where nobody can be asked")]
    Revoke(Revoke),
}

#[derive(Debug, Args)]
struct Name {
    /// The agent's name.
    #[arg(value_parser = target::name)]
    name: String,
}

#[derive(Debug, Args)]
struct Revoke {
    #[command(flatten)]
    agent: Name,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
}

pub async fn run(context: &Context<'_>, arguments: Arguments) -> Result<Exit> {
    let (verb, name) = match arguments.verb {
        Verb::Drain(name) => ("drain", name.name),
        Verb::Undrain(name) => ("undrain", name.name),
        Verb::Revoke(revoke) => {
            if !revoke.yes && !confirmed(&revoke.agent.name)? {
                context.output.note("Nothing was changed.");
                return Ok(Exit::Cancelled);
            }
            ("revoke", revoke.agent.name)
        }
    };
    let answer =
        context.client()?.post(&format!("/api/v1/agents/{name}/{verb}"), json!({})).await?;
    if context.output.is_json() {
        context.output.json(&answer);
        return Ok(Exit::Done);
    }
    let state = clean(answer["state"].as_str().unwrap_or_default());
    context.output.line(format!("{name} is {state}"));
    context.output.note(match verb {
        "drain" => "What it does goes on to its end; it is given nothing more.",
        "undrain" => "It is given work again.",
        _ => {
            "Work it had counts as failed, and its program ends. What is deployed there stays; \
             'pipeyard-agent uninstall' on that machine removes the rest."
        }
    });
    Ok(Exit::Done)
}

fn confirmed(name: &str) -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage(
            format!("{name} would be revoked for good, and there is nobody to ask"),
            "pass --yes if that is meant",
        ));
    }
    let mut error = std::io::stderr();
    let question = format!("Revoke {name} for good? Work it has counts as failed. [y/N] ");
    let mut line = String::new();
    let asked = write!(error, "{question}").and_then(|()| error.flush());
    asked
        .and_then(|()| std::io::stdin().lock().read_line(&mut line))
        .map_err(|error| Failure::failed(format!("cannot ask: {error}"), "pass --yes"))?;
    Ok(is_yes(&line))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        assert!(is_yes("y\n") && is_yes(" YES\n"));
        assert!(!is_yes("\n") && !is_yes("n\n") && !is_yes("yesterday\n"));
    }
}
