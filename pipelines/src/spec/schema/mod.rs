//! JSON Schemas of the four formats, for editors.
//!
//! They come from the models: their doc comments are the descriptions. A model is what a file means,
//! though, not how it may be written, so `words` holds the forms single values may take, `forms` the
//! short forms of whole sections, and `tidy` what is alike everywhere: that an empty value is none, that
//! a number is a text where a text is wanted, and that unknown keys are errors in our own formats.
//!
//! A schema never refuses what the readers accept. It may accept what they refuse: places, names of
//! things and capacities are `pipectl lint`'s business.

pub(crate) mod forms;
mod tidy;
pub(crate) mod words;

use crate::spec::{Kind, appspec, buildspec, group, pipeline};
use schemars::generate::SchemaSettings;
use serde_json::Value;

/// The JSON Schema (draft 07, which every editor knows) of one format, without references to anything
/// outside it.
#[must_use]
pub fn schema(kind: Kind) -> Value {
    let generator = SchemaSettings::draft07().into_generator();
    let schema = match kind {
        Kind::Pipeline => generator.into_root_schema_for::<pipeline::Pipeline>(),
        Kind::Group => generator.into_root_schema_for::<group::Group>(),
        Kind::Buildspec => generator.into_root_schema_for::<buildspec::Buildspec>(),
        Kind::Appspec => generator.into_root_schema_for::<appspec::Appspec>(),
    };
    let mut schema = schema.to_value();
    tidy::tidy(kind, &mut schema);
    schema["title"] = format!("Pipeyard {}", kind.as_str()).into();
    // One order, whatever features somebody else asks of the JSON crate.
    schema.sort_all_objects();
    schema
}

/// The same as text, as it is checked in.
///
/// # Panics
/// Never: a JSON value can be printed.
#[must_use]
pub fn schema_text(kind: Kind) -> String {
    let text = serde_json::to_string_pretty(&schema(kind)).expect("a JSON value can be printed");
    format!("{text}\n")
}
