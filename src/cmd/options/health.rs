//! `--health-*` and `--no-healthcheck`, for every verb that creates or changes a container.

use crate::cmd::options::switch::switchable;
use crate::error::{Error, Kind, Result};
use crate::plan::health::{HealthRequest, Test};
use crate::spec::health::{LogDestination, OnFailure};
use crate::text::time::parse_duration;
use std::path::Path;
use std::time::Duration;

/// How its health is checked.
#[derive(Debug, Default, Clone, clap::Args)]
#[command(next_help_heading = "Health checks", mut_args = switchable)]
pub struct HealthArgs {
    /// Command that checks whether the container is healthy: a shell command, a JSON array, or none
    #[arg(long, value_name = "COMMAND")]
    pub health_cmd: Option<Test>,
    /// Time between checks, or disable
    #[arg(long, value_name = "TIME", value_parser = interval)]
    pub health_interval: Option<Duration>,
    /// Where results are logged: local, events_logger or a directory
    #[arg(long, value_name = "PLACE", value_parser = destination)]
    pub health_log_destination: Option<LogDestination>,
    /// Number of results to keep; 0 for as many as fit into 1 MiB
    #[arg(long, value_name = "N")]
    pub health_max_log_count: Option<u32>,
    /// Number of characters of a check's output to keep; 0 for 1 MiB
    #[arg(long, value_name = "N")]
    pub health_max_log_size: Option<u32>,
    /// Action when the container becomes unhealthy: none, kill, restart or stop
    #[arg(long, value_name = "ACTION")]
    pub health_on_failure: Option<OnFailure>,
    /// Number of consecutive failures that make it unhealthy
    #[arg(long, value_name = "N")]
    pub health_retries: Option<u32>,
    /// Time after the start during which failures do not count
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub health_start_period: Option<Duration>,
    /// Time between checks during that time, until one succeeds
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub health_start_interval: Option<Duration>,
    /// Command that must succeed before regular checks begin
    #[arg(long, value_name = "COMMAND")]
    pub health_startup_cmd: Option<Test>,
    /// Time between start-up checks
    #[arg(long, value_name = "TIME", value_parser = interval)]
    pub health_startup_interval: Option<Duration>,
    /// Failed start-up checks after which the container is restarted; 0 for never
    #[arg(long, value_name = "N")]
    pub health_startup_retries: Option<u32>,
    /// Successful start-up checks before regular checks begin
    #[arg(long, value_name = "N")]
    pub health_startup_success: Option<u32>,
    /// Timeout of a start-up check
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub health_startup_timeout: Option<Duration>,
    /// Timeout of a check
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub health_timeout: Option<Duration>,
    /// Disable the image's health check
    #[arg(long)]
    pub no_healthcheck: bool,
}

fn interval(text: &str) -> Result<Duration> {
    if text == "disable" { Ok(Duration::ZERO) } else { parse_duration(text) }
}

fn destination(text: &str) -> Result<LogDestination> {
    match text {
        "local" => Ok(LogDestination::Local),
        "events_logger" => Ok(LogDestination::EventsLogger),
        path => {
            let found = Path::new(path).canonicalize().ok().filter(|path| path.is_dir());
            found.map(LogDestination::Directory).ok_or_else(|| {
                Error::new(Kind::Usage, format!("{path:?} is not a directory"))
                    .hint("Give local, events_logger or an existing directory.")
            })
        }
    }
}

impl HealthArgs {
    /// What was asked for, contradictions refused.
    ///
    /// # Errors
    /// [`Kind::Usage`].
    pub fn request(self) -> Result<HealthRequest> {
        let request = HealthRequest {
            off: self.no_healthcheck,
            test: self.health_cmd,
            interval: self.health_interval,
            timeout: self.health_timeout,
            start_period: self.health_start_period,
            start_interval: self.health_start_interval,
            retries: self.health_retries,
            on_failure: self.health_on_failure,
            startup_test: self.health_startup_cmd,
            startup_interval: self.health_startup_interval,
            startup_timeout: self.health_startup_timeout,
            startup_retries: self.health_startup_retries,
            startup_success: self.health_startup_success,
            destination: self.health_log_destination,
            log_count: self.health_max_log_count,
            log_size: self.health_max_log_size,
        };
        request.check().map(|()| request)
    }
}
