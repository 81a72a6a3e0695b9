//! What steps are given that no image has: `--secret`, `--ssh`.

use super::values::{SecretArg, SecretFrom, SshArg, usage, variable};
use crate::build::request::SecretSource;
use crate::error::{Context, Kind, Result};
use crate::host::Caller;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// Most bytes of a secret that is read from a pipe, as in BuildKit.
const SECRET_MAX: u64 = 500 << 10;

/// The secrets; the values of variables and of pipes are read.
///
/// # Errors
/// What is no file, or cannot be read.
pub(super) fn secrets(args: Vec<SecretArg>, caller: &Caller) -> Result<BTreeMap<String, SecretSource>> {
    let mut all = BTreeMap::new();
    for SecretArg { id, from } in args {
        let value = |name: &str| caller.env.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        let source = match &from {
            SecretFrom::Either(name) => match value(name) {
                Some(value) => SecretSource::Value(value.clone().into_bytes()),
                None => SecretSource::File(caller.cwd.join(name)),
            },
            SecretFrom::File(path) => SecretSource::File(caller.cwd.join(path)),
            SecretFrom::Variable(name) => match value(name) {
                Some(value) => SecretSource::Value(value.clone().into_bytes()),
                // As in docker, only a step that needs it fails.
                None => {
                    log::warn!("--secret id={id}: the variable {name} is not set");
                    continue;
                }
            },
        };
        let pipe = match &source {
            SecretSource::File(path) if is_pipe(path) => Some(read_pipe(&id, path)?),
            _ => None,
        };
        let source = pipe.map_or(source, SecretSource::Value);
        if let SecretSource::File(path) = &source
            && !path.is_file()
        {
            return Err(usage(format!("--secret id={id}: {} is not a file", path.display()))
                .hint("Give the file as src=FILE, or a variable as env=NAME."));
        }
        all.insert(id, source);
    }
    Ok(all)
}

fn is_pipe(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo())
}

/// What a process substitution of the shell gives can be read once.
fn read_pipe(id: &str, path: &Path) -> Result<Vec<u8>> {
    let doing = || format!("--secret id={id}: read {}", path.display());
    let mut value = Vec::new();
    let file = File::open(path).context(Kind::Usage, doing)?;
    file.take(SECRET_MAX + 1).read_to_end(&mut value).context(Kind::Usage, doing)?;
    if value.len() as u64 > SECRET_MAX {
        return Err(usage(format!("--secret id={id}: {} gives more than 500 KiB", path.display())));
    }
    Ok(value)
}

/// An id of `--ssh`, and its socket or keys.
///
/// # Errors
/// When there is none.
pub(super) fn agent(arg: SshArg, caller: &Caller) -> Result<(String, Vec<PathBuf>)> {
    let id = arg.id;
    if arg.paths.is_empty() {
        let socket = variable(caller, "SSH_AUTH_SOCK").ok_or_else(|| {
            usage(format!("--ssh {id}: no agent runs: SSH_AUTH_SOCK is not set")).hint(format!(
                "Give a key instead, --ssh {id}=~/.ssh/id_ed25519, or start an agent: eval $(ssh-agent)"
            ))
        })?;
        return Ok((id, vec![caller.cwd.join(socket)]));
    }
    let paths: Vec<_> = arg.paths.iter().map(|path| caller.cwd.join(path)).collect();
    if let Some(path) = paths.iter().find(|path| !path.exists()) {
        return Err(usage(format!("--ssh {id}: {} does not exist", path.display()))
            .hint("Give the agent's socket, or files with private keys."));
    }
    let is_socket = |path: &Path| path.metadata().is_ok_and(|found| found.file_type().is_socket());
    if paths.len() > 1 && paths.iter().any(|path| is_socket(path)) {
        return Err(usage(format!("--ssh {id}: an agent's socket stands alone"))
            .hint("Give one socket, or files with private keys."));
    }
    Ok((id, paths))
}
