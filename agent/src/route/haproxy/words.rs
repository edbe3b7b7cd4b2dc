//! What HAProxy says, read by the names of its columns: their order differs between versions.

use crate::route::router::{Seen, Share};
use pipelines::protocol::answer::{Check, ServerCounters};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// Bits of `srv_admin_state`: maintenance, wherever it comes from, and drain.
const MAINT: u32 = 0x63;
const DRAIN: u32 = 0x18;
/// Bits of `srv_check_state`.
const CHECK_CONFIGURED: u32 = 0x02;
const CHECK_ENABLED: u32 = 0x04;
/// `srv_op_state` of a server that gets nothing.
const STOPPED: u32 = 0;

/// An answer to everything asked at once.
#[derive(Debug, Default)]
pub struct State {
    pub level: String,
    /// The process and when it began.
    pub life: String,
    /// There is no such backend.
    pub is_missing: bool,
    pub rows: Vec<Row>,
}

/// One server, from both tables.
#[derive(Debug, Clone)]
pub struct Row {
    pub name: String,
    pub address: Option<SocketAddr>,
    pub weight: u16,
    pub initial_weight: u16,
    pub is_checked: bool,
    pub is_check_on: bool,
    pub counted: ServerCounters,
    admin: u32,
    is_stopped: bool,
    /// It follows the check of a server of another backend.
    is_tracking: bool,
    status: String,
    check_words: String,
    open: u32,
}

type Line = BTreeMap<String, String>;

impl Row {
    pub fn share(&self) -> Share {
        if self.admin & MAINT != 0 {
            Share::Out
        } else if self.admin & DRAIN != 0 || self.weight == 0 {
            Share::Drained
        } else {
            Share::In { weight: self.weight }
        }
    }

    pub fn seen(&self) -> Seen {
        let Row { name, address, status, weight, check_words, .. } = self;
        let check = match self.share() {
            // Nothing is checked in maintenance.
            Share::Out => Check::None,
            Share::In { .. } | Share::Drained if self.is_stopped => {
                Check::Down { reason: self.reason() }
            }
            Share::In { .. } | Share::Drained if self.is_checked || self.is_tracking => Check::Up,
            Share::In { .. } | Share::Drained => Check::None,
        };
        let checked =
            if check_words.is_empty() { String::new() } else { format!(", {check_words}") };
        Seen {
            name: name.clone(),
            address: *address,
            share: self.share(),
            check,
            in_flight: self.open,
            words: format!("{status}, weight {weight}{checked}"),
        }
    }

    fn reason(&self) -> String {
        let Row { status, check_words, .. } = self;
        // What it said before it was told to be down is no reason.
        if check_words.is_empty()
            || check_words.starts_with("L7OK")
            || check_words.starts_with("L4OK")
        {
            return format!("{status}: not checked often enough yet");
        }
        check_words.clone()
    }

    fn new(state: &Line, stat: &Line) -> Result<Row, String> {
        let checks: u32 = number(state, "srv_check_state")?;
        let ip: Option<IpAddr> = text(state, "srv_addr")?.parse().ok();
        let port = text(state, "srv_port")?.parse().unwrap_or(0);
        Ok(Row {
            name: text(state, "srv_name")?.to_owned(),
            address: ip.filter(|_| port > 0).map(|ip| SocketAddr::new(ip, port)),
            weight: small(state, "srv_uweight")?,
            initial_weight: small(state, "srv_iweight")?,
            is_checked: checks & CHECK_CONFIGURED != 0,
            is_check_on: checks & CHECK_ENABLED != 0,
            counted: counted(stat)?,
            admin: number(state, "srv_admin_state")?,
            is_stopped: number::<u32>(state, "srv_op_state")? == STOPPED,
            is_tracking: !text(stat, "tracked")?.is_empty(),
            status: text(stat, "status")?.to_owned(),
            check_words: check_words(stat)?,
            open: open(stat)?,
        })
    }
}

