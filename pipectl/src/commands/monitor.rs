//! `pipectl monitor list|set`.

use super::{Context, target};
use crate::answer::Monitor;
use crate::connect::parse;
use crate::exit::{Exit, Result};
use crate::output::{Output, ago, clean, table};
use clap::{Args, Subcommand, ValueEnum};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// What the monitors of a group say.
    #[command(after_help = "Example: pipectl monitor list --group production")]
    List(List),
    /// Set a monitor by hand, for a drill; `auto` lets it speak for itself again.
    #[command(
        after_help = "Example: pipectl monitor set errors alarm --group production --reason 'fire drill'"
    )]
    Set(Set),
}

#[derive(Debug, Args)]
struct List {
    /// The deployment group.
    #[arg(long, value_parser = target::name)]
    group: String,
}

#[derive(Debug, Args)]
struct Set {
    /// The monitor.
    #[arg(value_parser = target::name)]
    name: String,
    /// What it is to say.
    #[arg(value_enum)]
    state: State,
    /// The deployment group.
    #[arg(long, value_parser = target::name)]
    group: String,
    /// Why, for everybody who sees it.
    #[arg(long, default_value = "")]
    reason: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum State {
    /// An alarm: unfinished deployments turn back.
    Alarm,
    /// Fine, whatever it finds.
    Ok,
    /// What it finds.
    Auto,
}

#[derive(Deserialize)]
struct Monitors {
    monitors: Vec<Monitor>,
}

pub async fn run(context: &Context<'_>, arguments: Arguments) -> Result<Exit> {
    let client = context.client()?;
    let answer = match arguments.verb {
        Verb::List(List { group }) => {
            client.get(&format!("/api/v1/groups/{group}/monitors")).await?
        }
        Verb::Set(Set { name, state, group, reason }) => {
            let state = match state {
                State::Alarm => "alarm",
                State::Ok => "ok",
                State::Auto => "auto",
            };
            let path = format!("/api/v1/groups/{group}/monitors/{name}");
            client.post(&path, json!({"state": state, "reason": reason})).await?
        }
    };
    print(context.output, &answer)?;
    Ok(Exit::Done)
}

fn print(output: &Output, answer: &Value) -> Result<()> {
    if output.is_json() {
        output.json(answer);
        return Ok(());
    }
    let monitors: Monitors = parse(answer)?;
    if monitors.monitors.is_empty() {
        output.line("The group has no monitors; add `monitors` to its file.");
        return Ok(());
    }
    let rows = monitors.monitors.iter().map(row).collect();
    let head = ["monitor", "state", "why", "looked at"];
    output.line(table(output.painter, &head, rows));
    Ok(())
}

/// Name, state with its glyph, why, and how long ago that was seen.
pub fn row(monitor: &Monitor) -> Vec<String> {
    let glyph = match monitor.state.as_str() {
        "ok" => "✓",
        "alarm" => "✗",
        _ => "‖",
    };
    let reports = if monitor.dry_run { " (only reports)" } else { "" };
    vec![
        format!("{}{reports}", clean(&monitor.name)),
        format!("{glyph} {}", clean(&monitor.state)),
        clean(&monitor.reason),
        monitor.looked_at.as_deref().map(ago).unwrap_or_default(),
    ]
}
