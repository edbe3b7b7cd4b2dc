//! `pipectl deploy`.

use super::Context;
use super::ordered::{self, Follow};
use super::planned;
use super::target;
use crate::exit::{Exit, Result};
use clap::Args;
use serde_json::json;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pipectl deploy production --revision r-12 --plan     touches nothing, says what it would do
  pipectl deploy production --revision r-12 --watch
  pipectl deploy production                            once more what the group is on
  pipectl deploy production --revision r-12 --override-freeze 'mends the outage of this morning'")]
pub struct Arguments {
    /// The deployment group.
    #[arg(value_parser = target::name)]
    group: String,
    /// A run (r-12), a deployment (d-3) or a digest; the revision the group is on by default.
    #[arg(long, visible_alias = "artifact", value_name = "RUN|DEPLOYMENT|DIGEST")]
    revision: Option<String>,
    /// Say what it would do and do nothing; exit with 1 when something stands in its way.
    #[arg(long)]
    plan: bool,
    /// Start although a window or a freeze of the group is against it, and why; it is kept in the history.
    #[arg(long, value_name = "REASON", conflicts_with = "plan")]
    override_freeze: Option<String>,
    #[command(flatten)]
    follow: Follow,
}

pub async fn run(context: &Context<'_>, arguments: Arguments) -> Result<Exit> {
    let Arguments { group, revision, plan, override_freeze, follow } = arguments;
    if plan {
        let wanted = json!({"purpose": "forward", "revision": revision});
        return planned::show(context, &group, wanted).await;
    }
    let client = context.client()?;
    let path = format!("/api/v1/groups/{group}/deployments");
    let answer =
        client.post(&path, json!({"revision": revision, "override": override_freeze})).await?;
    let told = |id: &str, label: &str| format!("{id} brings {group} to {label}");
    ordered::follow(&client, context.output, &answer, &follow, told).await
}
