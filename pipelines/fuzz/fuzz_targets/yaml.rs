//! How a text is written changes nothing about what it says.

#![cfg_attr(fuzzing, no_main)]

#[path = "../../tests/properties/mod.rs"]
mod properties;
#[path = "../target.rs"]
mod target;

target::fuzz!(|text| properties::writing_changes_nothing(text));
