//! Containerfiles, with the checks that a build prints, and ignore files.
#![no_main]

use coracle::build::files::Ignore;
use coracle::build::language::{fuzzing, mount, shown};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(ignore) = Ignore::parse("I", bytes) {
        let _ = (ignore.is_out(b"a/b"), ignore.may_contain(b"a"));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = mount::parse(text);
        let _ = shown(text, '\\', &|_: &str| Some("value".to_owned()));
    }
    if let Err(error) = fuzzing::containerfile(bytes) {
        assert!(error.message().starts_with("C:"), "{error}");
    }
});
