//! Archives of layers, plain and compressed, unpacked into a scratch directory; half of each on top of the other half.
#![no_main]

#[allow(dead_code, reason = "each target uses another part of it")]
#[path = "../scratch.rs"]
mod scratch;

use coracle::image::{DiffId, Digest};
use coracle::storage::layers::StackLayer;
use coracle::storage::trash;
use libfuzzer_sys::fuzz_target;
use scratch::Scratch;
use std::cell::RefCell;
use std::io::Cursor;

thread_local! {
    static SCRATCH: RefCell<Option<Scratch>> = const { RefCell::new(None) };
}

fuzz_target!(|bytes: &[u8]| SCRATCH.with_borrow_mut(|scratch| {
    let scratch = scratch.get_or_insert_with(Scratch::new);
    let (store, layers) = (&scratch.store, scratch.store.layers());
    let unpack = |bytes: &[u8]| {
        let diff_id = DiffId(Digest::sha256_of(bytes));
        layers.begin(&diff_id, "", Cursor::new(bytes.to_vec())).and_then(|job| job.join())
    };
    let half = bytes.len() / 2 / 512 * 512;
    let whole = [&bytes[..half], &[0; 1024]].concat();
    if let (Ok(lower), Ok(upper)) = (unpack(&whole), unpack(&bytes[half..])) {
        let lock = store.shared().expect("a lock");
        let _ = layers.commit(&lock, vec![StackLayer::New(lower), StackLayer::New(upper)]);
        drop(lock);
        let lock = store.exclusive().expect("a lock");
        let all = layers.list().expect("a listing");
        let _ = store.images().discard_if_unused(&lock, &all);
    }
    let _ = trash::sweep(store, usize::MAX);
    scratch.assert_outside();
}));
