//! A machine that lacks something gets the exact cure. What is lacking is taken away in a namespace of
//! the test's own; the machine stays as it is.

use crate::common::{Output, TestEnv, busybox, coracle_binary};
use serde_json::Value;

/// Runs a shell script as root of a new user and mount namespace. `$C` is `coracle` on this
/// environment, `$D` the test's directory; `unprivileged COMMAND` runs one without capabilities;
/// `ordinary COMMAND` as somebody else than root.
fn apart(env: &TestEnv, script: &str) -> Output {
    let prelude = "set -e; unprivileged() { setpriv --bounding-set=-all --inh-caps=-all \"$@\"; }
        ordinary() { unshare --user --map-user=1000 --map-group=1000 \"$@\"; }\n";
    let call = format!(
        "{} --root {} --runroot {}",
        coracle_binary().display(),
        env.root().display(),
        env.runroot().display()
    );
    env.program("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
        .arg(format!("{prelude}{script}"))
        .env("C", call)
        .env("B", coracle_binary())
        .env("D", env.path())
        .run()
}

/// For [`apart`]: takes newuidmap away.
const NO_NEWUIDMAP: &str = "mount --bind /dev/null $(command -v newuidmap);";

/// One check of `info --format json`.
#[track_caller]
fn check(output: &Output, name: &str) -> Value {
    let info = output.json();
    let found = info["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).cloned();
    found.unwrap_or_else(|| panic!("no check {name}: {output}"))
}

#[track_caller]
fn cure(check: &Value) -> String {
    let lines: Vec<&str> =
        check["cure"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    lines.join("\n")
}

#[test]
fn info_shows_the_same_as_table_json_and_template() {
    let env = TestEnv::new();
    let info = env.coracle(["info", "--format", "json"]).ok().json();
    assert_eq!(info["store"]["graphRoot"], env.root().to_str().unwrap());
    assert_eq!(info["store"]["containerStore"]["number"], 0);
    assert_eq!(info["host"]["os"], "linux");
    assert_eq!(info["version"]["Version"], env!("CARGO_PKG_VERSION"));
    assert!(info["features"].as_array().unwrap().len() > 10);
    let text = env.coracle(["info"]).ok().stdout;
    for check in info["checks"].as_array().unwrap() {
        assert!(text.contains(check["name"].as_str().unwrap()), "{check} is not in {text}");
    }
    // scripts/install.sh asks so, whether there is a cure or none.
    let cures = "{{range .checks}}{{if eq .name \"kernel\"}}{{range .cure}}{{.}}{{end}}{{end}}{{end}}";
    assert_eq!(env.coracle(["info", "-f", cures]).ok().text(), "");
    let kernel = env.coracle(["info", "-f", "{{.host.kernel}}"]).ok();
    assert_eq!(kernel.text(), info["host"]["kernel"].as_str().unwrap());
}

#[test]
fn info_has_the_fields_that_scripts_for_podman_read() {
    let env = TestEnv::new();
    let of = |field: &str| {
        let output = env.coracle(["info", "--format", &format!("{{{{.{field}}}}}")]).ok();
        output.text().to_owned()
    };
    for (field, value) in [
        ("Host.OCIRuntime.Name", "coracle"),
        ("Host.LogDriver", "k8s-file"),
        ("Host.EventLogger", "file"),
        ("Host.NetworkBackend", "coracle"),
        ("Host.ServiceIsRemote", "false"),
        ("Host.RemoteSocket.Exists", "false"),
        ("Host.Security.SELinuxEnabled", "false"),
        ("Host.Linkmode", "static"),
        ("Plugins.Volume", "[local]"),
    ] {
        assert_eq!(of(field), value, "{field}");
    }
    let mut drivers = vec!["bridge"];
    for (field, name) in [("Host.Slirp4NetNS.Executable", "slirp4netns"), ("Host.Pasta.Executable", "pasta")]
    {
        drivers.extend((!of(field).is_empty()).then_some(name));
    }
    assert_eq!(of("Plugins.Network"), format!("[{}]", drivers.join(" ")));
    for field in ["Version", "DNS.Version"] {
        let shown = of(&format!("Host.NetworkBackendInfo.{field}"));
        assert!(shown.contains(" of coracle "), "{field}: {shown}");
    }
    assert_eq!(of("Host.CgroupsVersion"), of("Host.CgroupVersion"));
    assert!(of("Host.Security.Capabilities").starts_with("CAP_CHOWN,"));
    for number in ["Host.SwapTotal", "Store.GraphRootUsed", "Host.CPUUtilization.IdlePercent"] {
        assert!(of(number).parse::<f64>().is_ok(), "{number}: {}", of(number));
    }
    let built = env.coracle(["version", "--format", "{{.Client.Built}}{{.Client.BuiltTime}}"]).ok();
    assert!(built.text().starts_with(|c: char| c.is_ascii_digit()), "{built}");
}

#[test]
fn no_newuidmap_gets_the_package_to_install() {
    let env = TestEnv::new();
    let output = apart(&env, &format!("{NO_NEWUIDMAP} unprivileged $C info --format json"));
    let found = check(&output, "id-map-programs");
    assert_eq!(found["state"], "limited", "{found}");
    assert!(found["detail"].as_str().unwrap().starts_with("newuidmap is not installed"), "{found}");
    assert!(cure(&found).contains("install"), "{found}");
    // A session with a short PATH lacks nothing.
    let output = env.coracle(["info", "--format", "json"]).env("PATH", "/nonexistent").ok();
    assert_eq!(check(&output, "id-map-programs")["state"], "ok", "{output}");
}

/// Where images of many ids are already, one id is not enough, and it is said why there is only one.
#[test]
fn images_of_many_ids_without_newuidmap_get_the_package_to_install() {
    let env = TestEnv::new();
    let (image, _) = env.pulled(busybox(), "host/ids");
    for verb in ["run --rm --network=none", "pull"] {
        let output = apart(&env, &format!("{NO_NEWUIDMAP} ordinary $C {verb} {image}"));
        assert_eq!(output.code, 125, "{output}");
        let hints: Vec<&str> = output.stderr.lines().filter(|line| line.starts_with("Hint: ")).collect();
        assert_eq!(hints[0], "Hint: newuidmap is not installed; without it containers see one user id only");
        assert!(hints[1].contains("uidmap"), "{output}");
        assert!(!output.stderr.contains("/etc/subuid and"), "{output}");
    }
}

#[test]
fn no_range_gets_the_usermod_command() {
    let env = TestEnv::new();
    let output = apart(
        &env,
        ": >$D/empty; mount --bind $D/empty /etc/subuid; mount --bind $D/empty /etc/subgid
         unprivileged $C info --format json",
    );
    assert_eq!(output.code, 0, "{output}");
    let found = check(&output, "id-range");
    assert_eq!(found["state"], "limited", "{found}");
    assert_eq!(cure(&found), "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 root");
}

#[test]
fn forbidden_user_namespaces_name_the_sysctl() {
    let env = TestEnv::new();
    let forbid = "echo 0 >/proc/sys/user/max_user_namespaces\n";
    let output = apart(&env, &format!("{forbid} unprivileged $C unshare true"));
    assert_eq!(output.code, 125, "{output}");
    let output = output.says("Error: ").says("user.max_user_namespaces=15000");
    assert!(output.stderr.contains("Hint: "), "{output}");
    let output = apart(&env, &format!("{forbid} unprivileged $C info --format json"));
    let found = check(&output, "user-namespaces");
    assert_eq!(found["state"], "missing", "{found}");
    assert!(cure(&found).contains("sudo sysctl user.max_user_namespaces=15000"), "{found}");
}

/// Each kind of namespace has a limit of its own, and the one that was met is named.
#[test]
fn a_limit_on_namespaces_names_its_sysctl() {
    let env = TestEnv::new();
    env.busybox_rootfs();
    for kind in ["net", "mnt", "pid", "uts", "ipc", "cgroup", "user"] {
        let limit = format!("user.max_{kind}_namespaces");
        let run = "$C run --rm --network none --rootfs $D/rootfs true";
        let output = apart(&env, &format!("echo 0 >/proc/sys/user/max_{kind}_namespaces; {run}"));
        assert_eq!(output.code, 125, "{output}");
        output.says(&format!("Hint: {limit} is 0; raise it: ")).says(&format!("sudo sysctl {limit}=15000"));
    }
}

#[test]
fn no_tun_no_fuse_no_slirp4netns_get_their_cures() {
    let env = TestEnv::new();
    let output = apart(
        &env,
        "mount -t tmpfs none /dev/net
         [ ! -e /dev/fuse ] || mount --bind /dev/null /dev/fuse
         slirp=$(command -v slirp4netns); mount --bind /dev/null $slirp
         $C info --format json",
    );
    assert_eq!(output.code, 0, "{output}");
    let tun = check(&output, "tun-device");
    assert!(tun["state"] == "limited" && cure(&tun).contains("modprobe tun"), "{tun}");
    let slirp = check(&output, "slirp4netns");
    assert!(slirp["state"] == "limited" && cure(&slirp).contains("slirp4netns"), "{slirp}");
}

#[test]
fn programs_that_connect_containers_are_named_with_their_versions() {
    let env = TestEnv::new();
    let info = env.coracle(["info", "--format=json"]).ok().json();
    for name in ["slirp4netns", "pasta"] {
        let said = std::process::Command::new(name).arg("--version").output();
        let Ok(said) = said else {
            eprintln!("skipped: {name} is not installed");
            continue;
        };
        let version = String::from_utf8_lossy(&said.stdout).trim().to_owned();
        assert_eq!(info["host"][name]["version"], version.as_str(), "{info}");
        let checks = info["checks"].as_array().unwrap();
        assert!(checks.iter().any(|check| check["name"] == name && check["state"] == "ok"), "{info}");
    }
}

#[test]
fn an_old_slirp4netns_is_told_by_info_and_by_run() {
    let env = TestEnv::new();
    env.busybox_rootfs();
    let old = "printf '#!/bin/sh\\necho slirp4netns version 0.4.0; exit 1\\n' >$D/old; chmod 755 $D/old
        mount --bind $D/old $(command -v slirp4netns)\n";
    let found = check(&apart(&env, &format!("{old} $C info --format json")), "slirp4netns");
    assert_eq!(found["state"], "limited", "{found}");
    assert!(found["detail"].as_str().unwrap().contains("is version 0.4, older than 1.2"), "{found}");
    assert!(cure(&found).contains("slirp4netns"), "{found}");
    let run = apart(&env, &format!("{old} $C run --rm --rootfs $D/rootfs:O true"));
    assert_eq!(run.code, 125, "{run}");
    run.says("is version 0.4; version 1.2 or newer is needed: ");
}

/// What `info` says before, `run` says when it fails for it.
#[test]
fn run_without_tun_or_slirp4netns_names_what_is_missing() {
    let env = TestEnv::new();
    env.busybox_rootfs();
    let run = "$C run --rm --rootfs $D/rootfs:O true";
    let tun = apart(&env, &format!("mount -t tmpfs none /dev/net; {run}"));
    assert_eq!(tun.code, 125, "{tun}");
    tun.says("/dev/net/tun").says("Hint: ").says("modprobe tun").says("--network none");
    let neither = "for program in slirp4netns pasta; do
            found=$(command -v $program) && mount --bind /dev/null $found
        done";
    let slirp = apart(&env, &format!("{neither}\n{run}"));
    assert_eq!(slirp.code, 125, "{slirp}");
    slirp.says("slirp4netns").says("is not installed").says("Hint: Install it: ");
}

#[test]
fn pasta_stands_in_for_slirp4netns() {
    let env = TestEnv::new();
    env.busybox_rootfs();
    let hide = "mount --bind /dev/null $(command -v slirp4netns)\n";
    let run = |options: &str| format!("{hide} $C {options} --rootfs $D/rootfs:O ls /sys/class/net");
    let output = apart(&env, &run("run --rm"));
    assert_eq!(output.code, 0, "{output}");
    assert!(!output.stdout.contains("tap0") && output.stdout.lines().count() == 2, "{output}");
    assert!(output.stderr.is_empty(), "{output}");
    let told = apart(&env, &run("--log-level info run --rm"));
    told.says("slirp4netns is not installed: ").says("connects the container");
    let asked = apart(&env, &run("run --rm --network slirp4netns"));
    assert_eq!(asked.code, 125, "{asked}");
    let found = check(&apart(&env, &format!("{hide} $C info --format json")), "slirp4netns");
    assert!(found["detail"].as_str().unwrap().contains("pasta connects containers"), "{found}");
}

/// One id is little, but enough for a program that needs no other.
#[test]
fn run_without_newuidmap_works_with_one_id() {
    let env = TestEnv::new();
    env.busybox_rootfs();
    let run = "ordinary $C run --rm --network=none --rootfs $D/rootfs:O id -u";
    let output = apart(&env, &format!("{NO_NEWUIDMAP} {run}"));
    assert_eq!((output.code, output.text()), (0, "0"), "{output}");
}

#[test]
fn a_read_only_data_root_is_named() {
    let env = TestEnv::new();
    let lock = "mkdir $D/root; mount --bind $D/root $D/root; mount -o remount,bind,ro $D/root\n";
    let output = apart(&env, &format!("{lock} $C ps"));
    assert_eq!(output.code, 125, "{output}");
    let output = output.says("read-only").says("--root");
    assert_eq!(output.stderr.matches("Error: ").count(), 1, "{output}");
    let output = apart(&env, &format!("rmdir $D/root; {lock} $C info --format json"));
    let found = check(&output, "data-root");
    assert_eq!(found["state"], "missing", "{found}");
    assert!(found["detail"].as_str().unwrap().contains("read-only file system"), "{found}");
}

#[test]
fn a_full_data_root_is_named() {
    let env = TestEnv::new();
    let fill = "mkdir $D/root; mount -t tmpfs -o size=16k,nr_inodes=4 none $D/root\n";
    let output = apart(&env, &format!("{fill} $C ps"));
    assert_eq!(output.code, 125, "{output}");
    let output = output.says("no space left on device").says("is full");
    assert_eq!(output.stderr.matches("Error: ").count(), 1, "{output}");
    let output = apart(&env, &format!("rmdir $D/root; {fill} $C info --format json"));
    let found = check(&output, "data-root");
    assert!(found["detail"].as_str().unwrap().contains("is full"), "{found}");
}

#[test]
fn without_xdg_runtime_dir_the_login_directory_serves() {
    let env = TestEnv::new();
    let output = apart(
        &env,
        "mount -t tmpfs none /run; mkdir -p /run/user; mkdir -m 700 /run/user/0
         unset XDG_RUNTIME_DIR; $B --root $D/root info --format json",
    );
    assert_eq!(output.code, 0, "{output}");
    assert_eq!(output.json()["store"]["runRoot"], "/run/user/0/coracle");
    let found = check(&output, "runtime-directory");
    assert!(found["state"] == "limited" && cure(&found).contains("XDG_RUNTIME_DIR"), "{found}");
    // Set, but to another's directory, as `su` leaves it.
    let output = apart(
        &env,
        "mount -t tmpfs none /run; mkdir -p /run/user; mkdir -m 700 /run/user/0
         XDG_RUNTIME_DIR=/proc $B --root $D/root info --format json",
    );
    assert_eq!(output.json()["store"]["runRoot"], "/run/user/0/coracle");
}

#[test]
fn the_configuration_file_is_read_and_mistakes_are_named() {
    let env = TestEnv::new();
    let write = |text: &str| {
        std::fs::create_dir_all(env.home().join(".config/coracle")).unwrap();
        std::fs::write(env.home().join(".config/coracle/coracle.toml"), text).unwrap();
    };
    let bare =
        || env.program(coracle_binary()).args(["info", "-f", "{{.store.graphRoot}} {{.store.runRoot}}"]);
    let (data, run) = (env.path().join("data"), env.path().join("volatile"));
    write(&format!("root = \"{}\"\nrunroot = \"{}\"\n", data.display(), run.display()));
    assert_eq!(bare().ok().text(), format!("{} {}", data.display(), run.display()));
    let option = bare().arg("--root").arg(env.root()).ok();
    assert_eq!(option.text(), format!("{} {}", env.root().display(), run.display()), "options win");
    write("rut = \"/x\"\n");
    bare().fails(125).says("coracle.toml: line 1: unknown field `rut`").says("Keys: root, runroot");
}
