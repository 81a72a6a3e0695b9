//! The contents of open files.

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, copy_file_range, fallocate};
use nix::sys::uio::{pread, pwrite};
use nix::unistd::{Whence, fdatasync, fsync, lseek};
use std::os::fd::OwnedFd;
use std::sync::{Arc, PoisonError, RwLock};

/// An open file, the same for all who have it open; copy-up puts another descriptor in.
#[derive(Debug)]
pub(super) struct Content(RwLock<(Arc<OwnedFd>, bool)>);

impl Content {
    pub(super) fn new(file: OwnedFd, writable: bool) -> Content {
        Content(RwLock::new((Arc::new(file), writable)))
    }

    /// Its current descriptor.
    pub(super) fn file(&self) -> Arc<OwnedFd> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    pub(super) fn is_writable(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).1
    }

    /// The same file, in another place or for writing as well.
    pub(super) fn becomes(&self, file: OwnedFd, writable: bool) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = (Arc::new(file), writable);
    }

    /// Fills the buffer as far as there is data: the kernel takes a short answer for the end of the file.
    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> nix::Result<usize> {
        let (file, offset) = (self.file(), position(offset)?);
        let mut done = 0;
        while done < buffer.len() {
            match pread(&*file, &mut buffer[done..], offset + done as i64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(Errno::EINTR) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(done)
    }

    /// Writes as much as there is room for, at least one byte.
    pub(super) fn write(&self, data: &[u8], offset: u64) -> nix::Result<usize> {
        let (file, offset) = (self.file(), position(offset)?);
        let mut done = 0;
        while done < data.len() {
            match pwrite(&*file, &data[done..], offset + done as i64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(Errno::EINTR) => {}
                Err(e) if done == 0 => return Err(e),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    pub(super) fn sync(&self, data_only: bool) -> nix::Result<()> {
        let file = self.file();
        if data_only { fdatasync(&*file) } else { fsync(&*file) }
    }

    pub(super) fn allocate(&self, mode: i32, offset: u64, length: u64) -> nix::Result<()> {
        let mode = FallocateFlags::from_bits(mode).ok_or(Errno::EOPNOTSUPP)?;
        fallocate(&*self.file(), mode, position(offset)?, position(length)?)
    }

    /// Where data or a hole begins; nobody uses the descriptor's own position.
    pub(super) fn seek(&self, offset: i64, whence: i32) -> nix::Result<i64> {
        let whence = match whence {
            nix::libc::SEEK_DATA => Whence::SeekData,
            nix::libc::SEEK_HOLE => Whence::SeekHole,
            _ => return Err(Errno::EINVAL),
        };
        lseek(&*self.file(), offset, whence)
    }

    pub(super) fn copy(&self, from: u64, to: &Content, at: u64, length: u64) -> nix::Result<usize> {
        let (mut from, mut at) = (position(from)?, position(at)?);
        let length = usize::try_from(length).map_err(|_| Errno::EINVAL)?;
        copy_file_range(&*self.file(), Some(&mut from), &*to.file(), Some(&mut at), length)
    }
}

fn position(offset: u64) -> nix::Result<i64> {
    i64::try_from(offset).map_err(|_| Errno::EINVAL)
}
