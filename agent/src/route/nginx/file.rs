//! The file with an upstream's servers: one `server` per line, its name as a comment behind it.

use pipelines::ids::is_name;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// nginx refuses an upstream without any server.
const NOBODY: &str = "server 127.0.0.1:9 down; # nobody-is-left";
const NOBODY_NAME: &str = "nobody-is-left";
const DEFAULT_PORT: u16 = 80;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServersFile {
    lines: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Line {
    /// A comment or nothing; kept.
    Text(String),
    Server(Entry),
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The comment's first word; without one, the address.
    pub name: String,
    pub address: String,
    pub weight: u16,
    pub down: bool,
    /// Parameters that are none of our business, as they were written.
    others: Vec<String>,
}

impl Entry {
    pub fn socket_address(&self) -> Option<SocketAddr> {
        let with_default = || {
            let ip: IpAddr = self.address.parse().ok()?;
            Some(SocketAddr::new(ip, DEFAULT_PORT))
        };
        self.address.parse().ok().or_else(with_default)
    }

    fn parse(line: &str) -> Result<Entry, String> {
        let (statement, comment) = line.split_once('#').unwrap_or((line, ""));
        let usage = "write one `server ADDRESS:PORT; # NAME` per line, and nothing else";
        let statement = statement.trim();
        let Some(body) = statement.strip_suffix(';').filter(|body| !body.contains([';', '{', '}']))
        else {
            return Err(format!("`{statement}` is not one statement: {usage}"));
        };
        let mut words = body.split_whitespace();
        let (Some("server"), Some(address)) = (words.next(), words.next()) else {
            return Err(format!("`{statement}` is not a server: {usage}"));
        };
        let (mut weight, mut down, mut others) = (1, false, Vec::new());
        for word in words {
            match word.strip_prefix("weight=") {
                Some(text) => {
                    weight =
                        text.parse().map_err(|_| format!("`{word}` is no weight: use 1 to 256"))?;
                }
                None if word == "down" => down = true,
                None => others.push(word.to_owned()),
            }
        }
        let name = comment.split_whitespace().next().filter(|name| is_name(name));
        let name = name.unwrap_or(address).to_owned();
        Ok(Entry { name, address: address.to_owned(), weight, down, others })
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "server {} weight={}", self.address, self.weight)?;
        for word in &self.others {
            write!(f, " {word}")?;
        }
        write!(f, "{};", if self.down { " down" } else { "" })
    }
}

impl ServersFile {
    /// # Errors
    /// With the line's number and what is wrong with it.
    pub fn parse(text: &str) -> Result<ServersFile, (usize, String)> {
        let mut file = ServersFile { lines: Vec::new() };
        for (index, line) in text.lines().enumerate() {
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with('#') {
                file.lines.push(Line::Text(line.to_owned()));
                continue;
            }
            let entry = Entry::parse(trimmed).map_err(|what| (index + 1, what))?;
            if file.server(&entry.name).is_some() {
                return Err((index + 1, format!("'{}' is there twice: remove one", entry.name)));
            }
            if entry.name != NOBODY_NAME {
                file.lines.push(Line::Server(entry));
            }
        }
        Ok(file)
    }

    pub fn servers(&self) -> impl Iterator<Item = &Entry> {
        self.lines.iter().filter_map(|line| match line {
            Line::Server(entry) => Some(entry),
            Line::Text(_) => None,
        })
    }

    pub fn server(&mut self, name: &str) -> Option<&mut Entry> {
        let mut servers = self.lines.iter_mut().filter_map(|line| match line {
            Line::Server(entry) => Some(entry),
            Line::Text(_) => None,
        });
        servers.find(|entry| entry.name == name)
    }

    /// Without traffic.
    pub fn add(&mut self, name: &str, address: SocketAddr) {
        let (name, address) = (name.to_owned(), address.to_string());
        self.lines.push(Line::Server(Entry {
            name,
            address,
            weight: 1,
            down: true,
            others: Vec::new(),
        }));
    }

    pub fn remove(&mut self, name: &str) {
        self.lines.retain(|line| !matches!(line, Line::Server(entry) if entry.name == name));
    }
}

impl fmt::Display for ServersFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            match line {
                Line::Text(text) => writeln!(f, "{text}")?,
                Line::Server(entry) if entry.name == entry.address => writeln!(f, "{entry}")?,
                Line::Server(entry) => writeln!(f, "{entry} # {}", entry.name)?,
            }
        }
        if self.servers().next().is_none() {
            writeln!(f, "{NOBODY}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# mine\n\nserver 10.0.0.1:8080 weight=5 max_fails=2; # web-1 the first\n  server \
                        10.0.0.2 down;\n";

    #[test]
    fn weights_and_down_are_ours_and_all_else_is_kept() {
        let mut file = ServersFile::parse(FILE).unwrap();
        assert_eq!(
            file.servers().map(|e| e.name.as_str()).collect::<Vec<_>>(),
            ["web-1", "10.0.0.2"]
        );
        assert_eq!(
            file.servers().map(Entry::socket_address).collect::<Vec<_>>(),
            [Some("10.0.0.1:8080".parse().unwrap()), Some("10.0.0.2:80".parse().unwrap())]
        );
        file.server("web-1").unwrap().down = true;
        file.add("web-3", "[::1]:80".parse().unwrap());
        let text = file.to_string();
        assert_eq!(
            text,
            "# mine\n\nserver 10.0.0.1:8080 weight=5 max_fails=2 down; # web-1\nserver 10.0.0.2 weight=1 \
             down;\nserver [::1]:80 weight=1 down; # web-3\n"
        );
        assert_eq!(ServersFile::parse(&text).unwrap(), file);
    }

    #[test]
    fn an_upstream_is_never_without_any_line() {
        let mut file = ServersFile::parse("server 10.0.0.1:80; # a\n").unwrap();
        file.remove("a");
        assert_eq!(file.to_string(), format!("{NOBODY}\n"));
        assert_eq!(ServersFile::parse(&file.to_string()).unwrap().servers().count(), 0);
    }

    #[test]
    fn whatever_is_no_server_is_refused_with_its_line() {
        let cases = [
            ("keepalive 8;", "is not a server"),
            ("server a", "is not one statement"),
            ("server a; server b;", "is not one statement"),
            ("server a weight=x;", "is no weight"),
            ("server a; # w\nserver b; # w", "is there twice"),
        ];
        for (text, expected) in cases {
            let (line, what) = ServersFile::parse(&format!("# one\n{text}\n")).unwrap_err();
            assert!(what.contains(expected), "{text}: {what}");
            assert_eq!(line, text.lines().count() + 1);
        }
    }
}
