//! Listing a directory of a tree with all that is selected in it.
//!
//! Theory of operation. Each directory is read once, and each of its names looked at once, from the directory's
//! descriptor. What an ignore file or `--exclude` leaves out is not looked at, and a directory that is left out is
//! not read unless something in it may be selected all the same.

use super::attributes;
use super::ignore::Ignore;
use super::node::{Directory, Kind, Node};
use super::rules::{Inside, Rules};
use super::tree::{Tree, failed, unreadable};
use super::within::DEPTH_MAX;
use crate::error::Result;
use crate::storage::unpack::{DIRECTORY, file_type, lstat};
use crate::sys::dir;
use nix::errno::Errno;
use nix::fcntl::{openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

/// Bytes of directory entries that are read at once.
const BUFFER: usize = 64 << 10;

/// What is selected of a directory.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wanted<'a> {
    /// What is left out, by its path from the directory on.
    pub(super) exclude: Option<&'a Ignore>,
    /// What is taken, by its path from the directory on; `None` is everything.
    pub(super) include: Option<&'a Rules>,
}

/// Lists what is selected in the directory at this path without symlinks.
pub(super) fn list(tree: &Tree, path: &[u8], wanted: Wanted<'_>) -> Result<Vec<Node>> {
    let dir = tree.open_dir(path).map_err(|e| unreadable("open directory", path, e))?;
    let base = if path.is_empty() { 0 } else { path.len() + 1 };
    let scope = Scope {
        ignore: tree.ignore.as_ref().map(|ignore| ignore.rules.inside(path)),
        exclude: wanted.exclude.map(|exclude| exclude.rules.at_root()),
        include: wanted.include.map(Rules::at_root),
    };
    let mut lister = Lister { tree, wanted, base, path: path.to_vec(), buffer: vec![0; BUFFER] };
    lister.directory(&dir, &scope, 0)
}

