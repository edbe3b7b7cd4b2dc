//! Tens of thousands of seeds in every test run, and engines that were broken on purpose.

#![expect(clippy::disallowed_methods, reason = "how many seeds is the caller's business")]

mod mutants;
mod rules;

use super::*;
use std::collections::BTreeMap;

type Ends = BTreeMap<&'static str, u32>;

/// `make sim SEEDS=20000` says how many; without it a handful for whoever works on the engine.
fn seeds() -> u64 {
    std::env::var("PIPEYARD_SIM_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(4000)
}

/// Plays seeds on two cores and panics with the history of the first bad one.
fn all_hold(faults: Faults, first: u64, count: u64) -> Ends {
    let half = count / 2;
    std::thread::scope(|scope| {
        let other = scope.spawn(move || half_holds(faults, first..first + half));
        let mut ends = half_holds(faults, first + half..first + count);
        for (end, count) in other.join().expect("its message is above") {
            *ends.entry(end).or_default() += count;
        }
        ends
    })
}

fn half_holds(faults: Faults, seeds: std::ops::Range<u64>) -> Ends {
    let settings = Settings { faults, ..Settings::default() };
    let mut ends = Ends::new();
    for seed in seeds {
        let story = std::panic::catch_unwind(|| play(seed, &settings, false));
        let Ok(story) = story else { panic!("seed {seed} panicked; the message is above") };
        if let Some(broken) = story.violations.first() {
            let told = play(seed, &settings, true);
            let kept = keep_script(seed, &told);
            panic!("seed {seed}: {broken:?}\n{}\n{kept}", told.lines.join("\n"));
        }
        for end in story.ends {
            *ends.entry(end.as_str()).or_default() += 1;
        }
    }
    ends
}

/// Next month the same seed is another story, so this one is kept.
fn keep_script(seed: u64, told: &Story) -> String {
    let Some(Ok(text)) = told.scripts.last().map(Script::write) else { return String::new() };
    let path = std::env::temp_dir().join(format!("pipeyard-seed-{seed}.jsonl"));
    std::fs::write(&path, text).expect("a script can be written");
    format!("what the engine was told is in {}: see pipelines/tests/scripts.rs", path.display())
}

#[test]
fn every_rule_holds_on_a_good_day() {
    let count = seeds() / 4;
    let ends = all_hold(Faults::NONE, 0, count);
    assert!(u64::from(ends["succeeded"]) > count * 3 / 4, "{ends:?}");
}

#[test]
fn every_rule_holds_under_faults() {
    let mut ends = all_hold(Faults::DEFAULT, 0, seeds() / 2);
    for (end, count) in all_hold(Faults::HEAVY, 1_000_000, seeds() / 4) {
        *ends.entry(end).or_default() += count;
    }
    // The generator reaches every kind of end, or it proves nothing.
    for end in ["succeeded", "failed", "rolled-back", "rollback-failed"] {
        assert!(ends.get(end).copied().unwrap_or(0) > 20, "{ends:?}");
    }
}

#[test]
fn a_seed_tells_the_same_story_every_time() {
    let settings = Settings { faults: Faults::HEAVY, ..Settings::default() };
    for seed in 0..50 {
        let (first, second) = (play(seed, &settings, true), play(seed, &settings, true));
        assert_eq!(first.lines, second.lines);
        assert_eq!(first.ends, second.ends);
    }
}
