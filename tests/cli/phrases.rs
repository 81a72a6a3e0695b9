//! The words and exit codes that programs look for, of podman and, under its name, of docker: one table.

use crate::common::{Layer, Output, TestEnv, busybox, eventually, shared_registry};
use std::net::TcpListener;

/// Whatever docker ends with: it has no phrase for it.
const ANY: i32 = -1;

/// A command that fails, and what it says and ends with under podman's name and under docker's.
struct Row {
    words: &'static str,
    podman: (&'static [&'static str], i32),
    docker: (&'static [&'static str], i32),
}

/// Both say and do the same.
const fn alike(words: &'static str, says: &'static [&'static str], code: i32) -> Row {
    Row { words, podman: (says, code), docker: (says, code) }
}

const fn row(
    words: &'static str,
    podman: (&'static [&'static str], i32),
    docker: (&'static [&'static str], i32),
) -> Row {
    Row { words, podman, docker }
}

/// `RUN`, `MADE`, `USED`, `PORT`, `NONE` and the like stand for what only the test knows.
const ROWS: &[Row] = &[
    row(
        "logs nosuch",
        (&["no container with name or ID \"nosuch\" found: no such container"], 125),
        (&["Error response from daemon: No such container: nosuch"], 1),
    ),
    row(
        "rm nosuch",
        (&["no container with name or ID \"nosuch\" found: no such container"], 1),
        (&["No such container: nosuch"], 1),
    ),
    row("exec nosuch true", (&["no such container"], 125), (&["No such container: nosuch"], 1)),
    row("start nosuch", (&["no such container"], 125), (&["No such container: nosuch"], 1)),
    row("start nosuch nosuch2", (&["no such container"], 125), (&["No such container: nosuch2"], 1)),
    row("start -a nosuch", (&["no such container"], 125), (&["No such container: nosuch"], 1)),
    row("attach nosuch", (&["no such container"], 125), (&["No such container: nosuch"], 1)),
    row("rmi nosuch", (&["nosuch: image not known"], 1), (&["No such image: nosuch"], 1)),
    row("image inspect nosuch", (&["nosuch: image not known"], 125), (&["No such image: nosuch"], 1)),
    row("run --pull=never nosuch", (&["nosuch: image not known"], 125), (&["No such image: nosuch"], 125)),
    row("create --pull=never nosuch", (&["nosuch: image not known"], 125), (&["No such image: nosuch"], 1)),
    row(
        "run --rm --network=none busybox nosuch",
        (
            &[
                "executable file `nosuch` not found in $PATH: No such file or directory",
                "OCI runtime attempted to invoke a command that was not found",
            ],
            127,
        ),
        (&["docker: Error response from daemon: exec: \"nosuch\": executable file not found in $PATH"], 127),
    ),
    row(
        "exec run /nosuch",
        (&["executable file", "not found in $PATH", "No such file or directory"], 127),
        (&["Error: exec: \"/nosuch\"", "no such file or directory"], 127),
    ),
    row(
        "exec -d run nosuch",
        (&["OCI runtime attempted to invoke a command that was not found"], 125),
        (&["executable file not found in $PATH"], 1),
    ),
    row(
        "start missing",
        (&["OCI runtime attempted to invoke a command that was not found"], 125),
        (&["executable file not found in $PATH"], 1),
    ),
    alike("run --rm --network=none busybox /etc", &["exec", "permission denied"], 126),
    alike("exec run /etc", &["exec", "permission denied"], 126),
    row(
        "rm run",
        (
            &["cannot remove container run as it is running - running or paused containers cannot be \
                 removed without force: container state improper"],
            2,
        ),
        (&["container is running: stop the container before removing or force remove"], 1),
    ),
    row(
        "rm needed",
        (&["container needed has dependent containers which must be removed before it"], 125),
        (&["dependent containers"], 1),
    ),
    row(
        "create --name run busybox",
        (&["the container name \"run\" is already in use by RUN", "that name is already in use"], 125),
        (&["Conflict. The container name \"/run\" is already in use by container \"RUN\""], 1),
    ),
    row(
        "run --name run busybox",
        (&["the container name \"run\" is already in use by RUN", "that name is already in use"], 125),
        (&["Conflict. The container name \"/run\" is already in use by container"], 125),
    ),
    row(
        "volume inspect nosuch",
        (&["no volume with name \"nosuch\" found: no such volume"], 125),
        (&["no such volume"], 1),
    ),
    row("volume rm nosuch", (&["no such volume"], 1), (&["no such volume"], 1)),
    row("inspect nosuch", (&["no such object: \"nosuch\""], 125), (&["Error: No such object: nosuch"], 1)),
    row(
        "container inspect nosuch",
        (&["no such container \"nosuch\""], 125),
        (&["No such container: nosuch"], 1),
    ),
    row(
        "exec made true",
        (&["can only create exec sessions on running containers: container state improper"], 255),
        (&["Error response from daemon: container made is not running"], 1),
    ),
    row(
        "build /nosuch",
        (&["context must be a directory: \"/nosuch\""], 125),
        (&["Error: unable to prepare context: path \"/nosuch\" not found"], 1),
    ),
    row(
        "kill made",
        (&["can only kill running containers", "container state improper"], 125),
        (&["is not running"], 1),
    ),
    row(
        "attach made",
        (&["you can only attach to running containers", "container state improper"], 125),
        (&["Error: you cannot attach to a stopped container, start it first", "is not running"], 1),
    ),
    row(
        "run --nosuch busybox",
        (&["unknown flag: --nosuch\n", "See 'podman run --help'\n"], 125),
        (&["unknown flag: --nosuch\n", "See 'docker run --help'\n"], 125),
    ),
    row(
        "ps -Q",
        (&["unknown shorthand flag: 'Q' in -Q", "See 'podman ps --help'"], 125),
        (&["unknown shorthand flag: 'Q' in -Q", "See 'docker ps --help'"], 125),
    ),
    alike("ps --format", &["flag needs an argument: --format"], 125),
    alike("run -v", &["flag needs an argument: 'v' in -v"], 125),
    row(
        "run",
        (&["requires at least 1 arg(s), only received 0"], 125),
        (&["\"docker run\" requires at least 1 argument"], 1),
    ),
    row(
        "cp one",
        (&["accepts 2 arg(s), received 1"], 125),
        (&["\"docker cp\" requires exactly 2 arguments"], 1),
    ),
    row(
        "cp one two three",
        (&["accepts 2 arg(s), received 3"], 125),
        (&["\"docker cp\" requires exactly 2 arguments"], 1),
    ),
    row(
        "version one",
        (&["`podman version` takes no arguments"], 125),
        (&["\"docker version\" accepts no arguments"], 1),
    ),
    row("stop", (&["you must provide at least one name or id"], 125), (&["requires at least 1 argument"], 1)),
    row(
        "frobnicate",
        (&["unrecognized command `podman frobnicate`"], 125),
        (&["'frobnicate' is not a docker command"], 1),
    ),
    row("image", (&["missing command 'podman image COMMAND'"], 125), (&["docker image"], 1)),
    alike("run --memory x busybox", &["invalid argument \"x\" for \"--memory\" flag"], 125),
    alike("ps --last x", &["invalid argument \"x\" for \"--last\" flag"], 125),
    row(
        "run --network=none -v v:/x -v w:/x busybox",
        (&["/x: duplicate mount destination"], 125),
        (&["Duplicate mount point: /x"], 125),
    ),
    row(
        "volume rm data",
        (&["volume data is being used by the following container(s): MADE: volume is being used"], 2),
        (&["volume is in use - [MADE]"], 1),
    ),
    row(
        "rmi USED",
        (&["image used by MADE: image is in use by a container"], 2),
        (&["conflict: unable to", "(must be forced)", "image is being used by stopped container MADE"], 1),
    ),
    row(
        "rmi LIVE",
        (&["image is in use by a container"], 2),
        (&["conflict: unable to", "(cannot be forced)", "image is being used by running container"], 1),
    ),
    row(
        "run -p 127.0.0.1:PORT:80 busybox true",
        (&["127.0.0.1:PORT: bind: address already in use"], 125),
        (&["port is already allocated"], 125),
    ),
    row(
        "cp run:/nosuch .",
        (&["\"/nosuch\" could not be found on container run: no such file or directory"], 125),
        (&["Error response from daemon: Could not find the file /nosuch in container run"], 1),
    ),
    row(
        "cp /nosuch run:/",
        (&["\"/nosuch\" could not be found on the host"], 125),
        (&["Error: lstat /nosuch: no such file or directory"], 1),
    ),
    row(
        "cp tree run:/etc/passwd",
        (&["destination must be a directory when copying a directory"], 125),
        (&["Error: cannot copy directory"], 1),
    ),
    alike_code("cp - run:/etc/passwd", &["destination must be a directory when copying from stdin"], 125, 1),
    row(
        "cp tree/. run:/etc",
        (&["error creating \"/etc/passwd\": file exists"], 125),
        (&["cannot overwrite non-directory", "with directory"], 1),
    ),
    row(
        "cp run:/tmp/. tree",
        (&["error creating \"tree/file\": file exists"], 125),
        (&["cannot overwrite directory", "with non-directory"], 1),
    ),
    row(
        "pull NONE",
        (&["reading manifest 1 in REGISTRY/phrases/none: manifest unknown"], 125),
        (&["manifest for REGISTRY/phrases/none:1 not found: manifest unknown"], 1),
    ),
    alike_code(
        "pull --retry 0 127.0.0.1:1/x",
        &["pinging container registry 127.0.0.1:1", "connection refused"],
        125,
        1,
    ),
    alike_code("pull --retry 0 nosuch.invalid/x", &["no such host"], 125, 1),
    row(
        "run Upper",
        (&["invalid reference format: repository name must be lowercase"], 125),
        (&["invalid reference format: repository name (Upper) must be lowercase"], 125),
    ),
    alike_code("pull a:b:c", &["invalid reference format"], 125, 1),
    alike_code("untag USED other", &["other:latest: tag not known"], 125, 1),
    row(
        "volume create data",
        (&["volume with name data already exists: volume already exists"], 125),
        (&[], ANY),
    ),
    row("secret inspect nosuch", (&["no such secret"], 125), (&["secret nosuch not found"], 1)),
    row(
        "run --network nosuch busybox",
        (&["unable to find network with name or ID nosuch: network not found"], 125),
        (&["network nosuch not found"], 125),
    ),
    row(
        "run --network=none --mount type=bind,src=/nosuch,dst=/x busybox",
        (&["statfs /nosuch: no such file or directory"], 125),
        (&["bind source path does not exist: /nosuch"], 125),
    ),
    row(
        "run --rm --network=none --user nosuch busybox true",
        (&["unable to find user nosuch: no matching entries in passwd file"], 126),
        (&["unable to find user nosuch: no matching entries in passwd file"], 125),
    ),
    alike(
        "exec --user nosuch run true",
        &["unable to find user nosuch: no matching entries in passwd file"],
        126,
    ),
    alike_code("kill --signal nosuch run", &["invalid signal: nosuch"], 125, 125),
    alike_code("kill --signal 65 run", &["valid signals are 1 through 64"], 125, 125),
    alike_code("export -o /nosuch/x run", &["Error: create /nosuch/x: no such file or directory"], 125, 1),
    row(
        "load -i text",
        (&["payload does not match any of the supported image formats"], 125),
        (&["invalid tar header"], 1),
    ),
    row("rmi --all some", (&["cannot be set together"], 125), (&["conflicting options"], 125)),
    row("rm --all some", (&["no arguments are needed with --all"], 125), (&["--all"], 1)),
    row(
        "start --all some",
        (&["either start all containers or the container(s) provided in the arguments"], 125),
        (&["--all"], 1),
    ),
    row(
        "images --filter x",
        (&["invalid image filter \"x\": must be in the format \"filter=value or filter!=value\""], 125),
        (&["invalid filter 'x'"], 1),
    ),
    row("ps --filter foo=1", (&["foo is an invalid filter"], 125), (&["invalid filter 'foo'"], 1)),
    alike_code(
        "pull --authfile /nosuch x.invalid/x",
        &["credential file is not accessible: faccessat /nosuch: no such file or directory"],
        125,
        1,
    ),
    alike_code("stop --cidfile nosuch", &["reading CIDFile: open nosuch: no such file or directory"], 125, 1),
    row(
        "logs --since x run",
        (&["parsing --since \"x\": unable to interpret time value"], 125),
        (&["invalid value for \"since\""], 1),
    ),
    row(
        "events --since x --stream=false",
        (&["failed to parse event filters"], 125),
        (&["invalid value for \"since\""], 1),
    ),
    alike_code("healthcheck run run", &["has no defined healthcheck"], 125, 1),
    alike_code("update --health-retries 2 run", &["healthcheck command is not set"], 125, 1),
    row(
        "logs silent",
        (&["this container is using the 'none' log driver, cannot read logs"], 125),
        (&["configured logging driver does not support reading"], 1),
    ),
    row(
        "run --log-driver x busybox",
        (&["invalid log driver: invalid argument"], 125),
        (&["logger: no log driver named 'x' is registered"], 125),
    ),
    row(
        "run --pull x busybox",
        (&["unsupported pull policy \"x\""], 125),
        (&["invalid pull option: 'x'"], 125),
    ),
    row(
        "port run 81",
        (&["failed to find published port \"81/tcp\""], 125),
        (&["Error: No public port '81/tcp' published for run"], 1),
    ),
    row(
        "exec run",
        (&["must provide a non-empty command to start an exec session"], 125),
        (&["requires at least 2 arguments"], 1),
    ),
    row("update --restart x run", (&["x invalid restart policy"], 125), (&["invalid restart policy"], 125)),
    row(
        "create --restart x busybox",
        (&["is not a valid restart policy"], 125),
        (&["invalid restart policy"], 125),
    ),
    alike(
        "run --mount type=glob,src=/nosuch*,dst=/x busybox",
        &["no file paths matching glob \"/nosuch*\""],
        125,
    ),
    alike(
        "run --group-add keep-groups --group-add 5 busybox",
        &["the '--group-add keep-groups' option is not allowed with any other --group-add options"],
        125,
    ),
    row(
        "--log-level x ps",
        (&["Log Level \"x\" is not supported"], 1),
        (&["Unable to parse logging level: x"], 1),
    ),
];

