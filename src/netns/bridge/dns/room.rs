//! How much the name server does at once, and who makes room when that is taken.

use crate::sys::fd;
use std::collections::HashMap;
use std::net::IpAddr;

/// Questions under way outside at once, at most: each has one descriptor.
const QUESTIONS_MAX: usize = 512;
/// Streams at once, at most.
const STREAMS_MAX: usize = 128;
/// Descriptors that are left for members and everything else.
const RESERVED: usize = 256;

/// What there is room for.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) questions: usize,
    pub(super) streams: usize,
}

impl Room {
    /// By the process's limit of descriptors, which is raised as far as it can be.
    pub(super) fn of_process() -> Room {
        Room::within(fd::raise_limit())
    }

    fn within(descriptors: usize) -> Room {
        // With a low limit, what it leaves is shared by all.
        let spare = descriptors.saturating_sub(RESERVED).max(descriptors / 4);
        Room {
            questions: (spare / 5 * 4).clamp(1, QUESTIONS_MAX),
            streams: (spare / 5).clamp(1, STREAMS_MAX),
        }
    }
}

/// Which of those that are `held` has to make room for one more from this address: the oldest of whoever has the most.
/// `None` where that is the newcomer. So nobody can keep others from being answered.
pub(super) fn gives_way(
    held: impl Iterator<Item = (u64, Option<IpAddr>)>,
    newcomer: Option<IpAddr>,
) -> Option<u64> {
    let mut all: HashMap<Option<IpAddr>, (usize, u64)> = HashMap::new();
    for (number, from) in held {
        let (count, oldest) = all.entry(from).or_insert((0, number));
        *count += 1;
        *oldest = number.min(*oldest);
    }
    let own = all.get(&newcomer).map_or(0, |(count, _)| *count);
    let (most, oldest) = all.into_values().max()?;
    (most > own).then_some(oldest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_the_most_makes_room() {
        let from = |last: u8| Some(IpAddr::from([10, 89, 0, last]));
        let held = || [(4, from(2)), (3, from(2)), (1, from(3)), (9, None)].into_iter();
        assert_eq!(gives_way(held(), from(4)), Some(3));
        assert_eq!(gives_way(held(), from(3)), Some(3));
        assert_eq!(gives_way(held(), from(2)), None);
        assert_eq!(gives_way(std::iter::empty(), None), None);
    }

    #[test]
    fn room_follows_the_limit() {
        for (limit, questions, streams) in [(20_000, 512, 128), (1024, 512, 128), (60, 12, 3), (3, 1, 1)] {
            let room = Room::within(limit);
            assert_eq!((room.questions, room.streams), (questions, streams), "{limit}");
        }
    }
}
