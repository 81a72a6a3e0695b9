//! The failure of a stage, as it is sent to the parent.

use super::step::{Step, What};
use crate::error::{Error, Kind, errno_words};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};

/// Longest object or detail of a failure, in bytes; escaped they take six times that.
const WORDS_MAX: usize = 4096;
/// Most hints that come along, and the longest, in bytes.
const HINTS_MAX: usize = 3;
const HINT_MAX: usize = 400;

/// What a stage could not do: facts only, for the parent to put into words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Which process: `monitor`, `init`, `exec`, `unpack`, ...
    pub stage: String,
    /// The step that failed, for those that decide by it.
    step: Step,
    /// The step in the infinitive, `mount overlay`: for messages alone, so nobody else can read it.
    doing: String,
    /// The object, often a path.
    pub object: String,
    /// The kernel's answer; 0 when it was not a system call.
    pub errno: i32,
    /// More, in words, when an errno does not say it.
    pub detail: String,
    /// What to do about it, where only the stage can tell.
    #[serde(default)]
    pub hints: Box<[String]>,
}

impl Failure {
    /// A failed system call.
    pub fn new<'a>(doing: impl Into<What<'a>>, object: impl Into<String>, errno: Errno) -> Self {
        let What { step, words } = doing.into();
        Failure {
            stage: String::new(),
            step,
            doing: words.into_owned(),
            object: cut(object.into(), WORDS_MAX),
            errno: errno as i32,
            detail: String::new(),
            hints: Box::default(),
        }
    }

    /// A failure that is not a system call's.
    pub fn other<'a>(
        doing: impl Into<What<'a>>,
        object: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Failure { detail: cut(detail.into(), WORDS_MAX), ..Failure::new(doing, object, Errno::UnknownErrno) }
    }

    /// With the errno that stands for it, of a failure which is not a system call's.
    #[must_use]
    pub fn as_if(mut self, errno: Errno) -> Self {
        self.errno = errno as i32;
        self
    }

    /// In this stage.
    #[must_use]
    pub fn in_stage(mut self, stage: &str) -> Self {
        stage.clone_into(&mut self.stage);
        self
    }

    /// Which step failed.
    pub fn step(&self) -> Step {
        self.step
    }

    /// With what an error below it advises.
    #[must_use]
    pub fn advised_by(mut self, error: &Error) -> Self {
        self.hints = error.hints().into_iter().take(HINTS_MAX).map(|h| cut(h.to_owned(), HINT_MAX)).collect();
        self
    }

    /// The failure at the bottom of an error's chain, if that is what it was.
    pub fn below<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Failure> {
        let mut next = Some(error);
        while let Some(cause) = next {
            if let Some(failure) = cause.downcast_ref::<Failure>() {
                return Some(failure);
            }
            next = cause.source();
        }
        None
    }

    /// The kernel's answer as a typed number.
    pub fn errno(&self) -> Errno {
        Errno::from_raw(self.errno)
    }

    /// Plain words without a hint: `stage: doing object: reason`.
    pub fn describe(&self) -> String {
        let mut text = self.doing.clone();
        if !self.object.is_empty() {
            text.push(' ');
            text.push_str(&self.object);
        }
        if !self.detail.is_empty() {
            text.push_str(&format!(": {}", self.detail));
        } else if self.errno != 0 {
            text.push_str(&format!(": {}", errno_words(self.errno())));
        }
        text
    }
}

/// Whatever a name holds, the failure about it fits into a message.
fn cut(mut text: String, max: usize) -> String {
    if text.len() > max {
        text.truncate(text.floor_char_boundary(max));
        text.push_str("...");
    }
    text
}

/// The reason alone: what the kernel or the step said.
impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.detail.is_empty() {
            f.write_str(&errno_words(self.errno()))
        } else {
            f.write_str(&self.detail)
        }
    }
}

impl std::error::Error for Failure {}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        let mut message = failure.doing.clone();
        if !failure.object.is_empty() {
            message.push(' ');
            message.push_str(&failure.object);
        }
        let hints = failure.hints.to_vec();
        hints.into_iter().fold(Error::new(Kind::Runtime, message).caused_by(failure), Error::hint)
    }
}

/// Names the step and object of a failed system call.
pub trait Doing<T> {
    /// Turns the errno into a [`Failure`].
    ///
    /// # Errors
    /// The failure, when there is one.
    fn doing<'a>(
        self,
        doing: impl Into<What<'a>>,
        object: impl AsRef<std::path::Path>,
    ) -> std::result::Result<T, Failure>;
}

impl<T> Doing<T> for nix::Result<T> {
    fn doing<'a>(
        self,
        doing: impl Into<What<'a>>,
        object: impl AsRef<std::path::Path>,
    ) -> std::result::Result<T, Failure> {
        self.map_err(|e| Failure::new(doing, object.as_ref().to_string_lossy(), e))
    }
}

impl<T> Doing<T> for std::io::Result<T> {
    fn doing<'a>(
        self,
        doing: impl Into<What<'a>>,
        object: impl AsRef<std::path::Path>,
    ) -> std::result::Result<T, Failure> {
        self.map_err(|e| {
            let errno = e.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw);
            let mut failure = Failure::new(doing, object.as_ref().to_string_lossy(), errno);
            if e.raw_os_error().is_none() {
                failure.detail = e.to_string();
            }
            failure
        })
    }
}
