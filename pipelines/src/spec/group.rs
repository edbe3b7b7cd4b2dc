//! Placeholder until the reader lands.
use crate::spec::appspec::FileExists;
use crate::time::Millis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Health { pub http: String, pub status: u16, pub timeout: Millis, pub interval: Millis, pub healthy_for: Millis }
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group { pub name: String, pub application: String, pub hosts: Hosts, pub strategy: Strategy, pub min_healthy: Option<Amount>, pub rollback: Rollback, pub health: Option<Health>, pub keep_releases: u32, pub file_exists_behavior: Option<FileExists>, pub ignore_stop_failures: bool, pub timeout: Millis }
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hosts { pub tags: BTreeMap<String,String> }
impl Hosts { pub fn matches(&self, tags: &BTreeMap<String,String>) -> bool { self.tags.iter().all(|(k,v)| tags.get(k)==Some(v)) } }
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Amount { Count(u32), Percent(u32) }
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Strategy { AllAtOnce, Rolling { batch: Amount, first_batch: Option<Amount> }, Immutable{} }
impl Strategy { pub fn name(&self) -> &'static str { "x" } }
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rollback { pub on: Vec<RollbackOn> }
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum RollbackOn { Failure, Alarm, Stop }
