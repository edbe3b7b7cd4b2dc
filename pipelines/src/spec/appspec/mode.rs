//! `mode`: one to four octal digits.

use crate::spec::codes;
use crate::spec::decode::Report;
use crate::spec::yaml::{Node, Style, Value};

/// The value of the digits as they are written: `0644` is never the decimal number 644 nor 420.
pub(super) fn read(report: &mut Report, node: &Node, path: &str) -> Option<u32> {
    let text = report.word(node, path)?;
    let octal = (1..=4).contains(&text.len()) && text.bytes().all(|b| matches!(b, b'0'..=b'7'));
    let decimal = text.parse::<u32>().ok().filter(|_| !text.starts_with('0'));
    let meant = decimal.filter(|number| is_usual(*number));
    if !octal {
        let message = format!("`{path}`: '{text}' is not one to four octal digits");
        let help = match meant {
            Some(mode) => format!("{text} is the decimal of 0{mode:o}: write {mode:o}"),
            None => "write 644 or 0755, for example".to_owned(),
        };
        report.error(node.at, codes::BAD_MODE, message, help);
        return None;
    }
    let mode = u32::from_str_radix(&text, 8).ok()?;
    let plain = matches!(&node.value, Value::Scalar { style: Style::Plain, .. });
    if let Some(number) = super::yaml_1_1_octal(node)
        && !same(&number.to_string(), mode)
    {
        let takes = match u32::from_str_radix(&number.to_string(), 8) {
            Ok(taken) => format!("take it for 0{taken:03o}"),
            Err(_) => format!("read {number} and refuse it"),
        };
        let message = format!("`{path}`: without quotes, CodeDeploy's agents before 2.0 {takes}");
        report.warn(node.at, codes::BAD_MODE, message, format!("write {mode:o}, or \"{text}\""));
    } else if let Some(meant) = meant.filter(|_| plain && !is_usual(mode)) {
        let message = format!("`{path}`: {text} allows others what it denies the owner");
        let help = format!("if it is the decimal of 0{meant:o}, write {meant:o}");
        report.warn(node.at, codes::BAD_MODE, message, help);
    }
    Some(mode)
}

fn same(digits: &str, mode: u32) -> bool {
    u32::from_str_radix(digits, 8) == Ok(mode)
}

/// Whether the owner may read, and nobody may what the owner may not.
fn is_usual(mode: u32) -> bool {
    let (owner, group, others) = (mode >> 6 & 7, mode >> 3 & 7, mode & 7);
    mode <= 0o7777 && owner & 4 != 0 && (group | others) & !owner == 0
}

/// CodeDeploy sets the owner after the mode, and the kernel then takes the special bits away.
pub(super) fn check_owned(report: &mut Report, node: &Node, mode: u32) {
    if mode & 0o6000 != 0 {
        let message = "CodeDeploy loses the setuid and setgid bits as it sets the owner afterwards";
        let help = "Pipeyard keeps them; to have them on AWS, set them in an AfterInstall script";
        report.warn(node.at, codes::BAD_MODE, message, help);
    }
}
