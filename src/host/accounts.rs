//! The host's accounts.

use crate::error::{Context, Error, Kind, Result};
use crate::sys::read::text_of;

/// The host's entry for an account, by name or number; read by hand, as a static program has no name
/// services.
///
/// # Errors
/// When there is none.
pub fn account(name: &str) -> Result<String> {
    let passwd = text_of("/etc/passwd").context(Kind::Host, || "cannot read /etc/passwd")?;
    let is = |line: &&str| {
        let mut fields = line.split(':');
        fields.next() == Some(name) || fields.nth(1) == Some(name)
    };
    let mut fields: Vec<&str> =
        passwd.lines().find(is).map(|line| line.split(':').collect()).unwrap_or_default();
    if fields.len() < 7 {
        return Err(Error::new(Kind::Usage, format!("--hostuser: this machine has no user {name:?}"))
            .hint("List the accounts: cut -d: -f1 /etc/passwd"));
    }
    fields[1] = "*";
    Ok(fields.join(":"))
}
