//! The seccomp filter of a container.
//!
//! Theory of operation. The default profile (`seccomp/default.json`) is compiled by build.rs for the capability
//! sets that affect it and embedded, so an ordinary start neither reads nor compiles anything. Another profile,
//! or a capability that changes the default one, is compiled by libseccomp at its first use and cached in
//! `cache/seccomp/` in the data root, under a hash of everything that it depends on: profile, capabilities,
//! machine, kernel release, library version.
//!
//! A container that can write to the home directory can write to that cache, and could plant a filter for the
//! next container. So an entry is only accepted with a tag made with a key in the runtime directory (which is
//! not below the home directory, and is emptied at boot); an entry without a valid tag is compiled again. Reads
//! and writes use descriptors and follow no symlinks.

mod compile;
#[cfg(test)]
mod tests;

use crate::error::{Context, Error, Kind, Result};
use crate::spec::SeccompSpec;
use compile::{Profile, Target};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat, renameat};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::{Mode, SFlag, fstat, mkdirat};
use nix::unistd::{LinkatFlags, UnlinkatFlags, linkat, unlinkat};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

mod embedded {
    //! Made by build.rs: `MENTIONED`, the capabilities that change the default profile, and `EMBEDDED`,
    //! its programs by those of them that the container has.
    include!(concat!(env!("OUT_DIR"), "/seccomp.rs"));
}

const DEFAULT_PROFILE: &str = include_str!("seccomp/default.json");
/// Answers `EDQUOT`; the address families are `AF_RXRPC` and `AF_ALG`, which look keys up for their users.
const WITHOUT_KEYS: &str = r#"{
    "defaultAction": "SCMP_ACT_ALLOW",
    "archMap": [
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
        {"architecture": "SCMP_ARCH_S390X", "subArchitectures": ["SCMP_ARCH_S390"]}
    ],
    "syscalls": [
        {"names": ["add_key", "keyctl", "request_key"], "action": "SCMP_ACT_ERRNO", "errnoRet": 122},
        {"names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": 97,
         "args": [{"index": 0, "value": 33, "op": "SCMP_CMP_EQ"}]},
        {"names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": 97,
         "args": [{"index": 0, "value": 38, "op": "SCMP_CMP_EQ"}]}
    ]
}"#;
/// Changes when the meaning of a cache entry does.
const CACHE_FORMAT: &str = "1";
/// Bytes of a tag and of the key.
const TAG: usize = 32;
/// Most bytes of an entry: tag, flags, 4096 instructions.
const ENTRY_MAX: u64 = TAG as u64 + 4 + 4096 * 8;
const KEY_NAME: &str = "seccomp.key";

/// A compiled filter, ready to load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    program: Cow<'static, [u8]>,
    flags: u32,
}

impl Filter {
    /// Installs the filter on this thread; what it executes inherits it. The last thing before exec
    /// under `no_new_privs`; otherwise while `CAP_SYS_ADMIN` is still effective.
    ///
    /// # Errors
    /// Those of seccomp(2).
    pub fn load(&self) -> nix::Result<()> {
        crate::sys::seccomp::install(&self.program, self.flags)
    }

    /// The program: `struct sock_filter` after `struct sock_filter`.
    pub fn program(&self) -> &[u8] {
        &self.program
    }

    /// A filter from what [`Filter::program`] and [`Filter::flags`] gave in another process.
    pub fn from_parts(program: Vec<u8>, flags: u32) -> Filter {
        Filter { program: Cow::Owned(program), flags }
    }

    /// `SECCOMP_FILTER_FLAG_*` bits that it is loaded with.
    pub fn flags(&self) -> u32 {
        self.flags
    }
}

/// Where compiled programs are kept between runs.
#[derive(Debug, Clone, Copy)]
pub struct Cache<'a> {
    /// The data root; entries go to `cache/seccomp/` below it.
    pub data: &'a Path,
    /// The runtime directory, which holds the key.
    pub runtime: &'a Path,
}

