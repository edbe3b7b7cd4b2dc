//! Everything that can be found wrong with a revision on this host, before the running application
//! is touched.

use super::fault::Fault;
use super::group::Home;
use super::plan::{self, Plan, Problem, Scene};
use super::release::APPSPECS;
use super::script;
use super::shared::Shared;
use super::steps::{ON_FAILURE, ON_ROLLBACK, Work};
use super::survey::check_space;
use pipelines::protocol::report::ErrorCode;
use pipelines::protocol::task::Deploy;
use pipelines::spec::Problem as SpecProblem;
use pipelines::spec::appspec::{Appspec, FileExists, Os, Platform, SCRIPT_EVENTS, parse};
use std::io;
use std::path::{Path, PathBuf};

/// What was read and what was doubtful about it.
#[derive(Debug)]
pub struct Read {
    pub appspec: Appspec,
    pub warnings: Vec<String>,
}

/// Reads the appspec of a release. `name` overrides the two usual ones.
///
/// # Errors
/// When there is none, or two, or it has errors; all of them are in the message.
pub fn read_appspec(release: &Path, name: Option<&str>) -> Result<Read, Fault> {
    let invalid = |text: String| Fault::new(ErrorCode::AppspecInvalid, text);
    let (name, text) = text_of(release, name)?;
    let parsed = parse(&text);
    let known = parsed.problems.iter().filter(|problem| !is_about_ours(problem));
    let problems: Vec<String> = known.map(|problem| format!("{name}:{problem}")).collect();
    let Some(appspec) = parsed.value else { return Err(invalid(problems.join("\n"))) };
    if appspec.platform != Platform::Server {
        return Err(invalid(format!("{name} is for ECS or Lambda, and this is a host")));
    }
    if appspec.os != Os::Linux {
        return Err(invalid(format!("{name} is for 'os: windows', and this host runs Linux")));
    }
    Ok(Read { appspec, warnings: problems })
}

/// AWS's format does not know the events that are ours, and says so.
fn is_about_ours(problem: &SpecProblem) -> bool {
    let ours = [ON_FAILURE, ON_ROLLBACK].map(|event| format!("`{event}`"));
    problem.code == "unknown-hook"
        && ours.iter().any(|event| problem.message.contains(event.as_str()))
}

fn text_of(release: &Path, name: Option<&str>) -> Result<(String, String), Fault> {
    let invalid = |text: String| Fault::new(ErrorCode::AppspecInvalid, text);
    let candidates: Vec<&str> = name.map_or_else(|| APPSPECS.to_vec(), |name| vec![name]);
    let there: Vec<&str> = candidates
        .iter()
        .copied()
        .filter(|name| release.join(name).symlink_metadata().is_ok())
        .collect();
    let name = match there.as_slice() {
        [] => {
            let wanted = candidates.join(" or ");
            return Err(invalid(format!("the bundle has no {wanted} at its top")));
        }
        [name] => *name,
        _ => {
            let both = there.join(" and ");
            return Err(invalid(format!("the bundle has both {both}: remove one")));
        }
    };
    let path = inside(release, name).map_err(|e| invalid(format!("{name}: {e}")))?;
    match std::fs::read_to_string(path) {
        Ok(text) => Ok((name.to_owned(), text)),
        Err(e) => Err(invalid(format!("{name}: {e}"))),
    }
}

fn inside(release: &Path, name: &str) -> io::Result<PathBuf> {
    let path = release.join(name).canonicalize()?;
    if path.starts_with(release.canonicalize()?) {
        Ok(path)
    } else {
        Err(io::Error::other("leads out of the bundle"))
    }
}

/// Works out what an installation would do now, and everything that forbids it.
pub fn plan_now(
    home: &Home,
    release: &Path,
    appspec: &Appspec,
    deploy: &Deploy,
) -> (Plan, Vec<Problem>) {
    let books = home.manifest().and_then(|own| Ok((own, home.others()?)));
    let (own, others) = match books {
        Ok(books) => books,
        Err(e) => return (Plan::default(), vec![trouble("reading what is installed", &e)]),
    };
    let of_group = deploy.file_exists_behavior;
    let behavior = appspec.file_exists_behavior.or(of_group).unwrap_or(FileExists::Disallow);
    let (shared, mut problems) = Shared::of(&deploy.shared);
    let (own, others, shared) = (own.as_ref(), &others, &shared);
    let scene = Scene { home, release, appspec, behavior, own, others, shared };
    let (plan, more) = plan::plan(&scene);
    problems.extend(more);
    if problems.is_empty() {
        match check_space(&plan) {
            Ok(too_full) => problems = too_full,
            Err(e) => problems.push(trouble("measuring the disk", &e)),
        }
    }
    (plan, problems)
}

/// What is added to a clash that a script may still do away with.
pub const CURE: &str = ", unless a script of BeforeInstall takes it away first";

/// Whether scripts of the new revision run before its files come. CodeDeploy looks for files in the
/// way only after them, and there are appspecs that live by it.
#[must_use]
pub fn may_cure(appspec: &Appspec, steps: &[Work]) -> bool {
    let event = Work::Scripts("BeforeInstall".to_owned());
    let will_run = steps.contains(&event) || !steps.contains(&Work::Install);
    will_run && appspec.hooks.get(event.name()).is_some_and(|hooks| !hooks.is_empty())
}

fn trouble(what: &str, error: &io::Error) -> Problem {
    Problem::new(ErrorCode::AgentError, format!("{what}: {error}"))
}

/// Looks at every script of every event that will run.
///
/// # Errors
/// All that are missing or would run as nobody known here, in one fault.
pub fn check_scripts(release: &Path, appspec: &Appspec, events: &[String]) -> Result<(), Fault> {
    let faults = missing_scripts(release, appspec, events);
    let messages: Vec<String> = faults.iter().map(|fault| fault.message.clone()).collect();
    match faults.into_iter().next() {
        Some(first) => Err(Fault { message: messages.join("; "), ..first }),
        None => Ok(()),
    }
}

/// What is wrong with the scripts of these events, one by one.
#[must_use]
pub fn missing_scripts(release: &Path, appspec: &Appspec, events: &[String]) -> Vec<Fault> {
    let known = [&SCRIPT_EVENTS[..], &[ON_FAILURE, ON_ROLLBACK]].concat();
    let mut faults = Vec::new();
    for event in events {
        if !known.contains(&event.as_str()) && !appspec.hooks.contains_key(event) {
            let text = format!("the appspec has no scripts for the event '{event}' asked for");
            faults.push(Fault::new(ErrorCode::AppspecInvalid, text));
        }
        for hook in appspec.hooks.get(event).into_iter().flatten() {
            faults.extend(script::find(release, &hook.location).err());
            faults.extend(script::account(hook).err());
        }
    }
    faults
}
