//! `--userns`: which user namespace a container uses, and its id map.

use super::id_lines::{MapArg, Whose, filled, put_together};
use super::option_values::OTHER_IDS;
use crate::container::ids::{Extent, IdMaps};
use crate::error::{Error, Kind, Result};
use crate::spec::{MountSpec, Share};
use std::path::Path;
use std::str::FromStr;

/// Which ids a container has, as asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum IdsRequest {
    /// Those of the shared namespace: root is the user.
    #[default]
    Same,
    /// The subordinate ones alone: the user does not exist inside.
    WithoutUser,
    /// The user has these ids inside, or those that he has outside; the subordinate ones are the others.
    Kept {
        /// User id.
        uid: Option<u32>,
        /// Group id.
        gid: Option<u32>,
        /// How many users and groups there are at most.
        size: Option<u32>,
    },
    /// These, line by line.
    Given {
        /// For users.
        uids: Vec<MapArg>,
        /// For groups.
        gids: Vec<MapArg>,
    },
    /// Those of another container, whose namespaces are shared.
    Of(IdMaps),
}

impl IdsRequest {
    /// What `--uidmap` and `--gidmap` ask for; one stands for both, as with podman.
    pub fn given(uids: &[MapArg], gids: &[MapArg]) -> Option<IdsRequest> {
        let (uids, gids) = match (uids, gids) {
            ([], []) => return None,
            (one, []) | ([], one) => (one, one),
            both => both,
        };
        Some(IdsRequest::Given { uids: uids.to_vec(), gids: gids.to_vec() })
    }
}

/// The account that starts a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// How many users and groups the shared namespace has.
    pub available: (u32, u32),
    /// Which ids of the host they are.
    pub host: IdMaps,
    /// User and group.
    pub ids: (u32, u32),
    /// Its entry of `/etc/passwd`, without a password.
    pub entry: Option<String>,
}

/// `--userns`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Userns {
    /// Whose namespace.
    pub share: Share,
    /// Which ids are in one of its own.
    pub ids: IdsRequest,
}

fn refuse(message: String, hint: &str) -> Error {
    Error::new(Kind::Usage, message).hint(hint)
}

impl FromStr for Userns {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let (mode, options) = s.split_once(':').map_or((s, None), |(mode, options)| (mode, Some(options)));
        let own = |ids| Ok(Userns { share: Share::Private, ids });
        match (mode, options) {
            // Every container has one of its own; without an id map of its own it is the usual one.
            ("host" | "private" | "", None) => own(IdsRequest::Same),
            ("nomap", None) => own(IdsRequest::WithoutUser),
            ("keep-id", options) => own(kept_ids(s, options)?),
            ("auto", _) => Err(refuse(
                format!(
                    "user namespace mode {s:?} is not supported: containers have no id ranges to \
                         themselves"
                ),
                OTHER_IDS,
            )),
            _ => match super::option_values::elsewhere(s) {
                Some(share) => Ok(Userns { share: share?, ids: IdsRequest::Same }),
                None => Err(refuse(
                    format!("{s:?} is not a user namespace mode"),
                    "Use host, keep-id, nomap or container:NAME, or leave --userns out.",
                )),
            },
        }
    }
}

/// `keep-id[:uid=UID,gid=GID,size=N]`.
fn kept_ids(s: &str, options: Option<&str>) -> Result<IdsRequest> {
    let (mut uid, mut gid, mut size) = (None, None, None);
    for option in options.into_iter().flat_map(|options| options.split(',')) {
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        // The last number is none (attack case 28).
        let number = value.bytes().all(|b| b.is_ascii_digit()).then(|| value.parse().ok()).flatten();
        let number = number.filter(|number| *number < u32::MAX);
        match (key, number) {
            ("uid", Some(number)) => uid = Some(number),
            ("gid", Some(number)) => gid = Some(number),
            ("size", Some(number @ 1..)) => size = Some(number),
            _ => {
                return Err(refuse(
                    format!("{s:?}: {option:?} is not an option of keep-id"),
                    "Write numbers below 4294967295, for example --userns=keep-id:uid=1000,gid=1000.",
                ));
            }
        }
    }
    Ok(IdsRequest::Kept { uid, gid, size })
}

/// The maps of what was asked for.
///
/// # Errors
/// When the account has no subordinate ids.
pub(super) fn maps(asked: &IdsRequest, account: &Account) -> Result<IdMaps> {
    let found = match asked {
        IdsRequest::Same => return Ok(IdMaps::default()),
        IdsRequest::Of(maps) => return Ok(maps.clone()),
        IdsRequest::Given { uids, gids } => {
            let Account { available, host, .. } = account;
            return Ok(IdMaps {
                uids: given(uids, Whose::Users, &host.uids, available.0)?,
                gids: given(gids, Whose::Groups, &host.gids, available.1)?,
            });
        }
        IdsRequest::WithoutUser => IdMaps::without_user(account.available),
        IdsRequest::Kept { uid, gid, size } => {
            let most = size.unwrap_or(u32::MAX);
            let count = (account.available.0.min(most), account.available.1.min(most));
            let user = (uid.unwrap_or(account.ids.0), gid.unwrap_or(account.ids.1));
            // Somebody has to be the container's root.
            IdMaps::without_user(account.available).map(|_| IdMaps::with_user_as(user, count))
        }
    };
    found.ok_or_else(|| {
        Error::new(Kind::Host, "--userns: another id map needs subordinate ids, and this account has none")
            .hint("See what is missing and how to get it: coracle info")
    })
}

