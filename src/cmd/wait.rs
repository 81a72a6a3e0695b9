//! `coracle wait`.

use crate::engine::containers::selector::ContainerSelector;
use crate::engine::containers::{self, Condition};
use crate::error::{Kind, Result};
use crate::host::Env;
use crate::spec::health::Health;
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
    ui::each(selection.containers(&store)?, |(_, found)| {
        let code = match found {
            Err(e) if args.ignore && e.kind() == Kind::NotFound => None,
            found => containers::wait_until(&store, &found?, &conditions)?,
        };
        Ok(Some(code.map_or_else(|| "-1".to_owned(), |code| code.to_string())))
    })
}
