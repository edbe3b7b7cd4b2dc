//! When deployments may start: windows that let them, freezes that hold them back.
//!
//! Times are those a clock on the wall shows in the window's zone. Where that clock jumps over a time, it
//! happens at the jump. Where it shows one twice, a window means the first; a freeze lasts from the first
//! to the second. The zone database is part of the program, so that the same question has the same answer
//! on every machine.

use crate::deploy::event::Closed;
use crate::spec::{Day, Span, Window};
use crate::time::Timestamp;
use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use std::sync::LazyLock;

/// Changes between open and closed that are looked at to find the next opening: some years of weeks.
const LOOKS_MAX: usize = 400;

static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// Whether there is a time zone of that name.
#[must_use]
pub fn is_zone(name: &str) -> bool {
    ZONES.get(name).is_ok()
}

/// Why nothing may start at `now`, and when something may again; None while it may. Without `windows`
/// every time is good that is not frozen.
#[must_use]
pub fn closed(windows: &[Window], freezes: &[Window], now: Timestamp) -> Option<Closed> {
    let (reason, mut until) = why_closed(windows, freezes, now)?;
    // What ends may give way to the next: a freeze to a night outside the windows.
    for _ in 0..LOOKS_MAX {
        let Some(then) = until else { break };
        match why_closed(windows, freezes, then) {
            None => return Some(Closed { reason, until }),
            Some((_, next)) => until = next,
        }
    }
    Some(Closed { reason, until: None })
}

/// `Mon 2026-11-23 09:00 Europe/Berlin`: an instant as a clock on the wall shows it there; in UTC where
/// there is no such zone.
#[must_use]
pub fn local(at: Timestamp, zone: &str) -> String {
    let (zone, name) = match ZONES.get(zone) {
        Ok(known) => (known, zone),
        Err(_) => (TimeZone::UTC, "UTC"),
    };
    let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{} {name}", at.to_zoned(zone).strftime("%a %Y-%m-%d %H:%M"))
}

/// Why it is closed at one moment, and when this reason ends, if ever.
fn why_closed(
    windows: &[Window],
    freezes: &[Window],
    at: Timestamp,
) -> Option<(String, Option<Timestamp>)> {
    for freeze in freezes {
        let Some(zone) = zone_of(freeze) else {
            let text = format!("a freeze in the unknown time zone {}; correct it", freeze.zone);
            return Some((text, None));
        };
        let stretch = stretch(freeze, &zone, at, Ambiguous::Wide);
        if let Some((_, end)) = stretch.filter(|(start, _)| *start <= at) {
            return Some((format!("a freeze {}", sentence(freeze)), Some(end)));
        }
    }
    if windows.is_empty() {
        return None;
    }
    let starts = windows.iter().filter_map(|window| {
        let zone = zone_of(window)?;
        stretch(window, &zone, at, Ambiguous::First).map(|(start, _)| start)
    });
    let next = starts.min();
    if next.is_some_and(|start| start <= at) {
        return None;
    }
    let all: Vec<String> = windows.iter().map(sentence).collect();
    Some((format!("they start {}", all.join(", or ")), next))
}

/// What a time means that the clock shows twice.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ambiguous {
    First,
    /// A start is the first, an end the second.
    Wide,
}

fn zone_of(window: &Window) -> Option<TimeZone> {
    ZONES.get(&window.zone).ok()
}

