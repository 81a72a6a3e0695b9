//! Files of this machine: configuration and kernel files. In their text there may be any bytes.

use nix::fcntl::OFlag;
use nix::sys::stat::{major, minor};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Largest file of settings that is read, in bytes.
pub const SETTINGS_MAX: u64 = 16 << 20;

/// How often something that was exchanged meanwhile is opened again.
const EXCHANGES_MAX: u32 = 100;

/// The bytes of a file of settings, which people, their tools and other accounts may have put in its place: a regular
/// file of at most [`SETTINGS_MAX`], or the null device, which says nothing. Opening one never waits, as a FIFO would.
///
/// # Errors
/// Those of open(2) and read(2); another kind of file; one that is larger. A link that leads nowhere is not a missing
/// file: whoever made it means something, and what that is cannot be known.
pub fn settings(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let file = open_settings(path.as_ref())?;
    let about = file.metadata()?;
    if !about.is_file() && !is_null(&about) {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(SETTINGS_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > SETTINGS_MAX {
        return Err(io::Error::other(format!("it is larger than {} MiB", SETTINGS_MAX >> 20)));
    }
    Ok(bytes)
}

/// Opens it. A link that leads nowhere may be exchanged for something else between two looks at it; then what is there
/// now is opened, as it was not missing at any time.
fn open_settings(path: &Path) -> io::Result<File> {
    for _ in 0..EXCHANGES_MAX {
        match File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            other => return other,
        }
        match look(path) {
            Look::Missing => return Err(ErrorKind::NotFound.into()),
            Look::LeadsNowhere => return Err(io::Error::other("the symbolic link leads nowhere")),
            Look::There => {}
        }
    }
    Err(io::Error::other("it is exchanged again and again"))
}

/// What is at a path that was not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Nothing.
    Missing,
    /// A dangling link, its own or that of a directory above.
    LeadsNowhere,
    /// Something, by now: it was exchanged, or made, since it was looked for. So it was perhaps not missing at any time.
    There,
}

/// Looks at a path that was not found.
pub fn look(path: &Path) -> Look {
    for place in path.ancestors() {
        match fs::symlink_metadata(place) {
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Ok(about) if about.is_symlink() && fs::metadata(place).is_err() => return Look::LeadsNowhere,
            Ok(_) if place != path => return Look::Missing,
            Ok(_) | Err(_) => return Look::There,
        }
    }
    Look::Missing
}

/// Whether it is the null device, by which people say that there is nothing to read.
pub fn is_null(about: &fs::Metadata) -> bool {
    about.file_type().is_char_device() && (major(about.rdev()), minor(about.rdev())) == (1, 3)
}

/// The text of a file. What is not UTF-8 becomes U+FFFD, so that a byte in a remark or in somebody else's name costs
/// at most the line that it is in.
///
/// # Errors
/// Those of open(2) and read(2).
pub fn text_of(path: impl AsRef<Path>) -> io::Result<String> {
    fs::read(path).map(text)
}

/// Bytes as text, likewise.
pub fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_byte_that_is_no_text_costs_its_own_place() {
        assert_eq!(text(b"# caf\xe9\nme:1:2\n".to_vec()), "# caf\u{fffd}\nme:1:2\n");
        assert_eq!(text(b"plain\n".to_vec()), "plain\n");
        assert!(text_of("/nonexistent").is_err());
    }

    #[test]
    fn settings_are_regular_files_of_bounded_size() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("plain"), "x").unwrap();
        symlink("plain", at("link")).unwrap();
        assert_eq!(settings(at("link")).unwrap(), b"x");
        assert_eq!(settings("/dev/null").unwrap(), b"");
        nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        File::create(at("huge")).unwrap().set_len(SETTINGS_MAX + 1).unwrap();
        symlink("nowhere", at("lost")).unwrap();
        for (path, why) in [
            (at("fifo"), "not a regular file"),
            (dir.path().to_owned(), "not a regular file"),
            ("/dev/zero".into(), "not a regular file"),
            (at("huge"), "larger than"),
            (at("lost"), "leads nowhere"),
            (at("lost/policy.json"), "leads nowhere"),
        ] {
            let error = settings(&path).unwrap_err();
            assert!(error.to_string().contains(why) && error.kind() != ErrorKind::NotFound, "{error}");
        }
        for missing in [at("none"), at("none/policy.json")] {
            assert_eq!(settings(missing).unwrap_err().kind(), ErrorKind::NotFound);
        }
    }
}
