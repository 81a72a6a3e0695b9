//! One container's directory.

use super::files;
use super::locks::{self, AliveLock, DirLock, ExitNote};
use super::records::{ExecRecord, Outline, ProcessRef, RUN_VERSION, RunRecord, Settings, boot_id};
use super::summary::{Phase, Record, Summary, encode_ports};
use crate::container::health::Health;
use crate::container::{ContainerId, ExitRecord, Name, RestartPolicy, Status};
use crate::error::{Context, Error, Kind, Result};
use crate::storage::events::{Action, Event, Events};
use crate::sys::process;
use chrono::Utc;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, readlinkat, renameat};
use nix::libc;
use nix::sys::stat::{Mode, fstat, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::io;
use std::io::ErrorKind::{QuotaExceeded, StorageFull};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The exit code of a container whose monitor died, or whose machine restarted, before the payload's
/// own was known.
pub const LOST_EXIT_CODE: u8 = 255;

/// How long the exit code of a detached process of `exec` is kept.
const EXEC_KEPT: chrono::Duration = chrono::Duration::minutes(5);
/// How long a monitor whose container has ended may take to clear up before it counts as running.
const ENDING: Duration = Duration::from_secs(20);

/// One container's directory, held by descriptor: it stays usable after it was renamed to the trash.
#[derive(Debug)]
pub struct ContainerDir {
    id: ContainerId,
    data: PathBuf,
    runtime: PathBuf,
    dir: OwnedFd,
}

impl ContainerDir {
    pub(super) fn new(id: ContainerId, data: &Path, runtime: &Path, dir: OwnedFd) -> Self {
        ContainerDir { id, data: data.to_owned(), runtime: runtime.to_owned(), dir }
    }

    /// The container's identifier.
    pub fn id(&self) -> &ContainerId {
        &self.id
    }

    /// Where the directory stands until it is removed.
    pub fn path(&self) -> PathBuf {
        self.data.join("containers").join(self.id.as_str())
    }

    /// The file that holds the payload's output; see [`super::log`].
    pub fn log_path(&self) -> PathBuf {
        self.path().join("log")
    }

    /// Whether the directory still stands there.
    pub fn in_place(&self) -> bool {
        std::fs::symlink_metadata(self.path()).is_ok()
    }

    /// What the container changed of its root file system.
    pub fn upper(&self) -> PathBuf {
        self.path().join("upper")
    }

    /// The overlay's working directory.
    pub fn work(&self) -> PathBuf {
        self.path().join("work")
    }

    /// Where the root file system is mounted when it cannot be held detached. Made by whoever mounts.
    pub fn merged(&self) -> PathBuf {
        self.path().join("merged")
    }

    /// The monitor's socket for `attach` and the like: `<runtime>/c/<12 digits>.sock`.
    ///
    /// A socket address holds 107 bytes (unix(7)). Where this path is longer (a deep `--runroot`), bind
    /// and connect through [`ContainerDir::socket_dir`] and `/proc/self/fd/<n>/<name>` instead.
    pub fn socket_path(&self) -> PathBuf {
        self.runtime.join("c").join(format!("{}.sock", self.id.short()))
    }

    /// The directory of [`ContainerDir::socket_path`], made if missing.
    ///
    /// # Errors
    /// When the runtime directory cannot be written.
    pub fn socket_dir(&self) -> Result<OwnedFd> {
        let path = self.runtime.join("c");
        let open = || -> io::Result<OwnedFd> {
            use std::os::unix::fs::DirBuilderExt;
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
            Ok(files::open_dir(nix::fcntl::AT_FDCWD, &path.to_string_lossy())?)
        };
        open().context(Kind::Storage, || format!("open {}", path.display()))
    }

    /// The directory itself.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    fn doing(&self, what: &str) -> String {
        format!("{what} of container {}", self.id.short())
    }

    fn read<T: DeserializeOwned>(&self, file: &str) -> Result<Option<T>> {
        files::read_json(self.fd(), file).context(Kind::Storage, || self.doing(&format!("read {file}")))
    }

    /// What the container is to be.
    ///
    /// # Errors
    /// When the plan is missing or not readable as a `P`.
    pub fn plan<P: DeserializeOwned>(&self) -> Result<P> {
        let missing = || Error::new(Kind::Storage, self.doing("no plan.json in the directory"));
        let bytes = files::read(self.fd(), "plan.json")
            .context(Kind::Storage, || self.doing("read plan.json"))?
            .ok_or_else(missing)?;
        serde_json::from_slice(&bytes).context(Kind::Storage, || self.doing("understand plan.json")).map_err(
            |e| {
                e.hint(format!(
                    "If a newer coracle made the container, use that one; to drop it: coracle rm -f {}",
                    self.id.short()
                ))
            },
        )
    }

    pub(super) fn outline(&self) -> Outline {
        files::read_json(self.fd(), "plan.json").ok().flatten().unwrap_or_default()
    }

    /// What events say of the container: its name, its image and its labels.
    pub(in crate::storage) fn event_subject(&self) -> (String, String, BTreeMap<String, String>) {
        let outline = self.outline();
        let name = self.settings().map(|s| s.name.to_string()).unwrap_or_default();
        (name, outline.image.map(|i| i.reference).unwrap_or_default(), outline.labels)
    }

    /// Tells of something that happened to the container, by the name and the labels that it has.
    pub fn emit(&self, action: Action) {
        Events::new(&self.data).emit(Event::of(self, action));
    }

    /// What verbs may change; defaults from the plan when the file is missing.
    ///
    /// # Errors
    /// When no name is known at all.
    pub fn settings(&self) -> Result<Settings> {
        if let Some(settings) = self.read("settings.json")? {
            return Ok(settings);
        }
        let name = self.outline().name.ok_or_else(|| {
            Error::new(Kind::Storage, self.doing("the records were lost"))
                .hint(format!("Remove it: coracle rm -f {}", self.id.short()))
        })?;
        Ok(Settings::new(name))
    }

    /// Replaces the settings. The caller holds [`ContainerDir::lock`] since it read them.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set_settings(&self, settings: &Settings) -> Result<()> {
        files::replace_json(self.fd(), "settings.json", settings)
            .and_then(|()| self.change_summary(|s| settings.name.as_str().clone_into(&mut s.name)))
            .context(Kind::Storage, || self.doing("write settings.json"))
    }

    /// The latest run; `None` before the first start.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn run_record(&self) -> Result<Option<RunRecord>> {
        self.read("run.json")
    }

    /// Records a run. For the monitor, which holds `alive`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write_run(&self, run: &RunRecord) -> Result<()> {
        self.change_summary(|s| {
            s.phase = if run.paused { Phase::Paused } else { Phase::Started };
            if s.run != run.run {
                s.health = None;
            }
            s.run = run.run;
            s.started = Some(run.started);
            s.finished = None;
            s.code = None;
            s.ports = encode_ports(&run.ports);
        })
        .and_then(|()| files::replace_json(self.fd(), "run.json", run))
        .context(Kind::Storage, || self.doing("write run.json"))
    }

    /// The number of the next run, and a record of it with this process as the monitor.
    ///
    /// # Errors
    /// When the latest run cannot be read.
    pub fn next_run(&self, init: ProcessRef) -> Result<RunRecord> {
        Ok(RunRecord {
            version: RUN_VERSION,
            run: self.run_record()?.map_or(0, |r| r.run) + 1,
            monitor: ProcessRef::own().unwrap_or(ProcessRef { pid: 0, start_time: 0 }),
            init,
            boot_id: boot_id(),
            started: Utc::now(),
            ports: Vec::new(),
            paused: false,
            restarts: 0,
        })
    }

    /// How the latest run that ended did so.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn exit_record(&self) -> Result<Option<ExitRecord>> {
        let record: Option<ExitRecord> = self.read("exit.json")?;
        let Ok(Some(run)) = self.run_record() else { return Ok(record) };
        if record.as_ref().is_some_and(|exit| exit.run >= run.run) {
            return Ok(record);
        }
        // On a full disk the note is all that could be written.
        let noted = self.exit_note().ok().and_then(|note| Some((note.code(run.run)?, note.written()?)));
        Ok(noted.map_or(record, |(code, finished)| {
            Some(ExitRecord {
                run: run.run,
                code,
                signal: None,
                oom_killed: false,
                error: Some("the disk was full when it ended".to_owned()),
                started: run.started,
                finished,
                restart_at: None,
            })
        }))
    }

    /// Records the end of a run.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write_exit(&self, exit: &ExitRecord) -> Result<()> {
        let kept = files::replace_json(self.fd(), "exit.json", exit).and_then(|()| {
            self.change_summary(|s| {
                s.phase = ended(exit);
                s.run = exit.run;
                s.started = Some(exit.started);
                s.finished = Some(exit.finished);
                s.code = Some(exit.code);
            })
        });
        let noted = locks::note_exit(self.fd(), exit.run, exit.code);
        match kept {
            // The note's place was taken before the disk was full, and it says enough.
            Err(e) if noted.is_ok() && matches!(e.kind(), StorageFull | QuotaExceeded) => Ok(()),
            other => other.and(noted),
        }
        .context(Kind::Storage, || self.doing("write exit.json"))
    }

    fn change_summary(&self, change: impl FnOnce(&mut Record)) -> io::Result<()> {
        locks::with_summary(self.fd(), || {
            let mut record = match files::read(self.fd(), "summary")?.and_then(|b| Record::from_bytes(&b)) {
                Some(record) if !record.cut => record,
                Some(mut record) => {
                    record.complete(self.full_record());
                    record
                }
                None => self.full_record(),
            };
            change(&mut record);
            files::replace(self.fd(), "summary", &record.to_bytes()?)
        })
    }

    pub(super) fn note_health(&self, health: Option<Health>) -> io::Result<()> {
        self.change_summary(|s| s.health = health)
    }

    pub(super) fn write_first_summary(&self, name: &Name, outline: &Outline) -> io::Result<()> {
        files::replace(self.fd(), "summary", &Record::new(name.as_str(), outline).to_bytes()?)
    }

    /// The summary rebuilt from the full records.
    pub(super) fn full_record(&self) -> Record {
        let name = self.settings().map(|s| s.name.to_string()).unwrap_or_default();
        let mut record = Record::new(&name, &self.outline());
        if let Ok(Some(run)) = self.run_record() {
            record.phase = if run.paused { Phase::Paused } else { Phase::Started };
            record.run = run.run;
            record.started = Some(run.started);
            record.ports = encode_ports(&run.ports);
            record.health = self.health().ok().flatten().filter(|h| h.run == run.run).map(|h| h.status);
        }
        if let Ok(Some(exit)) = self.exit_record()
            && exit.run >= record.run
        {
            record.phase = ended(&exit);
            record.run = exit.run;
            record.finished = Some(exit.finished);
            record.code = Some(exit.code);
        }
        record
    }

    /// Where the container stands, derived from its records and the monitor's lock. An unreadable
    /// record counts as absent. Not for the monitor itself, which would lose its lock.
    pub fn status(&self) -> Status {
        // In this order, so that a container which is just starting or ending never looks crashed.
        let Ok(Some(run)) = self.run_record() else {
            return match self.exit_record() {
                Ok(Some(_)) => Status::Exited,
                _ => Status::Created,
            };
        };
        let alive = self.is_alive();
        match self.exit_record() {
            Ok(Some(exit)) if exit.run == run.run && exit.restart_at.is_some() && alive => Status::Restarting,
            Ok(Some(exit)) if exit.run == run.run => Status::Exited,
            _ if !alive => Status::Crashed,
            _ if run.paused => Status::Paused,
            _ => Status::Running,
        }
    }

    /// The container as listings show it.
    pub fn summary(&self) -> Summary {
        Summary::new(self.id.clone(), self.full_record(), self.status())
    }

    /// Takes `alive`, for the calling process's whole life: the monitor calls it once, after its fork.
    /// Waits for a former monitor that has written its exit record and is clearing up.
    ///
    /// # Errors
    /// `Conflict` when the container runs.
    pub fn hold_alive(&self) -> Result<AliveLock> {
        let ended = |run: Option<RunRecord>, exit: Option<ExitRecord>| {
            run.is_none_or(|run| exit.is_some_and(|exit| exit.run == run.run))
        };
        let begun = Instant::now();
        let ending = || {
            begun.elapsed() < ENDING
                && ended(self.run_record().ok().flatten(), self.exit_record().ok().flatten())
        };
        let lock = match locks::hold_alive(self.fd(), ending) {
            Err(Errno::EAGAIN) => {
                let id = self.id.short();
                return Err(Error::new(Kind::Conflict, format!("container {id} is running already")));
            }
            other => other.context(Kind::Storage, || self.doing("take the alive lock"))?,
        };
        // Whoever removes a container looks for a monitor under the lock: either it found us, or we find
        // here that the container is gone.
        drop(self.lock()?);
        if !self.in_place() {
            return Err(self.removed());
        }
        Ok(lock)
    }

    /// Whether a monitor is about to start the container and has not recorded the run yet. Never called
    /// by the monitor itself.
    pub fn is_starting(&self) -> bool {
        let Some(holder) = locks::alive_holder(self.fd(), "alive") else { return false };
        self.run_record().ok().flatten().is_none_or(|run| run.monitor.pid != holder)
    }

    /// Whether a monitor holds `alive`. Never called by the monitor itself.
    pub fn is_alive(&self) -> bool {
        locks::is_alive(self.fd(), "alive")
    }

    /// Takes the lock for a change to this container; held for moments, never while waiting for a
    /// person or a payload.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when the container has been removed since it was opened; else when the lock
    /// file cannot be opened.
    pub fn lock(&self) -> Result<DirLock> {
        locks::lock(self.fd()).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => self.removed(),
            _ => Error::new(Kind::Storage, self.doing("take the lock")).caused_by(e),
        })
    }

    fn removed(&self) -> Error {
        Error::new(Kind::NotFound, format!("container {} has been removed meanwhile", self.id.short()))
    }

    /// Opens the exit note, for one who waits; see [`ExitNote`].
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn exit_note(&self) -> Result<ExitNote> {
        ExitNote::open(self.fd()).context(Kind::Storage, || self.doing("open the exit note"))
    }

    /// The restart policy in force, given the one of the plan.
    pub fn restart_policy(&self, planned: RestartPolicy) -> RestartPolicy {
        self.settings().ok().and_then(|settings| settings.restart).unwrap_or(planned)
    }

    /// Notes that somebody wants the container stopped, having seen this run: the monitor whose run that is
    /// starts no other. Written before the signal goes out.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn ask_stop(&self, run: u64) -> Result<()> {
        files::replace(self.fd(), "stop", format!("{run}\n").as_bytes())
            .context(Kind::Storage, || self.doing("note the stop"))
    }

    /// The run that somebody wanted stopped, the last time anybody did.
    pub fn stop_asked(&self) -> Option<u64> {
        let bytes = files::read(self.fd(), "stop").ok()??;
        std::str::from_utf8(&bytes).ok()?.trim().parse().ok()
    }

    /// The directory of `exec` records, made if missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn exec_dir(&self) -> Result<OwnedFd> {
        let open = || -> nix::Result<OwnedFd> {
            match mkdirat(self.fd(), "exec", Mode::from_bits_truncate(0o700)) {
                Ok(()) | Err(Errno::EEXIST) => files::open_dir(self.fd(), "exec"),
                Err(e) => Err(e),
            }
        };
        open().context(Kind::Storage, || self.doing("open exec/"))
    }

    /// Records a process that `exec` started, or its end.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_exec(&self, exec: &ExecRecord) -> Result<()> {
        files::replace_json(self.exec_dir()?.as_fd(), &format!("{}.json", exec.id), exec)
            .context(Kind::Storage, || self.doing("write an exec record"))
    }

    /// Forgets a process that `exec` started. One that is gone already is not an error.
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

    /// Finishes what a dead monitor left: kills what remains of the run, then writes the exit record
    /// with [`LOST_EXIT_CODE`]. Gives the record; does nothing unless the status is
    /// [`Status::Crashed`]. Removing a `--rm` container is the caller's second step.
    ///
    /// # Errors
    /// When the lock or the record cannot be had.
    pub fn finish_dead(&self) -> Result<Option<ExitRecord>> {
        let _lock = self.lock()?;
        if self.status() != Status::Crashed {
            return Ok(None);
        }
        let Some(run) = self.run_record()? else { return Ok(None) };
        let same_boot = run.boot_id == boot_id();
        if let Some(init) = run.open_init() {
            // The end of a pid namespace's first process ends all others in it.
            let _ = process::pidfd_send_signal(init.as_fd(), libc::SIGKILL);
        }
        let error = if same_boot {
            "the container's monitor died; how the payload ended is not known"
        } else {
            "the machine restarted while the container ran; how the payload ended is not known"
        };
        let exit = ExitRecord {
            run: run.run,
            code: LOST_EXIT_CODE,
            signal: None,
            oom_killed: false,
            error: Some(error.to_owned()),
            started: run.started,
            finished: Utc::now(),
            restart_at: None,
        };
        self.write_exit(&exit)?;
        Events::new(&self.data).emit(Event::of(self, Action::Died).code(exit.code.into()));
        Ok(Some(exit))
    }

    /// Frees the name and renames the directory into the trash; gives its new path. One that another
    /// process removed meanwhile is not an error. The caller does not hold [`ContainerDir::lock`].
    ///
    /// # Errors
    /// When the rename is refused.
    pub fn trash(self) -> Result<PathBuf> {
        let lock = self.lock()?;
        self.trash_locked(&lock)
    }

    /// As [`ContainerDir::trash`], for a caller that holds the lock.
    ///
    /// # Errors
    /// When the rename is refused.
    pub fn trash_locked(&self, _lock: &DirLock) -> Result<PathBuf> {
        let trashed = self.data.join("trash").join(format!("container-{}", self.id));
        let gone = Event::of(self, Action::Remove);
        let ours = self.rename_to_trash();
        if ours.context(Kind::Storage, || self.doing("move the directory to the trash"))? {
            Events::new(&self.data).emit(gone);
        }
        let _ = std::fs::remove_file(self.socket_path());
        Ok(trashed)
    }

    /// False when another process has removed it.
    fn rename_to_trash(&self) -> nix::Result<bool> {
        let base = files::open_dir(nix::fcntl::AT_FDCWD, &self.data.to_string_lossy())?;
        let containers = files::open_dir(&base, "containers")?;
        // Another process may have removed it while we waited for the lock.
        match openat(&containers, self.id.as_str(), OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()) {
            Ok(there) if fstat(&there)?.st_ino == fstat(&self.dir)?.st_ino => {}
            Ok(_) | Err(Errno::ENOENT) => return Ok(false),
            Err(e) => return Err(e),
        }
        // From here on no listing shows it, whoever kills us: without a summary it counts as half made, its
        // name as free, and what is left of it is collected.
        match unlinkat(&self.dir, "summary", UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(e) => return Err(e),
        }
        if let Ok(settings) = self.settings() {
            // Ours while the directory stands: nobody may repair a name whose container exists.
            let link = format!("names/{}", settings.name);
            if readlinkat(&base, link.as_str())
                .is_ok_and(|t| t.as_os_str() == super::target(&self.id).as_str())
            {
                unlinkat(&base, link.as_str(), UnlinkatFlags::NoRemoveDir)?;
            }
        }
        let to = format!("trash/container-{}", self.id);
        match renameat(&containers, self.id.as_str(), &base, to.as_str()) {
            Err(Errno::ENOENT) => {
                mkdirat(&base, "trash", Mode::from_bits_truncate(0o700))?;
                renameat(&containers, self.id.as_str(), &base, to.as_str())?;
            }
            other => other?,
        }
        Ok(true)
    }
}

fn ended(exit: &ExitRecord) -> Phase {
    if exit.restart_at.is_some() { Phase::Restarting } else { Phase::Exited }
}
