//! The lines of `--uidmap` and `--gidmap` (podman-run(1)), put together to maps.

use crate::container::ids::Extent;
use crate::error::{Error, Kind, Result};
use std::str::FromStr;

/// One line, `[+ug]CONTAINER:[@]FROM[:COUNT]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapArg {
    extent: Extent,
    /// `+`: takes its ids away from the lines before it.
    extends: bool,
    /// `@`: FROM is an id of the host.
    of_host: bool,
    /// For users.
    users: bool,
    /// For groups.
    groups: bool,
}

impl FromStr for MapArg {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let wrong = || {
            let message = format!("{s:?} is not a line of an id map");
            Error::new(Kind::Usage, message)
                .hint("Write CONTAINER:FROM:COUNT, for example --uidmap 0:1:1000.")
        };
        let lines = s.trim_start_matches(['+', 'u', 'g']);
        let flags = &s[..s.len() - lines.len()];
        let has = |flag: char| flags.contains(flag);
        let of_host = lines.contains(":@");
        let numbers = lines.replacen(":@", ":", 1);
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let parts = numbers.split(':').map(|part| part.parse().ok().filter(|_| digits(part)));
        let (inside, outside, count) = match parts.collect::<Option<Vec<u32>>>().as_deref() {
            Some(&[inside, outside]) => (inside, outside, 1),
            Some(&[inside, outside, count]) => (inside, outside, count),
            _ => return Err(wrong()),
        };
        // The last number is none (attack case 28).
        let fits = |first: u32| first.checked_add(count).is_some();
        let at_from = !of_host || lines.split(':').nth(1).is_some_and(|part| part.starts_with('@'));
        if count == 0 || !fits(inside) || !fits(outside) || !at_from {
            return Err(wrong());
        }
        let both = !has('u') && !has('g');
        Ok(MapArg {
            extent: Extent { inside, outside, count },
            extends: has('+'),
            of_host,
            users: both || has('u'),
            groups: both || has('g'),
        })
    }
}

/// Whose map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// Of users: `--uidmap`.
    Users,
    /// Of groups: `--gidmap`.
    Groups,
}

impl Whose {
    /// The option.
    pub(super) fn option(self) -> &'static str {
        match self {
            Whose::Users => "--uidmap",
            Whose::Groups => "--gidmap",
        }
    }
}

/// The map that the lines make; without any that count it is empty. `host` says which ids of the host those of the
/// shared namespace are, from 0 to `available`.
///
/// # Errors
/// [`Kind::Usage`] for an id of the host that the account does not have.
pub(super) fn put_together(
    args: &[MapArg],
    whose: Whose,
    host: &[Extent],
    available: u32,
) -> Result<Vec<Extent>> {
    let mut lines: Vec<Extent> = Vec::new();
    let mut fill = false;
    for arg in args.iter().filter(|arg| if whose == Whose::Users { arg.users } else { arg.groups }) {
        let extents = if arg.of_host { shared(arg.extent, host, whose)? } else { vec![arg.extent] };
        for extent in extents {
            if arg.extends {
                // With nothing to extend, all other ids follow.
                fill |= lines.is_empty();
                lines = lines.into_iter().flat_map(|line| without(line, extent)).collect();
            }
            lines.push(extent);
        }
    }
    if fill {
        lines = filled(lines, available);
    }
    Ok(lines)
}

/// A line for ids of the host as lines for those of the shared namespace.
fn shared(wanted: Extent, host: &[Extent], whose: Whose) -> Result<Vec<Extent>> {
    let mut found = Vec::new();
    let mut rest = wanted;
    while rest.count > 0 {
        let within =
            |line: &&Extent| line.outside <= rest.outside && rest.outside - line.outside < line.count;
        let Some(line) = host.iter().find(within) else {
            let message =
                format!("{}: id {} of the host is not one of this account's", whose.option(), rest.outside);
            return Err(Error::new(Kind::Usage, message).hint(
                "See which ids there are, the first and the count in each line: coracle unshare cat \
                       /proc/self/uid_map /proc/self/gid_map",
            ));
        };
        let at = rest.outside - line.outside;
        let count = rest.count.min(line.count - at);
        found.push(Extent { inside: rest.inside, outside: line.inside + at, count });
        rest = Extent {
            inside: rest.inside.saturating_add(count),
            outside: rest.outside.saturating_add(count),
            count: rest.count - count,
        };
    }
    Ok(found)
}

/// What is left of a line when the ids of another are taken away on both sides.
fn without(line: Extent, other: Extent) -> Vec<Extent> {
    let mut left = vec![(0, i64::from(line.count))];
    for first in
        [i64::from(other.inside) - i64::from(line.inside), i64::from(other.outside) - i64::from(line.outside)]
    {
        let end = first + i64::from(other.count);
        let cut = |(from, to): (i64, i64)| [(from, to.min(first)), (from.max(end), to)];
        left = left.into_iter().flat_map(cut).filter(|(from, to)| from < to).collect();
    }
    let part = |(from, to): (i64, i64)| {
        let (at, count) = (u32::try_from(from).ok()?, u32::try_from(to - from).ok()?);
        Some(Extent { inside: line.inside + at, outside: line.outside + at, count })
    };
    left.into_iter().filter_map(part).collect()
}

