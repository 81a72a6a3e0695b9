//! Compiles the text of a profile into a BPF program, with libseccomp.
//!
//! Theory of operation. A profile is JSON in the format of docker and podman (the OCI runtime specification's
//! `linux.seccomp`, plus `archMap`, `includes` and `excludes`). It is evaluated for a target (machine,
//! capabilities, kernel) into plain rules; libseccomp turns those into a program that first checks the
//! architecture of every call. This file is also compiled into build.rs, which creates the embedded program, so
//! it uses nothing else of the crate and reports failures as text.

use libseccomp::error::{SeccompErrno, SeccompError};
use libseccomp::{ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs::File;

/// Calls that carry other calls in their first argument; libseccomp allows part of one of them when it
/// allows the call that is carried.
const CARRIERS: [&str; 2] = ["socketcall", "ipc"];

/// A profile as it is written. Fields that are not here are refused: a misspelt one is a hole.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Profile {
    default_action: String,
    default_errno_ret: Option<u32>,
    #[serde(rename = "defaultErrno")]
    _default_errno: Option<String>,
    #[serde(default)]
    arch_map: Vec<ArchMap>,
    #[serde(default)]
    architectures: Vec<String>,
    #[serde(default)]
    flags: Vec<String>,
    #[serde(default)]
    syscalls: Vec<Rule>,
    listener_path: Option<String>,
    #[serde(rename = "listenerMetadata")]
    _listener_metadata: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ArchMap {
    architecture: String,
    #[serde(default)]
    sub_architectures: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rule {
    name: Option<String>,
    #[serde(default)]
    names: Vec<String>,
    action: String,
    errno_ret: Option<u32>,
    #[serde(rename = "errno")]
    _errno: Option<String>,
    args: Option<Vec<Argument>>,
    #[serde(rename = "comment")]
    _comment: Option<String>,
    includes: Option<Condition>,
    excludes: Option<Condition>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Argument {
    index: u32,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Condition {
    #[serde(default)]
    caps: Option<Vec<String>>,
    #[serde(default)]
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

/// What a program is compiled for.
#[derive(Debug, Clone)]
pub(crate) struct Target<'a> {
    /// The machine, as Rust spells it: `x86_64`, `aarch64`.
    pub(crate) machine: &'a str,
    /// The container's capabilities, `CAP_CHOWN`.
    pub(crate) capabilities: &'a BTreeSet<String>,
    /// Major and minor number of the kernel; `None` when it is not known yet, which refuses `minKernel`.
    pub(crate) kernel: Option<(u32, u32)>,
}

/// A call by name, what happens to it, and the comparisons that must all hold.
type PlainRule<'a> = (&'a str, ScmpAction, Vec<ScmpArgCompare>);

impl Profile {
    /// Reads a profile's text.
    pub(crate) fn parse(text: &str) -> Result<Profile, String> {
        serde_json::from_str(text).map_err(|e| e.to_string())
    }

    /// The capabilities that change what this profile means.
    #[cfg_attr(not(test), allow(dead_code, reason = "the build script asks, the library does not"))]
    pub(crate) fn mentioned_capabilities(&self) -> BTreeSet<String> {
        let conditions = self.syscalls.iter().flat_map(|r| [&r.includes, &r.excludes]).flatten();
        conditions.flat_map(|c| c.caps.iter().flatten().cloned()).collect()
    }

    /// Whether the kernel's release changes what this profile means.
    #[cfg_attr(not(test), allow(dead_code, reason = "the build script asks, the library does not"))]
    pub(crate) fn mentions_kernel(&self) -> bool {
        let conditions = self.syscalls.iter().flat_map(|r| [&r.includes, &r.excludes]).flatten();
        conditions.into_iter().any(|c| c.min_kernel.is_some())
    }

    /// Flags of seccomp(2) `SECCOMP_SET_MODE_FILTER`.
    pub(crate) fn load_flags(&self) -> Result<u32, String> {
        let mut bits = 0;
        for flag in &self.flags {
            bits |= match flag.as_str() {
                // The payload has one thread when the filter is loaded, so there is nothing to spread.
                "SECCOMP_FILTER_FLAG_TSYNC" => 0,
                "SECCOMP_FILTER_FLAG_LOG" => 1 << 1,
                "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => 1 << 2,
                _ => return Err(format!("unknown or unsupported flag {flag}")),
            };
        }
        Ok(bits)
    }

    /// Compiles the program and writes it to `out`: `struct sock_filter` after `struct sock_filter`.
    pub(crate) fn compile(&self, target: &Target<'_>, out: &File) -> Result<(), String> {
        if self.listener_path.is_some() {
            return Err("listenerPath needs a supervisor process, which is not supported".to_owned());
        }
        let default = action(&self.default_action, self.default_errno_ret)?;
        let mut filter = ScmpFilterContext::new(default).map_err(|e| e.to_string())?;
        let setup = |e: SeccompError| format!("set up the filter: {e}");
        self.add_architectures(target, &mut filter)?;
        // A call of an architecture that the profile does not have gets the answer of a kernel that was
        // built without it.
        filter.set_act_badarch(ScmpAction::Errno(libc::ENOSYS)).map_err(setup)?;
        filter.set_ctl_nnp(false).map_err(setup)?;
        // Level 2 sorts the calls into a binary tree: a dozen comparisons instead of hundreds.
        filter.set_ctl_optimize(2).map_err(setup)?;
        for (name, action, comparisons) in self.rules(target, default)? {
            let Ok(syscall) = ScmpSyscall::from_name(name) else { continue };
            add(&mut filter, name, action, syscall, &comparisons)?;
        }
        filter.export_bpf(out).map_err(|e| format!("write the program: {e}"))
    }

    fn add_architectures(&self, target: &Target<'_>, filter: &mut ScmpFilterContext) -> Result<(), String> {
        let native = native(target.machine)?;
        let mut wanted: Vec<&str> = self.architectures.iter().map(String::as_str).collect();
        for map in &self.arch_map {
            if parse_arch(&map.architecture)? == native {
                wanted.extend(map.sub_architectures.iter().flatten().map(String::as_str));
            }
        }
        let setup = |e: SeccompError| format!("add an architecture: {e}");
        filter.add_arch(native).map_err(setup)?;
        if native != ScmpArch::native() {
            filter.remove_arch(ScmpArch::Native).map_err(setup)?;
        }
        for name in wanted {
            filter.add_arch(parse_arch(name)?).map_err(setup)?;
        }
        Ok(())
    }

    /// The rules that hold for this target, carriers that are refused first.
    fn rules(&self, target: &Target<'_>, default: ScmpAction) -> Result<Vec<PlainRule<'_>>, String> {
        let (mut first, mut rest) = (Vec::new(), Vec::new());
        for rule in &self.syscalls {
            let mut action = action(&rule.action, rule.errno_ret)?;
            if !rule.applies(target)? {
                continue;
            }
            for name in rule.names.iter().chain(&rule.name) {
                let carrier = CARRIERS.contains(&name.as_str());
                if action == default {
                    if !carrier {
                        continue;
                    }
                    // libseccomp refuses a rule that says what the default says, and the part of the
                    // carrier that it allows on its own would stay open: say no with another number.
                    action = another_refusal(default);
                }
                let to = if carrier && action != ScmpAction::Allow { &mut first } else { &mut rest };
                for comparisons in rule.comparisons()? {
                    to.push((name.as_str(), action, comparisons));
                }
            }
        }
        first.append(&mut rest);
        Ok(first)
    }
}

impl Rule {
    fn applies(&self, target: &Target<'_>) -> Result<bool, String> {
        let arch = arch_name(target.machine);
        if let Some(includes) = &self.includes {
            let caps = includes.caps.iter().flatten().all(|c| target.capabilities.contains(c));
            let arches = includes.arches.as_ref().is_none_or(|a| a.is_empty() || a.iter().any(|a| a == arch));
            if !caps || !arches || !at_least(includes.min_kernel.as_deref(), target.kernel)?.unwrap_or(true) {
                return Ok(false);
            }
        }
        if let Some(excludes) = &self.excludes {
            let caps = excludes.caps.iter().flatten().any(|c| target.capabilities.contains(c));
            let arches = excludes.arches.iter().flatten().any(|a| a == arch);
            if caps || arches || at_least(excludes.min_kernel.as_deref(), target.kernel)?.unwrap_or(false) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The sets of comparisons under which the rule holds: several on one argument are alternatives.
    fn comparisons(&self) -> Result<Vec<Vec<ScmpArgCompare>>, String> {
        let mut all = Vec::new();
        let mut seen = BTreeSet::new();
        let mut repeated = false;
        for argument in self.args.iter().flatten() {
            if argument.index > 5 {
                return Err(format!("a system call has no argument {}", argument.index));
            }
            repeated |= !seen.insert(argument.index);
            all.push(argument.comparison()?);
        }
        Ok(if repeated { all.into_iter().map(|one| vec![one]).collect() } else { vec![all] })
    }
}

impl Argument {
    fn comparison(&self) -> Result<ScmpArgCompare, String> {
        let (op, datum) = match self.op.as_str() {
            "SCMP_CMP_NE" => (ScmpCompareOp::NotEqual, self.value),
            "SCMP_CMP_LT" => (ScmpCompareOp::Less, self.value),
            "SCMP_CMP_LE" => (ScmpCompareOp::LessOrEqual, self.value),
            "SCMP_CMP_EQ" => (ScmpCompareOp::Equal, self.value),
            "SCMP_CMP_GE" => (ScmpCompareOp::GreaterEqual, self.value),
            "SCMP_CMP_GT" => (ScmpCompareOp::Greater, self.value),
            "SCMP_CMP_MASKED_EQ" => (ScmpCompareOp::MaskedEqual(self.value), self.value_two),
            other => return Err(format!("unknown comparison {other}")),
        };
        Ok(ScmpArgCompare::new(self.index, op, datum))
    }
}

fn add(
    filter: &mut ScmpFilterContext,
    name: &str,
    action: ScmpAction,
    syscall: ScmpSyscall,
    comparisons: &[ScmpArgCompare],
) -> Result<(), String> {
    match filter.add_rule_conditional(action, syscall, comparisons) {
        Ok(_) => Ok(()),
        // Said before: the first rule holds, as with runc and crun.
        Err(e) if e.errno() == Some(SeccompErrno::EEXIST) => Ok(()),
        // No architecture of this filter has the call.
        Err(e) if e.errno() == Some(SeccompErrno::EDOM) => Ok(()),
        Err(e) => Err(format!("add the rule for {name}: {e}")),
    }
}

/// An action that refuses like `default` and differs from it.
fn another_refusal(default: ScmpAction) -> ScmpAction {
    match default {
        ScmpAction::Errno(libc::EPERM) => ScmpAction::Errno(libc::ENOSYS),
        ScmpAction::Errno(_) => ScmpAction::Errno(libc::EPERM),
        ScmpAction::KillThread => ScmpAction::KillProcess,
        ScmpAction::KillProcess => ScmpAction::KillThread,
        other => other,
    }
}

fn action(name: &str, value: Option<u32>) -> Result<ScmpAction, String> {
    let value = u16::try_from(value.unwrap_or(libc::EPERM as u32))
        .map_err(|_| format!("the value of {name} is above 65535"))?;
    Ok(match name {
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => ScmpAction::KillThread,
        "SCMP_ACT_KILL_PROCESS" => ScmpAction::KillProcess,
        "SCMP_ACT_TRAP" => ScmpAction::Trap,
        "SCMP_ACT_ERRNO" => ScmpAction::Errno(i32::from(value)),
        "SCMP_ACT_TRACE" => ScmpAction::Trace(value),
        "SCMP_ACT_LOG" => ScmpAction::Log,
        "SCMP_ACT_ALLOW" => ScmpAction::Allow,
        "SCMP_ACT_NOTIFY" => {
            return Err("SCMP_ACT_NOTIFY needs a supervisor process, which is not supported".to_owned());
        }
        other => return Err(format!("unknown action {other}")),
    })
}

/// Whether the kernel is at least `wanted`; `None` when nothing is wanted.
fn at_least(wanted: Option<&str>, kernel: Option<(u32, u32)>) -> Result<Option<bool>, String> {
    let Some(wanted) = wanted else { return Ok(None) };
    let kernel = kernel.ok_or("minKernel is not possible here")?;
    let (major, minor) = release(wanted).ok_or_else(|| format!("minKernel {wanted} is not like 5.14"))?;
    Ok(Some(kernel >= (major, minor)))
}

/// Major and minor number of a kernel release such as `6.1.0-13-amd64`.
pub(crate) fn release(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn native(machine: &str) -> Result<ScmpArch, String> {
    Ok(match machine {
        "x86_64" => ScmpArch::X8664,
        "aarch64" => ScmpArch::Aarch64,
        "riscv64" => ScmpArch::Riscv64,
        "s390x" => ScmpArch::S390X,
        "powerpc64" => ScmpArch::Ppc64Le,
        "x86" => ScmpArch::X86,
        "arm" => ScmpArch::Arm,
        other => return Err(format!("no system call filter for machine {other}")),
    })
}

/// The name that `includes.arches` uses for a machine: Go's.
fn arch_name(machine: &str) -> &str {
    match machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

fn parse_arch(name: &str) -> Result<ScmpArch, String> {
    name.parse().map_err(|_| format!("unknown architecture {name}"))
}
