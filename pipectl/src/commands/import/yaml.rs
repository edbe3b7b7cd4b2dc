//! A file that is written once, with comments where a person has to decide.

use crate::output::clean;

/// A value of the file.
pub enum Yaml {
    Text(String),
    /// A number, a length of time or a word that needs no quotes.
    Plain(String),
    /// One line: `[a, b]`.
    Words(Vec<String>),
    Map(Map),
    List(Vec<Map>),
    Nothing,
}

/// Keys in the order in which they are written.
#[derive(Default)]
pub struct Map {
    /// Above the first key.
    comments: Vec<String>,
    entries: Vec<(Vec<String>, String, Yaml)>,
}

impl Map {
    pub fn set(&mut self, key: &str, value: Yaml) -> &mut Self {
        self.entries.push((Vec::new(), key.to_owned(), value));
        self
    }

    pub fn text(&mut self, key: &str, value: &str) -> &mut Self {
        self.set(key, Yaml::Text(value.to_owned()))
    }

    /// Says something above the key that was set last, or above the mapping.
    pub fn remark(&mut self, text: impl Into<String>) -> &mut Self {
        match self.entries.last_mut() {
            Some((comments, ..)) => comments.push(text.into()),
            None => self.comments.push(text.into()),
        }
        self
    }

    /// Says something above the whole mapping.
    pub fn head(&mut self, text: impl Into<String>) -> &mut Self {
        self.comments.push(text.into());
        self
    }

    pub fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(_, name, _)| name == key)
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The text of the file.
    pub fn write(&self) -> String {
        let mut out = String::new();
        self.write_into(&mut out, 0, false);
        out
    }

    fn write_into(&self, out: &mut String, indent: usize, inline: bool) {
        let margin = " ".repeat(indent);
        for (index, (comments, key, value)) in self.entries.iter().enumerate() {
            // The first key of a list entry stands behind its dash.
            let behind = inline && index == 0;
            for comment in comments {
                // Above a dash there is no place left but the end of the entry's own comments.
                if !behind {
                    write_comment(out, &margin, comment);
                }
            }
            if !behind {
                out.push_str(&margin);
            }
            out.push_str(&quoted(key));
            out.push(':');
            value.write_into(out, indent);
        }
    }
}

impl Yaml {
    /// Behind a colon, whose key stands at `indent`.
    fn write_into(&self, out: &mut String, indent: usize) {
        match self {
            Yaml::Text(text) => out.push_str(&format!(" {}\n", quoted(text))),
            Yaml::Plain(text) => out.push_str(&format!(" {text}\n")),
            Yaml::Nothing => out.push('\n'),
            Yaml::Words(words) => {
                let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
                out.push_str(&format!(" [{}]\n", words.join(", ")));
            }
            Yaml::Map(map) if map.is_empty() => out.push_str(" {}\n"),
            Yaml::Map(map) => {
                out.push('\n');
                let margin = " ".repeat(indent + 2);
                map.comments.iter().for_each(|comment| write_comment(out, &margin, comment));
                map.write_into(out, indent + 2, false);
            }
            Yaml::List(items) if items.is_empty() => out.push_str(" []\n"),
            Yaml::List(items) => {
                out.push('\n');
                let margin = " ".repeat(indent + 2);
                for item in items {
                    item.comments.iter().for_each(|comment| write_comment(out, &margin, comment));
                    if let Some((comments, ..)) = item.entries.first() {
                        comments.iter().for_each(|comment| write_comment(out, &margin, comment));
                    }
                    out.push_str(&format!("{margin}- "));
                    item.write_into(out, indent + 4, true);
                }
            }
        }
    }
}

const WIDTH: usize = 100;

fn write_comment(out: &mut String, margin: &str, text: &str) {
    for line in wrapped(&clean(text), WIDTH.saturating_sub(margin.len() + 2)) {
        out.push_str(&format!("{margin}# {line}\n"));
    }
}

/// Lines of at most `width` characters, where words allow it.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A text as YAML has it, fit for `[a, b]` too.
fn quoted(text: &str) -> String {
    let plain = serde_yaml::to_string(text).unwrap_or_default();
    if plain.trim_end() == text && !text.contains([',', '[', ']', '{', '}', '#', '\n']) {
        return text.to_owned();
    }
    if text.contains(|c: char| c.is_control()) {
        // JSON's escapes are YAML's.
        return serde_json::to_string(text).unwrap_or_default();
    }
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_written_reads_as_itself() {
        let texts =
            ["main", "a: b", "- x", "3.10", "true", "#{a.b}", "it's", "a\nb", "", "[x]", "é"];
        for text in texts {
            let mut map = Map::default();
            map.text(text, text).set("words", Yaml::Words(vec![text.to_owned(), "x".to_owned()]));
            let written = map.write();
            let read: serde_json::Value = serde_yaml::from_str(&written).unwrap();
            assert_eq!(read[text], text, "{written}");
            assert_eq!(read["words"][0], text, "{written}");
        }
    }

    #[test]
    fn comments_stand_above_what_they_are_about() {
        let mut item = Map::default();
        item.head("decide").text("name", "a").text("image", "b").remark("which?\x1b[2J");
        let mut map = Map::default();
        map.set("list", Yaml::List(vec![item]));
        assert_eq!(map.write(), "list:\n  # decide\n  - name: a\n    # which? [2J\n    image: b\n");
    }
}
