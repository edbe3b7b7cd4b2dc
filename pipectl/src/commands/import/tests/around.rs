//! What surrounds builds and deployments: sources, triggers, conditions, names, files.

use super::{action, approval, build, import, pipeline, said, source};
use crate::commands::import::{aws, write};
use pipelines::spec::pipeline::{Mode, OnStageFailure, Trigger, Work};
use serde_json::json;

#[test]
fn every_source_becomes_one_that_git_can_fetch() {
    let sources = [
        (
            "CodeStarSourceConnection",
            json!({"FullRepositoryId": "acme/shop", "BranchName": "dev"}),
            "https://github.com/acme/shop.git",
        ),
        (
            "GitHub",
            json!({"Owner": "acme", "Repo": "shop", "Branch": "dev", "OAuthToken": "****"}),
            "https://github.com/acme/shop.git",
        ),
        ("S3", json!({"S3Bucket": "b", "S3ObjectKey": "a b.zip"}), "Source"),
        ("ECR", json!({"RepositoryName": "shop", "ImageTag": "latest"}), "Source"),
        ("CodeCommit", json!({"RepositoryName": "my shop"}), "my-shop"),
        ("CodeStarSourceConnection", json!({"FullRepositoryId": "#{x}"}), "Source"),
    ];
    for (provider, configuration, place) in sources {
        let first = action("Source", "Source", provider, json!({"configuration": configuration}));
        let (text, model, notes) = import(&pipeline(&[("Source", vec![first]), approval()]));
        let Work::Source(source) = &model.stages[0].actions[0].work else { panic!("{text}") };
        assert_eq!(source.from.as_str(), place);
        assert!(!notes.is_empty() && !text.contains("****"), "{provider}: {text}");
    }
}

#[test]
fn triggers_variables_and_modes_carry_over() {
    let app = action(
        "App@1",
        "Source",
        "CodeStarSourceConnection",
        json!({"configuration": {"FullRepositoryId": "acme/shop", "BranchName": "main"}}),
    );
    let mut value = pipeline(&[("Source", vec![app]), approval()]);
    let fields = &mut value["pipeline"];
    fields["executionMode"] = json!("QUEUED");
    fields["pipelineType"] = json!("V2");
    fields["variables"] = json!([{"name": "log-level", "defaultValue": "info", "description": "How much"},
        {"name": "TICKET"}]);
    fields["triggers"] = json!([{
        "providerType": "CodeStarSourceConnection",
        "gitConfiguration": {
            "sourceActionName": "App@1",
            "push": [
                {"branches": {"includes": ["main", "release/*"], "excludes": ["release/old*"]},
                 "filePaths": {"includes": ["src/"], "excludes": ["./docs/**"]}},
                {"tags": {"includes": ["v*"]}}
            ],
            "pullRequest": [{"events": ["OPEN", "UPDATED", "CLOSED"], "branches": {"includes": ["main"]}}]
        }
    }]);
    let (text, model, _) = import(&value);
    assert_eq!(model.mode, Mode::Queued);
    assert_eq!(model.variables["log_level"].default.as_deref(), Some("info"));
    assert_eq!(model.variables["TICKET"].default, None);
    let [
        Trigger::Push { branches, paths, source, .. },
        Trigger::Push { tags, .. },
        Trigger::PullRequest { events, .. },
    ] = model.triggers.as_slice()
    else {
        panic!("{text}")
    };
    assert_eq!(branches.include, ["main", "release/*"]);
    assert_eq!(branches.exclude, ["release/old*"]);
    assert_eq!(
        (paths.include.as_slice(), paths.exclude.as_slice()),
        (["src/**".to_owned()].as_slice(), ["docs/**".to_owned()].as_slice())
    );
    assert_eq!((source.as_deref(), tags.include.len(), events.len()), (Some("App-1"), 1, 3));
}

