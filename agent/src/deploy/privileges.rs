//! Becoming another user between fork and exec, with all of that user's groups.

use nix::unistd::{Gid, Uid, User, getgrouplist, setgid, setgroups, setuid};
use std::ffi::CString;
use std::io;
use tokio::process::Command;

/// A user of this host, looked up before the fork: the user database must not be read after it.
#[derive(Debug, Clone)]
pub struct Account {
    pub name: String,
    pub home: String,
    pub uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
}

impl Account {
    /// None: there is no such user.
    ///
    /// # Errors
    /// When the user database cannot be read.
    pub fn named(name: &str) -> io::Result<Option<Account>> {
        User::from_name(name)?.map(Account::of).transpose()
    }

    /// The user this process runs as.
    ///
    /// # Errors
    /// When the user database cannot be read.
    pub fn own() -> io::Result<Account> {
        let uid = Uid::effective();
        let root = || User {
            name: if uid.is_root() { "root".into() } else { uid.to_string() },
            passwd: CString::default(),
            uid,
            gid: Gid::effective(),
            gecos: CString::default(),
            dir: if uid.is_root() { "/root".into() } else { "/".into() },
            shell: "/bin/sh".into(),
        };
        // A container may run without any user database.
        Account::of(User::from_uid(uid)?.unwrap_or_else(root))
    }

    fn of(user: User) -> io::Result<Account> {
        let name = CString::new(user.name.clone()).map_err(io::Error::other)?;
        Ok(Account {
            groups: getgrouplist(&name, user.gid)?,
            home: user.dir.to_string_lossy().into_owned(),
            name: user.name,
            uid: user.uid,
            gid: user.gid,
        })
    }

    /// Why `agent`, the user this process is, could not become this user.
    #[must_use]
    pub fn refusal(&self, agent: Uid) -> Option<String> {
        let can = agent.is_root() || agent == self.uid;
        (!can).then(|| format!("the agent runs as user {agent}, and only root can do that"))
    }

    /// Makes `command` run as this user. A no-op for the user this process is.
    #[expect(unsafe_code, reason = "std has no safe way to set supplementary groups")]
    pub fn assume(&self, command: &mut Command) {
        if self.uid == Uid::effective() {
            return;
        }
        let Account { uid, gid, groups, .. } = self.clone();
        // SAFETY: between fork and exec only async-signal-safe calls are allowed; these three are
        // plain system calls on memory allocated before the fork.
        unsafe {
            command.pre_exec(move || {
                setgroups(&groups)?;
                setgid(gid)?;
                setuid(uid)?;
                Ok(())
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_becomes_somebody_else() {
        let root = Account::named("root").unwrap().unwrap();
        let nobody = Account::named("nobody").unwrap().unwrap();
        assert_eq!(nobody.refusal(root.uid), None);
        assert_eq!(nobody.refusal(nobody.uid), None);
        assert!(root.refusal(nobody.uid).unwrap().contains("only root"));
    }
}
