//! Servers prove themselves before they get traffic: nobody is let in on what was true earlier.

use super::apply::{Job, count};
use super::fault::{Fault, Stop};
use super::order::Wish;
use super::plan::Plan;
use super::router::{Change, Router, Seen, View};
use pipelines::protocol::answer::Check;
use pipelines::protocol::route::Traffic;
use pipelines::time::Millis;
use std::time::Duration;
use tokio::time::Instant;

/// Once others serve, the late ones of a partial wish have this part of the time a check may take; or as
/// long again as the first took, if that is more.
const LATE_PART: u32 = 3;

/// How the waiting ended.
struct Proof {
    /// Those that were not good in time.
    red: Vec<Seen>,
    waited: Duration,
    /// What did not depend on them was done meanwhile.
    went_ahead: bool,
}

impl<R: Router> Job<'_, R> {
    /// Servers that are to come in prove themselves, or nothing changes. A partial wish lets those in that
    /// do, as soon as they do, and leaves out the others. What is only told again does as much as can be
    /// done, and says afterwards what was missing.
    pub(super) async fn prove(
        &mut self,
        plan: &mut Plan,
        wish: &mut Wish,
    ) -> Result<Option<Fault>, Stop> {
        match self.proven(plan).await {
            Ok(proof) if proof.red.is_empty() => {
                self.say(&format!("{} green", count(plan.prove.len()))).await;
                Ok(None)
            }
            Ok(Proof { red, waited, went_ahead }) => {
                let names: Vec<String> = red.iter().map(|seen| seen.name.clone()).collect();
                let fault = too_late(&red, waited);
                if self.wish.strict && !went_ahead {
                    self.back_out(&plan.prove).await;
                    return Err(fault.into());
                }
                self.back_out(&names).await;
                plan.flip.retain(|change| !names.iter().any(|name| name == change.name()));
                if !self.wish.strict {
                    return Ok(Some(fault));
                }
                self.say(&format!("going on without: {}", fault.message)).await;
                for wanted in wish.servers.iter_mut().filter(|w| names.contains(&w.name)) {
                    wanted.traffic = Traffic::Out;
                }
                Ok(None)
            }
            // Another life knows nothing of what was begun in this one.
            Err(Stop::Reloaded) => Err(Stop::Reloaded),
            Err(stop @ (Stop::Fault(_) | Stop::Told)) => {
                self.back_out(&plan.prove).await;
                Err(stop)
            }
        }
    }

    /// Waits until the balancer's own check finds the plan's servers good, which get no traffic meanwhile.
    async fn proven(&mut self, plan: &mut Plan) -> Result<Proof, Stop> {
        let began = Instant::now();
        let mut deadline = began + self.wish.ready;
        let mut went_ahead = false;
        self.router.prove(&plan.prove).await?;
        loop {
            let view = self.look_again().await?;
            let is_red = |seen: &&Seen| plan.prove.contains(&seen.name) && !seen.is_green();
            let red: Vec<Seen> = view.servers.iter().filter(is_red).cloned().collect();
            if !red.is_empty() && self.wish.partial && self.others_take_over(&view, &red) {
                self.go_ahead(plan, &red).await?;
                if !std::mem::replace(&mut went_ahead, true) {
                    let late = began.elapsed().max(self.wish.ready / LATE_PART);
                    deadline = deadline.min(Instant::now() + late);
                }
            }
            if red.is_empty() || Instant::now() >= deadline {
                return Ok(Proof { red, waited: deadline - began, went_ahead });
            }
            self.pause(deadline).await?;
        }
    }

    /// Whether somebody answers of those that are to be in.
    fn others_take_over(&self, view: &View, red: &[Seen]) -> bool {
        let is_red = |name: &str| red.iter().any(|seen| seen.name == name);
        let mut wanted = self.wish.servers.iter();
        wanted.any(|wanted| {
            matches!(wanted.traffic, Traffic::In { .. })
                && !is_red(&wanted.name)
                && view.server(&wanted.name).is_some_and(Seen::is_green)
        })
    }

    /// Does all that does not wait for these: what comes in serves at once.
    async fn go_ahead(&mut self, plan: &mut Plan, red: &[Seen]) -> Result<(), Stop> {
        let waits = |name: &str| red.iter().any(|seen| seen.name == name);
        let flip = std::mem::take(&mut plan.flip);
        let (late, now): (Vec<_>, Vec<_>) =
            flip.into_iter().partition(|change| waits(change.name()));
        plan.flip = late;
        // From here on only these are taken back when it is stopped.
        plan.prove.retain(|name| waits(name));
        if now.is_empty() {
            return Ok(());
        }
        self.router.shift(&now).await?;
        self.say(&format!("{} changed, {} still late", count(now.len()), count(red.len()))).await;
        let wish = self.wish;
        self.keep(wish, |wanted| wanted.traffic != Traffic::Gone && !waits(&wanted.name)).await?;
        Ok(())
    }

    /// Servers that did not prove themselves must not be left where sticky clients reach them.
    async fn back_out(&mut self, names: &[String]) {
        let out: Vec<Change> =
            names.iter().map(|name| Change::Out { name: name.clone() }).collect();
        if let Err(fault) = self.router.shift(&out).await {
            self.say(&format!("cannot take back what was begun: {}", fault.message)).await;
        }
    }
}

fn too_late(red: &[Seen], waited: Duration) -> Fault {
    let words: Vec<String> = red
        .iter()
        .map(|seen| match &seen.check {
            Check::Down { reason } => format!("'{}' ({reason})", seen.name),
            Check::Up | Check::None => format!("'{}'", seen.name),
        })
        .collect();
    let waited = Millis(u64::try_from(waited.as_millis()).unwrap_or(u64::MAX));
    Fault::router(format!(
        "the balancer's own check of {} was not good within {waited}, so no traffic was given: look at what \
         the application answers to it, from the balancer's host",
        words.join(", ")
    ))
}
