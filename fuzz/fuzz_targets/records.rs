//! Records of the store, whatever somebody has written into them: listings leave out what is damaged.
#![no_main]

#[allow(dead_code, reason = "each target uses another part of it")]
#[path = "../scratch.rs"]
mod scratch;

use libfuzzer_sys::fuzz_target;
use scratch::Scratch;
use std::cell::RefCell;
use std::fs;

/// Where records are; `ID` stands for one of 64 digits, which fits all of them.
const PLACES: [&str; 14] = [
    "refs/ID",
    "images/ID",
    "lists/ID",
    "layers/ID/layer.json",
    "layers/ID/compressed.json",
    "containers/ID/plan.json",
    "containers/ID/summary",
    "containers/ID/settings.json",
    "containers/ID/run.json",
    "containers/ID/exit.json",
    "volumes/v/volume.json",
    "networks/n/network.json",
    "secrets/s/secret.json",
    "events/current",
];

thread_local! {
    static SCRATCH: RefCell<Option<Scratch>> = const { RefCell::new(None) };
}

fuzz_target!(|input: (u8, &[u8])| SCRATCH.with_borrow_mut(|scratch| {
    let scratch = scratch.get_or_insert_with(Scratch::new);
    let place = PLACES[usize::from(input.0) % PLACES.len()].replace("ID", &"1".repeat(64));
    let path = scratch.data().join(place);
    fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
    fs::write(&path, input.1).expect("a file");
    let store = &scratch.store;
    let _ = store.images().list_with_lists();
    let _ = store.images().damaged(false, &[]);
    let _ = store.images().find_any("x");
    let _ = store.layers().list().map(|all| all.iter().for_each(|layer| drop(store.layers().record(layer))));
    let _ = store.containers().specs();
    let _ = coracle::engine::containers::list(store);
    let _ = store.volumes().list();
    let _ = store.networks().list();
    let _ = store.secrets().list();
    scratch.assert_outside();
    // One at a time.
    fs::remove_file(&path).expect("the file");
}));
