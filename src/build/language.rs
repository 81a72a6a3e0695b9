//! The language of Containerfiles (Dockerfile reference, syntax up to 1.20). Pure.
//!
//! [`parse`] gives the file as stages of instructions. Words in it are as written: variables are expanded when an
//! instruction is reached, with [`Word::expand`], because what they mean then is known only there.
//!
//! ```text
//! bytes -> lines        instructions, each in one line; parser directives before them (directives)
//!       -> statement    its parts (words, flags) and its heredocs (heredoc)
//!       -> instruction  what it says (keys, sources)
//!       -> tree         types; Word::expand (expand, pattern), Command::script (script); mount reads RUN --mount
//! fault -> excerpt      the error that names the line and shows it
//! check                 findings that are no errors
//! ```

mod check;
mod directives;
mod excerpt;
mod expand;
mod fault;
mod flags;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod heredoc;
mod instruction;
mod keys;
mod lines;
pub mod mount;
mod parse;
mod pattern;
mod script;
mod sources;
mod statement;
mod tree;
mod words;

pub use check::{BaseImage, CheckContext, check};
pub use excerpt::{around, excerpt, excerpt_of_word};
pub use expand::{Variable, shown};
pub(super) use fault::nearest;
pub use parse::{parse, parse_trigger};
pub use script::Script;
pub use tree::{
    Add, Argument, Command, Containerfile, Copy, Directives, Does, Heredoc, Instruction, Lines, Run, Source,
    Stage, Word,
};

#[cfg(test)]
mod tests;
