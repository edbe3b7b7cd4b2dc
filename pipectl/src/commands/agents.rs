//! `pipectl agents`.

use super::Context;
use crate::connect::parse;
use crate::exit::{Exit, Result};
use crate::output::{ago, clean, status_cell, table};
use clap::Args;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, Args)]
#[command(after_help = "Example: pipectl agents")]
pub struct Arguments {}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Agent {
    pub name: String,
    pub role: String,
    pub state: String,
    pub alive: bool,
    pub seen_at: String,
    pub version: String,
    pub tags: BTreeMap<String, String>,
    pub unfit: Option<String>,
}

pub async fn run(context: &Context<'_>, _: Arguments) -> Result<Exit> {
    let answer = context.client()?.get("/api/v1/agents").await?;
    let output = context.output;
    if output.is_json() {
        output.json(&answer);
        return Ok(Exit::Done);
    }
    let agents: Vec<Agent> = parse(&answer["agents"])?;
    if agents.is_empty() {
        output.line("There are no agents yet: pipectl join-token create --role build");
        return Ok(Exit::Done);
    }
    let rows = agents.iter().map(|agent| {
        vec![
            clean(&agent.name),
            clean(&agent.role),
            condition(agent),
            ago(&agent.seen_at),
            clean(&agent.version),
            tags(agent),
        ]
    });
    let head = ["agent", "role", "state", "seen", "version", "tags"];
    output.line(table(output.painter, &head, rows.collect()));
    Ok(Exit::Done)
}

/// The worst that is true of it.
pub fn condition(agent: &Agent) -> String {
    if !agent.alive {
        return status_cell("lost");
    }
    match &agent.unfit {
        Some(why) => format!("✗ {}", clean(why)),
        None => status_cell(&agent.state),
    }
}

pub fn tags(agent: &Agent) -> String {
    let pairs: Vec<String> =
        agent.tags.iter().map(|(key, value)| clean(&format!("{key}={value}"))).collect();
    pairs.join(" ")
}
