//! Reading values out of the tree while collecting every mistake on the way.
//!
//! Nothing here stops at a mistake: a reader notes it in the [`Report`] and answers `None`, and the
//! caller goes on with whatever else there is to say about the file.

mod fields;
mod maps;
mod scalar;
pub(crate) mod suggest;

pub(crate) use fields::Fields;
pub(crate) use scalar::duration;

use crate::spec::codes::{self, Code};
use crate::spec::problem::{Parsed, Problem, Severity};
use crate::spec::yaml::{self, Mark, Node, Rest, Value};
use crate::spec::{Keys, Kind, text};

/// More than this nobody reads; the rest is counted.
const PROBLEMS_MAX: usize = 1000;

/// Everything found wrong so far.
pub(crate) struct Report {
    pub kind: Kind,
    /// Filled where somebody wants to know which keys there are.
    pub keys: Option<Keys>,
    pub(super) problems: Vec<Problem>,
    unsaid: usize,
    unsaid_error: bool,
    /// Lines that are no YAML, and were read as something harmless.
    broken: Vec<u32>,
}

impl Report {
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            keys: None,
            problems: Vec::new(),
            unsaid: 0,
            unsaid_error: false,
            broken: Vec::new(),
        }
    }

    /// Whether AWS defines this format; then what AWS accepts is accepted.
    pub(crate) fn is_aws(&self) -> bool {
        matches!(self.kind, Kind::Buildspec | Kind::Appspec)
    }

    pub(crate) fn error(
        &mut self,
        at: Mark,
        code: Code,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(Problem::new(Severity::Error, Some(at), code, message, help));
    }

    pub(crate) fn warn(
        &mut self,
        at: Mark,
        code: Code,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(Problem::new(Severity::Warning, Some(at), code, message, help));
    }

    /// An error in our own formats, a warning in those of AWS, which lets it pass.
    pub(crate) fn lenient(
        &mut self,
        at: Mark,
        code: Code,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        if self.is_aws() {
            self.warn(at, code, message, help);
        } else {
            self.error(at, code, message, help);
        }
    }

    /// Whether a problem may come from what stands in for broken lines: it is in one, or about
    /// something that is not there.
    fn is_consequence(&self, problem: &Problem) -> bool {
        const ABSENT: [Code; 22] = [
            codes::MISSING_KEY,
            codes::EMPTY_FILE,
            codes::EMPTY_SECTION,
            codes::EMPTY_COMMAND,
            codes::EMPTY_HOOK,
            codes::EMPTY_PIPELINE,
            codes::LOST_INDENTATION,
            codes::MISPLACED_KEY,
            codes::UNKNOWN_NAME,
            codes::TOO_EARLY,
            codes::NO_INPUT,
            codes::BAD_REFERENCE,
            codes::ACTION_KIND,
            codes::SOURCE_PLACE,
            codes::NO_HOSTS,
            codes::NO_ROUTER,
            codes::CAPACITY,
            codes::CAPACITY_DOUBT,
            codes::IGNORED_KEY,
            codes::UNGUARDED_PUSH,
            codes::RESOURCE,
            codes::OTHER_PLATFORM,
        ];
        !self.broken.is_empty()
            && (ABSENT.iter().any(|code| problem.code == code.0)
                || problem.line.is_some_and(|line| self.broken.contains(&line)))
    }

    /// Whether further problems are only counted.
    pub(crate) fn is_full(&self) -> bool {
        self.problems.len() >= PROBLEMS_MAX
    }

    pub(crate) fn add(&mut self, problem: Problem) {
        if self.is_consequence(&problem) {
            return;
        }
        if self.is_full() {
            self.unsaid += 1;
            self.unsaid_error |= problem.is_error();
        } else {
            self.problems.push(problem);
        }
    }

    /// The items of a list; anything else is an error, nothing at all is no items.
    pub(crate) fn list<'n>(&mut self, node: &'n Node, path: &str) -> &'n [Node] {
        match &node.value {
            Value::List(items) => items,
            _ if node.is_null() => &[],
            Value::Scalar { .. } | Value::Map(_) => {
                let message = format!("`{path}` is {}, a list is wanted", node.what());
                self.error(node.at, codes::WRONG_TYPE, message, "put `- ` before each entry");
                &[]
            }
        }
    }

    /// A list of texts.
    pub(crate) fn texts(&mut self, node: &Node, path: &str) -> Vec<String> {
        let items = self.list(node, path);
        let mut texts = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            texts.extend(self.text(item, &format!("{path}[{index}]")));
        }
        texts
    }
}

/// Reads one file: text checks, YAML, then `decode` on its top mapping.
pub(crate) fn read<T>(
    kind: Kind,
    source: &str,
    decode: impl FnOnce(&mut Report, Fields<'_>) -> Option<T>,
) -> Parsed<T> {
    let mut report = Report::new(kind);
    let value = read_into(&mut report, source, decode);
    if report.unsaid > 0 {
        // An error among them has to be an error, or the file would pass.
        let severity = if report.unsaid_error { Severity::Error } else { Severity::Warning };
        let message = format!("{} more problems are not listed", report.unsaid);
        let help = "mend these first";
        report.problems.push(Problem::new(severity, None, codes::MORE, message, help));
    }
    Parsed::new(value, report.problems)
}

/// As [`read`], into a report of the caller's.
pub(crate) fn read_into<T>(
    report: &mut Report,
    source: &str,
    decode: impl FnOnce(&mut Report, Fields<'_>) -> Option<T>,
) -> Option<T> {
    text::check(report, source);
    let root = top(report, source)?;
    let fields = Fields::open(report, &root, "")?;
    decode(report, fields)
}

fn top(report: &mut Report, source: &str) -> Option<Node> {
    let document = match yaml::load(source) {
        Ok(document) => document,
        Err(problems) => {
            problems.into_iter().for_each(|problem| report.add(problem));
            return None;
        }
    };
    // Nothing is a consequence of itself: the lines count as broken from here on.
    let broken = document.broken.iter().filter_map(|problem| problem.line).collect();
    document.broken.into_iter().for_each(|problem| report.add(problem));
    report.broken = broken;
    match document.rest {
        Some(Rest::Document(at)) => {
            let message = "a second YAML document starts here; it is not read";
            report.lenient(at, codes::EXTRA_DOCUMENT, message, "put it into a file of its own");
        }
        Some(Rest::Text(at)) => {
            let message = "the document ends before this; nothing from here on is read";
            let help = "start all top-level keys in the same column, the first";
            report.lenient(at, codes::EXTRA_DOCUMENT, message, help);
        }
        None => {}
    }
    if document.root.is_none() && report.broken.is_empty() {
        let at = Mark { line: 1, column: 1 };
        let help = format!("write at least the required keys of the {}", report.kind.as_str());
        report.error(at, codes::EMPTY_FILE, "the file says nothing", help);
    }
    document.root
}
