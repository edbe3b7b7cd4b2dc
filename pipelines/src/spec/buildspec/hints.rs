//! What CodeBuild does in silence and the author probably did not mean.

use crate::spec::buildspec::read::FoundPhases;
use crate::spec::buildspec::{OnFailure, PhaseName};
use crate::spec::codes;
use crate::spec::decode::Report;

/// Commands that let the world see a result.
const PUBLISHING: [&str; 14] = [
    "docker push",
    "docker buildx build --push",
    "npm publish",
    "yarn publish",
    "twine upload",
    "cargo publish",
    "gem push",
    "helm upgrade",
    "helm push",
    "kubectl apply",
    "terraform apply",
    "aws ecs update-service",
    "aws lambda update-function-code",
    "aws s3 sync",
];

pub(super) fn check(report: &mut Report, found: &FoundPhases) {
    // `post_build` also runs after a failed `build`, unless that says ABORT.
    let build = found.phases.build.as_ref().map(|phase| &phase.on_failure);
    if matches!(build, None | Some(OnFailure::Abort)) {
        return;
    }
    let last = found.commands.iter().filter(|(phase, ..)| *phase == PhaseName::PostBuild);
    if last.clone().any(|(.., command)| command.contains("CODEBUILD_BUILD_SUCCEEDING")) {
        return;
    }
    for (_, at, command) in last {
        let Some(publishing) = PUBLISHING.iter().find(|text| command.contains(**text)) else {
            continue;
        };
        let message = format!("`{publishing}` in post_build also runs after a failed build");
        let help = "put `- test \"$CODEBUILD_BUILD_SUCCEEDING\" = 1` first, \
                    or `on-failure: ABORT` into `build`";
        report.warn(*at, codes::UNGUARDED_PUSH, message, help);
        return;
    }
}
