//! Arguments of `logs`.

use crate::error::{Error, Kind, Result};

/// Arguments of `logs`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Containers by name, id or beginning of an id
    #[arg(value_name = "CONTAINER")]
    pub containers: Vec<String>,
    /// Show the log of the latest container
    #[arg(short, long)]
    pub latest: bool,
    /// Follow the log until the container ends
    #[arg(short, long)]
    pub follow: bool,
    /// Show the time of each line
    #[arg(short, long)]
    pub timestamps: bool,
    /// Show this many lines from the end; -1 or all shows all of them
    #[arg(long, value_name = "LINES", default_value = "-1", allow_negative_numbers = true, value_parser = lines)]
    pub tail: Tail,
    /// Show what was written since this time, such as 10m or 2006-01-02T15:04:05
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Show what was written until this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// With several containers, begin each line with the name instead of the id
    #[arg(short, long)]
    pub names: bool,
    /// With several containers, give each its own colour
    #[arg(long)]
    pub color: bool,
}

/// `--tail`: how many lines, or all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tail(pub(super) Option<u64>);

fn lines(text: &str) -> Result<Tail> {
    match (text, text.parse::<i64>()) {
        ("all", _) => Ok(Tail(None)),
        (_, Ok(number)) => Ok(Tail(u64::try_from(number).ok())),
        _ => Err(Error::new(Kind::Usage, format!("{text:?} is not a number of lines"))),
    }
}
