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

/// How a revision reaches the hosts, step by step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
#[derive(schemars::JsonSchema)]
#[schemars(transform = crate::spec::schema::forms::strategy)]
pub enum Strategy {
    /// Every host together.
    AllAtOnce,
    /// Batch after batch, in place.
    Rolling {
        /// Hosts at a time: 2, 25%, or a list of sizes that grow.
        #[schemars(with = "Option<Batch>")]
        batch: Batch,
        /// A smaller first batch; one host where absent, and none where `batch` is a list.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        first_batch: Option<Amount>,
        /// Whether a batch has to be done before the next starts; otherwise hosts move up singly.
        #[serde(default)]
        barrier: bool,
        /// Wait after each batch.
        #[serde(default, skip_serializing_if = "Option::is_none", with = "print::time_option")]
        #[schemars(with = "Option<Millis>")]
        hold: Option<Millis>,
        /// Watched so long after the last batch.
        #[serde(default, with = "print::time")]
        #[schemars(with = "Option<Millis>")]
        bake: Millis,
    },
    /// Rolling, with extra hosts so that capacity never falls.
    RollingExtra {
        /// Hosts at a time: 2 or 25%.
        #[schemars(with = "Option<Amount>")]
        batch: Amount,
        /// Hosts on top; as many as the batch where absent.
        #[schemars(with = "Option<Amount>")]
        extra: Amount,
        /// Wait after each batch.
        #[serde(default, skip_serializing_if = "Option::is_none", with = "print::time_option")]
        #[schemars(with = "Option<Millis>")]
        hold: Option<Millis>,
        /// Watched so long after the last batch.
        #[serde(default, with = "print::time")]
        #[schemars(with = "Option<Millis>")]
        bake: Millis,
    },
    /// A whole new set of hosts; the old ones are never touched.
    Immutable {
        /// How many of the new hosts come first.
        #[schemars(with = "Option<Amount>")]
        first: Amount,
        /// Watched so long once all is new.
        #[serde(with = "print::time")]
        #[schemars(with = "Option<Millis>")]
        bake: Millis,
        /// How long the old hosts stay to go back to.
        #[serde(with = "print::time")]
        #[schemars(with = "Option<Millis>")]
        keep_old: Millis,
    },
    /// Two sets; traffic switches from one to the other. Fixed sets are both selected; where neither
    /// is, the group's instances make the second one anew each time.
    BlueGreen {
        /// The hosts of the one set.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        blue: Option<Selector>,
        /// The hosts of the other.
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
        #[schemars(with = "Option<Millis>")]
        promote_after: Option<Millis>,
        /// Watched so long after the switch.
        #[serde(with = "print::time")]
        #[schemars(with = "Option<Millis>")]
        bake: Millis,
        /// How long the old set stays to go back to.
        #[serde(with = "print::time")]
        #[schemars(with = "Option<Millis>")]
        keep_old: Millis,
    },
    /// Growing shares of the traffic.
    Canary {
        /// Each weighs more than the one before.
        steps: Vec<CanaryStep>,
        /// Watched so long after the last step.
        #[serde(with = "print::time")]
        #[schemars(with = "Option<Millis>")]
        bake: Millis,
    },
    /// Equal shares at equal intervals.
    Linear {
        /// Percent added each time.
        #[schemars(with = "crate::spec::schema::words::Percent")]
        step: u32,
        /// Between two steps; 1m where absent.
        #[serde(with = "print::time")]
        #[schemars(with = "Option<Millis>")]
        every: Millis,
        /// Watched so long after the last step.
        #[serde(with = "print::time")]
        #[schemars(with = "Option<Millis>")]
        bake: Millis,
    },
}

/// One step of a canary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub struct CanaryStep {
    /// Percent of the traffic.
    #[schemars(with = "crate::spec::schema::words::Percent")]
    pub weight: u32,
    /// Hosts that carry it; as many percent as the weight where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<Amount>,
    /// Wait before the next step.
    #[serde(with = "print::time")]
    #[schemars(with = "Option<Millis>")]
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
