//! The harness tests itself: every file is a module, fixtures do what they say, nothing is left.

use crate::common::{
    Format, ImageBuilder, Layer, Registry, TestEnv, Zip, busybox, eventually, shared_registry, traces_of,
};
use std::path::Path;
use std::process::{Command, Stdio};

/// A file in tests/cli that main.rs does not name is a test that never runs.
#[test]
fn every_file_is_a_module() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli");
    let main = std::fs::read_to_string(dir.join("main.rs")).unwrap();
    for entry in std::fs::read_dir(&dir).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let module = name.strip_suffix(".rs").unwrap_or(&name);
        if module != "main" {
            let line = format!("mod {module};");
            assert!(main.lines().any(|l| l == line), "tests/cli/main.rs lacks `{line}`");
        }
    }
}

#[test]
fn an_environment_is_gone_after_its_drop() {
    let env = TestEnv::new();
    let dir = env.path().to_owned();
    let version = env.coracle(["version"]).ok();
    assert_eq!(version.stderr, "");
    std::fs::create_dir_all(env.root()).unwrap();
    assert!(dir.exists());
    drop(env);
    assert!(!dir.exists(), "{} is left", dir.display());
}

#[test]
fn a_process_that_is_left_behind_is_found() {
    let env = TestEnv::new();
    let mut child =
        Command::new("sleep").arg("60").env("ROOT", env.path()).stdin(Stdio::null()).spawn().unwrap();
    eventually("the process shows", || !traces_of(env.path()).is_empty());
    let found = traces_of(env.path()).to_string();
    assert!(found.contains(&format!("process {} (sleep 60 )", child.id())), "{found}");
    // The directory of the first test is not that of the tenth.
    let shorter = env.path().to_str().unwrap();
    assert!(traces_of(Path::new(&shorter[..shorter.len() - 1])).is_empty());
    traces_of(env.path()).kill(env.path());
    child.wait().unwrap();
    assert!(traces_of(env.path()).is_empty());
}

/// Whatever ended a run of the tests and its janitors, the next run clears away what they left, and nothing
/// of a run that goes on.
#[test]
fn a_run_clears_away_what_dead_runs_left() {
    let env = TestEnv::new();
    // No process has such an id: it is above the kernel's limit.
    let (dead, alive) =
        (env.path().join("ct-4194305"), env.path().join(format!("ct-{}", std::process::id())));
    let process = |dir: &Path| {
        std::fs::create_dir_all(dir.join("1-e0/home")).unwrap();
        Command::new("sleep").arg("60").env("HOME", dir.join("1-e0/home")).spawn().unwrap()
    };
    let (mut left, mut other) = (process(&dead), process(&alive));
    let runner = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/runner.sh");
    env.program(runner).args(["--as-user", "true"]).env("TMPDIR", env.path()).ok();
    assert!(!dead.exists());
    assert!(!left.wait().unwrap().success());
    assert!(alive.join("1-e0/home").exists());
    assert_eq!(other.try_wait().unwrap(), None);
    other.kill().unwrap();
    other.wait().unwrap();
}

#[test]
fn the_registry_keeps_what_is_pushed() {
    let registry = shared_registry();
    let digest = busybox().push(registry, "harness/busybox", "1");
    assert_eq!(registry.tags("harness/busybox"), ["1"]);
    let accept = [("Accept", "application/vnd.oci.image.manifest.v1+json")];
    let answer = registry.request("GET", &format!("/v2/harness/busybox/manifests/{digest}"), &accept, b"");
    assert_eq!(answer.status, 200);
}

/// skopeo, as an independent reader, finds our images well-formed in both formats.
#[test]
fn skopeo_reads_our_images() {
    let registry = shared_registry();
    let env = TestEnv::new();
    for (tag, format) in [("oci", Format::Oci), ("docker", Format::Docker)] {
        let layer = Layer::new().zip(Zip::Gzip).file("a", 0o644, "a");
        ImageBuilder::new().format(format).layer(layer).push(registry, "harness/formats", tag);
        let reference = format!("docker://{}", registry.reference("harness/formats", tag));
        let copy = format!("oci:{}/{tag}", env.path().display());
        env.program("skopeo")
            .args(["--insecure-policy", "copy", "--src-tls-verify=false", &reference, &copy])
            .ok();
    }
}

#[test]
fn a_registry_with_a_password_refuses_strangers() {
    let registry = Registry::with_password("tester", "open sesame");
    busybox().push(&registry, "private/busybox", "latest");
    let stranger = Command::new("skopeo")
        .args(["inspect", "--tls-verify=false"])
        .arg(format!("docker://{}", registry.reference("private/busybox", "latest")))
        .output()
        .unwrap();
    assert!(!stranger.status.success());
    let friend = Command::new("skopeo")
        .args(["inspect", "--tls-verify=false", "--creds", "tester:open sesame"])
        .arg(format!("docker://{}", registry.reference("private/busybox", "latest")))
        .output()
        .unwrap();
    assert!(friend.status.success(), "{friend:?}");
}

#[test]
fn a_registry_with_tokens_takes_those_of_its_server() {
    let registry = Registry::with_tokens("tester", "open sesame");
    busybox().push(&registry, "private/busybox", "latest");
    busybox().push(&registry, "public/busybox", "latest");
    let inspect = |repository: &str, creds: &[&str]| {
        let name = format!("docker://{}", registry.reference(repository, "latest"));
        let command =
            Command::new("skopeo").args(["inspect", "--tls-verify=false"]).args(creds).arg(name).output();
        command.unwrap().status.success()
    };
    assert!(!inspect("private/busybox", &[]));
    assert!(inspect("public/busybox", &[]));
    assert!(!inspect("private/busybox", &["--creds", "tester:wrong"]));
    assert!(inspect("private/busybox", &["--creds", "tester:open sesame"]));
    let asked = registry.tokens().seen();
    assert!(asked.iter().any(|seen| seen.path.contains("private%2Fbusybox%3Apull")), "{asked:?}");
    registry.tokens().deny("private/busybox");
    assert!(!inspect("private/busybox", &["--creds", "tester:open sesame"]));
}

/// Tests that only run containers share one read-only store of images.
#[test]
fn the_shared_images_are_there() {
    let env = TestEnv::with_images();
    let output =
        env.coracle(["run", "--rm", "--network=none", "--pull=never", "busybox", "echo", "shared"]).ok();
    assert_eq!(output.stdout, "shared\n");
    let own = TestEnv::new();
    own.coracle(["run", "--rm", "--pull=never", "busybox", "true"]).fails(125);
}

/// The image of many layers, the fixture that everything hard hangs on, runs with all its oddities.
#[test]
fn many_layers_come_together() {
    let env = TestEnv::new();
    crate::common::many_layers(127).push(shared_registry(), "harness/many", "latest");
    let image = shared_registry().reference("harness/many", "latest");
    env.coracle(["pull", "-q", &image]).ok();
    let script = "cat /many/last; ls /many | wc -l; ls /o; cat /lib/through-link; cat /d/turns/inside; \
                  test ! -e /d/hidden; cat /d/b; stat -c '%a %u:%g' /d/suid /d/sgid /d/owned";
    let output = env.coracle(["run", "--rm", "--network=none", &image, "sh", "-ec", script]).ok();
    let expected = "126127\nabove\nsub\nmergedinsidelinked4755 0:0\n2755 0:1000\n600 1000:1000\n";
    assert_eq!(output.stdout, expected);
}
