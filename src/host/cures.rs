//! Why something failed: what the machine lacks, looked up after the failure.

use super::Roots;
use super::doctor::{self, Check, State};
use nix::errno::Errno;

/// A failure's facts, as far as the machine may be the cause.
#[derive(Debug, Clone, Copy)]
pub struct Symptom<'a> {
    /// The step that failed, in the infinitive.
    pub doing: &'a str,
    /// Its object.
    pub object: &'a str,
    /// The kernel's answer.
    pub errno: i32,
}

/// What to do about a failure, as hints; empty when the machine is not at fault or it cannot be told.
pub fn cures(symptom: &Symptom<'_>, roots: &Roots) -> Vec<String> {
    let errno = Errno::from_raw(symptom.errno);
    match (errno, symptom.object) {
        (Errno::EPERM | Errno::EACCES | Errno::ENOENT, object)
            if object.contains("newuidmap")
                || object.contains("newgidmap")
                || symptom.doing == "use the layers in" =>
        {
            let found = all(doctor::id_maps());
            if found.is_empty() { doctor::confinement().into_iter().collect() } else { found }
        }
        (_, "/dev/net/tun") => all(vec![doctor::tun()]),
        (_, "/dev/fuse") => all(vec![doctor::fuse()]),
        (Errno::ENOSPC, _) if makes_namespaces(symptom) => doctor::namespace_limits(),
        (Errno::ENOSPC | Errno::EDQUOT | Errno::EROFS, _) => {
            all(doctor::full_or_read_only(&roots.data).into_iter().collect())
        }
        (Errno::EPERM | Errno::EACCES, _) => {
            let mut hints = all(vec![doctor::user_namespaces()]);
            if hints.is_empty() && std::path::Path::new(symptom.object).starts_with(&roots.data) {
                hints = all(vec![doctor::data_root(&roots.data)]);
            }
            if hints.is_empty() {
                hints.extend(doctor::confinement());
            }
            hints
        }
        (Errno::EFBIG, _) => vec!["Raise the limit on the size of files: ulimit -f unlimited".to_owned()],
        (Errno::EMFILE, _) => vec!["Raise the limit on open files: ulimit -n 65536".to_owned()],
        (Errno::EAGAIN, _) if symptom.doing.starts_with("start") || makes_namespaces(symptom) => {
            vec!["Raise the limit on processes: ulimit -u unlimited".to_owned()]
        }
        _ => Vec::new(),
    }
}

fn makes_namespaces(symptom: &Symptom<'_>) -> bool {
    [symptom.doing, symptom.object].iter().any(|words| words.contains("namespace"))
}

/// What the checks that found something say: the finding, then its cure.
fn all(checks: Vec<Check>) -> Vec<String> {
    checks
        .into_iter()
        .filter(|check| check.state != State::Ok)
        .flat_map(|check| std::iter::once(check.detail).chain(check.cure))
        .collect()
}
