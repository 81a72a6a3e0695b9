//! When to retry, and how long to wait before.

use crate::error::Error;
use crate::failpoint::hastened;
use chrono::{DateTime, Utc};
use std::time::{Duration, Instant};

/// Longest wait that a server may ask for; beyond it the pull fails with the time named.
const WAIT_MAX: Duration = Duration::from_secs(180);
/// Longest wait of our own.
const BACK_OFF_MAX: Duration = Duration::from_secs(30);
/// First wait of our own, doubled each time.
const BACK_OFF_FIRST: Duration = Duration::from_secs(1);

/// How often and after which wait a failed transfer is tried again.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Tries after the first one.
    pub retries: u32,
    /// A fixed wait between tries; doubling from one second when not given.
    pub delay: Option<Duration>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy { retries: 3, delay: None }
    }
}

/// A failure, with what is known about trying again.
#[derive(Debug)]
pub(super) struct Trouble {
    /// What to tell the user if this was the last try.
    pub error: Error,
    /// Whether another try can help.
    pub retry: bool,
    /// How long the server asked us to wait.
    pub after: Option<Duration>,
    /// The HTTP status that says so.
    pub status: Option<u16>,
}

impl Trouble {
    /// Something that can pass: a broken connection, an overloaded server.
    pub(super) fn passing(error: Error) -> Trouble {
        Trouble { error, retry: true, after: None, status: None }
    }

    /// Something that stays as it is.
    pub(super) fn lasting(error: Error) -> Trouble {
        Trouble { error, retry: false, after: None, status: None }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        Trouble::lasting(error)
    }
}

/// Counts the tries of one transfer.
#[derive(Debug)]
pub(super) struct Tries {
    policy: RetryPolicy,
    failed: u32,
}

impl Tries {
    pub(super) fn new(policy: RetryPolicy) -> Tries {
        Tries { policy, failed: 0 }
    }

    /// Forgets earlier failures: the transfer made headway.
    pub(super) fn headway(&mut self) {
        self.failed = 0;
    }

    /// How long to wait before the next try, or the failure if it was the last one.
    ///
    /// # Errors
    /// The failure itself, when another try cannot help or there were enough.
    pub(super) fn after(&mut self, trouble: Trouble) -> Result<Duration, Error> {
        if !trouble.retry || self.failed >= self.policy.retries {
            return Err(trouble.error);
        }
        self.failed += 1;
        match trouble.after {
            Some(asked) if asked > WAIT_MAX => Err(trouble
                .error
                .hint(format!("The registry asks to come back in {} seconds.", asked.as_secs()))),
            Some(asked) => Ok(asked.max(self.policy.delay.unwrap_or_default())),
            None => Ok(self.policy.delay.unwrap_or_else(|| back_off(self.failed))),
        }
    }
}

/// Whether bytes keep coming. Silence has a limit of its own; this is for a server that sends a byte now and
/// then, and would keep us forever.
#[derive(Debug)]
pub(super) struct Pace {
    since: Instant,
    bytes: u64,
}

impl Pace {
    /// Bytes that have to come in each [`Pace::WINDOW`].
    const LEAST: u64 = 64 << 10;
    const WINDOW: Duration = Duration::from_secs(300);
    /// The limit in words.
    pub(super) const LIMIT: &'static str = "less than 64 KiB in 300 s";

    pub(super) fn new() -> Pace {
        Pace { since: Instant::now(), bytes: 0 }
    }

    /// Counts what has come just now.
    pub(super) fn is_too_slow(&mut self, bytes: u64) -> bool {
        self.counts_at(bytes, Instant::now())
    }

    fn counts_at(&mut self, bytes: u64, now: Instant) -> bool {
        self.bytes += bytes;
        if self.bytes >= Pace::LEAST {
            *self = Pace { since: now, bytes: 0 };
        }
        now.duration_since(self.since) > hastened(Pace::WINDOW)
    }
}

/// One second, doubled with each failure, a little more or less so that many clients do not return
/// together.
fn back_off(failed: u32) -> Duration {
    let base = BACK_OFF_FIRST.saturating_mul(1 << failed.saturating_sub(1).min(10)).min(BACK_OFF_MAX);
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.subsec_nanos());
    base.mul_f64(0.75 + f64::from(nanos % 1000) / 2000.0)
}

/// Reads `Retry-After`: seconds or an HTTP date (RFC 9110 section 10.2.3).
pub(super) fn retry_after(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let when = DateTime::parse_from_rfc2822(value).ok()?;
    Some((when.with_timezone(&Utc) - now).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use chrono::TimeZone;

    fn passing() -> Trouble {
        Trouble::passing(Error::new(Kind::Registry, "x"))
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Utc.with_ymd_and_hms(2026, 1, 2, 3, 4, 5).unwrap();
        assert_eq!(retry_after("7", now), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Fri, 02 Jan 2026 03:04:15 GMT", now), Some(Duration::from_secs(10)));
        assert_eq!(retry_after("Fri, 02 Jan 2025 03:04:15 GMT", now), None);
        assert_eq!(retry_after("Thu, 02 Jan 2025 03:04:15 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("-1", now), None);
        assert_eq!(retry_after("soon", now), None);
    }

    #[test]
    fn a_byte_now_and_then_is_no_answer() {
        let mut pace = Pace::new();
        let begun = pace.since;
        let at = |seconds| begun + Duration::from_secs(seconds);
        assert!(!pace.counts_at(1, at(299)));
        assert!(pace.counts_at(1, at(301)));
        // A slow line is one all the same.
        let mut pace = Pace { since: begun, bytes: 0 };
        for minute in 1..60 {
            assert!(!pace.counts_at(40 << 10, at(minute * 60)), "{minute}");
        }
    }

    #[test]
    fn tries_end_and_headway_renews_them() {
        let delay = Duration::from_millis(5);
        let mut tries = Tries::new(RetryPolicy { retries: 2, delay: Some(delay) });
        assert_eq!(tries.after(passing()).unwrap(), delay);
        assert_eq!(tries.after(passing()).unwrap(), delay);
        assert!(tries.after(passing()).is_err());
        tries.headway();
        assert!(tries.after(passing()).is_ok());
        assert!(tries.after(Trouble::lasting(Error::new(Kind::Registry, "x"))).is_err());
    }

    #[test]
    fn a_server_may_ask_for_a_wait_within_reason() {
        let mut tries = Tries::new(RetryPolicy::default());
        let asked = |seconds| Trouble { after: Some(Duration::from_secs(seconds)), ..passing() };
        assert_eq!(tries.after(asked(20)).unwrap(), Duration::from_secs(20));
        let error = tries.after(asked(86_400)).unwrap_err();
        assert!(error.hints()[0].contains("86400"));
    }

    #[test]
    fn back_off_doubles_to_a_limit() {
        assert!(back_off(1) < Duration::from_secs(2));
        assert!(back_off(3) >= Duration::from_secs(3));
        assert!(back_off(60) <= BACK_OFF_MAX.mul_f64(1.25));
    }
}
