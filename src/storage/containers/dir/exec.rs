//! The records of the processes that `exec` started: `exec/<id>.json`.

use super::super::files;
use super::super::records::ExecRecord;
use super::ContainerDir;
use crate::container::ContainerId;
use crate::error::{Context, Kind, Result};
use chrono::Utc;
use nix::errno::Errno;
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::os::fd::{AsFd, OwnedFd};

/// How long the exit code of a detached process of `exec` is kept.
const EXEC_KEPT: chrono::Duration = chrono::Duration::minutes(5);

impl ContainerDir {
    /// The directory of `exec` records, made if missing.
    ///
    /// # Errors
    /// When it cannot be made.
    fn exec_dir(&self) -> Result<OwnedFd> {
        let made = files::make_dir(self.fd(), "exec").and_then(|()| files::open_dir(self.fd(), "exec"));
        made.context(Kind::Storage, || self.doing("open exec/"))
    }

    /// Records a process that `exec` started, or its end.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_exec(&self, exec: &ExecRecord) -> Result<()> {
        files::replace_json(self.exec_dir()?.as_fd(), &format!("{}.json", exec.id), exec)
            .context(Kind::Storage, || self.doing("write an exec record"))
    }

    /// Removes the record of an `exec` session. It is no error if it is already gone.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn remove_exec(&self, id: &ContainerId) -> Result<()> {
        match unlinkat(self.exec_dir()?, format!("{id}.json").as_str(), UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(e) => Err(e).context(Kind::Storage, || self.doing("remove an exec record")),
        }
    }

    /// The processes that `exec` started, ended ones included.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn execs(&self) -> Result<Vec<ExecRecord>> {
        let Ok(fd) = files::open_dir(self.fd(), "exec") else { return Ok(Vec::new()) };
        let mut dir = nix::dir::Dir::from_fd(fd).context(Kind::Storage, || self.doing("read exec/"))?;
        let names: Vec<String> =
            dir.iter().flatten().filter_map(|e| e.file_name().to_str().ok().map(str::to_owned)).collect();
        let records = names.iter().filter(|n| !n.starts_with('.'));
        Ok(records.filter_map(|n| files::read_json(dir.as_fd(), n).ok().flatten()).collect())
    }

    /// Forgets the processes of `exec` that are of no interest any more: those of other runs than this one,
    /// those that ended some time ago, and those that nobody saw end.
    pub fn tidy_execs(&self, run: u64) {
        let stale = |exec: &ExecRecord| match exec.finished {
            Some(finished) => Utc::now() - finished > EXEC_KEPT,
            None => !exec.is_running(),
        };
        for exec in self.execs().unwrap_or_default() {
            if exec.run != run || stale(&exec) {
                // The next one may be luckier.
                let _ = self.remove_exec(&exec.id);
            }
        }
    }
}
