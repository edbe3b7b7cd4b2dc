//! `on-failure: RETRY-…-<regex>`: whether a failure is one of those that are worth another try.

use regex_automata::meta::Regex;

/// How much of a phase's output is looked at, from its end.
pub const TEXT_MAX: usize = 64 << 10;
/// The pattern comes from outside; the engine is linear in time, this bounds it in space.
const COMPILED_MAX: usize = 1 << 20;

/// # Errors
/// With what is wrong with the pattern.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    let config = Regex::config().nfa_size_limit(Some(COMPILED_MAX));
    Regex::builder().configure(config).build(pattern).map_err(|error| {
        let detail = error.syntax_error().map_or_else(|| error.to_string(), ToString::to_string);
        format!("is not a pattern: {}", detail.lines().last().unwrap_or_default().trim())
    })
}

/// The last output of a phase that may be retried.
#[derive(Debug, Default)]
pub struct Tail {
    bytes: Vec<u8>,
}

impl Tail {
    pub fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        if self.bytes.len() > 2 * TEXT_MAX {
            self.bytes.drain(..self.bytes.len() - TEXT_MAX);
        }
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Whether the pattern is anywhere in the output or in the failure's own words.
    #[must_use]
    pub fn matches(&self, pattern: &str, failure: &str) -> bool {
        let from = self.bytes.len().saturating_sub(TEXT_MAX);
        compile(pattern)
            .is_ok_and(|regex| regex.is_match(&self.bytes[from..]) || regex.is_match(failure))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_is_looked_for_in_the_end_of_the_output_and_in_the_failure() {
        let mut tail = Tail::default();
        tail.push(b"connection timed out\xff\n");
        assert!(tail.matches("timed? out", ""));
        assert!(tail.matches("exit status 7$", "Reason: exit status 7"));
        assert!(!tail.matches("refused", "exit status 7"));
        for _ in 0..100 {
            tail.push(&[b'x'; 4096]);
        }
        assert!(!tail.matches("timed? out", ""));
        assert!(tail.bytes.len() <= 2 * TEXT_MAX + 4096);
    }

    #[test]
    fn a_pattern_that_is_none_is_refused_with_a_reason() {
        let why = compile("timed(out").unwrap_err();
        assert!(why.contains("unclosed group"), "{why}");
        assert!(compile(&"(a{1000}){1000}".repeat(3)).is_err());
    }
}
