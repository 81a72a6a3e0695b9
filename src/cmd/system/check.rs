//! `coracle system check`.

use crate::engine::containers;
use crate::error::{Error, Kind, Result};
use crate::host::Env;
use crate::spec::RootSpec;
use crate::storage::containers::ContainerDir;
use crate::storage::{Store, trash};
use crate::text::time;
use crate::ui;
use chrono::{DateTime, Utc};
use std::process::ExitCode;

/// Arguments of `system check`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// With --repair: also remove damaged containers, and those of damaged images
    #[arg(short, long)]
    pub force: bool,
    /// Keep layers that have been unused for less than this
    #[arg(short, long, value_name = "DURATION", default_value = "24h")]
    pub max: String,
    /// Do not verify the contents of blobs
    #[arg(short, long)]
    pub quick: bool,
    /// Repair the store: remove leftovers, and move aside what cannot be repaired
    #[arg(short, long)]
    pub repair: bool,
}

/// What was found, and what was done about it.
#[derive(Default)]
struct Report {
    text: String,
    damaged: usize,
    repaired: usize,
}

impl Report {
    fn found(&mut self, what: &str) {
        self.damaged += 1;
        self.text.push_str(&format!("Damaged {what}\n"));
    }

    /// What was done about something by other means than removing it, or why nothing was.
    fn outcome(&mut self, what: &str, done: Result<String>) {
        match done {
            Ok(how) => {
                self.repaired += 1;
                self.text.push_str(&format!("Repaired {what}: {how}\n"));
            }
            Err(error) => self.text.push_str(&format!("{what}: {}\n", error.in_one_line())),
        }
    }

    fn mended(&mut self, what: &str) {
        self.repaired += 1;
        self.text.push_str(&format!("Deleted {what}\n"));
    }

    fn mended_by_others(&mut self, what: &str) {
        self.repaired += 1;
        self.text.push_str(&format!("Whole again {what}\n"));
    }
}

/// Looks for damage in the store; with `--repair` removes what is damaged.
///
/// # Errors
/// [`Kind::Storage`] when there is damage that was not repaired; a store that cannot be read.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let unused_since = time::moment(&args.max)?;
    let mut report = Report::default();
    directories(&store, args, &mut report)?;
    containers(&store, args, &mut report)?;
    others(&store, args, &mut report)?;
    images(&store, args, &mut report)?;
    layers(&store, args, unused_since, &mut report)?;
    if args.repair {
        trash::collect_leftovers(&store)?;
        containers::sweep(&store)?;
    }
    ui::out(&report.text)?;
    if report.damaged == report.repaired {
        return Ok(ExitCode::SUCCESS);
    }
    let left = report.damaged - report.repaired;
    let hint = match args.repair {
        false => "Remove what is damaged: coracle system check --repair",
        true => {
            "Also remove containers that are damaged or use damaged images: coracle system check --repair \
             --force"
        }
    };
    Err(Error::new(Kind::Storage, format!("the store has {left} damaged objects")).hint(hint))
}

/// What stands in the place of the store's own directories.
fn directories(store: &Store, args: &Args, report: &mut Report) -> Result<()> {
    for fault in store.misplaced()? {
        report.found(&format!("{}: {}", fault.name, fault.what));
        if args.repair {
            report.outcome(&fault.name, store.replace_misplaced(&fault));
        }
    }
    Ok(())
}

fn containers(store: &Store, args: &Args, report: &mut Report) -> Result<()> {
    for fault in store.containers().faults()? {
        let what = format!("container {}", fault.name);
        report.found(&format!("{what}: {}", fault.what));
        if args.repair {
            report.outcome(&what, store.containers().mend(&fault));
        }
    }
    for unreadable in store.containers().specs()?.unreadable {
        let Ok(container) = store.containers().open(&unreadable.id) else { continue };
        let what = format!("container {}", unreadable.id.short());
        report.found(&format!("{what} ({}): {}", container.summary().name, unreadable.why.in_one_line()));
        match (args.repair, args.force) {
            (true, true) if remove(store, &container).is_ok() => report.mended(&what),
            // A newer program can still read it.
            (true, false) if !unreadable.is_newer => {
                let aside = store.containers().set_aside(unreadable.id.as_str());
                report.outcome(&what, aside.map(|to| format!("set aside as {}", to.display())));
            }
            _ => {}
        }
    }
    for summary in containers::list(store)? {
        let Ok(container) = store.containers().open(&summary.id) else { continue };
        let Some(fault) = missing_layer(store, &container) else { continue };
        // It may have been removed while it was looked at.
        if !container.in_place() {
            continue;
        }
        report.found(&format!("container {} ({}): {fault}", summary.id.short(), summary.name));
        if args.repair && args.force && remove(store, &container).is_ok() {
            report.mended(&format!("container {}", summary.id.short()));
        }
    }
    Ok(())
}

