//! Sections as files may write them, where that is more than the model's own form.

use crate::spec::Window;
use crate::spec::appspec::{Hook, OWN_EVENTS, SCRIPT_EVENTS};
use crate::spec::schema::words::{AMOUNT, Anything, DURATION, Days, OneOrMany, TimeOrDate};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A stretch of time that comes once or every week.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the keys a window is written with, for its schema only")]
struct WindowForm {
    /// Weekdays, `mon-fri` standing for five; every day where absent. Only with times of day.
    days: Option<OneOrMany<Days>>,
    /// A time of day such as "09:00", or a date such as 2026-12-20.
    #[schemars(with = "TimeOrDate")]
    from: String,
    /// Of the same sort as `from`; the last day is included.
    #[schemars(with = "TimeOrDate")]
    to: String,
    /// An IANA zone name; UTC where absent.
    zone: Option<String>,
    /// Shown to whoever has to wait.
    reason: Option<String>,
}

impl JsonSchema for Window {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Window")
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        WindowForm::json_schema(generator)
    }
}

/// An ECS service or a Lambda function; nothing here deploys it.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the keys it is written with, for its schema only")]
pub(crate) struct ResourceForm {
    /// AWS::ECS::Service or AWS::Lambda::Function.
    #[schemars(rename = "Type")]
    kind: String,
    /// What is deployed.
    #[schemars(rename = "Properties")]
    properties: BTreeMap<String, Anything>,
}

/// Scripts by lifecycle event.
pub(crate) struct HooksForm;

impl JsonSchema for HooksForm {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Hooks")
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut scripts = json_schema!({
            "description": "Scripts, in the order in which they run.",
            "items": generator.subschema_for::<Hook>()
        });
        list_or_empty(&mut scripts);
        let scripts = scripts.to_value();
        let events = SCRIPT_EVENTS.iter().chain(&OWN_EVENTS);
        let events: Map<String, Value> =
            events.map(|event| ((*event).to_owned(), scripts.clone())).collect();
        json_schema!({"type": "object", "properties": events})
    }
}

/// The section, or `short` in its place.
fn or(schema: &mut Schema, short: Value) {
    let mut long = schema.clone().to_value();
    let description = long.as_object_mut().and_then(|long| long.remove("description"));
    *schema = json_schema!({"anyOf": [short, long]});
    if let Some(description) = description {
        schema.insert("description".to_owned(), description);
    }
}

/// `drain: 30s`.
pub(crate) fn or_duration(schema: &mut Schema) {
    or(schema, json!({"type": "string", "pattern": DURATION}));
}

/// `files: {}`, which the agents go through as they do through an empty list.
pub(crate) fn list_or_empty(schema: &mut Schema) {
    schema.insert("type".to_owned(), json!(["array", "object", "null"]));
    schema.insert("maxProperties".to_owned(), json!(0));
}

/// `max-failures: 10%`.
pub(crate) fn or_amount(schema: &mut Schema) {
    or(schema, json!({"type": ["integer", "string"], "minimum": 0, "pattern": AMOUNT}));
}

/// `keep-releases: 5`.
pub(crate) fn or_count(schema: &mut Schema) {
    or(schema, json!({"type": "integer", "minimum": 1, "maximum": 1000}));
}

/// `health: http://…`, `zones: zone`, `schedule: "0 3 * * *"`, `LEVEL: info`.
pub(crate) fn or_text(schema: &mut Schema) {
    or(schema, json!({"type": "string"}));
}

/// `TICKET:`, `approval:`.
pub(crate) fn or_nothing(schema: &mut Schema) {
    or(schema, json!({"type": "null"}));
}

/// `rollback: never`.
pub(crate) fn or_never(schema: &mut Schema) {
    or(schema, json!({"enum": ["never"]}));
}

/// The branches of an enum by the one key each of them has.
fn branches(schema: &Schema) -> Vec<(String, Value)> {
    let branches = schema.get("oneOf").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut found = Vec::new();
    for branch in branches {
        if let Some(Value::Object(properties)) = branch.get("properties") {
            for (key, value) in properties {
                let mut value = value.clone();
                if value.get("description").is_none()
                    && let (Some(description), Some(value)) =
                        (branch.get("description"), value.as_object_mut())
                {
                    value.insert("description".to_owned(), description.clone());
                }
                found.push((key.clone(), value));
            }
        }
    }
    found
}

/// A mapping of exactly one of `branches`.
fn exactly_one(branches: Vec<(String, Value)>) -> Value {
    let properties: Map<String, Value> = branches.into_iter().collect();
    json!({"type": "object", "properties": properties, "minProperties": 1, "maxProperties": 1})
}

fn replace(schema: &mut Schema, by: Value) {
    schema.remove("oneOf");
    if let Value::Object(fields) = by {
        for (key, value) in fields {
            schema.insert(key, value);
        }
    }
}

