//! Just enough shell to look at commands: which words are commands, and what follows what. Quoted
//! text, comments and here-documents are left out, so that nobody is warned about an `echo`.

/// A command as the shell would take it apart, two ways.
pub(super) struct Script {
    raw: Vec<char>,
    /// Without quoted text; what stands in `$(…)` and `${…}` is there, in double quotes too.
    pub bare: Vec<char>,
    /// As `bare`, without `$(…)`, `${…}` and backquotes: what separates statements.
    outer: Vec<char>,
}

/// What stands between two separators.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Statement {
    /// Its words as written, `&&`, `||` and `|` among them.
    pub words: Vec<String>,
    /// Another statement of the same list runs after it, whatever its status.
    pub goes_on: bool,
}

/// Stands for a character that means nothing to the shell.
const HIDDEN: char = '\u{1}';

impl Script {
    pub(super) fn new(text: &str) -> Self {
        let raw: Vec<char> = text.chars().collect();
        let (bare, outer) = Masker::new(&raw).run();
        Self { raw, bare, outer }
    }

    /// Its statements, in order, those within `if`, loops and groups too.
    pub(super) fn statements(&self) -> Vec<Statement> {
        let mut statements: Vec<Statement> = Vec::new();
        let mut words: Vec<String> = Vec::new();
        let mut close = |words: &mut Vec<String>, closes: bool| {
            if !words.is_empty() {
                // The words that go on after a body end a list, or were its condition.
                let inner = ["then", "do", "else", "elif", "fi", "done", "esac", "}"];
                let ends = inner.contains(&words[0].as_str());
                if let Some(last) = statements.last_mut() {
                    last.goes_on = last.goes_on && !ends;
                }
                statements.push(Statement { words: std::mem::take(words), goes_on: true });
            }
            if let Some(last) = statements.last_mut().filter(|_| closes) {
                last.goes_on = false;
            }
        };
        for token in tokens(&self.outer) {
            let text: String = self.raw[token.start..token.end].iter().collect();
            match (token.operator, text.as_str()) {
                (true, "&&" | "||" | "|") => words.push(text),
                // A newline behind one of these continues the statement.
                (true, "\n") if words.last().is_some_and(|w| ["&&", "||", "|"].contains(&&**w)) => {
                }
                (true, ")" | ";;") => close(&mut words, true),
                (true, _) => close(&mut words, false),
                (false, _) => words.push(text),
            }
        }
        close(&mut words, true);
        statements
    }
}

/// A word or an operator of a masked text.
pub(super) struct Token {
    pub start: usize,
    pub end: usize,
    pub operator: bool,
}

/// Takes a masked text apart at blanks and operators. Redirections are words.
pub(super) fn tokens(text: &[char]) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while at < text.len() {
        let length = operator(text, at);
        if length == 0 && !matches!(text[at], ' ' | '\t' | '\r') {
            at += 1;
            continue;
        }
        if start < at {
            tokens.push(Token { start, end: at, operator: false });
        }
        if length > 0 {
            tokens.push(Token { start: at, end: at + length, operator: true });
        }
        at += length.max(1);
        start = at;
    }
    if start < at {
        tokens.push(Token { start, end: at, operator: false });
    }
    tokens
}

fn operator(text: &[char], at: usize) -> usize {
    let next = text.get(at + 1).copied();
    let before = at.checked_sub(1).map(|at| text[at]);
    match text[at] {
        ';' | '|' if next == Some(text[at]) => 2,
        // `2>&1` and `&>file` are redirections.
        '&' if next == Some('>') || matches!(before, Some('>' | '<')) => 0,
        '&' if next == Some('&') => 2,
        '|' if before == Some('>') => 0,
        '\n' | ';' | '|' | '&' | '(' | ')' => 1,
        _ => 0,
    }
}

struct Masker<'s> {
    raw: &'s [char],
    at: usize,
    bare: Vec<char>,
    outer: Vec<char>,
    /// What is open, innermost last: `"`, `` ` ``, or `)` for `$(`.
    open: Vec<char>,
    /// Here-documents that start after this line.
    documents: Vec<(String, bool)>,
}

impl<'s> Masker<'s> {
    fn new(raw: &'s [char]) -> Self {
        let (bare, outer) = (Vec::with_capacity(raw.len()), Vec::with_capacity(raw.len()));
        Self { raw, at: 0, bare, outer, open: Vec::new(), documents: Vec::new() }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.raw.get(self.at + ahead).copied()
    }

