//! Fail points: names for the steps that change state, at which a test can kill or pause a process.
//!
//! They exist only in debug builds. `CORACLE_FAILPOINT` contains `NAME=ACTION` words, separated by commas,
//! where ACTION is `kill` (SIGKILL for the process that reaches the step) or `pause:MS` (milliseconds).
//! `NAME#2=kill` means the second time that a process reaches the step. For each step reached, a line
//! `NAME#TIME` is appended to the file named by `CORACLE_FAILPOINT_LOG`, so that a test can go through all of
//! them. Forked processes inherit both in memory, re-executed ones through [`environment`].

use std::time::Duration;

/// Comes to a step. `name` says verb and step, for example `rename.settings`.
#[inline]
pub fn reach(name: &'static str) {
    #[cfg(debug_assertions)]
    armed::reach(name);
    #[cfg(not(debug_assertions))]
    let _ = name;
}

/// What a stage that is executed again with an empty environment must be given to have the same fail points.
pub fn environment() -> Vec<std::ffi::CString> {
    #[cfg(debug_assertions)]
    return armed::environment();
    #[cfg(not(debug_assertions))]
    Vec::new()
}

/// A limit on time, divided by `CORACLE_TEST_HASTE` in debug builds: for tests of what takes minutes.
#[inline]
pub fn hastened(limit: Duration) -> Duration {
    #[cfg(debug_assertions)]
    return armed::hastened(limit);
    #[cfg(not(debug_assertions))]
    limit
}

#[cfg(debug_assertions)]
mod armed {
    use crate::sys::process;
    use nix::sys::signal::{Signal, raise};
    use std::collections::HashMap;
    use std::ffi::CString;
    use std::io::Write;
    use std::sync::Mutex;
    use std::time::Duration;

    const POINTS: &str = "CORACLE_FAILPOINT";
    const LOG: &str = "CORACLE_FAILPOINT_LOG";

    /// How often this process, or one that it was forked from, has come to each step.
    static REACHED: Mutex<Option<HashMap<&'static str, u32>>> = Mutex::new(None);

    pub(super) fn hastened(limit: Duration) -> Duration {
        let haste = std::env::var("CORACLE_TEST_HASTE").ok().and_then(|haste| haste.parse::<u32>().ok());
        haste.and_then(|haste| limit.checked_div(haste)).unwrap_or(limit)
    }

    pub(super) fn reach(name: &'static str) {
        let (points, log) = (std::env::var(POINTS), std::env::var_os(LOG));
        if points.is_err() && log.is_none() {
            return;
        }
        let time = count(name);
        if let Some(log) = log
            && let Ok(mut file) = std::fs::OpenOptions::new().append(true).create(true).open(log)
        {
            let _ = file.write_all(format!("{name}#{time}\n").as_bytes());
        }
        for word in points.unwrap_or_default().split(',') {
            let Some((point, action)) = word.split_once('=') else { continue };
            let (point, wanted) = match point.split_once('#') {
                Some((point, time)) => (point, time.parse().unwrap_or(1)),
                None => (point, 1),
            };
            if point == name && wanted == time {
                act(action);
            }
        }
    }

    fn count(name: &'static str) -> u32 {
        // Nobody panics with it in hand.
        let Ok(mut reached) = REACHED.lock() else { return 1 };
        let count = reached.get_or_insert_default().entry(name).or_insert(0);
        *count += 1;
        *count
    }

    fn act(action: &str) {
        match action.strip_prefix("pause:") {
            Some(time) => std::thread::sleep(Duration::from_millis(time.parse().unwrap_or(0))),
            None => {
                let _ = raise(Signal::SIGKILL);
                // The first process of a pid namespace cannot kill itself (pid_namespaces(7)).
                process::exit_now(128 + Signal::SIGKILL as i32)
            }
        }
    }

    pub(super) fn environment() -> Vec<CString> {
        let word = |name| CString::new(format!("{name}={}", std::env::var(name).ok()?)).ok();
        [POINTS, LOG].into_iter().filter_map(word).collect()
    }
}