/// The first stretch of the window that ends after `at`.
fn stretch(
    window: &Window,
    zone: &TimeZone,
    at: Timestamp,
    ambiguous: Ambiguous,
) -> Option<(Timestamp, Timestamp)> {
    let between = |from: DateTime, to: DateTime| {
        let start = instant(zone, from, false)?;
        let end = instant(zone, to, ambiguous == Ambiguous::Wide)?;
        (start < end && at < end).then_some((start, end))
    };
    match &window.span {
        Span::Dates { from, to } => between(moment(from, false)?, moment(to, true)?),
        Span::Weekly { days, from, to } => {
            let today = jiff::Timestamp::from_millisecond(at.0).ok()?.to_zoned(zone.clone()).date();
            let mut day = today.checked_sub(jiff::Span::new().days(2)).ok()?;
            // A week and the days on which the stretch in progress may have begun.
            for _ in 0..=10 {
                let begun = days.contains(&day_of(day)).then(|| {
                    let last = if to > from { day } else { day.tomorrow().ok()? };
                    between(time_on(day, from)?, time_on(last, to)?)
                });
                if let Some(found) = begun.flatten() {
                    return Some(found);
                }
                day = day.tomorrow().ok()?;
            }
            None
        }
    }
}

/// When the clock shows this time; of two such moments the first, or the `second`.
fn instant(zone: &TimeZone, at: DateTime, second: bool) -> Option<Timestamp> {
    let found = zone.to_ambiguous_timestamp(at);
    let instant = match found.offset() {
        AmbiguousOffset::Gap { .. } => {
            let before = found.earlier().ok()?;
            zone.following(before).next().map(|jump| jump.timestamp())?
        }
        AmbiguousOffset::Fold { .. } if second => found.later().ok()?,
        AmbiguousOffset::Fold { .. } | AmbiguousOffset::Unambiguous { .. } => {
            found.earlier().ok()?
        }
    };
    Some(Timestamp(instant.as_millisecond()))
}

/// `YYYY-MM-DD` or `YYYY-MM-DDTHH:MM`; a bare date at the end means all of that day.
fn moment(text: &str, end: bool) -> Option<DateTime> {
    let bare = if end { "24:00" } else { "00:00" };
    let (date, time) = text.split_once('T').unwrap_or((text, bare));
    time_on(date.parse().ok()?, time)
}

/// `HH:MM` of a day, up to 24:00.
fn time_on(date: Date, text: &str) -> Option<DateTime> {
    let (hour, minute) = text.split_once(':')?;
    match (hour.parse().ok()?, minute.parse().ok()?) {
        (24, 0) => Some(date.tomorrow().ok()?.at(0, 0, 0, 0)),
        (hour @ 0..=23, minute @ 0..=59) => Some(date.at(hour, minute, 0, 0)),
        _ => None,
    }
}

fn day_of(date: Date) -> Day {
    match date.weekday() {
        Weekday::Monday => Day::Mon,
        Weekday::Tuesday => Day::Tue,
        Weekday::Wednesday => Day::Wed,
        Weekday::Thursday => Day::Thu,
        Weekday::Friday => Day::Fri,
        Weekday::Saturday => Day::Sat,
        Weekday::Sunday => Day::Sun,
    }
}

/// `on mon-thu from 09:00 to 16:00 Europe/Berlin (Somebody is there)`.
#[must_use]
pub fn sentence(window: &Window) -> String {
    let reason = window.reason.as_deref().unwrap_or_default().trim().trim_end_matches('.');
    let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
    match &window.span {
        Span::Dates { from, to } => {
            let (from, to) = (from.replace('T', " "), to.replace('T', " "));
            format!("from {from} to {to} {}{reason}", window.zone)
        }
        Span::Weekly { days, from, to } => {
            format!("{} from {from} to {to} {}{reason}", on_days(days), window.zone)
        }
    }
}

/// `every day`, `on mon-thu`, `on mon, wed`.
fn on_days(days: &[Day]) -> String {
    if days.len() == Day::ALL.len() {
        return "every day".to_owned();
    }
    let place = |day: &Day| Day::ALL.iter().position(|other| other == day).unwrap_or(0);
    let runs = days.chunk_by(|one, next| place(one) + 1 == place(next));
    let words = runs.map(|run| match run {
        [first, .., last] if run.len() > 2 => format!("{}-{}", first.as_str(), last.as_str()),
        few => few.iter().map(|day| day.as_str()).collect::<Vec<_>>().join(", "),
    });
    format!("on {}", words.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests;
