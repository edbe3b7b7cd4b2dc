//! `pipectl hosts`.

use super::Context;
use super::agents::{Agent, condition, tags};
use crate::answer::Revision;
use crate::connect::parse;
use crate::exit::{Exit, Result};
use crate::output::{ago, clean, table};
use clap::Args;
use serde::Deserialize;

#[derive(Debug, Args)]
#[command(after_help = "Example: pipectl hosts -o json")]
pub struct Arguments {}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Host {
    #[serde(flatten)]
    agent: Agent,
    groups: Vec<Served>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Served {
    group: String,
    serving: String,
    revision: Option<Revision>,
}

pub async fn run(context: &Context<'_>, _: Arguments) -> Result<Exit> {
    let answer = context.client()?.get("/api/v1/hosts").await?;
    let output = context.output;
    if output.is_json() {
        output.json(&answer);
        return Ok(Exit::Done);
    }
    let hosts: Vec<Host> = parse(&answer["hosts"])?;
    if hosts.is_empty() {
        output.line("There are no hosts yet: pipectl join-token create --role deploy");
        return Ok(Exit::Done);
    }
    let rows = hosts.iter().map(|host| {
        let serves: Vec<String> = host.groups.iter().map(serves).collect();
        vec![
            clean(&host.agent.name),
            condition(&host.agent),
            ago(&host.agent.seen_at),
            serves.join(", "),
            tags(&host.agent),
        ]
    });
    output.line(table(
        output.painter,
        &["host", "state", "seen", "serves", "tags"],
        rows.collect(),
    ));
    Ok(Exit::Done)
}

fn serves(served: &Served) -> String {
    let what = match (&served.revision, served.serving.as_str()) {
        (Some(revision), _) => clean(&revision.label),
        (None, "broken") => "broken".to_owned(),
        (None, _) => "unknown".to_owned(),
    };
    format!("{}: {what}", clean(&served.group))
}
