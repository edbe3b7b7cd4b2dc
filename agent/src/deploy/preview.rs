//! What a deployment would do to this host, found out without touching it: for the controller's
//! preview tasks and for `deploy-local --plan`.

use super::engine::blocking;
use super::fault::{Fault, Stop};
use super::group::Home;
use super::permissions::Attributes;
use super::plan::{Item, Plan, Problem};
use super::preflight::{self, Read};
use super::sources::{From, kept, source_of};
use super::steps::{Work, events_to_check};
use super::{group::Kind, release};
use crate::context::TaskContext;
use crate::link::failed;
use pipelines::ids::is_name;
use pipelines::protocol::answer::{Answer, Change, FileChange, Preview};
use pipelines::protocol::report::{ErrorCode, Outcome};
use pipelines::protocol::task::Deploy;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What is looked at.
pub struct Sight<'a> {
    pub home: &'a Home,
    /// The bundle, unpacked.
    pub release: &'a Path,
    pub deploy: &'a Deploy,
    pub steps: &'a [Work],
    pub appspec_name: Option<&'a str>,
    /// Whether the host has the bundle.
    pub fetched: bool,
}

/// What was seen, with nothing cut off.
#[derive(Default)]
pub struct Seen {
    pub preview: Preview,
    pub problems: Vec<Problem>,
    pub plan: Plan,
}

/// Runs the task. The bundle is fetched if need be, but not kept as a release.
pub async fn run(deploy: &Deploy, ctx: &TaskContext) -> Outcome {
    if !is_name(&deploy.group) {
        let message = format!("'{}' cannot name a deployment group", deploy.group);
        return failed(ErrorCode::AgentError, message, false);
    }
    let home = Home::at(&ctx.dirs.state, &deploy.group);
    let seen = match see(deploy, ctx, home).await {
        Ok(seen) => seen,
        Err(Stop::Told) => return ctx.stopped(Vec::new(), None, false),
        Err(Stop::Fault(fault)) => return failed(fault.code, fault.message, false),
    };
    let mut preview = seen.preview;
    preview.changes.truncate(Preview::LISTED_MAX);
    preview.clashes.truncate(Preview::LISTED_MAX);
    preview.warnings.truncate(Preview::LISTED_MAX);
    preview.hooks.truncate(Preview::LISTED_MAX);
    let (artifacts, exported) = (Vec::new(), BTreeMap::new());
    let answer = Some(Answer::Preview(preview));
    Outcome::Succeeded { steps: Vec::new(), artifacts, exported, answer }
}

async fn see(deploy: &Deploy, ctx: &TaskContext, home: Home) -> Result<Seen, Stop> {
    let bundle = &deploy.revision.bundle;
    let at_home = home.release(&bundle.digest);
    let kept = at_home.clone();
    let fetched = blocking(move || release::look(&kept, true).is_ok()).await?;
    let unpacked = if fetched {
        Ok(at_home)
    } else {
        let (file, room) = (ctx.dirs.work.join("bundle"), ctx.dirs.work.clone());
        release::fetch(ctx, bundle, &file).await?;
        let release = room.join("release");
        blocking(move || {
            // What an earlier life of the agent left there.
            crate::durable::remove_tree(&release).map_err(|e| Fault::disk("making room", &e))?;
            release::put_in_place(&file, &room, &release).map(|_| release)
        })
        .await?
    };
    let steps = super::steps::of(deploy);
    let deploy = deploy.clone();
    let seen = blocking(move || match unpacked {
        Ok(release) => {
            let appspec_name = None;
            look(&Sight {
                home: &home,
                release: &release,
                deploy: &deploy,
                steps: &steps,
                appspec_name,
                fetched,
            })
        }
        Err(fault) => Seen::refused(fault),
    });
    Ok(seen.await?)
}