/// The names in an open directory, sorted, without `.` and `..`.
///
/// # Errors
/// Those of getdents64(2).
pub(super) fn names(dir: BorrowedFd<'_>, buffer: &mut [u8]) -> nix::Result<Vec<CString>> {
    let (mut names, mut from) = (Vec::new(), 0);
    loop {
        let before = from;
        dir::entries(dir, from, buffer, |entry| {
            from = entry.next;
            if !matches!(entry.name.to_bytes(), b"." | b"..") {
                names.push(entry.name.to_owned());
            }
            true
        })?;
        if from == before {
            break;
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The rules that matter in a directory.
struct Scope {
    ignore: Option<Inside>,
    exclude: Option<Inside>,
    include: Option<Inside>,
}

/// What is to be done with a directory.
struct Descent {
    scope: Scope,
    /// Whether the ignore file leaves it in.
    there: bool,
    /// Whether it is selected itself.
    selected: bool,
}

struct Lister<'a> {
    tree: &'a Tree,
    wanted: Wanted<'a>,
    /// How much of `path` leads to the directory that is listed.
    base: usize,
    /// The path of what is looked at.
    path: Vec<u8>,
    buffer: Vec<u8>,
}

impl Lister<'_> {
    fn directory(&mut self, dir: &OwnedFd, scope: &Scope, depth: usize) -> Result<Vec<Node>> {
        if depth > DEPTH_MAX {
            return Err(failed("open directory", &self.path, Errno::ENAMETOOLONG));
        }
        let names =
            names(dir.as_fd(), &mut self.buffer).map_err(|e| failed("read directory", &self.path, e))?;
        let mut nodes = Vec::with_capacity(names.len());
        for name in names {
            let length = self.path.len();
            if length > 0 {
                self.path.push(b'/');
            }
            self.path.extend_from_slice(name.to_bytes());
            nodes.extend(self.entry(dir.as_fd(), name, scope, depth)?);
            self.path.truncate(length);
        }
        Ok(nodes)
    }

    /// One name; `None` if nothing of it is selected.
    fn entry(
        &mut self,
        dir: BorrowedFd<'_>,
        name: CString,
        scope: &Scope,
        depth: usize,
    ) -> Result<Option<Node>> {
        let selected = self.is_selected(scope);
        if !selected && self.nothing_is_excepted(scope) {
            return Ok(None);
        }
        let fail = |e, path: &[u8]| failed("look at", path, e);
        // What has disappeared since is not selected.
        let Some(status) = lstat(dir, &name).map_err(|e| fail(e, &self.path))? else { return Ok(None) };
        if file_type(&status) != SFlag::S_IFDIR {
            let target = || readlinkat(dir, name.as_c_str()).map(OsStringExt::into_vec);
            let kind = if selected { Kind::of_leaf(&status, target) } else { Ok(None) };
            let kind = kind.map_err(|e| fail(e, &self.path))?;
            return Ok(kind.map(|kind| Node::of(name, &status, kind)));
        }
        match self.descend(scope) {
            Some(descent) => self.below(dir, &name, &status, &descent, depth),
            None => Ok(None),
        }
    }

    /// Lists a directory in the one that is listed; `None` if nothing of it is selected.
    fn below(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &CStr,
        status: &FileStat,
        descent: &Descent,
        depth: usize,
    ) -> Result<Option<Node>> {
        let below = match openat(dir, name, DIRECTORY, Mode::empty()) {
            Err(Errno::ENOENT) => return Ok(None),
            other => other.map_err(|e| unreadable("open directory", &self.path, e))?,
        };
        let children = self.directory(&below, &descent.scope, depth + 1)?;
        if children.is_empty() && !(descent.selected && descent.there) {
            return Ok(None);
        }
        let own = attributes::read(below.as_fd(), self.tree.owners)
            .map_err(|e| failed("read the attributes of", &self.path, e))?;
        let attributes = attributes::digest(&own);
        let kind = Kind::Directory(Directory { children, implied: !descent.selected, attributes });
        Ok(Some(Node::of(name.to_owned(), status, kind)))
    }

    /// The path from the directory that is listed.
    fn below_base(&self) -> &[u8] {
        &self.path[self.base..]
    }

    /// The rules of the ignore file, with what is left of them here.
    fn ignore<'s>(&self, scope: &'s Scope) -> Option<(&Rules, &'s Inside)> {
        Some((&self.tree.ignore.as_ref()?.rules, scope.ignore.as_ref()?))
    }

    fn exclude<'s>(&self, scope: &'s Scope) -> Option<(&Rules, &'s Inside)> {
        Some((&self.wanted.exclude?.rules, scope.exclude.as_ref()?))
    }

    fn include<'s>(&self, scope: &'s Scope) -> Option<(&Rules, &'s Inside)> {
        Some((self.wanted.include?, scope.include.as_ref()?))
    }

    fn is_selected(&self, scope: &Scope) -> bool {
        let ignored = self.ignore(scope).is_some_and(|(rules, inside)| rules.match_in(inside, &self.path));
        let excluded =
            self.exclude(scope).is_some_and(|(rules, inside)| rules.match_in(inside, self.below_base()));
        let included =
            self.include(scope).is_none_or(|(rules, inside)| rules.match_in(inside, self.below_base()));
        !ignored && !excluded && included
    }

    /// Whether what is not selected here need not even be looked at: were it a directory, nothing in it could be.
    fn nothing_is_excepted(&self, scope: &Scope) -> bool {
        let fixed = |(rules, inside): (&Rules, &Inside), path: &[u8]| {
            rules.match_in(inside, path) && !rules.may_except(&rules.enter(inside, path))
        };
        self.ignore(scope).is_some_and(|rule| fixed(rule, &self.path))
            || self.exclude(scope).is_some_and(|rule| fixed(rule, self.below_base()))
            || self
                .include(scope)
                .is_some_and(|(rules, inside)| !rules.may_match(&rules.enter(inside, self.below_base())))
    }

    /// How to go on in the directory at the path; `None` if nothing in it can be selected.
    fn descend(&self, scope: &Scope) -> Option<Descent> {
        /// The rules inside, and whether they match all of it; `None` if all of it is left out.
        fn left_out((rules, inside): (&Rules, &Inside), path: &[u8]) -> Option<(Inside, bool)> {
            let (inside, out) = (rules.enter(inside, path), rules.match_in(inside, path));
            (!out || rules.may_except(&inside)).then_some((inside, out))
        }
        let mut descent = Descent {
            scope: Scope { ignore: None, exclude: None, include: None },
            there: true,
            selected: true,
        };
        if let Some(rule) = self.ignore(scope) {
            let (inside, out) = left_out(rule, &self.path)?;
            descent.there = !out;
            descent.scope.ignore = Some(inside);
        }
        if let Some(rule) = self.exclude(scope) {
            let (inside, out) = left_out(rule, self.below_base())?;
            descent.selected &= !out;
            descent.scope.exclude = Some(inside);
        }
        if let Some((rules, inside)) = self.include(scope) {
            let inside = rules.enter(inside, self.below_base());
            if !rules.may_match(&inside) {
                return None;
            }
            descent.selected &= rules.match_all(&inside);
            descent.scope.include = Some(inside);
        }
        Some(descent)
    }
}