    /// Takes `count` characters, each shown as `shown`, or as itself.
    fn take(&mut self, count: usize, shown: Option<char>) {
        let inside = self.open.iter().any(|c| *c != '"');
        for _ in 0..count.min(self.raw.len() - self.at) {
            let c = shown.unwrap_or(self.raw[self.at]);
            self.bare.push(c);
            self.outer.push(if inside { HIDDEN } else { c });
            self.at += 1;
        }
    }

    fn run(mut self) -> (Vec<char>, Vec<char>) {
        while let Some(c) = self.peek(0) {
            let quoted = self.open.last() == Some(&'"');
            match c {
                '\\' if self.peek(1) == Some('\n') => self.take(2, Some(' ')),
                '\\' => self.take(2, Some(HIDDEN)),
                '\'' if !quoted => self.quote(),
                '$' if self.peek(1) == Some('(') => {
                    self.open.push(')');
                    self.take(2, None);
                }
                '$' if self.peek(1) == Some('{') => self.parameter(),
                '"' | '`' | ')' if self.open.last() == Some(&c) => {
                    self.take(1, if c == '"' { Some(HIDDEN) } else { None });
                    self.open.pop();
                }
                '"' | '`' => {
                    self.take(1, if c == '"' { Some(HIDDEN) } else { None });
                    self.open.push(c);
                }
                _ if quoted => self.take(1, Some(HIDDEN)),
                '(' if !self.open.is_empty() => {
                    self.open.push(')');
                    self.take(1, None);
                }
                '#' if self.starts_word() => {
                    let end = self.raw[self.at..].iter().position(|c| *c == '\n');
                    self.take(end.unwrap_or(usize::MAX), Some(' '));
                }
                '<' if self.peek(1) == Some('<') => self.document(),
                '\n' => {
                    self.take(1, None);
                    self.bodies();
                }
                _ => self.take(1, None),
            }
        }
        (self.bare, self.outer)
    }

    fn starts_word(&self) -> bool {
        let before = self.at.checked_sub(1).map(|at| self.raw[at]);
        before.is_none_or(|c| c.is_whitespace() || ";&|(".contains(c))
    }

    /// A text in single quotes.
    fn quote(&mut self) {
        let end = self.raw[self.at + 1..].iter().position(|c| *c == '\'');
        self.take(end.map_or(usize::MAX, |end| end + 2), Some(HIDDEN));
    }

    /// `${…}`, which `bare` keeps.
    fn parameter(&mut self) {
        let end = self.raw[self.at..].iter().position(|c| matches!(c, '}' | '\n'));
        self.open.push('}');
        self.take(end.map_or(usize::MAX, |end| end + 1), None);
        self.open.pop();
    }

    /// `<<WORD`, `<<-'WORD'`; not `<<<`.
    fn document(&mut self) {
        if self.peek(2) == Some('<') {
            return self.take(3, None);
        }
        let tabs = self.peek(2) == Some('-');
        let from = self.at + 2 + usize::from(tabs);
        let word: String = self.raw[from.min(self.raw.len())..]
            .iter()
            .skip_while(|c| **c == ' ')
            .take_while(|c| !c.is_whitespace() && !";&|<>()".contains(**c))
            .filter(|c| !"'\"\\".contains(**c))
            .collect();
        // `$((1 << 2))` starts no document.
        if word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            self.documents.push((word, tabs));
        }
        self.take(2, None);
    }

    /// Leaves out the bodies of the here-documents of the line that has just ended.
    fn bodies(&mut self) {
        for (word, tabs) in std::mem::take(&mut self.documents) {
            while self.at < self.raw.len() {
                let end = self.raw[self.at..].iter().position(|c| *c == '\n');
                let length = end.unwrap_or(self.raw.len() - self.at);
                let line: String = self.raw[self.at..self.at + length].iter().collect();
                self.take(length + 1, Some(' '));
                if word == if tabs { line.trim_start_matches('\t') } else { line.as_str() } {
                    break;
                }
            }
        }
        // What ends a body also ends the statement before it.
        if let (Some(bare), Some(outer)) = (self.bare.last_mut(), self.outer.last_mut())
            && *outer == ' '
        {
            (*bare, *outer) = ('\n', '\n');
        }
    }
}
