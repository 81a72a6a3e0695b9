//! `coracle wait`.

use crate::cmd::options::selection::is_unknown;
use crate::engine::containers::selector::ContainerSelector;
use crate::engine::containers::{self, Condition};
use crate::error::{Kind, Result};
use crate::host::Env;
use crate::spec::health::Health;
use crate::storage::containers::ContainerDir;
use crate::ui;
use std::process::ExitCode;
use std::time::Duration;

/// Arguments of `wait`.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Containers by name, id or beginning of an id
    #[arg(value_name = "CONTAINER")]
    pub containers: Vec<String>,
    /// Wait for the latest container
    #[arg(short, long)]
    pub latest: bool,
    /// Wait for this state instead of the exit; of several the first one that is reached
    #[arg(long, value_name = "STATE", ignore_case = true, value_delimiter = ',')]
    pub condition: Vec<State>,
    /// Wait for the first container only that reaches the state
    #[arg(long)]
    pub exit_first_match: bool,
    /// Ignore containers that do not exist
    #[arg(long)]
    pub ignore: bool,
    /// Accepted for compatibility with podman: changes are noticed at once
    #[arg(short, long, value_name = "DURATION", hide = true, value_parser = interval)]
    pub interval: Option<Duration>,
}

/// A state, in podman's words.
#[allow(missing_docs, reason = "each word says what it means, and help would list them one by one")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum State {
    Configured,
    Created,
    Initialized,
    Running,
    Paused,
    Stopped,
    Exited,
    Stopping,
    Removing,
    Healthy,
    Unhealthy,
}

impl From<State> for Condition {
    fn from(state: State) -> Condition {
        match state {
            State::Configured | State::Created | State::Initialized => Condition::Created,
            State::Running => Condition::Running,
            State::Paused => Condition::Paused,
            State::Stopped | State::Exited => Condition::Ended,
            State::Stopping => Condition::Stopping,
            State::Healthy => Condition::Health(Health::Healthy),
            State::Unhealthy => Condition::Health(Health::Unhealthy),
            State::Removing => Condition::Removed,
        }
    }
}

/// As podman reads it: a number without a unit counts milliseconds.
fn interval(text: &str) -> Result<Duration> {
    text.parse().map(Duration::from_millis).or_else(|_| crate::text::time::parse_duration(text))
}

/// Waits for containers to stop and prints their exit codes; -1 for a state in which there is none.
///
/// # Errors
/// A container that does not exist, or whose records cannot be read.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = super::store(env)?;
    let selection =
        ContainerSelector { names: &args.containers, latest: args.latest, ..ContainerSelector::default() };
    let conditions: Vec<Condition> = args.condition.iter().map(|state| (*state).into()).collect();
    let mut chosen = selection.containers(&store)?;
    let is_missing = |found: &Result<ContainerDir>| {
        found.as_ref().is_err_and(|error| args.ignore && error.kind() == Kind::NotFound)
    };
    // As in podman, all of them are looked up before any is waited for.
    let refused = chosen.iter().position(|(_, found)| is_unknown(found) && !is_missing(found));
    if let (Some(at), false) = (refused, ui::docker()) {
        return chosen.swap_remove(at).1.map(|_| ExitCode::FAILURE);
    }
    let shown = |code: Option<u8>| code.map_or_else(|| "-1".to_owned(), |code| code.to_string());
    if args.exit_first_match {
        let found = chosen.into_iter().filter(|(_, found)| !is_missing(found));
        let found: Vec<ContainerDir> = found.map(|(_, found)| found).collect::<Result<_>>()?;
        let code = if found.is_empty() { None } else { containers::wait_first(&store, &found, &conditions)? };
        return ui::out(&format!("{}\n", shown(code))).map(|()| ExitCode::SUCCESS);
    }
    ui::each(chosen, |(_, found)| {
        let code =
            if is_missing(&found) { None } else { containers::wait_until(&store, &found?, &conditions)? };
        Ok(Some(shown(code)))
    })
}
