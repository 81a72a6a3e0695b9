//! Warns users who start a container in the background that it will be killed at logout.

use crate::host::{self, Env};

/// Says, once for each session manager's life, that what was just started ends at logout.
pub(super) fn warn(env: &Env) {
    if !host::ends_at_logout() {
        return;
    }
    // The runtime directory goes when the last session ends, and the note with it.
    if std::fs::File::create_new(env.roots.runtime.join("logout-told")).is_ok() {
        log::warn!(
            "background containers are killed when you log out; to keep them running: loginctl enable-linger"
        );
    }
}
