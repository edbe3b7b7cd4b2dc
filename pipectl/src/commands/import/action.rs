//! One action.

use super::aws::{self, EnvironmentVariable};
use super::convert::Convert;
use super::names::{name, variable};
use super::source;
use super::yaml::{Map, Yaml};

/// Stands where CodePipeline's file does not say which image a build runs in.
pub const IMAGE: &str = "debian:bookworm-slim";

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
            outputs = build(convert, &place, action, inputs, &mut fields);
        }
        ("Test", "Jenkins") | ("Compute", _) => {
            outputs = build(convert, &place, action, inputs, &mut fields);
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

fn build(
    convert: &mut Convert<'_>,
    place: &str,
    action: &aws::Action,
    inputs: Vec<String>,
    fields: &mut Map,
) -> Vec<String> {
    let provider = action.action_type_id.provider.as_str();
    let mut build = Map::default();
    build.text("image", IMAGE);
    let project = action.setting("ProjectName").map(str::to_owned);
    let origin = match (provider, &project) {
        ("CodeBuild", Some(project)) => format!("CodeBuild project '{project}'"),
        (_, Some(project)) => format!("{provider} project '{project}'"),
        (_, None) => provider.to_owned(),
    };
    build.remark(format!("The image of the {origin} is not in the pipeline: write it here."));
    let what = format!("the image of the {origin} is not in the pipeline");
    convert.decide(place, what, format!("write it in place of {IMAGE}"));
    if provider == "CodeBuild" {
        let instead = "buildspec.yml of the first input is used; set `buildspec`, `privileged`, `timeout` \
                       and `env` where the project has them";
        convert.tell(place, format!("the settings of the {origin}"), instead);
    } else if !action.commands.is_empty() {
        build.head("Write these commands into the buildspec's `phases.build.commands`:");
        for command in &action.commands {
            build.head(format!("    {command}"));
        }
        let what = "its commands are not in a buildspec";
        convert.decide(place, what, "write them into buildspec.yml; they stand above the build");
    } else {
        let what = format!("the steps of the {origin} are not in the pipeline");
        convert.decide(place, what, "write them into a buildspec.yml of the first input");
    }
    let env = environment(convert, place, action);
    if !env.is_empty() {
        build.set("env", Yaml::Map(env));
    }
    if action.setting("BatchEnabled").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        build.set("batch", Yaml::Plain("true".to_owned()));
    }
    if action.setting("CombineArtifacts").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        let what = "the artifacts of a batch are not combined into one";
        convert.decide(place, what, "give each its own name, or merge them in a later build");
    }
    if !action.output_variables.is_empty() {
        let what = format!("output variables {}", action.output_variables.join(", "));
        let instead = "name them in the buildspec's `env.exported-variables`";
        convert.decide(place, what, instead);
    }
    let key = if action.action_type_id.category == "Test" { "test" } else { "build" };
    fields.set(key, Yaml::Map(build));
    if !inputs.is_empty() {
        fields.set("inputs", Yaml::Words(inputs));
    }
    let outputs: Vec<String> =
        action.output_artifacts.iter().map(|a| convert.names.artifact(&a.name)).collect();
    if !outputs.is_empty() {
        fields.set("outputs", Yaml::Words(outputs.clone()));
    }
    outputs
}

/// The variables of a build; those that hold secrets belong into its buildspec.
fn environment(convert: &mut Convert<'_>, place: &str, action: &aws::Action) -> Map {
    let mut env = Map::default();
    let listed = action.setting("EnvironmentVariables").map(serde_json::from_str);
    let listed: Vec<EnvironmentVariable> = match listed {
        None => Vec::new(),
        Some(Ok(listed)) => listed,
        Some(Err(error)) => {
            let what = format!("its EnvironmentVariables are no JSON list ({error})");
            convert.decide(place, what, "write `env:` by hand");
            Vec::new()
        }
    };
    for entry in listed.iter().chain(&action.environment_variables) {
        let section = match entry.kind.as_deref().unwrap_or("PLAINTEXT") {
            "PLAINTEXT" => None,
            "PARAMETER_STORE" => Some("parameter-store"),
            "SECRETS_MANAGER" => Some("secrets-manager"),
            _ => Some("variables"),
        };
        if let Some(section) = section {
            let what = format!("the variable {} is a secret ('{}')", entry.name, entry.value);
            let instead = format!(
                "write `{}: {}` below `env.{section}` of the buildspec, and store the secret here",
                entry.name, entry.value
            );
            convert.decide(place, what, instead);
            continue;
        }
        let name = variable(&entry.name);
        if env.has(&name) {
            continue;
        }
        let value = convert.text(place, &entry.value);
        env.text(&name, &value);
        if name != entry.name {
            env.remark(format!("It was called '{}'.", entry.name));
            let what = format!("the variable '{}' cannot be called so here", entry.name);
            convert.decide(place, what, format!("it is called {name}; change the buildspec"));
        }
    }
    env
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
