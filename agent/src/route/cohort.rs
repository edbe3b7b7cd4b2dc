//! Requests of a group's cohorts: those with a header or a cookie go to servers of the revision that is
//! tried, by HAProxy's second backend and a map.
//!
//! The map's entries are there only while somebody who proved itself serves in the second backend:
//! 1. When nobody of those who are there stays, the entries go before anything else.
//! 2. Who comes proves itself in the second backend.
//! 3. The first backend gets its order, as without cohorts.
//! 4. Who leaves is drained in the second backend too.
//! 5. While somebody serves there the entries are set, and read back.
//!
//! The second backend is this agent's alone: whoever it did not bring in is taken out.

use super::apply::{Job, RELOADS_MAX, too_many_reloads};
use super::fault::{Fault, Stop};
use super::haproxy::{Entries, Haproxy, Maps};
use super::kept::{self, Kept};
use super::order::{Second, Target, Wanted, Wish};
use super::router::{Change, Router, Seen, Share, View};
use crate::context::TaskContext;
use pipelines::ids::DeploymentId;
use pipelines::protocol::answer::Routed;
use pipelines::protocol::route::{Route, Traffic};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// All of them share the cohorts' requests equally.
const WEIGHT: u16 = 100;

/// What was told last about a group's cohorts, for the balancer's next life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    pub entries: Entries,
    /// A cohort belongs to one deployment: the first order of another one ends it.
    pub deployment: DeploymentId,
    /// The map may say something else than it should.
    pub is_owed: bool,
}

/// The second backend during one task.
pub struct Cohort {
    haproxy: Haproxy,
    maps: Maps,
    target: Target,
    kept: Kept,
    entries: Entries,
    deployment: DeploymentId,
    /// The order's servers that get the cohorts' requests, and those that do not.
    comes: BTreeSet<String>,
    leaves: BTreeSet<String>,
    _held: tokio::sync::OwnedMutexGuard<()>,
}

impl Cohort {
    /// None where the group knows no cohorts, and none is left from when it did.
    ///
    /// # Errors
    /// When a name or a path is none, or what was told before cannot be read.
    pub async fn open(route: &Route, ctx: &TaskContext) -> Result<Option<Cohort>, Fault> {
        let Some(Second { target, entries }) = Second::of(&route.router)? else { return Ok(None) };
        let Target::Haproxy { socket, backend } = &target else { return Ok(None) };
        let (state, wanted) = (ctx.dirs.state.clone(), target.clone());
        let turn = kept::turn(&ctx.dirs.state, &target);
        turn.hurry();
        let held = turn.busy.clone().lock_owned().await;
        let kept = tokio::task::spawn_blocking(move || Kept::load(&state, &wanted)).await;
        let kept = kept.map_err(std::io::Error::other).flatten().map_err(|e| Fault::disk(&e))?;
        if entries.keys.is_empty() && kept.cohort.is_none() {
            return Ok(None);
        }
        let names = |cohort: bool| {
            let of = route.servers.iter().filter(|order| order.cohort == cohort);
            of.map(|order| order.name.clone()).collect()
        };
        Ok(Some(Cohort {
            haproxy: Haproxy::new(socket, backend),
            maps: Maps::new(socket),
            comes: names(true),
            leaves: names(false),
            target,
            kept,
            entries,
            deployment: route.deployment,
            _held: held,
        }))
    }

    /// Carries out the first backend's order in its place between what the second one needs.
    pub async fn around<R: Router>(&mut self, job: &mut Job<'_, R>) -> Result<Routed, Stop> {
        for _ in 0..RELOADS_MAX {
            match self.once(job).await {
                Err(Stop::Reloaded) => {
                    job.say("the balancer was reloaded meanwhile; beginning again").await;
                }
                ended => return ended,
            }
        }
        Err(too_many_reloads().into())
    }

