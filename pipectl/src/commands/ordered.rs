//! A deployment that was just ordered: told, and followed where that is wanted.

use super::target::Target;
use super::watching::{Patience, watch};
use crate::connect::Client;
use crate::exit::{Exit, Failure, Result};
use crate::output::{Output, clean};
use clap::Args;
use serde_json::Value;

#[derive(Debug, Clone, Copy, Args)]
pub struct Follow {
    /// Follow it to its end; on a terminal that is the default.
    #[arg(long, short, conflicts_with_all = ["no_wait", "plan"])]
    watch: bool,
    /// Order it and return.
    #[arg(long, alias = "no-watch", conflicts_with = "plan")]
    no_wait: bool,
}

/// `told`: a sentence from the deployment's id and the revision's label.
pub async fn follow(
    client: &Client,
    output: &Output,
    answer: &Value,
    follow: &Follow,
    told: impl Fn(&str, &str) -> String,
) -> Result<Exit> {
    let text = |value: &Value| clean(value.as_str().unwrap_or_default());
    let (id, label) = (text(&answer["deployment"]), text(&answer["revision"]["label"]));
    if !(follow.watch || (output.terminal && !follow.no_wait)) {
        if output.is_json() {
            output.json(answer);
        } else {
            output.line(told(&id, &label));
        }
        return Ok(Exit::Done);
    }
    output.note(told(&id, &label));
    let target: Target = id.parse().map_err(|error| Failure::failed(format!("{error}"), ""))?;
    watch(client, output, target, Patience::WaitForPeople).await
}
