use super::*;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};

const X86_64: u32 = 0xc000_003e;
const I386: u32 = 0x4000_0003;
const X32_BIT: u32 = 0x4000_0000;
const ALLOW: u32 = 0x7fff_0000;

const fn errno(number: i32) -> u32 {
    0x0005_0000 | number as u32
}

/// What the kernel would answer: runs the classic BPF over a `struct seccomp_data`.
fn answer(filter: &Filter, arch: u32, call: u32, args: &[u64]) -> u32 {
    let mut data = [0u8; 64];
    data[..4].copy_from_slice(&call.to_ne_bytes());
    data[4..8].copy_from_slice(&arch.to_ne_bytes());
    for (i, arg) in args.iter().enumerate() {
        data[16 + 8 * i..24 + 8 * i].copy_from_slice(&arg.to_ne_bytes());
    }
    let code: Vec<&[u8]> = filter.program().chunks_exact(8).collect();
    let (mut pc, mut accumulator) = (0usize, 0u32);
    loop {
        let op = u16::from_ne_bytes([code[pc][0], code[pc][1]]);
        let (jt, jf) = (usize::from(code[pc][2]), usize::from(code[pc][3]));
        let k = u32::from_ne_bytes(code[pc][4..8].try_into().unwrap());
        pc += 1;
        match op {
            0x20 => accumulator = u32::from_ne_bytes(data[k as usize..k as usize + 4].try_into().unwrap()),
            0x05 => pc += k as usize,
            0x15 => pc += if accumulator == k { jt } else { jf },
            0x25 => pc += if accumulator > k { jt } else { jf },
            0x35 => pc += if accumulator >= k { jt } else { jf },
            0x45 => pc += if accumulator & k != 0 { jt } else { jf },
            0x54 => accumulator &= k,
            0x06 => return k,
            other => panic!("instruction {other:#x}"),
        }
    }
}

struct Places {
    data: tempfile::TempDir,
    runtime: tempfile::TempDir,
}

impl Places {
    fn new() -> Self {
        Places { data: tempfile::tempdir().unwrap(), runtime: tempfile::tempdir().unwrap() }
    }

    fn cache(&self) -> Cache<'_> {
        Cache { data: self.data.path(), runtime: self.runtime.path() }
    }

    fn entries(&self) -> Vec<std::path::PathBuf> {
        let Ok(dir) = std::fs::read_dir(self.data.path().join("cache/seccomp")) else { return Vec::new() };
        dir.map(|e| e.unwrap().path()).collect()
    }
}

fn filter(plan: &SeccompSpec, capabilities: &[&str]) -> Filter {
    let places = Places::new();
    let capabilities: Vec<String> = capabilities.iter().map(|c| (*c).to_owned()).collect();
    prepare(plan, &capabilities, places.cache()).unwrap().unwrap()
}

/// Reads and compiles a profile's text.
fn check(text: &str) -> Result<Filter> {
    compile_now(text, &[], "6.1.0")
}

fn profile(text: &str) -> SeccompSpec {
    SeccompSpec::Profile(text.to_owned())
}

fn number(name: &str, arch: libseccomp::ScmpArch) -> u32 {
    let number = libseccomp::ScmpSyscall::from_name_by_arch(name, arch).unwrap().as_raw_syscall();
    u32::try_from(number).unwrap_or_else(|_| panic!("{name} has no number"))
}

fn x64(filter: &Filter, name: &str, args: &[u64]) -> u32 {
    answer(filter, X86_64, number(name, libseccomp::ScmpArch::X8664), args)
}

fn x86(filter: &Filter, name: &str, args: &[u64]) -> u32 {
    // libseccomp gives the direct socket call a pseudo number here.
    let call = if name == "socket" { 359 } else { number(name, libseccomp::ScmpArch::X86) };
    answer(filter, I386, call, args)
}

