//! Who is asking, and what they may do.
//!
//! Every handler that is not public takes one of [`Viewer`], [`Developer`], [`Operator`], [`Admin`];
//! nothing is allowed by where a path starts. What changes something takes its input through
//! [`Posted`] (a form with the session's token) or is called with an API token ([`ByToken`]): a
//! browser's cookie alone changes nothing.

mod attempts;
mod cookie;
mod origin;
mod password;
pub mod person;
mod posted;

pub use attempts::Attempts;
pub use cookie::{ended_session_cookie, session_cookie};
pub use origin::require_same_origin;
pub use password::check_password;
pub use person::{Admin, ByToken, Developer, Operator, Person, Viewer};
pub use posted::Posted;
