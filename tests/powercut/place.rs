//! The test user, and a data root of his on whatever disk is mounted there.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The account that all commands run as.
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// A copy of the program that he may execute, wherever the original lies.
    program: PathBuf,
}

const NAME: &str = "coracle-test";

impl User {
    /// Makes the account as the other tests do; `dir` takes the copy of the program.
    pub(super) fn new(dir: &Path) -> User {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/as-user.sh");
        let mut make = Command::new(script);
        let made = make.arg("true").env_remove("CORACLE_TEST_AS").status().unwrap();
        assert!(made.success());
        let account = nix::unistd::User::from_name(NAME).unwrap().expect("the account was made");
        let program = dir.join("coracle");
        fs::copy(super::common::coracle_binary(), &program).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        User { uid: account.uid.as_raw(), gid: account.gid.as_raw(), program }
    }
}

/// A directory with everything that one store needs.
pub(super) struct Place<'a> {
    user: &'a User,
    dir: PathBuf,
}

impl Place<'_> {
    /// What is below the runtime directory is gone after a power cut, so it is made anew.
    pub(super) fn new<'a>(user: &'a User, dir: &Path) -> Place<'a> {
        let _ = fs::remove_dir_all(dir.join("run"));
        for name in ["", "home", "run", "tmp", "root"] {
            let path = dir.join(name);
            fs::create_dir_all(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
            chown(&path, Some(user.uid), Some(user.gid)).unwrap();
        }
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
        Place { user, dir: dir.to_owned() }
    }

    /// The data root, where the disk is mounted.
    pub(super) fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    /// Calls the program: what it printed, or how it failed.
    pub(super) fn call(&self, words: &[&str]) -> Result<String, String> {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", NAME, "--regid", NAME, "--init-groups", "--inh-caps=-all"]);
        command.arg(&self.user.program).arg("--root").arg(self.root());
        command.arg("--runroot").arg(self.dir.join("run/coracle")).args(words);
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
        command.env("HOME", self.dir.join("home")).env("USER", NAME).env("LC_ALL", "C.UTF-8");
        command.env("XDG_RUNTIME_DIR", self.dir.join("run")).env("TMPDIR", self.dir.join("tmp"));
        let output = command.current_dir(&self.dir).stdin(Stdio::null()).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match output.status.success() {
            true => Ok(text(&output.stdout)),
            false => Err(format!(
                "coracle {}: {}\n{}{}",
                words.join(" "),
                output.status,
                text(&output.stdout),
                text(&output.stderr)
            )),
        }
    }
}
