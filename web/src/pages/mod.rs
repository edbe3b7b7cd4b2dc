//! The pages: every path with its handler. A page's `mod.rs` makes view values ready to print with a
//! pure `view` function; its template only repeats and chooses.

mod sign_in;

use crate::Web;
use axum::Router;
use axum::routing::{get, post};

pub fn routes() -> Router<Web> {
    Router::new()
        .route("/sign-in", get(sign_in::show).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
}
