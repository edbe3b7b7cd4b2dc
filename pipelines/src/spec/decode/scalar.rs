//! Single values: text, booleans, numbers, durations, names, one of a few words.

use crate::ids::is_name;
use crate::spec::codes;
use crate::spec::decode::{Report, suggest};
use crate::spec::yaml::{Mark, Node, Style, Value};
use crate::time::Millis;
use std::ops::RangeInclusive;

impl Report {
    /// The text of a single value, as it was written. Nothing at all is an error.
    pub(crate) fn text(&mut self, node: &Node, path: &str) -> Option<String> {
        if let Some(tag) = &node.tag {
            self.foreign_tag(node.at, tag);
        }
        let Some(text) = node.text().filter(|_| !node.is_null()) else {
            let message = format!("`{path}` is {}, a single value is wanted", node.what());
            self.error(node.at, codes::WRONG_TYPE, message, "write the value on the same line");
            return None;
        };
        Some(text.to_owned())
    }

    /// As [`Report::text`], without spaces around it and not empty.
    pub(crate) fn word(&mut self, node: &Node, path: &str) -> Option<String> {
        let text = self.text(node, path)?;
        let word = text.trim();
        if word.is_empty() {
            let message = format!("`{path}` is empty");
            self.error(node.at, codes::MISSING_KEY, message, "write a value, or remove the key");
            return None;
        }
        Some(word.to_owned())
    }

    /// A name by the rule of [`is_name`].
    pub(crate) fn name(&mut self, node: &Node, path: &str) -> Option<String> {
        let text = self.word(node, path)?;
        if is_name(&text) {
            return Some(text);
        }
        let message = format!("`{path}`: '{text}' cannot be a name");
        let help = "use 1 to 64 letters, digits, `-`, `_` and `.`, a letter or digit first";
        self.error(node.at, codes::BAD_NAME, message, help);
        None
    }

    /// True or false. AWS reads YAML 1.1, where `yes` and `on` are booleans too; its guide writes
    /// them so, and its CDK writes them in quotes. Only `y` and `n` are told how they are read.
    pub(crate) fn boolean(&mut self, node: &Node, path: &str) -> Option<bool> {
        let text = self.word(node, path)?;
        let plain = matches!(&node.value, Value::Scalar { style: Style::Plain, .. });
        let value = match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" => Some(true),
            "false" | "no" | "off" | "n" => Some(false),
            _ => None,
        };
        let exact = if self.is_aws() {
            text.len() > 1
        } else {
            plain && matches!(text.as_str(), "true" | "false" | "True" | "False" | "TRUE" | "FALSE")
        };
        match value {
            Some(value) if exact => Some(value),
            Some(value) if self.is_aws() => {
                let message = format!("`{path}`: '{text}' is read as {value}");
                self.warn(node.at, codes::YAML_1_1_BOOLEAN, message, format!("write {value}"));
                Some(value)
            }
            value => {
                let message = format!("`{path}`: '{text}' is neither true nor false");
                let help = value.map_or("write true or false".to_owned(), |v| format!("write {v}"));
                self.error(node.at, codes::BAD_BOOLEAN, message, help);
                None
            }
        }
    }

    /// A whole number within `range`.
    pub(crate) fn number(
        &mut self,
        node: &Node,
        path: &str,
        range: RangeInclusive<u32>,
    ) -> Option<u32> {
        let text = self.word(node, path)?;
        let number = text.parse::<u32>().ok().filter(|number| range.contains(number));
        if number.is_none() {
            let (low, high) = (range.start(), range.end());
            let message = format!("`{path}`: '{text}' is not a whole number from {low} to {high}");
            self.error(node.at, codes::BAD_NUMBER, message, format!("write {low}, for example"));
        }
        number
    }

    /// A length of time: `250ms`, `30s`, `5m`, `1h30m`, `7d`.
    pub(crate) fn duration(&mut self, node: &Node, path: &str) -> Option<Millis> {
        let text = self.word(node, path)?;
        let duration = duration(&text);
        if duration.is_none() {
            let bare = text.bytes().all(|b| b.is_ascii_digit());
            let help = if bare {
                format!("say the unit: {text}s, {text}m or {text}h")
            } else {
                "write 30s, 5m, 1h30m or 7d".to_owned()
            };
            let message = format!("`{path}`: '{text}' is not a length of time");
            self.error(node.at, codes::BAD_DURATION, message, help);
        }
        duration
    }

    /// One of a few words, exactly as they are listed.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        node: &Node,
        path: &str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let text = self.word(node, path)?;
        let found = choices.iter().find(|(word, _)| *word == text);
        if let Some((_, value)) = found {
            return Some(*value);
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let message = format!("`{path}`: '{text}' is not one of {}", suggest::list(&words));
        let help = match suggest::nearest(&text, &words) {
            Some(word) => format!("write {word}"),
            None => format!("write one of {}", suggest::list(&words)),
        };
        self.error(node.at, codes::BAD_VALUE, message, help);
        None
    }

    pub(crate) fn foreign_tag(&mut self, at: Mark, tag: &str) {
        let message =
            format!("the tag `{tag}` means nothing here; the value is taken as it stands");
        self.lenient(
            at,
            codes::TAG,
            message,
            "remove the tag, or quote a text that starts with `!`",
        );
    }
}

/// Reads `1h30m` and the like: whole numbers with units, larger units first.
pub(crate) fn duration(text: &str) -> Option<Millis> {
    const UNITS: [(&str, u64); 5] =
        [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    let mut rest = text;
    let mut sum: u64 = 0;
    let mut smallest = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_lowercase).count();
        let (_, size) = UNITS.iter().find(|(unit, _)| *unit == &rest[..letters])?;
        if *size >= smallest {
            return None;
        }
        smallest = *size;
        sum = sum.checked_add(number.checked_mul(*size)?)?;
        rest = &rest[letters..];
    }
    (smallest != u64::MAX).then_some(Millis(sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_say_their_units_once_and_in_order() {
        let cases = [("250ms", 250), ("30s", 30_000), ("1h30m", 5_400_000), ("7d", 604_800_000)];
        for (text, millis) in cases {
            assert_eq!(duration(text), Some(Millis(millis)), "{text}");
        }
        for bad in ["", "5", "m", "5 m", "5m1h", "5m5m", "-5m", "5x", "1.5h", "5é", "999999999999d"]
        {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }
}
