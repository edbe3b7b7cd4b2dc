//! Placeholder until the reader lands.
use crate::time::Millis;
use serde::{Deserialize, Serialize};
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Health {
    pub http: String,
    pub status: u16,
    pub timeout: Millis,
    pub interval: Millis,
    pub healthy_for: Millis,
}
