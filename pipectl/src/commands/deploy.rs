//! `pipectl deploy`.

use super::Context;
use super::ordered::{self, Follow};
use super::target;
use super::{asking, planned};
use crate::exit::{Exit, Result};
use clap::Args;
use serde_json::json;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pipectl deploy production --revision r-12 --plan     touches nothing, says what it would do
  pipectl deploy production --revision r-12 --watch    on a terminal it asks before anything is done
  pipectl deploy production --revision r-12 --yes      asks nobody
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
    /// Go ahead without being asked; where no terminal is, nobody is asked anyway.
    #[arg(long, short, conflicts_with = "plan")]
    yes: bool,
    #[command(flatten)]
    follow: Follow,
}

pub async fn run(context: &Context<'_>, arguments: Arguments) -> Result<Exit> {
    let Arguments { group, mut revision, plan, override_freeze, yes, follow } = arguments;
    let wanted = json!({"purpose": "forward", "revision": revision});
    if plan {
        return planned::show(context, &group, wanted).await;
    }
    if !yes && asking::is_somebody_there(context.output) {
        let named = revision.as_ref().map(|name| format!(" --revision {name}"));
        let all = format!("pipectl deploy {group}{} --plan", named.unwrap_or_default());
        let shown = (all.as_str(), override_freeze.as_deref());
        let agreed = planned::confirm(context, &group, wanted, shown).await?;
        let Some(plan) = agreed else { return Ok(Exit::Cancelled) };
        // What was shown, whatever the group is on by now.
        revision.get_or_insert(plan.revision.revision.digest);
    }
    let client = context.client()?;
    let path = format!("/api/v1/groups/{group}/deployments");
    let answer =
        client.post(&path, json!({"revision": revision, "override": override_freeze})).await?;
    let told = |id: &str, label: &str| format!("{id} brings {group} to {label}");
    ordered::follow(&client, context.output, &answer, &follow, told).await
}
