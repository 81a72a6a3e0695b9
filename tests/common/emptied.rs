//! A store from which everything has been removed.

use super::{TestEnv, entries};
use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

/// Directories that have nothing in them then.
const EMPTY: [&str; 18] = [
    "containers",
    "pods",
    "names",
    "tmp",
    "trash",
    "layers",
    "oci/blobs/sha256",
    "images",
    "lists",
    "refs",
    "volumes",
    "secrets",
    "build/contexts",
    "build/locks",
    "build/memo",
    "build/mounts",
    "build/running",
    "build/steps",
];

/// How long what was begun before may take to come to its end.
const REST: Duration = Duration::from_secs(30);

impl TestEnv {
    /// Removes all objects, a day later as far as the store can tell; expects that nothing is left then.
    #[track_caller]
    pub(crate) fn removing_all_leaves_nothing(&self) {
        self.coracle(["pod", "rm", "-f", "-a", "-t=0"]).ok();
        self.coracle(["rm", "-f", "-a", "-t=0"]).ok();
        self.coracle(["secret", "rm", "-a"]).ok();
        let long_ago = SystemTime::now() - Duration::from_secs(25 * 3600);
        for dir in ["tmp", "oci/blobs/sha256", "containers"] {
            for left in entries(&self.root().join(dir)) {
                let _ = File::open(left).and_then(|file| file.set_modified(long_ago));
            }
        }
        self.coracle(["system", "prune", "-f", "-a", "--volumes", "--build"]).ok();
        let left = || -> Vec<PathBuf> {
            let store = EMPTY.iter().flat_map(|dir| entries(&self.root().join(dir)));
            store.chain(entries(&self.runroot().join("c"))).collect()
        };
        let begun = Instant::now();
        while !left().is_empty() && begun.elapsed() < REST {
            std::thread::sleep(Duration::from_millis(30));
        }
        assert_eq!(left(), Vec::<PathBuf>::new(), "is left");
    }
}
