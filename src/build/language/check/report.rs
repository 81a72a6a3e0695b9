//! What checks know and what they find.

use super::comments::Comments;
use super::rules::Finding;
use crate::build::event::Warning;
use crate::build::language::excerpt::around;
use crate::build::language::fault::nearest;
use crate::build::language::tree::{Containerfile, Lines};
use std::collections::BTreeMap;

/// What is known besides the file.
#[derive(Clone, Copy)]
pub struct CheckContext<'a> {
    /// `--build-arg`.
    pub args: &'a BTreeMap<String, String>,
    /// The variables that FROM has without ARG: `BUILDPLATFORM`, `TARGETARCH` and so on.
    pub predefined: &'a BTreeMap<String, String>,
    /// What is known of an image by its name as in FROM. If it is `None`, undefined variables are not looked for in the
    /// stages that start from it.
    pub base: &'a dyn Fn(&str) -> Option<BaseImage>,
    /// Whether the ignore file excludes this path of the context: without a slash at its ends, `.` for all of it.
    /// `None` if there is no such file, or it takes something back with `!`.
    pub ignored: Option<&'a dyn Fn(&str) -> bool>,
    /// Whether the instructions of this stage, counted from 0, are of interest: those that are not built are not.
    pub stage: &'a dyn Fn(usize) -> bool,
}

/// What checks need to know of a base image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BaseImage {
    /// Its environment.
    pub env: BTreeMap<String, String>,
    /// Whether it has a shell of its own (SHELL).
    pub shell: bool,
}

/// Most findings: nobody reads more.
const FOUND_MAX: usize = 1000;
/// After so many findings names that were meant are not looked for, which takes long in large files.
const SUGGESTED_MAX: usize = 20;

/// Collects findings.
pub(super) struct Report<'a> {
    /// The file.
    pub(super) file: &'a Containerfile,
    /// What stands above instructions.
    pub(super) comments: &'a Comments<'a>,
    /// What was found.
    pub(super) found: Vec<Warning>,
}

impl Report<'_> {
    /// Adds a finding in these lines, unless its rule is switched off.
    pub(super) fn add(&mut self, at: Lines, finding: Finding) {
        if self.found.len() >= FOUND_MAX || !self.wanted(at, &finding) {
            return;
        }
        self.found.push(Warning {
            rule: finding.rule.to_owned(),
            description: finding.description.to_owned(),
            message: finding.message,
            file: self.file.source.name.clone(),
            lines: at,
            excerpt: around(&self.file.source, at),
        });
    }

    /// ` (did you mean x?)`: the known name nearest to this one, with this sign before it.
    pub(super) fn meant<'a>(
        &self,
        sign: &str,
        typed: &str,
        known: impl IntoIterator<Item = &'a String>,
    ) -> String {
        let near = (self.found.len() < SUGGESTED_MAX)
            .then(|| nearest(typed, known.into_iter().map(String::as_str)))
            .flatten();
        near.map_or_else(String::new, |near| format!(" (did you mean {sign}{near}?)"))
    }

    fn wanted(&self, at: Lines, finding: &Finding) -> bool {
        let above = self.comments.directives(at.0);
        let named = |rules: &[String]| {
            rules.iter().any(|rule| [finding.rule, "all"].iter().any(|name| name.eq_ignore_ascii_case(rule)))
        };
        let of_file = &self.file.directives;
        match finding.experimental {
            true => named(&of_file.experimental) || above.is_some_and(|above| named(&above.experimental)),
            false => !named(&of_file.skip) && !above.is_some_and(|above| named(&above.skip)),
        }
    }
}
