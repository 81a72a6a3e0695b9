//! Configurations of images.
#![no_main]

use coracle::image::{ChainId, ImageConfig, document};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(config) = document::parse::<ImageConfig>(bytes) else { return };
    assert_eq!(ChainId::chain(&config.rootfs.diff_ids).len(), config.rootfs.diff_ids.len());
    let written = serde_json::to_vec(&config).expect("a configuration can be written");
    assert_eq!(document::parse::<ImageConfig>(&written).ok(), Some(config));
});
