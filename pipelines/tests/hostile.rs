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
    let appspec = |section: &str, entry: &str| {
        format!("version: 0.0\nos: linux\n{section}:\n{}", entry.repeat(900_000 / entry.len()))
    };
    let long = format!("- {{source: {0}, destination: /{0}}}\n", "a/".repeat(60));
    let long_paths = appspec("files", &long);
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
        ("files alike", appspec("files", "- {source: a, destination: /b}\n"), ""),
        ("permissions alike", appspec("permissions", "- {object: /a, except: [a*b]}\n"), ""),
        ("long paths", long_paths, ""),
        ("zero bytes", mebibyte("\0"), "yaml-syntax"),
    ];
    for (name, text, code) in cases {
        for kind in Kind::ALL {
            let start = Instant::now();
            let problems = lint(kind, &text);
            let took = start.elapsed();
            assert!(took < LIMIT, "{name} as {}: {took:?}", kind.as_str());
            assert!(problems.iter().any(|p| p.is_error()), "{name} as {}", kind.as_str());
            assert!(problems.len() <= 1001, "{name}: {} problems", problems.len());
            let found = problems.iter().any(|problem| problem.code.contains(code));
            assert!(
                found,
                "{name} as {}: {:#?}",
                kind.as_str(),
                &problems[..problems.len().min(3)]
            );
            println!("{name:24} {:10} {took:?}", kind.as_str());
        }
    }
}
