//! `pipeyard-agent doctor`: looks at everything an agent needs, one line each, and says what to do about
//! what is wrong. It changes nothing and prints no secret.

mod controller;
mod host;

use crate::host::{Layout, Settings};
use crate::identity::Identity;
use crate::whoami::Output;
use anyhow::Result;
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The agent's state directory; the installed one by default.
    #[arg(long, env = "PIPEYARD_STATE_DIR")]
    state_dir: Option<PathBuf>,
    /// What to print.
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
}

/// How one look ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    Ok,
    /// Nothing is wrong, but something may be missing some day.
    Note,
    Problem,
}

/// One line of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    check: &'static str,
    verdict: Verdict,
    /// What was seen.
    detail: String,
    /// What to do; None where nothing has to be done.
    remedy: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, detail: impl Into<String>) -> Finding {
        Finding { check, verdict: Verdict::Ok, detail: detail.into(), remedy: None }
    }

    fn note(check: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Finding {
        let (detail, remedy) = (detail.into(), Some(remedy.into()));
        Finding { check, verdict: Verdict::Note, detail, remedy }
    }

    fn problem(
        check: &'static str,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        let (detail, remedy) = (detail.into(), Some(remedy.into()));
        Finding { check, verdict: Verdict::Problem, detail, remedy }
    }
}

#[derive(Serialize)]
struct Report<'a> {
    ok: bool,
    checks: &'a [Finding],
}

/// # Errors
/// When the answer cannot be printed; what is wrong with the agent is not an error of this.
pub async fn run(args: DoctorArgs) -> Result<ExitCode> {
    let layout = Layout::default();
    let mut findings = Vec::new();
    let settings = Settings::load(&layout).unwrap_or_else(|e| {
        findings.push(Finding::problem("settings", format!("{e:#}"), "run this as root"));
        Settings::default()
    });
    let state_dir = settings.state_dir(args.state_dir);
    findings.extend(host::state(&state_dir));
    let identity = Identity::load(&state_dir);
    findings.push(host::identity(&state_dir, &identity));
    findings.push(host::service(&layout, &state_dir));
    findings.extend(host::disk(&state_dir));
    if let Ok(Some(identity)) = identity {
        findings.extend(controller::look(&identity, settings.allow_plain_http()).await);
        findings.extend(host::for_role(identity.role, &settings, &state_dir).await);
    }
    let ok = findings.iter().all(|finding| finding.verdict != Verdict::Problem);
    match args.output {
        Output::Json => {
            println!("{}", serde_json::to_string_pretty(&Report { ok, checks: &findings })?);
        }
        Output::Text => print!("{}", as_text(&findings)),
    }
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn as_text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { check, verdict, detail, remedy } in findings {
        let word = match verdict {
            Verdict::Ok => "ok",
            Verdict::Note => "note",
            Verdict::Problem => "problem",
        };
        text.push_str(&format!("{word:<9}{check:<12}{detail}\n"));
        if let Some(remedy) = remedy {
            text.push_str(&format!("{:21}→ {remedy}\n", ""));
        }
    }
    let problems = findings.iter().filter(|f| f.verdict == Verdict::Problem).count();
    text.push_str(&match problems {
        0 => "Nothing is wrong.\n".to_owned(),
        1 => "1 problem.\n".to_owned(),
        more => format!("{more} problems.\n"),
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_has_its_remedy_below_it() {
        let findings =
            [Finding::ok("disk", "9 GB free"), Finding::problem("service", "it is down", "up")];
        let text = as_text(&findings);
        assert_eq!(
            text,
            "ok       disk        9 GB free\nproblem  service     it is down\n                     → \
             up\n1 problem.\n"
        );
        let json = serde_json::to_value(Report { ok: false, checks: &findings }).unwrap();
        assert_eq!(json["checks"][1]["verdict"], "problem");
        assert_eq!(json["checks"][0]["remedy"], serde_json::Value::Null);
    }
}
