//! `pipectl webhook`.

use super::{Context, target};
use crate::exit::{Exit, Result};
use crate::output::clean;
use clap::Args;
use serde_json::json;

#[derive(Debug, Args)]
#[command(after_help = "Example: pipectl webhook shop --rotate")]
pub struct Arguments {
    /// The pipeline's name.
    #[arg(value_parser = target::name)]
    pipeline: String,
    /// Make a new secret; the old one stops working at once.
    #[arg(long)]
    rotate: bool,
}

pub async fn run(context: &Context<'_>, arguments: Arguments) -> Result<Exit> {
    let client = context.client()?;
    let path = format!("/api/v1/pipelines/{}/webhook", arguments.pipeline);
    let answer = if arguments.rotate {
        client.post(&path, json!({})).await?
    } else {
        client.get(&path).await?
    };
    let output = context.output;
    if output.is_json() {
        output.json(&answer);
    } else {
        let text = |key: &str| clean(answer[key].as_str().unwrap_or_default());
        output.line(format!("URL:     {}", text("url")));
        output.line(format!("Secret:  {}", text("secret")));
        output.note("Content type application/json; the event: push");
    }
    Ok(Exit::Done)
}
