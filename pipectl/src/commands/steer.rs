//! `pipectl abort`, `pause` and `resume`.

use super::Context;
use crate::exit::{Exit, Result};
use clap::Args;
use pipelines::ids::DeploymentId;
use serde_json::json;

#[derive(Debug, Args)]
#[command(after_help = "Example: pipectl abort d-3 -m 'errors in the log'")]
pub struct Abort {
    deployment: DeploymentId,
    /// Why.
    #[arg(long, short = 'm', default_value = "")]
    message: String,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: pipectl pause d-3")]
pub struct Pause {
    deployment: DeploymentId,
    /// Why.
    #[arg(long, short = 'm', default_value = "")]
    message: String,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: pipectl resume d-3")]
pub struct Resume {
    deployment: DeploymentId,
}

pub async fn abort(context: &Context<'_>, wanted: Abort) -> Result<Exit> {
    steer(context, wanted.deployment, "abort", &wanted.message).await
}

pub async fn pause(context: &Context<'_>, wanted: Pause) -> Result<Exit> {
    steer(context, wanted.deployment, "pause", &wanted.message).await
}

pub async fn resume(context: &Context<'_>, wanted: Resume) -> Result<Exit> {
    steer(context, wanted.deployment, "resume", "").await
}

async fn steer(context: &Context<'_>, id: DeploymentId, verb: &str, reason: &str) -> Result<Exit> {
    let path = format!("/api/v1/deployments/{id}/{verb}");
    let answer = context.client()?.post(&path, json!({"reason": reason})).await?;
    if context.output.is_json() {
        context.output.json(&answer);
    } else {
        context.output.line(format!("{id} is asked to {verb}; follow it with: pipectl watch {id}"));
    }
    Ok(Exit::Done)
}
