//! Pipelines as CodePipeline prints them: each becomes a file without errors, and says what it lost.

use super::aws;
use super::convert::{Note, convert};
use pipelines::spec::pipeline::{Pipeline, Work, parse};
use serde_json::{Value, json};

mod around;

/// The file, its model and the notes; the file lints without errors.
fn import(value: &Value) -> (String, Pipeline, Vec<Note>) {
    let pipeline = aws::read(&value.to_string()).unwrap();
    let (text, notes) = convert(&pipeline);
    let parsed = parse(&text);
    let problems: Vec<String> = parsed.problems.iter().map(ToString::to_string).collect();
    let model = parsed.value.unwrap_or_else(|| panic!("{problems:#?}\n{text}"));
    (text, model, notes)
}

fn action(name: &str, category: &str, provider: &str, rest: Value) -> Value {
    let mut action = json!({
        "name": name,
        "actionTypeId": {"category": category, "owner": "AWS", "provider": provider, "version": "1"},
        "runOrder": 1,
        "configuration": {},
        "outputArtifacts": [],
        "inputArtifacts": [],
    });
    for (key, value) in rest.as_object().unwrap() {
        action[key] = value.clone();
    }
    action
}

fn source() -> Value {
    action(
        "Source",
        "Source",
        "CodeCommit",
        json!({
            "namespace": "SourceVariables",
            "configuration": {"RepositoryName": "shop", "BranchName": "main"},
            "outputArtifacts": [{"name": "SourceArtifact"}],
        }),
    )
}

/// CodePipeline wants a second stage behind the sources.
fn approval() -> (&'static str, Vec<Value>) {
    ("Approve", vec![action("Approve", "Approval", "Manual", json!({}))])
}

fn build() -> Value {
    action(
        "Build",
        "Build",
        "CodeBuild",
        json!({
            "namespace": "BuildVariables",
            "configuration": {"ProjectName": "shop-build"},
            "inputArtifacts": [{"name": "SourceArtifact"}],
            "outputArtifacts": [{"name": "BuildArtifact"}],
        }),
    )
}

fn pipeline(stages: &[(&str, Vec<Value>)]) -> Value {
    let stages: Vec<Value> =
        stages.iter().map(|(name, actions)| json!({"name": name, "actions": actions})).collect();
    json!({"pipeline": {"name": "shop", "version": 3, "stages": stages}, "metadata": {"created": 1}})
}

fn said(notes: &[Note], place: &str, words: &str) -> bool {
    notes.iter().any(|note| {
        note.place == place && (note.what.contains(words) || note.instead.contains(words))
    })
}

#[test]
fn source_build_approval_and_deployment_carry_over_in_order() {
    let deploy = action(
        "Deploy",
        "Deploy",
        "CodeDeploy",
        json!({
            "configuration": {"ApplicationName": "shop", "DeploymentGroupName": "prod hosts"},
            "inputArtifacts": [{"name": "BuildArtifact"}],
            "runOrder": 2,
        }),
    );
    let approve = action(
        "Approve",
        "Approval",
        "Manual",
        json!({
            "configuration": {
                "CustomData": "Release #{SourceVariables.CommitId} as #{BuildVariables.TAG}?",
                "ExternalEntityLink": "https://staging.example.com",
                "NotificationArn": "arn:aws:sns:eu-west-1:1:approvals",
            },
            "timeoutInMinutes": 90,
        }),
    );
    let value = pipeline(&[
        ("Source", vec![source()]),
        ("Build", vec![build()]),
        ("Release", vec![approve, deploy]),
    ]);
    let (text, model, notes) = import(&value);
    let names: Vec<&str> = model.stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(names, ["Source", "Build", "Release"]);
    let release = &model.stages[2].actions;
    let Work::Approval(approval) = &release[0].work else { panic!("{text}") };
    assert_eq!(
        approval.comment.as_deref(),
        Some("Release #{Source.commit} as #{Build.TAG}? https://staging.example.com")
    );
    assert!(text.contains("timeout: 1h30m"), "{text}");
    assert_eq!(release[1].needs, ["Approve"]);
    let Work::Deploy(deploy) = &release[1].work else { panic!("{text}") };
    assert_eq!((deploy.group.as_str(), deploy.artifact.as_str()), ("prod-hosts", "BuildArtifact"));
    assert!(said(&notes, "Release/Approve", "arn:aws:sns"));
    assert!(said(&notes, "Build/Build", "shop-build"));
    assert!(said(&notes, "Source/Source", "CodeCommit"));
    // A bare pipeline, without its metadata, is the same.
    assert_eq!(import(&value["pipeline"]).0, text);
}

