//! `pipectl simulate`: the deployment engine against a virtual fleet, without a controller. Its flags,
//! exit codes and JSON are a promise.

use super::{Context, group_file};
use crate::exit::{Exit, Failure, Result};
use clap::{Args, ValueEnum};
use pipelines::deploy::Phase;
use pipelines::sim::{self, Faults, Settings, Story};
use serde_json::json;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Rehearse a group's strategy against a virtual fleet, with faults.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pipectl simulate --group group.yml
  pipectl simulate --group group.yml --hosts 30 --seeds 10000 --faults heavy
  pipectl simulate --group group.yml --seed 42     tells what happened in that seed
  pipectl simulate --group group.yml --seed 42 --record seed-42.jsonl")]
pub struct Arguments {
    /// The group file whose strategy is rehearsed.
    #[arg(long, value_name = "FILE")]
    group: PathBuf,
    /// Hosts of the virtual fleet.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    hosts: u32,
    /// How many seeds are played.
    #[arg(long, default_value_t = 1000, conflicts_with = "seed")]
    seeds: u64,
    /// This seed alone, with everything that happens in it.
    #[arg(long)]
    seed: Option<u64>,
    /// Writes what the engine was told in the seed that is printed, the last deployment's: a script that can
    /// be played again after any change.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// How much goes wrong.
    #[arg(long, value_enum, default_value_t = FaultsWord::Default)]
    faults: FaultsWord,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FaultsWord {
    None,
    Default,
    Heavy,
}

/// What came of the seeds.
#[derive(Default)]
struct Sum {
    deployments: u64,
    succeeded: u64,
    rolled_back: u64,
    rollback_failed: u64,
    violations: Vec<(u64, sim::Violation)>,
}

pub fn run(context: &Context<'_>, arguments: &Arguments) -> Result<Exit> {
    let group = group_file::read(&arguments.group)?;
    let faults = match arguments.faults {
        FaultsWord::None => Faults::NONE,
        FaultsWord::Default => Faults::DEFAULT,
        FaultsWord::Heavy => Faults::HEAVY,
    };
    let settings =
        Settings { group: Some((&group, arguments.hosts)), faults, ..Settings::default() };
    let seeds = match arguments.seed {
        Some(seed) => seed..seed.saturating_add(1),
        None => 0..arguments.seeds,
    };
    let start = Instant::now();
    let sum = play_all(&seeds, &settings);
    let seconds = start.elapsed().as_secs_f64();
    let told = arguments.seed.or_else(|| sum.violations.first().map(|(seed, _)| *seed));
    let told = told.map(|seed| (seed, sim::play(seed, &settings, true)));
    if let (Some(path), Some((_, story))) = (&arguments.record, &told) {
        record(path, story)?;
    }
    if context.output.is_json() {
        context.output.json(&as_json(&sum, seeds.end - seeds.start, seconds));
    } else {
        print(context, &sum, seeds.end - seeds.start, seconds, told.as_ref());
    }
    Ok(if sum.violations.is_empty() { Exit::Done } else { Exit::Failed })
}

fn record(path: &Path, story: &Story) -> Result<()> {
    let Some(script) = story.scripts.last() else { return Ok(()) };
    let written =
        script.write().map_err(std::io::Error::from).and_then(|text| std::fs::write(path, text));
    written.map_err(|e| {
        Failure::usage(
            format!("cannot write {}: {e}", path.display()),
            "name a file in a directory that is there",
        )
    })
}

/// On every core; the sum does not depend on how many there are.
fn play_all(seeds: &Range<u64>, settings: &Settings<'_>) -> Sum {
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let share = (seeds.end - seeds.start).div_ceil(cores).max(1);
    let parts = (0..cores).map(|core| {
        let from = (seeds.start + core * share).min(seeds.end);
        from..(from + share).min(seeds.end)
    });
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            parts.map(|part| scope.spawn(move || play_part(part, settings))).collect();
        let mut sum = Sum::default();
        for thread in threads {
            let part = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            sum.deployments += part.deployments;
            sum.succeeded += part.succeeded;
            sum.rolled_back += part.rolled_back;
            sum.rollback_failed += part.rollback_failed;
            sum.violations.extend(part.violations);
        }
        sum
    })
}

fn play_part(seeds: Range<u64>, settings: &Settings<'_>) -> Sum {
    let mut sum = Sum::default();
    for seed in seeds {
        let story = sim::play(seed, settings, false);
        for end in story.ends {
            sum.deployments += 1;
            sum.succeeded += u64::from(end == Phase::Succeeded);
            sum.rolled_back += u64::from(end == Phase::RolledBack);
            sum.rollback_failed += u64::from(end == Phase::RollbackFailed);
        }
        sum.violations.extend(story.violations.into_iter().map(|broken| (seed, broken)));
    }
    sum
}

fn as_json(sum: &Sum, seeds: u64, seconds: f64) -> serde_json::Value {
    let violations: Vec<_> = sum
        .violations
        .iter()
        .map(|(seed, broken)| {
            json!({"invariant": broken.invariant, "seed": seed, "message": broken.message})
        })
        .collect();
    json!({
        "seeds": seeds,
        "deployments": sum.deployments,
        "succeeded": sum.succeeded,
        "rolled_back": sum.rolled_back,
        "rollback_failed": sum.rollback_failed,
        "violations": violations,
        "seconds": (seconds * 1000.0).round() / 1000.0,
    })
}

fn print(context: &Context<'_>, sum: &Sum, seeds: u64, seconds: f64, told: Option<&(u64, Story)>) {
    let output = context.output;
    if let Some((seed, story)) = told {
        output.line(format!("seed {seed}:"));
        story.lines.iter().for_each(|line| output.line(line));
    }
    for (seed, broken) in &sum.violations {
        output.line(format!("{} broken in seed {seed}: {}", broken.invariant, broken.message));
    }
    let other = sum.deployments - sum.succeeded - sum.rolled_back - sum.rollback_failed;
    output.line(format!(
        "{} deployments in {seeds} seeds, {seconds:.1} s: {} succeeded, {} rolled back, {} could not be \
         rolled back everywhere, {other} ended before or without a rollback",
        sum.deployments, sum.succeeded, sum.rolled_back, sum.rollback_failed
    ));
    if sum.violations.is_empty() {
        output.line("every rule held in every seed");
    }
}
