//! A map of HAProxy, by its admin socket: the backend that requests with some keys go to.
//!
//! Measured on 2.6: success is an empty line, `add` of a key that is there makes a second entry, `del`
//! takes away all of a key. So what is there is looked at before, and read back after.

use super::socket::Socket;
use crate::route::fault::{Fault, instead};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Keys that all have the same value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entries {
    /// As haproxy.cfg names it. What is in the file itself is never looked at.
    pub file: String,
    pub backend: String,
    pub keys: Vec<String>,
}

/// The maps of one HAProxy.
#[derive(Debug)]
pub struct Maps {
    socket: Socket,
}

impl Maps {
    pub fn new(socket: &Path) -> Maps {
        Maps { socket: Socket::new(socket) }
    }

    /// # Errors
    /// When HAProxy reads no such map.
    pub async fn refuse_missing(&self, file: &str) -> Result<(), Fault> {
        if self.read(file).await?.is_some() {
            return Ok(());
        }
        let all = self.socket.ask("show map").await?;
        let named = all.lines().filter(|line| !line.starts_with('#'));
        let named = named.filter_map(|line| line.split_once('(')?.1.split_once(')'));
        let all: Vec<&str> = named.map(|(name, _)| name).collect();
        Err(Fault::router(format!(
            "HAProxy reads no map '{file}': {}. Correct the router's `map`, or look requests up in it in a \
             frontend of haproxy.cfg, as in `use_backend %[…,map({file})] if …`, and reload",
            instead(file, &all)
        )))
    }

    /// Requests with these keys go to the backend from now on. True when they did not before.
    ///
    /// # Errors
    /// When there is no such map, or it says something else afterwards.
    pub async fn set(&self, entries: &Entries) -> Result<bool, Fault> {
        let Entries { file, backend, keys } = entries;
        self.refuse_missing(file).await?;
        let is_set = |all: &[(String, String)], key: &str| {
            let mut values = all.iter().filter(|(of, _)| of == key).map(|(_, value)| value);
            values.next() == Some(backend) && values.next().is_none()
        };
        let found = self.read(file).await?.unwrap_or_default();
        let mut commands = Vec::new();
        for key in keys.iter().filter(|key| !is_set(&found, key)) {
            if found.iter().any(|(of, _)| of == key) {
                commands.push(format!("del map {file} {key}"));
            }
            commands.push(format!("add map {file} {key} {backend}"));
        }
        if commands.is_empty() {
            return Ok(false);
        }
        let prose = self.socket.ask(&commands.join(";")).await?;
        let found = self.read(file).await?.unwrap_or_default();
        match keys.iter().find(|key| !is_set(&found, key)) {
            None => Ok(true),
            Some(key) => Err(strange(entries, key, "is to be there", &prose)),
        }
    }

    /// Nobody is sent anywhere by these keys from now on; nor by a map that is not there. True when
    /// somebody was before.
    ///
    /// # Errors
    /// When the map says something else afterwards.
    pub async fn withdraw(&self, entries: &Entries) -> Result<bool, Fault> {
        let Entries { file, keys, .. } = entries;
        let found = self.read(file).await?.unwrap_or_default();
        let there = |key: &&String| found.iter().any(|(of, _)| of == *key);
        let commands: Vec<String> =
            keys.iter().filter(there).map(|key| format!("del map {file} {key}")).collect();
        if commands.is_empty() {
            return Ok(false);
        }
        let prose = self.socket.ask(&commands.join(";")).await?;
        let found = self.read(file).await?.unwrap_or_default();
        match keys.iter().find(|key| found.iter().any(|(of, _)| of == *key)) {
            None => Ok(true),
            Some(key) => Err(strange(entries, key, "is not to be there", &prose)),
        }
    }

    /// Every key with its value; None where there is no such map.
    async fn read(&self, file: &str) -> Result<Option<Vec<(String, String)>>, Fault> {
        let answer = self.socket.ask(&format!("show map {file}")).await?;
        if answer.contains("Unknown map identifier") {
            return Ok(None);
        }
        let entry = |line: &str| {
            let mut words = line.split(' ').skip(1);
            Some((words.next()?.to_owned(), words.next()?.to_owned()))
        };
        let lines = answer.lines().filter(|line| line.starts_with("0x"));
        Ok(Some(lines.filter_map(entry).collect()))
    }
}

fn strange(entries: &Entries, key: &str, wish: &str, prose: &str) -> Fault {
    let said: String = prose.trim().chars().take(super::SHOWN_MAX).collect();
    let said = if said.is_empty() { String::new() } else { format!(" (it answered '{said}')") };
    Fault::router(format!(
        "HAProxy was told that '{key}' {wish} in the map {}, and it is not so{said}: somebody else changes the \
         map",
        entries.file
    ))
}