#[test]
fn a_source_that_detects_no_changes_starts_nothing() {
    let mut first = source();
    first["configuration"]["DetectChanges"] = json!("false");
    let (_, model, _) = import(&pipeline(&[("Source", vec![first]), approval()]));
    assert!(model.triggers.is_empty());
}

#[test]
fn conditions_carry_over_where_there_is_a_counterpart() {
    let mut value = pipeline(&[("Source", vec![source()]), ("Build", vec![build()])]);
    let stage = &mut value["pipeline"]["stages"][1];
    stage["beforeEntry"] = json!({"conditions": [{"result": "SKIP", "rules": [
        {"name": "main-only", "ruleTypeId": {"category": "Rule", "owner": "AWS", "provider": "VariableCheck"},
         "configuration": {"Variable": "#{SourceVariables.BranchName}", "Value": "main", "Operator": "EQ"}},
        {"name": "hours", "ruleTypeId": {"category": "Rule", "provider": "DeploymentWindow"},
         "configuration": {"Cron": "* * 9-17 ? * MON-FRI *", "TimeZone": "UTC"}}]}]});
    stage["onSuccess"] = json!({"conditions": [{"result": "ROLLBACK", "rules": [
        {"name": "alarm", "ruleTypeId": {"provider": "CloudWatchAlarm"},
         "configuration": {"AlarmName": "errors"}}]}]});
    stage["onFailure"] =
        json!({"result": "RETRY", "retryConfiguration": {"retryMode": "ALL_ACTIONS"}});
    let (text, model, notes) = import(&value);
    let build = &model.stages[1];
    assert_eq!(build.entry.as_ref().map(|entry| entry.require.len()), Some(1), "{text}");
    assert!(text.contains("otherwise: skip") && build.success.is_none());
    assert_eq!(build.on_failure, OnStageFailure::Retry);
    assert!(said(&notes, "Build", "DeploymentWindow") && said(&notes, "Build", "monitor"));
}

#[test]
fn actions_of_one_name_in_two_stages_get_two() {
    let two = pipeline(&[
        ("Source", vec![source()]),
        ("Staging", vec![action("Build", "Approval", "Manual", json!({}))]),
        ("Production", vec![action("Build", "Approval", "Manual", json!({}))]),
    ]);
    let (_, model, _) = import(&two);
    assert_eq!(model.stages[1].actions[0].name, "Build");
    assert_eq!(model.stages[2].actions[0].name, "Production-Build");
}

#[test]
fn stores_roles_and_keys_are_said_to_be_of_no_use() {
    let mut value = pipeline(&[("Source", vec![source()]), approval()]);
    value["pipeline"]["roleArn"] = json!("arn:aws:iam::1:role/x");
    value["pipeline"]["artifactStores"] = json!({
        "eu-west-1": {"type": "S3", "location": "a", "encryptionKey": {"id": "k", "type": "KMS"}},
        "us-east-1": {"type": "S3", "location": "b"}});
    let (text, _, notes) = import(&value);
    for word in ["roles", "artifact stores", "encryption keys", "cross-region"] {
        assert!(said(&notes, "", word), "{word}");
    }
    assert!(!text.contains("arn:aws"), "only what is to be decided stands in the file:\n{text}");
}

#[test]
fn what_is_no_pipeline_is_told_what_was_found() {
    let cases = [
        ("{\"a\": 1,}", "line 1, column 9: this is not JSON"),
        ("[]", "no object"),
        ("{\"Resources\": {}, \"Outputs\": {}}", "it has the keys"),
        ("{\"pipeline\": {\"name\": \"x\"}}", "missing field `stages`"),
        ("{\n\"name\": 5, \"stages\": []}", "line 2"),
    ];
    for (text, words) in cases {
        let error = aws::read(text).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn a_file_that_is_there_is_overwritten_only_by_force() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pipeline.yml");
    write(&path, "a", false).unwrap();
    assert!(write(&path, "b", false).unwrap_err().help.contains("--force"));
    write(&path, "c", true).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "c");
}
