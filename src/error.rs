//! What went wrong, and what the user can do about it.
//!
//! The program has one error type: a [`Kind`] (which determines the exit code), a message that names the
//! object, the chain of causes, and hints. Errors are printed in one place, `ui`.

use serde::{Deserialize, Serialize};
use std::error::Error as StdError;
use std::fmt;

/// The result of everything that can fail with a message for the user.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The exit code of our own failures, also of a verb of whose several objects some failed.
pub const FAILED: u8 = 125;

/// What sort of failure this is; decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// The command line or a file the user wrote is wrong.
    Usage,
    /// The named object does not exist.
    NotFound,
    /// The named object exists already, or is in a state that forbids the action.
    Conflict,
    /// This machine or account lacks something.
    Host,
    /// A registry answered badly or not at all.
    Registry,
    /// An image or archive is malformed or does not match its digest.
    Image,
    /// Bytes under the data root could not be read or written.
    Storage,
    /// Networking could not be set up.
    Network,
    /// A container could not be set up or controlled.
    Runtime,
    /// The command was found in the container but cannot be executed: exit 126.
    NotExecutable,
    /// The command was not found in the container: exit 127.
    CommandNotFound,
    /// The reader of our standard output is gone: nothing is reported, and the exit code is 141 as from SIGPIPE.
    OutputClosed,
}

impl Kind {
    /// The exit code for this kind: 125 for our own failures, 126 and 127 as a shell has them.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::NotExecutable => 126,
            Kind::CommandNotFound => 127,
            Kind::OutputClosed => 141,
            _ => FAILED,
        }
    }
}

/// A failure: kind, message, cause and hints.
///
/// Messages are lower case, without a full stop, and name the object. Hints are sentences with a
/// command to type.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
    hints: Vec<String>,
    names_image: bool,
}

impl Error {
    /// A failure without a cause below it.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Error { kind, message: message.into(), source: None, hints: Vec::new(), names_image: false }
    }

    /// Sets the cause below this failure.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds a hint: a sentence with a command to type.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Marks a message that says which image it is about.
    #[must_use]
    pub fn naming_image(mut self) -> Self {
        self.names_image = true;
        self
    }

    /// Whether the message says which image it is about.
    pub fn names_image(&self) -> bool {
        self.names_image
    }

    /// What sort of failure this is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The message without causes.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// All hints, this failure's first, then those of the causes.
    pub fn hints(&self) -> Vec<&str> {
        let mut all: Vec<&str> = self.hints.iter().map(String::as_str).collect();
        let mut next = self.source();
        while let Some(cause) = next {
            if let Some(own) = cause.downcast_ref::<Error>() {
                all.extend(own.hints.iter().map(String::as_str));
            }
            next = cause.source();
        }
        all
    }

    /// The message and those of the causes in one line, for where there is room for no more.
    pub fn in_one_line(&self) -> String {
        std::iter::once(self.message.clone()).chain(self.causes()).collect::<Vec<_>>().join(": ")
    }

    /// The messages of the causes, outermost first.
    pub fn causes(&self) -> Vec<String> {
        let mut all = Vec::new();
        let mut next = self.source();
        while let Some(cause) = next {
            all.push(cause.to_string());
            next = cause.source();
        }
        all
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|s| s as &(dyn StdError + 'static))
    }
}

/// Puts a message above a lower-level failure.
pub trait Context<T> {
    /// Wraps the failure in an [`Error`] of this kind, with a message that names the object.
    fn context<M: Into<String>>(self, kind: Kind, message: impl FnOnce() -> M) -> Result<T>;
}

impl<T, E: Into<Box<dyn StdError + Send + Sync>>> Context<T> for std::result::Result<T, E> {
    fn context<M: Into<String>>(self, kind: Kind, message: impl FnOnce() -> M) -> Result<T> {
        self.map_err(|e| Error::new(kind, message()).caused_by(e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_and_hints_come_outermost_first() {
        let inner =
            Error::new(Kind::Storage, "write x").caused_by(std::io::Error::from_raw_os_error(28)).hint("a");
        let outer = Error::new(Kind::Runtime, "create y").caused_by(inner).hint("b");
        assert_eq!(outer.hints(), ["b", "a"]);
        assert_eq!(outer.causes()[0], "write x");
        assert_eq!(outer.causes().len(), 2);
    }
}
