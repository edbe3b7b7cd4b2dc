//! What is really there: hosts with their agents, a balancer, instances. The engine only hears of it.

use super::Dice;
use super::faults::Faults;
use crate::deploy::retention::{self, Keep};
use crate::deploy::{HostOutcome, RouteOutcome};
use crate::ids::AgentId;
use crate::protocol::report::{ErrorCode, TaskError};
use crate::protocol::route::Traffic;
use crate::protocol::task::Part;
use std::collections::BTreeSet;

/// A revision in the virtual fleet: 0 is none at all.
pub type Version = u8;

/// What runs on hosts that the balancer serves and nobody installed by us.
pub const ADOPTED: Version = 9;

/// A host as it really is.
#[derive(Debug, Clone)]
pub struct Real {
    pub exists: bool,
    /// The agent reaches the controller.
    pub connected: bool,
    pub lost_for_good: bool,
    /// What answers requests; false while it is being changed, and after a failure.
    pub sound: bool,
    pub version: Version,
    /// The highest generation it was told: on its disk.
    generation: u64,
    /// Attempts it has begun: on its disk. A hook runs at most once in each.
    begun: Vec<u32>,
    running: Option<Running>,
    /// What the balancer sends it.
    pub weight: Option<u16>,
    /// It gets the requests of the group's cohorts as well.
    pub cohort: bool,
    /// Releases on its disk; what runs is one of them.
    releases: BTreeSet<Version>,
    /// Those that once succeeded here, oldest first.
    history: Vec<Version>,
}

#[derive(Debug, Clone)]
struct Running {
    attempt: u32,
    install: bool,
    target: Version,
    pinned: Option<Version>,
    keep: Keep,
    outcome: Fate,
}

/// How work on a host will end if nothing comes between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Success,
    FailUntouched,
    FailTouched,
}

impl Real {
    pub fn new(version: Version, weight: Option<u16>) -> Real {
        Real {
            exists: true,
            connected: true,
            lost_for_good: false,
            sound: version > 0,
            version,
            generation: 0,
            begun: Vec::new(),
            running: None,
            weight,
            cohort: false,
            releases: own(version).into_iter().collect(),
            history: own(version).into_iter().collect(),
        }
    }

    pub fn not_yet() -> Real {
        Real { exists: false, connected: false, sound: false, ..Real::new(0, None) }
    }

    pub fn is_busy(&self) -> bool {
        self.running.is_some()
    }

    /// A new deployment: attempts are counted anew.
    pub fn forget_attempts(&mut self) {
        self.begun.clear();
        self.running = None;
    }

    /// The agent takes a task. `Ok(true)`: it runs; `Ok(false)`: it has been told before, or is busy with
    /// another and asks again later.
    ///
    /// # Errors
    /// What the agent answers at once, or the rule that was broken by handing it out.
    pub fn begin(
        &mut self,
        task: &HostTask,
        dice: &mut Dice,
        faults: &Faults,
    ) -> Result<bool, Refusal> {
        if self.begun.contains(&task.attempt) {
            return Ok(false);
        }
        if task.generation < self.generation {
            self.begun.push(task.attempt);
            return Err(Refusal::Answer(HostOutcome::Failed(error(ErrorCode::Fenced, false))));
        }
        self.generation = task.generation;
        self.begun.push(task.attempt);
        if self.running.is_some() {
            return Err(Refusal::Broken("I6: two works on one host"));
        }
        let install = task.parts.contains(&Part::Install);
        if install && self.weight.is_some() {
            return Err(Refusal::Broken("I2: an application was changed under traffic"));
        }
        let outcome = match dice.permille(faults.work_fails) {
            true if install && dice.permille(600) => Fate::FailTouched,
            true => Fate::FailUntouched,
            false => Fate::Success,
        };
        if install && outcome != Fate::FailUntouched {
            self.sound = false;
        }
        let HostTask { attempt, target, pinned, keep, .. } = *task;
        if install {
            self.releases.insert(target);
        }
        self.running = Some(Running { attempt, install, target, pinned, keep, outcome });
        Ok(true)
    }

    /// Its work comes to its end, if it is still that attempt.
    ///
    /// # Errors
    /// The rule of retention that was broken by it.
    pub fn end(&mut self, attempt: u32) -> Result<Option<HostOutcome>, &'static str> {
        let running = self.running.take_if(|running| running.attempt == attempt);
        let Some(running) = running else { return Ok(None) };
        Ok(Some(match running.outcome {
            Fate::Success => {
                if running.install {
                    self.version = running.target;
                    self.sound = true;
                    self.prune(&running)?;
                }
                HostOutcome::Succeeded
            }
            Fate::FailUntouched => HostOutcome::Failed(error(ErrorCode::BundleInvalid, false)),
            Fate::FailTouched => {
                self.version = running.target;
                HostOutcome::Failed(error(ErrorCode::ScriptFailed, true))
            }
        }))
    }

    /// What an agent does after a success, by the same rule.
    fn prune(&mut self, done: &Running) -> Result<(), &'static str> {
        self.history.retain(|version| *version != done.target);
        self.history.push(done.target);
        let before = self.releases.clone();
        let fixed: Vec<Version> = done.pinned.into_iter().chain([self.version]).collect();
        let kept = retention::kept(&self.history, &fixed, done.keep, |_| 1);
        self.releases.retain(|version| kept.contains(version));
        let stays =
            |version: &Version| self.releases.contains(version) || !before.contains(version);
        if !fixed.iter().all(stays) {
            return Err("I22: a release is gone that is in use or to be gone back to");
        }
        let mut recent = self.history.iter().rev().take(done.keep.number as usize);
        if !recent.all(stays) {
            return Err("I23: something pushed a release out that had succeeded");
        }
        Ok(())
    }

    /// Whether what `current` leads to is there. What was there before us is not ours to keep.
    pub fn is_complete(&self) -> bool {
        own(self.version).is_none_or(|version| self.releases.contains(&version))
    }

    /// Told to stop, or the agent itself was stopped in the middle.
    pub fn stop(&mut self, attempt: Option<u32>) -> Option<(u32, HostOutcome)> {
        let told = attempt.is_some();
        let running = self.running.take_if(|r| attempt.is_none_or(|attempt| attempt == r.attempt));
        let Some(running) = running else {
            // It will not begin it any more.
            let attempt = attempt.filter(|attempt| !self.begun.contains(attempt))?;
            self.begun.push(attempt);
            return Some((attempt, HostOutcome::Cancelled { touched: false }));
        };
        let touched = running.install && running.outcome != Fate::FailUntouched;
        let outcome = match told {
            true => HostOutcome::Cancelled { touched },
            false => HostOutcome::Failed(error(ErrorCode::Interrupted, touched)),
        };
        Some((running.attempt, outcome))
    }
}

