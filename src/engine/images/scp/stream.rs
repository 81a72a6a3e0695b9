//! The way of an archive from one side to the other.
//!
//! Theory of operation. This process stands in between, so that it knows how far it is and which side fails: poll(2)
//! over both ends, what both sides say, and the signals that ask it to stop. Nothing is kept on a disk on the way. A
//! side that reads hears the end of what came whatever happens, and a truncated archive is refused by every program.

use super::far::{Far, Tail, take_some};
use crate::error::{Context, Kind, Result};
use crate::fork::{Heard, StopSignals, Worker};
use crate::storage::archive::{Loaded, Progress};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What is held between the two sides, in bytes: as much as a pipe takes.
const BUFFER: usize = 64 << 10;

/// Where an archive comes from.
#[derive(Debug)]
pub(super) enum Giver {
    /// This store.
    Own(Worker<(), ()>),
    /// Another one.
    Far(Far),
}

/// Where it goes.
#[derive(Debug)]
pub(super) enum Taker {
    /// This store.
    Own {
        /// Loads it.
        worker: Worker<Progress, Vec<Loaded>>,
        /// What came of that.
        loaded: Option<Result<Vec<Loaded>>>,
    },
    /// Another one.
    Far {
        /// The program there.
        far: Far,
        /// What it prints: the names of what it has loaded.
        printed: Tail,
    },
}

/// What has been loaded.
#[derive(Debug)]
pub(super) enum Taken {
    /// Into this store, without names.
    Here(Vec<Loaded>),
    /// Into another one, under these names or ids.
    There(Vec<String>),
}

/// What a copy reports.
#[derive(Debug)]
pub enum Step {
    /// So many bytes have gone through.
    Bytes(u64),
    /// This store is taking it in.
    Loading(Progress),
}

/// How an archive got through.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Passed {
    /// To its end.
    Whole,
    /// The side that takes it wanted no more.
    Refused,
    /// A signal has come.
    Stopped,
}

/// Both ends, and what is between them.
#[derive(Debug)]
struct Way {
    from: Option<File>,
    to: Option<File>,
    buffer: Vec<u8>,
    /// The part of the buffer that has yet to be written.
    start: usize,
    end: usize,
    done: u64,
    refused: bool,
}

/// What one of the descriptors is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    From,
    To,
    GiverSays,
    TakerSays,
    TakerPrints,
    Signals,
}

/// Passes the archive on until the side that takes it has ended.
///
/// # Errors
/// Those of poll(2) and of reading.
pub(super) fn pass(
    (giver, from): (&mut Giver, OwnedFd),
    (taker, to): (&mut Taker, OwnedFd),
    signals: &StopSignals,
    report: &mut dyn FnMut(Step),
) -> Result<Passed> {
    let failed = || "pass the archive on".to_owned();
    fcntl(&to, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).context(Kind::Host, failed)?;
    let mut way = Way {
        from: Some(from.into()),
        to: Some(to.into()),
        buffer: vec![0; BUFFER],
        start: 0,
        end: 0,
        done: 0,
        refused: false,
    };
    while !taker.has_ended() {
        let ready = wait(&way, giver, taker, signals).context(Kind::Host, failed)?;
        for end in ready {
            match end {
                End::Signals if signals.came() => return Ok(Passed::Stopped),
                End::Signals => {}
                End::From => way.read().context(Kind::Host, failed)?,
                End::To => way.write().context(Kind::Host, failed)?,
                End::GiverSays => giver.hear(),
                End::TakerSays => taker.hear(report),
                End::TakerPrints => taker.take_printed(),
            }
        }
        report(Step::Bytes(way.done));
    }
    Ok(if way.refused || way.from.is_some() || way.end > 0 { Passed::Refused } else { Passed::Whole })
}

