//! Keeps secrets out of logs: every byte that leaves the agent goes through a [`Masker`].
//!
//! A secret is found in plain text and in the encodings people meet by accident (base64 at any
//! alignment, hexadecimal, percent-encoding, JSON and shell quoting), across the borders of chunks,
//! and is replaced by `***NAME***`. What comes out depends on the bytes alone, never on how they
//! were cut into chunks: a log that is read again gives the same log. Masking is a safety net, not
//! a wall: whoever reverses or encrypts a secret gets it through.

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use std::collections::BTreeMap;

/// Shorter values would blank every second word; they are reported instead.
pub const SECRET_LEN_MIN: usize = 4;

/// What is to be kept out of a log.
pub struct Masks {
    /// Sorted, so that a prefix is found by bisection.
    patterns: Vec<Vec<u8>>,
    replacements: Vec<Vec<u8>>,
    longest: usize,
    automaton: Option<AhoCorasick>,
    too_short: Vec<String>,
}

impl Masks {
    /// `secrets` are names with values. Of two secrets with one value the first gives the name.
    #[must_use]
    pub fn new<'a>(secrets: impl IntoIterator<Item = (&'a str, &'a str)>) -> Masks {
        let mut forms: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        let mut too_short = Vec::new();
        for (name, value) in secrets {
            if value.trim().len() < SECRET_LEN_MIN {
                too_short.push(name.to_owned());
                continue;
            }
            for form in forms_of(value) {
                forms.entry(form).or_insert_with(|| format!("***{name}***").into_bytes());
            }
        }
        let (patterns, replacements): (Vec<_>, Vec<_>) = forms.into_iter().unzip();
        let automaton = (!patterns.is_empty()).then(|| {
            AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostLongest)
                .build(&patterns)
                .expect("secrets are far smaller than the automaton's limit")
        });
        let longest = patterns.iter().map(Vec::len).max().unwrap_or(0);
        Masks { patterns, replacements, longest, automaton, too_short }
    }

    /// Secrets that are not masked because they are too short to tell from ordinary text.
    #[must_use]
    pub fn too_short(&self) -> &[String] {
        &self.too_short
    }

    /// Masks a text that is whole, like a message.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        let mut out = Vec::new();
        self.settle(text.as_bytes(), true, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// Writes what can be said for sure about `bytes` and returns how many of them that was. The
    /// rest may be the beginning of a secret; `last` says that nothing follows.
    fn settle(&self, bytes: &[u8], last: bool, out: &mut Vec<u8>) -> usize {
        let Some(automaton) = &self.automaton else {
            out.extend_from_slice(bytes);
            return bytes.len();
        };
        let mut at = 0;
        loop {
            let open = if last { bytes.len() } else { self.open_from(bytes, at) };
            let found =
                automaton.find(&bytes[at..]).map(|m| (m.pattern(), m.start() + at, m.end() + at));
            match found {
                Some((pattern, start, end)) if start < open => {
                    out.extend_from_slice(&bytes[at..start]);
                    out.extend_from_slice(&self.replacements[pattern.as_usize()]);
                    at = end;
                }
                _ => {
                    out.extend_from_slice(&bytes[at..open]);
                    return open;
                }
            }
        }
    }

    /// The first position from `from` on where the rest of `bytes` begins some longer secret.
    fn open_from(&self, bytes: &[u8], from: usize) -> usize {
        let first = from.max((bytes.len() + 1).saturating_sub(self.longest));
        (first..bytes.len()).find(|&at| self.begins_secret(&bytes[at..])).unwrap_or(bytes.len())
    }

    fn begins_secret(&self, tail: &[u8]) -> bool {
        // The patterns that begin with `tail` follow it in the order; `tail` itself may come first.
        let next = self.patterns.partition_point(|p| p.as_slice() <= tail);
        self.patterns.get(next).is_some_and(|p| p.starts_with(tail))
    }
}

/// Masks a stream. Bytes that may begin a secret are held back until it is known.
pub struct Masker<'m> {
    masks: &'m Masks,
    held: Vec<u8>,
}

impl<'m> Masker<'m> {
    #[must_use]
    pub fn new(masks: &'m Masks) -> Masker<'m> {
        Masker { masks, held: Vec::new() }
    }

    /// Takes a chunk and appends to `out` what is settled.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        if self.held.is_empty() {
            let settled = self.masks.settle(chunk, false, out);
            self.held.extend_from_slice(&chunk[settled..]);
        } else {
            self.held.extend_from_slice(chunk);
            let settled = self.masks.settle(&self.held, false, out);
            self.held.drain(..settled);
        }
    }

    /// The stream ends, or somebody else speaks now: nothing is held back any longer.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        self.masks.settle(&self.held, true, out);
        self.held.clear();
    }
}

