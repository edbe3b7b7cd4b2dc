//! When a plan would start, and which monitors would be looked at.

use super::Outlook;
use crate::api::monitors::MonitorList;
use crate::api::shared;
use pipelines::deploy::outlook::{self, Around, Start};
use pipelines::protocol::task::Purpose;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub struct StartBody {
    /// Nothing would hold it back.
    at_once: bool,
    /// What it would wait for, and what its order does to others, in sentences.
    sentences: Vec<String>,
    /// The group's calendar lets nothing start before; null also where nobody knows until when.
    not_before: Option<String>,
}

pub fn start(outlook: &Outlook) -> Start {
    let Outlook { others, overtakable, now, .. } = outlook;
    let around = Around { others, overtakable, now: *now };
    outlook::start(&outlook.group.spec, outlook.plan.purpose, &around)
}

impl From<Start> for StartBody {
    fn from(start: Start) -> StartBody {
        let Start { rejected, waits, besides, not_before } = start;
        StartBody {
            at_once: rejected.is_none() && waits.is_empty(),
            sentences: waits.into_iter().chain(besides).collect(),
            not_before: shared::at_opt(not_before),
        }
    }
}

/// The group's monitors as they were seen last: nobody looks at them while nothing is deployed.
#[derive(Debug, Serialize)]
pub struct GuardsBody {
    #[serde(flatten)]
    last: MonitorList,
    /// What they mean for this plan, in sentences.
    sentences: Vec<String>,
}

impl GuardsBody {
    pub fn new(outlook: &Outlook) -> GuardsBody {
        let last = outlook.monitors.clone();
        let mut sentences = Vec::new();
        if outlook.plan.purpose == Purpose::Rollback && !last.monitors.is_empty() {
            sentences.push("A rollback is not watched: no monitor stops it.".to_owned());
        } else if !outlook.plan.monitors.is_empty() {
            let text = "Each is looked at before it starts, and until it ends. One that is in alarm at \
                        the start does not stop it, which may be the mend: it counts from when it was well.";
            sentences.push(text.to_owned());
        }
        GuardsBody { last, sentences }
    }
}