    async fn once<R: Router>(&mut self, job: &mut Job<'_, R>) -> Result<Routed, Stop> {
        let before = self.haproxy.look().await?;
        if !self.comes.is_empty() {
            self.maps.refuse_missing(&self.entries.file).await?;
        }
        let first = job.router.look().await?;
        self.begin(job).await?;
        if !before.servers.iter().any(|seen| seen.serves() && self.stays(&seen.name)) {
            self.withdraw(job).await?;
        }
        let newcomers: Vec<String> =
            self.comes.iter().filter(|name| !self.kept.is_in(name)).cloned().collect();
        let come = self.who_comes(job.wish, &first, &before);
        self.carry_out(job, &come).await?;
        let routed = match job.run().await {
            Ok(routed) => routed,
            Err(stop) => {
                self.back_out(job, &newcomers).await;
                return Err(stop);
            }
        };
        let now = self.haproxy.look().await?;
        let leave = self.who_leaves(job.wish, &now);
        self.carry_out(job, &leave).await?;
        let after = self.haproxy.look().await?;
        if after.life != before.life {
            return Err(Stop::Reloaded);
        }
        self.finish(job, &after).await?;
        Ok(routed)
    }

    /// Whatever an earlier deployment, or the group as it was before, had told apart.
    async fn begin<R: Router>(&mut self, job: &mut Job<'_, R>) -> Result<(), Stop> {
        let Cohort { entries, deployment, .. } = self;
        let told = self.kept.cohort.clone();
        if let Some(told) = told.filter(|of| of.entries != *entries || of.deployment != *deployment)
        {
            job.touched |= self.maps.withdraw(&told.entries).await?;
            if told.deployment != *deployment {
                for server in self.kept.servers.values_mut() {
                    server.traffic = Traffic::Out;
                }
            }
        }
        let (entries, deployment) = (self.entries.clone(), self.deployment);
        self.kept.cohort = Some(Told { entries, deployment, is_owed: true });
        self.kept.save(job.state).await.map_err(|e| Fault::disk(&e))?;
        Ok(())
    }

    /// Whether it was brought in here, and is not to go.
    fn stays(&self, name: &str) -> bool {
        self.kept.is_in(name) && !self.leaves.contains(name)
    }

    async fn withdraw<R: Router>(&mut self, job: &mut Job<'_, R>) -> Result<(), Fault> {
        if self.maps.withdraw(&self.entries).await? {
            job.touched = true;
            job.say("the cohorts' requests are shared out like all others").await;
        }
        Ok(())
    }

    /// Those who come, at the address they have in the first backend; and out with who is no business
    /// of the cohorts.
    fn who_comes(&self, wish: &Wish, first: &View, second: &View) -> Wish {
        let comes = wish.servers.iter().filter(|wanted| self.comes.contains(&wanted.name));
        let mut servers: Vec<Wanted> = comes
            .map(|wanted| Wanted {
                name: wanted.name.clone(),
                address: wanted.address.or_else(|| first.server(&wanted.name)?.address),
                traffic: Traffic::In { weight: WEIGHT },
            })
            .collect();
        let is_stranger = |seen: &&Seen| {
            let named = self.comes.contains(&seen.name) || self.leaves.contains(&seen.name);
            !named && seen.share != Share::Out && !self.kept.is_in(&seen.name)
        };
        let strangers = second.servers.iter().filter(is_stranger).map(|seen| seen.name.clone());
        let out = |name| Wanted { name, address: None, traffic: Traffic::Out };
        servers.extend(strangers.map(out));
        beside(wish, servers)
    }

    fn who_leaves(&mut self, wish: &Wish, second: &View) -> Wish {
        let mut servers = Vec::new();
        for wanted in wish.servers.iter().filter(|wanted| self.leaves.contains(&wanted.name)) {
            let name = wanted.name.clone();
            if second.server(&name).is_none() {
                // Nor is it brought in again after the next reload.
                self.kept.note(&Wanted { name, address: None, traffic: Traffic::Gone });
                continue;
            }
            let gone = wanted.traffic == Traffic::Gone;
            let traffic = if gone { Traffic::Gone } else { Traffic::Out };
            servers.push(Wanted { name, address: None, traffic });
        }
        beside(wish, servers)
    }

