//! Balancers under real load: every scenario of the contract on both drivers, against the real programs.

mod balancer;
mod cohort;
mod contract;
mod fleet;
mod haproxy;
mod load;
mod nginx;
#[path = "../support/mod.rs"]
mod support;
mod task;
mod web;

use std::time::{Duration, Instant};
use support::PATIENCE;

/// Waits until it is so.
pub async fn wait_until<F: Future<Output = bool>>(what: &str, mut so: impl FnMut() -> F) {
    let deadline = Instant::now() + PATIENCE;
    while !so().await {
        assert!(Instant::now() < deadline, "waited too long for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
