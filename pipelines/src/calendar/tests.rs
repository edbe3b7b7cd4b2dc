//! Windows and freezes at the hours where clocks do strange things.

use super::*;

/// `2026-03-29T01:59:59+01:00`.
fn at(text: &str) -> Timestamp {
    Timestamp(text.parse::<jiff::Timestamp>().expect("an instant").as_millisecond())
}

fn weekly(days: &[Day], from: &str, to: &str, zone: &str) -> Window {
    let span = Span::Weekly { days: days.to_vec(), from: from.into(), to: to.into() };
    Window { span, zone: zone.to_owned(), reason: None }
}

fn dates(from: &str, to: &str, zone: &str) -> Window {
    let span = Span::Dates { from: from.into(), to: to.into() };
    Window { span, zone: zone.to_owned(), reason: None }
}

const MON_THU: [Day; 4] = [Day::Mon, Day::Tue, Day::Wed, Day::Thu];

/// Until when it is closed; None while it is open.
#[track_caller]
fn until(windows: &[Window], freezes: &[Window], now: &str) -> Option<Timestamp> {
    let closed = closed(windows, freezes, at(now))?;
    Some(closed.until.expect("it opens again"))
}

#[test]
fn office_hours_are_those_of_the_zone() {
    let office = [weekly(&MON_THU, "09:00", "16:00", "Europe/Berlin")];
    // A Monday in summer, and in winter.
    assert_eq!(until(&office, &[], "2026-07-06T09:00:00+02:00"), None);
    assert_eq!(until(&office, &[], "2026-07-06T15:59:59+02:00"), None);
    let tomorrow = Some(at("2026-07-07T09:00:00+02:00"));
    assert_eq!(until(&office, &[], "2026-07-06T16:00:00+02:00"), tomorrow);
    let early = Some(at("2026-01-05T09:00:00+01:00"));
    assert_eq!(until(&office, &[], "2026-01-05T07:00:00Z"), early);
    // From Thursday's end over the weekend, on which the clocks change.
    let monday = Some(at("2026-03-30T09:00:00+02:00"));
    assert_eq!(until(&office, &[], "2026-03-26T16:00:00+01:00"), monday);
}

#[test]
fn a_window_over_midnight_belongs_to_the_day_it_begins_on() {
    let night = [weekly(&[Day::Fri], "22:00", "02:00", "UTC")];
    assert_eq!(until(&night, &[], "2026-07-11T01:59:00Z"), None, "Saturday morning");
    let next = Some(at("2026-07-17T22:00:00Z"));
    assert_eq!(until(&night, &[], "2026-07-11T02:00:00Z"), next);
    let whole_day = [weekly(&[Day::Sat], "00:00", "24:00", "UTC")];
    assert_eq!(until(&whole_day, &[], "2026-07-11T23:59:59Z"), None);
    assert!(until(&whole_day, &[], "2026-07-12T00:00:00Z").is_some());
    let same = [weekly(&[Day::Sat], "09:00", "09:00", "UTC")];
    assert_eq!(until(&same, &[], "2026-07-12T08:59:00Z"), None, "24 hours");
}

#[test]
fn times_the_clock_jumps_over_happen_at_the_jump() {
    // In Berlin, 02:00 became 03:00 on 2026-03-29.
    let freeze = [weekly(&[Day::Sun], "02:30", "06:00", "Europe/Berlin")];
    assert_eq!(until(&[], &freeze, "2026-03-29T01:59:59+01:00"), None);
    let end = Some(at("2026-03-29T06:00:00+02:00"));
    assert_eq!(until(&[], &freeze, "2026-03-29T03:00:00+02:00"), end, "03:10 is after 02:30");
    let window = [weekly(&[Day::Sun], "02:15", "02:45", "Europe/Berlin")];
    let next_week = Some(at("2026-04-05T02:15:00+02:00"));
    assert_eq!(until(&window, &[], "2026-03-29T01:00:00+01:00"), next_week, "none that night");
    let ends = [weekly(&[Day::Sun], "01:00", "02:30", "Europe/Berlin")];
    assert_eq!(until(&ends, &[], "2026-03-29T01:59:59+01:00"), None);
    assert!(until(&ends, &[], "2026-03-29T03:00:00+02:00").is_some());
    // In Santiago, midnight itself was jumped over on 2026-09-06.
    let day = [dates("2026-09-06", "2026-09-06", "America/Santiago")];
    assert_eq!(until(&[], &day, "2026-09-05T23:59:59-04:00"), None);
    let end = Some(at("2026-09-07T00:00:00-03:00"));
    assert_eq!(until(&[], &day, "2026-09-06T01:00:00-03:00"), end);
}

