//! The contexts of a build, opened: its own, and the named ones that are files.

use super::files::{Ignore, Owners, Remembered, Selection, Tree};
use super::request::{BuildRequest, NamedContext};
use super::sources::context::{Identity, OpenedContext};
use super::wanted::Wanted;
use crate::error::{Context as _, Error, Kind, Result};
use crate::image::Digest;
use crate::storage::Store;
use crate::sys::fd::link_of;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::os::fd::{AsRawFd, RawFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The contexts of a build.
#[derive(Debug)]
pub(super) struct Contexts {
    own: Context,
    named: BTreeMap<String, Named>,
}

#[derive(Debug)]
enum Named {
    Files(Box<Context>),
    /// An image, by what the store knows it as.
    Image(String),
}

/// A context that is files.
#[derive(Debug)]
pub(super) struct Context {
    opened: Rc<OpenedContext>,
    path: PathBuf,
    identity: String,
    tree: Tree,
    remembered: RefCell<Remembered>,
}

impl Context {
    /// A context whose files can be selected.
    ///
    /// # Errors
    /// When there are no more descriptors, or what is remembered of it cannot be read.
    pub(super) fn new(opened: Rc<OpenedContext>, ignore: Option<Ignore>, store: &Store) -> Result<Context> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = openat(opened.root(), ".", flags, Mode::empty());
        let root = root.context(Kind::Usage, || format!("open context {}", opened.name))?;
        let path = fs::read_link(link_of(&root)).context(Kind::Host, || "find the build context")?;
        let identity = identity(&opened.identity);
        let known = store.build_cache().remembered(&identity).unwrap_or_default();
        let remembered = RefCell::new(Remembered::read(&known));
        let tree = Tree { root, ignore, owners: Owners::Root };
        Ok(Context { opened, path, identity, tree, remembered })
    }

    /// Its files.
    pub(super) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Where it is, absolute.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The digest of what is selected.
    ///
    /// # Errors
    /// A source that does not exist; files that cannot be read.
    pub(super) fn digest(&self, wanted: &Wanted) -> Result<Digest> {
        Selection::find(&self.tree, &wanted.sources, &wanted.how)?.digest(&mut self.remembered.borrow_mut())
    }

    fn remember(&self, store: &Store) -> Result<()> {
        let remembered = self.remembered.borrow();
        if !remembered.is_changed() {
            return Ok(());
        }
        store.build_cache().remember(&store.shared()?, &self.identity, &remembered.to_bytes())
    }
}

/// By what the digests of a context's files are kept.
fn identity(identity: &Identity) -> String {
    match identity {
        Identity::Directory(path) => format!("directory {}", path.display()),
        Identity::Commit { id, subdir } => format!("commit {id} {}", subdir.as_deref().unwrap_or_default()),
        Identity::Archive(digest) => format!("archive {digest}"),
        Identity::Empty => "nothing".to_owned(),
    }
}

impl Contexts {
    /// The build's own context, and what others the request names.
    ///
    /// # Errors
    /// Those of opening one.
    pub(super) fn new(
        own: Context,
        request: &BuildRequest,
        mut open: impl FnMut(&str, &NamedContext) -> Result<Result<Context, String>>,
    ) -> Result<Contexts> {
        let mut named = BTreeMap::new();
        for (name, what) in &request.contexts {
            let found = match open(name, what)? {
                Ok(context) => Named::Files(Box::new(context)),
                Err(image) => Named::Image(image),
            };
            named.insert(name.to_ascii_lowercase(), found);
        }
        Ok(Contexts { own, named })
    }

    /// The context of this name, or the build's own.
    ///
    /// # Errors
    /// When it is none, or an image.
    pub(super) fn get(&self, name: Option<&str>) -> Result<&Context> {
        match name.map(|name| (name, self.named.get(name))) {
            None => Ok(&self.own),
            Some((_, Some(Named::Files(context)))) => Ok(context),
            Some((name, _)) => Err(Error::new(Kind::Usage, format!("build context {name} has no files"))
                .hint("Name one: coracle build --build-context NAME=DIRECTORY .")),
        }
    }

    /// The image that a named context is.
    pub(super) fn image_of(&self, name: &str) -> Option<&str> {
        match self.named.get(name) {
            Some(Named::Image(image)) => Some(image),
            _ => None,
        }
    }

    /// The descriptors by which files are reached, for processes that go on with them.
    pub(super) fn descriptors(&self) -> Vec<RawFd> {
        self.all()
            .flat_map(|context| [context.tree.root.as_raw_fd(), context.opened.root().as_raw_fd()])
            .collect()
    }

    /// Keeps the digests of files, so that the next build need not read them.
    pub(super) fn remember(&self, store: &Store) {
        for context in self.all() {
            if let Err(error) = context.remember(store) {
                log::info!("digests of the build context are not kept: {}", error.in_one_line());
            }
        }
    }

    fn all(&self) -> impl Iterator<Item = &Context> {
        let named = self.named.values().filter_map(|named| match named {
            Named::Files(context) => Some(&**context),
            Named::Image(_) => None,
        });
        std::iter::once(&self.own).chain(named)
    }
}
