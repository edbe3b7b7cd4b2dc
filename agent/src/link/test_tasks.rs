//! Tasks for tests.

use pipelines::ids::{DeploymentId, TaskId};
use pipelines::protocol::task::{Artifact, Deploy, Purpose, Revision, Task, TaskKey, Work};
use pipelines::time::Millis;

pub(crate) fn deploy_task(id: i64, group: &str, epoch: u64, generation: u64) -> Task {
    let digest = "ab".repeat(32).parse().unwrap();
    let bundle = Artifact { digest, size: 1 };
    let revision = Revision { bundle, commit: None, label: "test".into() };
    Task {
        key: TaskKey { task: TaskId(id), attempt: 1 },
        epoch,
        generation,
        timeout: Millis::from_secs(60),
        work: Work::Deploy(Deploy {
            deployment: DeploymentId(id),
            group: group.into(),
            application: "shop".into(),
            revision,
            purpose: Purpose::Forward,
            ignore_stop_failures: false,
            file_exists_behavior: None,
            keep_releases: 5,
            health: None,
            pinned: Vec::new(),
        }),
    }
}
