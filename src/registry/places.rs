//! The locations of registry configuration and credentials.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Directories and files named by the environment, read once.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// The administrator's directory, `/etc/containers`.
    pub system: PathBuf,
    /// The administrator's directory for docker's form of `certs.d`, `/etc/docker`.
    pub system_docker: PathBuf,
    /// The user's `containers` directory, `$XDG_CONFIG_HOME/containers`.
    pub user: PathBuf,
    /// `$XDG_CACHE_HOME/containers`, where podman remembers answers to its short-name question.
    pub cache: Option<PathBuf>,
    /// `$XDG_RUNTIME_DIR/containers`, where `podman login` writes; it is gone after a logout.
    pub runtime: Option<PathBuf>,
    /// `$DOCKER_CONFIG` or `~/.docker`, where `docker login` writes.
    pub docker: Option<PathBuf>,
    /// Docker's `daemon.json`, where its settings on registries count.
    pub daemon: Option<PathBuf>,
    /// `$XDG_DATA_HOME/containers`, where signatures are by default.
    pub data: Option<PathBuf>,
    /// `$CONTAINERS_REGISTRIES_CONF`, or else `$REGISTRIES_CONFIG_PATH`: read in place of the main `registries.conf`.
    pub registries_conf: Option<PathBuf>,
    /// `$REGISTRY_AUTH_FILE`: the only credentials file.
    pub auth_file: Option<PathBuf>,
}

impl Places {
    /// Reads the environment; `config` is the user's configuration directory, `docker` that of docker's configuration,
    /// where one was named.
    pub fn from_env(config: &Path, docker: Option<&Path>) -> Places {
        let mut places = Places::from_lookup(config, |name| std::env::var_os(name));
        places.docker = docker.map(Path::to_owned).or(places.docker);
        places
    }

    /// Where podman and we note which registry was chosen for a short name.
    pub(super) fn short_names(&self) -> Option<PathBuf> {
        self.cache.as_ref().map(|cache| cache.join("short-name-aliases.conf"))
    }

    /// The usual credentials files, in order of precedence; not all need exist.
    pub(super) fn auth_files(&self) -> Vec<PathBuf> {
        let standard = [
            self.runtime.as_ref().map(|dir| dir.join("auth.json")),
            Some(self.user.join("auth.json")),
            self.docker.as_ref().map(|dir| dir.join("config.json")),
        ];
        standard.into_iter().flatten().collect()
    }

    fn from_lookup(config: &Path, lookup: impl Fn(&str) -> Option<OsString>) -> Places {
        let directory = |name: &str| lookup(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let home = directory("HOME");
        let below = |dir: Option<PathBuf>, name: &str| dir.map(|d| d.join(name));
        Places {
            system: PathBuf::from("/etc/containers"),
            system_docker: PathBuf::from("/etc/docker"),
            user: config.join("containers"),
            cache: below(directory("XDG_CACHE_HOME").or_else(|| below(home.clone(), ".cache")), "containers"),
            runtime: below(directory("XDG_RUNTIME_DIR"), "containers"),
            daemon: None,
            data: below(
                directory("XDG_DATA_HOME").or_else(|| below(home.clone(), ".local/share")),
                "containers",
            ),
            docker: directory("DOCKER_CONFIG").or_else(|| below(home, ".docker")),
            registries_conf: directory("CONTAINERS_REGISTRIES_CONF")
                .or_else(|| directory("REGISTRIES_CONFIG_PATH")),
            auth_file: directory("REGISTRY_AUTH_FILE"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_moves_the_places() {
        let places = Places::from_lookup(Path::new("/h/.config"), |name| match name {
            "HOME" => Some("/h".into()),
            "DOCKER_CONFIG" => Some("/d".into()),
            "XDG_RUNTIME_DIR" => Some("".into()),
            _ => None,
        });
        assert_eq!(places.user, Path::new("/h/.config/containers"));
        assert_eq!(places.docker.as_deref(), Some(Path::new("/d")));
        assert_eq!(places.cache.as_deref(), Some(Path::new("/h/.cache/containers")));
        assert_eq!(places.runtime, None);
    }
}
