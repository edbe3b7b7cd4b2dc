//! Which of the four formats a file is.

use crate::spec::yaml::{self, Value};
use serde::{Deserialize, Serialize};

/// One of the four formats users write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Pipeline,
    Group,
    Buildspec,
    Appspec,
}

impl Kind {
    pub const ALL: [Kind; 4] = [Kind::Pipeline, Kind::Group, Kind::Buildspec, Kind::Appspec];

    /// The word users write: `pipectl lint --kind buildspec`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Pipeline => "pipeline",
            Kind::Group => "group",
            Kind::Buildspec => "buildspec",
            Kind::Appspec => "appspec",
        }
    }

    /// The file name decides (`buildspec*`, `appspec*`, `pipeline*`, `group*`, in any case), then
    /// the content: the first top-level key only one format has.
    #[must_use]
    pub fn of(file_name: &str, text: &str) -> Option<Kind> {
        let name = file_name.rsplit(['/', '\\']).next().unwrap_or(file_name).to_ascii_lowercase();
        Kind::ALL
            .into_iter()
            .find(|kind| name.starts_with(kind.as_str()))
            .or_else(|| Kind::of_content(text))
    }

    fn of_content(text: &str) -> Option<Kind> {
        let keys: Vec<String> = match yaml::load(text).ok().and_then(|document| document.root) {
            Some(root) => match root.value {
                Value::Map(entries) => {
                    entries.iter().filter_map(|e| e.key.text().map(str::to_owned)).collect()
                }
                Value::List(_) | Value::Scalar { .. } => return None,
            },
            // A file that is not YAML still has keys at its margin, and somebody wants to know why.
            None => text
                .lines()
                .filter(|line| line.starts_with(|c: char| c.is_ascii_alphabetic()))
                .filter_map(|line| line.split_once(':').map(|pair| pair.0.to_owned()))
                .collect(),
        };
        keys.iter().find_map(|key| match key.as_str() {
            "stages" | "triggers" => Some(Kind::Pipeline),
            "group" | "strategy" => Some(Kind::Group),
            "phases" | "batch" | "artifacts" => Some(Kind::Buildspec),
            "os" | "hooks" | "files" | "Resources" | "Hooks" => Some(Kind::Appspec),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_decides_before_the_content() {
        assert_eq!(Kind::of("ci/BuildSpec-prod.yaml", "stages: []"), Some(Kind::Buildspec));
        assert_eq!(Kind::of("x.yml", "version: 0.0\nos: linux"), Some(Kind::Appspec));
        assert_eq!(Kind::of("x.yml", "version: 1\ngroup: g\nhosts: {}"), Some(Kind::Group));
        assert_eq!(Kind::of("x.yml", "stages:\n\t- a"), Some(Kind::Pipeline));
        assert_eq!(Kind::of("x.yml", "- a"), None);
    }
}
