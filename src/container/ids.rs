//! Which ids inside a container are which in the user's shared namespace.

use serde::{Deserialize, Serialize};

/// One line of an id map (user_namespaces(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// First id inside.
    pub inside: u32,
    /// First id outside.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

impl Extent {
    /// The id outside that `id` inside is.
    pub fn out(&self, id: u32) -> Option<u32> {
        let at = id.checked_sub(self.inside).filter(|at| *at < self.count)?;
        self.outside.checked_add(at)
    }

    /// The other way round.
    fn back(&self) -> Extent {
        Extent { inside: self.outside, outside: self.inside, count: self.count }
    }
}

/// How a container's ids (inside) correspond to those of the shared namespace (outside), in which its
/// files belong to somebody. Without extents they are the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IdMaps {
    /// User ids.
    pub uids: Vec<Extent>,
    /// Group ids.
    pub gids: Vec<Extent>,
}

impl IdMaps {
    /// Whether they are other ids.
    pub fn is_shifted(&self) -> bool {
        !self.uids.is_empty() || !self.gids.is_empty()
    }

    /// The map in which the user does not exist: 0 and up are the subordinate ids. `count` says how many
    /// users and groups there are outside, the user's own among them; `None` where there are no others.
    pub fn without_user(count: (u32, u32)) -> Option<IdMaps> {
        let after_own = |count: u32| {
            let count = count.checked_sub(1).filter(|left| *left > 0)?;
            Some(vec![Extent { inside: 0, outside: 1, count }])
        };
        Some(IdMaps { uids: after_own(count.0)?, gids: after_own(count.1)? })
    }

    /// The map in which the user, 0 outside, is `user` inside; the subordinate ids are all others from 0 on.
    /// `count` as in [`IdMaps::without_user`].
    pub fn with_user_as(user: (u32, u32), count: (u32, u32)) -> IdMaps {
        let around = |own: u32, count: u32| {
            let others = count.saturating_sub(1);
            let below = own.min(others);
            let lines = [
                Extent { inside: 0, outside: 1, count: below },
                Extent { inside: own, outside: 0, count: 1 },
                Extent { inside: own.saturating_add(1), outside: below + 1, count: others - below },
            ];
            lines.into_iter().filter(|line| line.count > 0).collect()
        };
        IdMaps { uids: around(user.0, count.0), gids: around(user.1, count.1) }
    }

    /// The owner outside of what belongs to `owner` inside; `None` for ids that do not exist outside.
    pub fn outside(&self, owner: (u32, u32)) -> (Option<u32>, Option<u32>) {
        (translate(&self.uids, owner.0, Extent::out), translate(&self.gids, owner.1, Extent::out))
    }

    /// The owner inside of what belongs to `owner` outside; `None` for ids that do not exist inside.
    pub fn inside(&self, owner: (u32, u32)) -> (Option<u32>, Option<u32>) {
        let back = |extent: &Extent, id| extent.back().out(id);
        (translate(&self.uids, owner.0, back), translate(&self.gids, owner.1, back))
    }

    /// The container's root, outside. Every map has one; the user takes the place of one that is missing.
    pub fn root(&self) -> (u32, u32) {
        let (uid, gid) = self.outside((0, 0));
        (uid.unwrap_or(0), gid.unwrap_or(0))
    }
}

fn translate(extents: &[Extent], id: u32, by: impl Fn(&Extent, u32) -> Option<u32>) -> Option<u32> {
    if extents.is_empty() { Some(id) } else { extents.iter().find_map(|extent| by(extent, id)) }
}

