//! What a YAML syntax error most likely means, in words that say how to mend it.

use crate::spec::codes;
use crate::spec::problem::{Problem, Severity};
use crate::spec::yaml::Mark;
use crate::spec::yaml::places::Places;
use libyaml_safer::Error;

/// Turns the parser's complaint into a problem at the place where the author has to look.
pub(super) fn explain(
    text: &str,
    places: &mut Places<'_>,
    offset: impl Fn(u64) -> usize,
    failure: &Error,
) -> Problem {
    let info = failure.problem();
    let end = failure.problem_mark().map_or(0, |mark| offset(mark.index));
    let start = failure.context_mark().map(|mark| offset(mark.index));
    // What is never closed, and a line without its colon, are noticed far behind the mistake.
    let open_quote =
        info == "found unexpected end of stream" || info == "found unexpected document indicator";
    let late = open_quote || places.is_end(end) || info == "could not find expected ':'";
    // What makes no anchor, alias or tag was not meant to be one: the whole of it is wrong.
    let word = failure.context().is_some_and(|context| {
        ["an anchor", "an alias", "a tag"].iter().any(|what| context.ends_with(what))
    });
    let at = places.at(start.filter(|_| late || word).unwrap_or(end));
    let index = at.line as usize - 1;
    let line = text.lines().nth(index).unwrap_or("");
    let before = index.checked_sub(1).and_then(|before| text.lines().nth(before)).unwrap_or("");
    if let Some(problem) = tab(line, at, info) {
        return problem;
    }
    let mut message = format!("not YAML: {info}");
    if let Some(context) = failure.context() {
        message += &format!(" {context}");
        let from = start.map_or(at.line, |start| places.at(start).line);
        if from != at.line {
            message += &format!(" that starts on line {from}");
        }
    }
    let help = if open_quote {
        "a quote is opened here and never closed"
    } else if late && info.starts_with("did not find expected ','") {
        "a bracket is opened here and never closed"
    } else {
        hint(line).or_else(|| hint(before)).unwrap_or_else(|| generic(info))
    };
    problem(at, codes::SYNTAX, message, help)
}

/// A tab is what is wrong, or what made the parser lose its way.
fn tab(line: &str, at: Mark, info: &str) -> Option<Problem> {
    let column = |index: usize| u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1);
    let help = "use spaces; YAML does not allow tabs there";
    let lead = line.chars().take_while(|c| c.is_whitespace()).position(|c| c == '\t');
    if let Some(index) = lead {
        let at = Mark { line: at.line, column: column(index) };
        let message = "the line is indented with a tab".to_owned();
        return Some(problem(at, codes::TAB, message, help));
    }
    let here = line.chars().nth(at.column as usize - 1) == Some('\t');
    let strange = info.contains("a tab character") || info.contains("cannot start any token");
    (here && strange)
        .then(|| problem(at, codes::TAB, "a tab where only spaces may be".to_owned(), help))
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
    if item.starts_with(": ") {
        Some("write a key before the colon, or quote the whole text")
    } else if value.starts_with('*') {
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

/// By the parser's own words, where the line says nothing.
fn generic(info: &str) -> &'static str {
    let known = |words: &[&str]| words.iter().any(|word| info.contains(word));
    if info.contains("expected ':'") {
        "this line needs a `: ` after its key, or to be indented as part of the value above it"
    } else if known(&["expected key", "mapping values", "mapping keys"]) {
        "check the indentation of this line and the one above, and that `key: value` has its colon"
    } else if known(&["'-' indicator", "block sequence"]) {
        "list items of one list stand in one column, and a key after the list left of them"
    } else if known(&["',' or", "node content"]) {
        "close every `[` and `{`, and put commas between the entries"
    } else if known(&["alphabetic", "anchor"]) {
        "a text that starts with `*` or `&` needs quotes"
    } else if known(&["escape", "hexdecimal"]) {
        "double a backslash in double quotes, or use single quotes"
    } else if known(&["cannot start any token"]) {
        "a text that starts with this character needs quotes"
    } else if known(&["tag", "'!'"]) {
        "a text that starts with `!` needs quotes"
    } else if known(&["comment or line break", "indentation indicator"]) {
        "the text of a `|` or `>` block starts on the line below it"
    } else if known(&["directive", "%YAML", "version"]) {
        "a text that starts with `%` needs quotes; `%YAML 1.1` is the only directive of use"
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
            ("a:\n\t- b\n", "tab", "spaces", 2),
            ("a:\n  -\tb\n", "tab", "spaces", 2),
            ("a: b\n\t\nc: d\n", "tab", "spaces", 2),
            ("a:\n  - **/*\n", "yaml-syntax", "'**/*'", 2),
            ("a:\n  - [ -z \"$X\" ] && echo\n", "yaml-syntax", "starts with `[`", 2),
            ("a: b: c\n", "yaml-syntax", "quotes", 1),
            ("a:\n  - \"x\" y\n", "yaml-syntax", "closing quote", 2),
            ("a:\n  - 'open\nb: c\n", "yaml-syntax", "quote is opened here", 2),
            ("a:\n  - b\n c: d\n", "yaml-syntax", "indentation", 3),
            ("a: [x,\n  y\nb\n\n", "yaml-syntax", "bracket is opened here", 1),
            ("a: b\nc\nd: e\n", "yaml-syntax", "after its key", 2),
            ("a: \"\\d\"\n", "yaml-syntax", "backslash", 1),
            ("a: b\n@: c\n", "yaml-syntax", "needs quotes", 2),
            ("a: *x\n", "unknown-anchor", "quote", 1),
        ];
        for (text, code, help, line) in cases {
            let problem = match load(text) {
                Ok(mut document) => document.broken.remove(0),
                Err(mut problems) => problems.remove(0),
            };
            assert_eq!(problem.code, code, "{text:?}: {problem}");
            assert!(problem.help.contains(help), "{text:?}: {problem}");
            assert_eq!(problem.line, Some(line), "{text:?}: {problem}");
        }
    }
}
