//! What holds of every Containerfile, for property tests and fuzz targets (fuzz/).

use super::{BaseImage, CheckContext, Does, check, excerpt, parse, parse_trigger};
use crate::error::Result;
use std::collections::BTreeMap;

/// Reads a Containerfile that is called `C`, with the checks that a build prints.
///
/// # Errors
/// Why it is none.
pub fn containerfile(bytes: &[u8]) -> Result<()> {
    let file = parse(bytes, "C")?;
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
    Ok(())
}
