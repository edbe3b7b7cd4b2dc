//! Names by our rules, and the references that use them.

use super::aws;
use pipelines::ids::is_name;
use std::collections::{BTreeMap, BTreeSet};

/// What CodePipeline's names became.
pub struct Names {
    /// By stage and action.
    actions: BTreeMap<(String, String), String>,
    artifacts: BTreeMap<String, String>,
    variables: BTreeMap<String, String>,
    /// Action name by namespace, and whether it is a source.
    namespaces: BTreeMap<String, (String, bool)>,
}

/// A text that fits the rule of names, or nearly says the same and does.
pub fn name(text: &str) -> String {
    if is_name(text) {
        return text.to_owned();
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let mut name: String = text.chars().map(|c| if fits(c) { c } else { '-' }).collect();
    while name.starts_with(|c: char| !c.is_ascii_alphanumeric()) {
        name.remove(0);
    }
    name.truncate(64);
    if name.is_empty() { "unnamed".to_owned() } else { name }
}

/// `wanted`, or with the first number behind it that is free.
fn unused(wanted: &str, taken: &mut BTreeSet<String>) -> String {
    let mut name = wanted.to_owned();
    let mut number = 2;
    while !taken.insert(name.clone()) {
        let suffix = format!("-{number}");
        let stem: String = wanted.chars().take(64 - suffix.len()).collect();
        name = format!("{stem}{suffix}");
        number += 1;
    }
    name
}

impl Names {
    pub fn of(pipeline: &aws::Pipeline) -> Names {
        let mut names = Names {
            actions: BTreeMap::new(),
            artifacts: BTreeMap::new(),
            variables: BTreeMap::new(),
            namespaces: BTreeMap::new(),
        };
        // Actions are unique in their stage there and in the pipeline here: they are namespaces.
        let mut taken: BTreeSet<String> = ["variables", "run"].map(str::to_owned).into();
        let mut taken_artifacts = BTreeSet::new();
        for stage in &pipeline.stages {
            for action in &stage.actions {
                let own = name(&action.name);
                let wanted = match taken.contains(&own) {
                    true => name(&format!("{}-{}", stage.name, action.name)),
                    false => own,
                };
                let found = unused(&wanted, &mut taken);
                if let Some(namespace) = &action.namespace {
                    let source = action.action_type_id.category == "Source";
                    names.namespaces.insert(namespace.clone(), (found.clone(), source));
                }
                names.actions.insert((stage.name.clone(), action.name.clone()), found);
                for artifact in &action.output_artifacts {
                    if !names.artifacts.contains_key(&artifact.name) {
                        let found = unused(&name(&artifact.name), &mut taken_artifacts);
                        names.artifacts.insert(artifact.name.clone(), found);
                    }
                }
            }
        }
        let mut taken = BTreeSet::new();
        for variable in &pipeline.variables {
            let found = unused(&self::variable(&variable.name), &mut taken).replace('-', "_");
            names.variables.insert(variable.name.clone(), found);
        }
        names
    }

    pub fn action(&self, stage: &str, action: &str) -> String {
        let found = self.actions.get(&(stage.to_owned(), action.to_owned()));
        found.cloned().unwrap_or_else(|| name(action))
    }

    pub fn artifact(&self, artifact: &str) -> String {
        self.artifacts.get(artifact).cloned().unwrap_or_else(|| name(artifact))
    }

    pub fn variable(&self, variable: &str) -> String {
        self.variables.get(variable).cloned().unwrap_or_else(|| self::variable(variable))
    }

    /// The text with its references in our words. `known` are the actions that are there; what has no
    /// counterpart loses its `#` and is handed to `lost`.
    pub fn references(
        &self,
        text: &str,
        known: &BTreeSet<String>,
        mut lost: impl FnMut(&str),
    ) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find("#{") {
            out.push_str(&rest[..start]);
            rest = &rest[start + 2..];
            let Some(end) = rest.find('}') else {
                out.push_str("# {");
                break;
            };
            let reference = &rest[..end];
            rest = &rest[end + 1..];
            match self.reference(reference, known) {
                Some(ours) => out.push_str(&format!("#{{{ours}}}")),
                None => {
                    lost(reference);
                    out.push_str(&format!("{{{reference}}}"));
                }
            }
        }
        out.push_str(rest);
        out
    }

    fn reference(&self, reference: &str, known: &BTreeSet<String>) -> Option<String> {
        let (namespace, key) = reference.split_once('.')?;
        if namespace == "variables" {
            let name = self.variables.get(key)?;
            return Some(format!("variables.{name}"));
        }
        if namespace == "codepipeline" {
            return (key == "PipelineExecutionId").then(|| "run.id".to_owned());
        }
        let (action, source) = self.namespaces.get(namespace)?;
        if !known.contains(action) {
            return None;
        }
        let ours = match (source, key) {
            (false, key) => key,
            (true, "CommitId") => "commit",
            (true, "ShortCommitId") => "short-commit",
            (true, "BranchName") => "branch",
            (true, "CommitMessage") => "message",
            (true, "AuthorDisplayName" | "AuthorEmail" | "AuthorId") => "author",
            (true, _) => return None,
        };
        Some(format!("{action}.{ours}"))
    }
}

/// A name a shell can use.
pub fn variable(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut name: String = text.chars().map(|c| if fits(c) { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) || name.is_empty() {
        name.insert(0, '_');
    }
    if name.starts_with("CODEBUILD_") { format!("MY_{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_stay_recognisable() {
        assert_eq!(name("Build@Prod"), "Build-Prod");
        assert_eq!(name("_x"), "x");
        assert_eq!(name("@"), "unnamed");
        assert_eq!(name(&"a".repeat(100)).len(), 64);
        assert_eq!(variable("my-var@2"), "my_var_2");
        assert_eq!(variable("CODEBUILD_X"), "MY_CODEBUILD_X");
    }
}
