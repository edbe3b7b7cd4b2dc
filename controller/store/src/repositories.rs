//! Repositories of the built-in git server, and how far their refs were looked at.

use sqlx::PgConnection;
use std::collections::BTreeMap;

pub async fn ensure(conn: &mut PgConnection, name: &str) -> sqlx::Result<()> {
    sqlx::query("insert into repositories (name) values ($1) on conflict do nothing")
        .bind(name)
        .execute(conn)
        .await
        .map(|_| ())
}

pub async fn exists(conn: &mut PgConnection, name: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar("select exists (select from repositories where name = $1)")
        .bind(name)
        .fetch_one(conn)
        .await
}

pub async fn names(conn: &mut PgConnection) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar("select name from repositories order by name").fetch_all(conn).await
}

/// Locks the repository against another look at its refs and returns them as last seen.
pub async fn seen_refs(
    conn: &mut PgConnection,
    name: &str,
) -> sqlx::Result<BTreeMap<String, String>> {
    sqlx::query("select from repositories where name = $1 for update")
        .bind(name)
        .execute(&mut *conn)
        .await?;
    let rows: Vec<(String, String)> =
        sqlx::query_as("select ref, commit from repository_refs where repository = $1")
            .bind(name)
            .fetch_all(conn)
            .await?;
    Ok(rows.into_iter().collect())
}

/// Notes where a ref stands now; None: it is gone.
pub async fn note_ref(
    conn: &mut PgConnection,
    name: &str,
    reference: &str,
    commit: Option<&str>,
) -> sqlx::Result<()> {
    let query = match commit {
        Some(commit) => sqlx::query(
            "insert into repository_refs (repository, ref, commit) values ($1, $2, $3)
             on conflict (repository, ref) do update set commit = excluded.commit",
        )
        .bind(name)
        .bind(reference)
        .bind(commit),
        None => sqlx::query("delete from repository_refs where repository = $1 and ref = $2")
            .bind(name)
            .bind(reference),
    };
    query.execute(conn).await.map(|_| ())
}
