//! What would become of each host's files.

use super::some;
use crate::answer::plan::{Change, Host, Preview};
use crate::output::{Painter, clean, list};

/// So many changed files are named.
pub const PATHS_MAX: usize = 5;

/// In a few words, with the glyph that gives them their colour.
pub fn cell(host: &Host) -> String {
    let Some(preview) = &host.preview else {
        return match host.asked.as_str() {
            "new" => "○ made for it".to_owned(),
            "retired" => "○ retired at the end".to_owned(),
            "unchanged" => "○ stay as they are".to_owned(),
            "silent" if host.alive => "‖ no answer in time; it may be busy".to_owned(),
            "silent" => "‖ its agent is silent".to_owned(),
            "failed" => format!("✗ {}", clean(host.message.as_deref().unwrap_or("it cannot say"))),
            _ => "○ not asked".to_owned(),
        };
    };
    let bundle = if preview.fetched { "" } else { ", to be downloaded" };
    let glyph = if preview.clashes.is_empty() { "✓" } else { "✗" };
    match (preview.clashes.len(), preview.changed) {
        (0, 0) => format!("{glyph} all {} as they are{bundle}", preview.files),
        (0, changed) => {
            format!("{glyph} {changed} of {} change{bundle}", preview.files.max(changed))
        }
        (1, _) => format!("{glyph} 1 clash{bundle}"),
        (clashes, _) => format!("{glyph} {clashes} clashes{bundle}"),
    }
}

/// Hosts whose agents said the same, told once.
pub fn alike(hosts: &[Host]) -> Vec<(String, &Preview)> {
    let mut groups: Vec<(Vec<String>, &Preview)> = Vec::new();
    for host in hosts {
        let Some(preview) = &host.preview else { continue };
        match groups.iter_mut().find(|(_, other)| *other == preview) {
            Some((names, _)) => names.push(clean(&host.name)),
            None => groups.push((vec![clean(&host.name)], preview)),
        }
    }
    groups.into_iter().map(|(names, preview)| (some(&names), preview)).collect()
}

pub fn changes(painter: Painter, preview: &Preview) -> Vec<String> {
    let Preview { added, replaced, removed, retained, .. } = preview;
    let counts =
        [(added, "added"), (replaced, "replaced"), (removed, "removed"), (retained, "kept")];
    let counts: Vec<String> = counts
        .iter()
        .filter(|(number, _)| **number > 0)
        .map(|(number, word)| format!("{number} {word}"))
        .collect();
    let cut = preview.changed > preview.changes.len() as u64;
    let mut lines = Vec::new();
    if !counts.is_empty() {
        let of = if cut {
            format!(", of the first {} changes", preview.changes.len())
        } else {
            String::new()
        };
        lines.push(format!("  files: {}{of}", counts.join(", ")));
        lines.extend(paths(&preview.changes, preview.changed));
    }
    let mut rows = Vec::new();
    for hook in &preview.hooks {
        rows.push(vec![format!("  {}", clean(&hook.event)), clean(&hook.script)]);
    }
    if !rows.is_empty() {
        lines.push("  hooks, in this order:".to_owned());
        lines.push(list(rows));
    }
    for clash in &preview.clashes {
        lines.push(list(vec![vec![painter.bad("clash:"), clean(clash)]]));
    }
    for warning in &preview.warnings {
        lines.push(list(vec![vec![painter.wait("warning:"), clean(warning)]]));
    }
    lines
}

/// The first few changed files; `all`: how many there are.
pub fn paths(changes: &[Change], all: u64) -> Vec<String> {
    let named = changes.iter().take(PATHS_MAX).map(|change| {
        let sign = match change.change.as_str() {
            "added" => "+",
            "removed" => "-",
            "retained" => "=",
            _ => "~",
        };
        format!("  {sign} {}", clean(&change.path))
    });
    let mut lines: Vec<String> = named.collect();
    let more = all.saturating_sub(lines.len() as u64);
    if more > 0 {
        lines.push(format!("    and {more} more (-o json lists them)"));
    }
    lines
}
