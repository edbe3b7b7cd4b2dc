//! Every query against a real Postgres, by what it promises.

mod agents;
mod deployments;
mod engine;
mod monitors;
mod people;
mod tasks;
mod traffic;

use crate::testing::{TestDatabase, database};
use crate::{agents as agent_rows, groups, pipelines as pipeline_rows};
use ::pipelines::ids::AgentId;
use ::pipelines::protocol::VERSION;
use ::pipelines::protocol::join::{JoinRequest, Role};
use ::pipelines::protocol::task::{Artifact, Revision};
use ::pipelines::run::trigger::{Trigger, TriggerKind};
use ::pipelines::time::Millis;
use sqlx::PgConnection;
use std::collections::BTreeMap;

const PIPELINE: &str = "version: 1\nname: shop\nstages:\n  - name: source\n    actions:\n      \
                        - {name: app, source: {repository: shop}}\n  - name: build\n    actions:\n      \
                        - {name: compile, build: {image: \"debian:bookworm-slim\"}, outputs: [bundle]}\n";
const GROUP: &str =
    "version: 1\ngroup: production\napplication: shop\nhosts: {tags: {role: web}}\n";

fn revision(digit: char) -> Revision {
    let digest = digit.to_string().repeat(64).parse().unwrap();
    Revision { bundle: Artifact { digest, size: 1 }, commit: None, label: format!("rev {digit}") }
}

fn trigger() -> Trigger {
    let variables = BTreeMap::new();
    Trigger { kind: TriggerKind::Manual, by: "ada".into(), push: None, variables }
}

/// Registers the test pipeline and returns its id.
async fn pipeline(conn: &mut PgConnection) -> i64 {
    let spec = ::pipelines::spec::pipeline::parse(PIPELINE).value.unwrap();
    pipeline_rows::put(conn, PIPELINE, &spec).await.unwrap();
    pipeline_rows::by_name(conn, "shop").await.unwrap().unwrap().id
}

/// Registers the test group and returns its id.
async fn group(conn: &mut PgConnection) -> i64 {
    let spec = ::pipelines::spec::group::parse(GROUP).value.unwrap();
    groups::put(conn, GROUP, &spec).await.unwrap();
    groups::by_name(conn, "production").await.unwrap().unwrap().id
}

fn join_request(token: &str, name: &str) -> JoinRequest {
    JoinRequest {
        protocol: VERSION,
        token: token.to_owned(),
        name: name.to_owned(),
        version: "1".into(),
        tags: BTreeMap::from([("role".into(), "web".into())]),
        idempotency: format!("once-{name}"),
    }
}

/// Joins an agent and returns its id and credential.
async fn join(conn: &mut PgConnection, role: Role, name: &str) -> (AgentId, String) {
    let hour = Millis::from_minutes(60);
    let (id, secret) =
        agent_rows::create_join_token(conn, role, &BTreeMap::new(), 1, hour, "ada").await.unwrap();
    let request = join_request(&id, name);
    let (agent, credential, ..) =
        agent_rows::join(conn, &secret, &request, "10.0.0.1").await.unwrap();
    (agent, credential)
}
