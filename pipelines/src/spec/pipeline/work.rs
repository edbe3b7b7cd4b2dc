//! What an action does, and its settings.

use crate::spec::codes;
use crate::spec::decode::{Fields, Report};
use crate::spec::pipeline::action::{Draft, names};
use crate::spec::pipeline::{Answer, Build, Deploy, Invoke, Source, SourceFrom, Work, approval};
use crate::spec::yaml::{Mark, Node};
use std::collections::BTreeMap;

const KINDS: [&str; 6] = ["source", "build", "test", "approval", "deploy", "invoke"];

/// Exactly one of the six, among an action's keys.
pub(super) fn read(report: &mut Report, fields: &mut Fields<'_>, draft: &mut Draft) {
    let found: Vec<(&'static str, &Node)> =
        KINDS.iter().filter_map(|kind| Some((*kind, fields.get_or_null(kind)?))).collect();
    let [(kind, node)] = found.as_slice() else {
        let named: Vec<&str> = found.iter().map(|(kind, _)| *kind).collect();
        let message = match named.as_slice() {
            [] => format!("action '{}' does nothing", draft.name),
            several => format!("action '{}' is {} at once", draft.name, several.join(" and ")),
        };
        let help = "write exactly one of source, build, test, approval, deploy, invoke";
        report.error(fields.at, codes::ACTION_KIND, message, help);
        return;
    };
    draft.kind = kind;
    let path = fields.join(kind);
    // `approval:` alone is the only work that needs no settings.
    if node.is_null() && *kind == "approval" {
        draft.work = Some(Work::Approval(approval::default()));
        return;
    }
    let Some(mut fields) = Fields::open(report, node, &path) else { return };
    draft.work = match *kind {
        "source" => source(report, &mut fields, draft).map(Work::Source),
        "approval" => approval::read(report, &mut fields, draft).map(Work::Approval),
        "deploy" => deploy(report, &mut fields, draft).map(Work::Deploy),
        "invoke" => invoke(report, &mut fields, draft).map(Work::Invoke),
        kind => build(report, &mut fields, draft, kind == "test").map(Work::Build),
    };
    draft.misspelt = !fields.unknown().is_empty();
    fields.finish(report);
}

/// A text in which references are replaced.
pub(super) fn template(
    report: &mut Report,
    fields: &mut Fields<'_>,
    draft: &mut Draft,
    key: &'static str,
) -> Option<String> {
    let node = fields.get(key)?;
    let text = report.text(node, &fields.join(key))?;
    draft.texts.push((node.at, text.clone()));
    Some(text)
}

/// A mapping of such texts.
fn templates(
    report: &mut Report,
    fields: &mut Fields<'_>,
    draft: &mut Draft,
    key: &'static str,
) -> Vec<(String, Mark, String)> {
    let Some(node) = fields.get(key) else { return Vec::new() };
    let pairs = report.scalars(node, &fields.join(key));
    draft.texts.extend(pairs.iter().map(|(_, at, text)| (*at, text.clone())));
    pairs
}

pub(super) fn flag(report: &mut Report, fields: &mut Fields<'_>, key: &'static str) -> bool {
    let Some(node) = fields.get(key) else { return false };
    report.boolean(node, &fields.join(key)).unwrap_or(false)
}

fn source(report: &mut Report, fields: &mut Fields<'_>, draft: &mut Draft) -> Option<Source> {
    let repository = fields.get("repository");
    let git = fields.get("git");
    let from = match (repository, git) {
        (Some(node), None) => {
            report.name(node, &fields.join("repository")).map(SourceFrom::Repository)
        }
        (None, Some(node)) => report.git_url(node, &fields.join("git")).map(SourceFrom::Git),
        (Some(_), Some(node)) => {
            let message = format!("`{}` has both `repository` and `git`", fields.path);
            report.error(node.at, codes::ACTION_KIND, message, "keep one of the two");
            None
        }
        (None, None) => {
            let message = format!("`{}` says nothing about where the source is", fields.path);
            let help = "write `repository: NAME` for the built-in git, or `git: https://…`";
            report.error(fields.at, codes::MISSING_KEY, message, help);
            None
        }
    };
    let branch = template(report, fields, draft, "branch");
    if let Some(branch) = &branch
        && (branch.contains(|c: char| c.is_whitespace() || "*?[~^\\".contains(c))
            || branch.starts_with('-')
            || branch.contains(".."))
        && let Some(at) = draft.texts.last().map(|(at, _)| *at)
    {
        let message = format!("'{branch}' cannot be the name of a branch");
        let help = "name one branch; patterns belong into `triggers`";
        report.error(at, codes::BAD_NAME, message, help);
    }
    let submodules = flag(report, fields, "submodules");
    Some(Source { from: from?, branch: branch.unwrap_or_else(|| "main".to_owned()), submodules })
}

fn build(
    report: &mut Report,
    fields: &mut Fields<'_>,
    draft: &mut Draft,
    test: bool,
) -> Option<Build> {
    fields.require(report, "image", "name a Docker image, such as debian:bookworm-slim");
    let image = template(report, fields, draft, "image");
    let image = image.map(|image| image.trim().to_owned());
    if let (Some(image), Some(at)) = (&image, fields.key_at("image"))
        && (image.contains(char::is_whitespace) || image.starts_with('-'))
    {
        let message = format!("'{image}' is not a Docker image");
        report.error(at, codes::BAD_VALUE, message, "write name:tag or name@sha256:…");
    }
    let buildspec = fields.get("buildspec");
    let buildspec = buildspec.map(|node| inside(report, node, &fields.join("buildspec")));
    let env = templates(report, fields, draft, "env");
    for (name, at, _) in &env {
        report.variable_name(*at, name, "env");
        if name.starts_with("CODEBUILD_") {
            let message = format!("`{name}`: names starting CODEBUILD_ belong to the build");
            report.error(*at, codes::RESERVED_VARIABLE, message, "choose another name");
        }
    }
    let agent = names(report, fields, "agent");
    let batch = flag(report, fields, "batch");
    let privileged = flag(report, fields, "privileged");
    let test = flag(report, fields, "test") || test;
    Some(Build {
        image: image?,
        buildspec: buildspec.unwrap_or_else(|| Some("buildspec.yml".to_owned()))?,
        env: env.into_iter().map(|(name, _, value)| (name, value)).collect::<BTreeMap<_, _>>(),
        agent: agent.into_iter().map(|(_, label)| label).collect(),
        batch,
        privileged,
        test,
    })
}

/// A relative path that stays inside.
fn inside(report: &mut Report, node: &Node, path: &str) -> Option<String> {
    let text = report.word(node, path)?;
    if text.starts_with('/') || text.split('/').any(|part| part == "..") {
        let message = format!("`{path}`: '{text}' leaves the source");
        report.error(node.at, codes::BAD_PATH, message, "write a path inside the repository");
        return None;
    }
    Some(text)
}

fn deploy(report: &mut Report, fields: &mut Fields<'_>, draft: &mut Draft) -> Option<Deploy> {
    let group = fields.require(report, "group", "name the deployment group");
    let group = group.and_then(|node| report.name(node, &fields.join("group")));
    let stated = fields.get("artifact");
    let placed =
        stated.and_then(|node| Some((node.at, report.name(node, &fields.join("artifact"))?)));
    if let Some(placed) = &placed
        && !draft.inputs.iter().any(|(_, input)| *input == placed.1)
    {
        draft.inputs.insert(0, placed.clone());
    }
    // Without one, the only artifact there is; `check` fills it in.
    let artifact = match (stated, placed) {
        (Some(_), placed) => placed?.1,
        (None, _) => String::new(),
    };
    Some(Deploy { group: group?, artifact })
}

fn invoke(report: &mut Report, fields: &mut Fields<'_>, draft: &mut Draft) -> Option<Invoke> {
    let webhook = fields.require(report, "webhook", "write https://…");
    let webhook = webhook.and_then(|node| {
        let url = report.http_url(node, &fields.join("webhook"))?;
        draft.texts.push((node.at, url.clone()));
        Some(url)
    });
    let secret = fields.get("secret");
    let secret = secret.and_then(|node| report.word(node, &fields.join("secret")));
    let headers = templates(report, fields, draft, "headers");
    for (name, at, _) in &headers {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || !name.bytes().all(fits) {
            let message = format!("`{}`: '{name}' cannot be a header", fields.join("headers"));
            let help = "use letters, digits and `-`, such as X-Channel";
            report.error(*at, codes::BAD_NAME, message, help);
        }
    }
    let body = template(report, fields, draft, "body");
    let words = [("response", Answer::Response), ("callback", Answer::Callback)];
    let wait = fields.get("wait");
    let wait = wait.and_then(|node| report.choice(node, &fields.join("wait"), &words));
    Some(Invoke {
        webhook: webhook?,
        secret,
        headers: headers.into_iter().map(|(name, _, value)| (name, value)).collect(),
        body,
        wait: wait.unwrap_or_default(),
    })
}
