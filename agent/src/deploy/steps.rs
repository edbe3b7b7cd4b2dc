//! What a task does, step by step: the parts it carries, as lifecycle events in CodeDeploy's order.

use pipelines::protocol::task::{Deploy, Part, Purpose};
use pipelines::spec::appspec::SCRIPT_EVENTS;

/// Ours: what a revision wants done when its deployment failed on this host.
pub const ON_FAILURE: &str = "OnFailure";
/// Ours: what a revision wants done before another one takes its place again.
pub const ON_ROLLBACK: &str = "OnRollback";

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    Download,
    Scripts(String),
    Install,
    Health,
}

impl Work {
    /// As people and the controller know it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Work::Download => "DownloadBundle",
            Work::Scripts(event) => event,
            Work::Install => "Install",
            Work::Health => "HealthCheck",
        }
    }
}

/// Whose scripts an event runs. CodeDeploy's table, and ours for our events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The revision that is deployed.
    New,
    /// The last one whose deployment succeeded.
    LastGood,
    /// The one whose files are on the host now, whether it was ever good or not.
    Installed,
    /// The one that a rollback takes away.
    Left,
}

/// Whether an event is about what ran before.
pub fn is_of_the_old(event: &str) -> bool {
    matches!(event, "ApplicationStop" | "BeforeBlockTraffic" | "AfterBlockTraffic")
}

/// Whose scripts `event` runs in this task.
#[must_use]
pub fn whose(event: &str, deploy: &Deploy) -> Whose {
    // A rollback that installs nothing only moves traffic, as between blue and green hosts: this
    // host keeps what it has.
    let only_traffic = !deploy.parts.iter().any(|p| matches!(p, Part::Fetch | Part::Install));
    let back = only_traffic && deploy.purpose == Purpose::Rollback;
    match event {
        ON_ROLLBACK => Whose::Left,
        "BeforeBlockTraffic" | "AfterBlockTraffic" if back => Whose::Installed,
        "BeforeAllowTraffic" | "AfterAllowTraffic" if back => Whose::LastGood,
        event if is_of_the_old(event) => Whose::LastGood,
        _ => Whose::New,
    }
}

/// The steps of a task. Where it fetches, that comes first: the bundle is verified and planned
/// before any script runs.
#[must_use]
pub fn of(deploy: &Deploy) -> Vec<Work> {
    let scripts = |event: &str| Work::Scripts(event.to_owned());
    let mut steps = Vec::new();
    for part in &deploy.parts {
        match part {
            Part::Fetch => steps.push(Work::Download),
            Part::BeforeBlock => steps.push(scripts("BeforeBlockTraffic")),
            Part::AfterBlock => steps.push(scripts("AfterBlockTraffic")),
            Part::Install => {
                steps.extend((deploy.purpose == Purpose::Rollback).then(|| scripts(ON_ROLLBACK)));
                steps.extend(["ApplicationStop", "BeforeInstall"].map(scripts));
                steps.push(Work::Install);
                steps.extend(["AfterInstall", "ApplicationStart", "ValidateService"].map(scripts));
                steps.extend(deploy.health.is_some().then_some(Work::Health));
            }
            Part::BeforeAllow => steps.push(scripts("BeforeAllowTraffic")),
            Part::AfterAllow => steps.push(scripts("AfterAllowTraffic")),
        }
    }
    steps
}

/// The events of the new revision whose scripts have to be there. A task that fetches for later
/// ones, beside a balancer, looks at theirs as well.
#[must_use]
pub fn events_to_check(steps: &[Work], deploy: &Deploy) -> Vec<String> {
    let of_the_new = |event: &str| whose(event, deploy) == Whose::New;
    let of_step = |work: &Work| match work {
        Work::Scripts(event) if of_the_new(event) => Some(event.clone()),
        Work::Scripts(_) | Work::Download | Work::Install | Work::Health => None,
    };
    let mut events: Vec<String> = steps.iter().filter_map(of_step).collect();
    if !deploy.parts.contains(&Part::Install) {
        let all = SCRIPT_EVENTS.iter().filter(|event| of_the_new(event));
        events.extend(all.map(|&event| event.to_owned()));
    }
    events.extend([ON_FAILURE, ON_ROLLBACK].map(str::to_owned));
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::test_tasks::deploy_task;
    use pipelines::protocol::task::Work as TaskWork;

    fn task(purpose: Purpose, parts: &[Part]) -> Deploy {
        let TaskWork::Deploy(deploy) = deploy_task(1, "web", 1, 1).work else { unreachable!() };
        Deploy { purpose, parts: parts.to_vec(), ..deploy }
    }

    fn names(purpose: Purpose, parts: &[Part]) -> Vec<String> {
        of(&task(purpose, parts)).iter().map(|work| work.name().to_owned()).collect()
    }

    #[test]
    fn the_three_tasks_of_a_host_behind_a_balancer_make_codedeploys_order() {
        use Part::{AfterAllow, AfterBlock, BeforeAllow, BeforeBlock, Fetch, Install};
        let tasks: [&[Part]; 3] =
            [&[Fetch, BeforeBlock], &[AfterBlock, Install, BeforeAllow], &[AfterAllow]];
        let all: Vec<String> = tasks.iter().flat_map(|t| names(Purpose::Forward, t)).collect();
        let wanted = "DownloadBundle BeforeBlockTraffic AfterBlockTraffic ApplicationStop \
                      BeforeInstall Install AfterInstall ApplicationStart ValidateService \
                      BeforeAllowTraffic AfterAllowTraffic";
        assert_eq!(all.join(" "), wanted);
        let back = names(Purpose::Rollback, &Part::WITHOUT_ROUTER);
        assert_eq!(back[..3], ["DownloadBundle", "OnRollback", "ApplicationStop"]);
    }

    #[test]
    fn scripts_come_from_the_revisions_of_codedeploys_table() {
        use Part::{AfterAllow, AfterBlock, BeforeAllow, BeforeBlock, Install};
        use Purpose::{Forward, Rollback};
        use Whose::{Installed, LastGood, New};
        let in_place: &[Part] = &[AfterBlock, Install, BeforeAllow];
        let traffic: &[Part] = &[BeforeBlock];
        for (event, parts, forward, rollback) in [
            ("BeforeBlockTraffic", in_place, LastGood, LastGood),
            ("BeforeBlockTraffic", traffic, LastGood, Installed),
            ("AfterBlockTraffic", &[AfterBlock], LastGood, Installed),
            ("ApplicationStop", in_place, LastGood, LastGood),
            ("ValidateService", in_place, New, New),
            ("BeforeAllowTraffic", in_place, New, New),
            ("BeforeAllowTraffic", &[BeforeAllow], New, LastGood),
            ("AfterAllowTraffic", &[AfterAllow], New, LastGood),
        ] {
            assert_eq!(whose(event, &task(Forward, parts)), forward, "{event} {parts:?}");
            assert_eq!(whose(event, &task(Rollback, parts)), rollback, "{event} {parts:?}");
        }
    }
}
