//! podman as this user, on storage of its own: runc, kernel overlay, no systemd.

use crate::common::{Call, TestEnv};
use std::path::PathBuf;

pub(crate) struct Podman<'a> {
    env: &'a TestEnv,
    dir: PathBuf,
}

impl<'a> Podman<'a> {
    pub(crate) fn new(env: &'a TestEnv) -> Podman<'a> {
        Podman::below(env, "podman")
    }

    /// One with a store of its own below the environment.
    pub(crate) fn below(env: &'a TestEnv, name: &str) -> Podman<'a> {
        // Any policy will do: the images are ours.
        env.file("home/.config/containers/policy.json", r#"{"default":[{"type":"insecureAcceptAnything"}]}"#);
        Podman { env, dir: env.path().join(name) }
    }

    pub(crate) fn call<const N: usize>(&self, args: [&str; N]) -> Call {
        self.env
            .program("podman")
            .arg("--root")
            .arg(self.dir.join("root"))
            .arg("--runroot")
            .arg(self.dir.join("run"))
            .arg("--tmpdir")
            .arg(self.dir.join("tmp"))
            .args(["--cgroup-manager=cgroupfs", "--events-backend=file", "--runtime=runc"])
            .args(["--storage-driver=overlay", "--log-level=error"])
            .args(args)
    }

    /// Takes its namespace-keeping process away: what it left, we remove.
    pub(crate) fn stop(&self) {
        self.call(["rm", "-f", "-a", "-t", "0"]).run();
        let file = std::fs::read_to_string(self.dir.join("tmp/pause.pid")).unwrap_or_default();
        if let Ok(pid) = file.trim().parse() {
            let _ =
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
    }
}

impl Drop for Podman<'_> {
    fn drop(&mut self) {
        self.stop();
    }
}
