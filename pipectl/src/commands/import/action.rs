//! One action.

use super::aws;
use super::build;
use super::convert::Convert;
use super::names::name;
use super::source;
use super::yaml::{Map, Yaml};

/// The action with the artifacts it makes, or why it is not in the file.
pub fn write(
    convert: &mut Convert<'_>,
    stage: &aws::Stage,
    action: &aws::Action,
    before: &[String],
) -> Result<(Map, Vec<String>), String> {
    let place = format!("{}/{}", stage.name, action.name);
    let own = convert.names.action(&stage.name, &action.name);
    let mut fields = Map::default();
    fields.text("name", &own);
    if own != action.name {
        fields.remark(format!("It was called '{}'.", action.name));
    }
    let category = action.action_type_id.category.as_str();
    if category == "Source" {
        let outputs = source::write(convert, &place, action, &own, &mut fields);
        return Ok((fields, outputs));
    }
    if !before.is_empty() {
        fields.set("needs", Yaml::Words(before.to_vec()));
    }
    let inputs = inputs(convert, &place, action);
    let mut outputs = Vec::new();
    match (category, action.action_type_id.provider.as_str()) {
        ("Approval", _) => {
            approval(convert, &place, action, &mut fields);
            return Ok((fields, outputs));
        }
        ("Deploy", "CodeDeploy" | "EC2") => deploy(convert, &place, action, inputs, &mut fields),
        ("Build" | "Test", provider) if category == "Build" || provider == "CodeBuild" => {
            outputs = build::write(convert, &place, action, inputs, &mut fields);
        }
        ("Test", "Jenkins") | ("Compute", _) => {
            outputs = build::write(convert, &place, action, inputs, &mut fields);
        }
        (_, provider) => {
            let instead = instead_of(category, provider);
            convert.decide(&place, format!("{category} by {provider} is not there"), instead);
            return Err(format!("{category} by {provider}; {instead}"));
        }
    }
    if let Some(minutes) = action.timeout_in_minutes {
        fields.set("timeout", Yaml::Plain(minutes_text(minutes)));
    }
    Ok((fields, outputs))
}

/// What to do in place of an action that has no counterpart.
fn instead_of(category: &str, provider: &str) -> &'static str {
    match (category, provider) {
        ("Deploy", "ECS" | "CodeDeployToECS" | "EKS") => {
            "run containers on hosts of a group with an appspec whose hooks start them, or let a \
             build call the cluster's own command line"
        }
        ("Deploy", "S3") => {
            "let a build copy the files (`aws s3 sync`), or serve them from hosts of a group"
        }
        (
            "Deploy",
            "CloudFormation" | "CloudFormationStackSet" | "CloudFormationStackInstances",
        ) => "let a build run `aws cloudformation deploy`",
        ("Deploy", "ElasticBeanstalk") => {
            "make a group of the environment's hosts, and write an appspec for the application"
        }
        ("Deploy", _) => {
            "let a build call the service's command line, or deploy to hosts of a group"
        }
        ("Invoke", "Lambda") => {
            "give the function a URL and call it: `invoke: {webhook: https://…}`; with `wait: \
             callback` it reports back itself"
        }
        ("Invoke", "StepFunctions") => {
            "let a build run `aws stepfunctions start-execution`, or call a URL with `invoke`"
        }
        ("Invoke", "CodePipeline") => {
            "give the other pipeline a trigger of its own, or let a build start it with `pipectl run`"
        }
        ("Invoke", _) => "call a URL with `invoke: {webhook: https://…}`, or let a build do it",
        ("Test", _) => "let a `test:` action run it from a buildspec",
        _ => "let a build do it",
    }
}

/// The inputs that something before makes.
fn inputs(convert: &mut Convert<'_>, place: &str, action: &aws::Action) -> Vec<String> {
    let mut names: Vec<&str> = action.input_artifacts.iter().map(|a| a.name.as_str()).collect();
    if let Some(primary) = action.setting("PrimarySource")
        && let Some(at) = names.iter().position(|name| *name == primary)
    {
        // Here the first input is the one whose buildspec counts.
        names.swap(0, at);
    }
    let mut inputs = Vec::new();
    for theirs in names {
        let ours = convert.names.artifact(theirs);
        if !convert.made.contains(&ours) {
            let what = format!("its input '{theirs}' is made by an action that is not there");
            convert.decide(place, what, "make it in a build, or take another artifact");
        } else if !inputs.contains(&ours) {
            inputs.push(ours);
        }
    }
    if inputs.is_empty()
        && let Some(source) = convert.sources.first()
    {
        inputs.push(source.artifact.clone());
    }
    inputs
}

fn approval(convert: &mut Convert<'_>, place: &str, action: &aws::Action, fields: &mut Map) {
    let mut approval = Map::default();
    let words: Vec<&str> =
        ["CustomData", "ExternalEntityLink"].iter().filter_map(|key| action.setting(key)).collect();
    if !words.is_empty() {
        let comment = convert.text(place, &words.join(" "));
        approval.text("comment", &comment);
    }
    if let Some(minutes) = action.timeout_in_minutes {
        approval.set("timeout", Yaml::Plain(minutes_text(minutes)));
    }
    if let Some(topic) = action.setting("NotificationArn") {
        let what = format!("nobody is told by the topic {topic}");
        convert.decide(
            place,
            what,
            "name `approvers`; who waits is on the dashboard and in pipectl",
        );
    }
    let instead = "name `approvers:` where not everybody with the right should decide";
    convert.tell(place, "who may approve is in AWS's permissions", instead);
    let empty = approval.is_empty();
    fields.set("approval", if empty { Yaml::Nothing } else { Yaml::Map(approval) });
}

fn deploy(
    convert: &mut Convert<'_>,
    place: &str,
    action: &aws::Action,
    inputs: Vec<String>,
    fields: &mut Map,
) {
    let group = action.setting("DeploymentGroupName").map_or_else(|| name(&action.name), name);
    let mut deploy = Map::default();
    deploy.text("group", &group);
    let application = action.setting("ApplicationName").map_or_else(|| name(&action.name), name);
    let hosts = match (action.setting("InstanceTagKey"), action.setting("InstanceTagValue")) {
        (Some(key), Some(value)) => format!("hosts: {{tags: {{{key}: {value}}}}}"),
        _ => "hosts: {tags: {…}}".to_owned(),
    };
    let instead = format!(
        "write a group file: `group: {group}`, `application: {application}`, `{hosts}`, a strategy; \
         then `pipectl apply -f group.yml`"
    );
    deploy.remark(format!("A deployment group of this name has to be there: {instead}"));
    convert.decide(
        place,
        format!("the deployment group '{group}' is not in the pipeline"),
        instead,
    );
    for key in ["PreScript", "PostScript", "TargetDirectory", "MaxBatch", "MaxError"] {
        if let Some(value) = action.setting(key) {
            let instead = "write it into the appspec (scripts, files) or the group (batches)";
            convert.decide(place, format!("{key} '{value}'"), instead);
        }
    }
    if let Some(artifact) = inputs.first() {
        deploy.text("artifact", artifact);
    }
    fields.set("deploy", Yaml::Map(deploy));
}

/// `1h30m`, in as large units as are exact.
fn minutes_text(minutes: u64) -> String {
    match minutes {
        0 => "1m".to_owned(),
        minutes if minutes % 1440 == 0 => format!("{}d", minutes / 1440),
        minutes if minutes % 60 == 0 => format!("{}h", minutes / 60),
        minutes if minutes > 60 => format!("{}h{}m", minutes / 60, minutes % 60),
        minutes => format!("{minutes}m"),
    }
}
