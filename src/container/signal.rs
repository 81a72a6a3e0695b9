//! Signals as users write them: a number, a name, or a real-time signal relative to its range.

use crate::error::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// First real-time signal that programs may use; glibc keeps 32 and 33 (signal(7)).
const RTMIN: i32 = 34;
/// Last real-time signal.
const RTMAX: i32 = 64;

/// Names by number, 1 first (signal(7), the numbering of x86, ARM and most others).
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// A signal: a number from 1 to 64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Signal(i32);

impl Signal {
    /// SIGTERM, what `stop` sends unless something else was asked for.
    pub const TERM: Signal = Signal(15);
    /// SIGKILL.
    pub const KILL: Signal = Signal(9);

    /// Its number, 1 to 64.
    pub fn number(self) -> i32 {
        self.0
    }
}

impl Default for Signal {
    fn default() -> Self {
        Signal::TERM
    }
}

fn number_of(name: &str) -> Option<i32> {
    let offset = |text: &str| text.parse::<i32>().ok().filter(|n| (0..=RTMAX - RTMIN).contains(n));
    if let Some(rest) = name.strip_prefix("RTMIN") {
        return match rest.strip_prefix('+') {
            Some(n) => offset(n).map(|n| RTMIN + n),
            None => rest.is_empty().then_some(RTMIN),
        };
    }
    if let Some(rest) = name.strip_prefix("RTMAX") {
        return match rest.strip_prefix('-') {
            Some(n) => offset(n).map(|n| RTMAX - n),
            None => rest.is_empty().then_some(RTMAX),
        };
    }
    let name = match name {
        "IOT" => "ABRT",
        "CLD" => "CHLD",
        "POLL" => "IO",
        other => other,
    };
    (1..).zip(NAMES).find(|(_, known)| *known == name).map(|(number, _)| number)
}

impl FromStr for Signal {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let upper = s.to_ascii_uppercase();
        let number = match s.parse::<i32>() {
            Ok(n) => Some(n).filter(|n| (1..=RTMAX).contains(n)),
            Err(_) => number_of(upper.strip_prefix("SIG").unwrap_or(&upper)),
        };
        number.map(Signal).ok_or_else(|| {
            Error::new(Kind::Usage, format!("invalid signal: {s}: valid signals are 1 through 64"))
                .hint("Write a name or a number from 1 to 64, for example TERM, SIGKILL, RTMIN+3 or 9.")
        })
    }
}

impl TryFrom<String> for Signal {
    type Error = Error;
    fn try_from(s: String) -> Result<Self> {
        s.parse()
    }
}

impl From<Signal> for String {
    fn from(signal: Signal) -> String {
        signal.to_string()
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let index = usize::try_from(self.0 - 1).unwrap_or(usize::MAX);
        match NAMES.get(index) {
            Some(name) => write!(f, "SIG{name}"),
            None if self.0 == RTMIN => f.write_str("SIGRTMIN"),
            None if self.0 > RTMIN => write!(f, "SIGRTMIN+{}", self.0 - RTMIN),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_numbers_and_real_time_signals_are_read() {
        for (text, number) in [
            ("TERM", 15),
            ("SIGTERM", 15),
            ("sigterm", 15),
            ("kill", 9),
            ("9", 9),
            ("64", 64),
            ("IOT", 6),
            ("SIGSYS", 31),
            ("RTMIN", 34),
            ("SIGRTMIN+3", 37),
            ("rtmin+30", 64),
            ("RTMAX", 64),
            ("RTMAX-1", 63),
        ] {
            assert_eq!(text.parse::<Signal>().unwrap().number(), number, "{text}");
        }
        for bad in ["", "0", "65", "-1", "SIG", "FOO", "RTMIN+31", "RTMIN-1", "RTMAX+1", "SIGSIGTERM", " 9"] {
            assert!(bad.parse::<Signal>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read_back() {
        for number in 1..=RTMAX {
            assert_eq!(Signal(number).to_string().parse::<Signal>().unwrap(), Signal(number));
        }
    }
}
