//! What the kernel knows of the overlay: files by number, and how they are reached.

use super::content::Content;
use super::opened::Opened;
use crate::storage::fuse::beneath;
use crate::storage::fuse::numbers::{COUNTED, Disks, Found, ROOT};
use crate::storage::fuse::recent::Recent;
use crate::storage::unpack::lstat;
use crate::sys::fd::link_of;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, fstat};
use nix::sys::statvfs::{Statvfs, fstatvfs};
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Weak};

/// Most descriptors of directories that are kept open.
pub(super) const OPEN_MAX: usize = 256;
/// The layer that changes go to.
pub(super) const UPPER: usize = 0;
/// Longest path that is walked in one call, in bytes; the kernel takes 4096.
const WALK_MAX: usize = 3072;

/// A directory's number and a name in it.
pub(super) type Named = (u64, Arc<CStr>);

/// What a file is made of.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    /// A directory that these layers contribute to, the top one first.
    Directory(Vec<usize>),
    /// Anything else, from one layer.
    File(usize),
}

/// A file that the kernel knows, or that is a directory of one.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) what: What,
    /// Its names, as far as they are known.
    pub(super) names: Vec<Named>,
    /// The file itself (`O_PATH`), once it has no name any more.
    pub(super) held: Option<Arc<OwnedFd>>,
    /// Device and inode.
    pub(super) identity: (u64, u64),
    /// The inode number that is shown, where it is not its own.
    pub(super) shown: Option<u64>,
    /// Its content, while it is open.
    pub(super) content: Weak<Content>,
    /// How often its number was given away.
    pub(super) given: u64,
    /// How many names of known files are in this directory.
    pub(super) children: u64,
}

/// The layers, and what the kernel knows of them.
#[derive(Debug)]
pub(super) struct Tree {
    layers: Vec<Arc<OwnedFd>>,
    /// Where things are made before they are moved to their place.
    pub(super) work: OwnedFd,
    /// Nothing is synced.
    pub(super) volatile: bool,
    pub(super) disks: Disks,
    pub(super) nodes: HashMap<u64, Node>,
    pub(super) names: HashMap<Named, u64>,
    /// Files of the upper layer that are no directories: they may have several names.
    pub(super) uppers: HashMap<(u64, u64), u64>,
    next: u64,
    made: u64,
    directories: Recent<(u64, usize)>,
}

impl Tree {
    /// The tree of these directories; `open` others are kept open.
    pub(super) fn new(parts: Opened, open: usize) -> nix::Result<Tree> {
        let mut disks = Disks::default();
        for layer in &parts.layers {
            disks.add(fstat(layer)?.st_dev);
        }
        let top = fstat(&parts.layers[UPPER])?;
        let root = Node {
            what: What::Directory((0..parts.layers.len()).collect()),
            identity: (top.st_dev, top.st_ino),
            // The kernel never forgets it.
            given: 1,
            ..Node::new(What::File(UPPER), (0, 0))
        };
        Ok(Tree {
            layers: parts.layers.into_iter().map(Arc::new).collect(),
            work: parts.work,
            volatile: parts.volatile,
            disks,
            nodes: HashMap::from([(ROOT, root)]),
            names: HashMap::new(),
            uppers: HashMap::new(),
            next: COUNTED,
            made: 0,
            directories: Recent::new(open),
        })
    }

    /// A file by its number.
    pub(super) fn node(&self, number: u64) -> nix::Result<&Node> {
        // The kernel does not ask about what it has forgotten.
        self.nodes.get(&number).ok_or(Errno::ESTALE)
    }

    pub(super) fn node_mut(&mut self, number: u64) -> nix::Result<&mut Node> {
        self.nodes.get_mut(&number).ok_or(Errno::ESTALE)
    }

