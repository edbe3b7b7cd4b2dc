//! Every effect of every decision, in one exhaustive match. Inside the deciding transaction: what can
//! be a row becomes a row; what must leave the database becomes an outbox entry.

mod deployment;
mod run;

use super::{Effects, Engine};
use anyhow::Result;
pub(super) use deployment::Deployment;
use pipelines::command::Command;
use pipelines::deploy;
use store::tasks::Order;
use store::{PgConnection, groups, inbox, outbox, runs, tasks};

/// Whose commands these are.
pub(super) enum Subject<'a> {
    Run { row: &'a runs::Row, state: &'a pipelines::run::State },
    Deployment(Deployment<'a>),
}

pub(super) async fn perform(
    engine: &Engine,
    conn: &mut PgConnection,
    subject: &Subject<'_>,
    command: &Command,
    effects: &mut Effects,
) -> Result<()> {
    match subject {
        Subject::Run { row, state } => for_run(engine, conn, (row, state), command, effects).await,
        Subject::Deployment(deployment) => {
            for_deployment(engine, conn, *deployment, command, effects).await
        }
    }
}

async fn for_run(
    engine: &Engine,
    conn: &mut PgConnection,
    (row, state): (&runs::Row, &pipelines::run::State),
    command: &Command,
    effects: &mut Effects,
) -> Result<()> {
    match command {
        Command::WakeAt { .. } => {} // saved with the state
        Command::Finished => {}      // neighbours are told by the caller
        Command::FetchSource { .. } => {
            outbox::put(conn, row.id(), command, engine.epoch).await?;
            effects.outbox = true;
        }
        Command::StartBuild { action, attempt } => {
            run::start_build(engine, conn, row, state, action, *attempt).await?;
            effects.builds = true;
        }
        Command::CancelBuild { action, attempt } => {
            run::cancel_build(conn, row, action, *attempt, effects).await?;
        }
        Command::StartDeployment { action, attempt, group, bundle } => {
            run::start_deployment(conn, row, state, (action, *attempt), group, bundle).await?;
            effects.again = true;
        }
        Command::AbortDeployment { deployment, reason } => {
            let event = deploy::Event::Abort { by: "its run".to_owned(), reason: reason.clone() };
            inbox::post_deployment(conn, *deployment, &event).await?;
            effects.again = true;
        }
        Command::StartHost { .. }
        | Command::CancelHost { .. }
        | Command::Route { .. }
        | Command::CancelRoute { .. }
        | Command::Launch { .. }
        | Command::Dismiss { .. }
        | Command::RecordHost { .. }
        | Command::RecordTraffic { .. }
        | Command::RecordGood { .. } => anyhow::bail!("a deployment's command: {command:?}"),
    }
    Ok(())
}

async fn for_deployment(
    engine: &Engine,
    conn: &mut PgConnection,
    of: Deployment<'_>,
    command: &Command,
    effects: &mut Effects,
) -> Result<()> {
    let (row, group) = (of.row, of.row.group_id);
    match command {
        Command::WakeAt { .. } => {} // saved with the state
        Command::StartHost { host, attempt, generation, purpose, parts } => {
            let which = (*host, *attempt, *generation);
            effects.agents.insert(of.start_host(engine, conn, which, *purpose, parts).await?);
        }
        Command::CancelHost { host, attempt } => {
            tasks::cancel_order(conn, row.id(), Order::Host(*host), *attempt).await?;
            effects.agents.insert(*host);
        }
        Command::Route { attempt, generation, orders, cohort, partial } => {
            let which = (*attempt, *generation, *partial);
            effects.agents.insert(of.route(engine, conn, which, (orders, cohort)).await?);
        }
        Command::CancelRoute { attempt } => {
            effects.agents.insert(of.cancel_route(conn, *attempt).await?);
        }
        Command::Launch { host, attempt } => {
            effects.agents.insert(of.launch(engine, conn, *host, *attempt).await?);
        }
        Command::Dismiss { host, attempt } => {
            effects.agents.insert(of.dismiss(engine, conn, *host, *attempt).await?);
        }
        Command::RecordHost { host, serving } => {
            groups::record_host(conn, group, *host, row.id(), serving).await?;
        }
        Command::RecordTraffic { host, lane, weight } => {
            groups::record_traffic(conn, group, *host, (*lane, *weight)).await?;
        }
        Command::RecordGood { hosts } => {
            groups::record_good(conn, group, hosts, &of.plan.revision).await?;
        }
        Command::Finished => {
            of.finish(conn).await?;
            effects.again = true;
        }
        Command::FetchSource { .. }
        | Command::StartBuild { .. }
        | Command::CancelBuild { .. }
        | Command::StartDeployment { .. }
        | Command::AbortDeployment { .. } => anyhow::bail!("a run's command: {command:?}"),
    }
    Ok(())
}
