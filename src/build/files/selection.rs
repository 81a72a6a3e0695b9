//! What the sources of COPY and ADD select.
//!
//! Theory of operation. The rules are those of the Dockerfile reference and, where it is silent, of BuildKit's file
//! operations (solver/llbsolver/file and fsutil's copy): a source is a path from the tree's root on, which `..` does
//! not leave; symlinks on the way and at its end are followed inside the root, those inside a directory that is copied
//! are copied as they are; of a directory the contents are copied. A source that selects nothing is refused, as podman
//! does, unless the caller wants wildcards that match nothing to be passed over, as BuildKit does.

use super::glob::{self, Matches};
use super::ignore::Ignore;
use super::list::{Wanted, list};
use super::node::{Kind, Moment, Node};
use super::path::{base, clean, in_root, shown};
use super::pattern::{Pattern, Stars};
use super::rules::{Rule, Rules};
use super::tree::{Tree, failed};
use super::within::{Found, look_up};
use crate::error::{Error, Kind as Failed, Result, phrases};
use nix::errno::Errno;
use nix::fcntl::readlinkat;
use nix::sys::stat::SFlag;
use std::ffi::CString;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;

/// The point in a source from which on `--parents` keeps its directories.
const PIVOT: &str = "/./";

/// How sources are read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Select {
    /// `--parents`: the directories of a source are kept. Sources may have `**`, and symlinks are not followed.
    pub parents: bool,
    /// `--exclude`: patterns of what is left out, as in an ignore file, relative to the source.
    pub exclude: Vec<String>,
    /// A wildcard that matches nothing is passed over, as in BuildKit; else it is refused, as in podman.
    pub allow_no_match: bool,
}

/// Files that were selected for a copy, and how they were when they were.
#[derive(Debug)]
pub struct Selection<'t> {
    pub(super) tree: &'t Tree,
    pub(super) items: Vec<Item>,
}

/// What one source, or one match of its wildcards, selects.
#[derive(Debug)]
pub(super) struct Item {
    /// Its path in the tree, without symlinks.
    pub(super) path: Vec<u8>,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    /// What is in a directory, and when that was changed last.
    Contents(Vec<Node>, Moment),
    /// A file, whose name is the one in the source.
    File(Node),
}

impl<'t> Selection<'t> {
    /// Finds what these sources select. Sources are as in the instruction, with variables expanded.
    ///
    /// # Errors
    /// A source that is not there or is left out, that matches nothing, or that cannot be copied; a malformed pattern;
    /// a file that cannot be looked at.
    pub fn find(tree: &'t Tree, sources: &[String], how: &Select) -> Result<Selection<'t>> {
        let exclude = Ignore::of_patterns("--exclude", &how.exclude)?;
        let finder = Finder { tree, exclude: &exclude, how };
        let mut items = Vec::new();
        for source in sources {
            if source.is_empty() {
                return Err(Error::new(Failed::Usage, "empty source location"));
            }
            if how.parents {
                finder.with_parents(source, &mut items)?
            } else {
                finder.plain(source, &mut items)?
            }
        }
        Ok(Selection { tree, items })
    }

    /// Whether nothing at all is selected, not even an empty directory.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

struct Finder<'a> {
    tree: &'a Tree,
    exclude: &'a Ignore,
    how: &'a Select,
}

impl Finder<'_> {
    fn plain(&self, source: &str, items: &mut Vec<Item>) -> Result<()> {
        let Matches { paths, mut left_out, wild } = glob::expand(self.tree, source.as_bytes())?;
        let mut matched = false;
        for path in paths {
            let found = self.follow(&path)?;
            match self.item(&path, &found)? {
                Some(item) => {
                    matched = true;
                    // A file may be excluded by its name, as the reference's example has it.
                    let excluded = matches!(item.what, What::File(_)) && self.exclude.is_out(base(&path));
                    items.extend((!excluded).then_some(item));
                }
                None if wild => left_out += 1,
                None => return Err(self.missing(&path, 1)),
            }
        }
        if matched || wild && self.how.allow_no_match {
            return Ok(());
        }
        Err(self.missing(&in_root(source.as_bytes()), left_out))
    }

