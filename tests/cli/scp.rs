//! `image scp` between this store and those of other accounts: a real sshd on loopback, whose sessions have homes of
//! their own, as other machines have.

use crate::common::{
    ImageBuilder, Layer, TestEnv, Zip, coracle_binary, eventually, free_port, scratch, skip, which,
};
use nix::sys::signal::Signal;
use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Another machine: an sshd, a home, and the programs that its sessions find.
struct Machine {
    sshd: Child,
    dir: PathBuf,
}

impl Machine {
    /// A machine whose sessions find coracle. It is called `name` in the ssh configuration of `env`.
    fn start(env: &TestEnv, name: &str) -> Option<Machine> {
        let Some(program) = which("sshd") else {
            skip("sshd is not installed");
            return None;
        };
        let dir = scratch("m");
        for below in ["home/.local/bin", "run", "bin"] {
            fs::create_dir_all(dir.join(below)).unwrap();
        }
        fs::set_permissions(dir.join("run"), fs::Permissions::from_mode(0o700)).unwrap();
        let user_key = env.path().join("id");
        for key in [dir.join("host"), user_key.clone()] {
            if !key.exists() {
                let made = Command::new("ssh-keygen")
                    .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                    .arg(&key)
                    .status();
                assert!(made.unwrap().success());
            }
        }
        fs::copy(user_key.with_extension("pub"), dir.join("authorized")).unwrap();
        let (port, at) = (free_port(), dir.display());
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {at}/host\nAuthorizedKeysFile {at}/authorized\nPidFile none\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPrintMotd no\n\
             SetEnv HOME={at}/home XDG_RUNTIME_DIR={at}/run PATH={at}/bin:/usr/bin:/bin\n"
        );
        fs::write(dir.join("config"), config).unwrap();
        let log = fs::File::create(dir.join("log")).unwrap();
        let mut sshd = Command::new(program);
        sshd.args(["-D", "-e", "-f"]).arg(dir.join("config"));
        let sshd = sshd.stdin(Stdio::null()).stderr(log).spawn().unwrap();
        let machine = Machine { sshd, dir };
        machine.has("coracle", &coracle_binary());
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(30), "{}", machine.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        let key = fs::read_to_string(machine.dir.join("host.pub")).unwrap();
        let known = env.path().join("known_hosts");
        let add = |path: &Path, text: String| {
            let before = fs::read_to_string(path).unwrap_or_default();
            fs::write(path, before + &text).unwrap();
        };
        add(&known, format!("[127.0.0.1]:{port} {key}"));
        // The port is the configuration's unless the address has one.
        let settings = format!(
            "Host {name}\n HostName 127.0.0.1\n Port {port}\nHost *\n IdentityFile {}\n IdentitiesOnly yes\n \
             UserKnownHostsFile {}\n GlobalKnownHostsFile /dev/null\n BatchMode yes\n",
            user_key.display(),
            known.display()
        );
        let before = fs::read_to_string(env.path().join("ssh_config")).unwrap_or_default();
        fs::write(env.path().join("ssh_config"), settings + &before).unwrap();
        // ssh takes its configuration from the account's home, which is not the test's.
        let ssh = env.path().join("bin/ssh");
        if !ssh.exists() {
            fs::create_dir_all(env.path().join("bin")).unwrap();
            let real = which("ssh").unwrap();
            let text = format!(
                "#!/bin/sh\nexec {} -F {} \"$@\"\n",
                real.display(),
                env.path().join("ssh_config").display()
            );
            fs::write(&ssh, text).unwrap();
            fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Some(machine)
    }

    /// Puts a program where its sessions look first.
    fn has(&self, name: &str, program: &Path) {
        let link = self.dir.join("bin").join(name);
        let _ = fs::remove_file(&link);
        symlink(program, link).unwrap();
    }

