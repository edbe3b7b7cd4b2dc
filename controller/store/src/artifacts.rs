//! Which artifacts exist. Their bytes are in the object store (`objects`).

use ::pipelines::ids::Digest;
use ::pipelines::protocol::task::Artifact;
use sqlx::PgConnection;

pub async fn note(conn: &mut PgConnection, artifact: &Artifact) -> sqlx::Result<()> {
    sqlx::query("insert into artifacts (digest, size) values ($1, $2) on conflict do nothing")
        .bind(artifact.digest.as_str())
        .bind(i64::try_from(artifact.size).unwrap_or(i64::MAX))
        .execute(conn)
        .await
        .map(|_| ())
}

pub async fn by_digest(conn: &mut PgConnection, digest: &Digest) -> sqlx::Result<Option<Artifact>> {
    let size: Option<i64> = sqlx::query_scalar("select size from artifacts where digest = $1")
        .bind(digest.as_str())
        .fetch_optional(conn)
        .await?;
    Ok(size.map(|size| Artifact { digest: digest.clone(), size: size.unsigned_abs() }))
}
