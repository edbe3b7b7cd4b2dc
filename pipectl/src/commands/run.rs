//! `pipectl run`.

use super::Context;
use super::target::{self, Target};
use super::watching::{Patience, watch};
use crate::exit::{Exit, Failure, Result};
use clap::Args;
use serde_json::{Map, Value, json};

#[derive(Debug, Args)]
#[command(after_help = "Example: pipectl run shop --branch main --var LOG_LEVEL=debug --watch")]
pub struct Arguments {
    /// The pipeline's name.
    #[arg(value_parser = target::name)]
    pipeline: String,
    /// Build this commit (all 40 digits) instead of the branch's newest.
    #[arg(long)]
    commit: Option<String>,
    /// Of the first source action, instead of the one the pipeline names.
    #[arg(long)]
    branch: Option<String>,
    /// A variable the pipeline declares; repeat it for more.
    #[arg(long = "var", value_name = "KEY=VALUE", value_parser = target::pair)]
    pub variables: Vec<(String, String)>,
    /// Follow the run to its end.
    #[arg(long, short)]
    watch: bool,
    /// With --watch: exit with 5 as soon as only a person can move the run on.
    #[arg(long, requires = "watch")]
    no_wait: bool,
}

pub async fn run(context: &Context<'_>, arguments: Arguments) -> Result<Exit> {
    let (client, output) = (context.client()?, context.output);
    let variables: Map<String, Value> =
        arguments.variables.into_iter().map(|(key, value)| (key, json!(value))).collect();
    let body = json!({
        "commit": arguments.commit, "branch": arguments.branch, "variables": variables
    });
    let answer =
        client.post(&format!("/api/v1/pipelines/{}/runs", arguments.pipeline), body).await?;
    let created = answer["run"].as_str().unwrap_or_default();
    if arguments.watch {
        let run: Target =
            created.parse().map_err(|error| Failure::failed(format!("{error}"), ""))?;
        output.note(format!("Started {run}"));
        return watch(&client, output, run, Patience::from_flag(arguments.no_wait)).await;
    }
    if output.is_json() {
        output.json(&answer);
    } else {
        output.line(format!("Started {created}; follow it with: pipectl watch {created}"));
    }
    Ok(Exit::Done)
}
