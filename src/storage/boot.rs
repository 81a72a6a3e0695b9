//! Which boot of the machine this is.

use crate::sys::read::text_of;

/// The id of this boot (random(4)): what a process wrote in another one may not have come to the disk, and numbers of
/// processes mean something in theirs alone. Empty when the kernel does not tell.
pub(super) fn boot_id() -> String {
    text_of("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim_end().to_owned()
}
