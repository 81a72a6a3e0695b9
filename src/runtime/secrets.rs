//! Secrets on their way into a container: from its directory to a file in memory, or to a variable.

use crate::error::{Error, Kind, Result};
use crate::spec::secrets::MODE;
use crate::spec::{ContainerSpec, SecretWay};
use crate::storage::containers::ContainerDir;
use crate::storage::{Store, secrets};
use serde::{Deserialize, Serialize};
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

/// A file that a secret becomes.
#[derive(Clone, Serialize, Deserialize)]
pub struct SecretFile {
    /// Absolute path inside.
    pub path: PathBuf,
    /// What it says.
    pub value: Vec<u8>,
    /// Owner by number inside; the payload's user when `None`.
    pub uid: Option<u32>,
    /// Group by number inside; the payload's group when `None`.
    pub gid: Option<u32>,
    /// Permission bits.
    pub mode: u32,
}

impl std::fmt::Debug for SecretFile {
    /// All but the value.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretFile").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Copies the secrets that a plan names into the directory of its new container.
///
/// # Errors
/// When one does not exist or cannot be copied.
pub fn prepare(store: &Store, dir: BorrowedFd<'_>, plan: &ContainerSpec) -> Result<()> {
    if plan.secrets.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = plan.secrets.iter().map(|secret| &secret.name).collect();
    secrets::copy_to(store.secrets(), &names, dir)
}

/// The files that a container's secrets become.
///
/// # Errors
/// When one cannot be read.
pub fn files(dir: &ContainerDir, plan: &ContainerSpec) -> Result<Vec<SecretFile>> {
    let mut files = Vec::new();
    for secret in &plan.secrets {
        if let SecretWay::Mount { path, uid, gid, mode } = &secret.way {
            let value = secrets::of_container(dir.fd(), &secret.name)?;
            let mode = mode.unwrap_or(MODE);
            files.push(SecretFile { path: path.clone(), value, uid: *uid, gid: *gid, mode });
        }
    }
    Ok(files)
}

/// Puts the variables that a container's secrets become into an environment, in place of those of the
/// same names that are as in the plan: what `exec --env` sets stays. They are written nowhere.
///
/// # Errors
/// When one cannot be read or no variable can hold it.
pub fn add_variables(dir: &ContainerDir, plan: &ContainerSpec, env: &mut Vec<String>) -> Result<()> {
    for variable in variables(dir, plan)? {
        let name = variable.split_inclusive('=').next().unwrap_or_default();
        let own = |entry: &String| entry.starts_with(name);
        if env.iter().any(|entry| own(entry) && !plan.process.env.contains(entry)) {
            continue;
        }
        env.retain(|entry| !own(entry));
        env.push(variable);
    }
    Ok(())
}

/// The variables that a container's secrets become, as `NAME=value`.
fn variables(dir: &ContainerDir, plan: &ContainerSpec) -> Result<Vec<String>> {
    let mut variables = Vec::new();
    for secret in &plan.secrets {
        if let SecretWay::Env(variable) = &secret.way {
            let value = secrets::of_container(dir.fd(), &secret.name)?;
            let text = String::from_utf8(value).ok().filter(|text| !text.contains('\0'));
            let text = text.ok_or_else(|| {
                Error::new(
                    Kind::Usage,
                    format!("secret {} is not text, so it cannot be a variable", secret.name),
                )
                .hint(format!("Give it as a file: --secret {},type=mount", secret.name))
            })?;
            variables.push(format!("{variable}={text}"));
        }
    }
    Ok(variables)
}
