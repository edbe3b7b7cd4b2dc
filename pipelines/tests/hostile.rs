//! Files meant to hurt are refused within a second, and for what they are.

#![expect(clippy::disallowed_methods, reason = "a test may read files and clocks")]

use pipelines::spec::{Kind, lint};
use std::time::{Duration, Instant};

/// Generous for a debug build on a busy machine; quadratic work takes minutes.
const LIMIT: Duration = Duration::from_secs(5);

fn bomb() -> String {
    let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for n in 1..12 {
        let list = vec![format!("*a{}", n - 1); 10].join(",");
        text += &format!("a{n}: &a{n} [{list}]\n");
    }
    text
}

fn mebibyte(piece: &str) -> String {
    piece.repeat(1024 * 1024 / piece.len())
}

#[test]
fn hostile_files_are_refused_quickly() {
    let commands = |item: &str| format!("version: 0.2\nphases: {{build: {{commands:\n{item}}}}}\n");
    let deep_maps: String = (0..1400).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
    let cases = [
        ("five megabytes", format!("a: {}", "x".repeat(5 * 1024 * 1024)), "too-large"),
        ("alias bomb", bomb(), "too-large"),
        ("open brackets", mebibyte("["), "too-deep"),
        ("open braces", mebibyte("{a: "), "too-deep"),
        ("dashes", mebibyte("- "), "too-deep"),
        ("question marks", mebibyte("? "), "too-deep"),
        ("nested maps", deep_maps, "too-deep"),
        (
            "aliases of a big value",
            format!("a: &a {}\nb: [{}]\n", "x".repeat(500_000), vec!["*a"; 50_000].join(",")),
            "too-large",
        ),
        ("many keys", (0..60_000).map(|n| format!("k{n}: 1\n")).collect(), "more-problems"),
        ("one key many times", mebibyte("k: 1\n"), ""),
        ("one line of words", format!("a: {}", "word ".repeat(200_000)), ""),
        ("one quoted text", format!("a: \"{}\"", "x\n\n".repeat(300_000)), ""),
        ("an open quote", format!("a: \"{}", "x ".repeat(500_000)), "yaml-syntax"),
        ("a block", format!("a: |\n{}", "  x\n".repeat(250_000)), ""),
        ("comments", mebibyte("# x\n"), "empty-file"),
        ("blank lines", mebibyte("\n"), "empty-file"),
        ("anchors", (0..40_000).map(|n| format!("- &a{n} x\n")).collect(), ""),
        ("colons", mebibyte("a: "), "yaml-syntax"),
        ("commas", commands(&",".repeat(500_000)), "yaml-syntax"),
        ("invisible", mebibyte("a\u{200b}: \u{a0}\n"), ""),
        ("zero bytes", mebibyte("\0"), "yaml-syntax"),
    ];
    for (name, text, code) in cases {
        quick(name, &text, &Kind::ALL, code);
    }
}

/// Entries of lists that are compared with each other.
#[test]
fn lists_of_more_than_anybody_writes_are_refused_quickly() {
    let many = |count: usize, make: fn(usize) -> String| (0..count).map(make).collect::<String>();
    let group =
        |rest: String| format!("group: g\napplication: a\nhosts: {{tags: {{a: b}}}}\n{rest}");
    let stage = "name: p\nstages:\n  - {name: s, actions: [{name: a, source: {repository: r}}]}\n";
    let action =
        |n| format!("      - {{name: b{n}, needs: [b{n}], build: {{image: '#{{a.x}}'}}}}\n");
    let monitor = |n| format!("  - {{name: m{n}, http: 'http://x/'}}\n");
    let tag = |n| format!("    - tags: {{k: v{n}}}\n");
    let wide =
        format!("group: g\napplication: a\nhosts:\n  selector:\n   all:\n{}", many(30_000, tag));
    quick(
        "monitors",
        &group(format!("monitors:\n{}", many(20_000, monitor))),
        &[Kind::Group],
        "too-large",
    );
    let shared = format!("shared:\n{}", many(40_000, |n| format!("  - /srv/{n}\n")));
    quick("shared paths", &group(shared), &[Kind::Group], "too-large");
    quick("selectors", &(wide + "strategy: nothing\n"), &[Kind::Group], "bad-value");
    let actions = format!("{stage}  - name: t\n    actions:\n{}", many(12_000, action));
    quick("actions", &actions, &[Kind::Pipeline], "too-large");
    let triggers = format!("{stage}triggers:\n{}", "  - push\n".repeat(80_000));
    quick("triggers", &triggers, &[Kind::Pipeline], "too-large");
}

#[track_caller]
fn quick(name: &str, text: &str, kinds: &[Kind], code: &str) {
    for &kind in kinds {
        let start = Instant::now();
        let problems = lint(kind, text);
        let took = start.elapsed();
        assert!(took < LIMIT, "{name} as {}: {took:?}", kind.as_str());
        assert!(problems.iter().any(|p| p.is_error()), "{name} as {}", kind.as_str());
        assert!(problems.len() <= 1001, "{name}: {} problems", problems.len());
        let found = problems.iter().any(|problem| problem.code.contains(code));
        assert!(found, "{name} as {}: {:#?}", kind.as_str(), &problems[..problems.len().min(3)]);
        println!("{name:24} {:10} {took:?}", kind.as_str());
    }
}
