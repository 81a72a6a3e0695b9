//! `--chown`: users and groups by name or number.
//!
//! As in BuildKit and podman, a user's number alone is the group's number too, a user's name alone brings the group of
//! its entry in `/etc/passwd`, and names are looked up in the files of the image. A name that is not there is refused.

use crate::error::{Error, Kind, Result};
use crate::fork::Step;
use crate::runtime::passwd;
use crate::spec::UserSpec;
use std::os::fd::BorrowedFd;
use std::str::FromStr;

/// Whom copied files shall belong to, names not looked up yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerName {
    user: Option<Who>,
    group: Option<Who>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Who {
    Id(u32),
    Name(String),
}

impl Who {
    fn text(&self) -> String {
        match self {
            Who::Id(id) => id.to_string(),
            Who::Name(name) => name.clone(),
        }
    }
}

impl FromStr for OwnerName {
    type Err = Error;

    /// Reads `user`, `user:group` or `:group`.
    fn from_str(text: &str) -> Result<Self> {
        let refuse = |why: &str| Error::new(Kind::Usage, format!("--chown {text:?}: {why}"));
        let (user, group) = text.split_once(':').unwrap_or((text, ""));
        let who = |text: &str| match text {
            "" => Ok(None),
            // It has this number without an entry too.
            "root" => Ok(Some(Who::Id(0))),
            _ if text.bytes().all(|b| b.is_ascii_digit()) => {
                let id = text.parse().ok().filter(|id| *id != u32::MAX);
                id.map(|id| Some(Who::Id(id))).ok_or_else(|| refuse("ids end at 4294967294"))
            }
            _ if text.contains(':') => Err(refuse("it is not user:group")),
            _ => Ok(Some(Who::Name(text.to_owned()))),
        };
        let owner = OwnerName { user: who(user)?, group: who(group)? };
        if owner.user.is_none() && owner.group.is_none() {
            return Err(refuse("it names nobody"));
        }
        Ok(owner)
    }
}

impl OwnerName {
    /// The ids of user and group, names looked up in the files below `root`.
    ///
    /// # Errors
    /// A name that is not there; a file that cannot be read.
    pub fn look_up(&self, root: BorrowedFd<'_>) -> Result<(u32, u32)> {
        match (&self.user, &self.group) {
            (Some(Who::Id(user)), None) => return Ok((*user, *user)),
            (Some(Who::Id(user)), Some(Who::Id(group))) => return Ok((*user, *group)),
            (None, Some(Who::Id(group))) => return Ok((0, *group)),
            _ => {}
        }
        let mut user = self.user.as_ref().map(Who::text).unwrap_or_default();
        if let Some(group) = &self.group {
            user = format!("{user}:{}", group.text());
        }
        let found = passwd::resolve(root, &UserSpec { user, ..UserSpec::default() });
        let found = found.map_err(|failure| match failure.step() {
            Step::FindAccount => Error::new(Kind::NotFound, failure.describe()),
            _ => failure.into(),
        })?;
        // Without a user it is root, whatever number the image's root has.
        Ok((if self.user.is_some() { found.uid } else { 0 }, found.gid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn owners_are_looked_up_in_the_image() {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("etc")).unwrap();
        let passwd = "root:x:0:0::/root:/bin/sh\nbin:x:2:3::/:/bin/sh\n1:x:77:78::/:/bin/sh\n";
        std::fs::write(place.path().join("etc/passwd"), passwd).unwrap();
        std::fs::write(place.path().join("etc/group"), "root:x:0:\nmygroup:x:500:\n").unwrap();
        let root = std::fs::File::open(place.path()).unwrap();
        let of = |text: &str| text.parse::<OwnerName>().unwrap().look_up(root.as_fd());
        let cases = [
            ("55:mygroup", (55, 500)),
            ("bin", (2, 3)),
            ("bin:", (2, 3)),
            ("1", (1, 1)),
            ("10:11", (10, 11)),
            ("bin:mygroup", (2, 500)),
            ("bin:7", (2, 7)),
            (":mygroup", (0, 500)),
            (":8", (0, 8)),
            ("root", (0, 0)),
            ("root:root", (0, 0)),
        ];
        for (text, ids) in cases {
            assert_eq!(of(text).unwrap(), ids, "{text}");
        }
        for missing in ["nobody", "1:nogroup", "nobody:mygroup"] {
            assert!(of(missing).unwrap_err().message().contains("no matching entries in"), "{missing}");
        }
        for malformed in ["", ":", "a:b:c", "4294967295", "99999999999:1"] {
            malformed.parse::<OwnerName>().unwrap_err();
        }
    }

    #[test]
    fn numbers_need_no_files() {
        let place = tempfile::tempdir().unwrap();
        let root = std::fs::File::open(place.path()).unwrap();
        assert_eq!("1000:100".parse::<OwnerName>().unwrap().look_up(root.as_fd()).unwrap(), (1000, 100));
        assert_eq!("root".parse::<OwnerName>().unwrap().look_up(root.as_fd()).unwrap(), (0, 0));
        "bin".parse::<OwnerName>().unwrap().look_up(root.as_fd()).unwrap_err();
    }
}
