//! `coracle wait`.

use crate::container::Status;
use crate::engine::containers;
use crate::engine::containers::selector::Selection;
use crate::error::{Kind, Result};
use crate::host::Env;
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use crate::storage::containers::watch::{self, Watch};
use crate::ui;
use std::process::ExitCode;
use std::time::Duration;

/// Between two looks at a container that is being started.
const MOMENT: Duration = Duration::from_millis(5);

/// Arguments of `wait`.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Containers by name, id or beginning of an id
    #[arg(value_name = "CONTAINER")]
    pub containers: Vec<String>,
    /// Wait for the latest container
    #[arg(short, long)]
    pub latest: bool,
    /// Wait for this state instead of the end; may be given several times
    #[arg(long, value_name = "STATE", ignore_case = true,
          value_parser = ["configured", "created", "initialized", "running", "paused", "stopped", "exited", "removing"])]
    pub condition: Vec<String>,
    /// Ignore containers that do not exist
    #[arg(long)]
    pub ignore: bool,
    /// Accepted for podman's sake: changes are noticed at once
    #[arg(short, long, value_name = "DURATION", hide = true, value_parser = interval)]
    pub interval: Option<Duration>,
}

/// As podman reads it: a number without a unit counts milliseconds.
fn interval(text: &str) -> Result<Duration> {
    text.parse().map(Duration::from_millis).or_else(|_| crate::text::time::parse_duration(text))
}

/// Waits for containers to stop and prints their exit codes.
///
/// # Errors
/// A container that does not exist, or whose records cannot be read.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = super::store(env)?;
    let selection = Selection { names: &args.containers, latest: args.latest, ..Selection::default() };
    ui::each(selection.containers(&store)?, |(_, found)| {
        let container = match found {
            Err(e) if args.ignore && e.kind() == Kind::NotFound => return Ok(Some("-1".to_owned())),
            other => other?,
        };
        wait(&store, &container, &args.condition).map(Some)
    })
}

/// Whether a state to wait for is the end of a run.
fn is_end(condition: &str) -> bool {
    ["stopped", "exited"].iter().any(|end| condition.eq_ignore_ascii_case(end))
}

/// The line for one container: its exit code, or -1 when it is in a state other than ended.
fn wait(store: &Store, container: &ContainerDir, conditions: &[String]) -> Result<String> {
    if conditions.is_empty() {
        // As in docker and podman: what was never started is not running. A start may have failed.
        if container.status() == Status::Created && !container.is_alive() {
            return Ok(container.exit_record()?.map_or(0, |failed| failed.code).to_string());
        }
        let code = containers::wait_ended(store, container, None)?;
        return Ok(code.map_or_else(|| "-1".to_owned(), |code| code.to_string()));
    }
    let for_end = conditions.iter().all(|condition| is_end(condition));
    loop {
        let mut watch = [if for_end { Watch::end(container) } else { Watch::new(container) }];
        let status = match container.status() {
            Status::Crashed => {
                containers::recover(store, container)?;
                Status::Exited
            }
            status => status,
        };
        let holds = conditions.iter().any(|condition| match condition.to_ascii_lowercase().as_str() {
            "created" | "configured" | "initialized" => matches!(status, Status::Created | Status::Starting),
            "running" => status == Status::Running,
            "paused" => status == Status::Paused,
            end if is_end(end) => status == Status::Exited,
            _ => false,
        });
        // A container that is removed reaches no other state.
        if holds || !container.in_place() {
            let code = container.exit_record()?.filter(|_| status == Status::Exited);
            return Ok(code.map_or_else(|| "-1".to_owned(), |exit| exit.code.to_string()));
        }
        // That the payload runs is no change in the directory.
        let soon = (status == Status::Starting || container.is_starting()).then_some(MOMENT);
        watch::wait_any(&mut watch, soon);
    }
}
