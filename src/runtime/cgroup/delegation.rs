//! What processes inside a container may do to cgroups.

use crate::runtime::namespaces::NamespaceOwner;
use crate::sys::read::text_of;

/// Whether the top of a cgroup namespace is closed to those inside, limits and all (cgroup-v2.rst,
/// "Delegation", mount option `nsdelegate`).
pub fn delegates() -> bool {
    let mounts = text_of("/proc/self/mountinfo").unwrap_or_default();
    let mut options = mounts.lines().filter_map(|line| line.split_once(" - cgroup2 ")?.1.rsplit(' ').next());
    options.any(|all| all.split(',').any(|option| option == "nsdelegate"))
}

/// Whether a container may change cgroups from inside (attack case 51): those below its own only, which
/// it sees in a namespace of its own only. Where the kernel does not close the top of it, limits that
/// stand there could be lifted, so a container that has any may not.
pub fn may_manage(namespace: NamespaceOwner, limited: bool, delegates: bool) -> bool {
    namespace == NamespaceOwner::Own && (!limited || delegates)
}

/// Whether limits that a running container gets could be lifted from inside: it was given its cgroup to
/// manage when it had none, and the kernel does not close the top of it.
pub(super) fn could_lift(manages: bool, limited: bool, delegates: bool) -> bool {
    manages && !limited && !delegates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_51_cgroups_of_others_and_limits_cannot_be_changed_from_inside() {
        for (namespace, limited, delegates, may) in [
            (NamespaceOwner::Own, false, false, true),
            (NamespaceOwner::Own, true, true, true),
            (NamespaceOwner::Own, true, false, false),
            (NamespaceOwner::Joined, false, true, false),
            (NamespaceOwner::Foreign, false, true, false),
            (NamespaceOwner::Host, false, true, false),
        ] {
            assert_eq!(may_manage(namespace, limited, delegates), may, "{namespace:?} {limited} {delegates}");
        }
    }

    #[test]
    fn case_51_no_limit_is_set_that_could_be_lifted() {
        for (manages, limited, delegates, could) in [
            (true, false, false, true),
            (true, false, true, false),
            // It was not given its cgroup.
            (true, true, false, false),
            (false, false, false, false),
        ] {
            assert_eq!(could_lift(manages, limited, delegates), could, "{manages} {limited} {delegates}");
            if could {
                assert!(may_manage(NamespaceOwner::Own, limited, delegates));
            }
        }
    }
}
