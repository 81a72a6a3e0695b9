//! The build checks of Docker's reference: what works and is still not as it should be.
//!
//! Which rules there are is in `rules`. `layout` has those about how the file is written, `scope` those for which the
//! stages are followed with their variables. `# check=skip=RULE` at the top of the file or above an instruction
//! switches rules off.

use super::tree::Containerfile;
use crate::build::event::Warning;

mod comments;
mod layout;
mod report;
mod rules;
mod scope;

use comments::Comments;
use report::Report;

pub use report::{BaseImage, CheckContext};

/// Checks a file. The findings are in the order of lines, at most 1,000.
pub fn check(file: &Containerfile, known: &CheckContext<'_>) -> Vec<Warning> {
    let comments = Comments::of(file);
    let mut report = Report { file, comments: &comments, found: Vec::new() };
    layout::check(file, &mut report);
    scope::check(file, known, &mut report);
    report.found.sort_by_key(|warning| warning.lines.0);
    report.found
}
