//! `pipectl deployments`.

use super::Context;
use super::target;
use crate::answer::Deployment;
use crate::connect::parse;
use crate::exit::{Exit, Result};
use crate::output::{ago, clean, status_cell, table};
use clap::Args;
use pipelines::ids::DeploymentId;

#[derive(Debug, Args)]
#[command(after_help = "Example: pipectl deployments production --limit 5")]
pub struct Arguments {
    /// Only to this group.
    #[arg(value_parser = target::name)]
    group: Option<String>,
    /// How many.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// Only older ones than this deployment.
    #[arg(long, value_name = "DEPLOYMENT")]
    before: Option<DeploymentId>,
}

pub async fn run(context: &Context<'_>, arguments: Arguments) -> Result<Exit> {
    let mut path = format!("/api/v1/deployments?limit={}", arguments.limit);
    if let Some(group) = &arguments.group {
        path.push_str(&format!("&group={group}"));
    }
    if let Some(before) = arguments.before {
        path.push_str(&format!("&before={before}"));
    }
    let answer = context.client()?.get(&path).await?;
    let output = context.output;
    if output.is_json() {
        output.json(&answer);
        return Ok(Exit::Done);
    }
    let deployments: Vec<Deployment> = parse(&answer["deployments"])?;
    if deployments.is_empty() {
        output.line("There are no deployments yet; a pipeline's deploy action makes them");
        return Ok(Exit::Done);
    }
    let rows = deployments.iter().map(|deployment| {
        let stuck = deployment.stuck.is_some();
        let status = if stuck { "stuck" } else { deployment.status.as_str() };
        let what = match deployment.purpose.as_str() {
            "rollback" => format!("back to {}", deployment.revision.label),
            _ => deployment.revision.label.clone(),
        };
        vec![
            deployment.id.clone(),
            clean(&deployment.group),
            status_cell(status),
            clean(&what),
            format!("{}/{}", deployment.hosts_updated, deployment.hosts_total),
            clean(&deployment.created_by),
            ago(&deployment.created_at),
        ]
    });
    let head = ["deployment", "group", "status", "revision", "hosts", "by", "age"];
    output.line(table(output.painter, &head, rows.collect()));
    Ok(Exit::Done)
}
