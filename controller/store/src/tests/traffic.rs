//! What is noted of a host's traffic, by deployments and by the balancer itself.

use super::*;
use ::pipelines::deploy::Lane;

#[tokio::test]
async fn a_weight_survives_shares_and_time_out_but_not_an_operators_word() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let group = group(&mut conn).await;
    let (host, _) = join(&mut conn, Role::Deploy, "host-1").await;
    let weighs = async |conn: &mut PgConnection| {
        let hosts = groups::hosts(conn, group, Millis::from_secs(60)).await.unwrap();
        (hosts[0].lane.as_ref().map(|lane| lane.0), hosts[0].weight)
    };
    let into = |weight| Lane::In { weight };
    // Nobody has given it any: it has what the balancer says.
    groups::record_survey(&mut conn, group, host, (into(30), true)).await.unwrap();
    assert_eq!(weighs(&mut conn).await, (Some(into(30)), None));
    // A share stays behind, or it is out, or nobody knows: its own weight is still known.
    for lane in [into(256), Lane::Out, Lane::Unknown] {
        groups::record_traffic(&mut conn, group, host, (lane, 30)).await.unwrap();
        groups::record_survey(&mut conn, group, host, (lane, true)).await.unwrap();
        assert_eq!(weighs(&mut conn).await, (Some(lane), Some(30)));
    }
    groups::record_survey(&mut conn, group, host, (into(256), true)).await.unwrap();
    assert_eq!(weighs(&mut conn).await.1, Some(30), "what was unknown says nothing against it");
    groups::record_survey(&mut conn, group, host, (Lane::Out, false)).await.unwrap();
    assert_eq!(weighs(&mut conn).await.1, Some(30), "somebody took it out, and gave it no weight");
    groups::record_survey(&mut conn, group, host, (into(80), true)).await.unwrap();
    assert_eq!(weighs(&mut conn).await, (Some(into(80)), None), "somebody else gave it another");
}