    fn with_parents(&self, source: &str, items: &mut Vec<Item>) -> Result<()> {
        let (above, below) = source.split_once(PIVOT).unwrap_or(("/", source));
        let below = in_root(below.as_bytes());
        let refuse = |why| Error::new(Failed::Usage, format!("{source:?}: {why}"));
        let pattern = Pattern::parse(&below, Stars::Many).map_err(|e| refuse(e.reason()))?;
        let Matches { paths, left_out, mut wild } = glob::expand(self.tree, above.as_bytes())?;
        wild |= pattern.literal().is_none();
        // The root matches everything.
        let include = (!below.is_empty()).then(|| Rules(vec![Rule { except: false, pattern }]));
        let mut matched = false;
        for path in paths {
            let found = self.follow(&path)?;
            if found.kind() != Some(SFlag::S_IFDIR) {
                continue;
            }
            let path = found.path();
            let wanted = Wanted { exclude: Some(self.exclude), include: include.as_ref() };
            let nodes = list(self.tree, &path, wanted)?;
            matched |= !nodes.is_empty() || include.is_none();
            items.push(Item { path, what: What::Contents(nodes, modified(&found)) });
        }
        if matched || wild && self.how.allow_no_match {
            return Ok(());
        }
        let full = in_root(&clean(source.as_bytes()));
        let ignored = self.tree.ignore.as_ref().is_some_and(|ignore| ignore.is_out(&full));
        Err(self.missing(&full, left_out + usize::from(ignored)))
    }

    /// What a path leads to.
    fn follow(&self, path: &[u8]) -> Result<Found> {
        match look_up(self.tree.root.as_fd(), path) {
            Err(Errno::ENOENT | Errno::ENOTDIR) => Err(self.missing(path, 0)),
            Err(e) => Err(failed("look up", path, e)),
            Ok(found) if found.status.is_none() => Err(self.missing(path, 0)),
            Ok(found) => Ok(found),
        }
    }

    /// What is selected of something that is there; `None` if it is left out.
    fn item(&self, path: &[u8], found: &Found) -> Result<Option<Item>> {
        let Some(status) = &found.status else { return Ok(None) };
        let real = found.path();
        let out = self.tree.ignore.as_ref().is_some_and(|ignore| ignore.is_out(&real));
        if found.kind() == Some(SFlag::S_IFDIR) {
            if out && !self.tree.ignore.as_ref().is_some_and(|ignore| ignore.may_contain(&real)) {
                return Ok(None);
            }
            let wanted = Wanted { exclude: Some(self.exclude), include: None };
            let nodes = list(self.tree, &real, wanted)?;
            if out && nodes.is_empty() {
                return Ok(None);
            }
            return Ok(Some(Item { path: real, what: What::Contents(nodes, modified(found)) }));
        }
        if out {
            return Ok(None);
        }
        let target = || readlinkat(&found.dir, found.name.as_c_str()).map(OsStringExt::into_vec);
        let kind = Kind::of_leaf(status, target).map_err(|e| failed("look at", path, e))?;
        let Some(kind) = kind else {
            let why = "it is a socket or a device";
            return Err(Error::new(Failed::Usage, format!("{} cannot be copied: {why}", shown(path))));
        };
        let name = CString::new(base(path)).map_err(|_| failed("look up", path, Errno::EINVAL))?;
        Ok(Some(Item { path: real, what: What::File(Node::of(name, status, kind)) }))
    }

    /// The refusal of a source that selects nothing; `left_out` is how many files the ignore file has left out.
    fn missing(&self, path: &[u8], left_out: usize) -> Error {
        let ignored = self.tree.ignore.as_ref().is_some_and(|ignore| ignore.is_out(path));
        let path = shown(path);
        match &self.tree.ignore {
            Some(ignore) if left_out > 0 || ignored => {
                phrases::source_left_out(&path, left_out.max(1), ignore.name())
            }
            _ => phrases::no_source(&path),
        }
    }
}

fn modified(found: &Found) -> Moment {
    found.status.as_ref().map_or((0, 0), |status| (status.st_mtime, status.st_mtime_nsec))
}

#[cfg(test)]
#[path = "selection_tests.rs"]
mod tests;
