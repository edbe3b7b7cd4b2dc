//! Checks on the characters of a file, before YAML gives them any meaning.

use crate::spec::codes;
use crate::spec::decode::Report;
use crate::spec::yaml::Mark;

/// Characters that look like nothing or like a space, with their names.
fn name(c: char) -> Option<&'static str> {
    Some(match c {
        '\u{a0}' => "no-break space (U+00A0)",
        '\u{ad}' => "soft hyphen (U+00AD)",
        '\u{200b}' => "zero-width space (U+200B)",
        '\u{200c}' => "zero-width non-joiner (U+200C)",
        '\u{2028}' => "line separator (U+2028), which ends a line in YAML",
        '\u{2029}' => "paragraph separator (U+2029), which ends a line in YAML",
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => "a text direction mark",
        '\u{2060}' => "word joiner (U+2060)",
        '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' => "an unusual space",
        '\u{3000}' => "ideographic space (U+3000)",
        '\u{feff}' => "byte order mark (U+FEFF)",
        '\u{85}' => "next line (U+0085), which ends a line in YAML",
        '\u{fffd}' => {
            "replacement character (U+FFFD): here the file was not UTF-8 when it was saved"
        }
        _ => return None,
    })
}

/// Names invisible characters outside comments. Where they break the YAML the parser says so as
/// well; where they do not, they end up in a command or a path, and nobody sees why it fails.
pub(crate) fn check(report: &mut Report, source: &str) {
    if source.len() > crate::spec::yaml::BYTES_MAX {
        return;
    }
    let body = source.strip_prefix('\u{feff}');
    if body.is_some() {
        let at = Mark { line: 1, column: 1 };
        let message = "the file starts with a byte order mark (U+FEFF)";
        report.warn(at, codes::BYTE_ORDER_MARK, message, "save it as UTF-8 without BOM");
    }
    for (line, content) in (1u32..).zip(body.unwrap_or(source).lines()) {
        if content.is_ascii() || content.trim_start().starts_with('#') {
            continue;
        }
        let found = content.chars().enumerate().find_map(|(at, c)| Some((at, name(c)?)));
        if let Some((column, name)) = found {
            let column = u32::try_from(column).unwrap_or(u32::MAX).saturating_add(1);
            let message = format!("the line holds a character nobody typed on purpose: {name}");
            let help = "delete it, and type what was meant or an ordinary space";
            report.warn(Mark { line, column }, codes::INVISIBLE, message, help);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Kind;
    use crate::spec::problem::Parsed;

    #[test]
    fn invisible_characters_are_named_where_they_stand() {
        let mut report = Report::new(Kind::Buildspec);
        check(&mut report, "\u{feff}version: 0.2\n# \u{a0}\nname: a\u{200b}b\n");
        let problems = Parsed::new(Some(()), report.problems).problems;
        let places: Vec<_> = problems.iter().map(|p| (p.code.as_ref(), p.line, p.column)).collect();
        assert_eq!(
            places,
            [("byte-order-mark", Some(1), Some(1)), ("invisible-character", Some(3), Some(8))]
        );
        assert!(problems[1].message.contains("U+200B"));
    }
}
