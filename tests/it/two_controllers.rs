//! Two controllers on one database and one data directory: one decides, both answer.

use system_tests::controller::Controller;
use system_tests::files::Revision;
use system_tests::host::gateway;
use system_tests::{Options, World};

#[tokio::test]
async fn the_second_controller_takes_over_and_nothing_is_done_twice() {
    let mut world = World::start(Options { own_postgres: true, ..Options::default() }).await;
    let url = world.postgres.as_ref().map(system_tests::postgres::Postgres::url);
    let mut second = Controller::new(&world.directory.path().join("data"), url, &gateway(), 30);
    second.start().await;
    let slow = Revision { start: Revision::until("go-start"), ..Revision::good("v1") };
    world.repository.commit(&slow, "Open the shop");
    world.repository.push();
    let run = world.api.run_number(1).await;
    world.witness(0, "start", "v1 begin").await;
    // The one that leads is killed for a while; agents know only its address, so it comes back as the
    // one that does not lead.
    world.controller.kill();
    let through_second = world.api.at(&second.url());
    system_tests::wait::until("the second controller to lead", || async {
        second.log().contains("this controller leads").then_some(())
    })
    .await;
    world.controller.start().await;
    for host in 1..=2 {
        let go = world.directory.path().join(format!("witness/host-{host}/go-start"));
        std::fs::write(go, "").unwrap();
    }
    let end = through_second.run_end(&run).await;
    assert_eq!(end["status"], "succeeded", "{end}");
    assert_eq!(world.versions(), ["v1", "v1"]);
    for host in &world.hosts {
        let start = host.witness("start");
        assert_eq!(start.matches("v1 begin").count(), 1, "{start}");
    }
}
