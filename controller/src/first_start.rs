//! The first start: somebody must be able to sign in.

use crate::tls::write_secret;
use anyhow::{Context as _, Result};
use std::io::IsTerminal as _;
use std::path::Path;
use store::users::{self, Role};
use store::{PgPool, tokens};

/// Creates the first admin when there are no users. The password goes to the terminal, or to a file
/// only the owner can read when there is none; never into a log.
///
/// # Errors
/// When the database or the file cannot be written.
pub async fn first_admin(pool: &PgPool, data: &Path, url: &str) -> Result<()> {
    let mut tx = pool.begin().await?;
    if users::count(&mut tx).await? > 0 {
        return Ok(());
    }
    let password = tokens::random(10);
    let secret = password.clone();
    let hash = tokio::task::spawn_blocking(move || users::hash_password(&secret)).await?;
    users::create(&mut tx, "admin", &hash, Role::Admin).await?;
    let file = data.join("first-admin");
    // The file comes before the commit: a user whose password nobody knows helps nobody.
    write_secret(&file, format!("user: admin\npassword: {password}\n").as_bytes())
        .context("writing the first admin's password")?;
    tx.commit().await?;
    if std::io::stderr().is_terminal() {
        eprintln!("\nFirst start. Sign in at {url} as admin with the password {password}\n");
    }
    tracing::info!(
        file = %file.display(),
        "created the first admin; the password is in the file, delete it when you have read it"
    );
    Ok(())
}
