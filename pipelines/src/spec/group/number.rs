//! Numbers with a decimal point.

use crate::spec::codes;
use crate::spec::decode::Report;
use crate::spec::yaml::Node;

impl Report {
    /// Any finite number; `2%` is 0.02.
    pub(super) fn float(&mut self, node: &Node, path: &str) -> Option<f64> {
        let text = self.word(node, path)?;
        let number = float(&text);
        if number.is_none() {
            let message = format!("`{path}`: '{text}' is not a number");
            self.error(node.at, codes::BAD_NUMBER, message, "write 0.02 or 2%, for example");
        }
        number
    }

    /// A number above 0.
    pub(super) fn positive(&mut self, node: &Node, path: &str) -> Option<f64> {
        let number = self.float(node, path)?;
        if number > 0.0 {
            return Some(number);
        }
        let message = format!("`{path}`: {number} is not above 0");
        self.error(node.at, codes::BAD_NUMBER, message, "write 1.5, for example");
        None
    }

    /// A number above 0 and below 1.
    pub(super) fn share(&mut self, node: &Node, path: &str) -> Option<f64> {
        let number = self.float(node, path)?;
        if number > 0.0 && number < 1.0 {
            return Some(number);
        }
        let message = format!("`{path}`: {number} is not between 0 and 1");
        self.error(node.at, codes::BAD_NUMBER, message, "write 0.05 or 5%, for example");
        None
    }
}

fn float(text: &str) -> Option<f64> {
    let (digits, scale) = match text.strip_suffix('%') {
        Some(digits) => (digits.trim_end(), 100.0),
        None => (text, 1.0),
    };
    let number = digits.parse::<f64>().ok().filter(|number| number.is_finite())?;
    Some(number / scale)
}
