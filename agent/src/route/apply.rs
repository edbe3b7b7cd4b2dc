//! The order of things: prove, flip, drain, cut, read back. The same for every balancer.

use super::fault::{Fault, Stop};
use super::kept::Kept;
use super::order::{Target, Wanted, Wish};
use super::plan::Plan;
use super::read_back::read_back;
use super::router::{Change, Router, View};
use crate::context::{Cancel, LogWriter};
use pipelines::protocol::answer::Routed;
use pipelines::protocol::route::Traffic;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// Between looks while something is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// A balancer that is reloaded more often than this during one task is not to be worked with.
pub const RELOADS_MAX: u32 = 5;

/// A wish on its way.
pub struct Job<'a, R> {
    pub router: &'a mut R,
    pub target: &'a Target,
    pub wish: &'a Wish,
    pub cancel: &'a Cancel,
    pub log: Option<&'a LogWriter>,
    /// The agent's state directory.
    pub state: &'a Path,
    pub kept: &'a mut Kept,
    /// Whether the balancer was told anything.
    pub touched: bool,
    /// The balancer's life as it was seen last.
    pub life: String,
}

impl<R: Router> Job<'_, R> {
    /// Does it from the beginning to the end, again when the balancer was reloaded meanwhile.
    pub async fn run(&mut self) -> Result<Routed, Stop> {
        let mut reloads = 0;
        loop {
            match self.once().await {
                Err(Stop::Reloaded) if reloads < RELOADS_MAX => {
                    reloads += 1;
                    self.say("the balancer was reloaded meanwhile; beginning again").await;
                }
                Err(Stop::Reloaded) => {
                    return Err(too_many_reloads().into());
                }
                ended => return ended,
            }
        }
    }

    /// What is true now, for people.
    pub async fn words(&mut self) -> String {
        match self.router.look().await {
            Ok(view) => {
                let words = |wanted: &Wanted| match view.server(&wanted.name) {
                    Some(seen) => format!("{}: {}, {} open", seen.name, seen.words, seen.in_flight),
                    None => format!("{}: unknown", wanted.name),
                };
                self.wish.servers.iter().map(words).collect::<Vec<_>>().join("; ")
            }
            Err(fault) => format!("the balancer does not say: {}", fault.message),
        }
    }

    async fn once(&mut self) -> Result<Routed, Stop> {
        // Before anything is planned by what it says. Nothing else changes by it.
        if self.router.settle().await? {
            self.say("it was not known to have loaded its file, and has now").await;
        }
        let before = self.router.look().await?;
        self.life.clone_from(&before.life);
        let mut plan = Plan::new(self.target, &before, self.wish)?;
        // What is wanted of those that do not hold up the rest.
        let mut wish = self.wish.clone();
        let mut late = None;
        for (name, address) in &plan.add {
            self.touched = true;
            self.kept.added.insert(name.clone(), self.life.clone());
            self.kept.save(self.state).await.map_err(|e| Fault::disk(&e))?;
            self.router.add(name, *address).await?;
            self.say(&format!("added {name} at {address}")).await;
        }
        if !plan.prove.is_empty() {
            self.touched = true;
            late = self.prove(&mut plan, &mut wish).await?;
        }
        if !plan.flip.is_empty() {
            self.touched = true;
            let began = Instant::now();
            self.router.shift(&plan.flip).await?;
            let took = began.elapsed().as_micros();
            self.say(&format!("{} changed in {took} µs", count(plan.flip.len()))).await;
        }
        self.keep(&wish, |wanted| wanted.traffic != Traffic::Gone).await?;
        let cut = self.emptied(&plan).await?;
        if !plan.gone.is_empty() {
            self.touched = true;
            let gone = plan.gone.iter().map(|name| Change::Gone { name: name.clone() });
            self.router.shift(&gone.collect::<Vec<_>>()).await?;
        }
        if let Some(fault) = late {
            return Err(fault.into());
        }
        self.touched |= self.router.settle().await?;
        let after = self.look_again().await?;
        self.keep(&wish, |_| true).await?;
        Ok(Routed { servers: read_back(&after, &wish, &cut)? })
    }

    /// A look at the same life of the balancer.
    pub(super) async fn look_again(&mut self) -> Result<View, Stop> {
        let view = self.router.look().await?;
        if view.life == self.life { Ok(view) } else { Err(Stop::Reloaded) }
    }

    /// Takes out what goes out, lets open requests end, and cuts those that do not.
    async fn emptied(&mut self, plan: &Plan) -> Result<BTreeMap<String, u32>, Stop> {
        if plan.empty.is_empty() {
            return Ok(BTreeMap::new());
        }
        let began = Instant::now();
        if !plan.linger.is_empty() {
            self.wait_empty(&plan.linger, began + self.wish.linger).await?;
            let out = plan.linger.iter().map(|name| Change::Out { name: name.clone() });
            self.router.shift(&out.collect::<Vec<_>>()).await?;
        }
        let deadline = began + self.wish.linger + self.wish.finish;
        let open = self.wait_empty(&plan.empty, deadline).await?;
        if open.is_empty() {
            return Ok(BTreeMap::new());
        }
        let cut = self.router.cut(&open).await?;
        for (name, requests) in &cut {
            self.say(&format!("{name}: {requests} open requests cut after the drain time")).await;
        }
        Ok(cut)
    }

    /// Waits until these have no open requests, or it is too late; says which still have.
    async fn wait_empty(
        &mut self,
        names: &[String],
        deadline: Instant,
    ) -> Result<Vec<String>, Stop> {
        loop {
            let view = self.look_again().await?;
            let is_open = |name: &&String| view.server(name).is_some_and(|seen| seen.in_flight > 0);
            let open: Vec<String> = names.iter().filter(is_open).cloned().collect();
            if open.is_empty() || Instant::now() >= deadline {
                return Ok(open);
            }
            self.pause(deadline).await?;
        }
    }

    pub(super) async fn pause(&self, deadline: Instant) -> Result<(), Stop> {
        let wake = (Instant::now() + LOOK_EVERY).min(deadline);
        tokio::select! {
            () = self.cancel.cancelled() => Err(Stop::Told),
            () = tokio::time::sleep_until(wake) => Ok(()),
        }
    }

    /// Remembers what these servers are to get, for the balancer's next life.
    pub(super) async fn keep(
        &mut self,
        wish: &Wish,
        which: impl Fn(&Wanted) -> bool,
    ) -> Result<(), Fault> {
        for wanted in wish.servers.iter().filter(|wanted| which(wanted)) {
            self.kept.note(wanted);
            // What is only told again may not have been possible; the watch looks by itself.
            if self.wish.strict {
                self.kept.owed.remove(&wanted.name);
            }
        }
        if self.kept.life.is_empty() {
            self.kept.life.clone_from(&self.life);
        }
        self.kept.save(self.state).await.map_err(|e| Fault::disk(&e))
    }

    pub(super) async fn say(&self, line: &str) {
        match self.log {
            Some(log) => log.say(&format!("[router] {line}")).await,
            None => tracing::debug!(balancer = %self.target.key(), "{line}"),
        }
    }
}

pub(super) fn too_many_reloads() -> Fault {
    Fault::router(format!(
        "the balancer was reloaded {RELOADS_MAX} times meanwhile: find out what reloads it, and deploy again"
    ))
}

pub(super) fn count(servers: usize) -> String {
    if servers == 1 { "1 server".to_owned() } else { format!("{servers} servers") }
}
