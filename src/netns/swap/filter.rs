//! The filter that leaves a container's `connect` and `getsockname` to the leaf.
//!
//! It stands beside the container's own one, whatever that is, and has no say in any other call. Of several filters the
//! strictest decides (seccomp(2)), so what the container's profile refuses stays refused. Calls by another architecture's
//! numbers (32-bit programs) go their ordinary way.

use nix::libc;
use std::os::fd::OwnedFd;

/// `AUDIT_ARCH_*` (linux/audit.h) of this program; `None` where the filter does not know it.
const ARCHITECTURE: Option<u32> = if cfg!(target_arch = "x86_64") {
    Some(0xc000_003e)
} else if cfg!(target_arch = "aarch64") {
    Some(0xc000_00b7)
} else if cfg!(target_arch = "riscv64") {
    Some(0xc000_00f3)
} else {
    None
};
/// Calls that the leaf decides about.
const WATCHED: [libc::c_long; 2] = [libc::SYS_connect, libc::SYS_getsockname];
/// Where `struct seccomp_data` has the number and the architecture.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;

/// Whether this machine can do it.
pub fn is_possible() -> bool {
    ARCHITECTURE.is_some() && crate::sys::seccomp::can_watch()
}

/// Puts the filter on this thread and what it executes; the calls come from the descriptor. Needs `no_new_privs` or
/// `CAP_SYS_ADMIN`.
///
/// # Errors
/// Those of seccomp(2); `ENOSYS` where [`is_possible`] says no.
pub fn install() -> nix::Result<OwnedFd> {
    crate::sys::seccomp::install_watched(&program().ok_or(nix::errno::Errno::ENOSYS)?)
}

fn program() -> Option<Vec<u8>> {
    let load = |at| instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, (0, 0), at);
    let unless = |value, skip| instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, (0, skip), value);
    let equal = |value, skip| instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, (skip, 0), value);
    let end = |action| instruction(libc::BPF_RET | libc::BPF_K, (0, 0), action);
    let numbers = WATCHED.iter().map(|number| u32::try_from(*number)).collect::<Result<Vec<_>, _>>().ok()?;
    let watched = u8::try_from(numbers.len()).ok()?;
    let mut program = vec![load(ARCHITECTURE_AT), unless(ARCHITECTURE?, watched + 1), load(NUMBER_AT)];
    program.extend((0..watched).zip(numbers).map(|(at, number)| equal(number, watched - at)));
    program.extend([end(libc::SECCOMP_RET_ALLOW), end(libc::SECCOMP_RET_USER_NOTIF)]);
    Some(program.concat())
}

/// A `struct sock_filter`.
fn instruction(code: u32, (yes, no): (u8, u8), value: u32) -> [u8; 8] {
    let code = (code as u16).to_ne_bytes();
    let value = value.to_ne_bytes();
    [code[0], code[1], yes, no, value[0], value[1], value[2], value[3]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_lead_to_the_two_ends() {
        let program = program().unwrap();
        let all: Vec<&[u8]> = program.chunks(8).collect();
        assert_eq!(all.len(), 5 + WATCHED.len());
        let ends = all.len() - 2;
        for (at, one) in all.iter().enumerate() {
            for jump in [one[2], one[3]].into_iter().filter(|jump| *jump > 0) {
                assert_eq!(at + 1 + usize::from(jump), if at == 1 { ends } else { ends + 1 });
            }
        }
    }
}
