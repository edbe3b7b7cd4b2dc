//! Files as bytes: those that are no UTF-8 are told so, with the place, before anything else.

use crate::spec::codes;
use crate::spec::problem::{Problem, Severity};
use crate::spec::yaml::Mark;
use crate::spec::{Kind, lint};

/// The text of a file, and what is wrong with its encoding. Bytes that are no text become U+FFFD, so that
/// everything else can be said as well.
#[must_use]
pub fn text_of(bytes: &[u8]) -> (String, Option<Problem>) {
    let error = match std::str::from_utf8(bytes) {
        Ok(text) => return (text.to_owned(), None),
        Err(error) => error,
    };
    let help = "save the file as UTF-8";
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        let at = Mark { line: 1, column: 1 };
        let message = "the file is UTF-16, not UTF-8";
        let problem = Problem::new(Severity::Error, Some(at), codes::BAD_ENCODING, message, help);
        return (String::new(), Some(problem));
    }
    let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
    let before = before.strip_prefix('\u{feff}').unwrap_or(&before);
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).saturating_add(1);
    let line = number(before.matches('\n').count());
    let column = number(before.rsplit('\n').next().unwrap_or("").chars().count());
    let byte = bytes[error.valid_up_to()];
    let message = format!("the byte 0x{byte:02X} is not UTF-8");
    let at = Mark { line, column };
    let problem = Problem::new(Severity::Error, Some(at), codes::BAD_ENCODING, message, help);
    (String::from_utf8_lossy(bytes).into_owned(), Some(problem))
}

/// Every problem of one file, its encoding included.
#[must_use]
pub fn lint_bytes(kind: Kind, bytes: &[u8]) -> Vec<Problem> {
    let (text, encoding) = text_of(bytes);
    match encoding {
        None => lint(kind, &text),
        Some(problem) if text.is_empty() => vec![problem],
        Some(problem) => {
            let mut problems = lint(kind, &text);
            let place = |problem: &Problem| (problem.line, problem.column);
            let at = problems.iter().position(|other| place(other) > place(&problem));
            problems.insert(at.unwrap_or(problems.len()), problem);
            problems
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_are_named_where_they_stand() {
        let found = lint_bytes(Kind::Appspec, b"version: 0.0\nos: linux # caf\xe9\n");
        let errors: Vec<String> =
            found.iter().filter(|problem| problem.is_error()).map(ToString::to_string).collect();
        assert_eq!(
            errors,
            ["2:16: error[bad-encoding]: the byte 0xE9 is not UTF-8 — save the file as UTF-8"]
        );
        let found = lint_bytes(Kind::Appspec, b"\xef\xbb\xbf\xe9version: 0.0\nos: Linux\n");
        let codes: Vec<&str> = found.iter().map(|problem| problem.code.as_ref()).collect();
        assert!(codes.contains(&"bad-encoding") && codes.contains(&"bad-value"), "{found:?}");
        let utf16: Vec<u8> =
            "\u{feff}os: linux".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let found = lint_bytes(Kind::Appspec, &utf16);
        assert!(found.len() == 1 && found[0].message.contains("UTF-16"));
    }
}