/// The filter that a plan asks for, for a container with these capabilities (`CAP_CHOWN`); `None` when
/// it is unconfined.
///
/// # Errors
/// A profile that cannot be read or compiled, with what is wrong in it. A cache that cannot be read or
/// written is not an error.
pub fn prepare(plan: &SeccompSpec, capabilities: &[String], cache: Cache<'_>) -> Result<Option<Filter>> {
    match plan {
        SeccompSpec::Unconfined => Ok(None),
        SeccompSpec::Default => {
            let relevant: Vec<&str> = embedded::MENTIONED
                .iter()
                .copied()
                .filter(|m| capabilities.iter().any(|c| c.as_str() == *m))
                .collect();
            let found = embedded::EMBEDDED.iter().find(|(caps, _)| *caps == relevant);
            if let Some((_, program)) = found {
                return Ok(Some(Filter { program: Cow::Borrowed(program), flags: 0 }));
            }
            cached(DEFAULT_PROFILE, &relevant, cache).map(Some)
        }
        SeccompSpec::Profile(text) => {
            let all: Vec<&str> = capabilities.iter().map(String::as_str).collect();
            cached(text, &all, cache).map(Some)
        }
    }
}

/// A filter that blocks only the system calls for keys and those that use keys by name or number.
///
/// # Errors
/// When it cannot be compiled.
pub(super) fn without_keys() -> Result<Filter> {
    compile_now(WITHOUT_KEYS, &[], &kernel_release()?)
}

fn cached(text: &str, capabilities: &[&str], cache: Cache<'_>) -> Result<Filter> {
    let release = kernel_release()?;
    let name = entry_name(text, capabilities, &release)?;
    // Without a key there is no cache: an entry could be anybody's.
    let Ok(key) = key(cache.runtime) else { return compile_now(text, capabilities, &release) };
    let dir = cache_dir(cache.data);
    if let Ok(dir) = &dir
        && let Some(filter) = read_entry(dir.as_fd(), &name, &key)
    {
        return Ok(filter);
    }
    let filter = compile_now(text, capabilities, &release)?;
    if let Ok(dir) = &dir
        && let Err(e) = write_entry(dir.as_fd(), &name, &key, &filter)
    {
        log::debug!("keep the compiled seccomp filter: {e}");
    }
    Ok(filter)
}

fn compile_now(text: &str, capabilities: &[&str], release: &str) -> Result<Filter> {
    let refused =
        |detail: String| Error::new(Kind::Usage, "the seccomp profile is refused").caused_by(detail);
    let profile = Profile::parse(text).map_err(refused)?;
    let capabilities = capabilities.iter().map(|c| (*c).to_owned()).collect();
    let target = Target {
        machine: std::env::consts::ARCH,
        capabilities: &capabilities,
        kernel: compile::release(release),
    };
    let flags = profile.load_flags().map_err(refused)?;
    let memory = memfd_create(c"seccomp", MFdFlags::MFD_CLOEXEC)
        .context(Kind::Runtime, || "compile the seccomp profile")?;
    let mut file = File::from(memory);
    profile.compile(&target, &file).map_err(refused)?;
    let mut program = Vec::new();
    file.rewind()
        .and_then(|()| file.read_to_end(&mut program))
        .context(Kind::Runtime, || "compile the seccomp profile")?;
    Ok(Filter { program: Cow::Owned(program), flags })
}

fn kernel_release() -> Result<String> {
    let names = nix::sys::utsname::uname().context(Kind::Host, || "ask for the kernel's release")?;
    Ok(names.release().to_string_lossy().into_owned())
}

