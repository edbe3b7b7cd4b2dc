//! A `post_build` that publishes what a failed build left behind.

use crate::spec::buildspec::read::FoundPhases;
use crate::spec::buildspec::script::{Script, Statement};
use crate::spec::buildspec::{OnFailure, Phase, PhaseName, shell};
use crate::spec::codes;
use crate::spec::decode::Report;

/// Commands that let the world see a result, by the words they start with.
const PUBLISHING: [&str; 27] = [
    "docker push",
    "docker compose push",
    "docker-compose push",
    "podman push",
    "npm publish",
    "yarn publish",
    "pnpm publish",
    "twine upload",
    "cargo publish",
    "gem push",
    "mvn deploy",
    "helm upgrade",
    "helm install",
    "helm push",
    "kubectl apply",
    "kubectl set",
    "terraform apply",
    "cdk deploy",
    "sam deploy",
    "serverless deploy",
    "sls deploy",
    "eb deploy",
    "aws ecs update-service",
    "aws lambda update-function-code",
    "aws cloudformation deploy",
    "aws deploy create-deployment",
    "aws s3 sync",
];

pub(super) fn check(report: &mut Report, found: &FoundPhases) {
    // `post_build` also runs after a failed `build`, unless that says ABORT.
    let build = found.phases.build.as_ref();
    let cannot = |phase: &Phase| phase.commands.is_empty() && phase.finally.is_empty();
    if build.is_none_or(|phase| phase.on_failure == OnFailure::Abort || cannot(phase)) {
        return;
    }
    for (_, at, text) in found.commands.iter().filter(|(phase, ..)| *phase == PhaseName::PostBuild)
    {
        for statement in Script::new(text).statements() {
            if is_guard(&statement) {
                return;
            }
            let Some(publishing) = publishing(&statement) else { continue };
            let message = format!("`{publishing}` in post_build also runs after a failed build");
            let help = "put `- test \"$CODEBUILD_BUILD_SUCCEEDING\" = 1` first, \
                        or `on-failure: ABORT` into `build`";
            report.warn(*at, codes::UNGUARDED_PUSH, message, help);
            return;
        }
    }
}

/// Looks at how the build went, and does not only print it.
fn is_guard(statement: &Statement) -> bool {
    let prints = matches!(shell::command(&statement.words), Some("echo" | "printf"));
    !prints && statement.words.iter().any(|word| word.contains("CODEBUILD_BUILD_SUCCEEDING"))
}

fn publishing(statement: &Statement) -> Option<&'static str> {
    statement.words.split(|word| ["&&", "||", "|"].contains(&word.as_str())).find_map(|words| {
        let command = shell::command(words)?;
        let at = words.iter().position(|word| word == command)?;
        let plain: Vec<&str> =
            words[at..].iter().map(String::as_str).filter(|w| !w.starts_with('-')).collect();
        // Options may stand between the words: `aws --region x s3 sync`, `mvn -B deploy`.
        let found = PUBLISHING.iter().find(|text| {
            let mut wanted = text.split(' ').peekable();
            wanted.next_if(|word| plain.first() == Some(word)).is_some()
                && plain.iter().skip(1).take(6).all(|word| {
                    wanted.next_if_eq(word);
                    true
                })
                && wanted.peek().is_none()
        });
        found.copied().filter(|text| *text != "aws s3 sync" || is_upload(&plain))
    })
}

/// `aws s3 sync FROM s3://…`; the other way round nothing is published.
fn is_upload(words: &[&str]) -> bool {
    let places = words.iter().skip_while(|word| **word != "sync").skip(1);
    places.clone().nth(1).is_some_and(|to| to.contains("s3://") || to.contains('$'))
        && !places.clone().next().is_some_and(|from| from.contains("s3://"))
}