/// Both say the same, and end with codes of their own.
const fn alike_code(words: &'static str, says: &'static [&'static str], podman: i32, docker: i32) -> Row {
    Row { words, podman: (says, podman), docker: (says, docker) }
}

/// What there is: a running container, created ones, a volume and an image in use, files.
fn scene() -> (TestEnv, Vec<(&'static str, String)>) {
    let env = TestEnv::with_images();
    let (used, _) = env.pulled(busybox().layer(Layer::new().file("used", 0o644, "")), "phrases/used");
    let none = ["--network", "none"];
    let with = |words: &[&str]| env.coracle(words).args(none);
    let id = |output: Output| output.text().to_owned();
    let idle = [
        "busybox",
        "sh",
        "-c",
        "mkdir -p /tmp/sub; : > /tmp/file; trap 'exit 0' TERM; while :; do sleep 0.05; done",
    ];
    let (live, _) = env.pulled(busybox().layer(Layer::new().file("live", 0o644, "")), "phrases/live");
    with(&["run", "-d", "--name", "live"]).args([&live, "sleep", "1000"]).ok();
    let run = id(with(&["run", "-d", "--name", "run"]).args(idle).ok());
    let made = id(with(&["create", "--name", "made", "-v", "data:/data"]).args([&used, "true"]).ok());
    with(&["create", "--name", "missing"]).args(["busybox", "nosuch"]).ok();
    with(&["create", "--name", "silent", "--log-driver", "none"]).args(["busybox", "true"]).ok();
    with(&["create", "--name", "needed"]).args(["busybox", "true"]).ok();
    with(&["create", "--name", "needing", "--requires", "needed"]).args(["busybox", "true"]).ok();
    eventually("the file in the container", || {
        env.coracle(["exec", "run", "test", "-e", "/tmp/file"]).run().code == 0
    });
    // A directory where the container has a file, and the other way round.
    std::fs::create_dir_all(env.path().join("tree/passwd")).unwrap();
    std::fs::create_dir_all(env.path().join("tree/file")).unwrap();
    env.file("text", "not an archive");
    let known = vec![
        ("RUN", run),
        ("MADE", made),
        ("USED", used),
        ("LIVE", live),
        ("NONE", shared_registry().reference("phrases/none", "1")),
        ("REGISTRY", shared_registry().address().to_owned()),
    ];
    (env, known)
}

#[test]
fn programs_find_the_words_and_codes_they_look_for() {
    let (env, mut known) = scene();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    known.push(("PORT", holder.local_addr().unwrap().port().to_string()));
    let filled =
        |text: &str| known.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value));
    let mut wrong = String::new();
    for Row { words, podman, docker } in ROWS {
        for (name, (says, code)) in [("podman", podman), ("docker", docker)] {
            let words: Vec<String> = words.split(' ').map(filled).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let output = env.called(name, &words).run();
            let one_line = output.stderr.lines().filter(|line| !line.starts_with("Hint: ")).count();
            let lacks: Vec<String> =
                says.iter().map(|text| filled(text)).filter(|text| !output.stderr.contains(text)).collect();
            let errors = output.stderr.lines().filter(|line| line.starts_with("Error"));
            let lines = errors.count().max(1);
            if output.code != *code && *code != ANY
                || !lacks.is_empty()
                || output.code != 0 && one_line != lines && !progress(&output)
            {
                wrong.push_str(&format!(
                    "{name} {}: code {} (wanted {code}), lacks {lacks:?}: {}",
                    words.join(" "),
                    output.code,
                    output.stderr
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    env.coracle(["rm", "-f", "-t", "0", "-a"]).ok();
}

/// Whether progress or a warning stands before the error.
fn progress(output: &Output) -> bool {
    output.stderr.lines().any(|line| {
        line.starts_with("Trying to pull") || line.starts_with("time=") || line.starts_with("WARNING: ")
    })
}

#[test]
fn warnings_have_the_form_and_the_words_of_each() {
    let env = TestEnv::with_images();
    let run = |name, options: &[&str]| {
        env.called(name, ["run", "--rm"]).args(options).args(["busybox", "true"]).ok().stderr
    };
    let ports = ["--network", "host", "-p", "8080:80"];
    let podman = run("podman", &ports);
    assert!(podman.starts_with("time=\"20"), "{podman}");
    let words = "level=warning msg=\"Port mappings have been discarded because \\\"host\\\" network namespace mode \
                 does not support them\"\n";
    assert!(podman.ends_with(words), "{podman}");
    let docker = run("docker", &ports);
    assert_eq!(docker, "WARNING: Published ports are discarded when using host network mode\n");
    let words = "The input device is not a TTY";
    assert!(run("podman", &["--network=none", "-it"]).contains(words));
    let score = run("podman", &["--network=none", "--oom-score-adj", "-1000"]);
    assert!(
        score.contains("Requested oom_score_adj=-1000 is lower than the current one, changing to "),
        "{score}"
    );
    let deaf = ["busybox", "sh", "-c", "trap '' TERM; : > /dev/shm/ready; while :; do sleep 0.05; done"];
    for (name, says) in [("podman", true), ("docker", false)] {
        env.coracle(["run", "-d", "--name", "deaf", "--network=none"]).args(deaf).ok();
        eventually("deafness", || {
            env.coracle(["exec", "deaf", "test", "-e", "/dev/shm/ready"]).run().code == 0
        });
        let words = "StopSignal SIGTERM failed to stop container deaf in 1 seconds, resorting to SIGKILL";
        let stopped = env.called(name, ["stop", "-t", "1", "deaf"]).ok();
        assert_eq!(stopped.stderr.contains(words), says, "{stopped}");
        assert!(says || stopped.stderr.is_empty(), "{stopped}");
        env.coracle(["start", "deaf"]).ok();
        eventually("deafness", || {
            env.coracle(["exec", "deaf", "test", "-e", "/dev/shm/ready"]).run().code == 0
        });
        let removed = env.called(name, ["rm", "-f", "-t", "1", "deaf"]).ok();
        assert_eq!(removed.stderr.contains(words), says, "{removed}");
    }
}

#[test]
fn archives_are_neither_typed_nor_shown() {
    let env = TestEnv::new();
    for (name, words, says) in [
        ("podman", "load", "cannot read from terminal, use command-line redirection or the --input flag"),
        ("docker", "load", "requested load from stdin, but stdin is empty"),
        ("podman", "save x", "cannot write to terminal, use command-line redirection or the --output flag"),
        ("docker", "save x", "cowardly refusing to save to a terminal"),
    ] {
        let words: Vec<&str> = words.split(' ').collect();
        let mut session = env.called(name, &words).pty();
        expectrl::Expect::expect(&mut session, says).unwrap();
    }
}

#[test]
fn hints_follow_the_line_of_the_error_and_can_be_left_out() {
    let env = TestEnv::new();
    let whole = env.coracle(["rm", "nosuch"]).fails(1).stderr;
    let error = "Error: no container with name or ID \"nosuch\" found: no such container\n";
    assert_eq!(whole, format!("{error}Hint: List containers: coracle ps -a\n"));
    assert_eq!(env.coracle(["rm", "nosuch"]).env("CORACLE_HINTS", "0").fails(1).stderr, error);
    assert_eq!(env.coracle(["rm", "nosuch"]).env("CORACLE_HINTS", "1").fails(1).stderr, whole);
    let cause = env.coracle(["run", "--env-file", "/nosuch", "x"]).env("CORACLE_HINTS", "0").fails(125);
    assert!(cause.stderr.starts_with("Error: --env-file: cannot read /nosuch: "), "{cause}");
    assert!(
        cause.stderr.ends_with(": no such file or directory\n") && cause.stderr.lines().count() == 1,
        "{cause}"
    );
}

#[test]
fn what_is_ignored_or_forced_may_be_missing() {
    let env = TestEnv::new();
    env.coracle(["rmi", "-f", "nosuch"]).ok();
    for verb in ["stop", "rm"] {
        env.coracle([verb, "--ignore", "--cidfile", "nosuch"]).ok();
        env.coracle([verb, "--cidfile", "nosuch"]).fails(125).says("reading CIDFile");
    }
}
