//! A host's share of a plan, as its agent is told.

use super::plan::Plan;
use crate::ids::AgentId;
use crate::protocol::task::{Deploy, Part, Purpose, Revision};

impl Plan {
    /// The work that brings `host` to `revision` in these parts. Its earlier revision is kept, so that
    /// going back needs no download.
    #[must_use]
    pub fn host_work(
        &self,
        host: AgentId,
        revision: &Revision,
        purpose: Purpose,
        parts: &[Part],
    ) -> Deploy {
        let prior = self.host(host).and_then(|host| host.prior.as_ref());
        Deploy {
            deployment: self.deployment,
            group: self.group.clone(),
            application: self.application.clone(),
            revision: revision.clone(),
            purpose,
            parts: parts.to_vec(),
            ignore_stop_failures: self.host.ignore_stop_failures,
            file_exists_behavior: self.host.file_exists_behavior,
            keep_releases: self.host.keep_releases,
            keep_bytes: self.host.keep_bytes,
            health: self.host.health.clone(),
            hooks: self.host.hooks.clone(),
            shared: self.host.shared.clone(),
            shared_directories: self.host.shared_directories.clone(),
            pinned: prior.map(|prior| prior.bundle.digest.clone()).into_iter().collect(),
        }
    }

    /// All parts of a host's deployment, in order: with those around the balancer where there is one.
    #[must_use]
    pub fn all_parts(&self) -> Vec<Part> {
        match self.router {
            None => Part::WITHOUT_ROUTER.to_vec(),
            Some(_) => vec![
                Part::Fetch,
                Part::BeforeBlock,
                Part::AfterBlock,
                Part::Install,
                Part::BeforeAllow,
                Part::AfterAllow,
            ],
        }
    }
}
