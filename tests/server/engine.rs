//! The engine as an API or a builder calls it: typed requests and results, no command line, no standard streams.

use super::reap;

use crate::common::{Registry, TestEnv, busybox, eventually};
use coracle::container::Signal;
use coracle::engine::Engine;
use coracle::engine::containers::copy::{self, Place};
use coracle::engine::containers::exec::{self, ExecRequest};
use coracle::engine::containers::logs::{Logs, LogsRequest};
use coracle::engine::containers::start::{self, attach, start};
use coracle::engine::containers::{self, CreateRequest, Created, Running, Started, Stopped};
use coracle::engine::events::{Events, EventsRequest};
use coracle::engine::images::commit::{self, CommitRequest};
use coracle::engine::images::pull::Wanted;
use coracle::error::Result;
use coracle::fork;
use coracle::host::Caller;
use coracle::plan::Request;
use coracle::plan::request::{NetworkRequest, ProcessRequest};
use coracle::runtime::connection::{Connection, Output};
use coracle::spec::NetworkMode;
use coracle::storage::Store;
use coracle::storage::archive::Family;
use coracle::storage::containers::ContainerDir;
use nix::poll::{PollFd, PollTimeout, poll};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

/// What a front end holds.
struct Server {
    env: TestEnv,
    store: Store,
    image: String,
    /// Monitors are children of a process that does not end.
    monitors: Vec<Pid>,
    _registry: Registry,
}

impl Server {
    fn new() -> Server {
        let env = TestEnv::new();
        let registry = Registry::start();
        env.use_registry(registry.address());
        busybox().push(&registry, "library/busybox", "1");
        let image = "busybox:1".to_owned();
        let store = Store::open(&env.root(), &env.runroot(), &[]).unwrap();
        eventually("threads of the fixtures are gone", fork::single_threaded);
        Server { env, store, image, monitors: Vec::new(), _registry: registry }
    }

    fn config(&self) -> PathBuf {
        self.env.home().join(".config")
    }

    fn caller(&self) -> Caller {
        Caller { cwd: self.env.path().to_owned(), hostname: "laptop".to_owned(), ..Caller::default() }
    }

    fn create(&self, name: &str, script: &str, change: impl FnOnce(&mut Request)) -> Created {
        let mut request = Request {
            name: Some(name.parse().unwrap()),
            process: ProcessRequest {
                command: ["sh", "-c", script].map(str::to_owned).to_vec(),
                ..ProcessRequest::default()
            },
            network: NetworkRequest { mode: NetworkMode::None, ..NetworkRequest::default() },
            ..Request::default()
        };
        change(&mut request);
        let wanted = CreateRequest {
            pod: None,
            request,
            image: Some((self.image.clone(), Wanted::default())),
            requires: Vec::new(),
            cidfile: None,
            replace: false,
            start: true,
        };
        let engine = Engine {
            store: &self.store,
            config: &self.config(),
            docker: None,
            daemon: None,
            network: None,
            accelerate: false,
            choose: None,
        };
        containers::create(engine, wanted, self.caller(), &mut |_| {}).unwrap()
    }

    /// Runs what was created; attached when that is wanted.
    fn run(&mut self, created: &mut Created, attach: bool) -> Running {
        let mut get_ready = || Ok(());
        let attach = attach.then_some(&mut get_ready as start::GetReady<'_>);
        let Started { running, records } = containers::run(&self.store, created, attach).unwrap();
        records.reach_disk().unwrap();
        self.note(&created.dir);
        running
    }

    fn copy(&self, from: Place<'_>, to: Place<'_>) {
        let request = copy::Request { from, to, archive: true, overwrite: false, follow: true };
        copy::copy(&self.store, &request).unwrap();
    }

    fn note(&mut self, dir: &ContainerDir) {
        let monitor = dir.run_record().unwrap().unwrap().monitor;
        self.monitors.push(Pid::from_raw(monitor.pid));
    }

    fn stop(&self, dir: &ContainerDir) -> Stopped {
        containers::stop(&self.store, dir, Signal::KILL.number(), Some(Duration::ZERO)).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            reap(&self.monitors);
        }
    }
}

/// Everything that comes over a connection: standard output, standard error, and the exit code.
fn all_of(mut connection: Connection) -> (String, String, Option<u8>) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    loop {
        match connection.await_output().unwrap() {
            Output::Stdout(bytes) => out.extend_from_slice(bytes),
            Output::Stderr(bytes) => err.extend_from_slice(bytes),
            Output::Exited(code) => return (text(out), text(err), Some(code)),
            Output::Lost => return (text(out), text(err), None),
        }
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

fn inside<'a>(dir: &'a ContainerDir, path: &str) -> Place<'a> {
    Place::Container(dir, PathBuf::from(path), "it")
}

