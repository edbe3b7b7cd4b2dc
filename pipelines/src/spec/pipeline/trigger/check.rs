//! Triggers against the sources of their pipeline.

use crate::spec::codes;
use crate::spec::decode::{Report, suggest};
use crate::spec::pipeline::trigger::{Placed, Trigger};

/// `sources` are the source actions, each with its branch.
pub(in crate::spec::pipeline) fn check(
    report: &mut Report,
    triggers: &[Placed],
    sources: &[(String, String)],
) {
    let names: Vec<&str> = sources.iter().map(|(name, _)| name.as_str()).collect();
    for Placed { trigger, places } in triggers {
        let (Some(source), Some(at)) = (trigger.source(), places.source) else { continue };
        if !names.contains(&source) {
            let message = format!("a trigger names the source action '{source}', there is none");
            report.error(at, codes::UNKNOWN_NAME, message, suggest::help(source, &names));
        }
    }
    for placed in triggers {
        branches(report, placed, sources);
    }
}

/// A push of any branch may start a run, so one that no source has is only doubtful, and only where
/// it is written out, and no other of the trigger's is one.
fn branches(report: &mut Report, placed: &Placed, sources: &[(String, String)]) {
    let Trigger::Push { branches, source, .. } = &placed.trigger else { return };
    let meant = sources.iter().filter(|(name, _)| source.as_ref().is_none_or(|s| s == name));
    let known: Vec<&str> =
        meant.map(|(_, branch)| branch.as_str()).filter(|branch| !branch.contains("#{")).collect();
    let plain = |text: &str| !text.contains(['*', '?', '[', '{', '\\']);
    let written = placed.places.branches.iter().filter(|(_, text)| branches.matches(text));
    let written: Vec<_> = written.collect();
    let none = written.iter().all(|(_, text)| plain(text))
        && !known.iter().any(|branch| branches.matches(branch));
    for (at, text) in written.iter().filter(|(_, text)| plain(text)) {
        if known.is_empty() || known.contains(&text.as_str()) {
            continue;
        }
        // Two branches that are as alike as `v1` and `v2` are not a mistake.
        let near = suggest::nearest(text, &known)
            .filter(|near| text.len() > 3 && !near.contains(|c: char| c.is_ascii_digit()));
        let message = format!(
            "no source is on branch '{text}'; the sources are on {}",
            suggest::list(&known)
        );
        match near {
            Some(near) => {
                report.warn(*at, codes::UNKNOWN_NAME, message, format!("write `{near}`"));
            }
            None if none => {
                let help =
                    format!("write `branch: {text}` at the source as well, for runs by hand");
                report.warn(*at, codes::UNKNOWN_NAME, message, help);
            }
            None => {}
        }
    }
}
