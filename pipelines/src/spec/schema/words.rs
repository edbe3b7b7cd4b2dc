//! Single values as files may write them: `30s`, `25%`, `0644`, one word or a list of them.

use crate::spec::Globs;
use crate::spec::appspec::Acl;
use crate::spec::buildspec::OnFailure;
use crate::spec::group::{Amount, Batch, Bytes};
use crate::time::Millis;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;
use std::marker::PhantomData;

/// `1h30m`: units from large to small, at least one of them.
pub(super) const DURATION: &str = "^(?=[0-9])([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$";

/// `2` or `25%`.
pub(super) const AMOUNT: &str = "^([0-9]+|([0-9]|[1-9][0-9]|100) *%)$";

/// A form of writing that has no type of its own in the models.
macro_rules! word {
    ($(#[$doc:meta])* $visibility:vis $name:ident, $schema:tt) => {
        $(#[$doc])*
        $visibility struct $name;

        word!(impl $name, $schema);
    };
    (impl $name:ty, $schema:tt) => {
        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

word!(impl Millis, {"type": "string", "pattern": DURATION});
word!(impl Amount, {
    "type": ["integer", "string"],
    "minimum": 0,
    "pattern": AMOUNT
});
word!(impl Bytes, {"type": "string", "pattern": "^[0-9]+ *([TtGgMmKk][Ii]?)?[Bb]$"});
// ABORT, CONTINUE and RETRY with a count, a pattern or both.
word!(impl OnFailure, {
    "type": "string",
    "anyOf": [
        {"enum": ["ABORT", "CONTINUE", "RETRY"]},
        {"pattern": "^RETRY-(.+)$"}
    ]
});
word!(impl Acl, {"type": "string"});

word!(
    /// The version of our own formats.
    pub(crate) FormatVersion, {"enum": [1, "1"]}
);
word!(
    /// The version of a buildspec.
    pub(crate) BuildspecVersion, {"enum": [0.2, "0.2", 0.1, "0.1"]}
);
word!(
    /// Nothing but zeros: `0.0`, which some quote.
    pub(crate) AppspecVersion, {"enum": [0.0, "0.0", "0"]}
);
word!(
    /// A name by the rule of `ids::is_name`.
    pub(crate) Name, {"type": ["string", "number", "boolean"], "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"}
);
word!(
    /// A percentage of the traffic, with or without its sign.
    pub(crate) Percent, {
        "type": ["integer", "string"], "minimum": 1, "maximum": 100, "pattern": "^[0-9]+ *%?$"
    }
);
word!(
    /// A number, or a share such as `2%`.
    pub(crate) Share, {
        "type": ["number", "string"], "pattern": "^[-+]?[0-9.]+([eE][-+]?[0-9]+)? *%?$"
    }
);
word!(
    /// A status of HTTP.
    pub(crate) Status, {"type": "integer", "minimum": 100, "maximum": 599}
);
word!(
    /// Whole seconds.
    pub(crate) Seconds, {"type": "integer", "minimum": 1}
);
word!(
    /// One to four octal digits; as a number they are in YAML, never what they say.
    pub(crate) OctalMode, {"type": ["integer", "string"], "pattern": "^[0-7]{1,4}$"}
);
word!(
    /// A time of day or a date.
    pub(crate) TimeOrDate, {
        "type": "string",
        "pattern": "^([0-9]{2}:[0-9]{2}|[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2})?)$"
    }
);
word!(
    /// A day, or a stretch of them.
    pub(crate) Days, {
        "type": "string",
        "anyOf": [
            {"enum": ["mon", "tue", "wed", "thu", "fri", "sat", "sun", "mon-fri", "sat-sun"]},
            {"pattern": "^(mon|tue|wed|thu|fri|sat|sun)-(mon|tue|wed|thu|fri|sat|sun)$"}
        ]
    }
);
word!(
    /// A report format, in any case.
    pub(crate) ReportFormatWord, {
        "type": "string",
        "anyOf": [
            {"enum": [
                "JUNITXML", "CUCUMBERJSON", "NUNITXML", "NUNIT3XML", "TESTNGXML", "VISUALSTUDIOTRX",
                "CLOVERXML", "COBERTURAXML", "JACOCOXML", "SIMPLECOV"
            ]},
            {"pattern": "^[A-Za-z0-9]+$"}
        ]
    }
);
word!(
    /// Whatever stands there.
    pub(crate) Anything, {}
);

/// A list, or one entry without the list.
pub(crate) struct OneOrMany<T>(PhantomData<T>);

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Cow::Owned(format!("OneOrMany{}", T::schema_name()))
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({"anyOf": [one, {"type": "array", "items": one}]})
    }
}

impl JsonSchema for Globs {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Globs")
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        OneOrMany::<String>::json_schema(generator)
    }
}

impl JsonSchema for Batch {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Batch")
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        OneOrMany::<Amount>::json_schema(generator)
    }
}
