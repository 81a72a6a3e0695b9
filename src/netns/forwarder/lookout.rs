//! Waiting for the next event.
//!
//! Theory of operation. To be woken takes longer than to pass on a small message, and a conversation through a port
//! pays for that at each one. So who had to wait only briefly looks a few times before it sleeps again; in between, whoever
//! else wants the processor has it. A look that was in vain is followed by a sleep, so that events which are a little too
//! far apart cost no more than half of the looks.

use nix::sys::epoll::{Epoll, EpollEvent, EpollTimeout};
use std::time::{Duration, Instant};

/// How long to look, which is about what it takes to be woken.
const LOOK: Duration = Duration::from_micros(50);
/// The next event is expected to be as close as the last one if that came within this time, waking included.
const SOON: Duration = Duration::from_micros(100);

/// Whether the next event is likely to come at once.
#[derive(Debug, Default)]
pub(super) struct Lookout {
    expects: bool,
}

impl Lookout {
    /// Waits for events as epoll_wait(2) does.
    ///
    /// # Errors
    /// Those of epoll_wait(2).
    pub(super) fn wait(
        &mut self,
        epoll: &Epoll,
        events: &mut [EpollEvent],
        timeout: EpollTimeout,
    ) -> nix::Result<usize> {
        if timeout == EpollTimeout::ZERO {
            return epoll.wait(events, timeout);
        }
        let begun = Instant::now();
        let looks = std::mem::take(&mut self.expects);
        while looks && begun.elapsed() < LOOK {
            let found = epoll.wait(events, EpollTimeout::ZERO)?;
            if found > 0 {
                self.expects = true;
                return Ok(found);
            }
            std::thread::yield_now();
        }
        let found = epoll.wait(events, timeout);
        self.expects = !looks && begun.elapsed() < SOON;
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::epoll::{EpollCreateFlags, EpollFlags};
    use nix::sys::eventfd::EventFd;

    #[test]
    fn who_expects_in_vain_sleeps() {
        let epoll = Epoll::new(EpollCreateFlags::empty()).unwrap();
        let event = EventFd::new().unwrap();
        epoll.add(&event, EpollEvent::new(EpollFlags::EPOLLIN, 7)).unwrap();
        let mut events = [EpollEvent::empty(); 2];
        let mut lookout = Lookout { expects: true };
        assert_eq!(lookout.wait(&epoll, &mut events, EpollTimeout::from(1u8)), Ok(0));
        assert!(!lookout.expects);
        lookout.expects = true;
        event.write(1).unwrap();
        assert_eq!(lookout.wait(&epoll, &mut events, EpollTimeout::NONE), Ok(1));
        assert!(lookout.expects && events[0].data() == 7);
    }
}