#[test]
fn usual_capability_sets_cost_nothing_at_start() {
    let places = Places::new();
    for capabilities in [vec![], vec!["CAP_CHOWN".to_owned(), "CAP_SYS_CHROOT".to_owned()]] {
        let filter = prepare(&SeccompSpec::Default, &capabilities, places.cache()).unwrap().unwrap();
        assert!(matches!(filter.program, Cow::Borrowed(_)));
    }
    assert!(places.entries().is_empty());
    assert_eq!(prepare(&SeccompSpec::Unconfined, &[], places.cache()).unwrap(), None);
}

#[test]
fn embedded_programs_are_those_of_the_profile() {
    let profile = Profile::parse(DEFAULT_PROFILE).unwrap();
    assert!(profile.mentioned_capabilities().iter().eq(embedded::MENTIONED));
    assert!(!profile.mentions_kernel());
    let known: Vec<String> = caps::all().iter().map(ToString::to_string).collect();
    assert!(embedded::MENTIONED.iter().all(|m| known.iter().any(|k| k == m)));
    let now = compile_now(DEFAULT_PROFILE, &["CAP_SYS_CHROOT"], "5.14").unwrap();
    assert_eq!(now, filter(&SeccompSpec::Default, &["CAP_SYS_CHROOT"]));
}

#[test]
#[cfg(target_arch = "x86_64")]
fn default_profile_answers() {
    let f = filter(&SeccompSpec::Default, &["CAP_SYS_CHROOT"]);
    for call in ["read", "openat", "clone3", "clone", "unshare", "mount", "execve", "setns", "statx", "futex"]
    {
        assert_eq!(x64(&f, call, &[]), ALLOW, "{call}");
    }
    for call in ["bpf", "perf_event_open", "open_by_handle_at", "init_module", "settimeofday", "kexec_load"] {
        assert_eq!(x64(&f, call, &[]), errno(libc::EPERM), "{call}");
    }
    for call in ["io_uring_setup", "io_uring_enter", "io_uring_register", "add_key", "request_key"] {
        assert_eq!(x64(&f, call, &[]), errno(libc::ENOSYS), "{call}");
    }
    assert_eq!(answer(&f, X86_64, 9999, &[]), errno(libc::ENOSYS));
    assert_eq!(x64(&f, "chroot", &[]), ALLOW);
    assert_eq!(x64(&filter(&SeccompSpec::Default, &[]), "chroot", &[]), errno(libc::EPERM));
    let admin = filter(&SeccompSpec::Default, &["CAP_SYS_ADMIN"]);
    assert_eq!(x64(&admin, "bpf", &[]), ALLOW);
    assert_eq!(x64(&admin, "chroot", &[]), errno(libc::EPERM));
    assert_eq!(x64(&f, "personality", &[0]), ALLOW);
    assert_eq!(x64(&f, "personality", &[0x0040_0000]), errno(libc::ENOSYS));
}

#[test]
#[cfg(target_arch = "x86_64")]
fn sockets_by_family_with_the_upper_half_of_the_register_ignored() {
    let f = filter(&SeccompSpec::Default, &[]);
    for upper in [0, 1 << 32, 0xffff_ffff << 32] {
        for family in 0..46u64 {
            let wanted = match family {
                38 | 40 => errno(libc::ENOSYS),
                _ => ALLOW,
            };
            assert_eq!(x64(&f, "socket", &[family | upper, 1, 0]), wanted, "family {family} | {upper:#x}");
        }
        assert_eq!(x64(&f, "socket", &[16, 3, 9 | upper]), errno(libc::EINVAL));
        assert_eq!(x64(&f, "socket", &[2, 3, 9 | upper]), ALLOW);
    }
    let audit = filter(&SeccompSpec::Default, &["CAP_AUDIT_WRITE"]);
    assert_eq!(x64(&audit, "socket", &[16, 3, 9]), ALLOW);
    assert_eq!(x64(&audit, "socket", &[38, 3, 0]), errno(libc::ENOSYS));
}

