//! Whether windows that come every week leave any time at all.

use crate::spec::{Day, Span, Window};

const DAY: usize = 24 * 60;

/// Whether nothing can ever start: every minute of `windows` (all of the week where there are none)
/// is frozen. Only what comes every week in one zone can be known without a calendar.
pub(crate) fn never_opens(windows: &[Window], freezes: &[&Window]) -> bool {
    let Some(zone) = windows.first().or(freezes.first().copied()).map(|first| &first.zone) else {
        return false;
    };
    let mut open = vec![windows.is_empty(); 7 * DAY];
    for window in windows {
        if window.zone != *zone || !fill(&mut open, window, true) {
            return false;
        }
    }
    for freeze in freezes.iter().filter(|freeze| freeze.zone == *zone) {
        fill(&mut open, freeze, false);
    }
    !open.contains(&true)
}

/// Sets the minutes of a window that comes every week; false where it is one of dates.
fn fill(week: &mut [bool], window: &Window, value: bool) -> bool {
    let Span::Weekly { days, from, to } = &window.span else { return false };
    let (start, end) = (minute(from), minute(to));
    let length = if end > start { end - start } else { end + DAY - start };
    for day in days {
        let day = Day::ALL.iter().position(|other| other == day).unwrap_or(0);
        for offset in 0..length {
            let at = (day * DAY + start + offset) % week.len();
            week[at] = value;
        }
    }
    true
}

/// Of the day, from `HH:MM`, whose form was checked.
fn minute(text: &str) -> usize {
    let number = |text: &str| text.parse::<usize>().unwrap_or(0);
    text.split_once(':').map_or(0, |(hour, minute)| number(hour) * 60 + number(minute))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(days: &[Day], from: &str, to: &str) -> Window {
        let span = Span::Weekly { days: days.to_vec(), from: from.into(), to: to.into() };
        Window { span, zone: "UTC".to_owned(), reason: None }
    }

    #[test]
    fn a_window_that_is_frozen_from_end_to_end_never_opens() {
        let night = window(&[Day::Sun], "22:00", "02:00");
        let weekend = window(&[Day::Sat, Day::Sun], "00:00", "24:00");
        let monday = window(&[Day::Mon], "00:00", "06:00");
        assert!(!never_opens(std::slice::from_ref(&night), &[&weekend]));
        assert!(never_opens(&[night], &[&weekend, &monday]));
        let always = window(&Day::ALL, "09:00", "09:00");
        assert!(never_opens(&[], &[&always]));
        assert!(!never_opens(&[], &[]));
    }

    #[test]
    fn other_zones_and_dates_are_not_judged() {
        let always = window(&Day::ALL, "00:00", "24:00");
        let there = Window { zone: "Asia/Seoul".to_owned(), ..always.clone() };
        assert!(!never_opens(&[there], &[&always]));
        let span = Span::Dates { from: "2026-01-01".into(), to: "2026-01-02".into() };
        let dates = Window { span, ..always.clone() };
        assert!(!never_opens(&[dates], &[&always]));
    }
}