/// The lines of a child's map: `extents` cut where `parent`'s own lines end, since the kernel takes none
/// that crosses such a border (user_namespaces(7), "Defining user and group ID mappings"). Without extents
/// every id of the parent stays the same. `None` when the parent lacks some of them.
pub fn child_lines(extents: &[Extent], parent: &[Extent]) -> Option<Vec<Extent>> {
    if extents.is_empty() {
        return Some(parent.iter().map(|line| Extent { outside: line.inside, ..*line }).collect());
    }
    let mut lines = Vec::new();
    for extent in extents {
        let mut rest = *extent;
        while rest.count > 0 {
            let (line, at) = parent.iter().find_map(|line| {
                let at = rest.outside.checked_sub(line.inside).filter(|at| *at < line.count)?;
                Some((line, at))
            })?;
            let count = rest.count.min(line.count - at);
            lines.push(Extent { count, ..rest });
            // The last id of all has none after it.
            let next = |id: u32| id.saturating_add(count);
            rest =
                Extent { inside: next(rest.inside), outside: next(rest.outside), count: rest.count - count };
        }
    }
    Some(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(inside: u32, outside: u32, count: u32) -> Extent {
        Extent { inside, outside, count }
    }

    #[test]
    fn ids_are_translated_both_ways() {
        let maps = IdMaps::without_user((65537, 101)).unwrap();
        assert_eq!(maps.uids, [extent(0, 1, 65536)]);
        assert_eq!(maps.gids, [extent(0, 1, 100)]);
        assert!(maps.is_shifted());
        assert_eq!(maps.root(), (1, 1));
        for (inside, outside) in [
            ((0, 0), (Some(1), Some(1))),
            ((65535, 99), (Some(65536), Some(100))),
            ((65536, 100), (None, None)),
        ] {
            assert_eq!(maps.outside(inside), outside);
            if let (Some(uid), Some(gid)) = outside {
                assert_eq!(maps.inside((uid, gid)), (Some(inside.0), Some(inside.1)));
            }
        }
        assert_eq!(maps.inside((0, 0)), (None, None));
        assert_eq!(maps.outside((u32::MAX, u32::MAX)), (None, None));
        let same = IdMaps::default();
        assert!(!same.is_shifted());
        assert_eq!(same.outside((7, 4_294_967_294)), (Some(7), Some(4_294_967_294)));
        assert_eq!(same.root(), (0, 0));
        for count in [(1, 65537), (65537, 1), (0, 0)] {
            assert_eq!(IdMaps::without_user(count), None, "{count:?}");
        }
    }

    #[test]
    fn the_user_gets_a_number_inside() {
        let maps = IdMaps::with_user_as((1000, 5000), (65537, 101));
        assert_eq!(maps.uids, [extent(0, 1, 1000), extent(1000, 0, 1), extent(1001, 1001, 64536)]);
        // More than there are others: the user comes last.
        assert_eq!(maps.gids, [extent(0, 1, 100), extent(5000, 0, 1)]);
        assert_eq!(maps.root(), (1, 1));
        assert_eq!(maps.inside((0, 0)), (Some(1000), Some(5000)));
        assert_eq!(maps.outside((1001, 100)), (Some(1001), None));
        let root = IdMaps::with_user_as((0, 0), (11, 1));
        assert_eq!((root.uids, root.gids), (vec![extent(0, 0, 1), extent(1, 1, 10)], vec![extent(0, 0, 1)]));
    }

    #[test]
    fn lines_end_where_those_of_the_parent_do() {
        let parent = [extent(0, 1000, 1), extent(1, 100_000, 10), extent(11, 300_000, 5)];
        let same = child_lines(&[], &parent).unwrap();
        assert_eq!(same, [extent(0, 0, 1), extent(1, 1, 10), extent(11, 11, 5)]);
        let nomap = child_lines(&[extent(0, 1, 15)], &parent).unwrap();
        assert_eq!(nomap, [extent(0, 1, 10), extent(10, 11, 5)]);
        let whole = child_lines(&[extent(0, 0, 16)], &parent).unwrap();
        assert_eq!(whole, [extent(0, 0, 1), extent(1, 1, 10), extent(11, 11, 5)]);
        assert_eq!(child_lines(&[extent(0, 1, 16)], &parent), None);
        assert_eq!(child_lines(&[extent(0, 16, 1)], &parent), None);
        let everything = [extent(0, 0, u32::MAX)];
        assert_eq!(child_lines(&[extent(0, 1, u32::MAX - 1)], &everything).unwrap().len(), 1);
    }
}
