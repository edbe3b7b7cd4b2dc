//! `pipectl rollback`.

use super::Context;
use super::ordered::{self, Follow};
use super::target;
use super::{asking, planned};
use crate::exit::{Exit, Result};
use clap::Args;
use serde_json::json;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pipectl rollback production            to the good revision before this one; on a terminal it asks
  pipectl rollback production --to d-3 --yes --watch
  pipectl rollback production --plan     touches nothing, says what it would do")]
pub struct Arguments {
    /// The deployment group.
    #[arg(value_parser = target::name)]
    group: String,
    /// A deployment (d-3) or a digest; the newest good revision before this one by default.
    #[arg(long, value_name = "DEPLOYMENT|DIGEST")]
    to: Option<String>,
    /// Say what it would do and do nothing; exit with 1 when something stands in its way.
    #[arg(long)]
    plan: bool,
    /// Go ahead without being asked; where no terminal is, nobody is asked anyway.
    #[arg(long, short, conflicts_with = "plan")]
    yes: bool,
    #[command(flatten)]
    follow: Follow,
}

pub async fn run(context: &Context<'_>, arguments: Arguments) -> Result<Exit> {
    let Arguments { group, mut to, plan, yes, follow } = arguments;
    let wanted = json!({"purpose": "rollback", "to": to});
    if plan {
        return planned::show(context, &group, wanted).await;
    }
    if !yes && asking::is_somebody_there(context.output) {
        let named = to.as_ref().map(|name| format!(" --to {name}"));
        let all = format!("pipectl rollback {group}{} --plan", named.unwrap_or_default());
        let agreed = planned::confirm(context, &group, wanted, (&all, None)).await?;
        let Some(plan) = agreed else { return Ok(Exit::Cancelled) };
        // What was shown, whatever else succeeds meanwhile.
        to.get_or_insert(plan.revision.revision.digest);
    }
    let client = context.client()?;
    let path = format!("/api/v1/groups/{group}/rollback");
    let answer = client.post(&path, json!({"to": to})).await?;
    let told = |id: &str, label: &str| format!("{id} returns {group} to {label}");
    ordered::follow(&client, context.output, &answer, &follow, told).await
}
