//! Unmodified programs that call `podman` or `docker`, as their own documentation shows their use. They are
//! installed from PyPI, npm and Debian at test time, and kept in the cache directory.

use crate::common::{
    Call, TestEnv, cache_dir, cache_lock, coracle_binary, debian_tree, eventually, free_port, skip, which,
};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What pip installs. The versions are fixed, so that a failure is ours.
const PACKAGES: [&str; 5] = [
    "podman-compose==1.6.0",
    "cwltool==3.3.20260925135507",
    "python-on-whales==0.81.0",
    "pre-commit==4.7.0",
    "ansible-core==2.19.14",
];
/// The distribution that has the collection containers.podman, of which only that is taken.
const COLLECTIONS: &str = "ansible==12.3.0";
/// What npm installs.
const DEVCONTAINER: &str = "@devcontainers/cli@0.89.0";
/// What distrobox and autopkgtest ask of an image.
const TOOLS: &str = "sudo,passwd,mount,findutils,procps,diffutils,pinentry-curses,wget,curl,less,bc,time,lsof,\
    gpgv,python3-minimal";

/// Runs a program that fills a new directory `name` of the cache; `None`, with the reason printed, when it cannot.
pub(crate) fn kept(name: &str, fill: impl FnOnce(&Path) -> Vec<Command>) -> Option<PathBuf> {
    let dir = cache_dir().join(name);
    let _lock = cache_lock();
    if dir.exists() {
        return Some(dir);
    }
    let half = cache_dir().join(format!("{name}.half"));
    let _ = std::fs::remove_dir_all(&half);
    std::fs::create_dir(&half).unwrap();
    for mut command in fill(&half) {
        match command.current_dir(&half).stdin(Stdio::null()).output() {
            Ok(output) if output.status.success() => {}
            other => {
                skip(&format!("{name}: {command:?} failed: {other:?}"));
                return None;
            }
        }
    }
    std::fs::rename(&half, &dir).unwrap();
    Some(dir)
}

pub(crate) fn command(line: &[&str]) -> Command {
    let mut command = Command::new(line[0]);
    command.args(&line[1..]);
    command
}

/// Where the Python programs are.
fn site() -> Option<&'static Path> {
    static SITE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let made = SITE.get_or_init(|| {
        kept("programs-1", |_| {
            let install = [&["python3", "-m", "pip", "install", "-q", "--target", "site"][..], &PACKAGES];
            let fetch = ["python3", "-m", "pip", "download", "-q", "--no-deps", "-d", ".", COLLECTIONS];
            let unpack = "import glob, os, zipfile\n\
                wheel, = glob.glob('ansible-*.whl')\n\
                with zipfile.ZipFile(wheel) as z:\n \
                 for n in z.namelist():\n  \
                  if n.startswith('ansible_collections/containers/podman/'): z.extract(n)\n\
                os.remove(wheel)";
            vec![command(&install.concat()), command(&fetch), command(&["python3", "-c", unpack])]
        })
    });
    made.as_deref()
}

/// distrobox, unpacked: its package wants podman or docker to be installed.
fn distrobox() -> Option<PathBuf> {
    kept("distrobox-1", |_| {
        vec![
            command(&["apt-get", "download", "-q", "distrobox"]),
            command(&["sh", "-c", "dpkg-deb -x distrobox_*.deb ."]),
        ]
    })
}

/// The devcontainer CLI.
fn devcontainer() -> Option<PathBuf> {
    which("npm")?;
    let install = ["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", ".", DEVCONTAINER];
    let package = kept("devcontainer-1", |_| vec![command(&install)])?;
    Some(package.join("node_modules/.bin/devcontainer"))
}

/// A test's surroundings in which `podman` and `docker` are coracle.
struct Host {
    env: TestEnv,
}

