//! Capabilities, and the last steps of a process before it executes the payload.
//!
//! Theory of operation. A process in a new user namespace has every capability there. Before exec it changes to
//! the payload's user and drops the rest. These properties hold and are tested from inside: the bounding set is
//! the plan's; for uid 0 the permitted and effective sets equal it; for any other user they contain only what
//! was added by name, which needs the ambient set, and therefore the inheritable set, to survive exec;
//! otherwise inheritable and ambient are empty (CVE-2022-27649). The order matters: groups before the user,
//! `keepcaps` across the change of user, the bounding set while `CAP_SETPCAP` is still available, the filter as
//! late as its own conditions allow, and the parent-death signal after the last change of credentials, which
//! clears it.

use super::passwd::ResolvedUser;
use super::seccomp::Filter;
use crate::error::{Error, Kind, Result};
use crate::fork::{Doing, Failure};
use crate::spec::SecuritySpec;
use ::caps::{CapSet, Capability, CapsHashSet};
use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use std::str::FromStr;

/// Reads a capability's name as users write it: any case, with or without `CAP_`.
///
/// # Errors
/// When there is no such capability.
pub fn parse(name: &str) -> Result<Capability> {
    let canonical = ::caps::to_canonical(name);
    Capability::from_str(&canonical).map_err(|_| {
        Error::new(Kind::Usage, format!("unknown capability {name:?}"))
            .hint("List the names: man 7 capabilities")
    })
}

/// The sets a process is to have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sets {
    bounding: CapsHashSet,
    /// What a user other than root keeps, because it was added by name.
    ambient: CapsHashSet,
}

impl Sets {
    /// The sets of a plan.
    ///
    /// # Errors
    /// An unknown name.
    pub fn of(plan: &SecuritySpec) -> std::result::Result<Sets, Failure> {
        let set = |names: &[String]| -> std::result::Result<CapsHashSet, Failure> {
            let unknown = |name: &str| Failure::other("set capability", name, "there is none with that name");
            names.iter().map(|n| parse(n).map_err(|_| unknown(n))).collect()
        };
        let bounding = set(&plan.capabilities)?;
        let ambient = set(&plan.ambient_capabilities)?.intersection(&bounding).copied().collect();
        Ok(Sets { bounding, ambient })
    }
}

/// What a process becomes before it executes the payload.
#[derive(Debug)]
pub struct Credentials<'a> {
    /// Its ids.
    pub user: &'a ResolvedUser,
    /// Its capabilities.
    pub capabilities: &'a Sets,
    /// Whether to set `no_new_privs`.
    pub no_new_privileges: bool,
    /// The seccomp filter.
    pub filter: Option<&'a Filter>,
    /// The signal it gets when its parent dies.
    pub death_signal: Option<Signal>,
}

/// Becomes the user, gives up capabilities and loads the filter. Only exec may follow.
///
/// # Errors
/// The step that failed; the process must not continue.
pub fn drop_to(to: &Credentials<'_>) -> std::result::Result<(), Failure> {
    super::keys::leave_session()?;
    set_ids(to.user)?;
    // As in `init::hide`, which a change of user undoes where fs.suid_dumpable says so.
    nix::sys::prctl::set_dumpable(false).doing("become", "non-dumpable")?;
    // A change of user has emptied the effective set; the steps below need it once more.
    let held = read(CapSet::Permitted)?;
    set(CapSet::Effective, &held)?;
    let bounding = &to.capabilities.bounding;
    crate::sys::caps::drop_bounding(|n| bounding.iter().any(|c| c.index() == n))
        .doing("drop capabilities from", "the bounding set")?;
    if let Some(signal) = to.death_signal {
        nix::sys::prctl::set_pdeathsig(signal).doing("set", "the parent-death signal")?;
    }
    if to.no_new_privileges {
        nix::sys::prctl::set_no_new_privs().doing("set", "no_new_privs")?;
        set_capabilities(to)?;
        load(to.filter)
    } else {
        // Loading needs CAP_SYS_ADMIN here, so what follows it must get through the filter: capset and
        // prctl, which a profile that lets exec through to anything lets through as well.
        load(to.filter)?;
        set_capabilities(to)
    }
}

