//! `--security-opt`, `--privileged` and the capability options: what confines the payload.

use super::caps::{self, CapArg};
use crate::error::{Error, Kind, Result};
use crate::spec::{SeccompSpec, SecuritySpec};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Paths hidden by default: podman's list. A `*` stands for any text within one part of the path; init
/// works it out against the file system it has just mounted.
const MASKED: [&str; 13] = [
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/system/cpu/cpu*/thermal_throttle",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/fs/selinux",
];

/// Paths remounted read-only by default: podman's list.
const READ_ONLY: [&str; 6] =
    ["/proc/asound", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// One `--security-opt`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecurityOpt {
    /// `seccomp=unconfined`.
    SeccompOff,
    /// `seccomp=default` or `seccomp=builtin`.
    SeccompDefault,
    /// `seccomp=FILE`.
    SeccompFile(PathBuf),
    /// `no-new-privileges[:true|false]`.
    NoNewPrivileges(bool),
    /// `mask=/a:/b`.
    Mask(Vec<PathBuf>),
    /// `unmask=/a:/b`, with `*` and `?` within parts.
    Unmask(Vec<String>),
    /// `unmask=ALL`.
    UnmaskAll,
    /// `proc-opts=hidepid=2,...`.
    ProcOptions(Vec<(String, String)>),
    /// `label=...` and `apparmor=...`: taken for compatibility, without effect.
    Ignored {
        /// The option as written.
        text: String,
        /// Asks for what is the case anyway.
        harmless: bool,
    },
}

fn absolute_paths(option: &str, value: &str) -> Result<Vec<String>> {
    value
        .split(':')
        .map(|path| {
            let good = path.starts_with('/') && !path.split('/').any(|part| part == "..");
            good.then(|| path.to_owned()).ok_or_else(|| {
                Error::new(Kind::Usage, format!("security option {option}: {path:?} is not an absolute path"))
                    .hint(format!("Join absolute paths with colons, for example --security-opt {option}=/proc/acpi:/sys/firmware."))
            })
        })
        .collect()
}

/// Options of the mount of `/proc` (proc(5)).
fn proc_options(list: &str) -> Result<Vec<(String, String)>> {
    let one = |text: &str| match text.split_once('=') {
        Some((
            key @ "hidepid",
            value @ ("0" | "1" | "2" | "4" | "off" | "noaccess" | "invisible" | "ptraceable"),
        )) => Ok((key.to_owned(), value.to_owned())),
        Some((key @ "gid", value)) if value.parse::<u32>().is_ok_and(|id| id != u32::MAX) => {
            Ok((key.to_owned(), value.to_owned()))
        }
        _ => Err(Error::new(
            Kind::Usage,
            format!("security option proc-opts: {text:?} is not an option of /proc"),
        )
        .hint("Known are hidepid=0, 1, 2 or 4, and gid=NUMBER.")),
    };
    list.split(',').map(one).collect()
}

impl FromStr for SecurityOpt {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let refuse = |why: &str| Error::new(Kind::Usage, format!("security option {s:?} {why}"));
        // Docker's old form has a colon where an equals sign stands today.
        let (name, value) = match s.split_once(['=', ':']) {
            Some((name, value)) => (name, Some(value)),
            None => (s, None),
        };
        match (name, value) {
            ("seccomp", Some("unconfined")) => Ok(SecurityOpt::SeccompOff),
            ("seccomp", Some("default" | "builtin")) => Ok(SecurityOpt::SeccompDefault),
            ("seccomp", Some(file)) if !file.is_empty() => Ok(SecurityOpt::SeccompFile(file.into())),
            ("no-new-privileges", None | Some("true")) => Ok(SecurityOpt::NoNewPrivileges(true)),
            ("no-new-privileges", Some("false")) => Ok(SecurityOpt::NoNewPrivileges(false)),
            ("mask", Some(paths)) => {
                Ok(SecurityOpt::Mask(absolute_paths("mask", paths)?.into_iter().map(PathBuf::from).collect()))
            }
            ("unmask", Some(all)) if all.eq_ignore_ascii_case("all") => Ok(SecurityOpt::UnmaskAll),
            ("systempaths", Some("unconfined")) => Ok(SecurityOpt::UnmaskAll),
            ("unmask", Some(paths)) => Ok(SecurityOpt::Unmask(absolute_paths("unmask", paths)?)),
            ("proc-opts", Some(list)) => proc_options(list).map(SecurityOpt::ProcOptions),
            ("label", Some(value)) => Ok(SecurityOpt::Ignored { text: s.to_owned(), harmless: value == "disable" }),
            ("apparmor", Some(value)) => {
                Ok(SecurityOpt::Ignored { text: s.to_owned(), harmless: value == "unconfined" })
            }
            ("seccomp" | "mask" | "unmask" | "label" | "apparmor", _) => Err(refuse("needs a value")),
            ("no-new-privileges", _) => Err(refuse("is neither true nor false")),
            _ => Err(refuse("is not known").hint(
                "Known are seccomp=FILE, seccomp=unconfined, no-new-privileges, mask=/a:/b, unmask=/a:/b, unmask=ALL and proc-opts=hidepid=2.",
            )),
        }
    }
}

