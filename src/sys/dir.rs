//! Reading directories from any place in them (getdents64(2)), which nix cannot.

use nix::errno::Errno;
use nix::libc;
use nix::unistd::{Whence, lseek};
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd};

/// One name in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Inode number.
    pub ino: u64,
    /// Where the next entry is, for [`entries`].
    pub next: i64,
    /// `DT_DIR` and so on.
    pub kind: u8,
    /// Its name.
    pub name: &'a CStr,
}

/// Calls `take` with the entries from `from` on (0, or an entry's `next`) until it says false or the buffer,
/// of which one filling is read, is used up. Moves the descriptor's position.
///
/// # Errors
/// Those of lseek(2) and getdents64(2).
pub fn entries(
    dir: BorrowedFd<'_>,
    from: i64,
    buffer: &mut [u8],
    mut take: impl FnMut(Entry<'_>) -> bool,
) -> nix::Result<()> {
    /// Inode, offset, record length and kind come before the name.
    const HEAD: usize = 19;
    lseek(dir, from, Whence::SeekSet)?;
    // SAFETY: the buffer is valid for its length and outlives the call.
    let result =
        unsafe { libc::syscall(libc::SYS_getdents64, dir.as_raw_fd(), buffer.as_mut_ptr(), buffer.len()) };
    let length = usize::try_from(Errno::result(result)?).unwrap_or(0);
    let mut rest = buffer.get(..length).unwrap_or_default();
    while let Some((head, _)) = rest.split_at_checked(HEAD) {
        let number = |at: usize| {
            let bytes = head.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(0, u64::from_ne_bytes)
        };
        let record = usize::from(u16::from_ne_bytes([head[16], head[17]]));
        let Some((entry, after)) = rest.split_at_checked(record.max(HEAD)) else { break };
        let Ok(name) = CStr::from_bytes_until_nul(&entry[HEAD..]) else { break };
        if !take(Entry { ino: number(0), next: number(8).cast_signed(), kind: head[18], name }) {
            break;
        }
        rest = after;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::os::fd::AsFd;

    #[test]
    fn a_directory_is_read_from_any_place() {
        let place = tempfile::tempdir().unwrap();
        let mut expected: BTreeSet<String> = [".", ".."].map(str::to_owned).into();
        for n in 0..100 {
            let name = format!("{n:0>60}");
            std::fs::write(place.path().join(&name), "").unwrap();
            expected.insert(name);
        }
        let dir = std::fs::File::open(place.path()).unwrap();
        let (mut found, mut from, mut buffer) = (BTreeSet::new(), 0, [0; 512]);
        loop {
            let before = found.len();
            // Not all that a call gives is taken.
            let mut left = 2;
            let taken = entries(dir.as_fd(), from, &mut buffer, |entry| {
                assert!(found.insert(entry.name.to_str().unwrap().to_owned()), "{entry:?}");
                from = entry.next;
                left -= 1;
                left > 0
            });
            taken.unwrap();
            if found.len() == before {
                break;
            }
        }
        assert_eq!(found, expected);
    }
}