/// The map that lines of options make, all ids where none is meant for it.
fn given(args: &[MapArg], whose: Whose, host: &[Extent], available: u32) -> Result<Vec<Extent>> {
    let mut lines = put_together(args, whose, host, available)?;
    if lines.is_empty() {
        lines = filled(lines, available);
    }
    check_given(whose.option(), &lines, available)?;
    Ok(lines)
}

/// What the kernel would refuse without a word, and a container without a root.
fn check_given(option: &str, lines: &[Extent], available: u32) -> Result<()> {
    let meet = |a: (u32, u32), b: (u32, u32)| a.0 < b.0 + b.1 && b.0 < a.0 + a.1;
    for (at, a) in lines.iter().enumerate() {
        if a.outside + a.count > available {
            return Err(refuse(
                format!(
                    "{option}: there is no id {}: this account has 0 to {}",
                    a.outside + a.count - 1,
                    available - 1
                ),
                "See your ranges and how to get larger ones: coracle info",
            ));
        }
        for b in &lines[at + 1..] {
            if meet((a.inside, a.count), (b.inside, b.count))
                || meet((a.outside, a.count), (b.outside, b.count))
            {
                return Err(refuse(
                    format!("{option}: two lines name the same ids"),
                    "Give every id once, for example --uidmap 0:1:1000 --uidmap 1000:0:1.",
                ));
            }
        }
    }
    if !lines.iter().any(|line| line.inside == 0) {
        return Err(refuse(
            format!("{option}: the container would have no root"),
            "Give it one, for example --uidmap 0:1:1000.",
        ));
    }
    Ok(())
}

/// The user's own account, in a container that maps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    /// `UID:GID`, the payload's user unless another one is requested.
    pub(super) user: String,
    /// Its entry of `/etc/passwd`, when the container's user is the host's.
    pub(super) passwd: Option<String>,
    /// Its entry of `/etc/group`.
    pub(super) group: Option<String>,
}

