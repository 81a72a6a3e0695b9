//! The output dialect that the command line asks for.

use crate::ui::{self, Identity};
use crate::view::Dialect;
use crate::view::version::Role;

/// Whose form documents have: docker's when this process is called by that name.
pub(super) fn dialect() -> Dialect {
    if ui::docker() { Dialect::Docker } else { Dialect::Podman }
}

/// Whom this process stands for.
pub(super) fn role() -> Role {
    match ui::identity() {
        Identity::Coracle => Role::Own,
        Identity::Podman => Role::Podman,
        Identity::Docker => Role::Docker,
    }
}
