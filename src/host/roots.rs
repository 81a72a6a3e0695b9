//! Where things live.
//!
//! Data: `--root`, the configuration, else `$XDG_DATA_HOME/coracle` (`~/.local/share/coracle`).
//!
//! Volatile state: `--runroot`, the configuration, else the first of
//! 1. `$XDG_RUNTIME_DIR/coracle`, if that variable names a directory of this user's;
//! 2. `/run/user/UID/coracle`, if that is this user's (a cron job, `su` with another's environment);
//! 3. `/tmp/coracle-UID`, made with mode 0700. One that somebody else has put or mounted there, or that others
//!    can enter, is refused;
//! 4. `run` in the data directory, where `/tmp` cannot be written.
//!
//! The shared user namespace is found through the volatile directory, so all commands on one data
//! directory must agree on it: a choice other than `/run/user/UID` is noted in the symbolic link
//! `runtime` of the data directory, and holds as long as processes are registered there.

use super::config::Settings;
use super::options::{GlobalOptions, StorageOption};
use crate::error::{Context, Error, Kind, Result};
use crate::storage::rootfs::Overlay;
use crate::sys::process::{Identity, identity};
use directories::BaseDirs;
use nix::unistd::geteuid;
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};

/// Where things live, absolute paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    /// Images, containers, volumes.
    pub data: PathBuf,
    /// Volatile state.
    pub runtime: PathBuf,
    /// Configuration, `$XDG_CONFIG_HOME`.
    pub config: PathBuf,
    /// docker's configuration, where one was named (`--config`).
    pub docker: Option<PathBuf>,
    /// Docker's `daemon.json`, if this process is called by docker's name.
    pub daemon: Option<PathBuf>,
    /// Further stores, images only, read-only.
    pub image_stores: Vec<PathBuf>,
    /// Which overlay driver combines layers.
    pub overlay: Overlay,
}

impl Roots {
    pub(super) fn find(
        options: &GlobalOptions,
        settings: Settings,
        base: Option<&BaseDirs>,
    ) -> Result<Roots> {
        let absolute = |path: &Path| {
            std::path::absolute(path).context(Kind::Host, || format!("make {} absolute", path.display()))
        };
        let data = match (&options.root, settings.root, base) {
            (Some(dir), ..) => absolute(dir)?,
            (None, Some(dir), _) => dir,
            (None, None, Some(base)) => base.data_dir().join("coracle"),
            (None, None, None) => return Err(homeless(std::env::var_os("HOME"))),
        };
        let runtime = match (&options.runroot, settings.runroot) {
            (Some(dir), _) => absolute(dir)?,
            (None, Some(dir)) => dir,
            (None, None) => {
                let session = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
                let login = PathBuf::from(format!("/run/user/{}", geteuid()));
                let spare = PathBuf::from(format!("/tmp/coracle-{}", geteuid()));
                volatile(session, &login, &spare, &data)?
            }
        };
        let (mut image_stores, mut overlay) = (Vec::new(), settings.overlay_driver.unwrap_or_default());
        for option in &options.storage_opt {
            match option {
                StorageOption::ImageStore(dir) => image_stores.push(dir.clone()),
                StorageOption::Overlay(driver) => overlay = *driver,
            }
        }
        image_stores.extend(settings.additional_image_stores);
        let config = base.map_or_else(|| PathBuf::from("/etc"), |base| base.config_dir().to_owned());
        let docker = options.accepted.config.as_deref().map(absolute).transpose()?;
        let daemon = (identity() == Identity::Docker).then(|| config.join("docker/daemon.json"));
        Ok(Roots { data, runtime, config, docker, daemon, image_stores, overlay })
    }
}

fn homeless(home: Option<OsString>) -> Error {
    match home {
        Some(home) => Error::new(Kind::Host, format!("the home directory {home:?} is not an absolute path"))
            .hint("Set it to your home directory: export HOME=/home/NAME"),
        None => Error::new(Kind::Host, "this account has no home directory")
            .hint("Name a place for the data: coracle --root DIR ..."),
    }
}

/// The directory for volatile state, by the rules at the top.
fn volatile(session: Option<PathBuf>, login: &Path, spare: &Path, data: &Path) -> Result<PathBuf> {
    let note = data.join("runtime");
    if let Ok(noted) = fs::read_link(&note)
        && noted.is_absolute()
        && private(&noted)
        && is_no_mount(&noted)
        && in_use(&noted)
    {
        return Ok(noted);
    }
    let session = session.filter(|dir| dir.is_absolute() && ours(dir));
    let chosen = match session {
        Some(dir) if dir == login => return Ok(dir.join("coracle")),
        Some(dir) => dir.join("coracle"),
        None if ours(login) => return Ok(login.join("coracle")),
        None => match make_private(spare) {
            Ok(()) => spare.to_owned(),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => return Err(squatted(spare)),
            Err(e) => {
                log::debug!("{}: {e}; volatile state goes below the data directory", spare.display());
                return Ok(data.join("run"));
            }
        },
    };
    if fs::read_link(&note).is_ok_and(|noted| noted == chosen) {
        return Ok(chosen);
    }
    // Best effort: without a data directory there is nothing to agree on yet, and a data directory
    // that cannot be written is reported by whoever needs to write there.
    let _ = fs::DirBuilder::new().recursive(true).mode(0o700).create(data);
    let fresh = data.join(format!("runtime.{}", std::process::id()));
    if symlink(&chosen, &fresh).and_then(|()| fs::rename(&fresh, &note)).is_err() {
        let _ = fs::remove_file(&fresh);
    }
    Ok(chosen)
}

