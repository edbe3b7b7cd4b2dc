use super::*;

const STATE: &str = "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight \
    srv_iweight srv_check_state srv_port";
const STAT: &str = "# pxname,svname,qcur,scur,econ,eresp,status,tracked,check_status,check_code,hrsp_5xx,\
    req_tot,lbtot,last_chk,rtime,";

fn answer(level: &str, state: &str, stat: &str) -> String {
    format!(
        "{level}\n\nName: HAProxy\nPid: 12\nUptime: 0d\nStart_time_sec: 99\n\n1\n{STATE}\n{state}\n\n{STAT}\n\
         {stat}\n\n"
    )
}

fn one(state: &str, stat: &str) -> Row {
    parse(&answer("admin", state, stat)).unwrap().rows.remove(0)
}

#[test]
fn a_server_is_read_from_both_tables_by_name_of_column() {
    let row = one(
        "3 shop 1 web-1 10.0.0.1 2 0 10 20 6 8080",
        "shop,web-1,1,2,3,4,UP,,* L7OK,200,5,100,107,\"fine, thanks\",7,",
    );
    let seen = row.seen();
    assert_eq!((row.initial_weight, row.is_check_on), (20, true));
    assert_eq!(seen.address, Some("10.0.0.1:8080".parse().unwrap()));
    assert_eq!((seen.share, seen.check, seen.in_flight), (Share::In { weight: 10 }, Check::Up, 3));
    assert_eq!(seen.words, "UP, weight 10, L7OK/200 fine, thanks");
    let expected =
        ServerCounters { name: "web-1".into(), requests: 107, errors: 12, latency_ms: Some(7) };
    assert_eq!(row.counted, expected);
    let state = parse(&answer("admin", "", "")).unwrap();
    assert_eq!((state.life.as_str(), state.rows.len()), ("12-99", 0));
}

#[test]
fn shares_and_checks_are_told_apart() {
    let stat = "shop,a,0,0,0,0,STATUS,,L7STS,503,0,0,0,Service Unavailable,0,";
    let down = || Check::Down { reason: "L7STS/503 Service Unavailable".into() };
    let cases = [
        ("2 0 10 10 6", Share::In { weight: 10 }, Check::Up),
        ("0 0 10 10 6", Share::In { weight: 10 }, down()),
        ("2 8 10 10 6", Share::Drained, Check::Up),
        ("0 8 10 10 6", Share::Drained, down()),
        ("2 0 0 10 6", Share::Drained, Check::Up),
        ("0 1 10 10 6", Share::Out, Check::None),
        ("0 33 10 10 6", Share::Out, Check::None),
        ("2 0 10 10 0", Share::In { weight: 10 }, Check::None),
    ];
    for (numbers, share, check) in cases {
        let seen = one(&format!("3 shop 1 a 10.0.0.1 {numbers} 80"), stat).seen();
        assert_eq!((seen.share, seen.check), (share, check), "{numbers}");
    }
    // Said to be down, and not checked since: the good answer is from before.
    let old =
        one("3 shop 1 a 10.0.0.1 0 8 1 1 6 80", "shop,a,0,0,0,0,DOWN,,L7OK,200,0,0,0,,0,").seen();
    assert_eq!(old.check, Check::Down { reason: "DOWN: not checked often enough yet".into() });
}

#[test]
fn what_is_no_answer_is_said() {
    assert_eq!(parse("user\n\nName: HAProxy\n").unwrap().level, "user");
    assert!(
        parse("admin\n\nPid: 1\nStart_time_sec: 2\n\nCan't find backend.\n\nNo such proxy.\n")
            .unwrap()
            .is_missing
    );
    assert!(parse("admin\n\nPid: 1\n").unwrap_err().contains("Start_time_sec"));
    let one_table = answer("admin", "3 shop 1 a 10.0.0.1 2 0 1 1 6 80", "");
    assert_eq!(parse(&one_table).unwrap_err(), "server a is in one table only");
    assert!(parse(&answer("admin", "3 shop 1 a 10.0.0.1 two 0 1 1 6 80", "shop,a")).is_err());
}
