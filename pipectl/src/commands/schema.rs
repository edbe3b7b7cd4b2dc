//! `pipectl schema`: the JSON Schema of a format, for editors, without a controller.

use super::Context;
use super::lint::KindWord;
use crate::exit::{Exit, Result};
use clap::Args;
use pipelines::spec::{self, Kind};

#[derive(Debug, Args)]
#[command(after_help = "Example: pipectl schema pipeline > pipeline.schema.json

An editor with a YAML language server uses it for files whose first line says
# yaml-language-server: $schema=pipeline.schema.json")]
pub struct Arguments {
    #[arg(value_enum)]
    kind: KindWord,
}

pub fn run(context: &Context<'_>, arguments: &Arguments) -> Result<Exit> {
    let text = spec::schema_text(Kind::from(arguments.kind));
    context.output.bytes(text.as_bytes());
    Ok(Exit::Done)
}
