//! What is told apart in a command, and what is left out.

use crate::spec::buildspec::script::Script;

#[track_caller]
fn check(text: &str, expected: &[(&str, bool)]) {
    let found: Vec<(String, bool)> = Script::new(text)
        .statements()
        .into_iter()
        .map(|s| (s.words.join(" "), s.goes_on))
        .collect();
    let expected: Vec<(String, bool)> =
        expected.iter().map(|(words, goes_on)| ((*words).to_owned(), *goes_on)).collect();
    assert_eq!(found, expected, "\n{text}");
}

#[test]
fn statements_end_at_newlines_and_semicolons() {
    check("a b; c\nd", &[("a b", true), ("c", true), ("d", false)]);
    check("a &&\n  b ||\n c", &[("a && b || c", false)]);
    check("a \\\n  b\nc", &[("a b", true), ("c", false)]);
    check("a > x 2>&1\nb", &[("a > x 2>&1", true), ("b", false)]);
}

#[test]
fn quotes_comments_and_documents_separate_nothing() {
    check("a '; b' \"x\ny\" # ; c\n", &[("a '; b' \"x\ny\"", false)]);
    check("a \"$(b; c)\" `d; e`\nf", &[("a \"$(b; c)\" `d; e`", true), ("f", false)]);
    check("cat <<'EOF' > x\na; b\n\"\nEOF\nc", &[("cat <<'EOF' > x", true), ("c", false)]);
    check("cat <<-X\n\tb\n\tX\nc", &[("cat <<-X", true), ("c", false)]);
    check("echo it\\'s; b", &[("echo it\\'s", true), ("b", false)]);
}

#[test]
fn the_last_of_a_body_and_a_condition_do_not_go_on() {
    check(
        "if a; then\n  b\n  c\nfi\nd",
        &[("if a", false), ("then", true), ("b", true), ("c", false), ("fi", true), ("d", false)],
    );
    check("(a; b)\nc", &[("a", true), ("b", false), ("c", false)]);
}
