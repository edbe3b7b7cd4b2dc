//! The file on disk: read, replaced as a whole, put back.

use super::Nginx;
use super::file::ServersFile;
use crate::durable::write_atomic;
use crate::route::fault::Fault;
use std::io;
use std::time::SystemTime;

/// What to put back when nginx does not take a change.
#[derive(Debug)]
pub struct Earlier {
    pub text: String,
    pub modified: SystemTime,
}

impl Nginx {
    pub fn now(&self) -> Result<Earlier, Fault> {
        let reading = |e| self.disk("reading", &e);
        let modified = std::fs::metadata(&self.file).and_then(|meta| meta.modified());
        let text = std::fs::read_to_string(&self.file).map_err(reading)?;
        Ok(Earlier { text, modified: modified.map_err(reading)? })
    }

    /// With its time, by which it is told whether nginx was reloaded since.
    pub fn put_back(&self, earlier: &Earlier) -> Result<(), Fault> {
        self.write(&earlier.text)?;
        let file = std::fs::File::options().write(true).open(&self.file);
        file.and_then(|file| file.set_modified(earlier.modified))
            .map_err(|e| self.disk("writing", &e))
    }

    pub fn read(&self) -> Result<ServersFile, Fault> {
        ServersFile::parse(&self.now()?.text).map_err(|(line, what)| {
            Fault::router(format!("{}:{line}: {what}", self.file.display()))
        })
    }

    /// As a whole, with the rights it had.
    pub fn write(&self, text: &str) -> Result<(), Fault> {
        let rights = std::fs::metadata(&self.file).map(|meta| meta.permissions());
        let written = rights.and_then(|rights| {
            write_atomic(&self.file, text.as_bytes())?;
            std::fs::set_permissions(&self.file, rights)
        });
        written.map_err(|e| self.disk("writing", &e))
    }

    pub fn disk(&self, doing: &str, error: &io::Error) -> Fault {
        let remedy = match error.kind() {
            io::ErrorKind::PermissionDenied => ": run the agent as root, or give its user the file",
            io::ErrorKind::NotFound => {
                ": it has to be there, with a line `server ADDRESS:PORT; # NAME` for each host"
            }
            _ => "",
        };
        Fault::router(format!("{doing} {}: {error}{remedy}", self.file.display()))
    }
}
