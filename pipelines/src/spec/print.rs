//! How single values are written back, in the words of the files: the JSON of a model is itself a
//! file that reads as the same model.

use crate::spec::decode::duration;
use crate::time::Millis;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A model as JSON, in the file's own key names.
macro_rules! normalised {
    ($($model:ty),*) => {$(
        impl $model {
            /// The parse in the file's own key names, with defaults filled in and short forms
            /// expanded. It is itself a file that reads as the same model.
            ///
            /// # Panics
            /// Never: every model has text keys and finite numbers.
            #[must_use]
            pub fn normalised(&self) -> serde_json::Value {
                serde_json::to_value(self).expect("models have text keys and finite numbers")
            }
        }
    )*};
}

normalised!(
    crate::spec::appspec::Appspec,
    crate::spec::buildspec::Buildspec,
    crate::spec::group::Group,
    crate::spec::pipeline::Pipeline
);

/// A parse as JSON text that is YAML too, and reads as the same thing.
///
/// JSON may hold characters that YAML refuses or takes for the end of a line; these are escaped.
///
/// # Panics
/// Never: a JSON value can always be printed.
#[must_use]
pub fn print<T: Serialize + ?Sized>(value: &T) -> String {
    let text = serde_json::to_string_pretty(value).expect("a model can be printed");
    let special = |c: char| {
        matches!(
            c,
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
    };
    if !text.contains(special) {
        return text;
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if special(c) {
            escaped.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// `1h30m`, exactly.
pub(crate) fn duration_text(value: Millis) -> String {
    const UNITS: [(u64, &str); 5] =
        [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")];
    if value == Millis::ZERO {
        return "0s".to_owned();
    }
    let mut rest = value.0;
    let mut text = String::new();
    for (size, unit) in UNITS {
        if rest >= size {
            text.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    text
}

fn read<E: de::Error>(text: &str) -> Result<Millis, E> {
    duration(text).ok_or_else(|| E::custom(format!("'{text}' is not a length of time")))
}

/// `#[serde(with = "print::time")]`: a duration as text.
pub(crate) mod time {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(value: &Millis, to: S) -> Result<S::Ok, S::Error> {
        duration_text(*value).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Millis, D::Error> {
        read(&String::deserialize(from)?)
    }
}

/// `#[serde(with = "print::time_option")]`: a duration as text, or nothing.
pub(crate) mod time_option {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<Millis>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(duration_text).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Millis>, D::Error> {
        Option::<String>::deserialize(from)?.map(|text| read(&text)).transpose()
    }
}

/// `#[serde(with = "print::seconds_option")]`: a duration as AWS writes it, in whole seconds.
pub(crate) mod seconds_option {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<Millis>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(|millis| millis.0 / 1000).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Millis>, D::Error> {
        Ok(Option::<u64>::deserialize(from)?.map(Millis::from_secs))
    }
}

/// `#[serde(with = "print::octal_option")]`: a file mode as its octal digits.
pub(crate) mod octal_option {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(value: &Option<u32>, to: S) -> Result<S::Ok, S::Error> {
        value.map(|mode| format!("{mode:04o}")).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| u32::from_str_radix(&text, 8).map_err(de::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_yaml_would_read_otherwise_is_escaped() {
        let value = serde_json::json!({"a\u{85}": "b\u{7f}\u{2028}\u{feff}é😀\n"});
        assert_eq!(print(&value), "{\n  \"a\\u0085\": \"b\\u007f\\u2028\\ufeffé😀\\n\"\n}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&print(&value)).unwrap(), value);
    }

    #[test]
    fn a_duration_reads_back_as_itself() {
        for millis in [0, 1, 999, 1000, 61_000, 5_400_000, 604_800_000, 90_061_001] {
            assert_eq!(duration(&duration_text(Millis(millis))), Some(Millis(millis)));
        }
        assert_eq!(duration_text(Millis(5_400_000)), "1h30m");
    }
}