    /// The layers of a directory that still has a name.
    pub(super) fn layers_of(&self, number: u64) -> nix::Result<&[usize]> {
        match self.node(number)? {
            Node { held: Some(_), .. } => Err(Errno::ENOENT),
            Node { what: What::Directory(layers), .. } => Ok(layers),
            _ => Err(Errno::ENOTDIR),
        }
    }

    /// A new file's number.
    pub(super) fn fresh_number(&mut self, identity: (u64, u64), own: bool) -> u64 {
        let number = self.disks.number(identity).filter(|number| own && !self.nodes.contains_key(number));
        number.unwrap_or_else(|| {
            self.next += 1;
            self.next
        })
    }

    /// A name in the work directory that was never used.
    pub(super) fn fresh_name(&mut self) -> CString {
        self.made += 1;
        CString::new(self.made.to_string()).unwrap_or_default()
    }

    /// A number is in an answer to be shown; the kernel gives it back as if it knew a file by it.
    pub(super) fn mention(&mut self, number: u64) {
        if let Some(node) = self.nodes.get_mut(&number) {
            node.given += 1;
        }
    }

    /// The kernel gives a number back, as often as this.
    pub(super) fn forget(&mut self, number: u64, times: u64) {
        if number == ROOT {
            return;
        }
        if let Some(node) = self.nodes.get_mut(&number) {
            node.given = node.given.saturating_sub(times);
        }
        self.tidy(number);
    }

    /// Forgets a file that the kernel does not know and that holds no other, and then its directories.
    pub(super) fn tidy(&mut self, number: u64) {
        let mut unsure = vec![number];
        while let Some(number) = unsure.pop() {
            let idle = |node: &Node| node.given == 0 && node.children == 0;
            if !self.nodes.get(&number).is_some_and(idle) {
                continue;
            }
            let Some(node) = self.nodes.remove(&number) else { continue };
            if self.uppers.get(&node.identity) == Some(&number) {
                self.uppers.remove(&node.identity);
            }
            self.directories.drop_all(|(of, _)| *of == number);
            for name in node.names {
                self.names.remove(&name);
                if let Some(parent) = self.nodes.get_mut(&name.0) {
                    parent.children -= 1;
                    unsure.push(name.0);
                }
            }
        }
    }

    /// Gives a file another name.
    pub(super) fn add_name(&mut self, number: u64, name: Named) -> nix::Result<()> {
        self.remove_name(&name);
        self.node_mut(name.0)?.children += 1;
        let node = self.node_mut(number)?;
        node.names.push(name.clone());
        node.held = None;
        self.names.insert(name, number);
        Ok(())
    }

    /// Takes a name from whatever has it.
    pub(super) fn remove_name(&mut self, name: &Named) {
        let Some(number) = self.names.remove(name) else { return };
        if let Some(node) = self.nodes.get_mut(&number) {
            node.names.retain(|known| known != name);
        }
        if let Some(parent) = self.nodes.get_mut(&name.0) {
            parent.children -= 1;
        }
        self.tidy(number);
        self.tidy(name.0);
    }

    /// A directory of a layer (`O_PATH`).
    pub(super) fn directory(&mut self, number: u64, layer: usize) -> nix::Result<Arc<OwnedFd>> {
        let mut missing = Vec::new();
        let mut at = number;
        let mut from = loop {
            if at == ROOT {
                break self.layers.get(layer).cloned().ok_or(Errno::ENOENT)?;
            }
            if let Some(open) = self.directories.get(|of| *of == (at, layer)) {
                break open;
            }
            let node = self.node(at)?;
            let name = node.names.last().ok_or(Errno::ENOENT)?;
            missing.push(name.1.clone());
            at = name.0;
        };
        let mut path = Vec::new();
        while let Some(name) = missing.pop() {
            path.extend_from_slice(name.to_bytes());
            if path.len() < WALK_MAX && !missing.is_empty() {
                path.push(b'/');
                continue;
            }
            let whole = CString::new(std::mem::take(&mut path)).map_err(|_| Errno::ENOENT)?;
            let open = beneath(&from, &whole, OFlag::O_PATH | OFlag::O_DIRECTORY)?;
            from =
                if missing.is_empty() { self.directories.put((number, layer), open) } else { Arc::new(open) };
        }
        Ok(from)
    }

