//! Checks `--log-driver` and `--log-opt` against this machine, and parses the tag template.

use crate::error::{Error, Kind, Result};
use crate::host::Caller;
use crate::plan::logging::LogOpt;
use crate::spec::{LogDriver, LogSpec};
use crate::storage::containers::log::journal;
use std::io::{self, IsTerminal};
use std::path::Path;

/// Where output is kept, if this machine and this command line allow that.
pub(super) fn plan(driver: LogDriver, options: Vec<LogOpt>, caller: &Caller) -> Result<LogSpec> {
    let refuse = |kind, why: String, hint: &str| Err(Error::new(kind, why).hint(hint));
    let plan = LogSpec::of(driver, options, &caller.cwd)?;
    if driver == LogDriver::Journald && !Path::new(journal::SOCKET).exists() {
        let why = format!("--log-driver journald: journald is not running here ({})", journal::SOCKET);
        return refuse(Kind::Host, why, "Keep the log in a file: --log-driver k8s-file");
    }
    if driver == LogDriver::Passthrough
        && (io::stdin().is_terminal() || io::stdout().is_terminal() || io::stderr().is_terminal())
    {
        let why = "--log-driver passthrough would give the container this terminal".to_owned();
        return refuse(Kind::Usage, why, "To allow that: --log-driver passthrough-tty");
    }
    Ok(plan)
}
