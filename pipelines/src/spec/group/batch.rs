//! How many hosts go at once, batch after batch.

use crate::spec::codes;
use crate::spec::decode::Report;
use crate::spec::group::Amount;
use crate::spec::yaml::Node;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// `2`, `25%`, or a growing list such as `[1, 10%, 50%]`, whose last size goes on to the end. Never
/// empty, never zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch(Vec<Amount>);

impl From<Amount> for Batch {
    fn from(amount: Amount) -> Self {
        Batch(vec![amount])
    }
}

impl Batch {
    /// The sizes as written, at least one.
    #[must_use]
    pub fn sizes(&self) -> &[Amount] {
        &self.0
    }

    /// The size of the batch with this number, counted from 0.
    #[must_use]
    pub fn nth(&self, index: usize) -> Amount {
        self.0[index.min(self.0.len() - 1)]
    }

    /// The size at the end, which is the largest.
    #[must_use]
    pub fn last(&self) -> Amount {
        self.nth(usize::MAX)
    }
}

/// As in the file: one size stands alone.
impl Serialize for Batch {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.serialize(to),
            several => several.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for Batch {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            One(Amount),
            Several(Vec<Amount>),
        }
        match Written::deserialize(from)? {
            Written::One(amount) => Ok(amount.into()),
            Written::Several(sizes) if sizes.is_empty() => {
                Err(de::Error::custom("a list of batches without a batch"))
            }
            Written::Several(sizes) => Ok(Batch(sizes)),
        }
    }
}

impl Report {
    /// One amount, or a list of amounts that grow.
    pub(crate) fn batch(&mut self, node: &Node, path: &str) -> Option<Batch> {
        if node.text().is_some() {
            return self.amount(node, path).map(Batch::from);
        }
        let items = self.short_list(node, path);
        if items.is_empty() {
            let message = format!("`{path}` is empty");
            self.error(node.at, codes::MISSING_KEY, message, "write 2, 25%, or [1, 10%, 50%]");
        }
        let mut sizes: Vec<Amount> = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let Some(size) = self.amount(item, &format!("{path}[{index}]")) else { continue };
            if let Some(before) = sizes.last()
                && !grows(*before, size)
            {
                let message = format!("`{path}`: {size} does not grow from {before}");
                let help = "let every size be larger; the last one goes on to the end";
                self.error(item.at, codes::BAD_VALUE, message, help);
            }
            sizes.push(size);
        }
        (!sizes.is_empty()).then_some(Batch(sizes))
    }
}

/// Numbers and shares cannot be compared without knowing the fleet.
fn grows(before: Amount, after: Amount) -> bool {
    match (before, after) {
        (Amount::Count(a), Amount::Count(b)) | (Amount::Percent(a), Amount::Percent(b)) => a < b,
        (Amount::Count(_), Amount::Percent(_)) | (Amount::Percent(_), Amount::Count(_)) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_size_goes_on_and_one_size_stands_alone() {
        let list = Batch(vec![Amount::Count(1), Amount::Percent(10), Amount::Percent(50)]);
        assert_eq!(
            [list.nth(0), list.nth(2), list.nth(9)].map(|a| a.to_string()),
            ["1", "50%", "50%"]
        );
        for (batch, json) in [(Batch::from(Amount::Count(2)), "2"), (list, r#"[1,"10%","50%"]"#)] {
            assert_eq!(serde_json::to_string(&batch).unwrap(), json);
            assert_eq!(serde_json::from_str::<Batch>(json).unwrap(), batch);
        }
        assert!(serde_json::from_str::<Batch>("[]").is_err());
    }
}
