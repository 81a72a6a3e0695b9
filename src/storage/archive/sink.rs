//! Where the files of an image are written to.

use crate::error::Result;
use crate::image::Digest;
use crate::storage::pack::Packer;
use crate::storage::record::failed_outside;
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Takes files.
pub(super) trait Sink {
    fn directory(&mut self, name: &str) -> Result<()>;
    fn file(&mut self, name: &str, size: u64, from: &mut dyn Read) -> Result<()>;
}

impl<W: Write> Sink for Packer<'_, W> {
    fn directory(&mut self, name: &str) -> Result<()> {
        Packer::directory(self, name.as_bytes(), 0o755)
    }

    fn file(&mut self, name: &str, size: u64, mut from: &mut dyn Read) -> Result<()> {
        self.stream(name.as_bytes(), 0o644, size, &mut from)
    }
}

pub(super) struct Dir<'a>(pub(super) &'a Path);

impl Sink for Dir<'_> {
    fn directory(&mut self, name: &str) -> Result<()> {
        let path = self.0.join(name);
        std::fs::create_dir_all(&path).map_err(|e| failed_outside("create", &path, e))
    }

    fn file(&mut self, name: &str, _: u64, from: &mut dyn Read) -> Result<()> {
        let path = self.0.join(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&path);
        let mut file = file.map_err(|e| failed_outside("create", &path, e))?;
        io::copy(from, &mut file).map_err(|e| failed_outside("write", &path, e)).map(drop)
    }
}

/// Where a blob is in an OCI layout.
pub(super) fn place(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}
