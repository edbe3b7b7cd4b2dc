//! What people want of a deployment at work: `pipectl abort`, `pause`, `resume`, `promote`, `retry`,
//! `exclude` and `override`.

use super::Context;
use super::target::{self, Target};
use crate::answer::{Deployment, PlanStep};
use crate::connect::parse;
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
    /// A deployment: d-3; 'pipectl deployments' lists them.
    deployment: DeploymentId,
    /// Stop it turning back: leave hosts as they are.
    #[arg(long)]
    halt: bool,
    /// Why.
    #[arg(long, short = 'm', default_value = "")]
    message: String,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: pipectl pause d-3 -m 'looking at the log first'")]
pub struct Pause {
    /// A deployment: d-3; 'pipectl deployments' lists them.
    deployment: DeploymentId,
    /// Why.
    #[arg(long, short = 'm', default_value = "")]
    message: String,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: pipectl resume d-3")]
pub struct Resume {
    /// A deployment: d-3; 'pipectl deployments' lists them.
    deployment: DeploymentId,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: pipectl promote d-3 --full")]
pub struct Promote {
    /// A deployment: d-3; 'pipectl deployments' lists them.
    deployment: DeploymentId,
    /// Skip every hold that is still to come; approvals are asked for as before.
    #[arg(long)]
    full: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: pipectl retry d-3 host-2")]
pub struct Retry {
    /// A deployment: d-3.
    deployment: DeploymentId,
    /// One of its hosts; 'pipectl explain d-3' lists them.
    #[arg(value_parser = target::name)]
    host: String,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: pipectl exclude d-3 host-2 --reason 'its disk is being changed'")]
pub struct Exclude {
    /// A deployment: d-3.
    deployment: DeploymentId,
    /// One of its hosts; 'pipectl explain d-3' lists them.
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

/// What is sent is what was seen: when the deployment has gone on meanwhile, the server refuses it.
pub async fn promote(context: &Context<'_>, wanted: Promote) -> Result<Exit> {
    let Promote { deployment, full } = wanted;
    let client = context.client()?;
    let seen: Deployment = parse(&client.get(&format!("/api/v1/deployments/{deployment}")).await?)?;
    let told = match step_in_progress(&seen) {
        _ if full => "asked to go on to its end".to_owned(),
        Some(step) => {
            format!("asked to go on past step {}: {}", step.number, clean(&step.sentence))
        }
        None => "asked to go on".to_owned(),
    };
    steer(context, deployment, "promote", promotion(&seen, full), &told).await
}

fn step_in_progress(seen: &Deployment) -> Option<&PlanStep> {
    let at = seen.at.as_ref()?;
    seen.steps.iter().find(|step| step.number == at.step)
}

fn promotion(seen: &Deployment, full: bool) -> Value {
    match &seen.at {
        Some(at) => json!({"full": full, "step": at.step, "generation": at.generation}),
        // It does not go forward: the answer says so.
        None => json!({"full": full}),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promotion_names_the_step_that_was_seen() {
        let seen: Deployment = serde_json::from_value(json!({
            "at": {"step": 2, "generation": 7},
            "steps": [{"number": 1, "sentence": "update host-1"},
                      {"number": 2, "sentence": "wait 5 min"}]
        }))
        .unwrap();
        let sent = json!({"full": false, "step": 2, "generation": 7});
        assert_eq!(promotion(&seen, false), sent);
        assert_eq!(step_in_progress(&seen).unwrap().sentence, "wait 5 min");
        assert_eq!(promotion(&Deployment::default(), true), json!({"full": true}));
    }
}
