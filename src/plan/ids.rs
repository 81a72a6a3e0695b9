//! `--userns`: whose user namespace, and which ids are in it.

use super::Share;
use super::words::OTHER_IDS;
use crate::container::ids::IdMaps;
use crate::error::{Error, Kind, Result};
use std::str::FromStr;

/// Which ids a container has, as asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum IdsRequest {
    /// Those of the shared namespace: root is the user.
    #[default]
    Same,
    /// The subordinate ones alone: the user does not exist inside.
    WithoutUser,
    /// Those of another container, whose namespaces are shared.
    Of(IdMaps),
}

/// `--userns`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Userns {
    /// Whose namespace.
    pub share: Share,
    /// Which ids are in one of its own.
    pub ids: IdsRequest,
}

impl FromStr for Userns {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let own = |ids| Ok(Userns { share: Share::Private, ids });
        match s.split(':').next() {
            Some("host" | "") if !s.contains(':') => own(IdsRequest::Same),
            Some("nomap") if !s.contains(':') => own(IdsRequest::WithoutUser),
            Some("keep-id" | "auto") => Err(Error::new(
                Kind::Usage,
                format!("user namespace mode {s:?} is not offered yet: of other id maps, only nomap is"),
            )
            .hint(OTHER_IDS)),
            _ => match super::words::elsewhere(s) {
                Some(share) => Ok(Userns { share: share?, ids: IdsRequest::Same }),
                None => Err(Error::new(Kind::Usage, format!("{s:?} is not a user namespace mode"))
                    .hint("Use host, nomap or container:NAME, or leave --userns out.")),
            },
        }
    }
}

/// The maps of what was asked for; `available` is how many users and groups the shared namespace has.
///
/// # Errors
/// When the account has no subordinate ids.
pub(super) fn maps(asked: &IdsRequest, available: (u32, u32)) -> Result<IdMaps> {
    match asked {
        IdsRequest::Same => Ok(IdMaps::default()),
        IdsRequest::Of(maps) => Ok(maps.clone()),
        IdsRequest::WithoutUser => IdMaps::without_user(available).ok_or_else(|| {
            Error::new(Kind::Host, "--userns=nomap: this account has no subordinate ids")
                .hint("See what is missing and how to get it: coracle info")
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_or_refused_with_the_reason() {
        for good in ["host", ""] {
            let same = Userns { share: Share::Private, ids: IdsRequest::Same };
            assert_eq!(good.parse::<Userns>().unwrap(), same);
        }
        assert_eq!("nomap".parse::<Userns>().unwrap().ids, IdsRequest::WithoutUser);
        assert_eq!("container:x".parse::<Userns>().unwrap().share, Share::Container("x".to_owned()));
        for bad in ["keep-id:uid=5", "auto"] {
            assert!(bad.parse::<Userns>().unwrap_err().message().contains("not offered yet"), "{bad}");
        }
        for bad in ["wat", "container:", "host:x", "private:", "nomap:", "nomap:uid=1"] {
            assert!(bad.parse::<Userns>().is_err(), "{bad}");
        }
    }

    #[test]
    fn maps_need_subordinate_ids() {
        assert!(!maps(&IdsRequest::Same, (1, 1)).unwrap().is_shifted());
        assert_eq!(maps(&IdsRequest::WithoutUser, (1, 1)).unwrap_err().kind(), Kind::Host);
        let nomap = maps(&IdsRequest::WithoutUser, (11, 6)).unwrap();
        assert_eq!((nomap.uids[0].count, nomap.gids[0].count), (10, 5));
        assert_eq!(maps(&IdsRequest::Of(nomap.clone()), (1, 1)).unwrap(), nomap);
    }
}