#[test]
#[cfg(target_arch = "x86_64")]
fn case_52_every_entry_of_the_kernel_is_filtered() {
    let f = filter(&SeccompSpec::Default, &[]);
    assert_eq!(x86(&f, "openat", &[]), ALLOW);
    assert_eq!(x86(&f, "socket", &[2, 1, 0]), ALLOW);
    assert_eq!(x86(&f, "socket", &[38, 5, 0]), errno(libc::ENOSYS));
    assert_eq!(x86(&f, "io_uring_setup", &[]), errno(libc::ENOSYS));
    assert_eq!(x86(&f, "bpf", &[]), errno(libc::EPERM));
    // Every socket operation through the carrier, above all SYS_SOCKET (1).
    for operation in 0..22 {
        assert_eq!(x86(&f, "socketcall", &[operation, 0x1000]), errno(libc::EPERM), "{operation}");
    }
    for call in [number("read", libseccomp::ScmpArch::X8664), 512, 520, 545] {
        assert_eq!(answer(&f, X86_64, call | X32_BIT, &[]), errno(libc::ENOSYS), "x32 {call}");
    }
    // An architecture that this machine does not even have.
    assert_eq!(answer(&f, 0xc000_00b7, 63, &[]), errno(libc::ENOSYS));
}

#[test]
#[cfg(target_arch = "x86_64")]
fn case_53_a_refusal_equal_to_the_default_still_refuses() {
    for (order, rules) in [
        (
            "before",
            r#"{"names":["socketcall"],"action":"SCMP_ACT_ERRNO"},{"names":["socket","connect"],"action":"SCMP_ACT_ALLOW"}"#,
        ),
        (
            "after",
            r#"{"names":["socket","connect"],"action":"SCMP_ACT_ALLOW"},{"names":["socketcall"],"action":"SCMP_ACT_ERRNO"}"#,
        ),
    ] {
        let text = format!(
            r#"{{"defaultAction":"SCMP_ACT_ERRNO","architectures":["SCMP_ARCH_X86"],"syscalls":[{rules}]}}"#
        );
        let f = filter(&profile(&text), &[]);
        assert_eq!(x86(&f, "socket", &[2, 1, 0]), ALLOW);
        for operation in 1..21 {
            assert_ne!(x86(&f, "socketcall", &[operation]), ALLOW, "{order} {operation}");
        }
    }
}

