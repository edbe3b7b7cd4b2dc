//! Just enough of Rust's grammar: comments and strings apart from code, braces, names.

use std::path::Path;

/// A file, as written and with comments and literals blanked out.
pub struct Source {
    /// From the root of the repository.
    pub path: String,
    pub text: String,
    code: String,
}

pub struct Function {
    pub name: String,
    pub line: usize,
    pub lines: usize,
}

impl Source {
    pub fn read(root: &Path, path: &Path) -> Source {
        let text = std::fs::read_to_string(path).expect("a source file is UTF-8");
        let path = path.strip_prefix(root).expect("the file is below the root");
        let code = blank(&text);
        Source { path: path.display().to_string(), text, code }
    }

    /// Lines of code with their numbers.
    pub fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// Every function with a body, nested ones too.
    pub fn functions(&self) -> Vec<Function> {
        let mut found = Vec::new();
        for (at, _) in self.code.match_indices("fn ") {
            let before = self.code[..at].chars().next_back();
            if before.is_some_and(is_word) {
                continue;
            }
            let rest = &self.code[at..];
            let name: String = rest[3..].trim_start().chars().take_while(|c| is_word(*c)).collect();
            // `fn(u32) -> u32` is a type; a declaration in a trait ends before any body begins.
            let Some(length) = (!name.is_empty()).then(|| body_end(rest)).flatten() else {
                continue;
            };
            found.push(Function {
                name,
                line: self.code[..at].matches('\n').count() + 1,
                lines: rest[..length].matches('\n').count() + 1,
            });
        }
        found
    }
}

/// Where the body ends that begins after this signature; None when it has none.
fn body_end(code: &str) -> Option<usize> {
    let (mut braces, mut brackets) = (0usize, 0usize);
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets = brackets.saturating_sub(1),
            ';' if braces == 0 && brackets == 0 => return None,
            '{' => braces += 1,
            '}' if braces == 1 => return Some(at),
            '}' => braces = braces.checked_sub(1)?,
            _ => {}
        }
    }
    None
}

/// Whether `text` stands in `line` and is not the end of a longer word.
pub fn has_word(line: &str, text: &str) -> bool {
    let starts_word = text.starts_with(is_word);
    line.match_indices(text)
        .any(|(at, _)| !starts_word || !line[..at].chars().next_back().is_some_and(is_word))
}

pub fn is_module(line: &str) -> bool {
    let line = line.trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ");
    line.trim_start_matches("pub ").starts_with("mod ")
}

/// The name in `pub struct Name`, `enum Name`, `trait Name`, `type Name`.
pub fn type_name(line: &str) -> Option<&str> {
    let mut words = line.split(|c| !is_word(c)).filter(|word| !word.is_empty());
    words.find(|word| ["struct", "enum", "trait", "type"].contains(word))?;
    words.next()
}

/// `HostManager` is `Host` and `Manager`.
pub fn camel_words(name: &str) -> impl Iterator<Item = &str> {
    let mut rest = name;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?.len_utf8();
        let end =
            rest[first..].find(|c: char| c.is_uppercase()).map_or(rest.len(), |at| at + first);
        let (word, tail) = rest.split_at(end);
        rest = tail;
        Some(word)
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The text with every comment, string and character literal replaced by blanks, line by line as long.
fn blank(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let previous = out.chars().next_back();
        let length = literal_length(rest, previous);
        let (piece, tail) = match length {
            Some(length) => rest.split_at(length),
            None => rest.split_at(rest.chars().next().map_or(0, char::len_utf8)),
        };
        match length {
            Some(_) => out.extend(piece.chars().map(|c| if c == '\n' { '\n' } else { ' ' })),
            None => out.push_str(piece),
        }
        rest = tail;
    }
    out
}

/// The length of the comment or literal that `rest` starts with.
fn literal_length(rest: &str, previous: Option<char>) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(block_comment_length(rest));
    }
    // A prefix is one only where a word starts: `for"` is not written, `r"` is.
    if !previous.is_some_and(is_word) {
        for prefix in ["r", "br", "cr"] {
            if let Some(length) = raw_string_length(rest, prefix) {
                return Some(length);
            }
        }
    }
    match rest.as_bytes()[0] {
        b'"' => Some(quoted_length(rest, '"')),
        b'\'' => character_length(rest),
        _ => None,
    }
}

fn block_comment_length(rest: &str) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn raw_string_length(rest: &str, prefix: &str) -> Option<usize> {
    let after = rest.strip_prefix(prefix)?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let content = after[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let start = prefix.len() + hashes + 1;
    Some(content.find(&end).map_or(rest.len(), |at| start + at + end.len()))
}

fn quoted_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// `'x'` and `'\n'` are characters, `'a` is a lifetime.
fn character_length(rest: &str) -> Option<usize> {
    let second = rest[1..].chars().next()?;
    if second == '\\' || rest[1 + second.len_utf8()..].starts_with('\'') {
        return Some(quoted_length(rest, '\''));
    }
    None
}

#[test]
fn comments_and_literals_are_blanked_and_lines_kept() {
    let text = "let a = \"x{\\\"\"; // {\nlet b = r#\"}\n\"#; let c: &'a str = f('{', b'\\'');\n/* { /* */ */ x";
    let code = blank(text);
    assert_eq!(code.matches('\n').count(), text.matches('\n').count());
    assert!(!code.contains('{') && !code.contains('}'), "{code}");
    assert!(code.contains("&'a str") && code.ends_with('x'), "{code}");
}

#[test]
fn functions_are_found_with_their_length() {
    let text =
        "trait T { fn none(&self) -> [u8; 2]; }\nfn one() {\n  {}\n}\nfn two(f: fn(u8)) {}\n";
    let source = Source { path: String::new(), text: text.to_owned(), code: blank(text) };
    let found = source.functions();
    let found: Vec<_> = found.iter().map(|f| (f.name.as_str(), f.line, f.lines)).collect();
    assert_eq!(found, [("one", 2, 3), ("two", 5, 1)]);
}

#[test]
fn words_of_a_name() {
    assert_eq!(camel_words("HostManager").collect::<Vec<_>>(), ["Host", "Manager"]);
    assert_eq!(type_name("pub(crate) struct Utility<T> {"), Some("Utility"));
    assert!(has_word("  todo!()", "todo!") && !has_word("is_todo!()", "todo!"));
}
