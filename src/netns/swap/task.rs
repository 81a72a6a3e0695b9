//! The thread that waits for an answer: its memory and descriptors.
//!
//! Whatever is read here may have changed when it is used, since other threads of the process go on. So nothing that
//! protects the host rests on it, and what the container's programs get wrong by it is theirs.

use crate::sys::read::text_of;
use crate::sys::{process, sockets};
use nix::errno::Errno;
use nix::sys::stat::fstat;
use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use nix::unistd::Pid;
use std::fs::{read_dir, read_link};
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, OwnedFd};

/// Most descriptors of a process that are looked through.
const DESCRIPTORS_MAX: usize = 4096;

#[derive(Debug)]
pub(super) struct Task {
    thread: i32,
    process: OwnedFd,
}

impl Task {
    /// The thread with this number; the caller makes sure afterwards that it still waits.
    pub(super) fn of(thread: i32) -> Option<Task> {
        let process = process::pidfd_open(Pid::from_raw(thread)).ok();
        // Only the first thread of a process has a descriptor of it.
        let process = process.or_else(|| {
            let status = text_of(format!("/proc/{thread}/status")).ok()?;
            let first = status.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim().parse().ok()?;
            process::pidfd_open(Pid::from_raw(first)).ok()
        })?;
        Some(Task { thread, process })
    }

    /// A copy of one of its descriptors.
    pub(super) fn descriptor(&self, number: i32) -> Option<OwnedFd> {
        sockets::descriptor_of(self.process.as_fd(), number).ok()
    }

    /// Whether the descriptor of this number, of which `copy` is a copy, is the only way of the process to the socket,
    /// and nothing waits for it (epoll(7)): then another one can take its place. `Some` says whether it is closed on exec.
    pub(super) fn has_alone(&self, number: i32, copy: &OwnedFd) -> Option<bool> {
        let wanted = format!("socket:[{}]", fstat(copy).ok()?.st_ino);
        let inode = format!("ino:{:x} ", fstat(copy).ok()?.st_ino);
        let mut seen = false;
        for (at, entry) in read_dir(format!("/proc/{}/fd", self.thread)).ok()?.enumerate() {
            let name = entry.ok()?.file_name();
            let found: i32 = name.to_str()?.parse().ok()?;
            let Ok(leads_to) = read_link(format!("/proc/{}/fd/{found}", self.thread)) else { continue };
            let leads_to = leads_to.to_str()?;
            let elsewhere = leads_to == wanted && found != number;
            let watched = leads_to == "anon_inode:[eventpoll]" && self.info(found)?.contains(&inode);
            if elsewhere || watched || at >= DESCRIPTORS_MAX {
                return None;
            }
            seen |= found == number && leads_to == wanted;
        }
        if !seen {
            return None;
        }
        let info = self.info(number)?;
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?.trim();
        let flags = i32::from_str_radix(flags, 8).ok()?;
        Some(flags & nix::libc::O_CLOEXEC != 0)
    }

    fn info(&self, number: i32) -> Option<String> {
        text_of(format!("/proc/{}/fdinfo/{number}", self.thread)).ok()
    }

    /// So many bytes of its memory.
    ///
    /// # Errors
    /// `EFAULT` when it has not so many there.
    pub(super) fn read(&self, at: u64, length: usize) -> nix::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let far = [RemoteIoVec { base: address(at)?, len: length }];
        let count = process_vm_readv(Pid::from_raw(self.thread), &mut [IoSliceMut::new(&mut bytes)], &far)?;
        if count == length { Ok(bytes) } else { Err(Errno::EFAULT) }
    }

    /// Writes into its memory, where it may do so itself.
    ///
    /// # Errors
    /// `EFAULT` when it may not.
    pub(super) fn write(&self, at: u64, bytes: &[u8]) -> nix::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let far = [RemoteIoVec { base: address(at)?, len: bytes.len() }];
        let count = process_vm_writev(Pid::from_raw(self.thread), &[IoSlice::new(bytes)], &far)?;
        if count == bytes.len() { Ok(()) } else { Err(Errno::EFAULT) }
    }
}

fn address(at: u64) -> nix::Result<usize> {
    usize::try_from(at).map_err(|_| Errno::EFAULT)
}
