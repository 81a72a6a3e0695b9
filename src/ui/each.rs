//! Commands on several objects: one failure does not stop the others.

use super::{dialect, out, report};
use crate::error::{Error, Kind, Result};
use std::process::ExitCode;

/// Does `work` with each item and prints the line it gives, if it gives one. The failure of an only item
/// is given back; of several, each is reported and the exit code says that some failed.
///
/// # Errors
/// That of an only item, or that standard output is closed.
pub fn each<T>(items: Vec<T>, mut work: impl FnMut(T) -> Result<Option<String>>) -> Result<ExitCode> {
    let only = items.len() == 1;
    let mut code = ExitCode::SUCCESS;
    for item in items {
        match work(item) {
            Ok(Some(line)) => out(&format!("{line}\n"))?,
            Ok(None) => {}
            Err(error) if only || error.kind() == Kind::OutputClosed => return Err(error),
            Err(error) => {
                report(&error);
                code = dialect::failed();
            }
        }
    }
    Ok(code)
}

/// Something does not exist.
const MISSING: u8 = 1;
/// A container uses something.
const IN_USE: u8 = 2;

/// The worst failure of a removal of several things: anything else, then in use, then missing (podman-volume-rm(1),
/// podman-network-rm(1)).
#[derive(Debug, Default)]
pub struct Worst(u8);

impl Worst {
    /// Counts a failure.
    pub fn add(&mut self, error: &Error) {
        self.0 = match (error.kind(), self.0) {
            (Kind::NotFound, 0) => MISSING,
            (Kind::NotFound, before) => before,
            (Kind::Conflict, 0 | MISSING) => IN_USE,
            (Kind::Conflict, before) => before,
            (kind, _) => kind.exit_code(),
        };
    }
}

impl From<Worst> for ExitCode {
    fn from(worst: Worst) -> ExitCode {
        ExitCode::from(worst.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_does_not_stop_the_others() {
        let mut seen = Vec::new();
        let result = each(vec![1, 2, 3], |n| {
            seen.push(n);
            if n == 2 { Err(Error::new(Kind::NotFound, "no 2")) } else { Ok(None) }
        });
        assert_eq!(format!("{:?}", result.unwrap()), format!("{:?}", ExitCode::from(125)));
        assert_eq!(seen, [1, 2, 3]);
        let only = each(vec![()], |()| Err(Error::new(Kind::NotFound, "no")));
        assert_eq!(only.unwrap_err().kind(), Kind::NotFound);
        assert!(each(Vec::<()>::new(), |()| Ok(None)).is_ok());
    }
}
