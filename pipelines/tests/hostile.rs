//! Files meant to hurt are refused within a second and in little memory, and for what they are.

#![expect(clippy::disallowed_methods, reason = "a test may read files and clocks")]

use peak_alloc::PeakAlloc;
use pipelines::spec::{Kind, lint};
use std::time::{Duration, Instant};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// Generous for a debug build on a busy machine; quadratic work takes minutes.
const LIMIT: Duration = Duration::from_secs(if cfg!(debug_assertions) { 8 } else { 1 });
/// What reading one file may take at its worst moment, the file itself not counted.
const HEAP_MAX: usize = 64 * 1024 * 1024;

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

type Case = (&'static str, String, &'static str);

fn commands(item: &str) -> String {
    format!("version: 0.2\nphases: {{build: {{commands:\n{item}}}}}\n")
}

fn appspec(section: &str, entry: &str) -> String {
    format!("version: 0.0\nos: linux\n{section}:\n{}", entry.repeat(900_000 / entry.len()))
}

fn long_entry() -> String {
    format!("- {{source: {0}, destination: /{0}}}\n", "a/".repeat(60))
}

/// Too much of one thing.
fn large() -> Vec<Case> {
    let deep_maps: String = (0..1400).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
    vec![
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
    ]
}

/// What multiplies, and mistakes by the thousand.
fn cunning() -> Vec<Case> {
    vec![
        ("one line of values", format!("a: [{}]", "1,".repeat(500_000)), "too-large"),
        ("many small values", format!("a: [{}]", "1,".repeat(100_000)), ""),
        (
            "one list many times",
            format!("a: &a [{}]\nb: [{}]\n", "1,".repeat(999), "*a,".repeat(90)),
            "",
        ),
        (
            "long anchors",
            (0..9).map(|n| format!("- &{}{n} x\n", "a".repeat(110_000))).collect(),
            "",
        ),
        (
            "deep lists of aliases",
            format!("a: &a {}x{}\nb: [{}]", "[".repeat(60), "]".repeat(60), "*a,".repeat(9000)),
            "too-large",
        ),
        ("tags and commas", format!("a: [{}]", "!,".repeat(100_000)), ""),
        (
            "tabs, tags and commas",
            format!("a: [{}]\n# {}", "!,".repeat(9000), "\t".repeat(900_000)),
            "too-large",
        ),
        ("mistakes", mebibyte("a: b: c\nd: e\n\n"), "yaml-syntax"),
        ("wrong tabs", mebibyte("\ta: b\n\n\n"), "tab"),
        ("unknown aliases", mebibyte("- *a\n"), "unknown-anchor"),
        (
            "merge keys",
            format!("b: &b {{{}}}\nc: [{}]", "x: 1, ".repeat(500), "{<<: [*b, *b]}, ".repeat(90)),
            "",
        ),
        ("unknown keys", commands("  - x\n") + &mebibyte("phasez: {}\n")[..900_000], ""),
        ("long names", format!("phases: {{{}: {{}}}}", "p".repeat(900_000)), ""),
        ("control characters", mebibyte("a: \u{1b}[2J\n"), "yaml-syntax"),
        ("files alike", appspec("files", "- {source: a, destination: /b}\n"), ""),
        ("permissions alike", appspec("permissions", "- {object: /a, except: [a*b]}\n"), ""),
        ("long paths", appspec("files", &long_entry()), ""),
        ("zero bytes", mebibyte("\0"), "yaml-syntax"),
    ]
}

/// Lists whose entries are compared with each other.
fn long_lists() -> Vec<(&'static str, String, Kind, &'static str)> {
    let many = |count: usize, make: fn(usize) -> String| (0..count).map(make).collect::<String>();
    let group =
        |rest: String| format!("group: g\napplication: a\nhosts: {{tags: {{a: b}}}}\n{rest}");
    let stage = "name: p\nstages:\n  - {name: s, actions: [{name: a, source: {repository: r}}]}\n";
    let action =
        |n| format!("      - {{name: b{n}, needs: [b{n}], build: {{image: '#{{a.x}}'}}}}\n");
    let monitors = many(20_000, |n| format!("  - {{name: m{n}, http: 'http://x/'}}\n"));
    let shared = many(40_000, |n| format!("  - /srv/{n}\n"));
    let tags = many(30_000, |n| format!("    - tags: {{k: v{n}}}\n"));
    let selectors = format!(
        "group: g\napplication: a\nhosts:\n  selector:\n   all:\n{tags}strategy: nothing\n"
    );
    let actions = format!("{stage}  - name: t\n    actions:\n{}", many(12_000, action));
    let triggers = format!("{stage}triggers:\n{}", "  - push\n".repeat(80_000));
    vec![
        ("monitors", group(format!("monitors:\n{monitors}")), Kind::Group, "too-large"),
        ("shared paths", group(format!("shared:\n{shared}")), Kind::Group, "too-large"),
        ("selectors", selectors, Kind::Group, "bad-value"),
        ("actions", actions, Kind::Pipeline, "too-large"),
        ("triggers", triggers, Kind::Pipeline, "too-large"),
    ]
}

/// How long this thread has computed. Time on the clock would measure who else uses the machine.
fn computed(since: Instant) -> Duration {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let spent = spent.and_then(|text| text.split(' ').next()?.parse().ok());
    spent.map_or_else(|| since.elapsed(), Duration::from_nanos)
}

/// One test for all of them: a second one at the same time would use the same heap.
#[test]
fn hostile_files_are_refused_quickly() {
    for (name, text, code) in large().into_iter().chain(cunning()) {
        for kind in Kind::ALL {
            quick(name, &text, kind, code);
        }
    }
    for (name, text, kind, code) in long_lists() {
        quick(name, &text, kind, code);
    }
}

fn quick(name: &str, text: &str, kind: Kind, code: &str) {
    HEAP.reset_peak_usage();
    let before = HEAP.current_usage();
    let start = Instant::now();
    let spent = computed(start);
    let problems = lint(kind, text);
    let took = computed(start).saturating_sub(spent);
    let heap = HEAP.peak_usage() - before;
    assert!(heap < HEAP_MAX, "{name} as {}: {heap} bytes", kind.as_str());
    assert!(took < LIMIT, "{name} as {}: {took:?}", kind.as_str());
    assert!(problems.iter().any(|p| p.is_error()), "{name} as {}", kind.as_str());
    assert!(problems.len() <= 1001, "{name}: {} problems", problems.len());
    let found = problems.iter().any(|problem| problem.code.contains(code));
    assert!(found, "{name} as {}: {:#?}", kind.as_str(), &problems[..problems.len().min(3)]);
    let megabytes = heap / 1_000_000;
    println!("{name:24} {:10} {megabytes:3} MB {took:?}", kind.as_str());
}
