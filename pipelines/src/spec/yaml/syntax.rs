//! What a YAML syntax error most likely means, in words that say how to mend it.

use crate::spec::codes;
use crate::spec::problem::{Problem, Severity};
use crate::spec::yaml::Mark;
use saphyr_parser::ScanError;

/// Turns the parser's complaint into a problem at the place where the author has to look.
pub(super) fn explain(text: &str, failure: &ScanError, at: Mark) -> Problem {
    let marker = failure.marker();
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    let line = text.lines().nth(marker.line().saturating_sub(1)).unwrap_or("");
    let before = text.lines().nth(marker.line().saturating_sub(2)).unwrap_or("");
    let indent: String = line.chars().take_while(|c| c.is_whitespace()).collect();
    if let Some(column) = indent.chars().position(|c| c == '\t') {
        let at = Mark { line: at.line, column: number(column) + 1 };
        let help = "indent with spaces; YAML does not allow tabs there";
        return problem(at, codes::TAB, "the line is indented with a tab".to_owned(), help);
    }
    // The parser looks ahead, and meets its own limit before ours.
    if failure.info().contains("recursion limit") {
        let message = "values are nested too deep".to_owned();
        let help = "no file needs that; look for a bracket that is never closed";
        return problem(at, codes::TOO_DEEP, message, help);
    }
    let info = failure.info();
    let help = if info.contains("trailing content") {
        "text goes on after the closing quote: quote the whole value, or use a `- |` block"
    } else if info.contains("unexpected end of stream") {
        "a quote is opened here and never closed"
    } else if info.contains("did not find expected") && hint(line).is_none() {
        generic(info)
    } else {
        hint(line).or_else(|| hint(before)).unwrap_or_else(|| generic(info))
    };
    problem(at, codes::SYNTAX, format!("not YAML: {}", failure.info()), help)
}

fn problem(at: Mark, code: codes::Code, message: String, help: &str) -> Problem {
    Problem::new(Severity::Error, Some(at), code, message, help)
}

/// The mistakes real files are full of, recognised by the line they are in.
fn hint(line: &str) -> Option<&'static str> {
    let item = line.trim_start();
    let value = item.strip_prefix("- ").or_else(|| item.split_once(": ").map(|pair| pair.1));
    let value = value.unwrap_or(item).trim();
    let bracket = value.starts_with('[') && (value.ends_with(']') || value.contains("] "));
    if value.starts_with('*') {
        Some("a value that starts with `*` needs quotes: '**/*'")
    } else if value.starts_with("&&") || value.starts_with('&') {
        Some("a value that starts with `&` needs quotes, or a `- |` block")
    } else if bracket && !value.ends_with(']') {
        Some("a command that starts with `[` needs quotes, or a `- |` block: '[ -n \"$X\" ] && …'")
    } else if value.starts_with('@') || value.starts_with('`') {
        Some("a value that starts with `@` or a backquote needs quotes")
    } else if value.starts_with('%') {
        Some("a value that starts with `%` needs quotes")
    } else if item.starts_with('-') && !item.starts_with("- ") && !item.starts_with("--") {
        Some("put a space after the `-` of a list item")
    } else if (value.starts_with('"') || value.starts_with('\'')) && after_quote(value) {
        Some("text goes on after the closing quote: quote the whole value, or use a `- |` block")
    } else if value.matches(": ").count() > 0 || value.ends_with(':') {
        Some("a text with `: ` in it needs quotes, or a `- |` block")
    } else {
        None
    }
}

/// Whether something other than a comment follows the first closing quote.
fn after_quote(value: &str) -> bool {
    let quote = &value[..1];
    let rest = value[1..].split_once(quote).map(|pair| pair.1.trim_start());
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('#') && !rest.starts_with(','))
}

fn generic(info: &str) -> &'static str {
    if info.contains("block mapping") || info.contains("simple key") {
        "check the indentation of this line and the one above, and that `key: value` has its colon"
    } else if info.contains("'-'") || info.contains("block collection") {
        "list items of one list stand in one column, and a key after the list left of them"
    } else if info.contains("anchor") {
        "a text that starts with `*` or `&` needs quotes"
    } else if info.contains("flow") || info.contains("bracket") || info.contains("','") {
        "close every `[` and `{`, and put commas between the entries"
    } else if info.contains("quoted") || info.contains("EOF") || info.contains("stream") {
        "a quote is opened and never closed"
    } else {
        "check the indentation and the quotes of this line and the one above"
    }
}

#[cfg(test)]
mod tests {
    use crate::spec::yaml::load;

    #[test]
    fn common_slips_are_told_how_to_mend_them() {
        let cases = [
            ("a:\n\t- b\n", "tab", "spaces"),
            ("a:\n  - **/*\n", "yaml-syntax", "'**/*'"),
            ("a:\n  - [ -z \"$X\" ] && echo\n", "yaml-syntax", "starts with `[`"),
            ("a: b: c\n", "yaml-syntax", "quotes"),
            ("a:\n  - \"x\" y\n", "yaml-syntax", "closing quote"),
            ("a:\n  - 'open\n", "yaml-syntax", "quote"),
            ("a:\n  - b\n c: d\n", "yaml-syntax", "indentation"),
        ];
        for (text, code, help) in cases {
            let problem = match load(text) {
                Ok(mut document) => document.broken.remove(0),
                Err(mut problems) => problems.remove(0),
            };
            assert_eq!(problem.code, code, "{text:?}");
            assert!(problem.help.contains(help), "{text:?}: {}", problem.help);
            assert!(problem.line.is_some());
        }
    }
}
