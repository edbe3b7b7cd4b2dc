//! The deployment engine alone, on one core: how many deployments it decides in a second, without the
//! virtual fleet that made their words and without the checks. `make bench`.
//!
//! `pipeyard-engine GROUP-FILE HOSTS` prints the number, and how many words a deployment has.

use anyhow::{Context as _, Result, bail, ensure};
use pipelines::deploy::Phase;
use pipelines::sim::{ENGINE, Faults, Script, Settings, play};
use std::time::{Duration, Instant};

/// Different deployments, told in turns.
const SEEDS: u64 = 100;
const MEASURED: Duration = Duration::from_secs(3);

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, hosts] = arguments.as_slice() else {
        bail!("usage: pipeyard-engine GROUP-FILE HOSTS");
    };
    let text = std::fs::read_to_string(file).with_context(|| format!("reading {file}"))?;
    let read = pipelines::spec::group::parse(&text);
    let Some(group) = read.value else { bail!("{file} is not a group: try 'pipectl lint'") };
    let group = Some((&group, hosts.parse().context("how many hosts?")?));
    let settings = Settings { group, faults: Faults::NONE, ..Settings::default() };
    let scripts: Vec<Script> =
        (0..SEEDS).flat_map(|seed| play(seed, &settings, true).scripts).collect();
    let words: usize = scripts.iter().map(Script::words).sum();
    let start = Instant::now();
    let mut decided = 0_u64;
    while start.elapsed() < MEASURED {
        for script in &scripts {
            ensure!(script.end(ENGINE) == Phase::Succeeded, "nothing goes wrong in these");
            decided += 1;
        }
    }
    let a_second = decided as f64 / start.elapsed().as_secs_f64();
    println!("{a_second:.0} {}", words / scripts.len());
    Ok(())
}
