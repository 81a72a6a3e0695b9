//! Whether a program that has died is started again.

use std::time::{Duration, Instant};

/// One that lived that long did not fail at once.
const GROWN: Duration = Duration::from_secs(5);
/// How many that fail at once are followed by another.
const MOST: u32 = 5;

/// The starts of a program.
#[derive(Debug, Clone, Copy)]
pub struct Attempts {
    /// When the last one was started.
    started: Instant,
    /// How many before it have died young in a row.
    young: u32,
}

impl Attempts {
    /// The first one starts now.
    pub fn first() -> Attempts {
        Attempts { started: Instant::now(), young: 0 }
    }

    /// The last one has died: the next one starts now, unless too many have died at once.
    pub fn again(self) -> Option<Attempts> {
        let young = if self.started.elapsed() < GROWN { self.young + 1 } else { 0 };
        (young <= MOST).then(|| Attempts { started: Instant::now(), young })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_die_at_once_are_not_followed_for_ever() {
        let all = std::iter::successors(Some(Attempts::first()), |last| last.again());
        assert_eq!(all.take(100).count(), 1 + MOST as usize);
    }
}
