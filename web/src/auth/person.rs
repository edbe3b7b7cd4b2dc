//! Extractors: the person behind a request, with at least the role the handler asks for.

use super::cookie::session_secret;
use super::origin::require_same_origin;
use crate::error::{Error, Result};
use crate::{Peer, Web};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Method, header};
use store::users::{self, Role, User};

/// A user who has proved who they are.
#[derive(Debug, Clone)]
pub struct Person {
    pub user: User,
    pub via: Via,
}

/// How they proved it.
#[derive(Debug, Clone)]
pub enum Via {
    Session { secret: String, csrf: String },
    Token,
}

impl Person {
    pub fn name(&self) -> &str {
        &self.user.name
    }

    /// What forms of this person carry; empty for programs, which have no forms.
    pub fn csrf(&self) -> &str {
        match &self.via {
            Via::Session { csrf, .. } => csrf,
            Via::Token => "",
        }
    }

    /// The secret of the session, for ending it.
    pub fn session(&self) -> Option<&str> {
        match &self.via {
            Via::Session { secret, .. } => Some(secret),
            Via::Token => None,
        }
    }

    pub fn may(&self, role: Role) -> bool {
        self.user.role >= role
    }
}

impl FromRequestParts<Web> for Peer {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &Web) -> Result<Peer> {
        parts.extensions.get::<Peer>().copied().ok_or_else(|| Error::internal("no peer is known"))
    }
}

impl FromRequestParts<Web> for Person {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Person> {
        if let Some(known) = parts.extensions.get::<Person>() {
            return Ok(known.clone());
        }
        let person = identify(parts, web).await?;
        parts.extensions.insert(person.clone());
        Ok(person)
    }
}

async fn identify(parts: &mut Parts, web: &Web) -> Result<Person> {
    let authorization = parts.headers.get(header::AUTHORIZATION).map(|value| value.to_str());
    if let Some(text) = authorization {
        let secret = text.ok().and_then(store::tokens::from_authorization);
        let secret = secret.ok_or_else(Error::unauthenticated)?;
        let mut conn = web.pool.acquire().await?;
        let user = users::by_token(&mut conn, &secret).await?;
        let user = user.ok_or_else(Error::unauthenticated)?;
        return Ok(Person { user, via: Via::Token });
    }
    let peer = Peer::from_request_parts(parts, web).await?;
    let secret = session_secret(peer, &parts.headers).ok_or_else(Error::unauthenticated)?;
    let mut conn = web.pool.acquire().await?;
    let session = users::session(&mut conn, &secret).await?;
    let session = session.ok_or_else(Error::unauthenticated)?;
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        require_same_origin(&parts.headers)?;
    }
    Ok(Person { user: session.user, via: Via::Session { secret, csrf: session.csrf } })
}

async fn at_least(parts: &mut Parts, web: &Web, role: Role) -> Result<Person> {
    let person = Person::from_request_parts(parts, web).await?;
    if person.may(role) {
        return Ok(person);
    }
    let (has, needs) = (person.user.role.as_str(), role.as_str());
    Err(Error::forbidden(
        format!("this needs the role {needs}; {} has the role {has}", person.name()),
        "an administrator can change a user's role",
    ))
}

macro_rules! role {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name(pub Person);

        impl FromRequestParts<Web> for $name {
            type Rejection = Error;

            async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<$name> {
                at_least(parts, web, Role::$name).await.map($name)
            }
        }

        impl AsRef<Person> for $name {
            fn as_ref(&self) -> &Person {
                &self.0
            }
        }
    };
}

role!(
    /// May look at everything that is not a secret.
    Viewer
);
role!(
    /// May start and stop runs.
    Developer
);
role!(
    /// May approve, roll back, and steer deployments and agents.
    Operator
);
role!(
    /// May do everything.
    Admin
);

/// The same, but only with an API token: what changes something over JSON cannot be done by a
/// browser's cookie, and so not by another site either.
#[derive(Debug, Clone)]
pub struct ByToken<R>(pub R);

impl<R> FromRequestParts<Web> for ByToken<R>
where
    R: FromRequestParts<Web, Rejection = Error> + AsRef<Person>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<ByToken<R>> {
        let person = R::from_request_parts(parts, web).await?;
        match person.as_ref().via {
            Via::Token => Ok(ByToken(person)),
            Via::Session { .. } => Err(Error::forbidden(
                "this call needs an API token",
                "send 'Authorization: Bearer TOKEN'; 'pipectl login' makes one",
            )),
        }
    }
}
