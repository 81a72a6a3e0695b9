//! The runtime that transfers run on: one thread, and an end to it when the user wants that.

use crate::error::{Context, Error, Kind, Result};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// Time between two looks whether to stop.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Runs transfers, one call after the other.
#[derive(Debug)]
pub(super) struct Runner(Runtime);

impl Runner {
    /// # Errors
    /// When the kernel refuses what it needs.
    pub(super) fn new() -> Result<Runner> {
        let runtime = Builder::new_current_thread().enable_all().build();
        runtime.map(Runner).context(Kind::Host, || "start the transfer")
    }

    /// Runs to the end, or until `stopped` says so.
    pub(super) fn run<T>(
        &self,
        stopped: &dyn Fn() -> bool,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.0.block_on(async {
            tokio::select! {
                result = work => result,
                () = told_to_stop(stopped) => Err(Error::new(Kind::Runtime, "interrupted")),
            }
        })
    }
}

/// As [`Runner::run`], for a single call.
pub(super) fn block_on<T>(stopped: &dyn Fn() -> bool, work: impl Future<Output = Result<T>>) -> Result<T> {
    Runner::new()?.run(stopped, work)
}

/// Ends soon after `stopped` says so.
async fn told_to_stop(stopped: &dyn Fn() -> bool) {
    while !stopped() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