    /// A directory that has been removed is not found.
    pub(super) fn forget_directory(&mut self, number: u64) {
        self.directories.drop_all(|(of, _)| *of == number);
    }

    /// The file itself (`O_PATH`).
    pub(super) fn reach(&mut self, number: u64) -> nix::Result<Arc<OwnedFd>> {
        let node = self.node(number)?;
        if let Some(held) = &node.held {
            return Ok(held.clone());
        }
        match &node.what {
            What::Directory(layers) => {
                let top = *layers.first().ok_or(Errno::ENOENT)?;
                self.directory(number, top)
            }
            What::File(layer) => {
                let (layer, (parent, name)) = (*layer, node.names.last().cloned().ok_or(Errno::ENOENT)?);
                let parent = self.directory(parent, layer)?;
                beneath(&parent, &name, OFlag::O_PATH).map(Arc::new)
            }
        }
    }

    /// Opens the file for use: a regular one or a directory, never anything that acts when it is opened.
    pub(super) fn open_file(&mut self, number: u64, flags: OFlag) -> nix::Result<OwnedFd> {
        let file = self.reach(number)?;
        let kind = fstat(&file)?.st_mode & nix::libc::S_IFMT;
        if kind != nix::libc::S_IFREG && kind != nix::libc::S_IFDIR {
            return Err(Errno::ENXIO);
        }
        reopen(&file, flags)
    }

    /// What is known of a file.
    pub(super) fn examine(&mut self, number: u64) -> nix::Result<Found> {
        let node = self.node(number)?;
        let (what, held, shown) = (node.what.clone(), node.held.is_some(), node.shown);
        let mut status = match (&what, node.names.last().cloned()) {
            (What::File(layer), Some((parent, name))) if !held => {
                let parent = self.directory(parent, *layer)?;
                lstat(parent.as_fd(), &name)?.ok_or(Errno::ESTALE)?
            }
            _ => fstat(&self.reach(number)?)?,
        };
        status.st_ino = shown.unwrap_or(number);
        match &what {
            // How many directories are in it is not known, which one says (find(1), "-noleaf").
            What::Directory(layers) if layers.len() > 1 => status.st_nlink = 1,
            // Covered by a whiteout.
            What::File(layer) if held && *layer != UPPER => status.st_nlink = 0,
            _ => {}
        }
        Ok(Found { number, status })
    }

    /// Before a file loses a name: keeps it open in case that is the last one, as it may be in use.
    pub(super) fn hold(&mut self, number: u64) -> nix::Result<()> {
        let node = self.node(number)?;
        if node.names.len() <= 1 && node.held.is_none() {
            let file = self.reach(number)?;
            self.node_mut(number)?.held = Some(file);
        }
        Ok(())
    }

    /// Takes back [`Tree::hold`] where the name was not lost.
    pub(super) fn release(&mut self, number: u64) {
        if let Some(node) = self.nodes.get_mut(&number)
            && !node.names.is_empty()
        {
            node.held = None;
        }
    }

    /// The file system that changes go to.
    pub(super) fn file_system(&self) -> nix::Result<Statvfs> {
        fstatvfs(&*self.layers[UPPER])
    }
}

impl Node {
    pub(super) fn new(what: What, identity: (u64, u64)) -> Node {
        Node {
            what,
            names: Vec::new(),
            held: None,
            identity,
            shown: None,
            content: Weak::new(),
            given: 0,
            children: 0,
        }
    }
}

/// Opens what a descriptor stands for once more, by its own link in /proc.
pub(super) fn reopen(file: &OwnedFd, flags: OFlag) -> nix::Result<OwnedFd> {
    let link = link_of(file);
    open(link.as_str(), flags | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC, Mode::empty())
}
