//! `certs.d`: authorities and client certificates by host (containers-certs.d(5)).

use super::places::Places;
use crate::error::{Error, Kind, Result};
use std::path::{Path, PathBuf};

/// What TLS needs for one host, as the files hold it.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct HostCerts {
    /// PEM bundles of certificate authorities, trusted in addition to the system's.
    pub authorities: Vec<(PathBuf, Vec<u8>)>,
    /// A client certificate with its key, PEM.
    pub identity: Option<(PathBuf, Vec<u8>)>,
}

impl std::fmt::Debug for HostCerts {
    /// Keeps the private key out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HostCerts(..)")
    }
}

/// Reads the certificates for `host[:port]`: from `--cert-dir` if given, else from the first directory
/// that has one for this host: the user's, the administrator's, docker's.
///
/// # Errors
/// A file that cannot be read, or a certificate without its key.
pub(super) fn load(places: &Places, cert_dir: Option<&Path>, host: &str) -> Result<HostCerts> {
    if let Some(dir) = cert_dir {
        return read(dir);
    }
    for base in [&places.user, &places.system, &places.system_docker] {
        let dir = base.join("certs.d").join(host);
        if dir.is_dir() {
            return read(&dir);
        }
    }
    Ok(HostCerts::default())
}

/// Reads the certificates in a directory.
///
/// # Errors
/// As [`load`].
pub(super) fn read(dir: &Path) -> Result<HostCerts> {
    let failed = |path: &Path, e: std::io::Error| {
        Error::new(Kind::Usage, format!("read certificates in {}", path.display())).caused_by(e)
    };
    let mut names: Vec<PathBuf> = std::fs::read_dir(dir)
        .map_err(|e| failed(dir, e))?
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .collect();
    names.sort();
    let bytes = |path: &Path| crate::sys::read::settings(path).map_err(|e| failed(path, e));
    let mut found = HostCerts::default();
    for path in &names {
        let partner = |extension: &str| {
            let other = path.with_extension(extension);
            if names.contains(&other) {
                return Ok(other);
            }
            Err(Error::new(Kind::Usage, format!("{} stands without {}", path.display(), other.display()))
                .hint("A client certificate is a pair: NAME.cert and NAME.key."))
        };
        match path.extension().and_then(|e| e.to_str()) {
            Some("crt") => found.authorities.push((path.clone(), bytes(path)?)),
            Some("cert") => {
                let mut pem = bytes(path)?;
                pem.push(b'\n');
                pem.extend(bytes(&partner("key")?)?);
                found.identity.get_or_insert((path.clone(), pem));
            }
            Some("key") => drop(partner("cert")?),
            _ => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_directory_comes_first_and_pairs_are_whole() {
        let dir = tempfile::tempdir().unwrap();
        let host = "r.example:5000";
        let (user, system) = (dir.path().join("user"), dir.path().join("system"));
        for (base, files) in [(&user, &["ca.crt", "me.cert", "me.key"][..]), (&system, &["other.crt"][..])] {
            let dir = base.join("certs.d").join(host);
            std::fs::create_dir_all(&dir).unwrap();
            for file in files {
                std::fs::write(dir.join(file), file).unwrap();
            }
        }
        let places = Places { user: user.clone(), system, ..Places::default() };
        let found = load(&places, None, host).unwrap();
        assert_eq!(found.authorities.len(), 1);
        assert_eq!(found.authorities[0].1, b"ca.crt");
        assert_eq!(found.identity.unwrap().1, b"me.cert\nme.key");
        assert_eq!(load(&places, None, "else.example").unwrap(), HostCerts::default());

        std::fs::remove_file(user.join("certs.d").join(host).join("me.key")).unwrap();
        let error = load(&places, None, host).unwrap_err();
        assert!(error.message().contains("me.key"));
        assert!(load(&places, Some(Path::new("/nonexistent")), host).is_err());
    }
}
