//! What is alike in every schema of a format.

use crate::spec::Kind;
use serde_json::{Map, Value, json};

/// Makes a generated schema true of files: see the module above.
pub(super) fn tidy(kind: Kind, schema: &mut Value) {
    let aws = matches!(kind, Kind::Buildspec | Kind::Appspec);
    walk(schema, aws);
}

fn walk(schema: &mut Value, aws: bool) {
    let Value::Object(fields) = schema else { return };
    lift(fields);
    fields.remove("format");
    alone(fields);
    for key in ["definitions", "properties"] {
        if let Some(Value::Object(schemas)) = fields.get_mut(key) {
            schemas.values_mut().for_each(|schema| walk(schema, aws));
        }
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        if let Some(Value::Array(schemas)) = fields.get_mut(key) {
            schemas.iter_mut().for_each(|schema| walk(schema, aws));
        }
    }
    for key in ["items", "additionalProperties"] {
        if let Some(schema) = fields.get_mut(key) {
            walk(schema, aws);
        }
    }
    single_value(fields, aws);
    mapping(fields, aws);
}

/// A list of one schema that all have to hold is that schema, where nothing else is said.
fn alone(fields: &mut Map<String, Value>) {
    let bare = fields.keys().all(|key| key == "allOf" || key == "default");
    if bare
        && let Some(Value::Array(all)) = fields.get("allOf")
        && let [Value::Object(one)] = all.as_slice()
    {
        let one = one.clone();
        fields.remove("allOf");
        fields.extend(one);
    }
}

/// An enum flattened into a mapping: its keys become the mapping's own, so that editors know them
/// all, and only the choice between them stays behind.
fn lift(fields: &mut Map<String, Value>) {
    if !fields.contains_key("properties") {
        return;
    }
    let Some(Value::Array(branches)) = fields.remove("oneOf") else { return };
    let mut choice = Vec::new();
    for mut branch in branches {
        let Value::Object(own) = branch["properties"].take() else { continue };
        for (key, mut value) in own {
            if value.get("description").is_none()
                && let (Some(description), Value::Object(value)) =
                    (branch.get("description"), &mut value)
            {
                value.insert("description".to_owned(), description.clone());
            }
            choice.push(json!({"required": [key]}));
            if let Some(Value::Object(properties)) = fields.get_mut("properties") {
                properties.insert(key, value);
            }
        }
    }
    fields.insert("oneOf".to_owned(), Value::Array(choice));
}

/// YAML reads `3.10` as a number and `true` as a boolean; the readers take the text of either.
fn single_value(fields: &mut Map<String, Value>, aws: bool) {
    if fields.contains_key("enum") || fields.contains_key("const") {
        return;
    }
    let (kind, null) = match fields.get("type") {
        Some(Value::String(kind)) => (kind.as_str(), false),
        // What may be absent may be null; every other list of types is meant as it is.
        Some(Value::Array(kinds)) => match kinds.as_slice() {
            [Value::String(kind), Value::String(null)] if null == "null" => (kind.as_str(), true),
            _ => return,
        },
        _ => return,
    };
    let (mut kinds, pattern) = match kind {
        // Text of a certain form can only be text.
        "string" if fields.contains_key("pattern") || fields.contains_key("anyOf") => return,
        "string" => (vec!["string", "number", "boolean"], None),
        "integer" => (vec!["integer", "string"], Some("^[0-9]+$")),
        // AWS reads YAML 1.1.
        "boolean" if aws => {
            let words = "^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|[Yy]([Ee][Ss])?|[Nn][Oo]?\
                         |[Oo][Nn]|[Oo][Ff][Ff])$";
            (vec!["boolean", "string"], Some(words))
        }
        _ => return,
    };
    kinds.extend(null.then_some("null"));
    fields.insert("type".to_owned(), json!(kinds));
    if let Some(pattern) = pattern {
        fields.insert("pattern".to_owned(), json!(pattern));
    }
}

/// Unknown keys are errors in our formats and warnings in those of AWS. A key with nothing behind it
/// is as good as absent.
fn mapping(fields: &mut Map<String, Value>, aws: bool) {
    if let Some(values) = fields.get_mut("additionalProperties").filter(|value| value.is_object()) {
        allow_null(values);
    }
    let required: Vec<String> = match fields.get("required").and_then(Value::as_array) {
        Some(names) => names.iter().filter_map(|name| Some(name.as_str()?.to_owned())).collect(),
        None => Vec::new(),
    };
    // Exactly one key has to be there, and its value is what it is about.
    let chosen = fields.contains_key("maxProperties");
    let choice: Vec<String> = match fields.get("oneOf").and_then(Value::as_array) {
        Some(branches) => {
            branches.iter().filter_map(|b| Some(b["required"][0].as_str()?.to_owned())).collect()
        }
        None => Vec::new(),
    };
    let Some(Value::Object(properties)) = fields.get_mut("properties") else { return };
    for (key, value) in properties.iter_mut() {
        plain_default(value);
        if !chosen && !required.contains(key) && !choice.contains(key) {
            allow_null(value);
        }
    }
    if aws {
        if fields.get("additionalProperties") == Some(&json!(false)) {
            fields.remove("additionalProperties");
        }
    } else {
        fields.insert("additionalProperties".to_owned(), json!(false));
    }
}

/// Defaults that say nothing are left out, and so are those of sections, which editors would insert.
fn plain_default(value: &mut Value) {
    let Value::Object(fields) = value else { return };
    if fields.get("default").is_some_and(|default| {
        default.is_null() || default.is_object() || default.is_array() || *default == json!("")
    }) {
        fields.remove("default");
    }
}

fn allow_null(schema: &mut Value) {
    let Value::Object(fields) = schema else { return };
    if fields.is_empty() {
        return;
    }
    if let Some(Value::Array(words)) = fields.get_mut("enum") {
        // An editor offers every word of a list, and nobody wants to be offered null.
        words.retain(|word| !word.is_null());
    }
    let typed = fields.contains_key("type");
    if let Some(Value::Array(choice)) = fields.get_mut("anyOf") {
        let null = json!({"type": "null"});
        if choice.contains(&null) {
            return;
        }
        if !typed {
            return choice.push(null);
        }
    }
    let closed = ["enum", "const", "anyOf", "oneOf", "allOf", "$ref"];
    let open = !closed.iter().any(|key| fields.contains_key(*key));
    match open.then(|| fields.remove("type")).flatten() {
        Some(kind) => {
            let kinds = match kind {
                Value::Array(kinds) => kinds,
                kind => vec![kind],
            };
            let null = (!kinds.contains(&json!("null"))).then(|| json!("null"));
            fields.insert("type".to_owned(), kinds.into_iter().chain(null).collect());
        }
        None => {
            let mut outer = Map::new();
            for key in ["description", "default"] {
                outer.extend(fields.remove(key).map(|value| (key.to_owned(), value)));
            }
            let inner = Value::Object(std::mem::take(fields));
            outer.insert("anyOf".to_owned(), json!([inner, {"type": "null"}]));
            *fields = outer;
        }
    }
}