/// Everything a secret may look like in a log. Lines of a longer secret count by themselves, because
/// logs are indented, prefixed and wrapped.
fn forms_of(value: &str) -> Vec<Vec<u8>> {
    let mut forms = encodings(value);
    if value.contains('\n') {
        // The armour of a PEM file is no secret, and is in the logs of every TLS program.
        let lines = value.lines().map(str::trim).filter(|line| !line.starts_with("-----"));
        forms.extend(lines.flat_map(encodings));
    }
    let trimmed = value.trim();
    if trimmed.len() != value.len() {
        forms.extend(encodings(trimmed));
    }
    forms.retain(|form| form.len() >= SECRET_LEN_MIN);
    forms
}

fn encodings(text: &str) -> Vec<Vec<u8>> {
    if text.len() < SECRET_LEN_MIN {
        return Vec::new();
    }
    let mut forms = vec![text.as_bytes().to_vec()];
    forms.extend(base64_forms(text.as_bytes()));
    let hex = hex::encode(text);
    let json = serde_json::to_string(text).expect("a string has a JSON form");
    let quoted_json = json[1..json.len() - 1].to_owned();
    let shell = text.replace('\'', r"'\''");
    let shell_in_double = text.replace('\'', "'\"'\"'");
    let percent = percent_encoded(text);
    let other = [
        hex.to_ascii_uppercase(),
        hex,
        quoted_json.replace('/', "\\/"),
        quoted_json,
        shell,
        shell_in_double,
        percent.replace("%20", "+"),
        lower_case_escapes(&percent),
        percent,
    ];
    forms.extend(other.map(String::into_bytes));
    forms
}

/// The characters of the base64 text that the secret alone decides, wherever it starts in the
/// encoded bytes, in both alphabets; and the lines that wrapping encoders make of it.
fn base64_forms(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = Vec::new();
    for offset in 0..3 {
        let padded = [&[0u8; 2][..offset], bytes].concat();
        let text = STANDARD_NO_PAD.encode(&padded);
        let first = (offset * 8).div_ceil(6);
        let last = padded.len() * 8 / 6;
        forms.push(text.as_bytes()[first..last].to_vec());
        if offset == 0 {
            for width in [64, 76] {
                forms.extend(text.as_bytes()[..last].chunks(width).map(<[u8]>::to_vec));
            }
        }
    }
    let url_safe = |form: &Vec<u8>| {
        let swap = |b: &u8| match b {
            b'+' => b'-',
            b'/' => b'_',
            other => *other,
        };
        form.iter().map(swap).collect::<Vec<u8>>()
    };
    let other: Vec<_> = forms.iter().map(url_safe).collect();
    forms.extend(other);
    forms
}

