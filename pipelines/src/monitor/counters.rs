//! What a balancer counted between two looks.
//!
//! Counters only mean something as differences. One that fell, a server that was not there before and
//! a balancer that began to count anew are no data, never a negative number and never zero.

use super::Look;
use crate::protocol::answer::{Counters, ServerCounters};
use crate::spec::group::RouterMetric;
use serde::{Deserialize, Serialize};

/// What some servers did between two looks.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Sum {
    /// Servers that count.
    pub servers: usize,
    pub requests: u64,
    /// Never more than requests.
    pub errors: u64,
    /// Milliseconds, by the requests of each; None where the balancer does not say.
    pub latency: Option<f64>,
}

/// The sum over those of `names` whose counters can be compared.
#[must_use]
pub fn sum<'a>(
    before: &Counters,
    after: &Counters,
    names: impl IntoIterator<Item = &'a str>,
) -> Sum {
    let mut sum = Sum::default();
    if before.life != after.life {
        return sum;
    }
    let (mut time, mut timed) = (0.0, 0.0);
    for name in names {
        let Some((requests, errors, latency)) = delta(before, after, name) else { continue };
        sum.servers += 1;
        sum.requests = sum.requests.saturating_add(requests);
        sum.errors = sum.errors.saturating_add(errors);
        if let Some(latency) = latency.filter(|_| requests > 0) {
            time += f64::from(latency) * requests as f64;
            timed += requests as f64;
        }
    }
    sum.latency = (timed > 0.0).then(|| time / timed);
    sum
}

fn delta(before: &Counters, after: &Counters, name: &str) -> Option<(u64, u64, Option<u32>)> {
    let find = |counters: &Counters| -> Option<ServerCounters> {
        counters.servers.iter().find(|server| server.name == name).cloned()
    };
    let (before, after) = (find(before)?, find(after)?);
    let requests = after.requests.checked_sub(before.requests)?;
    let errors = after.errors.checked_sub(before.errors)?;
    // A connection that failed may be an error without being a request.
    Some((requests.max(errors), errors, after.latency_ms))
}

/// A router's metric over the time between two looks. `names`: the servers it is about.
#[must_use]
pub fn router_look(
    metric: RouterMetric,
    min_samples: Option<u32>,
    (before, after): (Option<&Counters>, &Counters),
    names: &[String],
) -> Look {
    if names.is_empty() {
        return Look::missing("no host of the new revision has traffic yet");
    }
    let Some(before) = before else {
        return Look::missing(
            "the balancer was looked at once; the next look has something to compare",
        );
    };
    if before.life != after.life {
        return Look::missing("the balancer was started or reloaded and counts anew");
    }
    let sum = sum(before, after, names.iter().map(String::as_str));
    if sum.servers == 0 {
        return Look::missing("the balancer has no two counts of these hosts to compare");
    }
    let wanted = u64::from(min_samples.unwrap_or(1).max(1));
    if sum.requests < wanted {
        return Look::missing(format!("{} of {wanted} requests to judge by", sum.requests));
    }
    match (metric, sum.latency) {
        (RouterMetric::ErrorRate, _) => Look::value(sum.errors as f64 / sum.requests as f64),
        (RouterMetric::Latency, Some(latency)) => Look::value(latency),
        (RouterMetric::Latency, None) => Look::missing("the balancer does not time answers"),
    }
}
