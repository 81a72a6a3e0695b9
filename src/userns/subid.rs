//! Which ids an account may map: `/etc/subuid` and `/etc/subgid` (subuid(5)), and id map lines.

use crate::container::ids::Extent;
use crate::sys::read::text_of;
use nix::unistd::{Gid, Uid};

/// A range of ids lent to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    /// First id.
    start: u32,
    /// How many.
    count: u32,
}

/// How ids inside the shared namespace correspond to ids outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdMap {
    /// User ids.
    pub uids: Vec<Extent>,
    /// Group ids.
    pub gids: Vec<Extent>,
}

impl IdMap {
    /// The account's map: 0 is the account itself, 1 and up its ranges one after the other.
    pub fn of_user(uid: Uid, gid: Gid) -> IdMap {
        let names = account_names(uid);
        let read = |file: &str| text_of(file).unwrap_or_default();
        IdMap {
            uids: extents(uid.as_raw(), &ranges_of(&read("/etc/subuid"), &names)),
            gids: extents(gid.as_raw(), &ranges_of(&read("/etc/subgid"), &names)),
        }
    }

    /// How many users and groups there are, counted from 0 without a gap.
    pub fn available(&self) -> (u32, u32) {
        (count(&self.uids), count(&self.gids))
    }

    /// Whether more than the account's own id can be mapped.
    pub fn has_range(&self) -> bool {
        self.uids.len() > 1 && self.gids.len() > 1
    }
}

/// What the account may be called in the files: its name and its number.
///
/// Read from `/etc/passwd` by hand, since a static program has no name services; directory accounts
/// are found by number or by `$USER`. newuidmap makes its own check, so a wrong guess is refused there.
pub fn account_names(uid: Uid) -> Vec<String> {
    let mut names = vec![uid.to_string()];
    let passwd = text_of("/etc/passwd").unwrap_or_default();
    names.extend(passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid.as_raw())).then(|| name.to_owned())
    }));
    if names.len() == 1 {
        names.extend(std::env::var("USER").ok());
    }
    names
}

/// The ranges of an account in the text of `/etc/subuid` or `/etc/subgid`; malformed lines are skipped.
fn ranges_of(text: &str, names: &[String]) -> Vec<Range> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.trim().split(':');
            let owner = fields.next()?;
            let (start, count) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
            (count > 0 && names.iter().any(|n| n == owner)).then_some(Range { start, count })
        })
        .collect()
}

fn extents(own: u32, ranges: &[Range]) -> Vec<Extent> {
    let mut all = vec![Extent { inside: 0, outside: own, count: 1 }];
    let mut next: u32 = 1;
    for range in ranges {
        let count = range.count.min(u32::MAX - next);
        all.push(Extent { inside: next, outside: range.start, count });
        next += count;
    }
    all
}

/// How many ids inside there are from 0 up to the first gap.
fn count(extents: &[Extent]) -> u32 {
    let mut sorted = extents.to_vec();
    sorted.sort_unstable_by_key(|e| e.inside);
    sorted.iter().fold(0, |end, e| if e.inside == end { end.saturating_add(e.count) } else { end })
}

/// The lines of `/proc/PID/uid_map`.
pub(super) fn parse_map(text: &str) -> Vec<Extent> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split_ascii_whitespace().map(str::parse);
            match (fields.next(), fields.next(), fields.next()) {
                (Some(Ok(inside)), Some(Ok(outside)), Some(Ok(count))) => {
                    Some(Extent { inside, outside, count })
                }
                _ => None,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_found_by_name_and_number() {
        let text = "other:1:2\nme:100000:65536\n1000:200000:10\nme:x:1\nme:5:0\n";
        let ranges = ranges_of(text, &["1000".into(), "me".into()]);
        assert_eq!(ranges, [Range { start: 100_000, count: 65536 }, Range { start: 200_000, count: 10 }]);
        let map = extents(1000, &ranges);
        assert_eq!(map[1], Extent { inside: 1, outside: 100_000, count: 65536 });
        assert_eq!(map[2], Extent { inside: 65537, outside: 200_000, count: 10 });
        assert_eq!(count(&map), 65547);
        assert_eq!(count(&map[..1]), 1);
        assert_eq!(count(&map[1..]), 0);
    }

    #[test]
    fn map_lines_are_read() {
        let map = parse_map("         0       1000          1\n         1     100000      65536\n");
        assert_eq!(
            map,
            [
                Extent { inside: 0, outside: 1000, count: 1 },
                Extent { inside: 1, outside: 100_000, count: 65536 }
            ]
        );
    }
}