fn entry_name(text: &str, capabilities: &[&str], release: &str) -> Result<String> {
    let version =
        libseccomp::ScmpVersion::current().context(Kind::Host, || "ask for libseccomp's version")?;
    let set: BTreeSet<&str> = capabilities.iter().copied().collect();
    let mut hash = Sha256::new();
    let parts = [CACHE_FORMAT, std::env::consts::ARCH, release, &version.to_string(), text];
    for part in parts.into_iter().chain(set) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    Ok(hex(&hash.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The tag of an entry's body. Hashing the body first leaves nothing to extend.
fn tag(key: &[u8; TAG], name: &str, body: &[u8]) -> [u8; TAG] {
    let mut outer = Sha256::new();
    outer.update(key);
    outer.update(Sha256::digest(name));
    outer.update(Sha256::digest(body));
    outer.finalize().into()
}

/// The key in the runtime directory, made at first use.
fn key(runtime: &Path) -> nix::Result<[u8; TAG]> {
    let dir = open_dir(runtime)?;
    if let Ok(key) = read_key(dir.as_fd()) {
        return Ok(key);
    }
    let mut fresh = [0u8; TAG];
    crate::sys::random::fill(&mut fresh)?;
    let temporary = format!(".{KEY_NAME}.{}", std::process::id());
    write_new(dir.as_fd(), &temporary, &[&fresh])?;
    // Of several first users the first one's key stands.
    let linked = linkat(dir.as_fd(), temporary.as_str(), dir.as_fd(), KEY_NAME, LinkatFlags::empty());
    unlinkat(dir.as_fd(), temporary.as_str(), UnlinkatFlags::NoRemoveDir)?;
    match linked {
        Ok(()) | Err(Errno::EEXIST) => read_key(dir.as_fd()),
        Err(e) => Err(e),
    }
}

fn read_key(dir: BorrowedFd<'_>) -> nix::Result<[u8; TAG]> {
    let file = open_regular(dir, KEY_NAME)?;
    let status = fstat(&file)?;
    if status.st_mode & 0o077 != 0 || status.st_uid != nix::unistd::geteuid().as_raw() {
        return Err(Errno::EPERM);
    }
    let mut key = [0u8; TAG];
    file.take(TAG as u64).read_exact(&mut key).map_err(|_| Errno::EIO)?;
    Ok(key)
}

fn open_dir(path: &Path) -> nix::Result<OwnedFd> {
    open(path, OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
}

fn cache_dir(data: &Path) -> nix::Result<OwnedFd> {
    let mut dir = open_dir(data)?;
    for name in ["cache", "seccomp"] {
        match mkdirat(dir.as_fd(), name, Mode::S_IRWXU) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(e) => return Err(e),
        }
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        dir = openat(dir.as_fd(), name, flags, Mode::empty())?;
    }
    Ok(dir)
}

fn open_regular(dir: BorrowedFd<'_>, name: &str) -> nix::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = openat(dir, name, flags, Mode::empty())?;
    let kind = SFlag::from_bits_truncate(fstat(&file)?.st_mode & SFlag::S_IFMT.bits());
    if kind != SFlag::S_IFREG { Err(Errno::EINVAL) } else { Ok(File::from(file)) }
}

fn write_new(dir: BorrowedFd<'_>, name: &str, parts: &[&[u8]]) -> nix::Result<()> {
    let _ = unlinkat(dir, name, UnlinkatFlags::NoRemoveDir);
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut file = File::from(openat(dir, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?);
    for part in parts {
        file.write_all(part).map_err(|e| e.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
    }
    Ok(())
}

fn read_entry(dir: BorrowedFd<'_>, name: &str, key: &[u8; TAG]) -> Option<Filter> {
    let file = open_regular(dir, name).ok()?;
    let mut bytes = Vec::new();
    file.take(ENTRY_MAX + 1).read_to_end(&mut bytes).ok()?;
    let (claimed, body) = bytes.split_at_checked(TAG)?;
    if claimed != tag(key, name, body) {
        log::debug!("the cached seccomp filter {name} is not ours");
        return None;
    }
    let (flags, program) = body.split_at_checked(4)?;
    Some(Filter::from_parts(program.to_vec(), u32::from_le_bytes(flags.try_into().ok()?)))
}

fn write_entry(dir: BorrowedFd<'_>, name: &str, key: &[u8; TAG], filter: &Filter) -> nix::Result<()> {
    let body = [&filter.flags.to_le_bytes()[..], &filter.program].concat();
    let temporary = format!(".{name}.{}", std::process::id());
    write_new(dir, &temporary, &[&tag(key, name, &body), &body])?;
    renameat(dir, temporary.as_str(), dir, name)
}
