//! What `aws codepipeline get-pipeline` prints, as far as anything here looks at it.

use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pipeline {
    pub name: String,
    #[serde(default)]
    pub role_arn: Option<String>,
    #[serde(default)]
    pub artifact_store: Option<Store>,
    #[serde(default)]
    pub artifact_stores: BTreeMap<String, Store>,
    pub stages: Vec<Stage>,
    #[serde(default)]
    pub execution_mode: Option<String>,
    #[serde(default)]
    pub triggers: Vec<Trigger>,
    #[serde(default)]
    pub variables: Vec<Variable>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Store {
    #[serde(default)]
    pub encryption_key: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Variable {
    pub name: String,
    #[serde(default)]
    pub default_value: Option<String>,
    #[serde(default)]
    pub description: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stage {
    pub name: String,
    #[serde(default)]
    pub actions: Vec<Action>,
    #[serde(default)]
    pub before_entry: Option<Hook>,
    #[serde(default)]
    pub on_success: Option<Hook>,
    #[serde(default)]
    pub on_failure: Option<Hook>,
}

/// What surrounds a stage.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hook {
    #[serde(default)]
    pub result: Option<String>,
    #[serde(default)]
    pub retry_configuration: Option<RetryConfiguration>,
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetryConfiguration {
    #[serde(default)]
    pub retry_mode: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Condition {
    #[serde(default)]
    pub result: Option<String>,
    #[serde(default)]
    pub rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    #[serde(default)]
    pub name: String,
    pub rule_type_id: RuleType,
    #[serde(default, deserialize_with = "texts")]
    pub configuration: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
pub struct RuleType {
    pub provider: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Action {
    pub name: String,
    pub action_type_id: ActionType,
    #[serde(default)]
    pub run_order: Option<u32>,
    #[serde(default, deserialize_with = "texts")]
    pub configuration: BTreeMap<String, String>,
    #[serde(default)]
    pub commands: Vec<String>,
    #[serde(default)]
    pub environment_variables: Vec<EnvironmentVariable>,
    #[serde(default)]
    pub output_artifacts: Vec<Artifact>,
    #[serde(default)]
    pub input_artifacts: Vec<Artifact>,
    #[serde(default)]
    pub output_variables: Vec<String>,
    #[serde(default)]
    pub role_arn: Option<String>,
    #[serde(default)]
    pub region: Option<String>,
    #[serde(default)]
    pub namespace: Option<String>,
    #[serde(default)]
    pub timeout_in_minutes: Option<u64>,
}

impl Action {
    /// A setting that is there and says something.
    pub fn setting(&self, key: &str) -> Option<&str> {
        self.configuration.get(key).map(|value| value.trim()).filter(|value| !value.is_empty())
    }
}

#[derive(Debug, Deserialize)]
pub struct ActionType {
    pub category: String,
    pub provider: String,
}

#[derive(Debug, Deserialize)]
pub struct Artifact {
    pub name: String,
}

/// Also the entries of a CodeBuild action's `EnvironmentVariables`.
#[derive(Debug, Deserialize)]
pub struct EnvironmentVariable {
    pub name: String,
    #[serde(default)]
    pub value: String,
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trigger {
    #[serde(default)]
    pub git_configuration: Option<GitConfiguration>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GitConfiguration {
    pub source_action_name: String,
    #[serde(default)]
    pub push: Vec<PushFilter>,
    #[serde(default)]
    pub pull_request: Vec<PullRequestFilter>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PushFilter {
    #[serde(default)]
    pub tags: Patterns,
    #[serde(default)]
    pub branches: Patterns,
    #[serde(default)]
    pub file_paths: Patterns,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PullRequestFilter {
    #[serde(default)]
    pub events: Vec<String>,
    #[serde(default)]
    pub branches: Patterns,
    #[serde(default)]
    pub file_paths: Patterns,
}

#[derive(Debug, Default, Deserialize)]
pub struct Patterns {
    #[serde(default)]
    pub includes: Vec<String>,
    #[serde(default)]
    pub excludes: Vec<String>,
}

/// Settings are texts to the service; people who write the JSON themselves forget the quotes.
fn texts<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    let values = BTreeMap::<String, serde_json::Value>::deserialize(from)?;
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(values.into_iter().map(|(key, value)| (key, text(value))).collect())
}

/// Reads the whole answer of the command, or the pipeline alone.
///
/// # Errors
/// What was found instead, in words.
pub fn read(text: &str) -> Result<Pipeline, String> {
    #[derive(Deserialize)]
    struct Answer {
        pipeline: Pipeline,
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| {
        format!("line {}, column {}: this is not JSON: {error}", error.line(), error.column())
    })?;
    let Some(fields) = value.as_object() else {
        return Err("the JSON is no object".to_owned());
    };
    let pipeline = if fields.get("pipeline").is_some_and(serde_json::Value::is_object) {
        serde_json::from_str::<Answer>(text).map(|answer| answer.pipeline)
    } else if fields.contains_key("stages") {
        serde_json::from_str(text)
    } else {
        let keys: Vec<&str> = fields.keys().take(5).map(String::as_str).collect();
        return Err(format!("the JSON describes no pipeline: it has the keys {}", keys.join(", ")));
    };
    pipeline.map_err(|error| format!("line {}, column {}: {error}", error.line(), error.column()))
}
