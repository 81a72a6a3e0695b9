//! The output dialect that the command line asks for.

use crate::ui;
use crate::view::Dialect;

/// Whose form documents have: docker's when this process is called by that name.
pub(super) fn dialect() -> Dialect {
    if ui::docker() { Dialect::Docker } else { Dialect::Podman }
}