/// The payload's user under `keep-id`, as in podman: the home directory is the host's where that
/// is mounted, else the working directory.
pub(super) fn kept(asked: &IdsRequest, account: &Account, cwd: &Path, mounts: &[MountSpec]) -> Option<Kept> {
    let IdsRequest::Kept { uid, gid, .. } = asked else { return None };
    let (uid, gid) = (uid.unwrap_or(account.ids.0), gid.unwrap_or(account.ids.1));
    let mut kept = Kept { user: format!("{uid}:{gid}"), passwd: None, group: None };
    let fields: Vec<&str> = account.entry.iter().flat_map(|entry| entry.split(':')).collect();
    if let [name, _, _, _, full_name, home, ..] = fields[..]
        && uid == account.ids.0
    {
        let own = Path::new(home);
        let mounted = mounts.iter().map(|mount| mount.destination.as_path());
        let has_home = own.is_absolute() && mounted.into_iter().any(|place| own.starts_with(place));
        let cwd = cwd.to_string_lossy();
        let home = if has_home { home } else { &cwd };
        if !home.contains([':', '\n']) {
            kept.passwd = Some(format!("{name}:*:{uid}:{gid}:{full_name}:{home}:/bin/sh"));
        }
        kept.group = Some(format!("{name}:x:{gid}:{name}"));
    }
    Some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::MountSource;

    fn account() -> Account {
        Account {
            available: (11, 6),
            host: IdMaps::default(),
            ids: (1000, 100),
            entry: Some("me:*:1000:100:Me, myself:/home/me:/bin/zsh".into()),
        }
    }

    #[test]
    fn modes_are_read_or_refused_with_the_reason() {
        for (text, ids) in [
            ("host", IdsRequest::Same),
            ("", IdsRequest::Same),
            ("private", IdsRequest::Same),
            ("nomap", IdsRequest::WithoutUser),
            ("keep-id:size=5", IdsRequest::Kept { uid: None, gid: None, size: Some(5) }),
            ("keep-id", IdsRequest::Kept { uid: None, gid: None, size: None }),
            ("keep-id:uid=5", IdsRequest::Kept { uid: Some(5), gid: None, size: None }),
            ("keep-id:gid=7,uid=0", IdsRequest::Kept { uid: Some(0), gid: Some(7), size: None }),
        ] {
            assert_eq!(text.parse::<Userns>().unwrap(), Userns { share: Share::Private, ids }, "{text}");
        }
        assert_eq!("container:x".parse::<Userns>().unwrap().share, Share::Container("x".to_owned()));
        assert!("auto:size=5".parse::<Userns>().unwrap_err().message().contains("is not supported"));
        for bad in ["wat", "container:", "host:x", "private:", "nomap:", "nomap:uid=1"] {
            assert!(bad.parse::<Userns>().is_err(), "{bad}");
        }
        // Attack case 28.
        for option in
            ["", "uid", "uid=", "uid=-1", "uid=+1", "uid=4294967295", "gid=4294967296", "size=0", "wat=5"]
        {
            let error = format!("keep-id:{option}").parse::<Userns>().unwrap_err();
            assert!(error.message().contains("not an option of keep-id"), "{option}");
        }
    }

    #[test]
    fn maps_need_subordinate_ids() {
        let alone = Account { available: (1, 1), ..account() };
        assert!(!maps(&IdsRequest::Same, &alone).unwrap().is_shifted());
        let keep = IdsRequest::Kept { uid: None, gid: Some(3), size: None };
        for asked in [&IdsRequest::WithoutUser, &keep] {
            assert_eq!(maps(asked, &alone).unwrap_err().kind(), Kind::Host);
        }
        let nomap = maps(&IdsRequest::WithoutUser, &account()).unwrap();
        assert_eq!((nomap.uids[0].count, nomap.gids[0].count), (10, 5));
        assert_eq!(maps(&IdsRequest::Of(nomap.clone()), &alone).unwrap(), nomap);
        assert_eq!(maps(&keep, &account()).unwrap().inside((0, 0)), (Some(1000), Some(3)));
        let few = IdsRequest::Kept { uid: Some(2), gid: Some(0), size: Some(4) };
        let counts = |lines: Vec<Extent>| lines.iter().map(|line| line.count).sum::<u32>();
        let few = maps(&few, &account()).unwrap();
        assert_eq!((counts(few.uids), counts(few.gids)), (4, 4));
    }

    #[test]
    fn lines_are_checked_before_the_kernel_sees_them() {
        let line = |text: &str| text.parse::<MapArg>();
        let given = |lines: &[&str]| {
            let lines: Vec<MapArg> = lines.iter().map(|text| line(text).unwrap()).collect();
            maps(&IdsRequest::given(&lines, &[line("0:0:1").unwrap()]).unwrap(), &account())
        };
        assert_eq!(given(&["0:1:5", "5:0:1"]).unwrap().inside((0, 0)), (Some(5), Some(0)));
        for (lines, why) in [
            (&["0:1:11"][..], "no id 11"),
            (&["0:1:5", "4:7:1"], "same ids"),
            (&["0:1:5", "5:5:1"], "same ids"),
            (&["1:1:5"], "no root"),
        ] {
            assert!(given(lines).unwrap_err().message().contains(why), "{lines:?}");
        }
        let both = IdsRequest::given(&[line("0:1:5").unwrap()], &[]).unwrap();
        let both = maps(&both, &Account { available: (6, 6), ..account() }).unwrap();
        assert_eq!(both.uids, both.gids);
        let groups = IdsRequest::given(&[], &[line("g0:1:5").unwrap()]).unwrap();
        let groups = maps(&groups, &account()).unwrap();
        assert_eq!(groups.uids, [Extent { inside: 0, outside: 0, count: 11 }]);
        assert_eq!(groups.gids, [Extent { inside: 0, outside: 1, count: 5 }]);
        assert_eq!(IdsRequest::given(&[], &[]), None);
    }

    #[test]
    fn the_kept_user_has_an_entry() {
        let keep = IdsRequest::Kept { uid: None, gid: None, size: None };
        let at = |place: &str| {
            let source = MountSource::Bind { path: "/x".into(), recursive: true };
            MountSpec::new(source, place.into())
        };
        for (mounts, home) in [
            (vec![], "/work"),
            (vec![at("/home/me/src")], "/work"),
            (vec![at("/data"), at("/home/me")], "/home/me"),
            (vec![at("/home")], "/home/me"),
        ] {
            let kept = kept(&keep, &account(), Path::new("/work"), &mounts).unwrap();
            assert_eq!(kept.user, "1000:100");
            assert_eq!(kept.passwd.unwrap(), format!("me:*:1000:100:Me, myself:{home}:/bin/sh"));
            assert_eq!(kept.group.unwrap(), "me:x:100:me");
        }
        let other = IdsRequest::Kept { uid: Some(5), gid: None, size: None };
        let other = kept(&other, &account(), Path::new("/"), &[]).unwrap();
        assert_eq!((other.user.as_str(), other.passwd), ("5:100", None));
        let odd = kept(&keep, &account(), Path::new("/a:b"), &[]).unwrap();
        assert_eq!(odd.passwd, None);
        assert_eq!(kept(&IdsRequest::WithoutUser, &account(), Path::new("/"), &[]), None);
    }
}
