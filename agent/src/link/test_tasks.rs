//! Tasks for tests.

use pipelines::ids::{DeploymentId, TaskId};
use pipelines::protocol::task::{Artifact, Deploy, Part, Purpose, Revision, Task, TaskKey, Work};
use pipelines::spec::group::HooksPolicy;
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
            parts: Part::WITHOUT_ROUTER.to_vec(),
            ignore_stop_failures: false,
            file_exists_behavior: None,
            keep_releases: 5,
            keep_bytes: None,
            health: None,
            hooks: HooksPolicy::default(),
            shared: Vec::new(),
            shared_directories: Vec::new(),
            pinned: Vec::new(),
        }),
    }
}
