//! What a shell does with commands in silence: syntax of bash in another shell, and failures that
//! no status tells of.

use crate::spec::buildspec::failures;
use crate::spec::buildspec::read::FoundPhases;
use crate::spec::buildspec::script::{Script, tokens};
use crate::spec::codes;
use crate::spec::decode::Report;

/// Commands and keywords that bash has and POSIX does not.
const OF_BASH: [&str; 11] = [
    "[[",
    "source",
    "function",
    "declare",
    "typeset",
    "shopt",
    "pushd",
    "popd",
    "let",
    "mapfile",
    "readarray",
];

/// Words behind which another command starts.
const LEADING: [&str; 12] =
    ["if", "then", "else", "elif", "do", "while", "until", "!", "{", "time", "sudo", "exec"];

pub(super) fn check(report: &mut Report, found: &FoundPhases, shell: Option<&str>) {
    let name = shell.map(|shell| shell.rsplit('/').next().unwrap_or(shell));
    if !matches!(name, None | Some("sh" | "bash" | "dash" | "ash"))
        || found.commands.iter().any(|(.., command)| is_powershell(command))
    {
        return;
    }
    let scripts: Vec<_> =
        found.commands.iter().map(|(_, at, text)| (*at, text, Script::new(text))).collect();
    if name != Some("bash") {
        let mut first = None;
        let mut seen: Vec<String> = Vec::new();
        for (at, _, script) in &scripts {
            for what in bashisms(script) {
                first.get_or_insert(*at);
                if !seen.contains(&what) {
                    seen.push(what);
                }
            }
        }
        if let Some(at) = first {
            let what = seen.iter().map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", ");
            let message =
                format!("{what}: bash has it, and `sh` of Debian and Ubuntu images does not");
            let help = "write `shell: bash` below `env:`, or what every `sh` knows";
            report.warn(at, codes::BASHISM, message, help);
        }
    }
    for (at, text, script) in &scripts {
        if let Some(tool) = failures::lost(text, script) {
            let message = format!(
                "if `{tool}` fails, the lines below it run all the same: only the last one's \
                 status counts"
            );
            let help = "put `set -e` first, or make every line an entry of its own";
            report.warn(*at, codes::LOST_FAILURE, message, help);
        }
    }
}

/// Images for Windows run PowerShell where no shell is named.
fn is_powershell(command: &str) -> bool {
    let lower = command.to_ascii_lowercase();
    let first = lower.split_whitespace().next().unwrap_or("");
    let verb = first.split_once('-').map_or("", |(verb, _)| verb);
    let verbs =
        ["write", "new", "get", "set", "remove", "copy", "invoke", "start", "import", "test"];
    (verbs.contains(&verb) && !first.contains('/')) || lower.contains("$env:") || verb == "$"
}

/// Each construct of bash's own that the script holds.
fn bashisms(script: &Script) -> Vec<String> {
    let text = &script.bare;
    let mut found: Vec<String> = parameters(text);
    // Whether the next word is a command, and the command the words belong to.
    let (mut first, mut command) = (true, String::new());
    let tokens = tokens(text);
    for (index, token) in tokens.iter().enumerate() {
        let word: String = text[token.start..token.end].iter().collect();
        if token.operator {
            let before = token.start.checked_sub(1).map(|at| text[at]);
            match before {
                Some('<' | '>') if word == "(" => found.push("<(…)".to_owned()),
                Some('=') if word == "(" => found.push("NAME=(…)".to_owned()),
                _ if word == "("
                    && (first || command == "for")
                    && text.get(token.end) == Some(&'(')
                    && before != Some('$') =>
                {
                    found.push("((…))".to_owned());
                }
                _ => {}
            }
            // What stands in `((…))` and behind `$(` would be looked at as commands; harmless.
            first = true;
            command.clear();
            continue;
        }
        found.extend(anywhere(&word).map(str::to_owned));
        if !first {
            if word == "==" && command == "[" {
                found.push("[ … == … ]".to_owned());
            } else if word == "pipefail" && command == "set" {
                found.push("set -o pipefail".to_owned());
            }
            continue;
        }
        if OF_BASH.contains(&word.as_str()) && tokens.get(index + 1).is_some_and(|t| !t.operator) {
            found.push(word.clone());
        } else if word.split_once("+=").is_some_and(|(name, _)| is_name(name)) {
            found.push("NAME+=…".to_owned());
        }
        first = LEADING.contains(&word.as_str()) || is_assignment(&word);
        command = word;
    }
    found
}

/// Constructs of bash's own that can stand in any word.
fn anywhere(word: &str) -> Option<&'static str> {
    if word.starts_with("<<<") {
        return Some("<<<");
    }
    if word.starts_with("&>") {
        return Some("&>");
    }
    let inside = word.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|pair| pair.0);
    let range = inside.and_then(|inside| inside.split_once("..")).is_some_and(|(from, to)| {
        [from, to].iter().all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    });
    range.then_some("{1..9}")
}

/// `${NAME:0:7}`, `${NAME//a/b}`, `${NAME^^}`, `${NAME[0]}`, `${!NAME}`.
fn parameters(text: &[char]) -> Vec<String> {
    let mut found = Vec::new();
    for at in text.windows(2).enumerate().filter(|(_, two)| **two == ['$', '{']).map(|(at, _)| at) {
        let inside: String =
            text[at + 2..].iter().take(64).take_while(|c| !matches!(c, '}' | '\n')).collect();
        if let Some(rest) = inside.strip_prefix('!') {
            if is_name(rest) {
                found.push("${!NAME}".to_owned());
            }
            continue;
        }
        let end = inside.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (name, rest) = inside.split_at(end.unwrap_or(inside.len()));
        if !is_name(name) {
            continue;
        }
        let mut next = rest.chars();
        let shown = match (next.next(), next.next()) {
            // `${AWS::Region}` is a template's; `${NAME:-x}` and its like every shell has.
            (Some(':'), Some(c)) if c.is_ascii_digit() || c == '$' || c == ' ' => "${NAME:0:7}",
            (Some('/'), _) => "${NAME/a/b}",
            (Some('^'), _) => "${NAME^^}",
            (Some(','), _) => "${NAME,,}",
            (Some('['), _) => "${NAME[0]}",
            _ => continue,
        };
        found.push(shown.to_owned());
    }
    found
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| is_name(name))
}

/// The command among the words of a statement: what is no keyword and no assignment.
pub(super) fn command(words: &[String]) -> Option<&str> {
    let skipped = |word: &&String| !LEADING.contains(&word.as_str()) && !is_assignment(word);
    words.iter().find(skipped).map(String::as_str)
}
