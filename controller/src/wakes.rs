//! Wake-ups between controllers over Postgres: one connection that listens, one `NOTIFY` for all that
//! piled up meanwhile, away from every transaction that does work.

use std::time::Duration;
use store::wake::Wakes;
use store::{PgPool, notify};
use tokio_util::sync::CancellationToken;

/// Wake-ups within this time go out together.
const COALESCE: Duration = Duration::from_millis(5);

/// For when anything may have been missed.
const EVERYBODY: [&str; 4] = ["engine", "builds", "agents", "page"];

/// Exchanges wake-ups until `stop`. A lost connection is made again; what was missed meanwhile is
/// found by everybody's slow look.
pub async fn exchange(pool: PgPool, wakes: Wakes, stop: CancellationToken) {
    let talk = talk(pool.clone(), wakes.clone());
    let listen = listen(pool, wakes);
    tokio::select! {
        () = talk => {}
        () = listen => {}
        () = stop.cancelled() => {}
    }
}

async fn talk(pool: PgPool, wakes: Wakes) {
    loop {
        tokio::time::sleep(COALESCE).await;
        let payloads = wakes.take_outgoing().await;
        if let Err(error) = notify::send(&pool, &payloads).await {
            tracing::debug!(%error, "cannot tell other controllers");
        }
    }
}

async fn listen(pool: PgPool, wakes: Wakes) {
    loop {
        if let Err(error) = hear(&pool, &wakes).await {
            tracing::debug!(%error, "cannot listen to other controllers");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn hear(pool: &PgPool, wakes: &Wakes) -> store::Result<()> {
    let mut ear = notify::Ear::connect(pool).await?;
    // Something may have been said before we listened.
    for payload in EVERYBODY {
        wakes.heard(payload);
    }
    loop {
        match ear.next().await? {
            Some(payload) => wakes.heard(&payload),
            // The connection was lost and made again: look at everything.
            None => {
                for payload in EVERYBODY {
                    wakes.heard(payload);
                }
            }
        }
    }
}