impl Host {
    fn new(env: TestEnv) -> Host {
        let (bin, real) = (env.path().join("bin"), env.path().join("real"));
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::create_dir_all(&real).unwrap();
        let stores: String =
            env.stores().map(|store| format!(" --storage-opt additionalimagestore={store}")).collect();
        for name in ["podman", "docker"] {
            let link = real.join(name);
            std::os::unix::fs::symlink(coracle_binary(), &link).unwrap();
            let script = format!(
                "#!/bin/sh\nexec {} --root {} --runroot {}{stores} \"$@\"\n",
                link.display(),
                env.root().display(),
                env.runroot().display(),
            );
            let script = env.file(&format!("bin/{name}"), script);
            std::fs::set_permissions(script, PermissionsExt::from_mode(0o755)).unwrap();
        }
        Host { env }
    }

    fn call(&self, program: impl AsRef<std::ffi::OsStr>) -> Call {
        let path = format!("{}/bin:{}", self.env.path().display(), std::env::var("PATH").unwrap());
        self.env.program(program).env("PATH", path)
    }

    /// A Python module of the site, run as a program.
    fn module(&self, site: &Path, module: &str) -> Call {
        self.call("python3").env("PYTHONPATH", site.join("site")).args(["-m", module])
    }

    /// The Debian image that the tools for whole systems want, under `localhost/debian`.
    fn with_debian(&self) -> Option<()> {
        let include = format!("--include={TOOLS}");
        let tar = debian_tree("debian-tools", &["--variant=apt", &include])?;
        self.env.coracle(["import", "-q"]).arg(tar).arg("localhost/debian").ok();
        Some(())
    }
}

#[test]
fn python_on_whales_drives_both() {
    let Some(site) = site() else { return skip("its package could not be had") };
    let host = Host::new(TestEnv::with_images());
    let script = host.env.file(
        "drive.py",
        "import sys\n\
        from python_on_whales import DockerClient\n\
        client = DockerClient(client_call=[sys.argv[1]])\n\
        assert int(client.version().client.version.split('.')[0]) >= 5, client.version()\n\
        assert client.run('busybox', ['echo', 'x']) == 'x'\n\
        c = client.run('busybox', ['sleep', '100'], detach=True, name='c', labels={'a': 'b'})\n\
        assert c.state.status == 'running' and c.name == 'c', c.state\n\
        assert c.config.cmd == ['sleep', '100'] and c.config.labels['a'] == 'b'\n\
        assert c.execute(['echo', 'inside']) == 'inside'\n\
        assert [one.name for one in client.ps()] == ['c']\n\
        assert 'busybox' in client.image.inspect('busybox').repo_tags[0]\n\
        c.stop(time=0)\n\
        c.remove()\n\
        for left in client.ps(all=True): left.remove()\n\
        v = client.volume.create('v')\n\
        assert [one.name for one in client.volume.list()] == ['v']\n\
        v.remove()\n\
        assert len(client.network.list()) > 0\n\
        print(client.system.info().driver)\n",
    );
    for name in ["podman", "docker"] {
        host.call("python3").env("PYTHONPATH", site.join("site")).arg(&script).arg(name).ok();
    }
}