/// # Errors
/// With what is strange about it.
pub fn parse(answer: &str) -> Result<State, String> {
    let level = answer.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let mut state = State { level: level.to_owned(), ..State::default() };
    let info = |key: &str| {
        let mut found = answer.lines().filter_map(|line| line.strip_prefix(key));
        found.next().map(str::trim).ok_or_else(|| format!("no `{key}` in `show info`"))
    };
    // Both tables of one backend are there, or neither is.
    if level != "admin" {
        return Ok(state);
    }
    state.life = format!("{}-{}", info("Pid: ")?, info("Start_time_sec: ")?);
    if answer.contains("Can't find backend.") || answer.contains("No such proxy.") {
        state.is_missing = true;
        return Ok(state);
    }
    let stats = stats(answer)?;
    for line in states(answer)? {
        let name = text(&line, "srv_name")?;
        let stat = stats.iter().find(|stat| stat.get("svname").is_some_and(|found| found == name));
        let stat = stat.ok_or_else(|| format!("server {name} is in one table only"))?;
        state.rows.push(Row::new(&line, stat)?);
    }
    Ok(state)
}

/// Open and queued requests per server, from an answer to `show stat`.
///
/// # Errors
/// With what is strange about it.
pub fn open_requests(answer: &str) -> Result<BTreeMap<String, u32>, String> {
    let stats = stats(answer)?;
    stats.iter().map(|stat| Ok((text(stat, "svname")?.to_owned(), open(stat)?))).collect()
}

/// The lines of `show servers state`: words, under a heading.
fn states(answer: &str) -> Result<Vec<Line>, String> {
    let mut lines = table(answer, "# be_id ")?;
    let heading = lines.next().unwrap_or_default();
    let names: Vec<&str> = heading.trim_start_matches("# ").split_whitespace().collect();
    let words = |line: &str| {
        let words = line.split_whitespace().map(str::to_owned);
        names.iter().map(|name| (*name).to_owned()).zip(words).collect()
    };
    Ok(lines.map(words).collect())
}

/// The lines of `show stat`: comma separated, some quoted.
fn stats(answer: &str) -> Result<Vec<Line>, String> {
    let text: Vec<&str> = table(answer, "# pxname,")?.collect();
    let text = text.join("\n");
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .from_reader(text.trim_start_matches("# ").as_bytes());
    reader.deserialize().map(|line| line.map_err(|e| format!("`show stat`: {e}"))).collect()
}

/// From the heading to the next empty line.
fn table<'a>(answer: &'a str, heading: &str) -> Result<impl Iterator<Item = &'a str>, String> {
    let at = answer.find(heading).ok_or_else(|| {
        let start: String = answer.trim().chars().take(120).collect();
        format!("no table beginning with `{heading}` in {start:?}")
    })?;
    Ok(answer[at..].lines().take_while(|line| !line.trim().is_empty()))
}

fn text<'a>(line: &'a Line, column: &str) -> Result<&'a str, String> {
    line.get(column).map(String::as_str).ok_or_else(|| format!("no column `{column}`"))
}

/// Empty counts as zero: columns that do not apply are empty.
fn number<T: std::str::FromStr + Default>(line: &Line, column: &str) -> Result<T, String> {
    match text(line, column)? {
        "" => Ok(T::default()),
        found => found.parse().map_err(|_| format!("`{column}` is '{found}'")),
    }
}

fn small(line: &Line, column: &str) -> Result<u16, String> {
    number(line, column)
}

fn open(stat: &Line) -> Result<u32, String> {
    Ok(number::<u32>(stat, "scur")?.saturating_add(number(stat, "qcur")?))
}

/// `L7STS/503 Service Unavailable`; a star says that a check is under way.
fn check_words(stat: &Line) -> Result<String, String> {
    let status = text(stat, "check_status")?.trim_start_matches("* ");
    let (code, last) = (text(stat, "check_code")?, text(stat, "last_chk")?);
    let mut words = status.to_owned();
    for (before, part) in [("/", code), (" ", last)] {
        if !part.is_empty() && !words.is_empty() {
            words.push_str(before);
            words.push_str(part);
        }
    }
    Ok(words)
}

fn counted(stat: &Line) -> Result<ServerCounters, String> {
    let get = |column| number::<u64>(stat, column);
    // Requests without an answer are in none of the counters of answers.
    let unanswered = get("econ")? + get("eresp")?;
    let answered = match text(stat, "req_tot")? {
        // Not HTTP: a connection is a request.
        "" => get("lbtot")?.saturating_sub(unanswered),
        _ => get("req_tot")?,
    };
    let latency = number::<u32>(stat, "rtime")?;
    Ok(ServerCounters {
        name: text(stat, "svname")?.to_owned(),
        requests: answered + unanswered,
        errors: get("hrsp_5xx")? + unanswered,
        latency_ms: (answered > 0).then_some(latency),
    })
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
