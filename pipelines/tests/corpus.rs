//! Real files written by strangers, each with the verdict and the parse it should have.
//!
//! The corpus lies beside the project, or where `PIPEYARD_CORPUS` says; without it the test prints
//! that it was skipped. A verdict that differs from ours has to stand in `DIFFERENCES`, with its
//! reason, and one that stands there and no longer differs fails as well.

#![expect(clippy::disallowed_methods, reason = "a test may read files and clocks")]

use pipelines::spec::appspec::{Appspec, Os, Platform};
use pipelines::spec::buildspec::{Batch, Buildspec};
use pipelines::spec::{Kind, Problem, appspec, buildspec};
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// File, and why we judge it otherwise.
const DIFFERENCES: &[(&str, &str)] = &[];

/// A word that the warnings have to hold where the index speaks of this.
const WARNINGS: &[(&str, &str)] = &[
    ("BOM", "byte-order-mark"),
    ("unknown top-level key Resources", "other-platform"),
    ("unknown top-level key runtime", "misplaced-key"),
    ("unknown top-level key files", "unknown-key"),
    ("unknown top-level key pre_build", "misplaced-key"),
    ("unknown artifacts key", "unknown-key"),
    ("unknown files key", "misplaced-key"),
    ("deprecated in 0.2", "old-version-key"),
    ("runas is not supported", "not-on-windows"),
    ("duplicate key", "duplicate-key"),
    ("empty (ignored)", "empty-hook"),
    ("placeholders", "placeholder"),
    ("timeouts sum", "hook-timeout"),
    ("is not absolute", "bad-path"),
    ("not in documented list", "shell"),
    ("phase pre_build is empty", "empty-section"),
    ("commands is empty", "empty-section"),
    ("one block scalar", "not-a-list"),
];

fn corpus() -> Option<PathBuf> {
    let beside = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/corpus"));
    let place = std::env::var_os("PIPEYARD_CORPUS").map_or(beside, PathBuf::from);
    place.join("INDEX.tsv").exists().then_some(place)
}

struct Case {
    file: String,
    verdict: String,
    expect: Option<Value>,
    kind: Kind,
    text: String,
}

fn cases(corpus: &std::path::Path) -> Vec<Case> {
    let index = std::fs::read_to_string(corpus.join("INDEX.tsv")).expect("the index is readable");
    let rows = index.lines().skip(1).filter(|line| !line.is_empty());
    rows.map(|line| {
        let row: Vec<&str> = line.split('\t').collect();
        assert!(row.len() >= 6, "a row without a verdict: {line}");
        let bytes = std::fs::read(corpus.join(row[0])).expect("an indexed file is there");
        let expect = row.get(6).filter(|text| !text.is_empty());
        let expect =
            expect.map(|text| serde_json::from_str(text).expect("an expected parse is JSON"));
        let case = Case {
            file: row[0].to_owned(),
            verdict: row[5].to_owned(),
            expect,
            kind: if row[0].starts_with("appspec") { Kind::Appspec } else { Kind::Buildspec },
            text: String::from_utf8(bytes).expect("corpus files are UTF-8"),
        };
        let comparable = case.expect.is_some() || case.verdict() != "valid";
        assert!(comparable, "{} is valid, and there is no parse to compare with", case.file);
        case
    })
    .collect()
}

impl Case {
    /// `valid`, `invalid` or `unsure`.
    fn verdict(&self) -> &str {
        self.verdict.split([':', ' ']).next().unwrap_or("")
    }
}

