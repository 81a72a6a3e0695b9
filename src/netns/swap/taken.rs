//! The calls that have been taken and not been answered yet, in a file that outlives a leaf.
//!
//! The kernel gives a call to whom asks first, and its caller waits until somebody answers to its number. So a leaf
//! that follows a killed one has to know the numbers that the other one took with it. They are counted up one by one.

use crate::sys::calls::Calls;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

/// Bytes of a number.
const SIZE: u64 = 8;
/// The place of the call that was taken last; that of the connection with token `n` is `n` modulo [`PLACES`].
const LAST: u64 = 0;
/// How many places there are: more than connections are made at once.
const PLACES: u64 = 2048;

#[derive(Debug)]
pub(super) struct Taken(File);

impl Taken {
    pub(super) fn new(file: OwnedFd) -> Taken {
        Taken(File::from(file))
    }

    /// A call has been taken.
    pub(super) fn take(&self, id: u64) {
        self.note(LAST, id);
    }

    /// A call waits for the connection with this token.
    pub(super) fn keep(&self, token: u64, id: u64) {
        self.note(place(token), id);
    }

    /// It has been answered.
    pub(super) fn forget(&self, token: u64) {
        self.note(place(token), 0);
    }

    fn note(&self, place: u64, id: u64) {
        // Memory is all that this can want for; then a call waits longer if this process is killed.
        let _ = self.0.write_all_at(&id.to_ne_bytes(), place * SIZE);
    }

    /// Lets the calls through that another leaf has left: the kernel carries them out as if there were no filter.
    pub(super) fn let_through(&self, calls: &Calls) {
        for place in 0..PLACES {
            let mut id = [0; SIZE as usize];
            if self.0.read_exact_at(&mut id, place * SIZE).is_err() {
                return;
            }
            let id = u64::from_ne_bytes(id);
            if id == 0 {
                continue;
            }
            // Nobody waits any more for most of them.
            let _ = calls.let_through(id);
            if place == LAST {
                // The other leaf may have been killed before it noted the next one.
                let _ = calls.let_through(id.wrapping_add(1));
            } else {
                self.note(place, 0);
            }
        }
    }
}

fn place(token: u64) -> u64 {
    LAST + 1 + token % (PLACES - 1)
}
