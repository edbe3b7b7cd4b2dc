//! Log bytes as HTML. Of everything a terminal understands, colours and bold survive, as classes; the
//! rest (cursor movement, links, titles, overwriting by carriage return, text direction) is dropped,
//! so that what the page shows is what was written.

use std::fmt::Write as _;

/// Carries colours from one piece to the next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ansi {
    colour: Option<u8>,
    background: Option<u8>,
    bold: bool,
    faint: bool,
    italic: bool,
    underlined: bool,
}

impl Ansi {
    /// Renders whole lines, each ending in a line feed, or the last piece of a log.
    pub fn render(&mut self, bytes: &[u8]) -> String {
        let text = String::from_utf8_lossy(bytes);
        let mut html = String::with_capacity(text.len() + text.len() / 8);
        self.open(&mut html);
        let mut rest = text.as_ref();
        while let Some(c) = rest.chars().next() {
            let after = &rest[c.len_utf8()..];
            match c {
                '\x1b' => {
                    rest = self.escape(after, &mut html);
                    continue;
                }
                '\n' => self.new_line(&mut html),
                // Overwriting a line would hide what was there.
                '\r' if after.starts_with('\n') || after.starts_with("\r\n") => {}
                '\r' => self.new_line(&mut html),
                '\t' => html.push('\t'),
                '&' => html.push_str("&amp;"),
                '<' => html.push_str("&lt;"),
                '>' => html.push_str("&gt;"),
                '"' => html.push_str("&quot;"),
                '\'' => html.push_str("&#39;"),
                c if c.is_control() || changes_direction(c) => {}
                c => html.push(c),
            }
            rest = after;
        }
        self.close(&mut html);
        html
    }

    /// A span never reaches over the end of a line, so that lines can be cut apart.
    fn new_line(&self, html: &mut String) {
        self.close(html);
        html.push('\n');
        self.open(html);
    }

    /// Takes an escape sequence off the text and returns what follows it.
    fn escape<'t>(&mut self, text: &'t str, html: &mut String) -> &'t str {
        let Some(kind) = text.chars().next() else { return text };
        let rest = &text[kind.len_utf8()..];
        match kind {
            '[' => {
                let is_final = |c: char| ('\x40'..='\x7e').contains(&c);
                let end = rest.find(|c| is_final(c) || c == '\n' || c == '\x1b');
                let Some(end) = end else { return "" };
                if !rest[end..].starts_with(is_final) {
                    return &rest[end..];
                }
                if rest[end..].starts_with('m') {
                    self.close(html);
                    self.apply(&rest[..end]);
                    self.open(html);
                }
                &rest[end + 1..]
            }
            // Strings to the terminal (titles, links) end with BEL or ESC \; never beyond the line.
            ']' | 'P' | 'X' | '^' | '_' => {
                let end = rest.find(['\x07', '\x1b', '\n']).unwrap_or(rest.len());
                let after = &rest[end..];
                after.strip_prefix('\x07').or_else(|| after.strip_prefix("\x1b\\")).unwrap_or(after)
            }
            '\n' | '\r' | '\x1b' => text,
            _ => rest,
        }
    }

    fn apply(&mut self, codes: &str) {
        let mut codes = codes.split([';', ':']).map(|code| code.parse::<u16>().unwrap_or(0));
        while let Some(code) = codes.next() {
            match code {
                0 => *self = Ansi::default(),
                1 => self.bold = true,
                2 => self.faint = true,
                3 => self.italic = true,
                4 => self.underlined = true,
                22 => (self.bold, self.faint) = (false, false),
                23 => self.italic = false,
                24 => self.underlined = false,
                30..=37 => self.colour = u8::try_from(code - 30).ok(),
                38 => self.colour = extended(&mut codes),
                39 => self.colour = None,
                40..=47 => self.background = u8::try_from(code - 40).ok(),
                48 => self.background = extended(&mut codes),
                49 => self.background = None,
                90..=97 => self.colour = u8::try_from(code - 90 + 8).ok(),
                100..=107 => self.background = u8::try_from(code - 100 + 8).ok(),
                _ => {}
            }
        }
    }

    fn open(&self, html: &mut String) {
        if *self == Ansi::default() {
            return;
        }
        html.push_str("<span class=\"");
        let mut space = "";
        let mut add = |class: std::fmt::Arguments<'_>| {
            // Writing to a string cannot fail.
            let _ = write!(html, "{space}{class}");
            space = " ";
        };
        if let Some(colour) = self.colour {
            add(format_args!("fg{colour}"));
        }
        if let Some(background) = self.background {
            add(format_args!("bg{background}"));
        }
        for (is_set, class) in
            [(self.bold, "b"), (self.faint, "f"), (self.italic, "i"), (self.underlined, "u")]
        {
            if is_set {
                add(format_args!("{class}"));
            }
        }
        html.push_str("\">");
    }

    fn close(&self, html: &mut String) {
        if *self != Ansi::default() {
            html.push_str("</span>");
        }
    }
}

/// `38;5;N` keeps the sixteen named colours; finer shades are left out, their numbers are skipped.
fn extended(codes: &mut impl Iterator<Item = u16>) -> Option<u8> {
    match codes.next() {
        Some(5) => codes.next().and_then(|code| u8::try_from(code).ok()).filter(|code| *code < 16),
        Some(2) => {
            codes.by_ref().take(3).for_each(drop);
            None
        }
        _ => None,
    }
}

/// Characters that make text read in another order than it was written.
fn changes_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(text: &str) -> String {
        Ansi::default().render(text.as_bytes())
    }

    #[test]
    fn colours_become_classes_and_lines_stand_alone() {
        assert_eq!(
            html("\x1b[1;31mbad\nworse\x1b[0m ok"),
            "<span class=\"fg1 b\">bad</span>\n<span class=\"fg1 b\">worse</span> ok"
        );
        assert_eq!(html("\x1b[38;5;9mx\x1b[39my"), "<span class=\"fg9\">x</span>y");
        assert_eq!(html("\x1b[38;2;1;2;3mx"), "x");
    }

    #[test]
    fn colours_carry_over_to_the_next_piece() {
        let mut ansi = Ansi::default();
        assert_eq!(
            ansi.render(b"\x1b[32ma\n"),
            "<span class=\"fg2\">a</span>\n<span class=\"fg2\"></span>"
        );
        assert_eq!(
            ansi.render(b"b\n\x1b[mc"),
            "<span class=\"fg2\">b</span>\n<span class=\"fg2\"></span>c"
        );
    }

    #[test]
    fn nothing_but_colour_reaches_the_page() {
        assert_eq!(
            html("<script>alert('x')</script>"),
            "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"
        );
        assert_eq!(html("\x1b]8;;https://evil\x07link\x1b]8;;\x07"), "link");
        assert_eq!(html("\x1b]0;title\x1b\\text"), "text");
        assert_eq!(html("\x1b[2J\x1b[1;1Hclean"), "clean");
        assert_eq!(html("real\rfake"), "real\nfake");
        assert_eq!(html("dos\r\nline"), "dos\nline");
        assert_eq!(html("a\u{202e}b\u{0}c\u{8}d"), "abcd");
        assert_eq!(html("\x1b[31"), "");
        assert_eq!(html("\x1b]unending\nnext"), "\nnext");
        assert_eq!(html("\x1b[31\nnext"), "\nnext");
        assert_eq!(Ansi::default().render(b"\xff\xfe"), "\u{fffd}\u{fffd}");
    }
}
