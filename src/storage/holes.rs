//! Sparse files: which parts of a file contain data.
//!
//! Theory of operation. lseek(2) with `SEEK_DATA` and `SEEK_HOLE` finds where data begins and ends; a file
//! system without support reports the whole file as data. The list is made before the first byte is read, so a
//! file that changes meanwhile is read with its earlier layout. Holes are cheap to create, even thousands of
//! them, so the list has a limit, and holes are never turned into zeros because of it (attack case 9: a sparse
//! giant).

use nix::errno::Errno;
use nix::unistd::{Whence, lseek};
use std::os::fd::{AsFd, BorrowedFd};

/// Most pieces a file may have: as many as an archive may list.
pub(super) const PIECES_MAX: usize = 1 << 20;

/// The parts of a file of `size` bytes that hold data, ascending: offset and length, neither negative.
///
/// # Errors
/// Those of lseek(2); `EFBIG` when there are more than [`PIECES_MAX`].
pub(super) fn pieces(file: BorrowedFd<'_>, size: u64) -> nix::Result<Vec<(u64, u64)>> {
    let size = i64::try_from(size).map_err(|_| Errno::EFBIG)?;
    let mut all = Vec::new();
    let mut at = 0;
    while at < size {
        let start = match lseek(file.as_fd(), at, Whence::SeekData) {
            // Nothing but a hole up to the end.
            Err(Errno::ENXIO) => break,
            other => other?,
        };
        if start >= size {
            break;
        }
        let end = match lseek(file.as_fd(), start, Whence::SeekHole) {
            // Cut off in between.
            Err(Errno::ENXIO) => break,
            other => other?.min(size),
        };
        if all.len() == PIECES_MAX {
            return Err(Errno::EFBIG);
        }
        all.push((start.unsigned_abs(), (end - start).unsigned_abs()));
        at = end;
    }
    lseek(file.as_fd(), 0, Whence::SeekSet)?;
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn data_is_found_between_holes() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(pieces(file.as_fd(), 0).unwrap(), []);
        file.set_len(1 << 40).unwrap();
        assert_eq!(pieces(file.as_fd(), 1 << 40).unwrap(), []);
        file.write_all_at(b"data", 1 << 30).unwrap();
        file.write_all_at(b"end", (1 << 40) - 3).unwrap();
        let found = pieces(file.as_fd(), 1 << 40).unwrap();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].0 <= 1 << 30 && found[0].0 + found[0].1 >= (1 << 30) + 4, "{found:?}");
        assert_eq!(found[1].0 + found[1].1, 1 << 40, "{found:?}");
        // The file has been truncated meanwhile.
        assert_eq!(pieces(file.as_fd(), 1 << 20).unwrap(), []);
    }
}