#[test]
fn podman_compose_runs_a_project_with_its_defaults() {
    let Some(site) = site() else { return skip("its package could not be had") };
    let host = Host::new(TestEnv::with_images());
    let port = free_port();
    host.env.file(
        "compose.yaml",
        format!(
            "services:\n\
            \x20 web:\n\
            \x20   image: busybox\n\
            \x20   command: sh -c 'mkdir /www; echo $$A > /www/index.html; exec busybox httpd -f -p 8000 -h /www'\n\
            \x20   environment: {{ A: told }}\n\
            \x20   networks: [ front ]\n\
            \x20   ports: [ '127.0.0.1:{port}:8000' ]\n\
            \x20   depends_on: {{ store: {{ condition: service_healthy }} }}\n\
            \x20 store:\n\
            \x20   image: busybox\n\
            \x20   command: sh -c 'touch /data/ready; while :; do echo PONG | nc -l -p 6379; done'\n\
            \x20   networks: {{ back: {{ aliases: [ redis ] }} }}\n\
            \x20   volumes: [ 'd:/data' ]\n\
            \x20   healthcheck: {{ test: [ CMD, test, -e, /data/ready ], interval: 1s, retries: 5 }}\n\
            \x20 client:\n\
            \x20   image: busybox\n\
            \x20   command: sh -c 'until wget -q -O - http://web:8000/; do sleep 0.2; done; exec sleep 1000'\n\
            \x20   networks: [ front, back ]\n\
            \x20   depends_on: [ web, store ]\n\
            networks: {{ front: {{}}, back: {{}} }}\n\
            volumes: {{ d: {{}} }}\n"
        ),
    );
    let compose = |args: &[&str]| host.module(site, "podman_compose").args(args);
    compose(&["up", "-d"]).ok();
    let pods = host.env.coracle(["pod", "ps", "--format", "{{.Status}} {{.NumberOfContainers}}"]).ok();
    assert_eq!(pods.text(), "Running 3");
    let shown = compose(&["ps"]).ok();
    assert!(shown.stdout.contains("web") && shown.stdout.contains("Up"), "{shown}");
    assert!(shown.stdout.contains("(healthy)"), "{shown}");
    let ask = |script: &str| compose(&["exec", "-T", "client", "sh", "-c", script]).ok();
    assert_eq!(ask("wget -q -O - http://web:8000/").lines().last().map(String::as_str), Some("told"));
    let pong = ask("until nc -w 5 redis 6379 </dev/null; do sleep 0.2; done");
    assert_eq!(pong.lines().last().map(String::as_str), Some("PONG"), "by its alias on the second network");
    eventually("the log of the client tells what it was told", || {
        compose(&["logs"]).ok().stdout.contains("told")
    });
    let page = host.call("wget").args(["-q", "-O", "-", &format!("http://127.0.0.1:{port}/")]).run();
    assert!(page.code != 0 || page.text() == "told", "{page}");
    compose(&["up", "-d", "--scale", "client=2"]).ok();
    assert_eq!(host.env.containers().len(), 4);
    // It keeps volumes that the containers of a scaled service still held when it looked.
    compose(&["down", "-t", "0", "--remove-orphans"]).ok();
    assert!(host.env.containers().is_empty());
    assert_eq!(host.env.coracle(["pod", "ps", "-q"]).ok().text(), "");
    assert_eq!(host.env.coracle(["network", "ls", "-q"]).ok().text(), "podman");
    compose(&["up", "-d"]).ok();
    compose(&["down", "-v", "-t", "0"]).ok();
    assert!(host.env.containers().is_empty());
    assert_eq!(host.env.coracle(["pod", "ps", "-q"]).ok().text(), "");
    assert_eq!(host.env.coracle(["volume", "ls", "-q"]).ok().text(), "");
}

#[test]
fn cwltool_runs_its_tools_in_both() {
    let Some(site) = site() else { return skip("its package could not be had") };
    let host = Host::new(TestEnv::with_images());
    host.env.file(
        "tool.cwl",
        r#"{"cwlVersion": "v1.2", "class": "CommandLineTool",
            "baseCommand": ["sh", "-c", "tr a-z A-Z < $0"],
            "requirements": {"DockerRequirement": {"dockerPull": "busybox"}},
            "inputs": {"file": {"type": "File", "inputBinding": {"position": 1}}},
            "outputs": {"result": {"type": "stdout"}}, "stdout": "result.txt"}"#,
    );
    host.env.file("job.json", r#"{"file": {"class": "File", "path": "input.txt"}}"#);
    host.env.file("input.txt", "told\n");
    for options in [&["--podman"][..], &[]] {
        host.module(site, "cwltool").args(options).args(["tool.cwl", "job.json"]).ok();
        let result = host.env.path().join("result.txt");
        assert_eq!(std::fs::read_to_string(&result).unwrap(), "TOLD\n");
        std::fs::remove_file(result).unwrap();
    }
}

