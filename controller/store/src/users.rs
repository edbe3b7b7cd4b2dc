//! People: users, their browser sessions and their API tokens.

use crate::tokens;
use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use sqlx::{FromRow, PgConnection};

/// What a person may do; each level includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    Viewer,
    Developer,
    Operator,
    Admin,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: i64,
    pub name: String,
    pub role: Role,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub user: User,
    /// Every form carries it; a form without it is not ours.
    pub csrf: String,
}

#[derive(FromRow)]
struct UserRow {
    id: i64,
    name: String,
    role: String,
}

impl Role {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Developer => "developer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }

    /// The role of that name; an unknown one may do nothing but look.
    #[must_use]
    pub fn from_name(name: &str) -> Role {
        match name {
            "admin" => Role::Admin,
            "operator" => Role::Operator,
            "developer" => Role::Developer,
            _ => Role::Viewer,
        }
    }
}

impl From<UserRow> for User {
    fn from(row: UserRow) -> User {
        let UserRow { id, name, role } = row;
        User { id, name, role: Role::from_name(&role) }
    }
}

/// Argon2id with the crate's recommended parameters. Slow by design: call it off the async threads.
///
/// # Panics
/// When the parameters compiled in are invalid.
#[must_use]
pub fn hash_password(password: &str) -> String {
    let salt = SaltString::encode_b64(tokens::random(16).as_bytes()).expect("32 bytes make a salt");
    Argon2::default()
        .hash_password(password.as_bytes(), &salt)
        .expect("default parameters are valid")
        .to_string()
}

/// Whether the password is the one; as slow for an unknown user as for a known one.
#[must_use]
pub fn password_matches(password: &str, stored: Option<&str>) -> bool {
    // The hash of a password nobody has, so that the answer for an unknown name takes as long.
    const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$\
                          K4jYc1b1mGmZ4rYbC0y9XcZr4rUu0yCw0d3mJ0nq8wY";
    let parsed = PasswordHash::new(stored.unwrap_or(NOBODY));
    let matches = parsed
        .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok());
    matches && stored.is_some()
}

pub async fn count(conn: &mut PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("select count(*) from users").fetch_one(conn).await
}

pub async fn create(
    conn: &mut PgConnection,
    name: &str,
    password_hash: &str,
    role: Role,
) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "insert into users (name, password_hash, role) values ($1, $2, $3)
         on conflict (name) do update set password_hash = excluded.password_hash returning id",
    )
    .bind(name)
    .bind(password_hash)
    .bind(role.as_str())
    .fetch_one(conn)
    .await
}

/// The user and the stored password hash.
pub async fn by_name(conn: &mut PgConnection, name: &str) -> sqlx::Result<Option<(User, String)>> {
    let row: Option<(i64, String, String, String)> =
        sqlx::query_as("select id, name, role, password_hash from users where name = $1")
            .bind(name)
            .fetch_optional(conn)
            .await?;
    Ok(row.map(|(id, name, role, hash)| (User { id, name, role: Role::from_name(&role) }, hash)))
}

/// Starts a session and returns its secret and CSRF token.
pub async fn start_session(conn: &mut PgConnection, user: i64) -> sqlx::Result<(String, String)> {
    let (secret, csrf) = (tokens::random(32), tokens::random(16));
    sqlx::query("delete from sessions where expires_at < now()").execute(&mut *conn).await?;
    sqlx::query(
        "insert into sessions (token_hash, user_id, csrf, expires_at)
         values ($1, $2, $3, now() + interval '12 hours')",
    )
    .bind(tokens::hash(&secret))
    .bind(user)
    .bind(&csrf)
    .execute(conn)
    .await?;
    Ok((secret, csrf))
}

pub async fn end_session(conn: &mut PgConnection, secret: &str) -> sqlx::Result<()> {
    sqlx::query("delete from sessions where token_hash = $1")
        .bind(tokens::hash(secret))
        .execute(conn)
        .await
        .map(|_| ())
}

pub async fn session(conn: &mut PgConnection, secret: &str) -> sqlx::Result<Option<Session>> {
    let row: Option<(i64, String, String, String)> = sqlx::query_as(
        "select users.id, users.name, users.role, sessions.csrf
         from sessions join users on users.id = sessions.user_id
         where sessions.token_hash = $1 and sessions.expires_at > now()",
    )
    .bind(tokens::hash(secret))
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|(id, name, role, csrf)| Session {
        user: User { id, name, role: Role::from_name(&role) },
        csrf,
    }))
}

/// A new API token for the user; the secret is returned once and never again.
pub async fn create_token(
    conn: &mut PgConnection,
    user: i64,
    name: &str,
    days: Option<i32>,
) -> sqlx::Result<String> {
    let secret = format!("pyt{}", tokens::random(24));
    sqlx::query(
        "insert into api_tokens (token_hash, user_id, name, expires_at)
         values ($1, $2, $3, now() + $4 * interval '1 day')",
    )
    .bind(tokens::hash(&secret))
    .bind(user)
    .bind(name)
    .bind(days)
    .execute(conn)
    .await?;
    Ok(secret)
}

pub async fn by_token(conn: &mut PgConnection, secret: &str) -> sqlx::Result<Option<User>> {
    let row: Option<UserRow> = sqlx::query_as(
        "select users.id, users.name, users.role
         from api_tokens join users on users.id = api_tokens.user_id
         where api_tokens.token_hash = $1
           and (api_tokens.expires_at is null or api_tokens.expires_at > now())",
    )
    .bind(tokens::hash(secret))
    .fetch_optional(conn)
    .await?;
    Ok(row.map(User::from))
}