/// A directory of this user's (a link to one counts: `$XDG_RUNTIME_DIR` may be one).
fn ours(dir: &Path) -> bool {
    fs::metadata(dir).is_ok_and(|m| m.is_dir() && m.uid() == geteuid().as_raw())
}

/// A directory, no link, of this user's and nobody else's.
fn private(dir: &Path) -> bool {
    fs::symlink_metadata(dir)
        .is_ok_and(|m| m.is_dir() && m.uid() == geteuid().as_raw() && m.mode() & 0o077 == 0)
}

/// Whether a directory is on the file system of the one that it is in. Anybody may mount a file system of their own
/// in a public place, and that says of its files what they like, the owner too (fusermount3(1), `allow_other`).
fn is_no_mount(dir: &Path) -> bool {
    let own = fs::symlink_metadata(dir);
    // `/tmp` itself may be a link.
    let above = dir.parent().map(fs::metadata);
    matches!((own, above), (Ok(own), Some(Ok(above))) if own.dev() == above.dev())
}

/// Whether processes are registered in this volatile directory: files other than the lock.
fn in_use(runtime: &Path) -> bool {
    fs::read_dir(runtime.join("userns"))
        .is_ok_and(|entries| entries.flatten().any(|entry| entry.file_name() != "lock"))
}

/// Makes the directory, or accepts it as it is when it is [`private`].
fn make_private(dir: &Path) -> std::io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(dir) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists && private(dir) && is_no_mount(dir) => Ok(()),
        other => other,
    }
}

fn squatted(dir: &Path) -> Error {
    Error::new(Kind::Host, format!("{} is not a directory that only you can change", dir.display()))
        .hint(format!(
            "Look at it with ls -ld {0}; make it safe with chmod 700 {0} if it is yours",
            dir.display()
        ))
        .hint("Or name another place: coracle --runroot DIR ..., or set XDG_RUNTIME_DIR")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    struct Place {
        dir: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Place {
            Place { dir: tempfile::tempdir().unwrap() }
        }
        fn at(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }
        fn make(&self, name: &str) -> PathBuf {
            let path = self.at(name);
            fs::DirBuilder::new().mode(0o700).recursive(true).create(&path).unwrap();
            path
        }
        fn choose(&self, session: Option<PathBuf>) -> Result<PathBuf> {
            volatile(session, &self.at("login"), &self.at("spare"), &self.at("data"))
        }
    }

    #[test]
    fn the_session_directory_comes_first_then_the_login_one() {
        let place = Place::new();
        let (session, login) = (place.make("session"), place.make("login"));
        assert_eq!(place.choose(Some(session.clone())).unwrap(), session.join("coracle"));
        assert_eq!(place.choose(Some(login.clone())).unwrap(), login.join("coracle"));
        assert_eq!(place.choose(None).unwrap(), login.join("coracle"));
        assert_eq!(place.choose(Some("relative".into())).unwrap(), login.join("coracle"));
        // Wiped at logout, or of somebody else (`su` keeps the variable).
        assert_eq!(place.choose(Some(place.at("wiped"))).unwrap(), login.join("coracle"));
        assert_eq!(place.choose(Some("/proc".into())).unwrap(), login.join("coracle"));
    }

    #[test]
    fn without_either_a_private_directory_is_made() {
        let place = Place::new();
        let spare = place.choose(None).unwrap();
        assert_eq!(spare, place.at("spare"));
        assert_eq!(fs::metadata(&spare).unwrap().mode() & 0o777, 0o700);
        assert_eq!(place.choose(None).unwrap(), spare, "and found again");
    }

    #[test]
    fn a_spare_directory_that_others_can_enter_or_a_link_is_refused() {
        let place = Place::new();
        fs::set_permissions(place.make("spare"), fs::Permissions::from_mode(0o755)).unwrap();
        assert!(place.choose(None).unwrap_err().message().contains("only you can change"));
        fs::remove_dir(place.at("spare")).unwrap();
        symlink(place.make("elsewhere"), place.at("spare")).unwrap();
        assert!(place.choose(None).is_err());
        fs::remove_file(place.at("spare")).unwrap();
        fs::write(place.at("spare"), "").unwrap();
        assert!(place.choose(None).is_err());
        // Somebody else's: /proc is root's; as root this test has nothing to show.
        if !geteuid().is_root() {
            let foreign = volatile(None, &place.at("login"), Path::new("/proc"), &place.at("data"));
            assert!(foreign.is_err());
        }
    }

    #[test]
    fn what_somebody_has_mounted_there_is_no_spare_directory() {
        let place = Place::new();
        assert!(is_no_mount(&place.make("spare")));
        // A choice that was noted is looked at as well.
        assert!(!is_no_mount(Path::new("/proc")) && !is_no_mount(Path::new("/dev/pts")));
    }

    #[test]
    fn where_tmp_cannot_be_written_the_data_directory_serves() {
        let place = Place::new();
        let spare = place.at("missing/spare");
        let chosen = volatile(None, &place.at("login"), &spare, &place.at("data")).unwrap();
        assert_eq!(chosen, place.at("data/run"));
    }

    #[test]
    fn a_choice_in_use_is_kept_when_a_better_one_appears() {
        let place = Place::new();
        let spare = place.choose(None).unwrap();
        fs::create_dir(spare.join("userns")).unwrap();
        fs::write(spare.join("userns/lock"), "").unwrap();
        fs::write(spare.join("userns/4711"), "1").unwrap();
        let login = place.make("login");
        assert_eq!(place.choose(Some(login.clone())).unwrap(), spare, "a container runs from there");
        fs::remove_file(spare.join("userns/4711")).unwrap();
        assert_eq!(place.choose(Some(login.clone())).unwrap(), login.join("coracle"));
    }
}
