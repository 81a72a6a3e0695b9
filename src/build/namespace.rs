//! Keeping the user namespace there while a build works.
//!
//! Theory of operation. Each step enters it several times, and ends as the only process in it. To make it anew takes ten
//! times as long as to join a process that is in it (`userns`), and longer than many a step. So a process that does
//! nothing stays in it until the last step has ended; it ends with this one.

use super::job::Job;
use crate::error::Result;
use crate::fork::{Heard, Reporter, Worker};
use crate::userns;

/// A process in the user namespace; dropped, it ends.
#[derive(Debug)]
pub(super) struct Kept(Option<Worker<(), ()>>);

/// Starts it. Where it cannot be, the steps say why.
pub(super) fn keep(job: &Job<'_>) -> Kept {
    if userns::inside() {
        return Kept(None);
    }
    let runtime = job.store().runtime();
    let worker = Worker::start("user namespace", &[], |reporter: &Reporter<()>| -> Result<()> {
        let member = userns::enter(runtime)?;
        if member.has_one_id() {
            log::warn!("{}", userns::ONE_ID);
        }
        reporter.ask(())
    });
    Kept(worker.inspect_err(|e| log::info!("{}", e.in_one_line())).ok())
}

impl Drop for Kept {
    fn drop(&mut self) {
        let Some(worker) = &self.0 else { return };
        // An answer, so that it takes its registration back.
        let _ = worker.answer(&());
        while let Heard::Message(()) = worker.hear() {}
    }
}
