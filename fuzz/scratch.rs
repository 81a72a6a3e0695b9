// A store in a temporary directory, which has a file beside it that nothing may touch; for the targets that include it.

use coracle::storage::Store;
use std::fs;
use std::path::PathBuf;

pub struct Scratch {
    dir: PathBuf,
    pub store: Store,
}

impl Scratch {
    pub fn new() -> Scratch {
        let dir = std::env::temp_dir().join(format!("coracle-fuzz-{}", std::process::id()));
        fs::create_dir(&dir).expect("a directory");
        fs::write(dir.join("outside"), "untouched").expect("a file");
        let store = Store::open(&dir.join("data"), &dir.join("run"), &[]).expect("a store");
        Scratch { dir, store }
    }

    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// What is beside the store is as it was.
    pub fn assert_outside(&self) {
        assert_eq!(fs::read_to_string(self.dir.join("outside")).ok().as_deref(), Some("untouched"));
        assert_eq!(fs::read_dir(&self.dir).expect("a listing").count(), 3);
    }
}
