//! Patterns of which the last that matches decides, and what is left of them inside a directory.
//!
//! Theory of operation. A pattern matches a path if it matches the path itself or a directory above it. A walk keeps
//! for each directory the rules that already match, and those that may still match something inside ([`Inside`]). In
//! most directories few are left, so most paths are compared with few patterns.

use super::pattern::Pattern;

/// A pattern, and what it says of what it matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    /// `!`: it takes back what patterns before it said.
    pub(super) except: bool,
    pub(super) pattern: Pattern,
}

/// Rules, of which the last that matches decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rules(pub(super) Vec<Rule>);

/// The rules that matter inside a directory, in order: the rule's number, and whether it matches all that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Inside(Vec<(usize, bool)>);

impl Rules {
    /// Those of the root.
    pub(super) fn at_root(&self) -> Inside {
        Inside((0..self.0.len()).map(|number| (number, false)).collect())
    }

    /// Whether the rules match this path in a directory.
    pub(super) fn match_in(&self, inside: &Inside, path: &[u8]) -> bool {
        let decides = |(number, all): &&(usize, bool)| *all || self.0[*number].pattern.matches(path);
        inside.0.iter().rev().find(decides).is_some_and(|(number, _)| !self.0[*number].except)
    }

    /// What is left inside `path`, a directory in the one that `inside` is about.
    pub(super) fn enter(&self, inside: &Inside, path: &[u8]) -> Inside {
        let left = inside.0.iter().filter_map(|(number, all)| {
            let pattern = &self.0[*number].pattern;
            let all = *all || pattern.matches(path);
            (all || pattern.may_match_below(path)).then_some((*number, all))
        });
        Inside(left.collect())
    }

    /// What is left inside the directory of this path from the root.
    pub(super) fn inside(&self, path: &[u8]) -> Inside {
        above(path).chain([path]).filter(|p| !p.is_empty()).fold(self.at_root(), |i, dir| self.enter(&i, dir))
    }

    /// Whether the rules match this path from the root.
    pub(super) fn matches(&self, path: &[u8]) -> bool {
        let dir = above(path).last().unwrap_or_default();
        !path.is_empty() && self.match_in(&self.inside(dir), path)
    }

    /// Whether they match the directory that `inside` is about.
    pub(super) fn match_all(&self, inside: &Inside) -> bool {
        let last = inside.0.iter().rev().find(|(_, all)| *all);
        last.is_some_and(|(number, _)| !self.0[*number].except)
    }

    /// Whether something in it may not be matched by them, although the directory is.
    pub(super) fn may_except(&self, inside: &Inside) -> bool {
        let decides = inside.0.iter().rev().find(|(number, all)| *all || self.0[*number].except);
        decides.is_none_or(|(number, _)| self.0[*number].except)
    }

    /// Whether something in it may be matched by them.
    pub(super) fn may_match(&self, inside: &Inside) -> bool {
        inside.0.iter().any(|(number, _)| !self.0[*number].except)
    }
}

/// The directories above a path, outermost first, without the root.
fn above(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(slash, _)| &path[..slash])
}