/// An enum written as a mapping of one key.
pub(crate) fn one_key(schema: &mut Schema) {
    let one = exactly_one(branches(schema));
    replace(schema, one);
}

fn nullable(branches: &mut [(String, Value)], keys: &[&str]) {
    for (_, value) in branches.iter_mut().filter(|(key, _)| keys.contains(&key.as_str())) {
        let description = value.get("description").cloned();
        *value = json!({"anyOf": [value, {"type": "null"}]});
        if let Some(description) = description {
            value["description"] = description;
        }
    }
}

/// `- push`, `- push: {…}`, `- schedule: "0 3 * * *"`.
pub(crate) fn trigger(schema: &mut Schema) {
    let mut found = branches(schema);
    nullable(&mut found, &["push", "pull-request"]);
    for (_, value) in found.iter_mut().filter(|(key, _)| key == "schedule") {
        *value = json!({"anyOf": [{"type": "string"}, value]});
    }
    let long = exactly_one(found);
    replace(schema, json!({"anyOf": [{"enum": ["push", "pull-request"]}, long]}));
}

/// `http: URL`, among a monitor's keys.
pub(crate) fn metric(schema: &mut Schema) {
    let Some(metrics) = schema.get_mut("oneOf").and_then(Value::as_array_mut) else { return };
    for http in metrics.iter_mut().filter_map(|metric| metric["properties"].get_mut("http")) {
        *http = json!({"anyOf": [{"type": "string"}, http.take()]});
    }
}

/// `rolling`, `OneAtATime`, `{rolling: {batch: 2}}`.
pub(crate) fn strategy(schema: &mut Schema) {
    let mut found = branches(schema);
    let empty = json!({"type": "object", "properties": {}, "description": "Every host together."});
    found.push(("all-at-once".to_owned(), empty));
    let alone = ["all-at-once", "rolling", "rolling-extra", "immutable", "blue-green"];
    nullable(&mut found, &alone);
    let long = exactly_one(found);
    let names = json!([
        "all-at-once",
        "rolling",
        "rolling-extra",
        "immutable",
        "blue-green",
        "AllAtOnce",
        "HalfAtATime",
        "OneAtATime",
        "Canary10Percent5Minutes",
        "Linear10PercentEvery1Minute"
    ]);
    let pattern = "^(CodeDeployDefault\\.)?(ECS|Lambda)?(all-at-once|rolling|rolling-extra|immutable|blue-green|\
        AllAtOnce|HalfAtATime|OneAtATime|Canary[0-9]+Percent[0-9]+Minutes?|\
        Linear[0-9]+PercentEvery[0-9]+Minutes?)$";
    let short = json!({"type": "string", "anyOf": [{"enum": names}, {"pattern": pattern}]});
    replace(schema, json!({"anyOf": [short, long]}));
}

/// `test: {image: …}` is a build that is there to test; `approval:` needs no settings.
pub(crate) fn action(schema: &mut Schema) {
    let Some(works) = schema.get_mut("oneOf").and_then(Value::as_array_mut) else { return };
    let build = works.iter().find(|work| work["properties"].get("build").is_some());
    if let Some(build) = build {
        let mut test = build.clone();
        let work = test["properties"]["build"].take();
        test["properties"] = json!({"test": work});
        test["required"] = json!(["test"]);
        test["description"] = "A build that is there to test.".into();
        works.push(test);
    }
    for work in works.iter_mut() {
        if let Some(approval) = work["properties"].get_mut("approval") {
            *approval = json!({"anyOf": [approval.take(), {"type": "null"}]});
        }
    }
}

/// What version 0.1 has in place of `env.variables`.
pub(crate) fn buildspec(schema: &mut Schema) {
    let variables = json!({
        "type": "object",
        "description": "Name and value; nothing in a value is expanded.",
        "additionalProperties": {"type": "string"}
    });
    add(
        schema,
        "environment_variables",
        json!({
            "type": "object",
            "description": "Version 0.1's form of `env.variables`.",
            "properties": {"plaintext": variables}
        }),
    );
}

/// `type`, which version 0.1 has.
pub(crate) fn artifacts(schema: &mut Schema) {
    let description = "Of version 0.1; version 0.2 ignores it.";
    add(schema, "type", json!({"description": description}));
}

/// The agents' own name for the user of a context.
pub(crate) fn context(schema: &mut Schema) {
    add(schema, "name", json!({"type": "string", "description": "The SELinux user."}));
}

/// A file for hosts has `os`, one for ECS or Lambda has `Resources`.
pub(crate) fn appspec(schema: &mut Schema) {
    let description = "Functions called at events of ECS and Lambda; nothing here runs them.";
    add(schema, "Hooks", json!({"description": description}));
    let either = json!([{"required": ["os"]}, {"required": ["Resources"]}]);
    schema.insert("anyOf".to_owned(), either);
}

fn add(schema: &mut Schema, key: &str, value: Value) {
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert(key.to_owned(), value);
    }
}
