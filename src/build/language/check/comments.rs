//! The comments above instructions.

use crate::build::language::directives;
use crate::build::language::tree::{Containerfile, Directives, Lines};
use std::collections::{BTreeMap, BTreeSet};

/// What stands above each instruction, by its first line.
pub(super) struct Comments<'a>(BTreeMap<usize, Above<'a>>);

#[derive(Default)]
struct Above<'a> {
    /// The comment in the line before.
    last: Option<&'a str>,
    /// `# check=` in one of the lines since the instruction before.
    check: Option<Directives>,
}

impl<'a> Comments<'a> {
    /// The comments of a file.
    pub(super) fn of(file: &'a Containerfile) -> Self {
        let mut places: BTreeSet<Lines> = file.globals.iter().map(|argument| argument.at).collect();
        for stage in &file.stages {
            places.insert(stage.at);
            places.extend(stage.instructions.iter().map(|instruction| instruction.at));
        }
        let mut read = file.directives.lines;
        let mut all = BTreeMap::new();
        for (first, last) in places {
            let lines = file.source.lines.get(read..first.saturating_sub(1)).unwrap_or_default();
            all.insert(first, Above::of(lines));
            read = last;
        }
        Comments(all)
    }

    /// The comment in the line above the instruction that begins in this line.
    pub(super) fn last(&self, line: usize) -> Option<&'a str> {
        self.0.get(&line)?.last
    }

    /// What `# check=` says above the instruction that this line is in.
    pub(super) fn directives(&self, line: usize) -> Option<&Directives> {
        self.0.range(..=line).next_back()?.1.check.as_ref()
    }
}

impl<'a> Above<'a> {
    /// An empty comment separates those above it.
    fn of(lines: &'a [String]) -> Self {
        let mut above = Above::default();
        for line in lines {
            above.last = line.trim().strip_prefix('#').map(str::trim).filter(|comment| !comment.is_empty());
            if line.trim() == "#" {
                above.check = None;
            }
            let option = above.last.and_then(|comment| comment.strip_prefix("check="));
            if let Some(option) = option {
                let mut found = Directives::default();
                above.check = directives::check(option, &mut found).is_ok().then_some(found);
            }
        }
        above
    }
}
