//! What people want of a deployment at work: `pipectl abort`, `pause`, `resume`, `promote`, `retry`,
//! `exclude` and `override`.

use super::Context;
use super::target::{self, Target};
use crate::exit::{Exit, Result};
use crate::output::clean;
use clap::Args;
use pipelines::ids::DeploymentId;
use serde_json::{Value, json};

#[derive(Debug, Args)]
#[command(after_help = "Example: pipectl abort d-3 -m 'errors in the log'\n\
    While it is turning back already, only --halt stops that as well: hosts on which the way back has begun \
    come to its end, all others stay as they are, and each is named.")]
pub struct Abort {
    deployment: DeploymentId,
    /// Stop it turning back: leave hosts as they are.
    #[arg(long)]
    halt: bool,
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

#[derive(Debug, Args)]
#[command(after_help = "Example: pipectl promote d-3 --full")]
pub struct Promote {
    deployment: DeploymentId,
    /// Skip every hold that is still to come; approvals are asked for as before.
    #[arg(long)]
    full: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: pipectl retry d-3 host-2")]
pub struct Retry {
    deployment: DeploymentId,
    #[arg(value_parser = target::name)]
    host: String,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: pipectl exclude d-3 host-2 --reason 'its disk is being changed'")]
pub struct Exclude {
    deployment: DeploymentId,
    #[arg(value_parser = target::name)]
    host: String,
    /// Why; it is kept in the deployment's history.
    #[arg(long, short = 'm', visible_alias = "message", value_name = "TEXT")]
    reason: String,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: pipectl override d-3 --reason 'mends the outage of this morning'")]
pub struct Override {
    /// A deployment, or a run that a freeze of its pipeline holds back.
    #[arg(value_name = "DEPLOYMENT|RUN")]
    of: Target,
    /// Why; it is kept in the deployment's history.
    #[arg(long, short = 'm', visible_alias = "message", value_name = "TEXT")]
    reason: String,
}

pub async fn abort(context: &Context<'_>, wanted: Abort) -> Result<Exit> {
    let id = wanted.deployment;
    let body = json!({"reason": wanted.message, "halt": wanted.halt});
    let told = if wanted.halt { "asked to halt its way back" } else { "asked to abort" };
    steer(context, id, "abort", body, told).await
}

pub async fn pause(context: &Context<'_>, wanted: Pause) -> Result<Exit> {
    let (id, body) = (wanted.deployment, json!({"reason": wanted.message}));
    steer(context, id, "pause", body, "asked to pause").await
}

pub async fn resume(context: &Context<'_>, wanted: Resume) -> Result<Exit> {
    steer(context, wanted.deployment, "resume", json!({}), "asked to resume").await
}

pub async fn promote(context: &Context<'_>, wanted: Promote) -> Result<Exit> {
    let Promote { deployment, full } = wanted;
    let told = if full { "asked to go on to its end" } else { "asked to go on" };
    steer(context, deployment, "promote", json!({"full": full}), told).await
}

pub async fn retry(context: &Context<'_>, wanted: Retry) -> Result<Exit> {
    let Retry { deployment, host } = wanted;
    let told = format!("asked to try {host} again");
    steer(context, deployment, &format!("hosts/{host}/retry"), json!({}), &told).await
}

pub async fn exclude(context: &Context<'_>, wanted: Exclude) -> Result<Exit> {
    let Exclude { deployment, host, reason } = wanted;
    let (verb, told) = (format!("hosts/{host}/exclude"), format!("asked to leave {host} out"));
    steer(context, deployment, &verb, json!({"reason": reason}), &told).await
}

pub async fn overrule(context: &Context<'_>, wanted: Override) -> Result<Exit> {
    let Override { of, reason } = wanted;
    let path = format!("{}/override", of.path());
    let answer = context.client()?.post(&path, json!({"reason": reason})).await?;
    if context.output.is_json() {
        context.output.json(&answer);
    } else {
        context.output.line(format!("{of} is let through; follow it with: pipectl watch {of}"));
    }
    Ok(Exit::Done)
}

async fn steer(
    context: &Context<'_>,
    id: DeploymentId,
    verb: &str,
    body: Value,
    told: &str,
) -> Result<Exit> {
    let answer = context.client()?.post(&format!("/api/v1/deployments/{id}/{verb}"), body).await?;
    if context.output.is_json() {
        context.output.json(&answer);
        return Ok(Exit::Done);
    }
    context.output.line(match answer["message"].as_str() {
        Some(message) => clean(message),
        None => format!("{id} is {told}; follow it with: pipectl watch {id}"),
    });
    Ok(Exit::Done)
}
