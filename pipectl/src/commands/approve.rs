//! `pipectl approve` and `pipectl reject`: of an action of a run, or of the step a deployment waits at.

use super::target::{self, Target};
use super::{Context, asking};
use crate::answer::{Approval, Deployment};
use crate::connect::parse;
use crate::exit::{Exit, Failure, Result};
use crate::output::{Output, clean};
use clap::Args;
use pipelines::ids::{DeploymentId, RunId};
use serde_json::{Value, json};
use std::io::IsTerminal as _;

#[derive(Debug, Args)]
#[command(after_help = "Examples: pipectl approve r-12 sign-off -m 'looks good'\n          \
    pipectl approve d-3")]
pub struct Approve {
    #[command(flatten)]
    question: Question,
    /// A remark that is kept with the answer.
    #[arg(long, short = 'm', default_value = "")]
    message: String,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples: pipectl reject r-12 sign-off -m 'not on a Friday'\n          \
    pipectl reject d-3 -m 'too many errors'")]
pub struct Reject {
    #[command(flatten)]
    question: Question,
    /// Why.
    #[arg(long, short = 'm')]
    message: String,
}

#[derive(Debug, Args)]
struct Question {
    /// A run, or a deployment: d-3.
    #[arg(value_name = "RUN|DEPLOYMENT")]
    of: Target,
    /// The run's action that asks.
    #[arg(value_parser = target::name)]
    action: Option<String>,
    /// Answer for a deployment without being asked again.
    #[arg(long, short)]
    yes: bool,
}

pub async fn approve(context: &Context<'_>, answer: Approve) -> Result<Exit> {
    decide(context, answer.question, "approve", &answer.message).await
}

pub async fn reject(context: &Context<'_>, answer: Reject) -> Result<Exit> {
    decide(context, answer.question, "reject", &answer.message).await
}

async fn decide(
    context: &Context<'_>,
    Question { of, action, yes }: Question,
    verb: &str,
    comment: &str,
) -> Result<Exit> {
    match (of, action) {
        (Target::Run(run), Some(action)) => of_run(context, run, &action, verb, comment).await,
        (Target::Run(run), None) => Err(Failure::usage(
            format!("which action of {run}?"),
            format!(
                "name it: pipectl {verb} {run} ACTION; 'pipectl status {run}' shows which asks"
            ),
        )),
        (Target::Deployment(id), None) => of_deployment(context, id, verb, comment, yes).await,
        (Target::Deployment(id), Some(_)) => Err(Failure::usage(
            "a deployment has no actions: it asks one thing at a time",
            format!("pipectl {verb} {id}"),
        )),
    }
}

async fn of_run(
    context: &Context<'_>,
    run: RunId,
    action: &str,
    verb: &str,
    comment: &str,
) -> Result<Exit> {
    let path = format!("/api/v1/runs/{run}/actions/{action}/{verb}");
    let answer = context.client()?.post(&path, json!({"comment": comment})).await?;
    if context.output.is_json() {
        context.output.json(&answer);
    } else {
        context.output.line(format!("{action} of {run} is {}", word(verb)));
    }
    Ok(Exit::Done)
}

fn word(verb: &str) -> &str {
    if verb == "approve" { "approved" } else { "rejected" }
}

/// What is sent is what was shown: if the deployment becomes another meanwhile, the server refuses it.
async fn of_deployment(
    context: &Context<'_>,
    id: DeploymentId,
    verb: &str,
    comment: &str,
    yes: bool,
) -> Result<Exit> {
    let (client, output) = (context.client()?, context.output);
    let path = format!("/api/v1/deployments/{id}");
    let deployment: Deployment = parse(&client.get(&path).await?)?;
    let Some(approval) = &deployment.approval else {
        return Err(Failure::failed(
            format!("{id} does not wait for an approval: {}", clean(&deployment.sentence)),
            format!("see where it stands: pipectl explain {id}"),
        ));
    };
    if !output.is_json() {
        shown(&deployment, approval, verb).iter().for_each(|line| output.note(line));
    }
    if !yes && !ask(output, verb)? {
        output.note("nothing was decided");
        return Ok(Exit::Cancelled);
    }
    let answer = client.post(&format!("{path}/{verb}"), body(approval, comment)).await?;
    if output.is_json() {
        output.json(&answer);
    } else {
        output.line(format!("{id} is {}; follow it with: pipectl watch {id}", word(verb)));
    }
    Ok(Exit::Done)
}

fn body(approval: &Approval, comment: &str) -> Value {
    let Approval { step, generation, plan, bundle, .. } = approval;
    json!({
        "step": step, "generation": generation, "plan": plan, "bundle": bundle, "comment": comment
    })
}

/// Where it stands, and what the answer leads to.
fn shown(deployment: &Deployment, approval: &Approval, verb: &str) -> Vec<String> {
    let mut lines = vec![clean(&deployment.sentence)];
    let bundle: String = clean(&approval.bundle).chars().take(12).collect();
    let plan: String = clean(&approval.plan).chars().take(12).collect();
    lines.push(format!(
        "revision {} (bundle {bundle}), plan {plan}, step {}",
        clean(&deployment.revision.label),
        approval.step
    ));
    if verb != "approve" {
        lines.push("rejected, it goes back or stops, as its group says for `stop`".to_owned());
        return lines;
    }
    lines.push("approved, it will:".to_owned());
    for (index, sentence) in approval.next.iter().enumerate() {
        lines.push(format!("  {}. {}", approval.step + index + 1, clean(sentence)));
    }
    if approval.next.is_empty() {
        lines.push("  end with success".to_owned());
    }
    lines
}

fn ask(output: &Output, verb: &str) -> Result<bool> {
    let people = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if !people || output.is_json() {
        let help = format!("add --yes to {verb} what is shown without a question");
        return Err(Failure::usage("nobody is there to be asked", help));
    }
    asking::ask(&format!("{verb}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting() -> Deployment {
        serde_json::from_value(json!({
            "id": "d-3", "sentence": "Deploying 4f2c91e Fix\u{1b}[2J to production",
            "revision": {"label": "4f2c91e Fix"},
            "approval": {
                "step": 3, "generation": 7, "plan": "a".repeat(64), "bundle": "b".repeat(64),
                "next": ["update host-2, host-3", "wait 5 min"]
            }
        }))
        .unwrap()
    }

    #[test]
    fn what_is_sent_is_what_was_shown() {
        let deployment = waiting();
        let approval = deployment.approval.as_ref().unwrap();
        let lines = shown(&deployment, approval, "approve");
        assert_eq!(lines[0], "Deploying 4f2c91e Fix [2J to production", "cleaned");
        assert_eq!(
            lines[1],
            "revision 4f2c91e Fix (bundle bbbbbbbbbbbb), plan aaaaaaaaaaaa, step 3"
        );
        assert_eq!(lines[3..], ["  4. update host-2, host-3", "  5. wait 5 min"]);
        let sent = body(approval, "ok");
        let expected = json!({
            "step": 3, "generation": 7, "plan": "a".repeat(64), "bundle": "b".repeat(64),
            "comment": "ok"
        });
        assert_eq!(sent, expected);
    }

    #[test]
    fn the_last_approval_leads_to_the_end() {
        let mut deployment = waiting();
        deployment.approval.as_mut().unwrap().next.clear();
        let approval = deployment.approval.as_ref().unwrap();
        assert_eq!(shown(&deployment, approval, "approve").last().unwrap(), "  end with success");
        let rejected = shown(&deployment, approval, "reject");
        assert!(rejected.last().unwrap().starts_with("rejected, it goes back"));
    }
}