#[test]
fn pre_commit_runs_a_hook_from_an_image() {
    let Some(site) = site() else { return skip("its package could not be had") };
    let host = Host::new(TestEnv::with_images());
    let repo = host.env.path().join("repo");
    std::fs::create_dir(&repo).unwrap();
    host.env.file(
        "repo/.pre-commit-config.yaml",
        "repos:\n\
        - repo: local\n\
        \x20 hooks:\n\
        \x20 - { id: told, name: told, language: docker_image, entry: busybox grep -l told, files: ^a$ }\n",
    );
    host.env.file("repo/a", "told\n");
    host.call("git").cwd(&repo).args(["init", "-q"]).ok();
    host.call("git").cwd(&repo).args(["add", "."]).ok();
    let run = || host.module(site, "pre_commit").cwd(&repo).args(["run", "--all-files"]);
    let output = run().ok();
    assert!(output.stdout.contains("Passed"), "{output}");
    host.env.file("repo/a", "nothing\n");
    let output = run().fails(1);
    assert!(output.stdout.contains("Failed"), "{output}");
}

#[test]
fn ansible_changes_nothing_the_second_time() {
    let Some(site) = site() else { return skip("its package could not be had") };
    let host = Host::new(TestEnv::with_images());
    let book = r#"[{"hosts": "localhost", "gather_facts": false, "tasks": [
        {"containers.podman.podman_volume": {"name": "v"}},
        {"containers.podman.podman_container": {"name": "c", "image": "docker.io/library/busybox:latest",
            "command": "sleep 1000", "state": "started", "env": {"A": "b"}, "labels": {"l": "m"},
            "volumes": ["v:/v"], "restart_policy": "no", "network": "none"}},
        {"containers.podman.podman_image_info": {"name": "busybox"}}]}]"#;
    host.env.file("book.json", book);
    let play = || {
        host.module(site, "ansible")
            .env("ANSIBLE_COLLECTIONS_PATH", site)
            .args(["playbook", "-i", "localhost,", "-c", "local", "-e", "ansible_python_interpreter=python3"])
            .args(["--diff", "book.json"])
            .ok()
    };
    for changed in ["changed=2", "changed=0"] {
        let output = play();
        assert!(output.stdout.contains(changed), "{output}");
    }
    host.env.coracle(["rm", "-f", "-t", "0", "c"]).ok();
    host.env.coracle(["volume", "rm", "v"]).ok();
}

#[test]
fn autopkgtest_tests_in_both() {
    if which("autopkgtest").is_none() {
        return skip("autopkgtest is not installed");
    }
    let host = Host::new(TestEnv::new());
    let Some(()) = host.with_debian() else { return skip("no Debian tree") };
    // It would install the real one, to unpack sources with.
    host.env
        .coracle(["run", "--name=made", "localhost/debian", "ln", "-s", "/bin/false", "/bin/dpkg-source"])
        .ok();
    host.env.coracle(["commit", "-q", "made", "localhost/testbed"]).ok();
    host.env.coracle(["rm", "made"]).ok();
    let tree = host.env.path().join("hello");
    std::fs::create_dir_all(tree.join("debian/tests")).unwrap();
    let control = "Source: hello\nMaintainer: A <a@example.org>\n\nPackage: hello\nArchitecture: all\n";
    host.env.file("hello/debian/control", control);
    host.env.file(
        "hello/debian/changelog",
        "hello (1) unstable; urgency=low\n\n  * x\n\n -- A <a@example.org>  Mon, 01 Jan 2024 00:00:00 +0000\n",
    );
    host.env
        .file("hello/debian/tests/control", "Test-Command: test -d /proc/1 && echo told\nDepends: dpkg\n");
    for name in ["podman", "docker"] {
        let call = host.call("autopkgtest").args(["-B", "--no-built-binaries"]).arg(&tree);
        let output = call.args(["--", name, "localhost/testbed"]).ok();
        assert!(output.stdout.contains("PASS") || output.stderr.contains("PASS"), "{output}");
        assert!(host.env.containers().is_empty());
    }
}

