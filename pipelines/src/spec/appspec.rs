//! Placeholder until the reader lands.
use serde::{Deserialize, Serialize};
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileExists {
    Disallow,
    Overwrite,
    Retain,
}
