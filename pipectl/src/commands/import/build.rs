//! Builds: by CodeBuild, and by others that make what later actions take.

use super::aws::{self, EnvironmentVariable};
use super::convert::Convert;
use super::names::variable;
use super::yaml::{Map, Yaml};

/// Stands where CodePipeline's file does not say which image a build runs in.
const IMAGE: &str = "debian:bookworm-slim";

/// Writes `build` or `test`, and returns the artifacts it makes.
pub fn write(
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