#[test]
fn variables_of_a_build_carry_over_and_secrets_are_named() {
    let mut compile = build();
    compile["configuration"]["EnvironmentVariables"] = json!(
        "[{\"name\":\"COMMIT\",\"value\":\"#{SourceVariables.CommitId}\",\"type\":\"PLAINTEXT\"},\
          {\"name\":\"my-level\",\"value\":\"3\"},\
          {\"name\":\"WHO\",\"value\":\"#{SourceVariables.CommitterDate}\"},\
          {\"name\":\"RUN\",\"value\":\"#{codepipeline.PipelineExecutionId}\"},\
          {\"name\":\"TOKEN\",\"value\":\"shop/token:key\",\"type\":\"SECRETS_MANAGER\"}]"
    );
    compile["configuration"]["BatchEnabled"] = json!(true);
    let value = pipeline(&[("Source", vec![source()]), ("Build", vec![compile])]);
    let (text, model, notes) = import(&value);
    let Work::Build(build) = &model.stages[1].actions[0].work else { panic!("{text}") };
    let env: Vec<(&str, &str)> = build.env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(
        env,
        [
            ("COMMIT", "#{Source.commit}"),
            ("RUN", "#{run.id}"),
            ("WHO", "{SourceVariables.CommitterDate}"),
            ("my_level", "3"),
        ]
    );
    assert!(build.batch);
    assert!(said(&notes, "Build/Build", "`TOKEN: shop/token:key` below `env.secrets-manager`"));
    assert!(said(&notes, "Build/Build", "SourceVariables.CommitterDate"));
}

#[test]
fn run_orders_become_needs_and_dropped_actions_leave_no_hole() {
    let at = |name: &str, order: u32, provider: &str, category: &str| {
        action(
            name,
            category,
            provider,
            json!({
                "runOrder": order,
                "configuration": {"ProjectName": "p"},
                "inputArtifacts": [{"name": "SourceArtifact"}],
                "outputArtifacts": [],
            }),
        )
    };
    let value = pipeline(&[
        ("Source", vec![source()]),
        (
            "Work",
            vec![
                at("c", 3, "CodeBuild", "Build"),
                at("a", 1, "CodeBuild", "Build"),
                at("b", 1, "CodeBuild", "Test"),
                at("gone", 2, "Lambda", "Invoke"),
            ],
        ),
    ]);
    let (text, model, notes) = import(&value);
    let actions = &model.stages[1].actions;
    let names: Vec<&str> = actions.iter().map(|action| action.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(actions[2].needs, ["a", "b"]);
    assert_eq!(actions[1].kind(), "test");
    assert!(said(&notes, "Work/gone", "webhook") && text.contains("# Not here: gone"), "{text}");
}

#[test]
fn what_has_no_counterpart_says_what_to_do_instead() {
    let kinds = [
        ("Deploy", "ECS"),
        ("Deploy", "CodeDeployToECS"),
        ("Deploy", "S3"),
        ("Deploy", "CloudFormation"),
        ("Deploy", "ElasticBeanstalk"),
        ("Deploy", "EKS"),
        ("Deploy", "AppConfig"),
        ("Invoke", "Lambda"),
        ("Invoke", "StepFunctions"),
        ("Invoke", "CodePipeline"),
        ("Test", "DeviceFarm"),
    ];
    for (category, provider) in kinds {
        let gone = action(
            "Last",
            category,
            provider,
            json!({
                "inputArtifacts": [{"name": "SourceArtifact"}],
                "outputArtifacts": [{"name": "Out"}],
            }),
        );
        let mut after = build();
        after["inputArtifacts"] = json!([{"name": "Out"}]);
        let value =
            pipeline(&[("Source", vec![source()]), ("Only", vec![gone]), ("After", vec![after])]);
        let (text, model, notes) = import(&value);
        assert_eq!(model.stages.len(), 2, "{text}");
        assert!(said(&notes, "Only/Last", provider), "{notes:#?}");
        assert!(said(&notes, "Only", "left out") && said(&notes, "After/Build", "'Out'"));
    }
    // Builds by others stay, because others take what they make.
    for (category, provider) in [("Build", "Jenkins"), ("Compute", "Commands"), ("Deploy", "EC2")] {
        let other = action(
            "Other",
            category,
            provider,
            json!({
                "commands": ["npm ci", "npm test: all"],
                "environmentVariables": [{"name": "A", "value": "1", "type": "PLAINTEXT"}],
                "configuration": {"InstanceTagKey": "role", "InstanceTagValue": "web", "MaxBatch": "2"},
                "inputArtifacts": [{"name": "SourceArtifact"}],
            }),
        );
        let (text, model, _) =
            import(&pipeline(&[("Source", vec![source()]), ("Next", vec![other])]));
        assert_eq!(model.stages[1].actions.len(), 1);
        assert!(provider != "Commands" || text.contains("# npm test: all"), "{text}");
        assert!(provider != "EC2" || text.contains("role: web"), "{text}");
    }
}