    fn script(&self, name: &str, text: &str) {
        let path = self.dir.join("bin").join(name);
        let _ = fs::remove_file(&path);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// What a program there prints.
    fn run(&self, program: &str, args: &[&str]) -> String {
        let mut command = Command::new(program);
        command.args(args).env_clear().env("HOME", self.dir.join("home"));
        command.env("XDG_RUNTIME_DIR", self.dir.join("run")).env("PATH", "/usr/bin:/bin");
        let output = command.stdin(Stdio::null()).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned() + &String::from_utf8_lossy(&output.stderr)
    }

    fn coracle(&self, args: &[&str]) -> String {
        self.run(coracle_binary().to_str().unwrap(), args)
    }

    /// What is left of unfinished work there.
    fn unfinished(&self) -> usize {
        fs::read_dir(self.dir.join("home/.local/share/coracle/tmp")).map_or(0, Iterator::count)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.sshd.kill();
        let _ = self.sshd.wait();
        self.coracle(&["unshare", "rm", "-rf", self.dir.join("home").to_str().unwrap()]);
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// `image scp` with the ssh of the test.
fn scp(env: &TestEnv, args: &[&str]) -> crate::common::Call {
    let path = format!("{}:{}", env.path().join("bin").display(), std::env::var("PATH").unwrap());
    env.coracle(["image", "scp"]).args(args).env("PATH", path)
}

fn digest(env: &TestEnv, name: &str) -> String {
    env.coracle(["image", "inspect", "-f", "{{.Id}} {{.Digest}}", name]).ok().text().to_owned()
}

fn image(env: &TestEnv, repository: &str) -> String {
    let layer =
        Layer::new().zip(Zip::Plain).file("file", 0o644, repository).file("big", 0o600, vec![7; 3 << 20]);
    env.pulled(ImageBuilder::new().layer(layer), repository).0
}

#[test]
fn an_image_goes_there_and_back_with_its_digests() {
    let env = TestEnv::new();
    let Some(there) = Machine::start(&env, "there") else { return };
    let name = image(&env, "scp/whole");
    let before = digest(&env, &name);
    let copied = scp(&env, &[&name, "there::"]).ok();
    assert_eq!(copied.text(), format!("Loaded image: {name}"));
    copied.says(&format!("Copying {name} to there: done"));
    assert_eq!(there.coracle(&["image", "inspect", "-f", "{{.Id}} {{.Digest}}", &name]), before);
    // Once more changes nothing, and quietly says nothing else.
    let again = scp(&env, &["-q", &name, "there::"]).ok();
    assert_eq!((again.text(), again.stderr.as_str()), (format!("Loaded image: {name}").as_str(), ""));

    env.coracle(["rmi", &name]).ok();
    let fetched = scp(&env, &["-q", &format!("there::{name}")]).ok();
    assert_eq!(fetched.text(), format!("Loaded image: {name}"));
    assert_eq!(digest(&env, &name), before);
    assert_eq!(there.unfinished(), 0);
}

#[test]
fn a_new_name_is_the_only_one_at_the_destination() {
    let env = TestEnv::new();
    let Some(there) = Machine::start(&env, "there") else { return };
    let Some(other) = Machine::start(&env, "other") else { return };
    let name = image(&env, "scp/named");
    let names = |said: String| {
        let mut lines: Vec<String> = said.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let list = ["images", "--format", "{{.Repository}}:{{.Tag}}"];
    let copied = scp(&env, &["-q", &name, "there::new/name"]).ok();
    assert_eq!(copied.text(), "Loaded image: localhost/new/name:latest");
    assert_eq!(names(there.coracle(&list)), ["localhost/new/name:latest"]);
    // From there to another machine, and back under a third name.
    scp(&env, &["-q", "there::new/name", "other::q.io/third:3"]).ok();
    assert_eq!(names(other.coracle(&list)), ["q.io/third:3"]);
    let id = env.coracle(["image", "inspect", "-f", "{{.Id}}", &name]).ok();
    assert_eq!(other.coracle(&["image", "inspect", "-f", "{{.Id}}", "q.io/third:3"]), id.text());
    env.coracle(["rmi", &name]).ok();
    let fetched = scp(&env, &["-q", "other::q.io/third:3", "::fourth"]).ok();
    assert_eq!(fetched.text(), "Loaded image: localhost/fourth:latest");
    assert_eq!(names(env.coracle(list).ok().stdout), ["localhost/fourth:latest"]);
}

#[test]
fn podman_is_used_where_there_is_no_coracle() {
    let env = TestEnv::new();
    let Some(there) = Machine::start(&env, "there") else { return };
    if which("podman").is_none() {
        return skip("podman is not installed");
    }
    fs::remove_file(there.dir.join("bin/coracle")).unwrap();
    // In a store of its own, with the driver that works everywhere.
    let store =
        format!("--root {0}/p --runroot {0}/r --storage-driver vfs", there.dir.join("home").display());
    there.script("podman", &format!("exec /usr/bin/podman {store} \"$@\""));
    let podman = there.dir.join("bin/podman");
    let name = image(&env, "scp/podman");
    let before = digest(&env, &name);
    if there.run(podman.to_str().unwrap(), &["images", "-q"]).contains("rror") {
        return skip("podman does not work here");
    }
    let copied = scp(&env, &["-q", &name, "there::"]).ok();
    assert_eq!(copied.text(), format!("Loaded image: {name}"));
    env.coracle(["rmi", &name]).ok();
    scp(&env, &["-q", &format!("there::{name}")]).ok();
    assert_eq!(digest(&env, &name).split(' ').next(), before.split(' ').next());
    // By id, and named when it is here.
    scp(&env, &["-q", &format!("there::{name}"), "::other"]).ok();
    assert_eq!(digest(&env, "other").split(' ').next(), before.split(' ').next());
    let _ = there.run(
        "/usr/bin/podman",
        &[
            &store.split(' ').collect::<Vec<_>>()[..],
            &["unshare", "rm", "-rf", there.dir.join("home/p").to_str().unwrap()],
        ]
        .concat(),
    );
}

#[test]
fn failures_name_the_side_and_leave_nothing() {
    let env = TestEnv::new();
    let Some(there) = Machine::start(&env, "there") else { return };
    let name = image(&env, "scp/failing");
    // Nothing is asked of the other side for an image that is not here.
    scp(&env, &["nosuch", "there::"]).fails(125).says("nosuch: image not known");
    assert!(!there.log().contains("Accepted"), "{}", there.log());
    scp(&env, &["there::nosuch"]).fails(125).says("save nosuch on there").says("nosuch: image not known");
    // The other side fails while it takes the image in.
    there.script("coracle", "head -c 100000 >/dev/null; echo 'Error: no room for it' >&2; exit 125");
    scp(&env, &[&name, "there::"]).fails(125).says("load the image on there: no room for it");
    // It gives half of one.
    there.script(
        "coracle",
        "exec /bin/sh -c 'head -c 70000 /dev/zero; echo \"Error: disk failure\" >&2; exit 3'",
    );
    scp(&env, &["there::half"]).fails(125).says("save half on there: disk failure");
    assert_eq!(fs::read_dir(env.root().join("tmp")).unwrap().count(), 0);
    // It gives a whole one under another name, and fails after that or not.
    let archive = there.dir.join("archive");
    env.coracle(["tag", &name, "bank:1"]).ok();
    env.coracle(["save", "-q", "--format=oci-archive", "-o"]).arg(&archive).arg("bank:1").ok();
    env.coracle(["untag", &name, "bank:1"]).ok();
    let gives = format!("cat {}", archive.display());
    there.script("coracle", &format!("{gives}; echo 'Error: too late' >&2; exit 3"));
    scp(&env, &["there::asked"]).fails(125).says("save asked on there: too late");
    for none in ["bank:1", "asked"] {
        env.coracle(["image", "exists", none]).fails(1);
    }
    there.script("coracle", &gives);
    assert_eq!(scp(&env, &["-q", "there::asked"]).ok().text(), "Loaded image: localhost/asked:latest");
    env.coracle(["image", "exists", "bank:1"]).fails(1);
    // There is no program; a start-up file that prints something does no harm.
    fs::remove_file(there.dir.join("bin/coracle")).unwrap();
    if which("podman").is_none() && which("docker").is_none() {
        scp(&env, &[&name, "there::"])
            .fails(125)
            .says("neither coracle nor podman nor docker was found on there");
    }
    there.has("coracle", &coracle_binary());
    // A key that is not the known one, a key that is not let in, and nobody who answers.
    fs::write(there.dir.join("authorized"), "").unwrap();
    scp(&env, &[&name, "there::"]).fails(125).says("connect to there: ").says("Permission denied");
    fs::write(env.path().join("known_hosts"), "").unwrap();
    scp(&env, &[&name, "there::"]).fails(125).says("connect to there: ").says("Host key verification failed");
    let port = free_port();
    scp(&env, &[&name, &format!("ssh://127.0.0.1:{port}::")]).fails(125).says("Connection refused");
    scp(&env, &[&name, "there::"]).env("PATH", "/nowhere").fails(125).says("ssh is needed to reach there");
    assert_eq!(there.coracle(&["images", "-q"]), "");
}

#[test]
fn what_is_not_a_place_is_refused_before_anything_is_asked() {
    let env = TestEnv::with_images();
    fs::create_dir(env.path().join("bin")).unwrap();
    let called = env.path().join("called");
    for program in ["ssh", "sudo"] {
        let path = env.path().join("bin").join(program);
        fs::write(&path, format!("#!/bin/sh\ntouch {}\n", called.display())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    for places in [
        &["busybox", "--", "-oProxyCommand=touch x::"][..],
        &["busybox", "$(touch x)::"],
        &["busybox", "a;b@host::"],
        &["busybox", "host::'; touch x; '"],
        &["host::`touch x`"],
        &["host::a b"],
        &["busybox", "host::name@sha256:0000"],
        &["busybox", "tcp://host::"],
        &["host::"],
        &["busybox"],
        &["busybox", "::other"],
    ] {
        scp(&env, places).fails(125);
    }
    assert!(!called.exists());
    scp(&env, &["busybox"]).fails(125).says("must specify a destination");
    scp(&env, &["host::"]).fails(125).says("a source image must be specified");
}

/// Another user is reached by sudo, for which this account has no rights: a program in its place does without.
#[test]
fn another_user_is_reached_by_sudo() {
    let env = TestEnv::new();
    let there = scratch("u");
    fs::create_dir_all(there.join("run")).unwrap();
    fs::create_dir_all(env.path().join("bin")).unwrap();
    let sudo = env.path().join("bin/sudo");
    let text = format!(
        "#!/bin/sh\n[ \"$*\" = \"${{*#-H -u somebody -- sh -c }}\" ] && exit 9\nshift 4\n\
         exec env -i HOME={0} XDG_RUNTIME_DIR={0}/run PATH={1}:/usr/bin:/bin \"$@\"\n",
        there.display(),
        there.display()
    );
    symlink(coracle_binary(), there.join("coracle")).unwrap();
    fs::write(&sudo, text).unwrap();
    fs::set_permissions(&sudo, fs::Permissions::from_mode(0o755)).unwrap();
    let name = image(&env, "scp/user");
    let before = digest(&env, &name);
    scp(&env, &["-q", &name, "somebody@localhost::"]).ok();
    env.coracle(["rmi", &name]).ok();
    scp(&env, &["-q", &format!("somebody@localhost::{name}")]).ok();
    assert_eq!(digest(&env, &name), before);
    env.program(coracle_binary())
        .args(["unshare", "rm", "-rf"])
        .arg(there.join(".local"))
        .env("HOME", &there)
        .ok();
    fs::remove_dir_all(&there).unwrap();
}

/// A copy that has begun and comes to no end, ended by a signal.
fn stopped(env: &TestEnv, there: &Machine, places: &[&str], signal: Signal) {
    let go = there.dir.join("go");
    let _ = fs::remove_file(&go);
    let copying = scp(env, places).start();
    let begun = Instant::now();
    while !go.exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{}", there.log());
        std::thread::sleep(Duration::from_millis(10));
    }
    copying.signal(signal);
    assert!(copying.wait().code >= 125);
    // Its own part there ends by itself; what holds it up is the test's.
    fs::write(there.dir.join("end"), "").unwrap();
    let begun = Instant::now();
    while go.exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "what holds the copy up does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
    fs::remove_file(there.dir.join("end")).unwrap();
}

#[test]
fn a_copy_that_is_stopped_leaves_nothing_on_either_side() {
    let env = TestEnv::new();
    let Some(there) = Machine::start(&env, "there") else { return };
    let name = image(&env, "scp/stopped");
    let signals = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGKILL];
    let (at, coracle) = (there.dir.display(), coracle_binary());
    // Lets a part through, and no more until the test is done with it.
    let some = format!("(head -c 200000; touch {at}/go; until [ -e {at}/end ]; do sleep 0.05; done)");
    let done = format!("rm -f {at}/go");
    there.script("coracle", &format!("{some} | {} \"$@\"; {done}", coracle.display()));
    for signal in signals {
        stopped(&env, &there, &[&name, "there::"], signal);
    }
    there.has("coracle", &coracle);
    assert_eq!(there.coracle(&["images", "-aq"]), "");
    assert_eq!(there.unfinished(), 0);

    // The same with this side as the one that takes it in.
    scp(&env, &["-q", &name, "there::"]).ok();
    env.coracle(["rmi", &name]).ok();
    there.script("coracle", &format!("{} \"$@\" | {some}; {done}", coracle.display()));
    for signal in signals {
        stopped(&env, &there, &[&format!("there::{name}")], signal);
    }
    // The process that unpacks may outlive the killed command for a moment, or end with it; what it was making is then
    // taken by the next command that makes or prunes images.
    eventually("nothing is left", || {
        env.coracle(["system", "prune", "-f"]).ok();
        assert_eq!(env.coracle(["images", "-aq"]).ok().text(), "");
        fs::read_dir(env.root().join("tmp")).unwrap().count() == 0
    });
}
