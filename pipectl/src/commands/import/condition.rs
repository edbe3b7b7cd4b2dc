//! What surrounds a stage: conditions, and what a failure does.

use super::aws;
use super::convert::Convert;
use super::yaml::{Map, Yaml};

pub fn write(convert: &mut Convert<'_>, stage: &aws::Stage, fields: &mut Map) {
    if let Some(hook) = &stage.before_entry {
        let words = [("FAIL", "fail"), ("SKIP", "skip")];
        condition(convert, stage, hook, ("entry", "before entry"), &words, fields);
    }
    if let Some(hook) = &stage.on_success {
        let words = [("FAIL", "fail"), ("ROLLBACK", "rollback")];
        condition(convert, stage, hook, ("success", "on success"), &words, fields);
    }
    if let Some(hook) = &stage.on_failure {
        failure(convert, stage, hook, fields);
    }
}

fn condition(
    convert: &mut Convert<'_>,
    stage: &aws::Stage,
    hook: &aws::Hook,
    (key, when): (&str, &str),
    words: &[(&str, &str)],
    fields: &mut Map,
) {
    let mut rules = Vec::new();
    let mut otherwise = None;
    for condition in &hook.conditions {
        if let Some(result) = &condition.result {
            match words.iter().find(|(theirs, _)| theirs == result) {
                Some((_, ours)) => otherwise = Some((*ours).to_owned()),
                None => {
                    let what = format!("result {result} of the condition {when}");
                    convert.decide(&stage.name, what, "the default is used: fail");
                }
            }
        }
        rules.extend(condition.rules.iter().filter_map(|found| rule(convert, stage, found, when)));
    }
    if rules.is_empty() {
        return;
    }
    let mut map = Map::default();
    map.set("require", Yaml::List(rules));
    if let Some(word) = otherwise {
        map.text("otherwise", &word);
    }
    fields.set(key, Yaml::Map(map));
}

/// A rule that has a counterpart.
fn rule(
    convert: &mut Convert<'_>,
    stage: &aws::Stage,
    rule: &aws::Rule,
    when: &str,
) -> Option<Map> {
    let provider = rule.rule_type_id.provider.as_str();
    let get = |key: &str| rule.configuration.get(key).map(String::as_str).unwrap_or_default();
    let name = if rule.name.is_empty() { provider } else { rule.name.as_str() };
    if provider == "VariableCheck" {
        let comparison = match get("Operator") {
            "EQ" | "EQUALS" | "" => Some("equals"),
            "NE" | "NOT_EQUALS" => Some("not"),
            "CONTAINS" => Some("contains"),
            _ => None,
        };
        if let Some(comparison) = comparison {
            let value = convert.text(&stage.name, get("Variable"));
            let wanted = convert.text(&stage.name, get("Value"));
            let mut variable = Map::default();
            variable.text("value", &value).text(comparison, &wanted);
            let mut map = Map::default();
            map.set("variable", Yaml::Map(variable));
            return Some(map);
        }
    }
    let instead = match provider {
        "VariableCheck" => "write `variable: {value: …, matches: GLOB}`; patterns are globs here",
        "DeploymentWindow" => {
            "write `window: {days: [mon-fri], from: \"09:00\", to: \"17:00\", zone: …}`, with \
             `otherwise: wait` to have it waited for"
        }
        "CloudWatchAlarm" => {
            "write a monitor into the group and `monitor: {group: …, name: …}` here"
        }
        "LambdaInvoke" => "give the function a URL and write `http: {url: …}`",
        _ => "let a test action decide, or write `http: {url: …}`",
    };
    let what = format!("the rule '{name}' ({provider}) {when}");
    convert.decide(&stage.name, what, instead);
    None
}

fn failure(convert: &mut Convert<'_>, stage: &aws::Stage, hook: &aws::Hook, fields: &mut Map) {
    // The result stands beside the conditions, or in one.
    let inner = hook.conditions.iter().find_map(|condition| condition.result.as_deref());
    let word = match hook.result.as_deref().or(inner) {
        Some("ROLLBACK") => Some("rollback"),
        Some("RETRY") => Some("retry"),
        Some("FAIL") => Some("fail"),
        None => None,
        Some(other) => {
            let what = format!("result {other} of a failure");
            convert.decide(&stage.name, what, "write fail, rollback or retry; fail is used");
            None
        }
    };
    if let Some(word) = word {
        fields.set("on-failure", Yaml::Plain(word.to_owned()));
    }
    let rules: Vec<&str> =
        hook.conditions.iter().flat_map(|c| &c.rules).map(|rule| rule.name.as_str()).collect();
    if !rules.is_empty() {
        let what = format!("the rules of its failure ({})", rules.join(", "));
        convert.decide(&stage.name, what, "`on-failure` has none: it holds for every failure");
    }
    let mode = hook.retry_configuration.as_ref().and_then(|retry| retry.retry_mode.as_deref());
    if word == Some("retry") && mode == Some("FAILED_ACTIONS") {
        let instead =
            "write `retries: 1` at the actions themselves to repeat only those that failed";
        convert.tell(&stage.name, "only failed actions were retried", instead);
    }
}
