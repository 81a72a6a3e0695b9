//! Updating a container by a restart of the systemd unit that creates it.

use crate::engine::images::tag::tag;
use crate::error::{Context, Error, Kind, Result};
use crate::image::{Image, Reference};
use crate::storage::Store;
use crate::sys::fd::command;
use crate::text::printable;
use std::io::ErrorKind;
use std::process::Stdio;

/// How a unit was restarted.
#[derive(Debug)]
pub(super) enum Restarted {
    /// With the new image.
    New,
    /// With the old one, as the new one failed for this reason.
    Old(Error),
}

/// Restarts the unit, which runs the name of the image. If it fails, the name gets its old image back, if `old` says which
/// that was, and the unit is restarted with that.
///
/// # Errors
/// When the unit does not run in the end.
pub(super) fn update(store: &Store, unit: &str, old: Option<&Image>, name: &Reference) -> Result<Restarted> {
    // Where there is no service manager, nothing is to be taken back.
    systemctl(unit, &["show", "--property=Id"])?;
    let why = match restart(unit) {
        Ok(()) => return Ok(Restarted::New),
        Err(why) => why,
    };
    let Some(old) = old else { return Err(why) };
    tag(store, old.id.as_str(), std::slice::from_ref(name))?;
    restart(unit).map_err(|error| {
        Error::new(error.kind(), "restarting unit with old image during fallback").caused_by(error)
    })?;
    Ok(Restarted::Old(why))
}

/// Restarts a unit of this user's service manager and waits until it is started, which for a unit of the type notify
/// means that it is ready.
fn restart(unit: &str) -> Result<()> {
    systemctl(unit, &["--quiet", "restart"])
}

fn systemctl(unit: &str, words: &[&str]) -> Result<()> {
    let shown = printable(unit);
    let what = format!("restarting systemd unit {shown:?} failed");
    let mut systemctl = command("systemctl");
    systemctl.arg("--user").args(words).args(["--", unit]);
    let output = match systemctl.stdin(Stdio::null()).output() {
        Err(e) if e.kind() == ErrorKind::NotFound => {
            return Err(Error::new(Kind::Host, what)
                .caused_by(Error::new(Kind::Host, "the program systemctl was not found"))
                .hint(
                    "Create the container without PODMAN_SYSTEMD_UNIT in the environment, outside of a unit.",
                ));
        }
        other => other.context(Kind::Host, || what.clone())?,
    };
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let first = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("it did not start");
    Err(Error::new(Kind::Runtime, what)
        .caused_by(Error::new(Kind::Runtime, printable(first.trim()).into_owned()))
        .hint(format!("See what it says: systemctl --user status {shown}")))
}