#[test]
fn of_times_shown_twice_a_window_means_the_first_and_a_freeze_both() {
    // In Berlin, 03:00 became 02:00 again on 2026-10-25.
    let span = weekly(&[Day::Sun], "02:15", "02:45", "Europe/Berlin");
    let once = [span.clone()];
    assert_eq!(until(&once, &[], "2026-10-25T02:30:00+02:00"), None, "the first 02:30");
    assert!(until(&once, &[], "2026-10-25T02:30:00+01:00").is_some(), "the second");
    let end = Some(at("2026-10-25T02:45:00+01:00"));
    for frozen in
        ["2026-10-25T02:15:00+02:00", "2026-10-25T02:50:00+02:00", "2026-10-25T02:44:00+01:00"]
    {
        assert_eq!(until(&[], std::slice::from_ref(&span), frozen), end, "{frozen}");
    }
    // The window 01:00 to 04:00 is four hours long that night.
    let long = [weekly(&[Day::Sun], "01:00", "04:00", "Europe/Berlin")];
    assert_eq!(until(&long, &[], "2026-10-25T02:59:00+01:00"), None);
}

#[test]
fn the_last_day_of_a_freeze_is_part_of_it() {
    let holidays = [dates("2026-12-20", "2027-01-03", "Europe/Berlin")];
    assert_eq!(until(&[], &holidays, "2026-12-19T23:59:59+01:00"), None);
    let end = Some(at("2027-01-04T00:00:00+01:00"));
    assert_eq!(until(&[], &holidays, "2026-12-20T00:00:00+01:00"), end);
    assert_eq!(until(&[], &holidays, "2027-01-03T23:59:59+01:00"), end);
    assert_eq!(until(&[], &holidays, "2027-01-04T00:00:00+01:00"), None);
    let hours = [dates("2026-12-20T18:00", "2026-12-20T24:00", "UTC")];
    assert_eq!(until(&[], &hours, "2026-12-20T18:00:00Z"), Some(at("2026-12-21T00:00:00Z")));
}

#[test]
fn it_opens_when_neither_window_nor_freeze_is_against_it() {
    let office = [weekly(&MON_THU, "09:00", "16:00", "UTC")];
    let holidays = [
        dates("2026-12-21", "2026-12-25", "UTC"),
        dates("2026-12-25T12:00", "2026-12-29", "UTC"),
        weekly(&[Day::Wed], "00:00", "12:00", "UTC"),
    ];
    // Monday: the freeze ends on Tuesday night, the window opens on Wednesday, which is frozen till noon.
    let noon = Some(at("2026-12-30T12:00:00Z"));
    assert_eq!(until(&office, &holidays, "2026-12-21T10:00:00Z"), noon);
    let over = [dates("2026-01-01", "2026-01-02", "UTC")];
    let never = closed(&over, &[], at("2026-02-01T00:00:00Z")).unwrap();
    assert_eq!(never.until, None, "its only window has passed");
    let contradiction =
        closed(&office, &[weekly(&Day::ALL, "08:00", "17:00", "UTC")], at("2026-02-01T00:00:00Z"));
    assert_eq!(contradiction.unwrap().until, None);
}

#[test]
fn the_reason_says_which_times_are_meant() {
    let with_reason = |window: Window| Window { reason: Some("Nobody is there.".into()), ..window };
    let holidays = [with_reason(dates("2026-12-20", "2027-01-03T18:00", "UTC"))];
    let frozen = closed(&[], &holidays, at("2026-12-21T00:00:00Z")).unwrap();
    assert_eq!(frozen.reason, "a freeze from 2026-12-20 to 2027-01-03 18:00 UTC (Nobody is there)");
    let office = [
        weekly(&MON_THU, "09:00", "16:00", "Europe/Berlin"),
        weekly(&[Day::Mon, Day::Wed, Day::Sat, Day::Sun], "20:00", "21:00", "UTC"),
    ];
    let outside = closed(&office, &[], at("2026-07-06T00:00:00Z")).unwrap();
    assert_eq!(
        outside.reason,
        "they start on mon-thu from 09:00 to 16:00 Europe/Berlin, or on mon, wed, sat, sun from \
         20:00 to 21:00 UTC"
    );
}

#[test]
fn an_unknown_zone_keeps_it_closed() {
    assert!(is_zone("Europe/Berlin") && is_zone("UTC") && !is_zone("Europe/Berlni"));
    let (odd, now) =
        ([dates("2026-01-01", "2026-01-02", "Europe/Berlni")], at("2026-07-06T00:00:00Z"));
    assert!(closed(&[], &odd, now).is_some() && closed(&odd, &[], now).is_some());
}
