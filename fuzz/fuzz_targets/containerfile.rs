//! Containerfiles, with the checks that a build prints, and ignore files.
#![no_main]

use coracle::build::files::Ignore;
use coracle::build::language::{
    BaseImage, CheckContext, Does, check, excerpt, mount, parse, parse_trigger, shown,
};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(ignore) = Ignore::parse("I", bytes) {
        let _ = (ignore.is_out(b"a/b"), ignore.may_contain(b"a"));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = mount::parse(text);
        let _ = shown(text, '\\', &|_: &str| Some("value".to_owned()));
    }
    let file = match parse(bytes, "C") {
        Ok(file) => file,
        Err(error) => return assert!(error.message().starts_with("C:"), "{error}"),
    };
    let (lines, none) = (file.source.lines.len(), BTreeMap::new());
    let known = CheckContext {
        args: &none,
        predefined: &none,
        base: &|_| Some(BaseImage::default()),
        ignored: Some(&|path| !path.is_empty()),
        stage: &|_| true,
    };
    for warning in check(&file, &known) {
        assert!(warning.lines.0 <= lines && !warning.excerpt.is_empty(), "{warning:?}");
    }
    assert!(!file.stages.is_empty());
    for instruction in file.stages.iter().flat_map(|stage| &stage.instructions) {
        let (first, last) = instruction.at;
        assert!(0 < first && first <= last && last <= lines, "{instruction:?}");
        assert!(!excerpt(&file.source, instruction.at, Some(1)).is_empty());
        match &instruction.does {
            Does::OnBuild(trigger) => drop(parse_trigger(trigger, instruction.at)),
            Does::Run(run) => drop(run.command.script()),
            _ => {}
        }
    }
});
