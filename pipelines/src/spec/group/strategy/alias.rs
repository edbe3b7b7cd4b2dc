//! Strategies by name: ours, and AWS's predefined deployment configurations (CodeDeploy user guide,
//! "Working with deployment configurations").

use crate::spec::group::Amount;
use crate::spec::group::strategy::{CanaryStep, Shape, Strategy};
use crate::time::Millis;

/// What AWS writes before its names; it may be left out.
pub(super) const PREFIX: &str = "CodeDeployDefault.";

/// Ours that need no settings.
pub(super) const OURS: [&str; 5] =
    ["all-at-once", "rolling", "rolling-extra", "immutable", "blue-green"];

/// The AWS names that are offered when one is misspelled; the numbers in them may be others.
pub(super) const NAMES: [&str; 5] = [
    "AllAtOnce",
    "HalfAtATime",
    "OneAtATime",
    "Canary10Percent5Minutes",
    "Linear10PercentEvery1Minute",
];

pub(super) fn shape(name: &str) -> Option<Shape> {
    let keep_old = Millis::from_minutes(15);
    let (one, bake) = (Amount::Count(1), Millis::ZERO);
    let ours = match name {
        "all-at-once" => Some(Strategy::AllAtOnce),
        "rolling" => Some(Strategy::rolling(one.into())),
        "rolling-extra" => {
            Some(Strategy::RollingExtra { batch: one, extra: one, hold: None, bake })
        }
        "immutable" => Some(Strategy::Immutable { first: one, bake, keep_old }),
        "blue-green" => Some(Strategy::BlueGreen {
            blue: None,
            green: None,
            test: None,
            approve: false,
            promote_after: None,
            bake,
            keep_old,
        }),
        _ => None,
    };
    ours.map(Shape::from).or_else(|| predefined(name.strip_prefix(PREFIX).unwrap_or(name)))
}

fn predefined(name: &str) -> Option<Shape> {
    let name = name.strip_prefix("ECS").or(name.strip_prefix("Lambda")).unwrap_or(name);
    match name {
        "AllAtOnce" => Some(Strategy::AllAtOnce.into()),
        "OneAtATime" => Some(Strategy::rolling(Amount::Count(1).into()).into()),
        // At most half out, and at least half healthy.
        "HalfAtATime" => Some(Shape {
            min_healthy: Some(Amount::Percent(50)),
            ..Strategy::rolling(Amount::Percent(50).into()).into()
        }),
        _ => shifting(name).map(Shape::from),
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
