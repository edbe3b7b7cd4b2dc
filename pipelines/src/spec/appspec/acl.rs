//! One ACL entry, in setfacl's words.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// `[d:]kind:[name]:permissions`. Unnamed user, group and other are refused, as `mode` sets those,
/// unless they are defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Acl {
    /// Whether it is for what will be created in the directory.
    pub default: bool,
    pub kind: AclKind,
    /// The user or group; empty for a mask, for others, and for the owners of what is created.
    pub name: String,
    /// 4 read, 2 write, 1 execute.
    pub permissions: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AclKind {
    User,
    Group,
    Mask,
    /// Only as a default.
    Other,
}

/// Why an entry was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadAcl {
    #[error("it has to have two to four parts between colons")]
    Parts,
    #[error("the kind is none of user, group, mask, other")]
    Kind,
    #[error("permissions are of `r`, `w`, `x`, `-`, or one digit from 0 to 7")]
    Permissions,
    #[error("only users and groups have a name")]
    Named,
    #[error("the owner, the owning group and others are set with `mode`")]
    Base,
}

impl Acl {
    /// Whether the kind is left out, which CodeDeploy's agents took for a user until 2.0.
    pub(super) fn is_short(text: &str) -> bool {
        parts(text).1.len() < 3
    }
}

/// Whether it starts with `d:`, and the parts behind that.
fn parts(text: &str) -> (bool, Vec<&str>) {
    let mut parts: Vec<&str> = text.split(':').map(str::trim).collect();
    let default = parts.len() > 2 && matches!(parts[0], "d" | "default");
    if default {
        parts.remove(0);
    }
    (default, parts)
}

impl FromStr for Acl {
    type Err = BadAcl;
    fn from_str(text: &str) -> Result<Self, BadAcl> {
        let (default, parts) = parts(text);
        let (kind, name, permissions) = match parts.as_slice() {
            ["u" | "user" | "g" | "group", _] => return Err(BadAcl::Base),
            [kind @ ("m" | "mask" | "o" | "other"), permissions] => (*kind, "", *permissions),
            [name, permissions] => ("user", *name, *permissions),
            [kind, name, permissions] => (*kind, *name, *permissions),
            _ => return Err(BadAcl::Parts),
        };
        let kind = match kind {
            "u" | "user" => AclKind::User,
            "g" | "group" => AclKind::Group,
            "m" | "mask" => AclKind::Mask,
            "o" | "other" => AclKind::Other,
            _ => return Err(BadAcl::Kind),
        };
        match kind {
            AclKind::Mask | AclKind::Other if !name.is_empty() => return Err(BadAcl::Named),
            AclKind::User | AclKind::Group | AclKind::Other if name.is_empty() && !default => {
                return Err(BadAcl::Base);
            }
            AclKind::User | AclKind::Group | AclKind::Mask | AclKind::Other => {}
        }
        let permissions = bits(permissions).ok_or(BadAcl::Permissions)?;
        Ok(Acl { default, kind, name: name.to_owned(), permissions })
    }
}

/// Letters may be left out, stand in any order and twice, as for the agent; nothing is nothing.
fn bits(text: &str) -> Option<u8> {
    if let [digit @ b'0'..=b'7'] = text.as_bytes() {
        return Some(digit - b'0');
    }
    text.bytes().try_fold(0, |sum, letter| match letter {
        b'r' => Some(sum | 4),
        b'w' => Some(sum | 2),
        b'x' => Some(sum | 1),
        b'-' => Some(sum),
        _ => None,
    })
}

impl fmt::Display for Acl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            AclKind::User => "user",
            AclKind::Group => "group",
            AclKind::Mask => "mask",
            AclKind::Other => "other",
        };
        let letter = |bit: u8, letter: char| if self.permissions & bit != 0 { letter } else { '-' };
        let default = if self.default { "default:" } else { "" };
        let (r, w, x) = (letter(4, 'r'), letter(2, 'w'), letter(1, 'x'));
        write!(f, "{default}{kind}:{}:{r}{w}{x}", self.name)
    }
}

impl TryFrom<String> for Acl {
    type Error = BadAcl;
    fn try_from(text: String) -> Result<Self, BadAcl> {
        text.parse()
    }
}

impl From<Acl> for String {
    fn from(acl: Acl) -> String {
        acl.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_those_setfacl_takes_apart_from_the_base_ones() {
        let good = [
            ("u:deploy:rwx", "user:deploy:rwx"),
            ("d:g:web:5", "default:group:web:r-x"),
            ("m:rx", "mask::r-x"),
            ("mask::rw", "mask::rw-"),
            ("d:g::rx", "default:group::r-x"),
            ("d:o:r", "default:other::r--"),
            ("default:other::4", "default:other::r--"),
            ("deploy:rwx", "user:deploy:rwx"),
            ("d:deploy:rwx", "default:user:deploy:rwx"),
            ("u:deploy:", "user:deploy:---"),
            ("u:deploy:rrx", "user:deploy:r-x"),
        ];
        for (text, printed) in good {
            assert_eq!(text.parse::<Acl>().unwrap().to_string(), printed, "{text}");
            assert_eq!(printed.parse::<Acl>(), text.parse());
        }
        let bad = [
            ("rwx", BadAcl::Parts),
            ("a:b:c:d:e", BadAcl::Parts),
            ("x:deploy:rwx", BadAcl::Kind),
            ("u:deploy:rwz", BadAcl::Permissions),
            ("d:d:deploy:rwx", BadAcl::Kind),
            (":deploy:rwx", BadAcl::Kind),
            ("u:deploy:8", BadAcl::Permissions),
            ("u::rwx", BadAcl::Base),
            ("o::r", BadAcl::Base),
            ("u:rwx", BadAcl::Base),
            (":rwx", BadAcl::Base),
            ("d:o:web:r", BadAcl::Named),
            ("m:web:r", BadAcl::Named),
        ];
        for (text, error) in bad {
            assert_eq!(text.parse::<Acl>(), Err(error), "{text}");
        }
    }
}
