//! `pipectl approve` and `pipectl reject`.

use super::Context;
use super::target;
use crate::exit::{Exit, Result};
use clap::Args;
use pipelines::ids::RunId;
use serde_json::json;

#[derive(Debug, Args)]
#[command(after_help = "Example: pipectl approve r-12 sign-off -m 'looks good'")]
pub struct Approve {
    run: RunId,
    /// The action that asks.
    #[arg(value_parser = target::name)]
    action: String,
    /// A remark that is kept with the answer.
    #[arg(long, short = 'm', default_value = "")]
    message: String,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: pipectl reject r-12 sign-off -m 'not on a Friday'")]
pub struct Reject {
    run: RunId,
    /// The action that asks.
    #[arg(value_parser = target::name)]
    action: String,
    /// Why.
    #[arg(long, short = 'm')]
    message: String,
}

pub async fn approve(context: &Context<'_>, answer: Approve) -> Result<Exit> {
    decide(context, answer.run, &answer.action, "approve", &answer.message).await
}

pub async fn reject(context: &Context<'_>, answer: Reject) -> Result<Exit> {
    decide(context, answer.run, &answer.action, "reject", &answer.message).await
}

async fn decide(
    context: &Context<'_>,
    run: RunId,
    action: &str,
    verb: &str,
    comment: &str,
) -> Result<Exit> {
    let path = format!("/api/v1/runs/{run}/actions/{action}/{verb}");
    let answer = context.client()?.post(&path, json!({"comment": comment})).await?;
    if context.output.is_json() {
        context.output.json(&answer);
    } else {
        let word = if verb == "approve" { "approved" } else { "rejected" };
        context.output.line(format!("{action} of {run} is {word}"));
    }
    Ok(Exit::Done)
}