/// The next line of a log that is followed.
fn next_line(logs: &mut Logs<'_>) -> Option<String> {
    loop {
        if let Some(line) = logs.read().unwrap() {
            return Some(text(line.text.to_vec()));
        }
        if !logs.wait() {
            return None;
        }
    }
}

pub(super) fn containers_are_driven_without_a_command_line() {
    let mut server = Server::new();
    let mut events =
        Events::open(&server.store, EventsRequest { stream: true, ..Default::default() }).unwrap();

    let mut told = 0;
    let engine = Engine {
        store: &server.store,
        config: &server.config(),
        docker: None,
        daemon: None,
        network: None,
        accelerate: false,
        choose: None,
    };
    let image = engine.ensure(&server.image, &Wanted::default(), &mut |_| told += 1).unwrap();
    assert!(told > 0, "a pull tells how far it is");

    let mut one = server.create("one", "read line; echo got $line; cat /in >&2; exit 7", |r| r.stdin = true);
    let host = server.env.file("in", "from outside\n");
    server.copy(Place::Host(host), inside(&one.dir, "/in"));
    let mut running = server.run(&mut one, true);
    let connection = running.connection.as_mut().unwrap();
    connection.begin_input();
    connection.input(b"hello\n");
    connection.end_input();
    let mut shown = Vec::new();
    let mut show = |output: Output<'_>| -> Result<()> {
        match output {
            Output::Stdout(bytes) => shown.push((1, text(bytes.to_vec()))),
            Output::Stderr(bytes) => shown.push((2, text(bytes.to_vec()))),
            _ => {}
        }
        Ok(())
    };
    assert_eq!(running.follow(&server.store, &one.dir, &mut show).unwrap(), 7);
    shown.sort();
    assert_eq!(shown, [(1, "got hello\n".to_owned()), (2, "from outside\n".to_owned())]);
    let mut logs = Logs::open(
        &server.store,
        vec![containers::find(&server.store, "one").unwrap()],
        LogsRequest::default(),
    )
    .unwrap();
    let kept: BTreeSet<String> = std::iter::from_fn(|| next_line(&mut logs)).collect();
    assert_eq!(kept, ["from outside", "got hello"].map(str::to_owned).into());
    let out = server.env.path().join("out");
    server.copy(inside(&one.dir, "/etc/passwd"), Place::Host(out.clone()));
    assert!(std::fs::read_to_string(out).unwrap().contains("root:"));
    assert_eq!(server.stop(&one.dir), Stopped::AlreadyStopped);

    let wanted = CommitRequest {
        name: Some("made".parse().unwrap()),
        author: None,
        message: None,
        changes: Vec::new(),
        family: Family::Oci,
        include_volumes: false,
        pause: false,
        squash: false,
    };
    let id = commit::commit(&server.store, "one", &wanted).unwrap();
    let made = server.store.images().find("made").unwrap().unwrap();
    assert_eq!((made.id, made.layers.len()), (id, image.layers.len() + 1));

    let mut two = server.create("two", "echo one; until [ -e /go ]; do sleep 0.02; done; echo two", |_| {});
    assert!(server.run(&mut two, false).connection.is_none());
    assert!(start(&server.store, &two.dir, None).unwrap().already);
    let follow = LogsRequest { follow: true, ..LogsRequest::default() };
    let mut logs =
        Logs::open(&server.store, vec![containers::find(&server.store, "two").unwrap()], follow).unwrap();
    assert_eq!(next_line(&mut logs).as_deref(), Some("one"));
    let connection = attach(&two.dir, &mut || Ok(())).unwrap().connection.unwrap();
    let caller = server.caller();
    let touch = ExecRequest { argv: vec!["touch".into(), "/go".into()], ..Default::default() };
    let made = exec::create(&server.store, &two.dir, touch, &caller).unwrap();
    assert!(two.dir.execs().unwrap().is_empty(), "{} is not started yet", made.id());
    let ended = all_of(made.start(true).unwrap().unwrap());
    assert_eq!(ended, (String::new(), String::new(), Some(0)));
    assert_eq!(next_line(&mut logs).as_deref(), Some("two"));
    assert_eq!(next_line(&mut logs), None);
    assert_eq!(all_of(connection), ("two\n".to_owned(), String::new(), Some(0)));

    let told = ["pull", "create", "died", "commit", "attach", "exec", "exec_died"];
    let seen = std::iter::from_fn(|| events.read().unwrap()).map(|event| event.status.as_str());
    let seen: Vec<&str> = seen.filter(|status| told.contains(status)).collect();
    assert_eq!(
        seen,
        ["pull", "create", "attach", "died", "commit", "create", "attach", "exec", "exec_died", "died"],
        "each change tells of itself, in its order"
    );
}

