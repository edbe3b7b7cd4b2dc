//! Times in which a pipeline stands still.

use crate::spec::codes;
use crate::spec::decode::{Fields, Report, suggest};
use crate::spec::pipeline::Freeze;
use crate::spec::pipeline::action::Placed;
use crate::spec::pipeline::stage::StageDraft;
use crate::spec::week::never_opens;
use crate::spec::yaml::{Mark, Node};

/// A freeze with its place and that of every stage it names.
pub(super) type Found = (Mark, Freeze, Vec<Placed>);

/// The list of freezes.
pub(super) fn read(report: &mut Report, node: &Node) -> Vec<Found> {
    let mut freezes = Vec::new();
    for (index, item) in report.short_list(node, "freeze").iter().enumerate() {
        let Some(mut fields) = Fields::open(report, item, &format!("freeze[{index}]")) else {
            continue;
        };
        let mut named: Vec<Placed> = Vec::new();
        if let Some(node) = fields.get("stages") {
            let path = fields.join("stages");
            let items = report.short_list(node, &path);
            named.extend(items.iter().filter_map(|n| Some((n.at, report.name(n, &path)?))));
        }
        let window = report.window_fields(&mut fields);
        fields.finish(report);
        let stages = named.iter().map(|(_, name)| name.clone()).collect();
        freezes.extend(window.map(|window| (item.at, Freeze { window, stages }, named)));
    }
    freezes
}

pub(super) fn check(report: &mut Report, freezes: &[Found], stages: &[StageDraft]) {
    let names: Vec<&str> = stages.iter().map(|stage| stage.stage.name.as_str()).collect();
    for (at, stage) in freezes.iter().flat_map(|(_, _, named)| named) {
        if !names.contains(&stage.as_str()) {
            let message = format!("a freeze names the stage '{stage}', there is none");
            report.error(*at, codes::UNKNOWN_NAME, message, suggest::help(stage, &names));
        }
    }
    let all = || freezes.iter().filter(|(_, freeze, _)| freeze.stages.is_empty());
    let windows: Vec<_> = all().map(|(_, freeze, _)| &freeze.window).collect();
    if let Some((at, ..)) = all().next_back()
        && never_opens(&[], &windows)
    {
        let message = "no stage after the first can ever start: all of the time is frozen";
        report.error(*at, codes::BAD_SCHEDULE, message, "leave some time free");
    }
}
