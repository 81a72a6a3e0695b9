//! The inputs of a plan other than the request and the image.

use crate::container::{ContainerId, Name};
use crate::host::Caller;
use crate::plan::ids::Account;
use chrono::{DateTime, Utc};

/// What a plan needs beyond the request and the image.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The new container's identifier.
    pub id: ContainerId,
    /// Its name when none was asked for.
    pub spare_name: Name,
    /// Now.
    pub created: DateTime<Utc>,
    /// Its caller.
    pub caller: Caller,
    /// The account, where its ids count.
    pub account: Account,
}
