//! Replacing a file that other programs have a part in: credentials, a policy.
//!
//! Theory of operation. The new text is written beside the file, synced and renamed over it, so whoever reads sees the
//! old or the new one, whole, and a killed command leaves the old one. The name of what is being written is always the
//! same and the directory is locked meanwhile: commands of ours do not lose each other's changes, and what a killed one
//! left is removed by the next. A symbolic link in the file's place is followed, as people keep such files among others
//! of theirs; what it leads to is replaced.

use crate::error::{Error, Kind, Result};
use crate::failpoint;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Longest chain of links that is followed.
const LINKS_MAX: usize = 16;
/// How long to wait for another command's change.
const LOCK_TIME: Duration = Duration::from_secs(10);

/// Gives a file the text that `change` makes of the one at the path that it gets, or leaves it if there is nothing to
/// change; whether it was changed. `what` names the file in messages. Neither a missing file nor its directory is made
/// for nothing.
///
/// # Errors
/// Those of `change`, and a file that cannot be replaced; it is as before then.
pub(super) fn rewrite(
    path: &Path,
    what: &str,
    mut change: impl FnMut(&Path) -> Result<Option<String>>,
) -> Result<bool> {
    let path = target(path, what)?;
    let failed = |doing: &str, e: std::io::Error| {
        Error::new(Kind::Host, format!("{doing} {what} {}", path.display())).caused_by(e)
    };
    // First without a lock: most files that are looked at need no change.
    if change(&path)?.is_none() {
        return Ok(false);
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(failed("write", ErrorKind::IsADirectory.into()));
    };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(parent)
        .map_err(|e| failed("make the directory of", e))?;
    let dir = File::open(parent).map_err(|e| failed("open the directory of", e))?;
    lock(&dir, &path, what)?;
    let Some(text) = change(&path)? else { return Ok(false) };
    let new = parent.join(format!(".{}.coracle", name.to_string_lossy()));
    remove(&new).map_err(|e| failed("write", e))?;
    let outcome = write(&new, &text).and_then(|()| {
        failpoint::reach("rewrite.written");
        fs::rename(&new, &path)?;
        failpoint::reach("rewrite.renamed");
        dir.sync_all()
    });
    if outcome.is_err() {
        let _ = remove(&new);
    }
    outcome.map_err(|e| failed("write", e)).map(|()| true)
}

fn remove(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Keeps other commands of ours out until the directory is closed.
fn lock(dir: &File, path: &Path, what: &str) -> Result<()> {
    let begun = Instant::now();
    loop {
        match dir.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if begun.elapsed() < LOCK_TIME => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(TryLockError::WouldBlock) => {
                let message = format!("{what} {} is being written by another command", path.display());
                return Err(Error::new(Kind::Conflict, message));
            }
            // A network file system may have no locks for directories.
            Err(TryLockError::Error(e)) => {
                log::debug!("{} is not locked: {e}", path.display());
                return Ok(());
            }
        }
    }
}

/// The file itself, where links lead to it. It need not exist.
fn target(path: &Path, what: &str) -> Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        match fs::read_link(&path) {
            Ok(next) => path = path.parent().unwrap_or(Path::new(".")).join(next),
            Err(_) => return Ok(path),
        }
    }
    Err(Error::new(Kind::Usage, format!("{what} {}: too many symbolic links", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn replaced(path: &Path, with: &str) -> Result<bool> {
        rewrite(path, "file", |_| Ok(Some(with.to_owned())))
    }

    #[test]
    fn links_are_followed_and_what_is_left_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("dotfiles")).unwrap();
        symlink("dotfiles/real.json", at("config.json")).unwrap();
        // A link that a killed login could not have left must not be written through.
        fs::write(at("victim"), "untouched").unwrap();
        symlink("../victim", at("dotfiles/.real.json.coracle")).unwrap();
        assert!(replaced(&at("config.json"), "{}").unwrap());
        assert!(at("config.json").is_symlink());
        assert_eq!(fs::read_to_string(at("dotfiles/real.json")).unwrap(), "{}");
        assert_eq!(fs::metadata(at("dotfiles/real.json")).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(at("victim")).unwrap(), "untouched");
        assert_eq!(fs::read_dir(at("dotfiles")).unwrap().count(), 1);
        symlink("loop", at("loop")).unwrap();
        assert!(replaced(&at("loop"), "{}").is_err());
    }

    #[test]
    fn nothing_is_made_for_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/auth.json");
        assert!(!rewrite(&path, "file", |_| Ok(None)).unwrap());
        assert!(!dir.path().join("a").exists());
        assert!(replaced(&path, "{}").unwrap());
        assert_eq!(fs::metadata(dir.path().join("a/b")).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