/// A version that an agent of ours has installed.
fn own(version: Version) -> Option<Version> {
    (version > 0 && version != ADOPTED).then_some(version)
}

/// What an agent says instead of working.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    Answer(HostOutcome),
    /// It should never have been asked.
    Broken(&'static str),
}

#[derive(Debug, Clone)]
pub struct HostTask {
    pub host: AgentId,
    pub attempt: u32,
    pub generation: u64,
    pub parts: Vec<Part>,
    pub target: Version,
    /// Where it would go back to.
    pub pinned: Option<Version>,
    pub keep: Keep,
}

/// The balancer and the agent beside it.
#[derive(Debug, Clone, Default)]
pub struct Router {
    pub connected: bool,
    generation: u64,
    done: Vec<u32>,
    /// Nothing was done for the deployment in progress yet.
    fresh: bool,
}

#[derive(Debug, Clone)]
pub struct RouteTask {
    pub attempt: u32,
    pub generation: u64,
    pub orders: Vec<(AgentId, Traffic)>,
    pub cohort: Vec<AgentId>,
    pub partial: bool,
}

impl Router {
    pub fn new() -> Router {
        Router { connected: true, ..Router::default() }
    }

    pub fn forget_attempts(&mut self) {
        self.fresh = true;
        self.done.clear();
    }

    /// Will not carry it out any more. False: it did already, or was told before.
    pub fn forget(&mut self, task: &RouteTask) -> bool {
        let new = !self.done.contains(&task.attempt);
        if new {
            self.done.push(task.attempt);
        }
        new
    }

    /// Carries an order out, or a part of it. None: it did before.
    ///
    /// # Errors
    /// The rule that was broken by it.
    pub fn apply(
        &mut self,
        task: &RouteTask,
        hosts: &mut [Real],
        dice: &mut Dice,
        faults: &Faults,
    ) -> Result<Option<RouteOutcome>, &'static str> {
        if self.done.contains(&task.attempt) {
            return Ok(None);
        }
        self.done.push(task.attempt);
        if task.generation < self.generation {
            return Ok(Some(RouteOutcome::Failed(error(ErrorCode::Fenced, false))));
        }
        self.generation = task.generation;
        if std::mem::take(&mut self.fresh) {
            // Whatever an earlier deployment tried.
            hosts.iter_mut().for_each(|host| host.cohort = false);
        }
        let fails = dice.permille(faults.route_fails);
        let part = if fails { dice.below(task.orders.len() as u64 + 1) } else { u64::MAX };
        let mut out = Vec::new();
        let comes = |(id, traffic): &&(AgentId, Traffic)| {
            let host = &hosts[index_of(*id)];
            matches!(traffic, Traffic::In { .. }) && host.sound && host.exists
        };
        let partial = task.partial && task.orders.iter().any(|order| comes(&order));
        for (index, (id, traffic)) in task.orders.iter().enumerate() {
            let host = &mut hosts[index_of(*id)];
            if index as u64 >= part {
                return Ok(Some(RouteOutcome::Failed(error(ErrorCode::RouterFailed, false))));
            }
            host.weight = match traffic {
                Traffic::In { .. } if partial && !(host.sound && host.exists) => {
                    out.push(*id);
                    None
                }
                // Its own check is red: it does not let it in.
                Traffic::In { .. } if !(host.sound && host.exists) => {
                    return Ok(Some(RouteOutcome::Failed(error(ErrorCode::RouterFailed, false))));
                }
                Traffic::In { weight } => Some(*weight),
                Traffic::Out | Traffic::Gone => None,
            };
            host.cohort = host.weight.is_some() && task.cohort.contains(id);
        }
        if out.is_empty() {
            return Ok(Some(RouteOutcome::Applied));
        }
        Ok(Some(RouteOutcome::Partly { out: out.iter().map(ToString::to_string).collect() }))
    }
}

/// Hosts are numbered from 1.
#[must_use]
pub fn index_of(id: AgentId) -> usize {
    usize::try_from(id.0 - 1).unwrap_or(0)
}

fn error(code: ErrorCode, touched: bool) -> TaskError {
    TaskError { code, message: String::new(), step: None, command: None, touched }
}
