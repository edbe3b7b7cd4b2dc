//! Every problem code there is. A code is a promise to scripts: never renamed, never reused.
//! `docs/reference/problems.md` is this list, and a test keeps the two the same.

/// A code of this list; nothing else can be reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Code(pub(crate) &'static str);

macro_rules! codes {
    ($($name:ident = $code:literal, $meaning:literal;)*) => {
        $(pub(crate) const $name: Code = Code($code);)*

        /// Each code with what it means.
        pub const ALL: &[(&str, &str)] = &[$(($code, $meaning),)*];
    };
}

codes! {
    // The text itself.
    MORE = "more-problems", "There are more problems than anybody reads; the rest is counted.";
    TOO_LARGE = "too-large", "The file is larger than 1 MiB, or aliases would make it so; or a list is too long.";
    TOO_DEEP = "too-deep", "Values are nested more than 64 levels deep.";
    EMPTY_FILE = "empty-file", "The file holds nothing but spaces and comments.";
    SYNTAX = "yaml-syntax", "The text is not YAML.";
    TAB = "tab", "A tab where YAML wants spaces.";
    INVISIBLE = "invisible-character", "A character nobody sees, such as a zero-width space.";
    BYTE_ORDER_MARK = "byte-order-mark", "The file starts with a byte order mark.";
    BAD_ENCODING = "bad-encoding", "The file is not UTF-8.";
    UNKNOWN_ANCHOR = "unknown-anchor", "An alias names an anchor that does not exist, or itself.";
    MERGE_KEY = "merge-key", "`<<` is given something that is not a mapping.";
    EXTRA_DOCUMENT = "extra-document",
        "The first document ends before the file does; the rest is not read.";
    TAG = "tag", "A YAML tag such as `!Sub` that means nothing here.";
    // Shape.
    UNKNOWN_KEY = "unknown-key", "A key that does not exist at this place.";
    DUPLICATE_KEY = "duplicate-key", "The same key twice in one mapping.";
    MISSING_KEY = "missing-key", "A required key is not there, or empty.";
    WRONG_TYPE = "wrong-type", "A mapping, list or single value where another is wanted.";
    BAD_VALUE = "bad-value", "A single value that is not among those allowed.";
    BAD_BOOLEAN = "bad-boolean", "Not true or false.";
    YAML_1_1_BOOLEAN = "yaml-1-1-boolean", "`yes`, `on` and the like, read as YAML 1.1 reads them.";
    BAD_NUMBER = "bad-number", "Not a whole number, or outside its range.";
    BAD_DURATION = "bad-duration", "Not a length of time such as 30s, 5m, 1h30m or 7d.";
    BAD_NAME = "bad-name", "Not a name: 1 to 64 letters, digits, `-`, `_`, `.`.";
    BAD_GLOB = "bad-glob", "A pattern that cannot be read.";
    DEAD_GLOB = "dead-glob", "A pattern that can match nothing.";
    BAD_VERSION = "bad-version", "The format version is missing or not supported.";
    EMPTY_SECTION = "empty-section", "A section without content.";
    PLACEHOLDER = "placeholder",
        "Template text, such as `<TASK_DEFINITION>`, still to be replaced.";
    // Buildspec.
    COMMAND_IS_MAPPING = "command-is-mapping",
        "A colon and space made YAML read a command as a mapping.";
    COMMAND_IS_LIST = "command-is-list", "An opening bracket made YAML read a command as a list.";
    EMPTY_COMMAND = "empty-command", "A command without text.";
    NOT_A_LIST = "not-a-list", "One text where a list is wanted; read as its only entry.";
    LOST_INDENTATION = "lost-indentation", "Keys stand at the margin that belong below `phases`.";
    MISPLACED_KEY = "misplaced-key", "A key that exists, but at another place.";
    UNKNOWN_PHASE = "unknown-phase", "A phase name CodeBuild does not have; it is never run.";
    UNGUARDED_PUSH = "unguarded-push",
        "post_build publishes although it also runs after a failed build.";
    OLD_VERSION_KEY = "old-version-key",
        "A key of the other buildspec version; ignored in this one.";
    RESERVED_VARIABLE = "reserved-variable", "A variable name that belongs to the build service.";
    BAD_VARIABLE = "bad-variable", "Not a usable environment variable name.";
    LITERAL_VALUE = "literal-value", "A name in a value that is never replaced by what it stands for.";
    SECRET_REFERENCE = "secret-reference", "A secret reference that cannot be read.";
    DUPLICATE_VARIABLE = "duplicate-variable", "One variable is set by two sources.";
    SHELL = "shell", "A shell outside the documented ones.";
    BATCH_IDENTIFIER = "batch-identifier",
        "A batch identifier that is missing, twice, or unusable.";
    STEPS_AND_COMMANDS = "steps-and-commands", "A phase with both `steps` and `commands`.";
    BASHISM = "bashism", "Syntax of bash in commands that `sh` runs.";
    LOST_FAILURE = "lost-failure",
        "A line of several whose failure nobody sees; only the last one's status counts.";
    EXPORTED_SECRET = "exported-secret", "A secret among the exported variables.";
    BATCH_SIZE = "batch-size", "A batch of no builds, or of more than CodeBuild allows.";
    UNSUPPORTED = "unsupported", "Something CodeBuild does and Pipeyard does not.";
    IGNORED_KEY = "ignored-key", "A key that has no effect in this combination.";
    // Appspec.
    UNKNOWN_HOOK = "unknown-hook", "A lifecycle event that does not exist; its scripts never run.";
    RESERVED_HOOK = "reserved-hook",
        "A lifecycle event that is the agent's own; its scripts never run.";
    EMPTY_HOOK = "empty-hook", "A lifecycle event without scripts; ignored.";
    HOOK_TIMEOUT = "hook-timeout", "Timeouts of one event that exceed an hour together.";
    BAD_PATH = "bad-path", "A path that is not absolute, or leaves the bundle.";
    DUPLICATE_DESTINATION = "duplicate-destination",
        "Two entries of `files` that put something at one place.";
    BAD_MODE = "bad-mode", "A file mode that is not one to four octal digits, or probably not the one meant.";
    BAD_ACL = "bad-acl", "An ACL entry that CodeDeploy refuses, or reads in its own way.";
    BAD_CONTEXT = "bad-context", "An SELinux context that cannot be read.";
    BAD_PATTERN = "bad-pattern",
        "A permission pattern that matches nothing or is not allowed here.";
    DUPLICATE_PERMISSION = "duplicate-permission", "Two permissions for one path.";
    NOT_ON_WINDOWS = "not-on-windows", "Something only Linux has.";
    OTHER_PLATFORM = "other-platform", "An ECS or Lambda AppSpec; Pipeyard deploys to hosts.";
    RESOURCE = "resource", "An ECS or Lambda resource that CodeDeploy would refuse.";
    // Pipeline.
    EMPTY_PIPELINE = "empty-pipeline", "A pipeline without stages, or a stage without actions.";
    DUPLICATE_NAME = "duplicate-name", "Two things with one name.";
    SOURCE_PLACE = "source-place", "Source actions outside the first stage, or others in it.";
    ACTION_KIND = "action-kind", "An action that is nothing, or two things at once.";
    UNKNOWN_NAME = "unknown-name", "A reference to something that does not exist.";
    CYCLE = "cycle", "Actions that wait for each other.";
    TOO_EARLY = "too-early", "An artifact used before it is made.";
    NO_INPUT = "no-input", "An action that has to be told which artifact it takes.";
    UNREACHABLE_QUORUM = "unreachable-quorum", "More approvals wanted than there are approvers.";
    RESERVED_NAME = "reserved-name", "A name that stands for something else.";
    UNSET_VARIABLE = "unset-variable", "A variable that nobody gives a value when a run starts.";
    BAD_URL = "bad-url", "Not a URL of an allowed kind.";
    BAD_SCHEDULE = "bad-schedule", "A cron expression, time or zone that cannot be read, or never comes.";
    BAD_REFERENCE = "bad-reference", "A `#{namespace.name}` that names nothing.";
    // Group.
    CAPACITY = "capacity", "Numbers with which no deployment can ever succeed.";
    CAPACITY_DOUBT = "capacity-doubt",
        "Numbers that contradict each other; the stricter one rules.";
    NO_HOLD = "no-hold", "A step of a canary that is over as soon as it began.";
    NO_INSTANCES = "no-instances", "A strategy that makes new hosts, and nothing to make them.";
    NO_ROUTER = "no-router", "Something that shifts or counts traffic, and no router to do it.";
    NO_COUNTERS = "no-counters", "Something judged by what a balancer counts, behind one that counts nothing.";
    NO_HOSTS = "no-hosts", "A group that selects no host.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_is_there_once_and_spelled_alike() {
        let mut seen = BTreeSet::new();
        for (code, meaning) in ALL {
            assert!(seen.insert(code), "{code} twice");
            assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b"-1".contains(&b)), "{code}");
            assert!(meaning.ends_with('.'), "{code}");
        }
    }
}
