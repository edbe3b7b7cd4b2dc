//! Times of day, dates and zones, as they are written. What they mean in a zone is the calendar's
//! business ([`crate::calendar`]).

use crate::spec::codes;
use crate::spec::decode::{Fields, Report};
use crate::spec::yaml::Node;
use crate::time::Millis;
use serde::{Deserialize, Serialize};

/// A stretch of time that comes once or every week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    #[serde(flatten)]
    pub span: Span,
    /// An IANA zone name.
    #[serde(default = "utc")]
    pub zone: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Span {
    /// On these days, from `HH:MM` to `HH:MM`; over midnight where `to` is not later.
    Weekly { days: Vec<Day>, from: String, to: String },
    /// From one `YYYY-MM-DD` or `YYYY-MM-DDTHH:MM` to another, the last day included.
    Dates { from: String, to: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Day {
    /// As it is written: `mon`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Day::CHOICES.iter().find(|choice| choice.1 == self).map_or("", |choice| choice.0)
    }

    pub const ALL: [Day; 7] =
        [Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri, Day::Sat, Day::Sun];
    const CHOICES: [(&'static str, Day); 7] = [
        ("mon", Day::Mon),
        ("tue", Day::Tue),
        ("wed", Day::Wed),
        ("thu", Day::Thu),
        ("fri", Day::Fri),
        ("sat", Day::Sat),
        ("sun", Day::Sun),
    ];
}

fn utc() -> String {
    "UTC".to_owned()
}

impl Report {
    /// `{days: [mon, tue], from: "09:00", to: "17:00", zone: Asia/Seoul}` or
    /// `{from: 2026-12-20, to: 2027-01-03}`.
    pub(crate) fn window(&mut self, node: &Node, path: &str) -> Option<Window> {
        let mut fields = Fields::open(self, node, path)?;
        let window = self.window_fields(&mut fields);
        fields.finish(self);
        window
    }

    /// The keys of a window among others.
    pub(crate) fn window_fields(&mut self, fields: &mut Fields<'_>) -> Option<Window> {
        let days = fields.get("days").map(|node| self.days(node, &fields.join("days")));
        let help = "write a time such as \"09:00\", or a date such as 2026-12-20";
        let mut end = |report: &mut Report, key| {
            let node = fields.require(report, key, help)?;
            let text = report.word(node, &fields.join(key))?;
            if !is_time(&text) && !is_date(&text) {
                let message = format!("'{text}' is neither a time nor a date");
                report.error(node.at, codes::BAD_SCHEDULE, message, help);
                return None;
            }
            Some((node.at, text))
        };
        let (from, to) = (end(self, "from"), end(self, "to"));
        let zone = fields.get("zone").map(|node| self.zone(node, &fields.join("zone")));
        let reason = fields.get("reason").and_then(|n| self.text(n, &fields.join("reason")));
        let ((at, from), (_, to)) = (from?, to?);
        // Said already: an empty list, or nothing but mistakes.
        if days.as_ref().is_some_and(Vec::is_empty) {
            return None;
        }
        let zone = zone.unwrap_or_else(|| Some(utc()))?;
        let span = match (is_time(&from), is_time(&to)) {
            (true, true) => {
                Span::Weekly { days: days.unwrap_or_else(|| Day::ALL.to_vec()), from, to }
            }
            // A bare date at the end means all of that day.
            (false, false) if days.is_none() && starts_before(&from, &to) => {
                Span::Dates { from, to }
            }
            (false, false) if days.is_none() => {
                let (message, help) = if from == to {
                    (format!("the window ends when it starts ({from})"), "write a later `to`")
                } else {
                    let message = format!("the window ends ({to}) before it starts ({from})");
                    (message, "exchange `from` and `to`")
                };
                self.error(at, codes::BAD_SCHEDULE, message, help);
                return None;
            }
            _ => {
                let message = "`days` go with times of day, dates stand alone";
                let help = "write two times, with or without `days`, or two dates";
                self.error(at, codes::BAD_SCHEDULE, message, help);
                return None;
            }
        };
        Some(Window { span, zone, reason })
    }

    /// A list of days, in which `mon-fri` stands for five.
    fn days(&mut self, node: &Node, path: &str) -> Vec<Day> {
        let items = match node.text() {
            Some(_) => std::slice::from_ref(node),
            None => self.list(node, path),
        };
        let mut days = Vec::new();
        for item in items {
            let text = item.text().unwrap_or("");
            let find = |name: &str| Day::CHOICES.iter().find(|c| c.0 == name).map(|c| c.1);
            let range = text.split_once('-').and_then(|(a, b)| Some((find(a)?, find(b)?)));
            match range {
                Some((first, last)) if first <= last => {
                    days.extend(Day::ALL.into_iter().filter(|day| (first..=last).contains(day)));
                }
                _ => days.extend(self.choice(item, path, &Day::CHOICES)),
            }
        }
        days.sort_unstable();
        days.dedup();
        if items.is_empty() {
            let message = format!("`{path}` is empty: the window never opens");
            let help = "write days such as [mon-fri], or leave `days` out to mean every day";
            self.error(node.at, codes::BAD_SCHEDULE, message, help);
        }
        days
    }

    /// A length of time above zero.
    pub(crate) fn time_limit(&mut self, node: &Node, path: &str) -> Option<Millis> {
        let limit = self.duration(node, path)?;
        if limit > Millis::ZERO {
            return Some(limit);
        }
        let message = format!("`{path}`: 0 leaves no time for anything");
        self.error(node.at, codes::BAD_DURATION, message, "write 5m, for example");
        None
    }

    /// An IANA zone name.
    pub(crate) fn zone(&mut self, node: &Node, path: &str) -> Option<String> {
        let text = self.word(node, path)?;
        let good = text == "UTC"
            || text.contains('/')
                && text.split('/').all(|part| {
                    part.starts_with(|c: char| c.is_ascii_uppercase())
                        && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-+".contains(&b))
                });
        let good = good && crate::calendar::is_zone(&text);
        if !good {
            let message = format!("`{path}`: '{text}' is not the name of a time zone");
            let help = "write UTC, or a name such as Asia/Seoul or Europe/Berlin";
            self.error(node.at, codes::BAD_SCHEDULE, message, help);
        }
        good.then_some(text)
    }
}

fn number(text: &str, digits: usize) -> Option<u32> {
    let good = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
    good.then(|| text.parse().ok()).flatten()
}

/// A bare date at the end means all of that day.
fn starts_before(from: &str, to: &str) -> bool {
    if to.contains('T') { from < to } else { from <= format!("{to}T24:00").as_str() }
}

/// `HH:MM`, up to 24:00.
fn is_time(text: &str) -> bool {
    let Some((hour, minute)) = text.split_once(':') else { return false };
    match (number(hour, 2), number(minute, 2)) {
        (Some(hour), Some(minute)) => hour < 24 && minute < 60 || (hour, minute) == (24, 0),
        _ => false,
    }
}

/// `YYYY-MM-DD`, or with `THH:MM` behind it.
fn is_date(text: &str) -> bool {
    let (date, time) = text.split_once('T').map_or((text, "00:00"), |(date, time)| (date, time));
    let parts: Vec<&str> = date.split('-').collect();
    let [year, month, day] = parts.as_slice() else { return false };
    let (Some(year), Some(month), Some(day)) = (number(year, 4), number(month, 2), number(day, 2))
    else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    is_time(time) && (1..=days).contains(&day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_date_at_the_end_is_all_of_that_day() {
        assert!(starts_before("2026-12-20", "2026-12-20"));
        assert!(starts_before("2026-12-20T18:00", "2026-12-20"));
        assert!(starts_before("2026-12-20", "2026-12-20T18:00"));
        assert!(!starts_before("2026-12-21", "2026-12-20"));
        assert!(!starts_before("2026-12-20T18:00", "2026-12-20T18:00"));
    }

    #[test]
    fn dates_and_times_exist() {
        for good in ["2026-12-20", "2024-02-29", "2026-01-01T23:59"] {
            assert!(is_date(good), "{good}");
        }
        for bad in ["2025-02-29", "2026-13-01", "2026-1-1", "26-01-01", "2026-01-01T25:00", "09:00"]
        {
            assert!(!is_date(bad), "{bad}");
        }
        assert!(is_time("00:00") && is_time("24:00") && !is_time("9:00") && !is_time("24:01"));
    }
}
