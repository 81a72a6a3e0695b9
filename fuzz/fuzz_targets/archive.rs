//! Image archives as load reads them: docker's and OCI's, plain and compressed.
#![no_main]

#[allow(dead_code, reason = "each target uses another part of it")]
#[path = "../scratch.rs"]
mod scratch;

use coracle::storage::{archive, trash};
use libfuzzer_sys::fuzz_target;
use scratch::Scratch;
use std::cell::RefCell;
use std::fs::File;

thread_local! {
    static SCRATCH: RefCell<Option<Scratch>> = const { RefCell::new(None) };
}

fuzz_target!(|bytes: &[u8]| SCRATCH.with_borrow_mut(|scratch| {
    let scratch = scratch.get_or_insert_with(Scratch::new);
    let store = &scratch.store;
    let path = scratch.data().join("tmp/input");
    std::fs::write(&path, bytes).expect("a file");
    let file = File::open(&path).expect("the file");
    std::fs::remove_file(&path).expect("the file");
    if let Ok(source) = archive::open(store, file, &|| false) {
        let _ = archive::form_of(&source);
        if let Ok(loaded) = archive::load(store, &source, &|_| {}, &|| false) {
            let lock = store.exclusive().expect("a lock");
            for image in loaded {
                let _ = store.images().remove(&lock, &image.id);
            }
        }
    }
    let _ = trash::sweep(store, usize::MAX);
    scratch.assert_outside();
}));