impl fmt::Display for SecurityOpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecurityOpt::SeccompOff => f.write_str("seccomp=unconfined"),
            SecurityOpt::SeccompDefault => f.write_str("seccomp=default"),
            SecurityOpt::SeccompFile(path) => write!(f, "seccomp={}", path.display()),
            SecurityOpt::NoNewPrivileges(true) => f.write_str("no-new-privileges"),
            SecurityOpt::NoNewPrivileges(false) => f.write_str("no-new-privileges=false"),
            SecurityOpt::Mask(paths) => {
                let texts: Vec<_> = paths.iter().map(|p| p.to_string_lossy()).collect();
                write!(f, "mask={}", texts.join(":"))
            }
            SecurityOpt::Unmask(patterns) => write!(f, "unmask={}", patterns.join(":")),
            SecurityOpt::UnmaskAll => f.write_str("unmask=ALL"),
            SecurityOpt::ProcOptions(options) => {
                let texts: Vec<_> = options.iter().map(|(key, value)| format!("{key}={value}")).collect();
                write!(f, "proc-opts={}", texts.join(","))
            }
            SecurityOpt::Ignored { text, .. } => f.write_str(text),
        }
    }
}

/// Everything asked for that confines the payload or frees it. Profiles are read already.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SecurityRequest {
    /// `--cap-add`.
    pub cap_add: Vec<CapArg>,
    /// `--cap-drop`.
    pub cap_drop: Vec<CapArg>,
    /// `--privileged`.
    pub privileged: bool,
    /// `seccomp=`; `None` is not given.
    pub seccomp: Option<SeccompSpec>,
    /// `no-new-privileges`.
    pub no_new_privileges: bool,
    /// `mask=`.
    pub mask: Vec<PathBuf>,
    /// `unmask=`.
    pub unmask: Vec<String>,
    /// `unmask=ALL`.
    pub unmask_all: bool,
    /// `proc-opts=`.
    pub proc_options: Vec<(String, String)>,
    /// `--read-only`.
    pub readonly_root: bool,
    /// The options' text, for `inspect`.
    pub asked: Vec<String>,
}

/// What confines the payload. `--privileged` lifts masks, read-only paths and the default filter and
/// gives every capability, all within the container's own user namespace: it cannot exceed what the
/// account itself may do. A profile named beside it still applies, as in podman.
///
/// # Errors
/// When a capability is both added and dropped.
pub fn confine(request: &SecurityRequest) -> Result<SecuritySpec> {
    let combined = caps::combine(&request.cap_add, &request.cap_drop, request.privileged)?;
    let open = request.privileged || request.unmask_all;
    let unmasked = |path: &str| open || request.unmask.iter().any(|pattern| covers(pattern, path));
    let keep = |paths: &[&str]| -> Vec<PathBuf> {
        paths.iter().filter(|p| !unmasked(p)).map(PathBuf::from).collect()
    };
    let mut masked_paths = keep(&MASKED);
    for path in &request.mask {
        if !masked_paths.contains(path) {
            masked_paths.push(path.clone());
        }
    }
    let seccomp = match (&request.seccomp, request.privileged) {
        (Some(given), _) => given.clone(),
        (None, true) => SeccompSpec::Unconfined,
        (None, false) => SeccompSpec::Default,
    };
    Ok(SecuritySpec {
        capabilities: combined.held,
        ambient_capabilities: combined.added,
        privileged: request.privileged,
        no_new_privileges: request.no_new_privileges,
        seccomp,
        masked_paths,
        readonly_paths: keep(&READ_ONLY),
        readonly_root: request.readonly_root,
        proc_options: request.proc_options.clone(),
    })
}

