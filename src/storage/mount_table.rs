//! Where a process has mounts: the mount points of its mount namespace.

use nix::unistd::Pid;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// Every mount point of this mount namespace, in the order in which they were mounted; one that is mounted over is
/// there as often as something was mounted on it.
///
/// # Errors
/// When the table cannot be read.
pub(super) fn points() -> io::Result<Vec<PathBuf>> {
    fs::read("/proc/self/mountinfo").map(|content| points_of(&content))
}

/// As [`points`], of the namespace that a process is in.
///
/// # Errors
/// When the process is gone, or another's.
pub(super) fn points_seen_by(pid: Pid) -> io::Result<Vec<PathBuf>> {
    fs::read(format!("/proc/{pid}/mountinfo")).map(|content| points_of(&content))
}

/// Field 5 of each line (proc_pid_mountinfo(5)).
fn points_of(mountinfo: &[u8]) -> Vec<PathBuf> {
    mountinfo
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.split(|byte| *byte == b' ').nth(4))
        .map(|field| PathBuf::from(OsString::from_vec(unescape(field))))
        .collect()
}

/// Blanks, line breaks and backslashes are three octal digits behind a backslash.
fn unescape(field: &[u8]) -> Vec<u8> {
    let octal = |digits: &[u8]| {
        let digit = |byte: &u8| (b'0'..=b'7').contains(byte).then(|| u32::from(byte - b'0'));
        let number = digits.iter().try_fold(0, |sum, byte| Some(sum * 8 + digit(byte)?))?;
        u8::try_from(number).ok()
    };
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..3).filter(|_| *first == b'\\').and_then(octal);
        plain.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &after[3..] } else { after };
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn mount_points_are_bytes() {
        let text = b"1 0 0:1 / / rw - ext4 d rw\n2 1 0:2 / /a\\040b\\134040 rw - tmpfs t rw\n3 1 0:3 / /caf\xe9 rw - x y rw\n";
        let found = points_of(text);
        let bytes: Vec<&[u8]> = found.iter().map(|path| path.as_os_str().as_bytes()).collect();
        assert_eq!(bytes, [&b"/"[..], b"/a b\\040", b"/caf\xe9"]);
    }
}
