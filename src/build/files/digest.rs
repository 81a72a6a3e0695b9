//! The content key of a selection.
//!
//! Theory of operation. The key covers what is in the image afterwards and comes from the files: names, kinds, modes,
//! targets of symlinks, contents, extended attributes, owners where they are kept, and which names are one file. It does
//! not cover times and inode numbers.
//! Where the files go, and what `--chown` and `--chmod` make of them, is in the instruction, which the caller's key
//! covers. Everything has its length before it, so that no two trees give the same bytes.

use super::attributes;
use super::node::{Identity, Kind, Node, now};
use super::remembered::{Contents, Remembered};
use super::selection::{Selection, What};
use super::tree::{Owners, Tree, failed, io_failed, unreadable};
use crate::error::Result;
use crate::image::Digest;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;

/// Bytes that are hashed at once.
const BUFFER: usize = 128 << 10;
/// The form of the key. A change makes every key another one.
const FORM: &[u8] = b"coracle selection 2\n";

impl Selection<'_> {
    /// The content key: the same for selections that give the same files. Files that `remembered` knows are not read.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn digest(&self, remembered: &mut Remembered) -> Result<Digest> {
        let mut key = Key {
            tree: self.tree,
            remembered,
            hash: Sha256::new(),
            pending: Vec::with_capacity(BUFFER),
            path: Vec::new(),
            buffer: Vec::new(),
            files: 0,
            linked: HashMap::new(),
        };
        key.pending.extend_from_slice(FORM);
        for item in &self.items {
            key.path.clone_from(&item.path);
            match &item.what {
                What::Contents(nodes, _) => {
                    key.pending.push(b'C');
                    key.children(nodes)?;
                }
                What::File(node) => {
                    key.pending.push(b'F');
                    key.node(node)?;
                }
            }
        }
        key.flush();
        Ok(Digest::from_sha256(key.hash.finalize().into()))
    }
}

struct Key<'a> {
    tree: &'a Tree,
    remembered: &'a mut Remembered,
    hash: Sha256,
    /// What is not hashed yet: many short pieces are hashed together.
    pending: Vec<u8>,
    /// The path of what is looked at, in the tree.
    path: Vec<u8>,
    buffer: Vec<u8>,
    /// Files so far.
    files: u64,
    /// Files with more than one name, by device and inode, with the number of the first.
    linked: HashMap<(u64, u64), u64>,
}

impl Key<'_> {
    fn flush(&mut self) {
        self.hash.update(&self.pending);
        self.pending.clear();
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.pending.extend_from_slice(bytes);
    }

    fn children(&mut self, nodes: &[Node]) -> Result<()> {
        self.pending.extend_from_slice(&(nodes.len() as u64).to_le_bytes());
        for node in nodes {
            let length = self.path.len();
            if length > 0 {
                self.path.push(b'/');
            }
            self.path.extend_from_slice(node.name.to_bytes());
            self.node(node)?;
            self.path.truncate(length);
        }
        Ok(())
    }

    fn node(&mut self, node: &Node) -> Result<()> {
        if self.pending.len() > BUFFER / 2 {
            self.flush();
        }
        self.bytes(node.name.to_bytes());
        // The mode of a symlink means nothing.
        let mode = if matches!(node.kind, Kind::Symlink(_)) { 0 } else { node.mode };
        self.pending.extend_from_slice(&mode.to_le_bytes());
        if self.tree.owners == Owners::Kept {
            self.pending.extend_from_slice(&node.owner.0.to_le_bytes());
            self.pending.extend_from_slice(&node.owner.1.to_le_bytes());
        }
        match &node.kind {
            Kind::Directory(directory) => {
                self.pending.push(if directory.implied { b'i' } else { b'd' });
                self.attributes(directory.attributes);
                self.children(&directory.children)?;
            }
            Kind::File(identity, has_links) => {
                self.files += 1;
                match has_links.then(|| self.linked.entry((identity.dev, identity.ino))) {
                    Some(Entry::Occupied(first)) => {
                        self.pending.push(b'h');
                        self.pending.extend_from_slice(&first.get().to_le_bytes());
                    }
                    Some(Entry::Vacant(place)) => {
                        place.insert(self.files);
                        self.pending.push(b'f');
                    }
                    None => self.pending.push(b'f'),
                }
                let contents = self.contents(identity)?;
                self.attributes(contents.attributes);
                self.pending.extend_from_slice(&contents.data);
            }
            Kind::Symlink(target) => {
                self.pending.push(b'l');
                self.bytes(target);
            }
            Kind::Fifo => self.pending.push(b'p'),
        }
        Ok(())
    }

    fn attributes(&mut self, digest: Option<[u8; 32]>) {
        self.bytes(digest.as_ref().map_or(&[], |digest| &digest[..]));
    }

    /// What is in the file at the path, which was selected as `identity`.
    fn contents(&mut self, identity: &Identity) -> Result<Contents> {
        if let Some(known) = self.remembered.look_up(&self.path, identity) {
            return Ok(known);
        }
        let fail = |e| failed("read", &self.path, e);
        let begun = now();
        let opened = self.tree.open(&self.path);
        let (mut file, status) = opened.map_err(|e| unreadable("read", &self.path, e))?;
        let own = attributes::read(file.as_fd(), self.tree.owners).map_err(fail)?;
        self.buffer.resize(BUFFER, 0);
        let data = hash(&mut file, &mut self.buffer).map_err(|e| io_failed("read", &self.path, &e))?;
        let contents = Contents { data, attributes: attributes::digest(&own) };
        self.remembered.remember(&self.path, Identity::of(&status), begun, contents);
        Ok(contents)
    }
}

fn hash(file: &mut File, buffer: &mut [u8]) -> std::io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    loop {
        match file.read(buffer) {
            Ok(0) => return Ok(hash.finalize().into()),
            Ok(count) => hash.update(&buffer[..count]),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}
