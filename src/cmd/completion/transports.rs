//! Places of images that transports name.

use clap_complete::engine::{CompletionCandidate, PathCompleter, ValueCompleter};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// The transports with a path behind them, and whether that is a directory's.
const TRANSPORTS: [(&str, bool); 4] =
    [("dir:", true), ("docker-archive:", false), ("oci:", true), ("oci-archive:", false)];

/// The transports that begin like what was typed; behind one of them, paths.
pub(super) fn transports(typed: &OsStr) -> Vec<CompletionCandidate> {
    let bytes = typed.as_bytes();
    for (transport, is_directory) in TRANSPORTS {
        let Some(path) = bytes.strip_prefix(transport.as_bytes()) else { continue };
        let paths = if is_directory { PathCompleter::dir() } else { PathCompleter::file() };
        let whole = |found: CompletionCandidate| {
            let mut value = OsString::from(transport);
            value.push(found.get_value());
            CompletionCandidate::new(value)
        };
        return paths.complete(OsStr::from_bytes(path)).into_iter().map(whole).collect();
    }
    // They would bury the names of images where nothing was typed.
    let begins = |transport: &str| !bytes.is_empty() && transport.as_bytes().starts_with(bytes);
    let fitting = TRANSPORTS.iter().filter(|(transport, _)| begins(transport));
    fitting.map(|(transport, _)| CompletionCandidate::new(*transport)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(typed: &str) -> Vec<String> {
        transports(OsStr::new(typed)).iter().map(|c| c.get_value().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn transports_and_their_paths_are_offered() {
        assert_eq!(offered(""), [""; 0]);
        assert_eq!(offered("oc"), ["oci:", "oci-archive:"]);
        assert_eq!(offered("d"), ["dir:", "docker-archive:"]);
        assert_eq!(offered("alpine"), [""; 0]);
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("layout")).unwrap();
        let typed = format!("oci:{}/lay", dir.path().display());
        assert_eq!(offered(&typed), [format!("oci:{}/layout/", dir.path().display())]);
    }
}
