//! `pipectl login`.

use super::Context;
use crate::connect::{Profile, connect_without_token, origin};
use crate::exit::{Exit, Failure, Result};
use clap::Args;
use serde_json::json;
use std::io::{BufRead as _, IsTerminal as _, Write as _};

#[derive(Debug, Args)]
#[command(after_help = "Example: pipectl login https://ci.example:8443 --ca-sha256 4f2c…")]
pub struct Arguments {
    /// The controller's address.
    #[arg(value_name = "ADDRESS")]
    address: String,
    /// Your name; asked for when absent.
    #[arg(long)]
    user: Option<String>,
    /// Read the password from standard input.
    #[arg(long)]
    password_stdin: bool,
}

pub async fn run(context: &Context<'_>, arguments: Arguments) -> Result<Exit> {
    let output = context.output;
    let address = origin(&arguments.address)?;
    let client = connect_without_token(&context.global, &address)?;
    let user = match arguments.user {
        Some(user) => user,
        None if arguments.password_stdin => {
            return Err(Failure::usage(
                "--password-stdin needs --user",
                "name yourself: --user ada",
            ));
        }
        None => ask("User: ")?,
    };
    let password = if arguments.password_stdin { first_line()? } else { ask_password()? };
    let body = json!({"user": user, "password": password, "name": machine()});
    let answer = client.post("/api/v1/login", body).await?;
    let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
    let ca = match &context.global.ca {
        Some(path) => std::fs::read_to_string(path).ok(),
        None => None,
    };
    let profile = Profile {
        url: address.clone(),
        user: text("user"),
        token: text("token"),
        ca,
        ca_sha256: context.global.ca_sha256.clone(),
        allow_plain_http: context.global.allow_plain_http,
    };
    let path = profile.save()?;
    if output.is_json() {
        // The token stays in the profile: what is printed ends up in logs.
        output.json(&json!({"url": address, "user": text("user"), "role": text("role")}));
    } else {
        output.line(format!("Signed in to {address} as {} ({})", text("user"), text("role")));
        output.note(format!("The token is in {}", path.display()));
    }
    Ok(Exit::Done)
}

/// What the token is called in the list of tokens.
fn machine() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("pipectl on {}", name.trim())
}

fn ask(question: &str) -> Result<String> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage("there is nobody to ask", "pass --user and --password-stdin"));
    }
    let mut error = std::io::stderr();
    let asked = write!(error, "{question}").and_then(|()| error.flush());
    asked.map_err(|error| Failure::failed(format!("cannot ask: {error}"), ""))?;
    first_line()
}

fn ask_password() -> Result<String> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage("there is nobody to ask", "pass --password-stdin"));
    }
    rpassword::prompt_password("Password: ")
        .map_err(|error| Failure::failed(format!("cannot read the password: {error}"), ""))
}

fn first_line() -> Result<String> {
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    read.map_err(|error| Failure::failed(format!("cannot read the input: {error}"), ""))?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}
