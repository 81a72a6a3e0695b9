//! The form of documents, as the command line asks for it.

use crate::ui;
use crate::view::Dialect;

/// Whose form documents have: docker's when this process is called by that name.
pub(super) fn dialect() -> Dialect {
    if ui::docker() { Dialect::Docker } else { Dialect::Podman }
}