#[test]
fn profiles_with_mistakes_are_refused_by_name() {
    let refused = |text: &str| check(text).unwrap_err().causes().join(": ");
    assert!(refused("{}").contains("defaultAction"));
    assert!(refused(r#"{"defaultAction":"SCMP_ACT_MAYBE"}"#).contains("SCMP_ACT_MAYBE"));
    assert!(refused(r#"{"defaultAction":"SCMP_ACT_ALLOW","sycalls":[]}"#).contains("sycalls"));
    let rule = |r: &str| format!(r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{r}]}}"#);
    assert!(refused(&rule(r#"{"names":["read"],"action":"SCMP_ACT_NOTIFY"}"#)).contains("SCMP_ACT_NOTIFY"));
    let wrong_op = r#"{"names":["read"],"action":"SCMP_ACT_ERRNO","args":[{"index":0,"value":1,"op":"EQ"}]}"#;
    assert!(refused(&rule(wrong_op)).contains("comparison EQ"));
    let wrong_index =
        r#"{"names":["read"],"action":"SCMP_ACT_ERRNO","args":[{"index":6,"value":1,"op":"SCMP_CMP_EQ"}]}"#;
    assert!(refused(&rule(wrong_index)).contains("argument 6"));
    assert!(
        refused(r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_Z80"]}"#).contains("Z80")
    );
    check(&rule(r#"{"names":["no_such_call"],"action":"SCMP_ACT_ERRNO"}"#)).unwrap();
}

#[test]
#[cfg(target_arch = "x86_64")]
fn conditions_and_repeated_arguments() {
    let text = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[
        {"names":["mkdir"],"action":"SCMP_ACT_ERRNO","errnoRet":13,"includes":{"minKernel":"4.8"}},
        {"names":["rmdir"],"action":"SCMP_ACT_ERRNO","excludes":{"minKernel":"4.8"}},
        {"names":["sync"],"action":"SCMP_ACT_ERRNO","includes":{"arches":["arm64"]}},
        {"name":"umask","action":"SCMP_ACT_ERRNO","args":[
            {"index":0,"value":1,"op":"SCMP_CMP_EQ"},{"index":0,"value":2,"op":"SCMP_CMP_EQ"}]}]}"#;
    let f = filter(&profile(text), &[]);
    assert_eq!(x64(&f, "mkdir", &[]), errno(libc::EACCES));
    assert_eq!(x64(&f, "rmdir", &[]), ALLOW);
    assert_eq!(x64(&f, "sync", &[]), ALLOW);
    assert_eq!(x64(&f, "umask", &[1]), errno(libc::EPERM));
    assert_eq!(x64(&f, "umask", &[2]), errno(libc::EPERM));
    assert_eq!(x64(&f, "umask", &[3]), ALLOW);
}

const ANY: &str =
    r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["sync"],"action":"SCMP_ACT_ERRNO"}]}"#;

#[test]
fn compiled_programs_are_kept_and_read_back() {
    let places = Places::new();
    let first = prepare(&profile(ANY), &[], places.cache()).unwrap().unwrap();
    let entries = places.entries();
    assert_eq!(entries.len(), 1);
    let before = std::fs::metadata(&entries[0]).unwrap().modified().unwrap();
    assert_eq!(prepare(&profile(ANY), &[], places.cache()).unwrap().unwrap(), first);
    assert_eq!(std::fs::metadata(&entries[0]).unwrap().modified().unwrap(), before);
    let key = places.runtime.path().join(KEY_NAME);
    assert_eq!(std::fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_planted_program_is_not_believed() {
    let places = Places::new();
    let honest = prepare(&profile(ANY), &[], places.cache()).unwrap().unwrap();
    let entry = places.entries().remove(0);
    // Allow everything, tagged with a key of the attacker's own.
    let everything = [0x06u16.to_ne_bytes().to_vec(), vec![0, 0], ALLOW.to_ne_bytes().to_vec()].concat();
    let body = [vec![0; 4], everything].concat();
    let name = entry.file_name().unwrap().to_str().unwrap();
    std::fs::write(&entry, [&tag(&[7; TAG], name, &body)[..], &body].concat()).unwrap();
    assert_eq!(prepare(&profile(ANY), &[], places.cache()).unwrap().unwrap(), honest);
    // An honest entry of another profile under this name.
    let other = ANY.replace("sync", "mkdir");
    prepare(&profile(&other), &[], places.cache()).unwrap();
    let second = places.entries().into_iter().find(|e| *e != entry).unwrap();
    std::fs::copy(second, &entry).unwrap();
    assert_eq!(prepare(&profile(ANY), &[], places.cache()).unwrap().unwrap(), honest);
    // A FIFO, which must not block.
    std::fs::remove_file(&entry).unwrap();
    nix::unistd::mkfifo(&entry, Mode::S_IRWXU).unwrap();
    assert_eq!(prepare(&profile(ANY), &[], places.cache()).unwrap().unwrap(), honest);
    assert!(!std::fs::metadata(&entry).unwrap().file_type().is_fifo());
}

#[test]
fn a_cache_that_cannot_be_written_is_no_error() {
    let places = Places::new();
    std::os::unix::fs::symlink("/nonexistent", places.data.path().join("cache")).unwrap();
    prepare(&profile(ANY), &[], places.cache()).unwrap();
    let nowhere = Cache { data: Path::new("/nonexistent"), runtime: Path::new("/nonexistent") };
    prepare(&profile(ANY), &[], nowhere).unwrap();
}