/// Whether a pattern names this path, part by part.
fn covers(pattern: &str, path: &str) -> bool {
    let mut patterns = Path::new(pattern).components();
    let mut parts = Path::new(path).components();
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return true,
            (Some(p), Some(c)) => {
                if !matches_part(p.as_os_str().as_encoded_bytes(), c.as_os_str().as_encoded_bytes()) {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

/// Shell matching of one part: `*` is any text, `?` any byte.
fn matches_part(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=text.len()).any(|skip| matches_part(rest, &text[skip..])),
        ([b'?', rest @ ..], [_, more @ ..]) => matches_part(rest, more),
        ([p, rest @ ..], [t, more @ ..]) if p == t => matches_part(rest, more),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        use SecurityOpt as O;
        for (text, option) in [
            ("seccomp=unconfined", O::SeccompOff),
            ("seccomp:unconfined", O::SeccompOff),
            ("seccomp=./p.json", O::SeccompFile("./p.json".into())),
            ("no-new-privileges", O::NoNewPrivileges(true)),
            ("no-new-privileges:true", O::NoNewPrivileges(true)),
            ("no-new-privileges=false", O::NoNewPrivileges(false)),
            ("mask=/a:/b", O::Mask(vec!["/a".into(), "/b".into()])),
            ("unmask=ALL", O::UnmaskAll),
            ("unmask=all", O::UnmaskAll),
            ("systempaths=unconfined", O::UnmaskAll),
            ("unmask=/proc/*", O::Unmask(vec!["/proc/*".into()])),
            ("label=disable", O::Ignored { text: "label=disable".into(), harmless: true }),
            ("label=type:spc_t", O::Ignored { text: "label=type:spc_t".into(), harmless: false }),
            ("apparmor=mine", O::Ignored { text: "apparmor=mine".into(), harmless: false }),
        ] {
            assert_eq!(text.parse::<O>().unwrap(), option, "{text}");
        }
        for bad in [
            "",
            "wat",
            "wat=1",
            "seccomp",
            "seccomp=",
            "no-new-privileges=maybe",
            "mask=a",
            "mask=",
            "unmask=/a/../b",
            "proc-opts=hidepid=9",
            "proc-opts=",
            "proc-opts=wat=1",
        ] {
            assert!(bad.parse::<O>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn masks_are_the_default_ones_plus_and_minus_what_was_asked() {
        let plain = confine(&SecurityRequest::default()).unwrap();
        assert_eq!(plain.masked_paths.len(), MASKED.len());
        assert_eq!(plain.readonly_paths.len(), READ_ONLY.len());
        assert_eq!(plain.seccomp, SeccompSpec::Default);
        let asked = SecurityRequest {
            mask: vec!["/x".into(), "/proc/kcore".into()],
            unmask: vec!["/proc/a*".into(), "/sys/firmware/".into()],
            ..SecurityRequest::default()
        };
        let plan = confine(&asked).unwrap();
        let has = |list: &[PathBuf], p: &str| list.iter().any(|q| q == Path::new(p));
        assert!(has(&plan.masked_paths, "/x") && has(&plan.masked_paths, "/proc/keys"));
        assert!(!has(&plan.masked_paths, "/proc/acpi") && !has(&plan.masked_paths, "/sys/firmware"));
        assert!(!has(&plan.readonly_paths, "/proc/asound") && has(&plan.readonly_paths, "/proc/sys"));
        assert_eq!(plan.masked_paths.iter().filter(|p| *p == Path::new("/proc/kcore")).count(), 1);
        let all = SecurityRequest { unmask_all: true, ..SecurityRequest::default() };
        assert!(confine(&all).unwrap().readonly_paths.is_empty());
    }

    #[test]
    fn privileged_lifts_everything_but_what_was_named() {
        let plain = SecurityRequest { privileged: true, ..SecurityRequest::default() };
        let plan = confine(&plain).unwrap();
        assert!(plan.masked_paths.is_empty() && plan.readonly_paths.is_empty() && plan.privileged);
        assert_eq!(plan.seccomp, SeccompSpec::Unconfined);
        assert_eq!(plan.capabilities.len(), caps::ALL.len());
        let named = SecurityRequest {
            seccomp: Some(SeccompSpec::Default),
            mask: vec!["/x".into()],
            cap_drop: vec!["SYS_ADMIN".parse().unwrap()],
            ..plain
        };
        let plan = confine(&named).unwrap();
        assert_eq!(plan.seccomp, SeccompSpec::Default);
        assert_eq!(plan.masked_paths, [PathBuf::from("/x")]);
        assert!(!plan.capabilities.contains(&"CAP_SYS_ADMIN".to_owned()));
    }

    #[test]
    fn patterns_stay_within_one_part() {
        for (pattern, path, covered) in [
            ("/proc/*", "/proc/kcore", true),
            ("/proc/*", "/proc/bus/pci", false),
            ("/proc", "/proc/kcore", false),
            ("/proc/k*e", "/proc/kcore", true),
            ("/proc/?core", "/proc/kcore", true),
            ("/*/kcore", "/proc/kcore", true),
            ("/proc/kcore/", "/proc/kcore", true),
        ] {
            assert_eq!(covers(pattern, path), covered, "{pattern} {path}");
        }
    }
}