/// Waits until something can be done.
fn wait(way: &Way, giver: &Giver, taker: &Taker, signals: &StopSignals) -> nix::Result<Vec<End>> {
    let empty = way.end == 0;
    let from = way.from.as_ref().filter(|_| empty).map(AsFd::as_fd);
    let to = way.to.as_ref().map(AsFd::as_fd);
    let (taker_says, taker_prints) = match taker {
        Taker::Own { worker, .. } => (Some(worker.as_fd()), None),
        Taker::Far { far, .. } => {
            (far.complaints.as_ref().map(AsFd::as_fd), far.output.as_ref().map(AsFd::as_fd))
        }
    };
    let giver_says = match giver {
        // It says no more than how it ended, which is heard at the end.
        Giver::Own(_) => None,
        Giver::Far(far) => far.complaints.as_ref().map(AsFd::as_fd),
    };
    // Without anything to write, only that nobody reads any more.
    let writable = if empty { PollFlags::empty() } else { PollFlags::POLLOUT };
    let ends = [
        (End::Signals, Some(signals.as_fd()), PollFlags::POLLIN),
        (End::From, from, PollFlags::POLLIN),
        (End::To, to, writable),
        (End::GiverSays, giver_says, PollFlags::POLLIN),
        (End::TakerSays, taker_says, PollFlags::POLLIN),
        (End::TakerPrints, taker_prints, PollFlags::POLLIN),
    ];
    let ends: Vec<(End, BorrowedFd<'_>, PollFlags)> =
        ends.into_iter().filter_map(|(end, fd, flags)| Some((end, fd?, flags))).collect();
    let mut fds: Vec<PollFd<'_>> = ends.iter().map(|(_, fd, flags)| PollFd::new(*fd, *flags)).collect();
    match poll(&mut fds, PollTimeout::NONE) {
        Err(Errno::EINTR) => return Ok(Vec::new()),
        other => other?,
    };
    let ready = ends.iter().zip(&fds).filter(|(_, fd)| fd.any().unwrap_or(true));
    Ok(ready.map(|((end, ..), _)| *end).collect())
}

impl Way {
    fn read(&mut self) -> std::io::Result<()> {
        let Some(from) = &mut self.from else { return Ok(()) };
        match from.read(&mut self.buffer) {
            Ok(0) => (self.from, self.to) = (None, None),
            Ok(count) => (self.start, self.end) = (0, count),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
        Ok(())
    }

    fn write(&mut self) -> std::io::Result<()> {
        let Some(to) = &mut self.to else { return Ok(()) };
        if self.end == 0 {
            // Only its readers' end was waited for.
            self.give_up();
            return Ok(());
        }
        match to.write(&self.buffer[self.start..self.end]) {
            Ok(count) => {
                self.start += count;
                self.done += count as u64;
                if self.start == self.end {
                    (self.start, self.end) = (0, 0);
                }
            }
            Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
            Err(e) if e.kind() == ErrorKind::BrokenPipe => self.give_up(),
            Err(e) => return Err(e),
        }
        Ok(())
    }

    /// Nobody reads: who writes is to hear of that too.
    fn give_up(&mut self) {
        (self.from, self.to, self.refused) = (None, None, true);
    }
}

impl Giver {
    fn hear(&mut self) {
        if let Giver::Far(far) = self
            && let Some(complaints) = &mut far.complaints
            && !take_some(complaints, &mut far.said)
        {
            far.complaints = None;
        }
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// Its own.
    pub(super) fn finish(self) -> Result<()> {
        match self {
            Giver::Far(far) => far.finish(),
            Giver::Own(worker) => loop {
                if let Heard::Ended(result) = worker.hear() {
                    return result;
                }
            },
        }
    }
}

impl Taker {
    /// Whether nothing more is to be heard of it.
    fn has_ended(&self) -> bool {
        match self {
            Taker::Own { loaded, .. } => loaded.is_some(),
            Taker::Far { far, .. } => far.output.is_none(),
        }
    }

    fn hear(&mut self, report: &mut dyn FnMut(Step)) {
        match self {
            Taker::Own { worker, loaded } => match worker.hear() {
                Heard::Message(step) => report(Step::Loading(step)),
                Heard::Ended(result) => *loaded = Some(result),
            },
            Taker::Far { far, .. } => {
                if let Some(complaints) = &mut far.complaints
                    && !take_some(complaints, &mut far.said)
                {
                    far.complaints = None;
                }
            }
        }
    }

    fn take_printed(&mut self) {
        if let Taker::Far { far, printed } = self
            && let Some(output) = &mut far.output
            && !take_some(output, printed)
        {
            far.output = None;
        }
    }

    /// Waits for its end; gives what it has loaded.
    ///
    /// # Errors
    /// Its own.
    pub(super) fn finish(self) -> Result<Taken> {
        match self {
            Taker::Far { far, printed } => {
                far.finish()?;
                let lines = printed.lines();
                let named = lines.iter().filter(|line| line.starts_with("Loaded image"));
                let names = named.filter_map(|line| Some(line.split_once(": ")?.1.to_owned()));
                Ok(Taken::There(names.collect()))
            }
            Taker::Own { worker, loaded } => {
                let mut loaded = loaded;
                while loaded.is_none() {
                    if let Heard::Ended(result) = worker.hear() {
                        loaded = Some(result);
                    }
                }
                Ok(Taken::Here(loaded.transpose()?.unwrap_or_default()))
            }
        }
    }
}
