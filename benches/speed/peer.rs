//! What we are compared with: podman as this user, on storage of its own (runc, kernel overlay, no systemd), and the
//! BuildKit of a Docker Engine that runs already.

use crate::common::{Call, TestEnv};
use std::ffi::OsString;
use std::os::unix::fs::symlink;
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

/// The BuildKit in the Docker Engine at `DOCKER_HOST`. `DOCKER` is its client, and buildx is where `DOCKER_CONFIG` says.
pub(crate) struct BuildKit<'a> {
    env: &'a TestEnv,
    client: OsString,
    host: OsString,
    config: PathBuf,
}

impl<'a> BuildKit<'a> {
    /// `None` where there is none. It gets the images that we have.
    pub(crate) fn new(env: &'a TestEnv) -> Option<BuildKit<'a>> {
        let host = std::env::var_os("DOCKER_HOST")?;
        let client = std::env::var_os("DOCKER").unwrap_or_else(|| "docker".into());
        let config = env.path().join("docker-config");
        let found = BuildKit { env, client, host, config };
        if !found.config.exists() {
            std::fs::create_dir(&found.config).unwrap();
            if let Some(given) = std::env::var_os("DOCKER_CONFIG") {
                symlink(PathBuf::from(given).join("cli-plugins"), found.config.join("cli-plugins")).unwrap();
            }
            let archive = env.path().join("busybox.tar");
            env.coracle(["save", "--format=docker-archive", "-o"]).arg(&archive).arg(crate::rows::IMAGE).ok();
            found.call(["load", "-i"]).arg(&archive).ok();
        }
        Some(found)
    }

    pub(crate) fn call<const N: usize>(&self, args: [&str; N]) -> Call {
        let call = self.env.program(&self.client).args(args);
        call.env("DOCKER_HOST", &self.host).env("DOCKER_CONFIG", &self.config)
    }
}
