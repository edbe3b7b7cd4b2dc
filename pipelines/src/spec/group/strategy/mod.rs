//! How a revision reaches the hosts, step by step.

mod alias;
mod canary;
mod read;

use crate::spec::group::{Amount, Batch, Selector};
use crate::spec::print;
use crate::spec::yaml::Mark;
use crate::time::Millis;
use serde::{Deserialize, Serialize};

pub(super) use read::{default, read};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Strategy {
    AllAtOnce,
    /// Batch after batch, in place.
    Rolling {
        batch: Batch,
        /// A smaller first batch; one host where absent, and none where `batch` is a list.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        first_batch: Option<Amount>,
        /// Whether a batch has to be done before the next starts; otherwise hosts move up singly.
        #[serde(default)]
        barrier: bool,
        /// Wait after each batch.
        #[serde(default, skip_serializing_if = "Option::is_none", with = "print::time_option")]
        hold: Option<Millis>,
        /// Watched so long after the last batch.
        #[serde(default, with = "print::time")]
        bake: Millis,
    },
    /// Rolling, with extra hosts so that capacity never falls.
    RollingExtra {
        batch: Amount,
        extra: Amount,
        #[serde(default, skip_serializing_if = "Option::is_none", with = "print::time_option")]
        hold: Option<Millis>,
        #[serde(default, with = "print::time")]
        bake: Millis,
    },
    /// A whole new set of hosts; the old ones are never touched.
    Immutable {
        /// How many of the new hosts come first.
        first: Amount,
        #[serde(with = "print::time")]
        bake: Millis,
        #[serde(with = "print::time")]
        keep_old: Millis,
    },
    /// Two sets; traffic switches from one to the other. Fixed sets are both selected; where neither
    /// is, the group's instances make the second one anew each time.
    BlueGreen {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        blue: Option<Selector>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        green: Option<Selector>,
        /// A URL at which the idle set is tried before the switch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        test: Option<String>,
        /// Whether a person decides about the switch.
        #[serde(default)]
        approve: bool,
        /// Switch by itself after this time, if nobody did.
        #[serde(default, skip_serializing_if = "Option::is_none", with = "print::time_option")]
        promote_after: Option<Millis>,
        #[serde(with = "print::time")]
        bake: Millis,
        #[serde(with = "print::time")]
        keep_old: Millis,
    },
    /// Growing shares of the traffic.
    Canary {
        steps: Vec<CanaryStep>,
        #[serde(with = "print::time")]
        bake: Millis,
    },
    /// Equal shares at equal intervals.
    Linear {
        /// Percent added each time.
        step: u32,
        #[serde(with = "print::time")]
        every: Millis,
        #[serde(with = "print::time")]
        bake: Millis,
    },
}

/// One step of a canary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CanaryStep {
    /// Percent of the traffic.
    pub weight: u32,
    /// Hosts that carry it; as many percent as the weight where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<Amount>,
    #[serde(with = "print::time")]
    pub hold: Millis,
    /// Judged only with at least so many requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_samples: Option<u32>,
    /// Monitors that decide; all of the group where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub analyse: Vec<String>,
    /// Whether a person decides about going on.
    #[serde(default)]
    pub approve: bool,
}

impl Default for Strategy {
    fn default() -> Self {
        Strategy::rolling(Amount::Count(1).into())
    }
}

impl Strategy {
    /// Rolling with these batches, and defaults for the rest.
    #[must_use]
    pub fn rolling(batch: Batch) -> Self {
        let bake = Millis::ZERO;
        Strategy::Rolling { batch, first_batch: None, barrier: false, hold: None, bake }
    }

    /// Whether for a while both revisions serve, and requests can be told apart.
    #[must_use]
    pub fn tries(&self) -> bool {
        match self {
            Strategy::BlueGreen { .. } | Strategy::Canary { .. } | Strategy::Linear { .. } => true,
            Strategy::AllAtOnce
            | Strategy::Rolling { .. }
            | Strategy::RollingExtra { .. }
            | Strategy::Immutable { .. } => false,
        }
    }

    /// The word for it, as in the file.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Strategy::AllAtOnce => "all-at-once",
            Strategy::Rolling { .. } => "rolling",
            Strategy::RollingExtra { .. } => "rolling-extra",
            Strategy::Immutable { .. } => "immutable",
            Strategy::BlueGreen { .. } => "blue-green",
            Strategy::Canary { .. } => "canary",
            Strategy::Linear { .. } => "linear",
        }
    }
}

/// A strategy as it was read, with what later checks have to know.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shape {
    pub strategy: Strategy,
    /// The floor that belongs to its name.
    pub min_healthy: Option<Amount>,
    /// The monitors its steps name.
    pub analysed: Vec<(Mark, String)>,
    /// Where it goes on without waiting for anything.
    pub hasty: Vec<Mark>,
    /// Where it first asks for a number of requests.
    pub samples: Option<Mark>,
}

impl From<Strategy> for Shape {
    fn from(strategy: Strategy) -> Self {
        let (analysed, hasty) = (Vec::new(), Vec::new());
        Self { strategy, min_healthy: None, analysed, hasty, samples: None }
    }
}
