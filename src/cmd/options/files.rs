//! Text files named by options: variables and labels, one per line.

use crate::error::{Context, Error, Kind, Result};
use crate::host::Caller;
use crate::plan::env::{self, EnvArg};
use crate::plan::option_values::{Pair, parse_pairs};
use crate::spec::network::HostsBase;
use crate::text::quoted;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Largest file that an option may name, in bytes; a profile or an env file is far smaller.
const FILE_MAX: u64 = 4 << 20;

/// The entries of all `--env-file`s, in order.
///
/// # Errors
/// A file that cannot be read, is larger than 4 MiB or has a line that is no entry.
pub(in crate::cmd) fn environment(files: &[PathBuf], caller: &Caller) -> Result<Vec<EnvArg>> {
    let mut entries = Vec::new();
    for path in files {
        let text = read("--env-file", path, caller)?;
        entries.extend(
            env::parse_file(&text).context(Kind::Usage, || format!("--env-file {}", path.display()))?,
        );
    }
    Ok(entries)
}

/// What `--hosts-file` makes of /etc/hosts: nothing at all (`none`), the lines of a file, or what is usual.
///
/// # Errors
/// A file that cannot be read.
pub(in crate::cmd) fn hosts_base(file: Option<&Path>, caller: &Caller) -> Result<HostsBase> {
    let Some(file) = file.filter(|file| *file != "") else { return Ok(HostsBase::Localhost) };
    if file == "none" {
        return Ok(HostsBase::Empty);
    }
    let path = caller.cwd.join(file);
    File::open(&path).context(Kind::Usage, || format!("--hosts-file: cannot read {}", file.display()))?;
    Ok(HostsBase::File(path))
}

/// The labels of all `--label-file`s, and over them those that were set.
///
/// # Errors
/// As [`environment`].
pub(in crate::cmd) fn labels(
    files: &[PathBuf],
    set: Vec<Pair>,
    caller: &Caller,
) -> Result<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    for path in files {
        let text = read("--label-file", path, caller)?;
        let pairs = parse_pairs(&text).context(Kind::Usage, || format!("--label-file {}", path.display()))?;
        labels.extend(pairs.into_iter().map(|p| (p.key, p.value)));
    }
    labels.extend(set.into_iter().map(|p| (p.key, p.value)));
    Ok(labels)
}

/// What to type when a file that was named cannot be read.
fn look_beside(file: &Path) -> String {
    format!("See what is there: ls -l {}", quoted(file.parent().unwrap_or(file)))
}

/// The text of a file that an option names.
pub(in crate::cmd) fn read(option: &str, path: &Path, caller: &Caller) -> Result<String> {
    let context = || format!("{option}: cannot read {}", path.display());
    let mut text = String::new();
    let place = caller.cwd.join(path);
    let file = File::open(&place).context(Kind::Usage, context).map_err(|e| e.hint(look_beside(&place)))?;
    file.take(FILE_MAX + 1).read_to_string(&mut text).context(Kind::Usage, context)?;
    if text.len() as u64 > FILE_MAX {
        return Err(Error::new(Kind::Usage, format!("{option}: {} is larger than 4 MiB", path.display())));
    }
    Ok(text)
}
