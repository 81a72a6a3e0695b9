//! `--sdnotify`: who notifies the service manager that the container is ready.

use crate::error::{Error, Kind, Result};
use crate::spec::NotifyMode;
use std::str::FromStr;

impl FromStr for NotifyMode {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        [NotifyMode::Container, NotifyMode::Conmon, NotifyMode::Healthy, NotifyMode::Ignore]
            .into_iter()
            .find(|mode| mode.as_str() == s)
            .ok_or_else(|| {
                Error::new(Kind::Usage, format!("{s:?} is not container, conmon, healthy or ignore"))
            })
    }
}
