//! Sense across the keys of a group: each by itself is right, together they cannot work.

use crate::spec::Window;
use crate::spec::codes;
use crate::spec::decode::{Fields, Report, suggest};
use crate::spec::group::capacity;
use crate::spec::group::contradiction::contradiction;
use crate::spec::group::monitor::COUNTED_ELSEWHERE;
use crate::spec::group::strategy::Shape;
use crate::spec::group::{
    Amount, Analysis, Balancer, Health, HooksPolicy, Hosts, Instances, MaxFailures, Monitor,
    Router, Selector, Strategy, Zones,
};
use crate::spec::week::never_opens;
use crate::spec::yaml::Mark;
use crate::time::Millis;

/// What was read so far; whatever could not be read is absent.
pub(super) struct Draft<'d> {
    pub hosts: Option<&'d Hosts>,
    pub instances: Option<&'d Instances>,
    pub shape: Option<&'d Shape>,
    pub min_healthy: Option<Amount>,
    pub max_failures: Option<MaxFailures>,
    pub router: Option<&'d Router>,
    pub monitors: &'d [Monitor],
    pub analysis: Option<&'d Analysis>,
    pub zones: Option<&'d Zones>,
}

pub(super) fn check(report: &mut Report, top: &Fields<'_>, draft: &Draft<'_>) {
    selection(report, top, draft);
    capacity::failures(report, top, draft);
    drain(report, top);
    let Some(shape) = draft.shape else { return };
    capacity::check(report, top, shape, draft);
    instances(report, top, shape, draft);
    router(report, top, &shape.strategy);
    analysis(report, top, shape, draft);
    steps(report, shape, draft);
}

/// Where a key stands, or the file starts.
pub(super) fn place(top: &Fields<'_>, key: &str) -> Mark {
    top.key_at(key).unwrap_or(top.at)
}

/// As [`Fields::key_at`], where the key says something.
pub(super) fn said(top: &Fields<'_>, key: &str) -> Option<Mark> {
    let mut entries = top.entries();
    entries.find(|(name, _, node)| *name == key && !node.is_null()).map(|(_, at, _)| at)
}

/// Hosts that there can be none of.
fn selection(report: &mut Report, top: &Fields<'_>, draft: &Draft<'_>) {
    let Some(hosts) = draft.hosts else { return };
    let all: Vec<&Selector> = hosts.selector.iter().collect();
    if let Some(clash) = contradiction(&hosts.tags, &all) {
        let message = format!("`hosts` can select no host: {clash} exclude each other");
        let help = "remove one of the two; to allow either, list them below `any:`";
        report.error(place(top, "hosts"), codes::NO_HOSTS, message, help);
        return;
    }
    let Some(Strategy::BlueGreen { blue, green, .. }) = draft.shape.map(|shape| &shape.strategy)
    else {
        return;
    };
    for (name, set) in [("blue", blue), ("green", green)] {
        let Some(set) = set else { continue };
        let mut all = all.clone();
        all.push(set);
        if let Some(clash) = contradiction(&hosts.tags, &all) {
            let message = format!("the {name} set is always empty: {clash} exclude each other");
            let help = "both sets are chosen among `hosts`: select hosts of the group";
            report.error(place(top, "strategy"), codes::NO_HOSTS, message, help);
        }
    }
}

/// New hosts for strategies that want them, and only for those.
fn instances(report: &mut Report, top: &Fields<'_>, shape: &Shape, draft: &Draft<'_>) {
    let kind = shape.strategy.kind();
    let (needed, sets) = match &shape.strategy {
        Strategy::RollingExtra { .. } | Strategy::Immutable { .. } => (true, false),
        Strategy::BlueGreen { blue, .. } => (blue.is_none(), blue.is_some()),
        Strategy::Canary { .. } | Strategy::Linear { .. } => return,
        Strategy::AllAtOnce | Strategy::Rolling { .. } => (false, false),
    };
    match (needed, said(top, "instances")) {
        (true, None) => {
            let message = format!("{kind} makes new hosts, and nothing says how");
            let help = if matches!(shape.strategy, Strategy::BlueGreen { .. }) {
                "select two sets by `blue` and `green`, or add `instances: {docker: {…}}`"
            } else {
                "add `instances: {docker: {agent: …, image: …}}`"
            };
            report.error(place(top, "strategy"), codes::NO_INSTANCES, message, help);
        }
        (false, Some(at)) => {
            let message = if sets {
                "both sets are selected, so no host is made: `instances` has no effect".to_owned()
            } else {
                format!("{kind} makes no hosts: `instances` has no effect")
            };
            let help = "remove it, or choose rolling-extra, immutable or blue-green";
            report.error(at, codes::IGNORED_KEY, message, help);
        }
        _ => {}
    }
    if needed
        && draft.instances.is_some()
        && draft.router.is_some_and(|router| router.port.is_none())
    {
        let message = "new hosts are added to the router, and nothing says on which port";
        let help = "write `port: 8080`, the application's, below `router`";
        report.error(place(top, "router"), codes::MISSING_KEY, message, help);
    }
}