    /// An order to the second backend.
    async fn carry_out<R: Router>(
        &mut self,
        job: &mut Job<'_, R>,
        wish: &Wish,
    ) -> Result<(), Stop> {
        if wish.servers.is_empty() {
            return Ok(());
        }
        let mut here = Job {
            router: &mut self.haproxy,
            target: &self.target,
            wish,
            cancel: job.cancel,
            log: job.log,
            state: job.state,
            kept: &mut self.kept,
            touched: false,
            life: String::new(),
        };
        let ended = here.run().await;
        job.touched |= here.touched;
        match ended {
            Ok(_) => Ok(()),
            Err(Stop::Fault(Fault { code, message })) => {
                let message =
                    format!("in '{}', the cohorts' backend: {message}", self.target.name());
                Err(Fault { code, message }.into())
            }
            Err(stop) => Err(stop),
        }
    }

    /// The first backend did not do its part: those who came are not to be found by the cohorts alone.
    async fn back_out<R: Router>(&mut self, job: &mut Job<'_, R>, newcomers: &[String]) {
        let out = |name: &String| Change::Out { name: name.clone() };
        let out: Vec<Change> = newcomers.iter().map(out).collect();
        for name in newcomers {
            let out = Wanted { name: name.clone(), address: None, traffic: Traffic::Out };
            self.kept.note(&out);
        }
        let undone = async {
            self.kept.save(job.state).await.map_err(|e| Fault::disk(&e))?;
            // Before they go: there may be nobody else.
            let view = self.haproxy.look().await?;
            settle(&mut self.kept, &view).await?;
            self.haproxy.shift(&out).await
        };
        if let Err(fault) = undone.await {
            job.say(&format!("cannot take back what was begun: {}", fault.message)).await;
        }
    }

    async fn finish<R: Router>(&mut self, job: &mut Job<'_, R>, after: &View) -> Result<(), Fault> {
        if settle(&mut self.kept, after).await? {
            job.touched = true;
            let backend = self.target.name();
            job.say(&format!("the cohorts' requests are answered by '{backend}'")).await;
        }
        self.kept.save(job.state).await.map_err(|e| Fault::disk(&e))?;
        let is_owed = self.kept.cohort.as_ref().is_some_and(|told| told.is_owed);
        if is_owed && !self.comes.is_empty() {
            return Err(Fault::router(format!(
                "nobody in '{}', the cohorts' backend, is good for the balancer any more, so the cohorts' \
                 requests are shared out like all others: look at what the application answers to its check",
                self.target.name()
            )));
        }
        Ok(())
    }
}

/// Sends the cohorts to the second backend while somebody who was brought in there serves, and nobody
/// otherwise. True when they were not sent there before, and are now.
///
/// # Errors
/// When HAProxy does not do it.
pub async fn settle(kept: &mut Kept, view: &View) -> Result<bool, Fault> {
    let (Some(told), Target::Haproxy { socket, .. }) = (kept.cohort.clone(), &kept.target) else {
        return Ok(false);
    };
    let maps = Maps::new(socket);
    let serves = view.servers.iter().any(|seen| seen.serves() && kept.is_in(&seen.name));
    let changed = if serves {
        maps.set(&told.entries).await?
    } else {
        maps.withdraw(&told.entries).await?;
        false
    };
    let is_owed = !serves && kept.servers.keys().any(|name| kept.is_in(name));
    kept.cohort = Some(Told { is_owed, ..told });
    Ok(changed)
}

/// Nobody is told apart until [`settle`] says so again.
///
/// # Errors
/// When HAProxy does not do it.
pub async fn suspend(kept: &Kept) -> Result<(), Fault> {
    if let (Some(told), Target::Haproxy { socket, .. }) = (&kept.cohort, &kept.target) {
        Maps::new(socket).withdraw(&told.entries).await?;
    }
    Ok(())
}

/// With the same patience. It may be empty: then nobody is sent there.
fn beside(wish: &Wish, servers: Vec<Wanted>) -> Wish {
    Wish { servers, may_empty: true, partial: false, strict: true, ..wish.clone() }
}
