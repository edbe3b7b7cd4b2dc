//! Rolling: a first batch that proves the revision, then batches of one size.

use crate::deploy::plan::Step;
use crate::ids::AgentId;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    pub first: u32,
    pub then: u32,
}

impl Sizes {
    pub(super) fn words(self) -> String {
        if self.first == self.then {
            format!("rolling, {} at a time", self.then)
        } else {
            format!("rolling, first {}, then {} at a time", self.first, self.then)
        }
    }
}

pub(super) fn steps(hosts: &[AgentId], sizes: Sizes) -> Vec<Step> {
    let first = (sizes.first.max(1) as usize).min(hosts.len());
    let (probe, rest) = hosts.split_at(first);
    let batches = rest.chunks(sizes.then.max(1) as usize).map(super::install);
    let probe = (!probe.is_empty()).then(|| super::install(probe));
    probe.into_iter().chain(batches).collect()
}
