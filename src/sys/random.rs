//! Random bytes from the kernel.

use nix::errno::Errno;
use nix::libc;

/// Fills `buffer` from the kernel's generator (getrandom(2)).
///
/// # Errors
/// Those of getrandom(2); none once the machine is up.
pub fn fill(buffer: &mut [u8]) -> nix::Result<()> {
    let mut done = 0;
    while done < buffer.len() {
        let rest = &mut buffer[done..];
        // SAFETY: the pointer and length are those of one live, writable slice.
        match Errno::result(unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) }) {
            Ok(n) => done += n.unsigned_abs(),
            Err(Errno::EINTR) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
