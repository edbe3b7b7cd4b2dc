//! Strategies by name: ours, and AWS's predefined deployment configurations (CodeDeploy user guide,
//! "Working with deployment configurations").

use crate::spec::group::{Amount, CanaryStep, Strategy};
use crate::time::Millis;

/// A strategy with the floor that belongs to its name.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shape {
    pub strategy: Strategy,
    pub min_healthy: Option<Amount>,
}

/// The AWS names that are offered when one is misspelled; the numbers in them may be others.
pub(super) const NAMES: [&str; 5] = [
    "AllAtOnce",
    "HalfAtATime",
    "OneAtATime",
    "Canary10Percent5Minutes",
    "Linear10PercentEvery1Minute",
];

pub(super) fn shape(name: &str) -> Option<Shape> {
    let name = name.strip_prefix("CodeDeployDefault.").unwrap_or(name);
    let name = name.strip_prefix("ECS").or(name.strip_prefix("Lambda")).unwrap_or(name);
    let rolling = |batch: Amount| Strategy::rolling(batch.into());
    let plain = |strategy| Some(Shape { strategy, min_healthy: None });
    match name {
        "all-at-once" | "AllAtOnce" => plain(Strategy::AllAtOnce),
        "rolling" | "OneAtATime" => plain(rolling(Amount::Count(1))),
        "rolling-extra" => plain(Strategy::RollingExtra {
            batch: Amount::Count(1),
            extra: Amount::Count(1),
            hold: None,
            bake: Millis::ZERO,
        }),
        "immutable" => plain(Strategy::Immutable {
            first: Amount::Count(1),
            bake: Millis::ZERO,
            keep_old: Millis::from_minutes(15),
        }),
        // At most half out, and at least half healthy.
        "HalfAtATime" => Some(Shape {
            strategy: rolling(Amount::Percent(50)),
            min_healthy: Some(Amount::Percent(50)),
        }),
        _ => plain(shifting(name)?),
    }
}

/// `Canary10Percent5Minutes`, `Linear10PercentEvery1Minute`, with any numbers.
fn shifting(name: &str) -> Option<Strategy> {
    let (canary, rest) = match (name.strip_prefix("Canary"), name.strip_prefix("Linear")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => return None,
    };
    let (percent, rest) = rest.split_once("Percent")?;
    let rest = if canary { rest } else { rest.strip_prefix("Every")? };
    let minutes = rest.strip_suffix("Minutes").or(rest.strip_suffix("Minute"))?;
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u32>().ok()).flatten().filter(|number| *number > 0)
    };
    let percent = number(percent).filter(|percent| *percent < 100)?;
    let time = Millis::from_minutes(u64::from(number(minutes)?));
    if !canary {
        return Some(Strategy::Linear { step: percent, every: time, bake: Millis::ZERO });
    }
    let step = CanaryStep {
        weight: percent,
        hosts: None,
        hold: time,
        min_samples: None,
        analyse: Vec::new(),
        approve: false,
    };
    Some(Strategy::Canary { steps: vec![step], bake: Millis::ZERO })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_aws_mean_what_they_say() {
        for name in NAMES {
            assert!(shape(name).is_some(), "{name}");
        }
        let linear = shape("CodeDeployDefault.ECSLinear10PercentEvery3Minutes").unwrap().strategy;
        let every = Millis::from_minutes(3);
        assert_eq!(linear, Strategy::Linear { step: 10, every, bake: Millis::ZERO });
        for bad in
            ["Canary100Percent5Minutes", "Canary0Percent5Minutes", "Linear10Percent", "canary"]
        {
            assert_eq!(shape(bad), None, "{bad}");
        }
    }
}