/// The lines, and all other ids from 0 to `available` in the gaps between them and after them.
pub(super) fn filled(mut lines: Vec<Extent>, available: u32) -> Vec<Extent> {
    let mut free = vec![Extent { inside: 0, outside: 0, count: available }];
    for line in &lines {
        // On the outside alone.
        let taken = Extent { inside: line.outside, ..*line };
        let same = |free: Extent| Extent { inside: free.outside, ..free };
        free = free.into_iter().flat_map(|free| without(same(free), taken)).collect();
    }
    lines.sort_unstable_by_key(|line| line.inside);
    let mut free = free.into_iter().peekable();
    let mut next = 0_u32;
    let mut all = Vec::new();
    for line in lines.iter().copied().map(Some).chain([None]) {
        let end = line.map_or(u32::MAX, |line| line.inside);
        while next < end
            && let Some(other) = free.peek_mut()
        {
            let count = other.count.min(end - next);
            all.push(Extent { inside: next, outside: other.outside, count });
            next += count;
            (other.outside, other.count) = (other.outside + count, other.count - count);
            if other.count == 0 {
                free.next();
            }
        }
        if let Some(line) = line {
            all.push(line);
            next = line.inside + line.count;
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(inside: u32, outside: u32, count: u32) -> Extent {
        Extent { inside, outside, count }
    }

    /// The user is 1000 on the host, and has the ids from 100000 and the one id 2000.
    fn made(lines: &[&str], whose: Whose) -> Result<Vec<Extent>> {
        let lines: Vec<MapArg> = lines.iter().map(|text| text.parse().unwrap()).collect();
        let host = [extent(0, 1000, 1), extent(1, 100_000, 10), extent(11, 2000, 1)];
        put_together(&lines, whose, &host, 12)
    }

    #[test]
    fn lines_have_flags() {
        let line = |text: &str| text.parse::<MapArg>();
        assert_eq!(line("0:1:10").unwrap().extent, extent(0, 1, 10));
        assert_eq!(line("0:1").unwrap().extent, extent(0, 1, 1));
        let flagged = line("+g100000:@2000").unwrap();
        assert_eq!((flagged.extent, flagged.extends), (extent(100_000, 2000, 1), true));
        assert_eq!((flagged.of_host, flagged.users, flagged.groups), (true, false, true));
        let both = line("ug5:5:1").unwrap();
        assert!(both.users && both.groups && !both.extends);
        for bad in [
            "",
            "0",
            "0:",
            "0:1:",
            "0:1:0",
            "0:1:2:3",
            "-1:0:1",
            "x0:1:1",
            "@0:1:1",
            "0:1:@1",
            "0:@@1:1",
            "+:1:1",
            "0:0x1:1",
            "0:1:4294967295",
            "4294967295:0:1",
        ] {
            assert!(line(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn lines_make_a_map_as_in_podman() {
        for (lines, users, groups) in [
            (&["0:0:5"][..], vec![extent(0, 0, 5)], vec![extent(0, 0, 5)]),
            (&["0:0:10", "g20:11:1"], vec![extent(0, 0, 10)], vec![extent(0, 0, 10), extent(20, 11, 1)]),
            // The example of podman-run(1).
            (
                &["0:0:10", "+100:1:1"],
                vec![extent(0, 0, 1), extent(2, 2, 8), extent(100, 1, 1)],
                vec![extent(0, 0, 1), extent(2, 2, 8), extent(100, 1, 1)],
            ),
            (&["+g100:@2000"], vec![], vec![extent(0, 0, 11), extent(100, 11, 1)]),
            (
                &["+3:@100001:2"],
                vec![extent(0, 0, 2), extent(2, 4, 1), extent(3, 2, 2), extent(5, 5, 7)],
                vec![extent(0, 0, 2), extent(2, 4, 1), extent(3, 2, 2), extent(5, 5, 7)],
            ),
            (
                &["0:@1000", "1:@100000:3"],
                vec![extent(0, 0, 1), extent(1, 1, 3)],
                vec![extent(0, 0, 1), extent(1, 1, 3)],
            ),
        ] {
            assert_eq!(made(lines, Whose::Users).unwrap(), users, "{lines:?}");
            assert_eq!(made(lines, Whose::Groups).unwrap(), groups, "{lines:?}");
        }
        assert!(made(&["0:@999:1"], Whose::Users).unwrap_err().message().contains("id 999 of the host"));
        assert!(made(&["0:@100009:2"], Whose::Groups).unwrap_err().message().contains("id 100010"));
    }
}