/// Lets this process execute our own program once more and keep its capabilities, although it may not be root
/// in its user namespace (capabilities(7), "ambient"). [`drop_to`] takes the means away again. Root keeps
/// them anyway.
///
/// # Errors
/// When the kernel refuses.
pub(super) fn keep_over_exec() -> std::result::Result<(), Failure> {
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    let held = read(CapSet::Permitted)?;
    set(CapSet::Inheritable, &held)?;
    set(CapSet::Ambient, &held)
}

fn set_ids(user: &ResolvedUser) -> std::result::Result<(), Failure> {
    let unmapped = |what: &str, id: u32, e: Errno| match e {
        Errno::EINVAL => {
            let mut failure =
                Failure::other(what, id.to_string(), "it is not mapped into the container's user namespace");
            let hint = "See which ids there are, the first and the count in each line: coracle unshare cat \
                        /proc/self/uid_map";
            failure.hints = Box::new([hint.to_owned()]);
            failure
        }
        e => Failure::new(what, id.to_string(), e),
    };
    if let Some(groups) = &user.groups {
        let list: Vec<Gid> = groups.iter().copied().map(Gid::from_raw).collect();
        match setgroups(&list) {
            // With one id only, the kernel has no group to give and forbids the call for good.
            Err(Errno::EPERM) if setgroups_denied() => {}
            Err(e) => {
                let list: Vec<String> = groups.iter().map(u32::to_string).collect();
                let mut failure = unmapped("set groups", user.gid, e);
                failure.object = list.join(", ");
                return Err(failure);
            }
            Ok(()) => {}
        }
    }
    let keep = |on| ::caps::securebits::set_keepcaps(on).map_err(|e| failed("keep capabilities", &e));
    keep(true)?;
    let gid = Gid::from_raw(user.gid);
    setresgid(gid, gid, gid).map_err(|e| unmapped("set group", user.gid, e))?;
    let uid = Uid::from_raw(user.uid);
    setresuid(uid, uid, uid).map_err(|e| unmapped("set user", user.uid, e))?;
    keep(false)
}

fn setgroups_denied() -> bool {
    std::fs::read("/proc/thread-self/setgroups").is_ok_and(|text| text.starts_with(b"deny"))
}

/// The four sets other than the bounding set, in an order that the kernel accepts.
fn set_capabilities(to: &Credentials<'_>) -> std::result::Result<(), Failure> {
    let none = CapsHashSet::new();
    let sets = to.capabilities;
    let (kept, ambient) =
        if to.user.uid == 0 { (&sets.bounding, &none) } else { (&sets.ambient, &sets.ambient) };
    let held = read(CapSet::Permitted)?;
    if let Some(lacking) = kept.difference(&held).next() {
        return Err(Failure::other("keep capability", lacking.to_string(), "this process does not have it"));
    }
    // Not by `set`, which asks the kernel about each capability there is.
    ::caps::clear(None, CapSet::Ambient).map_err(|e| failed("clear the ambient set", &e))?;
    set(CapSet::Inheritable, ambient)?;
    for capability in ambient {
        ::caps::raise(None, CapSet::Ambient, *capability).map_err(|e| failed("keep capabilities", &e))?;
    }
    set(CapSet::Effective, kept)?;
    set(CapSet::Permitted, kept)
}

fn load(filter: Option<&Filter>) -> std::result::Result<(), Failure> {
    filter.map_or(Ok(()), |f| f.load().doing("load", "the seccomp filter"))
}

fn read(which: CapSet) -> std::result::Result<CapsHashSet, Failure> {
    ::caps::read(None, which).map_err(|e| failed("read capabilities", &e))
}

fn set(which: CapSet, to: &CapsHashSet) -> std::result::Result<(), Failure> {
    ::caps::set(None, which, to).map_err(|e| failed("set capabilities", &e))
}

fn failed(doing: &str, error: &::caps::errors::CapsError) -> Failure {
    Failure::other(doing, "", error.to_string())
}

#[cfg(test)]
#[path = "caps_tests.rs"]
mod tests;
