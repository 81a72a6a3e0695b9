//! What went wrong, and what the user can do about it.
//!
//! The program has one error type: a [`Kind`] (which determines the exit code), a message that names the
//! object, the chain of causes, and hints. Errors are printed in one place, `ui`.

use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use std::error::Error as StdError;
use std::fmt;

mod command;
pub mod phrases;
mod warning;

pub use command::commands_of;
pub use warning::Warning;

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
    /// A container is running or paused, so it cannot be removed.
    StillRunning,
    /// A container does not run, so nothing can be started in it: exit 255, as podman has it.
    NotRunning,
    /// The command was found in the container but cannot be executed: exit 126.
    NotExecutable,
    /// The user or group is not in the container: exit 126.
    NoSuchUser,
    /// The command was not found in the container: exit 127.
    CommandNotFound,
    /// What a container wrote cannot be passed on: exit 126.
    OutputLost,
    /// The reader of our standard output is gone: nothing is reported, and the exit code is 141 as from SIGPIPE.
    OutputClosed,
}

impl Kind {
    /// The exit code for this kind, as podman has it: 125 for our own failures, 126 and 127 as a shell has them.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::NotExecutable | Kind::NoSuchUser | Kind::OutputLost => 126,
            Kind::CommandNotFound => 127,
            Kind::OutputClosed => 141,
            Kind::NotRunning => 255,
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
    message: Box<str>,
    docker: Option<Box<str>>,
    source: Option<Box<dyn StdError + Send + Sync>>,
    hints: Vec<Hint>,
    excerpt: Option<Box<str>>,
    names_image: bool,
    of_client: bool,
}

/// A hint, and what it says where docker has no such option.
#[derive(Debug)]
struct Hint {
    podman: String,
    docker: Option<String>,
}

impl Hint {
    fn dockers(&self) -> &str {
        self.docker.as_ref().unwrap_or(&self.podman)
    }
}

impl Error {
    /// A failure without a cause below it.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Error {
            kind,
            message: message.into().into(),
            docker: None,
            source: None,
            hints: Vec::new(),
            excerpt: None,
            names_image: false,
            of_client: false,
        }
    }

    /// Says how docker words it, where programs look for that.
    #[must_use]
    pub fn as_docker(mut self, message: impl Into<String>) -> Self {
        self.docker = Some(message.into().into());
        self
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
        self.hints.push(Hint { podman: hint.into(), docker: None });
        self
    }

    /// Adds a hint that tells of an option which docker does not have, and what is said under docker's name.
    #[must_use]
    pub fn hint_by_name(mut self, podman: impl Into<String>, docker: impl Into<String>) -> Self {
        self.hints.push(Hint { podman: podman.into(), docker: Some(docker.into()) });
        self
    }

    /// Shows the lines of a file that it is about: several, each with its end, safe for a terminal.
    #[must_use]
    pub fn excerpt(mut self, excerpt: impl Into<String>) -> Self {
        self.excerpt = Some(excerpt.into().into());
        self
    }

    /// Marks a message that says which image it is about.
    #[must_use]
    pub fn naming_image(mut self) -> Self {
        self.names_image = true;
        self
    }

    /// Marks what docker's client finds out by itself, though it is not about the command line.
    #[must_use]
    pub fn of_client(mut self) -> Self {
        self.of_client = true;
        self
    }

    /// Whether it is docker's engine that says so, and not its client.
    pub fn is_engines(&self) -> bool {
        !self.of_client && !matches!(self.kind, Kind::Usage | Kind::OutputLost | Kind::OutputClosed)
    }

    /// Makes it another kind of failure, where it means something else.
    #[must_use]
    pub fn of_kind(self, kind: Kind) -> Self {
        Error { kind, ..self }
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
        self.own_chain().flat_map(|own| own.hints.iter().map(|hint| hint.podman.as_str())).collect()
    }

    /// As [`Error::hints`], for one who has called docker.
    pub fn dockers_hints(&self) -> Vec<&str> {
        self.own_chain().flat_map(|own| &own.hints).map(Hint::dockers).collect()
    }

    /// The excerpts of files, this failure's first, then those of the causes.
    pub fn excerpts(&self) -> Vec<&str> {
        self.own_chain().filter_map(|own| own.excerpt.as_deref()).collect()
    }

    /// This failure and those of its causes that are our own.
    fn own_chain(&self) -> impl Iterator<Item = &Error> {
        let mut next: Option<&(dyn StdError + 'static)> = Some(self);
        std::iter::from_fn(move || {
            let error = next?;
            next = error.source();
            Some(error.downcast_ref::<Error>())
        })
        .flatten()
    }

    /// The message and those of the causes in one line: `a: b: c`.
    pub fn in_one_line(&self) -> String {
        self.chain(Error::message).join(": ")
    }

    /// The same in docker's words, where it has its own.
    pub fn in_dockers_words(&self) -> String {
        self.chain(Error::dockers).join(": ")
    }

    /// The messages of the causes, outermost first.
    pub fn causes(&self) -> Vec<String> {
        self.chain(Error::message).split_off(1)
    }

    /// The message and those of the causes as docker words them.
    pub fn dockers_chain(&self) -> Vec<String> {
        self.chain(Error::dockers)
    }

    fn dockers(&self) -> &str {
        self.docker.as_deref().unwrap_or(&self.message)
    }

    fn chain(&self, words: fn(&Error) -> &str) -> Vec<String> {
        let mut all = vec![words(self).to_owned()];
        let mut next = self.source();
        while let Some(cause) = next {
            all.push(match cause.downcast_ref::<Error>() {
                Some(own) => words(own).to_owned(),
                None => cause_words(cause),
            });
            next = cause.source();
        }
        all
    }
}

/// What the kernel answered, as programs in Go put it: strerror(3) in lower case.
pub fn errno_words(errno: Errno) -> String {
    let number = errno as i32;
    let mut text = std::io::Error::from_raw_os_error(number).to_string();
    text.truncate(text.len() - format!(" (os error {number})").len());
    // Not an abbreviation.
    if text.chars().nth(1).is_some_and(char::is_lowercase) {
        text[..1].make_ascii_lowercase();
    }
    text
}

fn cause_words(cause: &(dyn StdError + 'static)) -> String {
    let io = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
    let errno = io.map(Errno::from_raw).or_else(|| cause.downcast_ref::<Errno>().copied());
    errno.map_or_else(|| cause.to_string(), errno_words)
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
        let inner = inner.excerpt("3 | z\n");
        let outer = Error::new(Kind::Runtime, "create y").caused_by(inner).hint("b");
        assert_eq!((outer.hints(), outer.excerpts()), (vec!["b", "a"], vec!["3 | z\n"]));
        assert_eq!(outer.causes()[0], "write x");
        assert_eq!(outer.in_one_line(), "create y: write x: no space left on device");
    }

    #[test]
    fn docker_has_words_of_its_own() {
        let plain = Error::new(Kind::Runtime, "begin").caused_by(Errno::EACCES);
        assert_eq!(plain.in_dockers_words(), "begin: permission denied");
        let inner = phrases::no_container("web").caused_by(Errno::EIO);
        let outer = Error::new(Kind::Runtime, "look").caused_by(inner);
        assert_eq!(
            outer.in_one_line(),
            "look: no container with name or ID \"web\" found: no such container: input/output error"
        );
        assert_eq!(outer.in_dockers_words(), "look: No such container: web: input/output error");
        assert_eq!(errno_words(Errno::EXDEV), "invalid cross-device link");
    }
}
