//! Turns a plan into the files the container's main process runs from.
//!
//! The driver is a fixed POSIX shell script (`driver.sh`); what differs from build to build is data:
//! `plan.sh` calls its functions phase by phase, every command is a script file of its own, and the
//! environment is a file of `export` lines. The build's variables are never in the container's
//! own environment: a `PATH` or `LD_PRELOAD` meant for commands must not break the driver, and
//! `docker inspect` has no secrets to show.

use super::plan::{Failure, Part, Plan};
use std::io;
use std::path::Path;

/// Where the driver and its data are, and where it may write, seen from inside the container.
pub struct Layout<'p> {
    pub control: &'p str,
    pub workspace: &'p str,
    pub source: &'p str,
    /// Who owns the workspace now and should have it back: the agent, where it is not root.
    pub agent: Option<(u32, u32)>,
}

const DRIVER: &str = include_str!("driver.sh");
const COMMAND: &str = include_str!("command.sh");

/// Writes everything to the directory that becomes `control`. Only `state` there is writable for
/// the container.
pub fn write(plan: &Plan, nonce: &str, layout: &Layout<'_>, control: &Path) -> io::Result<()> {
    for directory in ["commands", "answers", "state/out"] {
        std::fs::create_dir_all(control.join(directory))?;
    }
    let file = |name: &str, text: &str| std::fs::write(control.join(name), text);
    file("driver.sh", DRIVER)?;
    file("command.sh", COMMAND)?;
    file("plan.sh", &plan_script(plan, nonce, layout))?;
    file("env.sh", &env_script(plan))?;
    file("leave.sh", &leave_script(plan))?;
    for (index, phase) in plan.phases.iter().enumerate() {
        for part in [Part::Commands, Part::Finally] {
            for (item, text) in phase.part(part).iter().enumerate() {
                let name = format!("commands/{index}-{}-{item}.sh", part.as_str());
                file(&name, &format!("{text}\n"))?;
            }
        }
    }
    Ok(())
}

fn plan_script(plan: &Plan, nonce: &str, layout: &Layout<'_>) -> String {
    let mut users: Vec<&str> = plan.phases.iter().filter_map(|p| p.run_as.as_deref()).collect();
    users.sort_unstable();
    users.dedup();
    let (owner, give_to) = match layout.agent {
        Some((user, group)) => (user.to_string(), format!("{user}:{group}")),
        None => ("0".to_owned(), String::new()),
    };
    let mut script = String::new();
    let settings = [
        ("nonce", nonce),
        ("shell_name", plan.shell.as_str()),
        ("carry", if plan.carries_over { "1" } else { "0" }),
        ("workspace", layout.workspace),
        ("source_dir", layout.source),
        ("owner", &owner),
        ("give_to", &give_to),
        ("users", &users.join(" ")),
    ];
    for (name, value) in settings {
        script.push_str(&format!("{name}={}\n", quoted(value)));
    }
    script.push_str("prepare\n");
    for (index, phase) in plan.phases.iter().enumerate() {
        let user = quoted(phase.run_as.as_deref().unwrap_or(""));
        let (commands, finally) = (phase.commands.len(), phase.finally.len());
        let (retries, ask) = match &phase.retry {
            Some(retry) => (retry.count, u8::from(retry.pattern.is_some())),
            None => (0, 0),
        };
        let after_failure = match phase.after_failure {
            Failure::GoOn => ":",
            Failure::EndBuild => "finish 0",
        };
        script.push_str(&format!(
            "phase {index} {user} {commands} {finally} {retries} {ask} || {after_failure}\n"
        ));
    }
    script
}

fn env_script(plan: &Plan) -> String {
    plan.env.iter().map(|(name, value)| format!("export {name}={}\n", quoted(value))).collect()
}

/// Runs after the last phase, with its environment: exported variables, and texts to be expanded by
/// the shell, each to a file of its own.
fn leave_script(plan: &Plan) -> String {
    let mut script = "__pipeyard_out=$__pipeyard_dir/state/out\n".to_owned();
    for name in &plan.exported {
        script.push_str(&format!(
            "[ -z \"${{{name}+x}}\" ] || printf '%s' \"${name}\" >|\"$__pipeyard_out/{name}\"\n"
        ));
    }
    for (index, text) in plan.expand.iter().enumerate() {
        // In a subshell: a text that is no valid shell must not take the others along.
        let word = quoted(&format!("printf '%s' \"{}\"", text.replace('"', "\\\"")));
        script.push_str(&format!("( eval {word} >|\"$__pipeyard_out/text-{index}\" )\n"));
    }
    script.push_str("exit 0\n");
    script
}

/// The text as one word of shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
#[path = "driver_tests.rs"]
mod tests;
