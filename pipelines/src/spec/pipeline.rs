//! Placeholder until the reader lands.
use crate::time::Millis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pipeline { pub name: String, pub mode: Mode, pub variables: BTreeMap<String, Variable>, pub triggers: Vec<Trigger>, pub stages: Vec<Stage> }
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Mode { Superseded, Queued, Parallel }
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Variable { pub default: Option<String>, pub description: Option<String> }
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Trigger { Push { branches: Globs, tags: Globs, paths: Globs }, PullRequest{}, Schedule{} }
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Globs { pub include: Vec<String>, pub exclude: Vec<String> }
impl Globs { pub fn matches(&self, t: &str) -> bool { self.include.is_empty() || self.include.iter().any(|i| i==t) } pub fn is_empty(&self) -> bool { self.include.is_empty() && self.exclude.is_empty() } }
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stage { pub name: String, pub actions: Vec<Action> }
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Action { pub name: String, pub needs: Vec<String>, pub inputs: Vec<String>, pub outputs: Vec<String>, pub work: Work, pub timeout: Option<Millis>, pub retries: u32 }
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Work { Source(Source), Build(Build), Approval(Approval), Deploy(Deploy), Invoke(Invoke) }
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Invoke {}
impl Action { pub fn kind(&self) -> &'static str { match &self.work { Work::Source(_) => "source", Work::Build(_) => "build", Work::Approval(_) => "approval", Work::Deploy(_) => "deploy", Work::Invoke(_) => "invoke" } } }
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source { pub from: SourceFrom, pub branch: String }
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceFrom { Repository(String), Git(String) }
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Build { pub image: String, pub buildspec: String, pub env: BTreeMap<String,String>, pub test: bool }
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approval { pub approvers: Vec<String>, pub quorum: u32, pub timeout: Option<Millis>, pub comment: Option<String> }
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deploy { pub group: String, pub artifact: String }
