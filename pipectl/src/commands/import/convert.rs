//! A pipeline of CodePipeline as a pipeline file, and what did not carry over.

use super::aws;
use super::names::{Names, name};
use super::yaml::{Map, Yaml};
use super::{action, condition, trigger};
use serde::Serialize;
use std::collections::BTreeSet;

/// Something that is not in the file as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// `stage/action` in CodePipeline's names; empty where it is about the whole pipeline.
    pub place: String,
    /// Whether somebody has to do something about it.
    pub decide: bool,
    pub what: String,
    pub instead: String,
}

/// What is known on the way from the first stage to the last.
pub struct Convert<'p> {
    pub pipeline: &'p aws::Pipeline,
    pub names: Names,
    pub notes: Vec<Note>,
    /// Actions that are in the file by now, by their new names.
    pub known: BTreeSet<String>,
    /// Artifacts that are made by now, by their new names; sources first.
    pub made: Vec<String>,
    pub sources: Vec<Source>,
}

/// A source action of the file.
pub struct Source {
    /// CodePipeline's name.
    pub theirs: String,
    pub name: String,
    pub branch: String,
    /// Whether a push starts the pipeline where no trigger says otherwise.
    pub detects: bool,
    pub artifact: String,
}

/// The file's text, and the notes.
pub fn convert(pipeline: &aws::Pipeline) -> (String, Vec<Note>) {
    let mut convert = Convert {
        pipeline,
        names: Names::of(pipeline),
        notes: Vec::new(),
        known: BTreeSet::new(),
        made: Vec::new(),
        sources: Vec::new(),
    };
    let mut file = Map::default();
    file.set("version", Yaml::Plain("1".to_owned()));
    file.text("name", &name(&pipeline.name));
    if name(&pipeline.name) != pipeline.name {
        file.remark(format!("It was called '{}'.", pipeline.name));
    }
    convert.mode(&mut file);
    convert.variables(&mut file);
    let stages: Vec<Map> =
        pipeline.stages.iter().filter_map(|stage| convert.stage(stage)).collect();
    trigger::write(&mut convert, &mut file);
    file.set("stages", Yaml::List(stages));
    convert.not_needed();
    let text = format!("{}{}", head(pipeline, &convert.notes), file.write());
    (text, convert.notes)
}

/// The comment block at the top: what a person has to decide.
fn head(pipeline: &aws::Pipeline, notes: &[Note]) -> String {
    let mut lines = vec![format!("Imported from the CodePipeline pipeline '{}'.", pipeline.name)];
    let decide: Vec<&Note> = notes.iter().filter(|note| note.decide).collect();
    if !decide.is_empty() {
        lines.push("To decide before it is used:".to_owned());
    }
    for note in decide {
        let place = if note.place.is_empty() { String::new() } else { format!("{}: ", note.place) };
        lines.push(format!("- {place}{}: {}", note.what, note.instead));
    }
    let mut text = String::new();
    for line in lines {
        for (index, part) in
            super::yaml::wrapped(&crate::output::clean(&line), 96).iter().enumerate()
        {
            let margin = if index > 0 { "  " } else { "" };
            text.push_str(&format!("# {margin}{part}\n"));
        }
    }
    text.push('\n');
    text
}

