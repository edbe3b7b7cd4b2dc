//! Amounts of storage and memory.

use crate::spec::codes;
use crate::spec::decode::Report;
use crate::spec::yaml::Node;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// `500MB`, `2GiB`: a whole number with its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// Largest first, so that printing takes the first that divides.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1000),
    ("B", 1),
];

/// Not a whole number with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write a whole number with its unit, such as 500MB or 2GiB")]
pub struct BadBytes;

impl FromStr for Bytes {
    type Err = BadBytes;
    fn from_str(text: &str) -> Result<Self, BadBytes> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| BadBytes)?;
        let unit = unit.trim_start();
        let found = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
        let (_, size) = found.ok_or(BadBytes)?;
        number.checked_mul(*size).map(Bytes).ok_or(BadBytes)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = UNITS.iter().find(|(_, size)| self.0 >= *size && self.0.is_multiple_of(*size));
        let (unit, size) = found.unwrap_or(&("B", 1));
        write!(f, "{}{unit}", self.0 / size)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

impl Report {
    /// An amount of bytes above zero.
    pub(crate) fn bytes(&mut self, node: &Node, path: &str) -> Option<Bytes> {
        let text = self.word(node, path)?;
        let bytes = text.parse().ok().filter(|bytes| *bytes > Bytes(0));
        if bytes.is_none() {
            let message = format!("`{path}`: '{text}' is not an amount of bytes");
            let bare = text.bytes().all(|b| b.is_ascii_digit()) && text != "0";
            let help = if bare {
                format!("say the unit: {text}MB or {text}GB")
            } else {
                BadBytes.to_string()
            };
            self.error(node.at, codes::BAD_NUMBER, message, help);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_read_back_what_they_print() {
        for text in ["1B", "500MB", "2GiB", "3TB", "1KiB", "1001B"] {
            let bytes: Bytes = text.parse().unwrap();
            assert_eq!(bytes.to_string(), text);
        }
        assert_eq!("2 gb".parse(), Ok(Bytes(2_000_000_000)));
        for bad in ["", "5", "GB", "-1GB", "1.5GB", "1XB", "99999999999TB"] {
            assert_eq!(bad.parse::<Bytes>(), Err(BadBytes), "{bad}");
        }
    }
}
