//! Status is always a glyph, a word and a colour, from one list.

/// What a reader needs to know at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    Done,
    Running,
    Waiting,
    NeedsYou,
    Failed,
    RolledBack,
    NotYet,
    Skipped,
}

/// A status with the exact word for the thing it is said of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub status: Status,
    pub word: String,
}

impl Status {
    pub fn glyph(self) -> &'static str {
        match self {
            Status::Done => "✓",
            Status::Running => "●",
            Status::Waiting => "‖",
            Status::NeedsYou => "!",
            Status::Failed => "✗",
            Status::RolledBack => "↶",
            Status::NotYet => "○",
            Status::Skipped => "–",
        }
    }

    /// The CSS class.
    pub fn class(self) -> &'static str {
        match self {
            Status::Done => "done",
            Status::Running => "running",
            Status::Waiting => "waiting",
            Status::NeedsYou => "needs-you",
            Status::Failed => "failed",
            Status::RolledBack => "rolled-back",
            Status::NotYet => "not-yet",
            Status::Skipped => "skipped",
        }
    }
}

impl Mark {
    pub fn glyph(&self) -> &'static str {
        self.status.glyph()
    }

    pub fn class(&self) -> &'static str {
        self.status.class()
    }
}

/// The mark for a state's word, as stored and as JSON has it. `person`: somebody has to act.
pub fn mark(word: &str, person: bool) -> Mark {
    let status = match word {
        "succeeded" | "updated" | "ready" | "done" | "active" => Status::Done,
        "running" | "updating" | "rolling-back" | "failing" | "stopping" | "now" | "launching"
        | "leaving" | "draining" | "entering" | "settling" => Status::Running,
        "waiting" | "queued" | "drained" => Status::Waiting,
        "failed" | "rollback-failed" | "lost" | "stuck" | "unfit" | "revoked" => Status::Failed,
        "rolled-back" => Status::RolledBack,
        "skipped" | "stopped" | "superseded" | "cancelled" | "excluded" | "retired" => {
            Status::Skipped
        }
        _ => Status::NotYet,
    };
    let status = if person && matches!(status, Status::Running | Status::Waiting) {
        Status::NeedsYou
    } else {
        status
    };
    let word = if status == Status::NeedsYou { "needs you" } else { word };
    Mark { status, word: word.replace('-', " ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipelines::deploy::Phase;

    #[test]
    fn every_end_has_its_own_look() {
        assert_eq!(mark(Phase::Succeeded.as_str(), false).glyph(), "✓");
        assert_eq!(mark(Phase::RolledBack.as_str(), false).glyph(), "↶");
        assert_eq!(mark(Phase::RollbackFailed.as_str(), false).word, "rollback failed");
        assert_eq!(mark(Phase::Superseded.as_str(), false).class(), "skipped");
        assert_eq!(mark("running", true).word, "needs you");
        assert_eq!(mark("failed", true).word, "failed");
    }
}
