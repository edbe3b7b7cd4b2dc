//! What scripts are told: CodeDeploy's names, ours, and what the group adds.

use super::engine::Job;
use super::fault::Fault;
use super::group::Standing;
use super::processes::MARK;
use super::steps::ON_ROLLBACK;
use pipelines::protocol::report::ErrorCode;
use pipelines::protocol::task::Purpose;
use std::collections::BTreeMap;

impl Job<'_> {
    /// The group's own variables first, so that it cannot change what CodeDeploy promises.
    pub fn environment(&self, event: &str, standing: &Standing) -> Vec<(String, String)> {
        let deploy = self.deploy;
        let purpose = match deploy.purpose {
            Purpose::Forward => "forward",
            Purpose::Rollback => "rollback",
        };
        let previous = standing.good.as_ref().map_or("", |good| good.digest.as_str());
        let mut env: BTreeMap<String, String> = deploy.hooks.env.clone();
        let mut set = |name: &str, value: &str| env.insert(name.to_owned(), value.to_owned());
        set("LIFECYCLE_EVENT", event);
        set("DEPLOYMENT_ID", &deploy.deployment.to_string());
        set("APPLICATION_NAME", &deploy.application);
        set("DEPLOYMENT_GROUP_NAME", &deploy.group);
        set("DEPLOYMENT_GROUP_ID", &deploy.group);
        set("BUNDLE_COMMIT", deploy.revision.commit.as_deref().unwrap_or(""));
        set("PIPEYARD_PURPOSE", purpose);
        set("PIPEYARD_REVISION", deploy.revision.bundle.digest.as_str());
        set("PIPEYARD_PREVIOUS_REVISION", previous);
        set(MARK, &self.mark());
        if event == ON_ROLLBACK {
            let failed = standing.failed.as_ref();
            set("PIPEYARD_FAILED_EVENT", failed.map_or("", |failed| &failed.event));
            let script = failed.and_then(|failed| failed.script.as_deref());
            set("PIPEYARD_FAILED_SCRIPT", script.unwrap_or(""));
            set("PIPEYARD_ERROR", &failed.map(|f| name(f.code)).unwrap_or_default());
        }
        env.into_iter().collect()
    }

    /// By which the processes of this task's scripts are known.
    pub fn mark(&self) -> String {
        format!("{}.{}", self.ctx.key.task, self.ctx.key.attempt)
    }
}

/// What the scripts of `OnFailure` are told about the failure.
pub fn about_failure(step: &str, fault: &Fault) -> [(String, String); 4] {
    [
        ("PIPEYARD_FAILED_EVENT", step.to_owned()),
        ("PIPEYARD_FAILED_SCRIPT", fault.script.clone().unwrap_or_default()),
        ("PIPEYARD_ERROR", name(fault.code)),
        // A variable cannot hold the one byte that no text has a use for.
        ("PIPEYARD_ERROR_MESSAGE", fault.message.replace('\0', "")),
    ]
    .map(|(name, value)| (name.to_owned(), value))
}

/// As the API and the pages write it.
fn name(code: ErrorCode) -> String {
    let json = serde_json::to_value(code).unwrap_or_default();
    json.as_str().unwrap_or_default().to_owned()
}