pub(super) fn each_line_of_several_logs_is_given_once() {
    let server = Server::new();
    let write = |name: &str, lines: &str| {
        let made = server.create(name, "true", |_| {});
        let path = server.env.root().join("containers").join(made.dir.id().as_str()).join("log");
        std::fs::write(&path, lines).unwrap();
        (path, made.dir)
    };
    let (path, short) =
        write("short", "2026-01-01T00:00:00.0Z stdout F whole\n2026-01-01T00:00:01.0Z stdout F cut");
    let (_, long) =
        write("long", "2026-01-01T00:00:02.0Z stdout F first\n2026-01-01T00:00:03.0Z stdout F second\n");
    let mut logs = Logs::open(&server.store, vec![short, long], LogsRequest::default()).unwrap();
    let mut given = Vec::new();
    while let Some(line) = next_line(&mut logs) {
        if line == "cut" {
            // Its writer goes on.
            let mut log = OpenOptions::new().append(true).open(&path).unwrap();
            log.write_all(b" short\n2026-01-01T00:00:04.0Z stdout F later\n").unwrap();
        }
        given.push(line);
    }
    assert_eq!(given, ["whole", "cut", "first", "second"]);
}

pub(super) fn several_are_followed_at_once() {
    let mut server = Server::new();
    let mut made: Vec<Created> = (0..4)
        .map(|n| server.create(&format!("c{n}"), "read x; echo $x; exit $x", |r| r.stdin = true))
        .collect();
    let mut open: Vec<(usize, Running)> = Vec::new();
    for (n, created) in made.iter_mut().enumerate() {
        open.push((n, server.run(created, true)));
    }
    // And processes beside the first ones, of one and the same container.
    let caller = server.caller();
    let mut processes: Vec<(usize, Connection)> = (0..3)
        .map(|n| {
            let argv = ["sh", "-c", "read x; echo exec $x; exit $x"].map(str::to_owned).to_vec();
            let request = ExecRequest { argv, stdin: true, ..Default::default() };
            let exec = exec::create(&server.store, &made[3].dir, request, &caller).unwrap();
            (n, exec.start(true).unwrap().unwrap())
        })
        .collect();
    for (n, connection) in processes.iter_mut().rev() {
        connection.begin_input();
        connection.input(format!("{}\n", *n + 10).as_bytes());
    }
    for (n, connection) in processes {
        assert_eq!(all_of(connection), (format!("exec {}\n", n + 10), String::new(), Some(n as u8 + 10)));
    }
    for (n, running) in open.iter_mut().rev() {
        let connection = running.connection.as_mut().unwrap();
        connection.begin_input();
        connection.input(format!("{n}\n").as_bytes());
    }
    // Whoever has something to say is heard first.
    let mut ended = BTreeSet::new();
    let mut output = vec![String::new(); open.len()];
    while ended.len() < open.len() {
        let connections = open.iter().filter_map(|(_, running)| running.connection.as_ref());
        let mut fds: Vec<PollFd<'_>> = connections.map(|c| PollFd::new(c.as_fd(), c.interest())).collect();
        poll(&mut fds, PollTimeout::NONE).unwrap();
        for (n, running) in &mut open {
            match running.connection.as_mut().unwrap().receive().unwrap() {
                Some(Output::Stdout(bytes)) => output[*n].push_str(&text(bytes.to_vec())),
                Some(Output::Exited(code)) => assert!(ended.insert((*n, code))),
                Some(other) => assert!(ended.iter().any(|(e, _)| e == n), "{n}: {other:?}"),
                None => {}
            }
        }
    }
    assert_eq!(output, ["0\n", "1\n", "2\n", "3\n"]);
    assert_eq!(ended, (0..4).map(|n| (n, n as u8)).collect());
    for (n, running) in open {
        assert_eq!(running.code(&server.store, &made[n].dir, Some(n as u8)).unwrap(), n as u8);
    }
}
