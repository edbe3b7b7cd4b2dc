//! `pipectl whoami`.

use super::Context;
use crate::exit::{Exit, Result};
use crate::output::clean;
use clap::Args;

#[derive(Debug, Args)]
#[command(after_help = "Example: pipectl whoami -o json")]
pub struct Arguments {}

pub async fn run(context: &Context<'_>, _: Arguments) -> Result<Exit> {
    let client = context.client()?;
    let answer = client.get("/api/v1/whoami").await?;
    if context.output.is_json() {
        context.output.json(&answer);
    } else {
        let text = |key: &str| clean(answer[key].as_str().unwrap_or_default());
        let (user, role) = (text("user"), text("role"));
        context.output.line(format!("{user} ({role}) at {}", client.origin()));
    }
    Ok(Exit::Done)
}
