//! The SELinux context of a permission.

use crate::spec::codes;
use crate::spec::decode::{Fields, Report};
use crate::spec::yaml::{Mark, Node};
use serde::{Deserialize, Serialize};

/// `context`. The guide calls the user `user`, the agent reads `name`; both are accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(transform = crate::spec::schema::forms::context)]
pub struct Context {
    /// The guide's word for it, which AWS's agents ignore; `name` is theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The SELinux type, such as httpd_sys_content_t.
    pub r#type: String,
    /// `sN[-sM][:cA[.cB][,cC]]`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<String>,
}

/// The highest category of a standard SELinux policy.
const CATEGORY_MAX: u32 = 1023;

impl Context {
    pub(super) fn read(report: &mut Report, node: &Node, path: &str) -> Option<Self> {
        let mut fields = Fields::open(report, node, path)?;
        let mut word = |report: &mut Report, key| {
            let node = fields.get(key)?;
            Some((node.at, report.word(node, &fields.join(key))?))
        };
        let user = word(report, "user");
        let name = word(report, "name");
        let range = word(report, "range");
        if let Some((at, _)) = &user {
            let message = "CodeDeploy's agents ignore `user`; it is read here";
            report.warn(*at, codes::BAD_CONTEXT, message, "write `name` to have it on AWS too");
        }
        if let Some((at, range)) = &range {
            check_range(report, *at, range);
        }
        let kind =
            fields.require(report, "type", "write the SELinux type, such as httpd_sys_content_t");
        let kind = kind.and_then(|node| report.word(node, &fields.join("type")));
        if let Some(at) = fields.key_at("role") {
            fields.allow("role");
            report.warn(
                at,
                codes::BAD_CONTEXT,
                "nothing sets a role; it is ignored",
                "remove `role`",
            );
        }
        fields.finish(report);
        let user = name.or(user).map(|(_, user)| user);
        Some(Context { user, r#type: kind?, range: range.map(|(_, range)| range) })
    }
}

fn check_range(report: &mut Report, at: Mark, range: &str) {
    if let Err(why) = parse_range(range) {
        let message = format!("'{range}' is not an SELinux range: {why}");
        let help = "write s0, s0-s3 or s0-s3:c0.c1023, for example";
        report.error(at, codes::BAD_CONTEXT, message, help);
    }
}

fn parse_range(range: &str) -> Result<(), &'static str> {
    let (levels, categories) = match range.split_once(':') {
        Some((levels, categories)) => (levels, Some(categories)),
        None => (range, None),
    };
    let number = |text: &str, letter: char| {
        let digits = text.strip_prefix(letter)?;
        let all = digits.len() <= 4 && digits.bytes().all(|b| b.is_ascii_digit());
        all.then(|| digits.parse::<u32>().ok())?
    };
    let level = |text: &str| number(text, 's').ok_or("a sensitivity is s0, s1, …");
    let (low, high) = levels.split_once('-').unwrap_or((levels, levels));
    if level(low)? > level(high)? {
        return Err("the lower sensitivity comes first");
    }
    let mut seen: Vec<u32> = Vec::new();
    for part in categories.into_iter().flat_map(|text| text.split(',')) {
        let category = |text: &str| {
            number(text, 'c').filter(|n| *n <= CATEGORY_MAX).ok_or("a category is c0 to c1023")
        };
        let (low, high) = part.split_once('.').unwrap_or((part, part));
        let (low, high) = (category(low)?, category(high)?);
        if low > high {
            return Err("the lower category comes first");
        }
        if seen.iter().any(|n| (low..=high).contains(n)) {
            return Err("a category is there twice");
        }
        seen.extend(low..=high);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::parse_range;

    #[test]
    fn ranges_are_ordered_and_within_bounds() {
        for good in ["s0", "s0-s3", "s0:c0", "s0-s0:c0.c1023", "s0:c1,c5.c7"] {
            assert_eq!(parse_range(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "0",
            "s3-s0",
            "s0:",
            "s0:c1024",
            "s0:c5.c1",
            "s0:c1,c1",
            "s0:c1.c3,c2",
            "s+1",
            "s0:c+1",
        ] {
            assert!(parse_range(bad).is_err(), "{bad}");
        }
    }
}
