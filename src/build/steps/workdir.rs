//! WORKDIR: a directory that is made where there is none.

use super::step::Step;
use crate::build::files::{self, Destination, OwnerName, Write};
use crate::build::job::Job;
use crate::build::language::{Instruction, Word};
use crate::build::metadata::expand;
use crate::build::state::State;
use crate::error::Result;
use crate::storage::build::StepKind;
use crate::text::clean;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

/// A directory to be made.
#[derive(Debug)]
pub(in crate::build) struct Work {
    /// Absolute.
    path: PathBuf,
    /// Whose it is: USER's, as BuildKit has it.
    owner: String,
}

/// Prepares a step, and changes the configuration.
///
/// # Errors
/// A word that cannot be expanded.
pub(super) fn prepare_step(
    job: &Job<'_>,
    state: &mut State,
    instruction: &Instruction,
    word: &Word,
) -> Result<Option<Step<Work>>> {
    let text = expand(state, job.escape(), word).map_err(|why| job.fault(instruction.at, why))?;
    let path = clean(&Path::new(state.working_directory()).join(&text));
    let shown = path.to_string_lossy().into_owned();
    state.config.config.working_dir.clone_from(&shown);
    let told = format!("WORKDIR {shown}");
    if path == Path::new("/") {
        state.note(told);
        return Ok(None);
    }
    let owner = state.config.config.user.clone();
    let key = job.key("workdir", &(state.files(), &shown, &owner));
    Ok(Some(Step { key, told, kind: StepKind::Regular, work: Work { path, owner } }))
}

/// Makes the directory in a root.
///
/// # Errors
/// A user that is not there; a file in the way.
pub(super) fn perform(work: &Work, root: BorrowedFd<'_>) -> Result<()> {
    let owner = match work.owner.as_str() {
        "" => None,
        user => Some(user.parse::<OwnerName>()?.look_up(root)?),
    };
    let to = Destination::new(root, "/", &work.path.to_string_lossy());
    files::make_directory(&to, &Write { owner, ..Write::default() })
}
