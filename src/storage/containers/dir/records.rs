//! The records in a container's directory: settings, runs, their exits, the stop note, and the summary for
//! `ps`.

use super::super::files::{self, Fresh};
use super::super::locks::{self, ExitNote};
use super::super::records::{ProcessRef, RUN_VERSION, RunRecord, Settings};
use super::super::summary::{Phase, Record, encode_ports};
use super::ContainerDir;
use crate::container::{ExitRecord, Name, RestartPolicy};
use crate::error::{Context, Error, Kind, Result};
use crate::failpoint;
use crate::spec::health::Health;
use crate::spec::{Attachment, ContainerSpec, NetworkMode, Resources};
use crate::storage::boot::boot_id;
use chrono::Utc;
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::io;
use std::io::ErrorKind::{QuotaExceeded, StorageFull};

impl ContainerDir {
    /// What verbs have changed; `None` as long as nobody has. It takes no look at the plan, as
    /// [`ContainerDir::settings`] does for the name.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn changed(&self) -> Result<Option<Settings>> {
        self.read("settings.json")
    }

    /// The limits that were set since it was made. Nothing must run without them, so settings that cannot be read
    /// are an error here.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn changed_limits(&self) -> Result<Option<Resources>> {
        match self.changed()? {
            Some(settings) => Ok(settings.limits),
            None if files::is_there(self.fd(), "settings.json") => Err(Error::new(
                Kind::Storage,
                self.doing("cannot read settings.json, which may hold limits,"),
            )
            .hint("Go back to the limits it was created with: coracle system check --repair")),
            None => Ok(None),
        }
    }

    /// The networks that it is to share with others, given the ones of the plan; `None` when it is one that shares
    /// none.
    ///
    /// # Errors
    /// When the settings cannot be read: they may name others than the plan.
    pub fn networks(&self, planned: &NetworkMode) -> Result<Option<Vec<Attachment>>> {
        let NetworkMode::Bridge(planned) = planned else { return Ok(None) };
        match self.changed()? {
            Some(settings) => Ok(Some(settings.networks.unwrap_or_else(|| planned.clone()))),
            None if files::is_there(self.fd(), "settings.json") => Err(Error::new(
                Kind::Storage,
                self.doing("cannot read settings.json, which may name networks,"),
            )
            .hint("Go back to the networks it was created with: coracle system check --repair")),
            None => Ok(Some(planned.clone())),
        }
    }

    /// Has a plan name the networks of the settings, as far as these can be read, for who shows it.
    pub fn put_networks_into(&self, plan: &mut ContainerSpec) {
        if let Ok(Some(networks)) = self.networks(&plan.network.mode) {
            plan.network.mode = NetworkMode::Bridge(networks);
        }
    }

    /// Its current name, for a caller that has its plan.
    pub fn name_given(&self, spec: &ContainerSpec) -> Name {
        self.changed().ok().flatten().map_or_else(|| spec.name.clone(), |settings| settings.name)
    }

    /// What verbs may change; defaults from the plan when the file is missing.
    ///
    /// # Errors
    /// When no name is known at all.
    pub fn settings(&self) -> Result<Settings> {
        if let Some(settings) = self.changed()? {
            return Ok(settings);
        }
        let name = self.spec().ok().map(|spec| spec.name).ok_or_else(|| {
            Error::new(Kind::Storage, self.doing("the records were lost"))
                .hint(format!("Remove it: coracle rm -f {}", self.id.short()))
        })?;
        Ok(Settings::new(name))
    }

    /// Replaces the settings, and has listings show the name in them. The caller holds [`ContainerDir::lock`]
    /// since it read them.
    ///
    /// Both files are written aside before either gets its name: a full disk is noticed while nothing has
    /// changed. Then the settings get theirs, which decide, and the summary, which is derived; when the second
    /// step fails the first is undone. All of it is on the disk when this returns.
    ///
    /// # Errors
    /// When a file cannot be written; nothing is changed then.
    pub fn set_settings(&self, settings: &Settings) -> Result<()> {
        let change = || -> io::Result<()> {
            let bytes = serde_json::to_vec(settings).map_err(io::Error::other)?;
            let mut decided = Fresh::write_synced(self.fd(), "settings.json", &bytes)?;
            let Some(mut shown) = self.summary_for_change()? else { return decided.put() };
            if shown.name != settings.name.as_str() {
                // Until the settings have decided, listings look there for the name.
                let asked = Record { cut: true, ..shown.clone() };
                files::replace_derived(self.fd(), "summary", &asked.to_bytes()?)?;
                failpoint::reach("settings.asked");
            }
            shown.name = settings.name.to_string();
            let mut shown = Fresh::write(self.fd(), "summary", &shown.to_bytes()?)?;
            failpoint::reach("settings.written");
            decided.exchange()?;
            failpoint::reach("settings.decided");
            shown.exchange().inspect_err(|_| {
                if let Err(e) = decided.undo() {
                    log::warn!("put back the settings of container {}: {e}", self.id.short());
                }
            })
        };
        locks::with_summary(self.fd(), change).map_err(|e| self.unwritten("settings.json", e))?;
        self.keep_place()
    }

    /// Has listings show this name. The caller holds the lock of the directory.
    pub(in crate::storage::containers) fn show_name(&self, name: &Name) -> io::Result<()> {
        self.change_summary(|s| s.name = name.to_string())
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
            networks: Vec::new(),
            paused: false,
            restarts: 0,
            root: None,
        })
    }

    /// How the latest run that ended did so.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn exit_record(&self) -> Result<Option<ExitRecord>> {
        self.exit_after(self.run_record().ok().flatten().as_ref())
    }

    /// Like [`ContainerDir::exit_record`], for a caller that has read the latest run.
    pub(super) fn exit_after(&self, run: Option<&RunRecord>) -> Result<Option<ExitRecord>> {
        let record: Option<ExitRecord> = self.read("exit.json")?;
        let Some(run) = run else { return Ok(record) };
        let ended = |record: &Option<ExitRecord>| record.as_ref().is_some_and(|exit| exit.run >= run.run);
        if ended(&record) {
            return Ok(record);
        }
        let noted = self.exit_note().ok().and_then(|note| Some((note.code(run.run)?, note.written()?)));
        let Some((code, finished)) = noted else { return Ok(record) };
        // The note comes last: the record may have been written since we looked. On a full disk the note
        // is all that could be written.
        let record = self.read("exit.json")?;
        if ended(&record) {
            return Ok(record);
        }
        Ok(Some(ExitRecord {
            run: run.run,
            code,
            signal: None,
            oom_killed: false,
            error: Some("the disk was full when it ended".to_owned()),
            never_ran: false,
            started: run.started,
            finished,
            restart_at: None,
        }))
    }

    /// Records the end of a run.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write_exit(&self, exit: &ExitRecord) -> Result<()> {
        self.keep_exit(exit, || self.change_summary(|s| s.ended(exit)))
    }

    /// As [`ContainerDir::write_exit`], for a container that is removed at once: its summary, which may say
    /// `started` too long, is left as it is.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write_last_exit(&self, exit: &ExitRecord) -> Result<()> {
        self.keep_exit(exit, || Ok(()))
    }

    fn keep_exit(&self, exit: &ExitRecord, summarise: impl FnOnce() -> io::Result<()>) -> Result<()> {
        let kept = files::replace_json(self.fd(), "exit.json", exit).and_then(|()| summarise());
        crate::failpoint::reach("end.summed");
        let noted = locks::note_exit(self.fd(), exit.run, exit.code);
        match kept {
            // The note's place was taken before the disk was full, and it says enough.
            Err(e) if noted.is_ok() && matches!(e.kind(), StorageFull | QuotaExceeded) => Ok(()),
            other => other.and(noted),
        }
        .context(Kind::Storage, || self.doing("write exit.json"))
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
        self.changed().ok().flatten().and_then(|settings| settings.restart).unwrap_or(planned)
    }

    /// Notes that somebody wants the container stopped, having seen this run: the monitor whose run that is
    /// starts no other. Written before the signal goes out.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn ask_stop(&self, run: u64) -> Result<()> {
        // A rename over it would have to wait for the disk (see [`Fresh::exchange`]).
        if self.stop_asked() == Some(run) {
            return Ok(());
        }
        files::replace(self.fd(), "stop", format!("{run}\n").as_bytes())
            .context(Kind::Storage, || self.doing("note the stop"))
    }

    /// The run that somebody wanted stopped, the last time anybody did.
    pub fn stop_asked(&self) -> Option<u64> {
        let bytes = files::read(self.fd(), "stop").ok()??;
        std::str::from_utf8(&bytes).ok()?.trim().parse().ok()
    }

    /// Forgets that somebody wanted this run stopped: a command that was killed before its signal went out would
    /// leave the container stopping for good.
    pub fn take_back_stop(&self) {
        if self.run_record().ok().flatten().is_some_and(|run| self.stop_asked() == Some(run.run)) {
            // Whoever removes the container was faster.
            let _ = unlinkat(self.fd(), "stop", UnlinkatFlags::NoRemoveDir);
        }
    }

    fn change_summary(&self, change: impl FnOnce(&mut Record)) -> io::Result<()> {
        locks::with_summary(self.fd(), || {
            let Some(mut record) = self.summary_for_change()? else { return Ok(()) };
            change(&mut record);
            files::replace_derived(self.fd(), "summary", &record.to_bytes()?)
        })
    }

    /// The current summary; `None` if there is none because the container is being removed.
    fn summary_for_change(&self) -> io::Result<Option<Record>> {
        let bytes = match files::read(self.fd(), "summary") {
            Err(e) if e.kind() == io::ErrorKind::InvalidData => return Ok(Some(self.full_record())),
            other => other?,
        };
        let Some(bytes) = bytes else { return Ok(None) };
        Ok(Some(match Record::from_bytes(&bytes) {
            Some(record) if !record.cut => record,
            Some(mut record) => {
                record.complete(self.full_record());
                record
            }
            None => self.full_record(),
        }))
    }

    pub(in crate::storage::containers) fn note_health(&self, health: Option<Health>) -> io::Result<()> {
        self.change_summary(|s| s.health = health)
    }

    /// As [`ContainerDir::name_given`]; empty where neither record can be read.
    pub(super) fn name_if_known(&self, spec: Option<&ContainerSpec>) -> String {
        match self.changed() {
            Ok(Some(settings)) => settings.name.to_string(),
            Ok(None) => spec.map(|spec| spec.name.to_string()).unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// The summary rebuilt from the full records.
    pub(in crate::storage::containers) fn full_record(&self) -> Record {
        let spec = self.spec().ok();
        let name = self.name_if_known(spec.as_ref());
        let mut record = spec.map_or_else(|| Record::of_lost(&name), |spec| Record::new(&name, &spec));
        let run = self.run_record().ok().flatten();
        if let Some(run) = &run {
            record.phase = if run.paused { Phase::Paused } else { Phase::Started };
            record.run = run.run;
            record.started = Some(run.started);
            record.ports = encode_ports(&run.ports);
            record.health = self.health().ok().flatten().filter(|h| h.run == run.run).map(|h| h.status);
        }
        if let Ok(Some(exit)) = self.exit_after(run.as_ref())
            && exit.run >= record.run
        {
            record.ended(&exit);
        }
        record
    }
}
