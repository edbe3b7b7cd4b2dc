//! `pipectl agent drain|undrain|revoke`.

use super::{Context, target};
use crate::exit::{Exit, Result};
use clap::{Args, Subcommand};
use serde_json::json;

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Let it finish what it does and give it nothing more.
    #[command(after_help = "Example: pipectl agent drain host-1")]
    Drain(Name),
    /// Give it work again.
    #[command(after_help = "Example: pipectl agent undrain host-1")]
    Undrain(Name),
    /// Take its credential away for good.
    #[command(after_help = "Example: pipectl agent revoke host-1")]
    Revoke(Name),
}

#[derive(Debug, Args)]
struct Name {
    /// The agent's name.
    #[arg(value_parser = target::name)]
    name: String,
}

pub async fn run(context: &Context<'_>, arguments: Arguments) -> Result<Exit> {
    let (verb, name) = match arguments.verb {
        Verb::Drain(name) => ("drain", name.name),
        Verb::Undrain(name) => ("undrain", name.name),
        Verb::Revoke(name) => ("revoke", name.name),
    };
    let answer =
        context.client()?.post(&format!("/api/v1/agents/{name}/{verb}"), json!({})).await?;
    if context.output.is_json() {
        context.output.json(&answer);
    } else {
        let state = answer["state"].as_str().unwrap_or_default();
        context.output.line(format!("{name} is {state}"));
    }
    Ok(Exit::Done)
}