#[test]
fn distrobox_makes_enters_and_removes_a_box() {
    let Some(package) = distrobox() else { return skip("its package could not be had") };
    let host = Host::new(TestEnv::new());
    let Some(()) = host.with_debian() else { return skip("no Debian tree") };
    let bin = package.join("usr/bin");
    let distrobox = |args: &[&str]| {
        host.call(bin.join("distrobox"))
            .env("DBX_CONTAINER_MANAGER", "podman")
            .env("SHELL", "/bin/bash")
            .args(args)
    };
    distrobox(&["create", "-Y", "-n", "box", "-i", "localhost/debian"]).ok();
    let entered =
        distrobox(&["enter", "-n", "box", "--", "sh", "-c", "id -un; pwd; echo x > /dev/null"]).ok();
    let user = std::env::var("USER").unwrap();
    assert!(entered.lines().contains(&user), "{entered}");
    let out = host.env.home();
    let out = out.to_str().unwrap();
    let export = ["distrobox-export", "--bin", "/usr/bin/perl", "--export-path", out];
    distrobox(&[&["enter", "-n", "box", "--"][..], &export].concat()).ok();
    assert!(host.env.home().join("perl").exists());
    distrobox(&["rm", "-f", "box"]).ok();
    assert!(host.env.containers().is_empty());
}

/// It builds an image in which the user has the caller's ids (updateRemoteUserUID), and with a Dockerfile one before.
#[test]
fn devcontainer_starts_a_container_for_a_remote_user() {
    let Some(program) = devcontainer() else { return skip("its package could not be had") };
    let host = Host::new(TestEnv::new());
    let Some(()) = host.with_debian() else { return skip("no Debian tree") };
    let env = &host.env;
    let run = [
        "run",
        "--name=made",
        "--network=none",
        "localhost/debian",
        "useradd",
        "-m",
        "-s",
        "/bin/bash",
        "dev",
    ];
    env.coracle(run).ok();
    env.coracle(["commit", "-q", "made", "localhost/with-user"]).ok();
    env.coracle(["rm", "made"]).ok();
    for place in ["image", "built"] {
        std::fs::create_dir_all(env.path().join(place).join(".devcontainer")).unwrap();
    }
    env.file(
        "image/.devcontainer/devcontainer.json",
        r#"{"image": "localhost/with-user", "remoteUser": "dev", "runArgs": ["--userns=keep-id"],
            "postCreateCommand": "id -un > created"}"#,
    );
    env.file(
        "built/.devcontainer/devcontainer.json",
        r#"{"build": {"dockerfile": "Dockerfile", "args": {"WHO": "other"}}, "remoteUser": "other",
            "mounts": ["source=cache,target=/cache,type=volume"], "containerEnv": {"GIVEN": "yes"}}"#,
    );
    env.file(
        "built/.devcontainer/Dockerfile",
        "FROM localhost/debian\nARG WHO\nRUN useradd -m -s /bin/bash $WHO && echo told > /made\n",
    );
    let call = |name: &str, verb: &str, place: &str| {
        let call = host.call(&program).env("TMPDIR", env.path()).args([verb, "--docker-path", name]);
        call.arg("--workspace-folder").arg(env.path().join(place))
    };
    let own = nix::unistd::getuid().to_string();
    for name in ["docker", "podman"] {
        call(name, "up", "image").ok();
        let created = env.path().join("image/created");
        assert_eq!(std::fs::read_to_string(&created).unwrap(), "dev\n");
        std::fs::remove_file(created).unwrap();
        let inside = call(name, "exec", "image").args(["sh", "-c", "id -u; pwd; echo $HOME"]).ok();
        assert_eq!(inside.lines(), [&own, "/workspaces/image", "/home/dev"]);
        call(name, "up", "built").ok();
        let inside = call(name, "exec", "built").args(["sh", "-c", "id -u; cat /made; echo $GIVEN"]).ok();
        assert_eq!(inside.lines(), [&own, "told", "yes"]);
        env.coracle(["rm", "-f", "-a", "-t", "0"]).ok();
    }
}
