//! `pipectl rollback`.

use super::Context;
use super::ordered::{self, Follow};
use super::planned;
use super::target;
use crate::exit::{Exit, Result};
use clap::Args;
use serde_json::json;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pipectl rollback production --to d-3 --watch
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
    #[command(flatten)]
    follow: Follow,
}

pub async fn run(context: &Context<'_>, arguments: Arguments) -> Result<Exit> {
    let Arguments { group, to, plan, follow } = arguments;
    if plan {
        return planned::show(context, &group, json!({"purpose": "rollback", "to": to})).await;
    }
    let client = context.client()?;
    let path = format!("/api/v1/groups/{group}/rollback");
    let answer = client.post(&path, json!({"to": to})).await?;
    let told = |id: &str, label: &str| format!("{id} returns {group} to {label}");
    ordered::follow(&client, context.output, &answer, &follow, told).await
}