fn router(report: &mut Report, top: &Fields<'_>, strategy: &Strategy) {
    if said(top, "router").is_some() {
        return;
    }
    let at = place(top, "strategy");
    match strategy {
        Strategy::BlueGreen { .. } => {
            let message = "blue-green switches traffic, and there is no router to do it";
            report.error(at, codes::NO_ROUTER, message, "add `router:`");
        }
        // With `analysis`, its error says that the router is missing.
        Strategy::Canary { .. } | Strategy::Linear { .. } if top.key_at("analysis").is_some() => {}
        Strategy::Canary { .. } | Strategy::Linear { .. } => {
            let message = "without a router, weights are shares of the hosts";
            report.warn(at, codes::NO_ROUTER, message, "add `router:` to shift traffic exactly");
        }
        Strategy::Immutable { .. } => {
            let message = "nothing brings traffic to the new hosts";
            report.warn(at, codes::NO_ROUTER, message, "add `router:`, if they serve requests");
        }
        Strategy::AllAtOnce | Strategy::Rolling { .. } | Strategy::RollingExtra { .. } => {}
    }
}

fn drain(report: &mut Report, top: &Fields<'_>) {
    if let (Some(at), None) = (said(top, "drain"), said(top, "router")) {
        let message = "without a router nothing is drained: `drain` has no effect";
        report.warn(at, codes::IGNORED_KEY, message, "add `router:`, or remove it");
    }
}

fn analysis(report: &mut Report, top: &Fields<'_>, shape: &Shape, draft: &Draft<'_>) {
    let Some(at) = top.key_at("analysis") else { return };
    if !matches!(shape.strategy, Strategy::Canary { .. } | Strategy::Linear { .. }) {
        let kind = shape.strategy.kind();
        let message = format!("{kind} compares no two revisions: `analysis` has no effect");
        report.error(at, codes::IGNORED_KEY, message, "choose canary or linear, or remove it");
    } else if said(top, "router").is_none() {
        let message = "`analysis` compares what a router counts, and there is none";
        report.error(at, codes::NO_ROUTER, message, "add `router:`, or use `monitors`");
    } else if matches!(draft.router.map(|router| &router.balancer), Some(Balancer::Nginx { .. })) {
        let message = "`analysis` can never pass: nginx counts nothing per server";
        report.error(at, codes::NO_COUNTERS, message, COUNTED_ELSEWHERE);
    } else if let (Some(analysis), Strategy::Canary { steps, .. }) =
        (draft.analysis, &shape.strategy)
        && steps.iter().all(|step| step.weight == 100)
    {
        let every = analysis.every;
        let message = format!("nothing is left to compare with every {every}: all steps are 100 %");
        report.error(at, codes::CAPACITY, message, "begin with a smaller weight, such as 10");
    }
}

/// Times in which something may start, all of which are frozen.
pub(super) fn windows(
    report: &mut Report,
    top: &Fields<'_>,
    windows: &[Window],
    freezes: &[Window],
) {
    let freezes: Vec<&Window> = freezes.iter().collect();
    if never_opens(windows, &freezes) {
        let at = top.key_at("freeze").unwrap_or(place(top, "windows"));
        let message = "no deployment can ever start: all of the time is frozen";
        report.error(at, codes::BAD_SCHEDULE, message, "leave some time in `windows` free");
    }
}

/// Times within the time for a host that are longer than it.
pub(super) fn timeouts(
    report: &mut Report,
    top: &Fields<'_>,
    timeout: Option<Millis>,
    hooks: Option<&HooksPolicy>,
    health: Option<&Health>,
) {
    let Some(all) = timeout else { return };
    // The default of hooks is long, and nobody meant it.
    let hooks =
        hooks.map(|hooks| hooks.timeout).filter(|time| *time != HooksPolicy::default().timeout);
    for (key, part) in [("hooks", hooks), ("health", health.map(|health| health.timeout))] {
        if let Some(part) = part.filter(|part| *part > all) {
            let message =
                format!("`{key}.timeout` ({part}) is longer than a host has at all ({all})");
            let help = "raise `timeout`, or lower this one";
            report.warn(place(top, key), codes::CAPACITY_DOUBT, message, help);
        }
    }
}

/// What the steps of a canary name, and whether they wait.
fn steps(report: &mut Report, shape: &Shape, draft: &Draft<'_>) {
    let names: Vec<&str> = draft.monitors.iter().map(|monitor| monitor.name.as_str()).collect();
    for (at, name) in &shape.analysed {
        if !names.contains(&name.as_str()) {
            let message = format!("a step analyses '{name}', which is not a monitor");
            let help = match names.as_slice() {
                [] => format!("add it: `monitors: [{{name: {name}, …}}]`"),
                names => suggest::help(name, names),
            };
            report.error(*at, codes::UNKNOWN_NAME, message, help);
        }
    }
    if draft.analysis.is_some_and(|analysis| !analysis.dry_run) {
        return;
    }
    for at in &shape.hasty {
        let message = "the step is over as soon as it began: nothing is found out";
        report.warn(*at, codes::NO_HOLD, message, "write how long it is watched: `hold: 5m`");
    }
    if let (Some(at), None, None) = (shape.samples, draft.router, draft.analysis) {
        let message = "nobody counts requests: `min-samples` has no effect";
        report.error(at, codes::IGNORED_KEY, message, "add `router:`, or remove it");
    }
}
