//! Which keys a schema has, and that each is explained.

use crate::reference;
use pipelines::spec::{Keys, Kind, keys, schema};
use serde_json::Value;
use std::collections::BTreeSet;

/// One node of a schema and all it refers to.
fn resolve<'s>(whole: &'s Value, schema: &'s Value, found: &mut Vec<&'s Value>) {
    found.push(schema);
    if let Some(place) = schema["$ref"].as_str() {
        let target = whole.pointer(&place[1..]).expect("a reference has a target");
        resolve(whole, target, found);
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        for branch in schema[key].as_array().into_iter().flatten() {
            resolve(whole, branch, found);
        }
    }
}

fn resolved<'s>(whole: &'s Value, schemas: &[&'s Value]) -> Vec<&'s Value> {
    let mut found = Vec::new();
    schemas.iter().for_each(|schema| resolve(whole, schema, &mut found));
    found
}

/// The schemas of what stands at a path such as `stages[].actions`.
fn at<'s>(whole: &'s Value, path: &str) -> Vec<&'s Value> {
    let mut here = resolved(whole, &[whole]);
    for part in path.split('.').filter(|part| !part.is_empty()) {
        let lists = part.matches("[]").count();
        let key = part.trim_end_matches("[]");
        let mut below: Vec<&Value> = Vec::new();
        for schema in &here {
            match schema["properties"].get(key) {
                Some(property) => below.push(property),
                None => below.extend(schema.get("additionalProperties").filter(|s| s.is_object())),
            }
        }
        here = resolved(whole, &below);
        for _ in 0..lists {
            let items: Vec<&Value> = here.iter().filter_map(|schema| schema.get("items")).collect();
            here = resolved(whole, &items);
        }
    }
    here
}

fn keys_of(kind: Kind) -> Keys {
    let mut all = Keys::default();
    for text in reference(kind) {
        let keys = keys(kind, &text);
        all.known.extend(keys.known);
        all.present.extend(keys.present);
    }
    all
}

/// Keys that are known and stand in no reference file, so that the readers never asked for them there.
const BESIDE: &[&str] = &["Hooks", "Resources"];

#[test]
fn a_schema_has_the_keys_the_readers_ask_for_and_no_others() {
    for kind in Kind::ALL {
        let whole = schema(kind);
        let known = keys_of(kind).known;
        let parents: BTreeSet<&str> =
            known.iter().map(|key| key.rsplit_once('.').map_or("", |(parent, _)| parent)).collect();
        let mut wrong = Vec::new();
        for parent in parents {
            let wanted: BTreeSet<&str> = known
                .iter()
                .filter(|key| key.rsplit_once('.').map_or("", |(parent, _)| parent) == parent)
                .map(|key| key.rsplit('.').next().unwrap_or(key))
                .collect();
            let properties = at(&whole, parent);
            let properties =
                properties.iter().filter_map(|schema| schema["properties"].as_object());
            let listed: BTreeSet<&str> =
                properties.flat_map(|p| p.keys().map(String::as_str)).collect();
            // A map of the author's own names lists none.
            let missing = wanted.difference(&listed).map(|key| format!("lacks {parent}.{key}"));
            let extra = listed.difference(&wanted).filter(|key| !BESIDE.contains(key));
            wrong.extend(missing.chain(extra.map(|key| format!("has {parent}.{key}"))));
        }
        assert!(wrong.is_empty(), "the schema of a {}: {wrong:#?}", kind.as_str());
    }
}

/// Every key has words for whoever points at it, its own or those of its type.
#[test]
fn every_key_is_described() {
    fn look(whole: &Value, schema: &Value, place: &str, wrong: &mut Vec<String>) {
        for (key, property) in schema["properties"].as_object().into_iter().flatten() {
            let here = format!("{place}.{key}");
            let described = resolved(whole, &[property]);
            if !described.iter().any(|schema| schema["description"].is_string()) {
                wrong.push(here.clone());
            }
            look(whole, property, &here, wrong);
        }
        for key in ["anyOf", "oneOf", "allOf"] {
            let branches = schema[key].as_array().into_iter().flatten();
            branches.for_each(|branch| look(whole, branch, place, wrong));
        }
        look_below(whole, schema, place, wrong);
    }
    fn look_below(whole: &Value, schema: &Value, place: &str, wrong: &mut Vec<String>) {
        for key in ["items", "additionalProperties"] {
            if schema[key].is_object() {
                look(whole, &schema[key], &format!("{place}[]"), wrong);
            }
        }
    }
    for kind in Kind::ALL {
        let whole = schema(kind);
        let mut wrong = Vec::new();
        look(&whole, &whole, "", &mut wrong);
        for (name, definition) in whole["definitions"].as_object().into_iter().flatten() {
            look(&whole, definition, name, &mut wrong);
        }
        assert!(
            wrong.is_empty(),
            "no description in the schema of a {}: {wrong:#?}",
            kind.as_str()
        );
    }
}
