//! What starts the pipeline.

use super::aws::{GitConfiguration, Patterns};
use super::convert::Convert;
use super::yaml::{Map, Yaml};

/// Writes `triggers`, unless the default says the same: a push to the branch of any source.
pub fn write(convert: &mut Convert<'_>, file: &mut Map) {
    let pipeline = convert.pipeline;
    let configured: Vec<&GitConfiguration> =
        pipeline.triggers.iter().filter_map(|trigger| trigger.git_configuration.as_ref()).collect();
    let mut triggers = Vec::new();
    let mut default = true;
    for index in 0..convert.sources.len() {
        let source = &convert.sources[index];
        let (name, branch, detects) = (source.name.clone(), source.branch.clone(), source.detects);
        let theirs = source.theirs.clone();
        match configured.iter().find(|git| git.source_action_name == theirs) {
            Some(git) => {
                default = false;
                triggers.extend(configuration(convert, git, &name));
            }
            None if detects => {
                let mut push = Map::default();
                push.set("branches", Yaml::Words(vec![branch])).text("source", &name);
                triggers.push(single("push", push));
            }
            None => default = false,
        }
    }
    if !default {
        file.set("triggers", Yaml::List(triggers));
    }
}

fn single(key: &str, settings: Map) -> Map {
    let mut map = Map::default();
    map.set(key, Yaml::Map(settings));
    map
}

fn configuration(convert: &mut Convert<'_>, git: &GitConfiguration, source: &str) -> Vec<Map> {
    let place = format!("trigger of {}", git.source_action_name);
    let mut triggers = Vec::new();
    for filter in &git.push {
        let mut push = Map::default();
        globs(convert, &place, &mut push, "branches", &filter.branches);
        globs(convert, &place, &mut push, "tags", &filter.tags);
        if push.has("branches") || !push.has("tags") {
            globs(convert, &place, &mut push, "paths", &filter.file_paths);
        }
        push.text("source", source);
        triggers.push(single("push", push));
    }
    for filter in &git.pull_request {
        let mut request = Map::default();
        globs(convert, &place, &mut request, "branches", &filter.branches);
        globs(convert, &place, &mut request, "paths", &filter.file_paths);
        let mut events: Vec<String> = Vec::new();
        for event in &filter.events {
            match event.as_str() {
                "OPEN" | "OPENED" => events.push("opened".to_owned()),
                "UPDATED" => events.push("updated".to_owned()),
                // It fires for those that are merged, and for no others.
                "CLOSED" => events.push("merged".to_owned()),
                other => {
                    let what = format!("pull request event {other}");
                    convert.decide(&place, what, "write opened, updated, merged or closed");
                }
            }
        }
        if !events.is_empty() {
            request.set("events", Yaml::Words(events));
        }
        request.text("source", source);
        triggers.push(single("pull-request", request));
    }
    if git.push.is_empty() && git.pull_request.is_empty() {
        let mut push = Map::default();
        push.text("source", source);
        triggers.push(single("push", push));
    }
    triggers
}

/// Includes, and excludes with `!` before them; in both places excludes win.
fn globs(convert: &mut Convert<'_>, place: &str, into: &mut Map, key: &str, patterns: &Patterns) {
    let mut words = Vec::new();
    let all = patterns.includes.iter().map(|p| ("", p));
    for (sign, theirs) in all.chain(patterns.excludes.iter().map(|p| ("!", p))) {
        // Names are relative here, and a directory alone matches nothing.
        let mut ours = theirs.trim_start_matches("./").trim_start_matches('/').to_owned();
        if ours.ends_with('/') {
            ours.push_str("**");
        }
        if ours.is_empty() || ours.contains("//") {
            convert.decide(
                place,
                format!("the pattern '{theirs}'"),
                "it can match nothing; left out",
            );
            continue;
        }
        words.push(format!("{sign}{ours}"));
    }
    if !words.is_empty() {
        into.set(key, Yaml::Words(words));
    }
}
