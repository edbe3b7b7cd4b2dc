//! Text from elsewhere, made safe for a terminal: it may not move the cursor, rewrite what stands
//! there, set the title, hide links or turn the reading direction.

/// One line: control characters become spaces.
pub fn clean(text: &str) -> String {
    let plain = text.chars().filter(|c| !changes_direction(*c));
    plain.map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Log text: line ends and tabs stay, and colours when `colours`; all else is dropped.
pub fn clean_log(text: &str, colours: bool) -> String {
    let mut cleaned = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\x1b' => {
                let (kept, after) = escape(rest);
                if colours && let Some(codes) = kept {
                    cleaned.push_str("\x1b[");
                    cleaned.push_str(codes);
                    cleaned.push('m');
                }
                rest = after;
            }
            '\n' | '\t' => cleaned.push(c),
            // Overwriting a line would hide what was there.
            '\r' if !rest.starts_with('\n') => cleaned.push('\n'),
            c if c.is_control() || changes_direction(c) => {}
            c => cleaned.push(c),
        }
    }
    cleaned
}

/// What follows an ESC: the codes when it sets colours, and the text after the sequence.
fn escape(text: &str) -> (Option<&str>, &str) {
    let Some(body) = text.strip_prefix('[') else {
        if let Some(string) = text.strip_prefix([']', 'P', 'X', '^', '_']) {
            let end = string.find(['\x07', '\x1b', '\n']).unwrap_or(string.len());
            let after = &string[end..];
            return (None, after.strip_prefix('\x07').unwrap_or(after));
        }
        let skip = text.chars().next().filter(|c| !c.is_control()).map_or(0, char::len_utf8);
        return (None, &text[skip..]);
    };
    let is_code = |c: char| c.is_ascii_digit() || matches!(c, ';' | ':');
    let end = body.find(|c: char| !is_code(c)).unwrap_or(body.len());
    if body[end..].starts_with('m') {
        return (Some(&body[..end]), &body[end + 1..]);
    }
    let is_final = |c: char| ('\x40'..='\x7e').contains(&c);
    match body.find(|c: char| is_final(c) || c.is_control()) {
        Some(at) if body[at..].starts_with(is_final) => (None, &body[at + 1..]),
        Some(at) => (None, &body[at..]),
        None => (None, ""),
    }
}

fn changes_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_drive_the_terminal() {
        assert_eq!(clean("a\x1b[2Jb\nc\u{202e}d"), "a [2Jb cd");
        assert_eq!(clean_log("\x1b[31mred\x1b[0m\n", true), "\x1b[31mred\x1b[0m\n");
        assert_eq!(clean_log("\x1b[31mred\x1b[0m\n", false), "red\n");
        assert_eq!(clean_log("\x1b]0;title\x07x\x1b[2J\x1b[1;1Hy", true), "xy");
        assert_eq!(clean_log("real\rfake\r\nnext", true), "real\nfake\nnext");
        assert_eq!(clean_log("\x1b]8;;http://e\x1b\\link", true), "link");
        assert_eq!(clean_log("a\x1b[3", true), "a");
        assert_eq!(clean_log("\x1bcreset \x08\x00", true), "reset ");
    }
}
