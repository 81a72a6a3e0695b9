//! Why something failed: looks for what the machine lacks, after the failure.

use super::Roots;
use super::doctor::{self, Check, State};
use crate::fork::Step;
use nix::errno::Errno;

/// The facts of a failure that the machine may have caused.
#[derive(Debug, Clone, Copy)]
pub struct Symptom<'a> {
    /// The step that failed.
    pub step: Step,
    /// Its object.
    pub object: &'a str,
    /// The kernel's answer.
    pub errno: i32,
}

/// What to do about a failure, as hints; empty if the machine is not the cause, or that is unknown.
pub fn cures(symptom: &Symptom<'_>, roots: &Roots) -> Vec<String> {
    let errno = Errno::from_raw(symptom.errno);
    let (step, object) = (symptom.step, symptom.object);
    match (errno, step) {
        (Errno::EPERM | Errno::EACCES | Errno::ENOENT, Step::MapIds | Step::UseLayers) => {
            let found = all(doctor::id_maps());
            if found.is_empty() { doctor::confinement().into_iter().collect() } else { found }
        }
        _ if object == "/dev/net/tun" => all(vec![doctor::tun()]),
        _ if object == "/dev/fuse" => all(vec![doctor::fuse()]),
        (Errno::ENOSPC, Step::MakeNamespaces) => doctor::namespace_limits(),
        (Errno::ENOSPC | Errno::EDQUOT | Errno::EROFS, _) => {
            all(doctor::full_or_read_only(&roots.data).into_iter().collect())
        }
        (Errno::EPERM | Errno::EACCES, _) => {
            let mut hints = all(vec![doctor::user_namespaces()]);
            if hints.is_empty() && std::path::Path::new(object).starts_with(&roots.data) {
                hints = all(vec![doctor::data_root(&roots.data)]);
            }
            if hints.is_empty() {
                hints.extend(doctor::confinement());
            }
            hints
        }
        (Errno::EFBIG, _) => vec!["Raise the limit on the size of files: ulimit -f unlimited".to_owned()],
        (Errno::EMFILE, _) => vec!["Raise the limit on open files: ulimit -n 65536".to_owned()],
        (Errno::EAGAIN, Step::Start | Step::MakeNamespaces) => {
            vec!["Raise the limit on processes: ulimit -u unlimited".to_owned()]
        }
        _ => Vec::new(),
    }
}

/// The results of the checks that found something: the finding, then its fix.
fn all(checks: Vec<Check>) -> Vec<String> {
    let found = checks.into_iter().filter(|check| check.state != State::Ok);
    found.flat_map(|check| std::iter::once(check.detail).chain(check.cure)).collect()
}
