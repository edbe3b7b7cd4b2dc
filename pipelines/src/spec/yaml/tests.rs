//! What libyaml makes of texts that parsers disagree about. Each line was tried with libyaml 0.2.5.

use crate::spec::yaml::{Node, Rest, Style, Value, load};

/// `{key: value}`, `[item]`, and texts as they are, those that are not plain in quotes.
fn shape(node: &Node) -> String {
    match &node.value {
        Value::Scalar { text, style: Style::Plain } => text.clone(),
        Value::Scalar { text, .. } => format!("{text:?}"),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(shape).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Map(entries) => {
            let pair = |entry: &crate::spec::yaml::Entry| {
                format!("{}: {}", shape(&entry.key), shape(&entry.value))
            };
            let entries: Vec<String> = entries.iter().map(pair).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

#[test]
fn what_libyaml_takes_is_read_as_it_reads_it() {
    let cases = [
        // At the margin, and with tabs, where YAML 1.2 wants indentation.
        ("a: \"x\ny\"\nb: c\n", "{a: \"x y\", b: c}"),
        ("a:\n  - 'x\ny''s\n  z'\n", "{a: [\"x y's z\"]}"),
        ("a:\n  b: {\n    c: d\n}\ne: f\n", "{a: {b: {c: d}}, e: f}"),
        ("a:\n  b: [x,\n\ty,\n\t]\nc: d\n", "{a: {b: [x, y]}, c: d}"),
        ("a:\n  - {\n\t\tb: c }\n", "{a: [{b: c}]}"),
        ("q: \"\n\tx\"\n", "{q: \" x\"}"),
        ("a:\tx\nb:\tc\n", "{a: x, b: c}"),
        ("a: b\t\nc: d \t\n", "{a: b, c: d}"),
        ("a:\t# c\n  - b\n", "{a: [b]}"),
        // Anchors, tags and aliases in odd places.
        ("a: &x\n  b: c\nd: *x\n", "{a: {b: c}, d: {b: c}}"),
        ("a:\n  &x\n  b: c\n", "{a: {b: c}}"),
        ("- &a x\n- &a y\n- *a\n", "[x, y, y]"),
        ("a: !!str\nb: !!str 1\nc: !Ref d\n", "{a: \"\", b: \"1\", c: d}"),
        ("[!a, !b c, !<d,e>,]\n", "[, c, ]"),
        ("k: *x # no\n", "unknown-anchor"),
        ("a: {b: &x 1, c: *x , d: *x}\n", "{a: {b: 1, c: 1, d: 1}}"),
        // Comments and what looks like one.
        ("a: b#c\nd: 'e'#f\n", "{a: b#c, d: \"e\"}"),
        ("a: b # c\n# d\n  # e\nf: g\n", "{a: b, f: g}"),
        ("- [a,b]# c\n", "[[a, b]]"),
        // Block texts.
        ("|\ne\n", "\"\""),
        ("a: |2\n    x\n   y\n", "{a: \"  x\\n y\\n\"}"),
        ("a: >\n x\n y\n\n  z\nb: |-\n  x\n\n", "{a: \"x y\\n\\n z\\n\", b: \"x\"}"),
        ("a: |+\n  x\n\nb: c\n", "{a: \"x\\n\\n\", b: c}"),
        // Keys.
        ("? a\n: b\n? [c, d]\n: e\n", "{a: b, [c, d]: e}"),
        ("😀: é\n日本: \"語\"\n", "{😀: é, 日本: \"語\"}"),
        ("? |\n  a\n: - b\n", "{\"a\\n\": [b]}"),
        ("a: b\n  c\n\n  d\n", "{a: b c\nd}"),
        ("- - a\n  - b\n-\n  - c\n- d:\n  - e\n", "[[a, b], [c], {d: [e]}]"),
        ("{a, b: , c: d}\n", "{a: , b: , c: d}"),
        ("[a: b, c]\n", "[{a: b}, c]"),
        // Line ends: of Windows, of old Macs, and of YAML 1.1.
        ("a: b\r\nc: |\r\n  d\r\n  e\r\n", "{a: b, c: \"d\\ne\\n\"}"),
        ("a: b\rc: d\r", "{a: b, c: d}"),
        ("a: b\u{85}c: d\n", "{a: b, c: d}"),
        ("%YAML 1.1\n--- # c\na: b\n...\n", "{a: b}"),
    ];
    for (text, expected) in cases {
        match load(text) {
            Ok(document) if document.broken.is_empty() => {
                assert_eq!(
                    document.root.as_ref().map(shape).as_deref(),
                    Some(expected),
                    "{text:?}"
                );
            }
            Ok(document) => {
                assert_eq!(document.broken[0].code, expected, "{text:?}: {document:#?}");
            }
            Err(problems) => panic!("{text:?}: {problems:#?}"),
        }
    }
}

#[test]
fn what_libyaml_refuses_is_an_error_on_the_line_it_is_in() {
    let cases = [
        (": b\n", 1),
        ("a: b\n\t\nc: d\n", 2),
        ("a:\n\t# x\n  - c\n", 2),
        ("a:\n  -\tb\n", 2),
        ("a:\n  - \tb\n", 2),
        ("a:\n  - [b\n\t]\n", 3),
        ("a: {b:c, d:[e]}\n", 1),
        ("a: [b, :]\n", 1),
        ("a: b\n%c\n", 2),
        ("a: &\n", 1),
        ("a: !<b\n", 1),
        ("a: |x\n  b\n", 1),
        ("a: |0\n  b\n", 1),
        ("a: \"\\q\"\n", 1),
        ("a: \"\\x4\"\n", 1),
        ("a: 'b\n---\nc'\n", 1),
        ("a: b\n c: d\n", 2),
        ("a:\n  - b\n c: d\n", 3),
        ("a: b\u{1}\n", 1),
        ("%YAML 2.0\n---\na: b\n", 1),
        ("%YAML 1.1\na: b\n", 2),
        ("k: &a &b c\n", 1),
        ("a: `b`\n", 1),
    ];
    for (text, line) in cases {
        let problems = load(text).map_or_else(|problems| problems, |document| document.broken);
        assert_eq!(problems.first().and_then(|p| p.line), Some(line), "{text:?}: {problems:#?}");
    }
}

/// AWS reads the first document of a file and looks no further.
#[test]
fn what_follows_the_document_is_noticed_and_not_read() {
    let rest = |text: &str| match load(text).unwrap().rest {
        Some(Rest::Document(at)) => Some(("document", at.line, at.column)),
        Some(Rest::Text(at)) => Some(("text", at.line, at.column)),
        None => None,
    };
    assert_eq!(rest("a: 1\n---\nb: [\n"), Some(("document", 2, 1)));
    assert_eq!(rest("a: 1\n...\nb: 2\n"), Some(("text", 3, 1)));
    assert_eq!(rest("  a: 1\nb: 2\n"), Some(("text", 2, 1)));
    assert_eq!(rest("{a: 1}\nb: 2\n"), Some(("text", 2, 1)));
    assert_eq!(rest("[]]\n"), Some(("text", 1, 3)));
    assert_eq!(rest("a: 1\n...\n# b\n"), None);
}