/// Looks at everything a deployment looks at before it touches anything. Blocks.
pub fn look(sight: &Sight<'_>) -> Seen {
    let Sight { home, release, deploy, steps, appspec_name, fetched } = sight;
    let Read { appspec, warnings } = match preflight::read_appspec(release, *appspec_name) {
        Ok(read) => read,
        Err(fault) => return Seen::refused(fault),
    };
    let events = events_to_check(steps, deploy);
    let mut problems: Vec<Problem> = preflight::missing_scripts(release, &appspec, &events)
        .into_iter()
        .map(|fault| Problem::new(fault.code, fault.message))
        .collect();
    let (plan, more) = preflight::plan_now(home, release, &appspec, deploy);
    problems.extend(more);
    let mut preview = Preview {
        files: plan.items.keys().filter(|path| !plan.clashing.contains(*path)).count() as u64,
        bytes: plan.bytes,
        changes: changes(&plan),
        warnings: warnings.into_iter().chain(plan.warnings.iter().cloned()).collect(),
        fetched: *fetched,
        ..Preview::default()
    };
    preview.changed = preview.changes.len() as u64;
    let mut hooks = |event: &str| -> Result<(), String> {
        let standing = home.standing().map_err(|e| e.to_string())?;
        let list = match source_of(event, deploy, home, &standing).map_err(|f| f.message)? {
            From::New => appspec.hooks.get(event).cloned().unwrap_or_default(),
            From::Kept(digest) => kept(event, &digest, home, *appspec_name)?.hooks,
            From::Nobody => Vec::new(),
        };
        preview.hooks.extend(list.into_iter().map(|hook| (event.to_owned(), hook.location)));
        Ok(())
    };
    let mut unread = Vec::new();
    for step in steps.iter() {
        if let Work::Scripts(event) = step
            && let Err(why) = hooks(event)
        {
            unread.push(format!("{event}: {why}"));
        }
    }
    preview.warnings.extend(unread);
    if preflight::may_cure(&appspec, steps) {
        for problem in problems.iter_mut().filter(|problem| problem.curable) {
            problem.text.push_str(preflight::CURE);
        }
    }
    preview.clashes = problems.iter().map(|problem| problem.text.clone()).collect();
    Seen { preview, problems, plan }
}

impl Seen {
    /// Not even the appspec could be read.
    pub fn refused(fault: Fault) -> Seen {
        let clashes = fault.message.lines().map(str::to_owned).collect();
        Seen {
            preview: Preview { clashes, ..Preview::default() },
            problems: vec![Problem::new(fault.code, fault.message)],
            plan: Plan::default(),
        }
    }
}

/// What will be another afterwards, by path. A file that is written again as it is is no change.
fn changes(plan: &Plan) -> Vec<FileChange> {
    let mut changes: BTreeMap<&PathBuf, Change> = BTreeMap::new();
    changes.extend(plan.removals.iter().chain(&plan.asides).map(|path| (path, Change::Removed)));
    changes.extend(plan.retained.iter().map(|path| (path, Change::Retained)));
    for (path, item) in plan.items.iter().filter(|(path, _)| !plan.clashing.contains(*path)) {
        if !item.replaces && !plan.asides.contains(path) {
            changes.insert(path, Change::Added);
        } else if !is_same(path, item, plan.attributes.get(path)).unwrap_or(false) {
            changes.insert(path, Change::Replaced);
        }
    }
    let change = |(path, change): (&PathBuf, Change)| FileChange {
        path: path.display().to_string(),
        change,
    };
    changes.into_iter().map(change).collect()
}

fn is_same(path: &Path, item: &Item, attributes: Option<&Attributes>) -> io::Result<bool> {
    let (now, then) = (path.symlink_metadata()?, item.source.symlink_metadata()?);
    if Kind::of(&now) != Some(item.kind) {
        return Ok(false);
    }
    let own = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    let owner = attributes.and_then(|a| a.owner).unwrap_or(own.0);
    let group = attributes.and_then(|a| a.group).unwrap_or(own.1);
    if (now.uid(), now.gid()) != (owner, group) {
        return Ok(false);
    }
    if item.kind == Kind::Link {
        return Ok(std::fs::read_link(path)? == std::fs::read_link(&item.source)?);
    }
    let mode = attributes.and_then(|a| a.mode).unwrap_or(then.permissions().mode() & 0o777);
    // What an ACL comes to is more than a mode shows.
    let plain = attributes.is_none_or(|a| a.acls.is_empty() && a.context.is_none());
    let alike = now.len() == then.len() && now.permissions().mode() & 0o7777 == mode && plain;
    Ok(alike && same_content(path, &item.source)?)
}

fn same_content(one: &Path, other: &Path) -> io::Result<bool> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    let (mut left, mut right) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let n = one.read(&mut left)?;
        if n == 0 {
            return Ok(other.read(&mut right[..1])? == 0);
        }
        if other.read_exact(&mut right[..n]).is_err() || left[..n] != right[..n] {
            return Ok(false);
        }
    }
}
