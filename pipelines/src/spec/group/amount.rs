//! A number of hosts, or a share of them.

use crate::spec::codes;
use crate::spec::decode::Report;
use crate::spec::yaml::Node;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// `2` or `25%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    Count(u32),
    Percent(u32),
}

impl Amount {
    /// Of `total` hosts, rounded up: for batches and for floors such as `min-healthy`.
    #[must_use]
    pub fn round_up(self, total: u32) -> u32 {
        match self {
            Amount::Count(count) => count.min(total),
            Amount::Percent(percent) => share(total, percent).div_ceil(100) as u32,
        }
    }

    /// Of `total` hosts, rounded down: for what may be out at once.
    #[must_use]
    pub fn round_down(self, total: u32) -> u32 {
        match self {
            Amount::Count(count) => count.min(total),
            Amount::Percent(percent) => (share(total, percent) / 100) as u32,
        }
    }

    #[must_use]
    pub fn is_zero(self) -> bool {
        matches!(self, Amount::Count(0) | Amount::Percent(0))
    }
}

fn share(total: u32, percent: u32) -> u64 {
    u64::from(total) * u64::from(percent.min(100))
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Amount::Count(count) => write!(f, "{count}"),
            Amount::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// Neither a number nor a percentage up to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write a number of hosts such as 2, or a share such as 25%")]
pub struct BadAmount;

impl FromStr for Amount {
    type Err = BadAmount;
    fn from_str(text: &str) -> Result<Self, BadAmount> {
        let digits = text.strip_suffix('%').map_or(text, str::trim_end);
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(BadAmount);
        }
        let number = digits.parse().map_err(|_| BadAmount)?;
        match text.ends_with('%') {
            true if number > 100 => Err(BadAmount),
            true => Ok(Amount::Percent(number)),
            false => Ok(Amount::Count(number)),
        }
    }
}

/// As in the file: a number stays a number, a share is text.
impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Amount::Count(count) => to.serialize_u32(*count),
            Amount::Percent(_) => to.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Amount;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or a percentage")
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Amount, E> {
                u32::try_from(number).map(Amount::Count).map_err(E::custom)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount, E> {
                text.parse().map_err(E::custom)
            }
        }
        from.deserialize_any(Visitor)
    }
}

impl Report {
    /// An amount above zero.
    pub(crate) fn amount(&mut self, node: &Node, path: &str) -> Option<Amount> {
        let amount = self.amount_or_zero(node, path)?;
        if amount.is_zero() {
            let message = format!("`{path}`: nothing ever happens with 0");
            self.error(node.at, codes::CAPACITY, message, "write at least 1");
            return None;
        }
        Some(amount)
    }

    pub(crate) fn amount_or_zero(&mut self, node: &Node, path: &str) -> Option<Amount> {
        let text = self.word(node, path)?;
        match text.parse() {
            Ok(amount) => Some(amount),
            Err(error) => {
                let message = format!("`{path}`: '{text}' is not an amount of hosts");
                self.error(node.at, codes::BAD_NUMBER, message, BadAmount::to_string(&error));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_round_the_way_their_use_needs() {
        assert_eq!(Amount::Percent(50).round_up(9), 5);
        assert_eq!(Amount::Percent(50).round_down(9), 4);
        assert_eq!(Amount::Percent(1).round_up(3), 1);
        assert_eq!(Amount::Count(5).round_up(3), 3);
        assert_eq!(Amount::Percent(100).round_up(u32::MAX), u32::MAX);
    }

    #[test]
    fn amounts_read_back_what_they_print() {
        for text in ["2", "25%", "0", "100%"] {
            let amount: Amount = text.parse().unwrap();
            assert_eq!(amount.to_string(), text);
            let json = serde_json::to_string(&amount).unwrap();
            assert_eq!(serde_json::from_str::<Amount>(&json).unwrap(), amount);
        }
        for bad in ["", "%", "101%", "-1", "1.5", "+2", "2 hosts"] {
            assert!(bad.parse::<Amount>().is_err(), "{bad}");
        }
    }
}
