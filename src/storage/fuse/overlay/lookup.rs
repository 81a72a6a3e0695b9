//! Finding files in the layers.

use super::tree::{Named, Node, Tree, UPPER, What};
use crate::storage::fuse::beneath;
use crate::storage::fuse::numbers::Found;
use crate::storage::unpack::{file_type, lstat};
use crate::storage::whiteout;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{FileStat, SFlag};
use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// What the layers have under a name.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) what: What,
    pub(super) status: FileStat,
    /// Of a directory the bottom one's, which never changes; else the file's own.
    identity: (u64, u64),
}

impl Seen {
    pub(super) fn is_directory(&self) -> bool {
        matches!(self.what, What::Directory(_))
    }

    /// Whether no lower layer contributes to it.
    pub(super) fn is_new(&self) -> bool {
        match &self.what {
            What::Directory(layers) => layers == &[UPPER],
            What::File(layer) => *layer == UPPER,
        }
    }
}

impl Tree {
    /// What has this name in that directory; its number is given away.
    pub(super) fn lookup(&mut self, parent: u64, name: &CStr) -> nix::Result<Found> {
        let seen = self.find(parent, name)?.ok_or(Errno::ENOENT)?;
        self.give(parent, name, &seen)
    }

    /// Returns the number of the file that was found.
    pub(super) fn give(&mut self, parent: u64, name: &CStr, seen: &Seen) -> nix::Result<Found> {
        let number = self.register(parent, name, seen)?;
        match self.examine(number) {
            Ok(found) => {
                self.node_mut(number)?.given += 1;
                Ok(found)
            }
            Err(e) => {
                self.tidy(number);
                Err(e)
            }
        }
    }

    /// Looks through the layers.
    pub(super) fn find(&mut self, parent: u64, name: &CStr) -> nix::Result<Option<Seen>> {
        let layers = self.layers_of(parent)?.to_vec();
        let mut found: Vec<usize> = Vec::new();
        let mut top: Option<(FileStat, FileStat)> = None;
        for (at, layer) in layers.iter().enumerate() {
            let directory = self.directory(parent, *layer)?;
            let Some(status) = lstat(directory.as_fd(), name)? else { continue };
            if whiteout::is_at(directory.as_fd(), name, &status)? {
                break;
            }
            if file_type(&status) != SFlag::S_IFDIR {
                if top.is_some() {
                    break;
                }
                let identity = (status.st_dev, status.st_ino);
                return Ok(Some(Seen { what: What::File(*layer), status, identity }));
            }
            found.push(*layer);
            top = Some((top.map_or(status, |(first, _)| first), status));
            if at + 1 < layers.len() && is_opaque(&directory, name)? {
                break;
            }
        }
        Ok(top.map(|(status, bottom)| Seen {
            what: What::Directory(found),
            status,
            identity: (bottom.st_dev, bottom.st_ino),
        }))
    }

    /// The inode number that a name in a listing will be shown with, where one layer has it as this inode.
    pub(super) fn number_of(
        &mut self,
        parent: u64,
        name: &CStr,
        (directory, own): (bool, (u64, u64)),
    ) -> nix::Result<Option<u64>> {
        if let Some(number) = self.names.get(&(parent, Arc::from(name))).copied() {
            return Ok(Some(self.node(number)?.shown.unwrap_or(number)));
        }
        // A directory of several layers has the number of the bottom one's.
        let merged = directory && self.layers_of(parent)?.len() > 1;
        let found = if merged { self.find(parent, name)? } else { None };
        let identity = found.map_or(own, |seen| seen.identity);
        Ok(self.uppers.get(&identity).copied().or_else(|| self.disks.number(identity)))
    }

    /// Whether a lower layer would show something under a name if the upper one had nothing there.
    pub(super) fn has_below(&mut self, parent: u64, name: &CStr) -> nix::Result<bool> {
        for layer in self.layers_of(parent)?.to_vec() {
            if layer == UPPER {
                continue;
            }
            let directory = self.directory(parent, layer)?;
            if let Some(status) = lstat(directory.as_fd(), name)? {
                return Ok(!whiteout::is_at(directory.as_fd(), name, &status)?);
            }
        }
        Ok(false)
    }

    /// The number of what was found under a name.
    pub(super) fn register(&mut self, parent: u64, name: &CStr, seen: &Seen) -> nix::Result<u64> {
        let named: Named = (parent, Arc::from(name));
        if let Some(number) = self.names.get(&named).copied() {
            if self.node(number)?.is(seen) {
                return Ok(number);
            }
            // Somebody has changed a layer under our eyes.
            self.remove_name(&named);
        }
        if seen.what == What::File(UPPER)
            && let Some(number) = self.uppers.get(&seen.identity).copied()
        {
            self.add_name(number, named)?;
            return Ok(number);
        }
        // A name of several in a lower layer becomes a file of its own when it is changed.
        let one_of_many = !seen.is_directory() && seen.what != What::File(UPPER) && seen.status.st_nlink > 1;
        let number = self.fresh_number(seen.identity, !one_of_many);
        let mut node = Node::new(seen.what.clone(), seen.identity);
        if one_of_many {
            node.shown = self.disks.number(seen.identity);
        }
        if seen.what == What::File(UPPER) {
            self.uppers.insert(seen.identity, number);
        }
        self.nodes.insert(number, node);
        if let Err(e) = self.add_name(number, named) {
            self.tidy(number);
            return Err(e);
        }
        Ok(number)
    }
}

impl Node {
    /// Whether this is what was found.
    fn is(&self, seen: &Seen) -> bool {
        match (&self.what, &seen.what) {
            (What::Directory(_), What::Directory(_)) => true,
            (What::File(known), What::File(layer)) => known == layer && self.identity == seen.identity,
            _ => false,
        }
    }
}

/// Whether a directory of a layer hides those below it.
fn is_opaque(parent: &OwnedFd, name: &CStr) -> nix::Result<bool> {
    match beneath(parent, name, OFlag::O_RDONLY | OFlag::O_DIRECTORY) {
        Ok(directory) => whiteout::is_opaque(directory.as_fd()),
        // One that this user may not read has no attributes for this user either.
        Err(Errno::EACCES) => Ok(false),
        Err(e) => Err(e),
    }
}