/// The layer that a container lacks.
fn missing_layer(store: &Store, container: &ContainerDir) -> Option<String> {
    let plan = container.spec().ok()?;
    let RootSpec::Layers(layers) = &plan.root else { return None };
    let missing = layers.iter().find(|layer| store.layers().record(layer).is_err())?;
    Some(format!("layer {} is missing", missing.0.short()))
}

/// Volumes, secrets and the records of images.
fn others(store: &Store, args: &Args, report: &mut Report) -> Result<()> {
    for (name, fault) in store.volumes().damaged()? {
        let what = format!("volume {name}");
        report.found(&format!("{what}: {fault}"));
        if args.repair {
            report.outcome(&what, store.exclusive().and_then(|lock| store.volumes().mend(&lock, &name)));
        }
    }
    for (name, fault) in store.secrets().damaged()? {
        let what = format!("secret {name}");
        report.found(&format!("{what}: {fault}"));
        if args.repair {
            report.outcome(&what, store.exclusive().and_then(|lock| store.secrets().mend(&lock, &name)));
        }
    }
    for lost in store.images().lost_records()? {
        let what = format!("{}/{}", lost.kind, lost.name);
        report.found(&format!("{what}: {}", lost.what));
        if args.repair {
            let aside = store.exclusive().and_then(|lock| store.images().set_aside(&lock, &lost));
            let said = |to: Option<std::path::PathBuf>| {
                to.map_or_else(|| "whole again".to_owned(), |to| format!("set aside as {}", to.display()))
            };
            report.outcome(&what, aside.map(said));
        }
    }
    Ok(())
}

fn remove(store: &Store, container: &ContainerDir) -> Result<()> {
    if container.is_alive() {
        containers::kill(store, container)?;
    }
    let lock = container.lock()?;
    containers::remove(store, container, &lock, true)
}

fn images(store: &Store, args: &Args, report: &mut Report) -> Result<()> {
    names(store, args, report)?;
    for image in store.images().damaged(!args.quick)? {
        for fault in &image.faults {
            report.text.push_str(&format!("image {}: {fault}\n", image.id.short()));
        }
        report.found(&format!("image {}", image.id.short()));
        if !args.repair {
            continue;
        }
        // Checked before containers are removed for it: a pull may have repaired it meanwhile.
        if args.force && store.images().is_still(&store.exclusive()?, &image)? {
            for user in store.images().users(&image.id)? {
                if let Ok(container) = store.containers().open(&user) {
                    remove(store, &container)?;
                    report.text.push_str(&format!("Deleted container {}\n", user.short()));
                }
            }
        }
        let lock = store.exclusive()?;
        if !store.images().is_still(&lock, &image)? {
            report.mended_by_others(&format!("image {}", image.id.short()));
            continue;
        }
        match store.images().remove(&lock, &image.id) {
            Ok(_) => {
                // What is not what its name says is nobody's, also where another image names it.
                for blob in &image.wrong_blobs {
                    if store.blobs().has(blob) && !store.blobs().is_true(blob)? {
                        store.blobs().remove(blob)?;
                    }
                }
                report.mended(&format!("image {}", image.id.short()));
            }
            Err(error) => report.text.push_str(&format!("image {}: {error}\n", image.id.short())),
        }
    }
    Ok(())
}

fn names(store: &Store, args: &Args, report: &mut Report) -> Result<()> {
    // Under the lock a name cannot be given to another image between looking and removing.
    let _lock = if args.repair { Some(store.exclusive()?) } else { None };
    for name in store.images().dangling_names()? {
        report.found(&format!("name {name}: its image is gone"));
        if args.repair && store.images().untag(&name).is_ok() {
            report.mended(&format!("name {name}"));
        }
    }
    Ok(())
}

fn layers(store: &Store, args: &Args, since: DateTime<Utc>, report: &mut Report) -> Result<()> {
    let mut old = Vec::new();
    for layer in store.images().unused_layers()? {
        let path = store.layers().path(&layer)?;
        let made = path.parent().and_then(|home| home.metadata().ok()?.modified().ok());
        if made.is_some_and(|made| DateTime::<Utc>::from(made) < since) {
            old.push(layer);
        }
    }
    for layer in &old {
        report.found(&format!("layer {}: nothing uses it", layer.0.short()));
    }
    if args.repair && !old.is_empty() {
        let lock = store.exclusive()?;
        for layer in store.images().discard_if_unused(&lock, &old)? {
            report.mended(&format!("layer {}", layer.0.short()));
        }
    }
    Ok(())
}
