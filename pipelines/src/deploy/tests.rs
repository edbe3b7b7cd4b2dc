//! The engine against examples, and against a seeded fleet that loses, doubles and reorders words.

mod examples;
mod monitors;
mod people;

use super::*;
use crate::ids::{AgentId, DeploymentId};
use crate::protocol::report::{ErrorCode, TaskError};
use crate::protocol::task::{Artifact, Purpose, Revision};
use crate::spec::group::{Amount, Group, Strategy};
use crate::time::{Millis, Timestamp};
use std::collections::BTreeMap;
use strategy::{Fleet, Member, Order, compile};

pub(crate) fn revision(name: &str) -> Revision {
    let digit = name.bytes().last().unwrap_or(b'0') % 10;
    let digest = digit.to_string().repeat(64).parse().unwrap();
    Revision { bundle: Artifact { digest, size: 1 }, commit: None, label: name.to_owned() }
}

pub(crate) fn group(strategy: Strategy, min_healthy: Option<Amount>) -> Group {
    let text = "version: 1\ngroup: production\napplication: shop\nhosts: {tags: {role: web}}\n";
    let parsed = crate::spec::group::parse(text);
    let group = parsed.value.expect("the test group has no errors");
    Group { strategy, min_healthy, ..group }
}

pub(crate) fn rolling(batch: u32) -> Strategy {
    Strategy::Rolling {
        batch: Amount::Count(batch).into(),
        first_batch: None,
        barrier: true,
        hold: None,
        bake: Millis::ZERO,
    }
}

pub(crate) fn member(id: i64, serving: Option<&str>) -> Member {
    Member {
        id: AgentId(id),
        name: format!("host-{id}"),
        tags: BTreeMap::new(),
        alive: true,
        serving: serving.map(revision),
        good: serving.map(revision),
        lane: Lane::Unknown,
        weight: None,
        answers: false,
        instance: false,
    }
}

pub(crate) fn fleet_of(members: &[Member]) -> Fleet {
    Fleet { members: members.to_vec(), ..Fleet::default() }
}

pub(crate) fn plan_for(group: &Group, fleet: &[Member], to: &str) -> Plan {
    let order =
        Order { deployment: DeploymentId(7), revision: revision(to), purpose: Purpose::Forward };
    compile(group, &fleet_of(fleet), order).unwrap()
}

pub(crate) fn alive(plan: &Plan) -> Facts {
    let facts = HostFacts { alive: true, last_seen: Some(Timestamp(0)) };
    Facts { hosts: plan.hosts.iter().map(|host| (host.id, facts)).collect(), ..Facts::default() }
}

pub(crate) fn failed(touched: bool) -> HostOutcome {
    HostOutcome::Failed(TaskError {
        code: ErrorCode::ScriptFailed,
        message: "exit code 1".to_owned(),
        step: Some("ValidateService".to_owned()),
        command: None,
        touched,
    })
}
