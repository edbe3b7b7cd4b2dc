//! `pipectl rollback`.

use super::Context;
use super::target::{self, Target};
use super::watching::{Patience, watch};
use crate::exit::{Exit, Failure, Result};
use crate::output::clean;
use clap::Args;
use serde_json::json;

#[derive(Debug, Args)]
#[command(after_help = "Example: pipectl rollback production --to d-3 --watch")]
pub struct Arguments {
    /// The deployment group.
    #[arg(value_parser = target::name)]
    group: String,
    /// A deployment (d-3) or a digest; the newest good revision before this one by default.
    #[arg(long, value_name = "DEPLOYMENT|DIGEST")]
    to: Option<String>,
    /// Follow it to its end; on a terminal that is the default.
    #[arg(long, short, conflicts_with = "no_wait")]
    watch: bool,
    /// Order it and return.
    #[arg(long)]
    no_wait: bool,
}

pub async fn run(context: &Context<'_>, arguments: Arguments) -> Result<Exit> {
    let (client, output) = (context.client()?, context.output);
    let path = format!("/api/v1/groups/{}/rollback", arguments.group);
    let answer = client.post(&path, json!({"to": arguments.to})).await?;
    let text = |value: &serde_json::Value| clean(value.as_str().unwrap_or_default());
    let (id, label) = (text(&answer["deployment"]), text(&answer["revision"]["label"]));
    let follow = arguments.watch || (output.terminal && !arguments.no_wait);
    if !follow {
        if output.is_json() {
            output.json(&answer);
        } else {
            output.line(format!("{id} returns {} to {label}", arguments.group));
        }
        return Ok(Exit::Done);
    }
    output.note(format!("{id} returns {} to {label}", arguments.group));
    let target: Target = id.parse().map_err(|error| Failure::failed(format!("{error}"), ""))?;
    watch(&client, output, target, Patience::WaitForPeople).await
}
