//! Cron expressions: their form, and whether they ever come true.

use crate::spec::codes;
use crate::spec::decode::Report;
use crate::spec::yaml::Node;

impl Report {
    /// Five cron fields: minute, hour, day of month, month, day of week.
    pub(crate) fn cron(&mut self, node: &Node, path: &str) -> Option<String> {
        let text = self.word(node, path)?;
        let fields = match fields(&text) {
            Ok(fields) => fields,
            Err(why) => {
                let message = format!("`{path}`: '{text}' is not a cron expression: {why}");
                let help = "write minute, hour, day, month, weekday, such as \"0 3 * * 1-5\"";
                self.error(node.at, codes::BAD_SCHEDULE, message, help);
                return None;
            }
        };
        if let Some((day, month)) = never(&fields) {
            let message = format!("`{path}`: '{text}' never comes: {month} has no day {day}");
            let help = "choose a day that its month has, such as 28";
            self.error(node.at, codes::BAD_SCHEDULE, message, help);
            return None;
        }
        Some(text)
    }
}

struct Part {
    name: &'static str,
    low: u32,
    high: u32,
    words: &'static [&'static str],
}

const fn part(name: &'static str, low: u32, high: u32, words: &'static [&'static str]) -> Part {
    Part { name, low, high, words }
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
/// February as in a leap year.
const DAYS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const PARTS: [Part; 5] = [
    part("the minute", 0, 59, &[]),
    part("the hour", 0, 23, &[]),
    part("the day", 1, 31, &[]),
    part("the month", 1, 12, &MONTHS),
    part("the weekday", 0, 7, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
];

/// The values one field allows, as bits, and whether it said `*`.
struct Field {
    values: u64,
    any: bool,
}

fn fields(text: &str) -> Result<Vec<Field>, String> {
    let texts: Vec<&str> = text.split_ascii_whitespace().collect();
    if texts.len() != PARTS.len() {
        return Err(format!("it has {} fields instead of 5", texts.len()));
    }
    texts.iter().zip(&PARTS).map(|(text, part)| field(text, part)).collect()
}

fn field(text: &str, part: &Part) -> Result<Field, String> {
    let mut values = 0;
    for item in text.split(',') {
        let (range, step) = item.split_once('/').map_or((item, None), |(a, b)| (a, Some(b)));
        let ends = match range.split_once('-') {
            _ if range == "*" => Some((part.low, part.high)),
            Some((a, b)) => value(a, part).zip(value(b, part)),
            // `5/15` means from 5 on.
            None => value(range, part)
                .map(|value| (value, if step.is_some() { part.high } else { value })),
        };
        let step = step.map_or(Some(1), |s| s.parse().ok());
        match (ends.filter(|(a, b)| a <= b), step.filter(|n| (1..=part.high).contains(n))) {
            (Some((a, b)), Some(step)) => {
                values |= (a..=b).step_by(step as usize).fold(0, |bits, n| bits | 1_u64 << n);
            }
            _ => {
                return Err(format!(
                    "'{item}' is not {} ({} to {})",
                    part.name, part.low, part.high
                ));
            }
        }
    }
    Ok(Field { values, any: text.starts_with('*') })
}

fn value(text: &str, part: &Part) -> Option<u32> {
    let lower = text.to_ascii_lowercase();
    // Months count from 1, weekdays from 0, as their words do here.
    let number = match part.words.iter().position(|word| *word == lower) {
        Some(index) => u32::try_from(index).ok()? + part.low,
        None if text.starts_with('+') => return None,
        None => text.parse().ok()?,
    };
    (part.low..=part.high).contains(&number).then_some(number)
}

/// A day and the month that does not have it, where no day of any month is meant. With a weekday as
/// well, cron means either of the two, which always comes.
fn never(fields: &[Field]) -> Option<(u32, &'static str)> {
    let [_, _, days, months, weekdays] = fields else { return None };
    let meant = |index: usize| months.values & (1 << (index + 1)) != 0;
    let first = days.values.trailing_zeros();
    let comes = (0..MONTHS.len()).any(|index| meant(index) && first <= DAYS[index]);
    if comes || !weekdays.any {
        return None;
    }
    (0..MONTHS.len()).find(|index| meant(*index)).map(|index| (first, MONTHS[index]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cron_expressions_have_five_fields_within_their_ranges() {
        for good in ["0 3 * * *", "*/5 0-6 1,15 jan-mar mon-fri", "59 23 31 12 7", "0 0 * * 5/2"] {
            assert!(fields(good).is_ok(), "{good}");
        }
        for bad in
            ["", "0 3 * *", "60 * * * *", "* * 0 * *", "*/0 * * * *", "5-1 * * * *", "x * * * *"]
        {
            assert!(fields(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_day_that_no_meant_month_has_never_comes() {
        let cases = [
            ("0 3 30 2 *", Some((30, "feb"))),
            ("0 3 31 4,6,9,11 *", Some((31, "apr"))),
            ("0 3 30-31 feb *", Some((30, "feb"))),
            ("0 3 29 2 *", None),
            ("0 3 31 2,3 *", None),
            ("0 3 30 2 mon", None),
            ("0 3 28/2 2 *", None),
        ];
        for (text, expected) in cases {
            let fields = fields(text).unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!(never(&fields), expected, "{text}");
        }
    }
}
