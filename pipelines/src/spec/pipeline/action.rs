//! One action: its name, what it waits for, what it takes and makes, and its work.

use crate::spec::codes;
use crate::spec::decode::{Fields, Report};
use crate::spec::pipeline::{
    Action, Answer, Approval, Build, Condition, Deploy, Invoke, Otherwise, Source, SourceFrom,
    Work, condition,
};
use crate::spec::yaml::{Mark, Node};
use crate::time::Millis;
use std::collections::BTreeMap;

/// A text of the file with its place.
pub(super) type Placed = (Mark, String);

/// An action as far as it could be read.
#[derive(Default)]
pub(super) struct Draft {
    pub name: String,
    pub at: Option<Mark>,
    pub needs: Vec<Placed>,
    pub inputs: Vec<Placed>,
    pub outputs: Vec<Placed>,
    pub work: Option<Work>,
    /// What the work would be, also when its settings are wrong.
    pub kind: &'static str,
    /// Texts in which `#{namespace.name}` is replaced.
    pub texts: Vec<Placed>,
    entry: Option<Condition>,
    timeout: Option<Millis>,
    retries: u32,
}

const KINDS: [&str; 6] = ["source", "build", "test", "approval", "deploy", "invoke"];
const RETRIES_MAX: u32 = 10;
const APPROVAL_TIMEOUT: Millis = Millis::from_minutes(7 * 24 * 60);

impl Draft {
    pub(super) fn at(&self) -> Mark {
        self.at.unwrap_or(Mark { line: 1, column: 1 })
    }

    pub(super) fn finish(self) -> Option<Action> {
        let plain = |list: Vec<Placed>| list.into_iter().map(|(_, text)| text).collect();
        Some(Action {
            name: self.name,
            needs: plain(self.needs),
            inputs: plain(self.inputs),
            outputs: plain(self.outputs),
            work: self.work?,
            entry: self.entry,
            timeout: self.timeout,
            retries: self.retries,
        })
    }
}

pub(super) fn read(report: &mut Report, node: &Node, path: &str) -> Option<Draft> {
    let mut fields = Fields::open(report, node, path)?;
    let mut draft = Draft { at: Some(node.at), ..Draft::default() };
    let name = fields.require(report, "name", "name the action: `name: compile`");
    draft.name = name.and_then(|n| report.name(n, &fields.join("name"))).unwrap_or_default();
    draft.needs = names(report, &mut fields, "needs");
    draft.inputs = names(report, &mut fields, "inputs");
    draft.outputs = names(report, &mut fields, "outputs");
    let words = [("skip", Otherwise::Skip), ("fail", Otherwise::Fail), ("wait", Otherwise::Wait)];
    let entry = fields.get("entry");
    draft.entry = entry.and_then(|n| condition::read(report, n, &fields.join("entry"), &words));
    let timeout = fields.get("timeout");
    draft.timeout = timeout.and_then(|node| report.duration(node, &fields.join("timeout")));
    let retries = fields.get("retries");
    let retries = retries.and_then(|n| report.number(n, &fields.join("retries"), 0..=RETRIES_MAX));
    draft.retries = retries.unwrap_or(0);
    work(report, &mut fields, &mut draft);
    fields.finish(report);
    Some(draft)
}

fn names(report: &mut Report, fields: &mut Fields<'_>, key: &'static str) -> Vec<Placed> {
    let Some(node) = fields.get(key) else { return Vec::new() };
    let path = fields.join(key);
    let items = report.list(node, &path);
    items.iter().filter_map(|item| Some((item.at, report.name(item, &path)?))).collect()
}

fn work(report: &mut Report, fields: &mut Fields<'_>, draft: &mut Draft) {
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
        draft.work = Some(Work::Approval(default_approval()));
        return;
    }
    let Some(mut fields) = Fields::open(report, node, &path) else { return };
    draft.work = match *kind {
        "source" => source(report, &mut fields, draft).map(Work::Source),
        "approval" => approval(report, &mut fields, draft).map(Work::Approval),
        "deploy" => deploy(report, &mut fields, draft).map(Work::Deploy),
        "invoke" => invoke(report, &mut fields, draft).map(Work::Invoke),
        kind => build(report, &mut fields, draft, kind == "test").map(Work::Build),
    };
    fields.finish(report);
}

/// A text in which references are replaced.
fn template(
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

fn flag(report: &mut Report, fields: &mut Fields<'_>, key: &'static str) -> bool {
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

fn default_approval() -> Approval {
    Approval {
        approvers: Vec::new(),
        quorum: 1,
        timeout: Some(APPROVAL_TIMEOUT),
        comment: None,
        self_approval: false,
        remind: None,
    }
}

fn approval(report: &mut Report, fields: &mut Fields<'_>, draft: &mut Draft) -> Option<Approval> {
    let mut approval = default_approval();
    let mut people = 0;
    let mut groups = false;
    if let Some(node) = fields.get("approvers") {
        let path = fields.join("approvers");
        for item in report.list(node, &path) {
            let Some(text) = report.word(item, &path) else { continue };
            let (kind, name) = text.split_once(':').unwrap_or(("user", &text));
            if !matches!(kind, "user" | "group") || name.is_empty() {
                let message = format!("`{path}`: '{text}' is neither a user nor a group");
                let help = "write user:NAME or group:NAME";
                report.error(item.at, codes::BAD_VALUE, message, help);
            }
            groups |= kind == "group";
            let full = format!("{kind}:{name}");
            if approval.approvers.contains(&full) {
                let message = format!("`{path}`: '{full}' is there twice");
                report.error(item.at, codes::DUPLICATE_NAME, message, "remove one of the two");
            } else {
                people += 1;
                approval.approvers.push(full);
            }
        }
    }
    if let Some(node) = fields.get("quorum") {
        approval.quorum = report.number(node, &fields.join("quorum"), 1..=100).unwrap_or(1);
        if !groups && people > 0 && approval.quorum > people {
            let message = format!("{} approvals are wanted of {people}", approval.quorum);
            let help = "lower the quorum, or add approvers";
            report.error(node.at, codes::UNREACHABLE_QUORUM, message, help);
        }
    }
    let mut time = |report: &mut Report, key| {
        let node = fields.get(key)?;
        report.duration(node, &fields.join(key))
    };
    approval.timeout = time(report, "timeout").or(approval.timeout);
    approval.remind = time(report, "remind");
    approval.comment = template(report, fields, draft, "comment");
    approval.self_approval = flag(report, fields, "self-approval");
    Some(approval)
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
