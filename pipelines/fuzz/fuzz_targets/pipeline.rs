//! Whatever is in a pipeline file, what is said about it holds.

#![cfg_attr(fuzzing, no_main)]

#[path = "../../tests/properties/mod.rs"]
mod properties;
#[path = "../target.rs"]
mod target;

target::fuzz!(|text| properties::hold(pipelines::spec::Kind::Pipeline, text));