#[test]
fn real_files_are_judged_as_the_index_says() {
    let Some(corpus) = corpus() else {
        println!("skipped: there is no corpus beside the project (PIPEYARD_CORPUS names another)");
        return;
    };
    let cases = cases(&corpus);
    assert!(cases.len() > 70, "the index has only {} rows", cases.len());
    let mut wrong = files_without_a_row(&corpus, &cases);
    println!("{:18} {:8} {:8} {:9} reason", "file", "verdict", "ours", "");
    let mut compared = 0;
    for case in &cases {
        let (problems, parse) = judge(case);
        let ours = if problems.iter().any(Problem::is_error) { "invalid" } else { "valid" };
        let mut differences = Vec::new();
        if case.verdict() != "unsure" && case.verdict() != ours {
            differences.push(format!("judged {ours}"));
        }
        if let Some(expect) = &case.expect {
            compared += 1;
            match &parse {
                Some(parse) => differences.extend(compare(expect, parse)),
                None => {
                    differences.push("there is a parse to compare, and we have none".to_owned());
                }
            }
        }
        differences.extend(missing_warnings(case, &problems));
        for problem in problems.iter().filter(|p| p.line.is_none() || p.help.is_empty()) {
            differences.push(format!("no place or no help: {problem}"));
        }
        let listed = DIFFERENCES.iter().find(|(file, _)| *file == case.file);
        let (word, reason) = match (differences.is_empty(), listed) {
            (true, None) => ("same", reason(ours, &problems)),
            (false, Some((_, reason))) => ("different", (*reason).to_owned()),
            (true, Some(_)) => ("same", "listed as different, and is not".to_owned()),
            (false, None) => ("different", differences.join("; ")),
        };
        println!("{:18} {:8} {ours:8} {word:9} {reason}", case.file, case.verdict());
        if differences.is_empty() == listed.is_some() {
            wrong.push(format!("{}: {reason}\n{problems:#?}", case.file));
        }
    }
    println!("{} files, {compared} parses compared", cases.len());
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

/// Why we judge as we do: the first error, or how many warnings there are.
fn reason(ours: &str, problems: &[Problem]) -> String {
    match problems.iter().find(|problem| problem.is_error()) {
        Some(error) => error.to_string(),
        None if problems.is_empty() => String::new(),
        None => format!("{ours} with {} warnings, first: {}", problems.len(), problems[0]),
    }
}

/// A file nobody judged would be a silent difference.
fn files_without_a_row(corpus: &std::path::Path, cases: &[Case]) -> Vec<String> {
    let mut unknown = Vec::new();
    for kind in ["appspec", "buildspec"] {
        let directory = std::fs::read_dir(corpus.join(kind)).expect("the corpus has both formats");
        for entry in directory {
            let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
            let file = format!("{kind}/{name}");
            if !cases.iter().any(|case| case.file == file) {
                unknown.push(format!("{file} is not in the index"));
            }
        }
    }
    unknown
}

fn judge(case: &Case) -> (Vec<Problem>, Option<Value>) {
    match case.kind {
        Kind::Appspec => {
            let parsed = appspec::parse(&case.text);
            (parsed.problems, parsed.value.map(|value| appspec_shape(&value)))
        }
        _ => {
            let parsed = buildspec::parse(&case.text);
            (parsed.problems, parsed.value.map(|value| buildspec_shape(&value)))
        }
    }
}

/// Every field the index expects has to be in our parse; lists of names without their order.
fn compare(expect: &Value, parse: &Value) -> Vec<String> {
    let sorted = |value: &Value| match value {
        Value::Array(items) => {
            let mut items: Vec<String> = items.iter().map(Value::to_string).collect();
            items.sort();
            json!(items)
        }
        other => other.clone(),
    };
    let fields = expect.as_object().expect("an expected parse is an object");
    fields
        .iter()
        .filter(|(key, wanted)| sorted(wanted) != sorted(&parse[key.as_str()]))
        .map(|(key, wanted)| format!("{key}: wanted {wanted}, got {}", parse[key.as_str()]))
        .collect()
}

fn missing_warnings(case: &Case, problems: &[Problem]) -> Vec<String> {
    WARNINGS
        .iter()
        .filter(|(words, _)| case.verdict.contains(words))
        .filter(|(_, code)| !problems.iter().any(|problem| problem.code == **code))
        .map(|(words, code)| format!("'{words}' without a warning {code}"))
        .collect()
}

fn buildspec_shape(spec: &Buildspec) -> Value {
    let json = spec.normalised();
    let mut shape = Map::new();
    shape.insert("version".to_owned(), json["version"].clone());
    let mut env: Vec<String> = Vec::new();
    env.extend(spec.env.variables.keys().map(|name| format!("plain:{name}")));
    env.extend(spec.env.parameter_store.keys().map(|name| format!("ps:{name}")));
    env.extend(spec.env.secrets_manager.keys().map(|name| format!("sm:{name}")));
    shape.insert("env".to_owned(), json!(env));
    let mut phases = Map::new();
    for (name, phase) in spec.phases.in_order() {
        phases.insert(name.key().to_owned(), json!(phase.commands.len()));
        if !phase.finally.is_empty() {
            phases.insert(format!("{}.finally", name.key()), json!(phase.finally.len()));
        }
    }
    shape.insert("phases".to_owned(), Value::Object(phases));
    let runtimes = spec.phases.install.iter().flat_map(|install| &install.runtime_versions);
    let runtimes: Vec<String> =
        runtimes.map(|(name, version)| format!("{name}={version}")).collect();
    shape.insert("runtimes".to_owned(), json!(runtimes));
    let artifacts = spec.artifacts.clone().unwrap_or_default();
    shape.insert("files".to_owned(), json!(artifacts.primary.unwrap_or_default().files));
    shape.insert("secondary".to_owned(), json!(artifacts.secondary.keys().collect::<Vec<_>>()));
    shape.insert("cache".to_owned(), json!(spec.cache.clone().unwrap_or_default().paths));
    shape.insert("reports".to_owned(), json!(spec.reports.keys().collect::<Vec<_>>()));
    shape.insert("batch".to_owned(), spec.batch.as_ref().map_or(Value::Null, batch_shape));
    Value::Object(shape)
}

fn batch_shape(batch: &Batch) -> Value {
    if !batch.build_list.is_empty() {
        json!(format!("build-list:{}", batch.build_list.len()))
    } else if !batch.build_graph.is_empty() {
        json!(format!("build-graph:{}", batch.build_graph.len()))
    } else if batch.build_matrix.is_some() {
        json!("build-matrix")
    } else {
        json!("build-fanout")
    }
}

fn appspec_shape(spec: &Appspec) -> Value {
    let platform = match spec.platform {
        Platform::Server => "EC2",
        Platform::Ecs => "ECS",
        Platform::Lambda => "Lambda",
    };
    let os = match spec.os {
        Os::Linux => json!("linux"),
        Os::Windows => json!("windows"),
        Os::None => Value::Null,
    };
    let files: Vec<String> =
        spec.files.iter().map(|file| format!("{}=>{}", file.source, file.destination)).collect();
    let hooks: Map<String, Value> =
        spec.hooks.iter().map(|(event, hooks)| (event.clone(), json!(hooks.len()))).collect();
    let resources: Vec<&str> = spec.resources.iter().map(|r| r.name.as_str()).collect();
    let container = spec.resources.first().and_then(|resource| {
        let part = |key: &str| resource.properties.get(&format!("LoadBalancerInfo.{key}"));
        Some(format!("{}:{}", part("ContainerName")?, part("ContainerPort")?))
    });
    json!({
        "version": spec.version,
        "platform": platform,
        "os": os,
        "feb": spec.normalised()["file_exists_behavior"],
        "files": files,
        "hooks": hooks,
        "permissions": spec.permissions.len(),
        "resources": resources,
        "container": container,
    })
}
