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

/// Artifacts whose digest begins with these hexadecimal digits, two at most: enough to see that they
/// name one.
pub async fn by_prefix(conn: &mut PgConnection, digits: &str) -> sqlx::Result<Vec<Artifact>> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "select digest, size from artifacts where starts_with(digest, $1) order by digest limit 2",
    )
    .bind(digits)
    .fetch_all(conn)
    .await?;
    let artifact = |(digest, size): (String, i64)| {
        Some(Artifact { digest: digest.parse().ok()?, size: size.unsigned_abs() })
    };
    Ok(rows.into_iter().filter_map(artifact).collect())
}