impl Convert<'_> {
    pub fn decide(&mut self, place: &str, what: impl Into<String>, instead: impl Into<String>) {
        self.note(place, true, what, instead);
    }

    pub fn tell(&mut self, place: &str, what: impl Into<String>, instead: impl Into<String>) {
        self.note(place, false, what, instead);
    }

    fn note(
        &mut self,
        place: &str,
        decide: bool,
        what: impl Into<String>,
        instead: impl Into<String>,
    ) {
        let (what, instead) = (what.into(), instead.into());
        let note = Note { place: place.to_owned(), decide, what, instead };
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// The text with our references; those without a counterpart are noted.
    pub fn text(&mut self, place: &str, text: &str) -> String {
        let mut lost = Vec::new();
        let ours = self.names.references(text, &self.known, |reference| {
            lost.push(reference.to_owned());
        });
        for reference in lost {
            let what = format!("`#{{{reference}}}` has no counterpart");
            let instead = "it is left as text without its `#`; a source knows commit, short-commit, \
                           branch, tag, author and message, a build what its buildspec exports";
            self.decide(place, what, instead);
        }
        ours
    }

    fn mode(&mut self, file: &mut Map) {
        match self.pipeline.execution_mode.as_deref() {
            None => {}
            Some(mode @ ("SUPERSEDED" | "QUEUED" | "PARALLEL")) => {
                file.set("mode", Yaml::Plain(mode.to_ascii_lowercase()));
            }
            Some(other) => {
                self.decide(
                    "",
                    format!("execution mode {other}"),
                    "superseded is used; see `mode`",
                );
            }
        }
    }

    fn variables(&mut self, file: &mut Map) {
        let mut variables = Map::default();
        for variable in &self.pipeline.variables {
            let name = self.names.variable(&variable.name);
            let mut fields = Map::default();
            if let Some(default) = &variable.default_value {
                fields.text("default", default);
            }
            if let Some(description) = &variable.description {
                fields.text("description", description);
            }
            let empty = fields.is_empty();
            variables.set(&name, if empty { Yaml::Nothing } else { Yaml::Map(fields) });
            if name != variable.name {
                variables
                    .remark(format!("It was called '{}'; no shell can use that.", variable.name));
            }
        }
        if !variables.is_empty() {
            file.set("variables", Yaml::Map(variables));
        }
    }

    fn stage(&mut self, stage: &aws::Stage) -> Option<Map> {
        let mut fields = Map::default();
        fields.text("name", &name(&stage.name));
        condition::write(self, stage, &mut fields);
        let (actions, dropped) = self.actions(stage);
        for text in &dropped {
            fields.head(text.clone());
        }
        if actions.is_empty() {
            let what = "none of its actions carries over, so the stage is left out";
            self.decide(&stage.name, what, "see the notes about its actions");
            return None;
        }
        fields.set("actions", Yaml::List(actions));
        Some(fields)
    }

    /// The stage's actions in the order in which they run, and what was said about those that are not
    /// there. An action waits for all of the next lower `runOrder` that is still there.
    fn actions(&mut self, stage: &aws::Stage) -> (Vec<Map>, Vec<String>) {
        let mut orders: Vec<u32> = stage.actions.iter().map(order).collect();
        orders.sort_unstable();
        orders.dedup();
        let (mut actions, mut dropped) = (Vec::new(), Vec::new());
        let mut before: Vec<String> = Vec::new();
        for step in orders {
            let mut here = Vec::new();
            let mut made = Vec::new();
            for action in stage.actions.iter().filter(|action| order(action) == step) {
                match action::write(self, stage, action, &before) {
                    Ok((map, outputs)) => {
                        actions.push(map);
                        made.extend(outputs);
                        here.push(self.names.action(&stage.name, &action.name));
                    }
                    Err(why) => dropped.push(format!("Not here: {}: {why}", action.name)),
                }
            }
            // Known to those that wait, not to those beside.
            self.known.extend(here.iter().cloned());
            self.made.extend(made);
            if !here.is_empty() {
                before = here;
            }
        }
        (actions, dropped)
    }

    /// What is of no use here, said once.
    fn not_needed(&mut self) {
        let pipeline = self.pipeline;
        let actions = || pipeline.stages.iter().flat_map(|stage| &stage.actions);
        if pipeline.role_arn.is_some() || actions().any(|action| action.role_arn.is_some()) {
            self.tell("", "roles", "not needed: agents act with the rights of their own machine");
        }
        if pipeline.artifact_store.is_some() || !pipeline.artifact_stores.is_empty() {
            self.tell("", "artifact stores", "not needed: the controller keeps artifacts");
        }
        let stores = pipeline.artifact_stores.values().chain(&pipeline.artifact_store);
        if stores.into_iter().any(|store| store.encryption_key.is_some()) {
            self.tell("", "encryption keys", "not needed: artifacts stay on the controller's disk");
        }
        if actions().any(|action| action.region.is_some()) || pipeline.artifact_stores.len() > 1 {
            let instead = "not needed: hosts belong to groups by their tags, wherever they are";
            self.tell("", "regions and cross-region stores", instead);
        }
    }
}

fn order(action: &aws::Action) -> u32 {
    action.run_order.unwrap_or(1)
}