fn percent_encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// `%2F` as `%2f`; the text between stays as it is.
fn lower_case_escapes(percent: &str) -> String {
    let mut out = String::with_capacity(percent.len());
    let mut escape = 0;
    for c in percent.chars() {
        out.push(if escape > 0 { c.to_ascii_lowercase() } else { c });
        escape = if c == '%' { 2 } else { escape.max(1) - 1 };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};

    fn masked(masks: &Masks, chunks: &[&[u8]]) -> Vec<u8> {
        let mut masker = Masker::new(masks);
        let mut out = Vec::new();
        for chunk in chunks {
            masker.push(chunk, &mut out);
        }
        masker.flush(&mut out);
        out
    }

    fn shown(masks: &Masks, text: &str) -> String {
        String::from_utf8(masked(masks, &[text.as_bytes()])).unwrap()
    }

    #[test]
    fn a_secret_is_replaced_by_its_name_in_every_common_encoding() {
        let value = "s3cr3t/+p w\"d'é~";
        let masks = Masks::new([("TOKEN", value)]);
        let with = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
        let url_safe = base64::engine::general_purpose::URL_SAFE.encode(value);
        let hidden = [
            value.to_owned(),
            with(value.as_bytes()),
            url_safe,
            hex::encode(value),
            hex::encode_upper(value),
            percent_encoded(value),
            lower_case_escapes(&percent_encoded(value)),
            percent_encoded(value).replace("%20", "+"),
            serde_json::to_string(value).unwrap(),
            value.replace('\'', r"'\''"),
        ];
        for text in hidden {
            let out = shown(&masks, &format!("<{text}>"));
            assert!(out.contains("***TOKEN***"), "{text} came out as {out}");
            assert!(!out.contains(&text[2..10]), "{text} came out as {out}");
        }
        for prefix in ["", "a", "ab", "user:"] {
            let out = shown(&masks, &with(format!("{prefix}{value}\n").as_bytes()));
            assert!(out.contains("***TOKEN***"), "behind {prefix:?}: {out}");
        }
    }

    #[test]
    fn every_line_of_a_longer_secret_is_masked_but_not_its_armour() {
        let pem = "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEF\n-----END KEY-----\n";
        let masks = Masks::new([("KEY", pem)]);
        assert_eq!(shown(&masks, "  MIIEvQIBADANBgkq\r\n"), "  ***KEY***\r\n");
        assert_eq!(shown(&masks, "-----BEGIN KEY-----"), "-----BEGIN KEY-----");
        assert_eq!(shown(&masks, &format!("{pem}.")), "***KEY***.");
        let wrapped = base64::engine::general_purpose::STANDARD.encode("x1y2z3".repeat(30));
        let masks = Masks::new([("BIG", "x1y2z3".repeat(30).as_str())]);
        let lines: Vec<&str> = vec![&wrapped[..76], &wrapped[76..152], &wrapped[152..]];
        let out = shown(&masks, &lines.join("\n"));
        assert_eq!(out.replace("***BIG***", ""), "\n\n");
    }

    #[test]
    fn short_secrets_are_named_and_not_masked() {
        let masks = Masks::new([("PIN", "123"), ("PASS", "prod")]);
        assert_eq!(masks.too_short(), ["PIN"]);
        assert_eq!(shown(&masks, "123 prod"), "123 ***PASS***");
    }

    #[test]
    fn overlapping_secrets_hide_the_longest_that_starts_first() {
        let masks = Masks::new([("SHORT", "cdef"), ("LONG", "abcdefgh"), ("TAIL", "ghij")]);
        assert_eq!(shown(&masks, "abcdefghij"), "***LONG***ij");
        assert_eq!(shown(&masks, "abcdefg"), "ab***SHORT***g");
        assert_eq!(masks.text("xghij"), "x***TAIL***");
    }

    #[test]
    fn nothing_is_held_back_but_the_beginning_of_a_secret() {
        let masks = Masks::new([("PASS", "hunter2-long-secret")]);
        let mut masker = Masker::new(&masks);
        let mut out = Vec::new();
        masker.push(b"a prompt: hunt", &mut out);
        assert_eq!(out, b"a prompt: ");
        masker.push(b"ing\n", &mut out);
        assert_eq!(out, b"a prompt: hunting\n");
    }

    /// Small alphabet, small chunks: every way a border can fall, against the whole text at once.
    #[test]
    fn chunk_borders_never_change_what_comes_out() {
        let mut random = rand::rngs::StdRng::seed_from_u64(7);
        for round in 0..3000 {
            let word = |random: &mut rand::rngs::StdRng, len: usize| -> String {
                (0..len).map(|_| char::from(random.random_range(b'a'..=b'c'))).collect()
            };
            let secrets: Vec<(String, String)> = (0..random.random_range(1..4))
                .map(|n| {
                    let len = random.random_range(4..9);
                    (format!("N{n}"), word(&mut random, len))
                })
                .collect();
            let masks = Masks::new(secrets.iter().map(|(n, v)| (n.as_str(), v.as_str())));
            let text = word(&mut random, 60);
            let whole = masked(&masks, &[text.as_bytes()]);
            let mut rest = text.as_bytes();
            let mut chunks = Vec::new();
            while !rest.is_empty() {
                let (chunk, after) = rest.split_at(random.random_range(1..=rest.len().min(7)));
                chunks.push(chunk);
                rest = after;
            }
            assert_eq!(masked(&masks, &chunks), whole, "round {round}: {secrets:?} in {text}");
            let out = String::from_utf8(whole).unwrap();
            for (_, value) in &secrets {
                assert!(!out.contains(value.as_str()), "round {round}: {value} in {out}");
            }
        }
    }

    #[test]
    fn bytes_that_are_no_text_pass_unchanged() {
        let masks = Masks::new([("PASS", "hunter2")]);
        let bytes: Vec<u8> = (0..=255).cycle().take(5000).collect();
        assert_eq!(masked(&masks, &[&bytes]), bytes);
        assert_eq!(masked(&Masks::new([]), &[&bytes]), bytes);
    }
}
