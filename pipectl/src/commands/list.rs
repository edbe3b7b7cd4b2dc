//! `pipectl pipelines` and `pipectl groups`.

use super::Context;
use crate::exit::{Exit, Result};
use crate::output::{ago, clean, table};
use clap::Args;
use serde_json::Value;

#[derive(Debug, Args)]
#[command(after_help = "Example: pipectl pipelines")]
pub struct Pipelines {}

#[derive(Debug, Args)]
#[command(after_help = "Example: pipectl groups")]
pub struct Groups {}

pub async fn pipelines(context: &Context<'_>, _: Pipelines) -> Result<Exit> {
    let answer = context.client()?.get("/api/v1/pipelines").await?;
    show(context, &answer, "pipelines", &["pipeline", "version", "stages", "changed"], |pipeline| {
        let stages = pipeline["stages"].as_array().map(Vec::as_slice).unwrap_or_default();
        let stages: Vec<String> = stages.iter().map(text).collect();
        let changed = ago(pipeline["updated_at"].as_str().unwrap_or_default());
        vec![text(&pipeline["name"]), text(&pipeline["version"]), stages.join(" → "), changed]
    })
}

pub async fn groups(context: &Context<'_>, _: Groups) -> Result<Exit> {
    let answer = context.client()?.get("/api/v1/groups").await?;
    show(context, &answer, "groups", &["group", "application", "version", "serves"], |group| {
        let serves = match &group["revision"]["label"] {
            Value::Null => "nothing yet".to_owned(),
            label => text(label),
        };
        vec![text(&group["name"]), text(&group["application"]), text(&group["version"]), serves]
    })
}

fn show(
    context: &Context<'_>,
    answer: &Value,
    key: &str,
    head: &[&str],
    row: impl Fn(&Value) -> Vec<String>,
) -> Result<Exit> {
    let items = answer[key].as_array().map(Vec::as_slice).unwrap_or_default();
    if context.output.is_json() {
        context.output.json(answer);
    } else if items.is_empty() {
        context.output.line(format!("There are no {key} yet: pipectl apply -f FILE"));
    } else {
        context.output.line(table(context.output.painter, head, items.iter().map(row).collect()));
    }
    Ok(Exit::Done)
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => clean(text),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
