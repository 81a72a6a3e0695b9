mod runs;

use super::records::RUN_VERSION;
use super::*;
use crate::container::ExitRecord;
use crate::container::Name;
use crate::spec::network::{PortPublish, Protocol};
use crate::storage::boot::boot_id;
use crate::storage::testing::{hand_down, hands_down, spec};
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

struct Fixture {
    _dir: tempfile::TempDir,
    containers: Containers,
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let containers = Containers::new(dir.path(), &dir.path().join("run"));
    Fixture { _dir: dir, containers }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn trash(dir: &ContainerDir) -> PathBuf {
    dir.trash(&dir.lock().unwrap()).unwrap()
}

impl Fixture {
    fn make(&self, text: &str) -> ContainerDir {
        self.containers.create(&Containers::new_id().unwrap(), &name(text), &spec(text)).unwrap()
    }

    /// Starts this test binary again as a helper that does `role` and writes a line when it has.
    fn helper(&self, role: &str, what: &str) -> (Child, String) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "storage::containers::tests::helper_process", "--ignored", "--nocapture"])
            .env("CORACLE_TEST_HELPER", format!("{}\n{role}\n{what}", self.containers.data.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let said = loop {
            let mut line = String::new();
            assert!(out.read_line(&mut line).unwrap() > 0, "the helper failed");
            if let Some((_, said)) = line.split_once("helper:") {
                break said.trim_end().to_owned();
            }
        };
        // Kept open, for the test runner in there has more to say.
        child.stdout = Some(out.into_inner());
        (child, said)
    }
}

fn run_record(run: u64, monitor: u32) -> RunRecord {
    RunRecord {
        version: RUN_VERSION,
        run,
        monitor: ProcessRef::of(monitor as i32).unwrap(),
        init: ProcessRef { pid: 0, start_time: 0 },
        boot_id: boot_id(),
        started: Utc::now(),
        ports: vec![],
        networks: vec![],
        paused: false,
        restarts: 0,
        root: None,
    }
}

fn exit_record(run: u64, code: u8) -> ExitRecord {
    let now = Utc::now();
    ExitRecord {
        run,
        code,
        signal: None,
        oom_killed: false,
        error: None,
        never_ran: false,
        started: now,
        finished: now,
        restart_at: None,
    }
}

/// Not a test: what the tests below start as other processes.
#[test]
#[ignore = "started by other tests"]
fn helper_process() {
    let Ok(orders) = std::env::var("CORACLE_TEST_HELPER") else { return };
    let orders: Vec<&str> = orders.splitn(3, '\n').collect();
    let data = Path::new(orders[0]);
    let containers = Containers::new(data, &data.join("run"));
    let say = |text: &str| {
        let mut out = std::io::stdout();
        out.write_all(format!("\nhelper:{text}\n").as_bytes()).unwrap();
        out.flush().unwrap();
    };
    match orders[1] {
        // Hold `alive` until killed or told to go on; then end the run.
        role @ ("monitor" | "starting monitor") => {
            let dir = containers.find(orders[2]).unwrap();
            let alive = dir.hold_to_start().unwrap();
            let run = dir.next_run(ProcessRef { pid: 0, start_time: 0 }).unwrap();
            dir.write_run(&run).unwrap();
            if role == "monitor" {
                alive.say(Stage::Runs).unwrap();
            }
            say("ready");
            std::io::stdin().read_line(&mut String::new()).unwrap();
            dir.write_exit(&exit_record(run.run, 3)).unwrap();
        }
        // Take as many of these names as possible, removing every second container again.
        "grab" => {
            let mut won = Vec::new();
            for round in 0..60 {
                for text in orders[2].split(' ') {
                    let made = containers.create(&Containers::new_id().unwrap(), &name(text), &spec(text));
                    match made {
                        Ok(dir) if round % 2 == 0 => drop(trash(&dir)),
                        Ok(dir) => won.push(dir.id().to_string()),
                        Err(e) => assert_eq!(e.kind(), Kind::Conflict, "{e} {:?}", e.causes()),
                    }
                }
            }
            say(&won.join(" "));
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_container_is_found_by_name_id_and_prefix() {
    let f = fixture();
    let dir = f.make("web");
    let id = dir.id().clone();
    for text in ["web", id.as_str(), id.short(), &id.as_str()[..3]] {
        assert_eq!(f.containers.find(text).unwrap().id(), &id, "{text}");
    }
    for text in ["", "we", "../web", "zz", &"0".repeat(64), "a/b"] {
        assert_eq!(f.containers.find(text).unwrap_err().kind(), Kind::NotFound, "{text:?}");
    }
    assert_eq!(dir.spec().unwrap().name, name("web"));
    assert_eq!(dir.settings().unwrap().name, name("web"));
    let list = f.containers.list().unwrap();
    assert_eq!((list[0].name.as_str(), list[0].status), ("web", Status::Created));
    assert_eq!(list[0].command, "sh -c true");
    assert_eq!(list[0].ports[0].host_port, 8080);
    let bytes = std::fs::metadata(dir.path().join("summary")).unwrap().len();
    assert!(bytes < 512, "{bytes}");
}

#[test]
fn an_ambiguous_prefix_is_refused_and_a_name_wins_over_a_prefix() {
    let f = fixture();
    for end in ["0", "1"] {
        let id = format!("abc{}{end}", "0".repeat(60)).parse().unwrap();
        f.containers.create(&id, &name(&format!("n{end}")), &spec("x")).unwrap();
    }
    assert_eq!(f.containers.find("abc").unwrap_err().kind(), Kind::Conflict);
    let named = f.make("abc");
    assert_eq!(f.containers.find("abc").unwrap().id(), named.id());
}

#[test]
fn a_name_in_use_is_refused_and_nothing_is_left() {
    let f = fixture();
    f.make("web");
    let refused = f.containers.create(&Containers::new_id().unwrap(), &name("web"), &spec("web"));
    let error = refused.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.hints()[0].contains("--replace"));
    assert_eq!(f.containers.list().unwrap().len(), 1);
    assert_eq!(f.containers.ids().unwrap().len(), 1);
}

#[test]
fn a_name_whose_container_is_gone_or_half_made_is_taken_over() {
    let f = fixture();
    let gone = f.make("web");
    std::fs::remove_dir_all(gone.path()).unwrap();
    let half = f.make("web");
    std::fs::remove_file(half.path().join("summary")).unwrap();
    assert!(f.containers.list().unwrap().is_empty());
    // While its creator works it keeps the name.
    let working = half.lock().unwrap();
    assert!(f.containers.create(&Containers::new_id().unwrap(), &name("web"), &spec("web")).is_err());
    drop(working);
    let third = f.make("web");
    assert_eq!(f.containers.find("web").unwrap().id(), third.id());
    assert!(!half.path().exists());
    // Rubbish in the place of a link does not block a name forever.
    std::fs::write(f.containers.data.join("names/odd"), "").unwrap();
    std::os::unix::fs::symlink("/etc", f.containers.data.join("names/odd2")).unwrap();
    f.make("odd");
    f.make("odd2");
    assert!(Path::new("/etc").is_dir());
}

#[test]
fn what_a_killed_creator_or_remover_left_is_collected_at_once() {
    let f = fixture();
    let (kept, half) = (f.make("kept"), f.make("half"));
    std::fs::remove_file(half.path().join("summary")).unwrap();
    // While somebody is at work in it, it stays.
    let working = half.lock().unwrap();
    assert_eq!(f.containers.collect_half_made().unwrap(), 0);
    drop(working);
    assert_eq!(f.containers.collect_half_made().unwrap(), 1);
    assert!(kept.in_place() && !half.in_place());
    assert!(f.containers.find("half").is_err());
    assert_eq!(f.containers.collect_stray_names().unwrap(), 1);
    assert!(std::fs::symlink_metadata(f.containers.data.join("names/half")).is_err());
    assert_eq!(f.containers.find("kept").unwrap().id(), kept.id());
}

/// A creator works aside; what it leaves when it is killed is told from what it makes by its lock.
#[test]
fn a_container_in_the_making_is_seen_by_nobody_and_keeps_its_name() {
    let f = fixture();
    let id = Containers::new_id().unwrap();
    let made = f.containers.create_with(&id, &name("web"), &spec("web"), |_| {
        let aside = f.containers.data.join("containers").join(half_made::aside(&id));
        assert!(aside.join("summary").exists());
        assert!(f.containers.list().unwrap().is_empty() && f.containers.ids().unwrap().is_empty());
        assert_eq!(f.containers.collect_half_made().unwrap(), 0);
        // As between the link and the rename.
        let links = Place::make(&f.containers.data.join(NAMES)).unwrap();
        f.containers.take_name(&links, &name("web"), &id).unwrap();
        let other = f.containers.create(&Containers::new_id().unwrap(), &name("web"), &spec("web"));
        assert_eq!(other.unwrap_err().kind(), Kind::Conflict);
        assert_eq!(f.containers.collect_stray_names().unwrap(), 0);
        std::fs::remove_file(f.containers.data.join("names/web")).unwrap();
        Ok(())
    });
    assert_eq!(f.containers.find("web").unwrap().id(), made.unwrap().id());

    let killed = Containers::new_id().unwrap();
    let aside = f.containers.data.join("containers").join(half_made::aside(&killed));
    std::fs::create_dir(&aside).unwrap();
    // Its maker may be about to take the lock.
    assert_eq!(f.containers.collect_half_made().unwrap(), 0);
    std::fs::write(aside.join("lock"), "0 0\n").unwrap();
    let links = Place::open(&f.containers.data.join(NAMES)).unwrap();
    f.containers.take_name(&links, &name("killed"), &killed).unwrap();
    f.make("killed");
    assert!(!aside.exists(), "who takes the name over takes the rest away");
    std::fs::create_dir(&aside).unwrap();
    std::fs::write(aside.join("lock"), "0 0\n").unwrap();
    assert_eq!(f.containers.collect_half_made().unwrap(), 1);
    assert!(!aside.exists());
}

#[test]
fn a_creator_that_is_refused_leaves_nothing() {
    let f = fixture();
    let id = Containers::new_id().unwrap();
    let failed = f
        .containers
        .create_with(&id, &name("web"), &spec("web"), |_| Err(Error::new(Kind::Storage, "no room")));
    assert!(failed.unwrap_err().in_one_line().contains("no room"));
    assert_eq!(std::fs::read_dir(f.containers.data.join("containers")).unwrap().count(), 0);
    assert!(!f.containers.data.join("names/web").exists());
}

#[test]
fn what_a_killed_remover_left_is_not_listed_again() {
    let f = fixture();
    let half = f.make("half");
    half.write_run(&run_record(1, std::process::id())).unwrap();
    std::fs::remove_file(half.path().join("summary")).unwrap();
    assert!(!half.is_listed());
    // The process that opened it earlier cleans up after a dead monitor.
    half.write_exit(&exit_record(1, 3)).unwrap();
    assert!(!half.is_listed() && f.containers.list().unwrap().is_empty());
}

#[test]
fn names_are_unique_when_many_processes_race() {
    let f = fixture();
    let names = "a b c d e";
    let helpers: Vec<_> = std::thread::scope(|scope| {
        let started: Vec<_> = (0..6).map(|_| scope.spawn(|| f.helper("grab", names))).collect();
        started.into_iter().map(|h| h.join().unwrap()).collect()
    });
    let mut won = BTreeSet::new();
    for (mut child, ids) in helpers {
        assert!(child.wait().unwrap().success());
        won.extend(ids.split_ascii_whitespace().map(str::to_owned));
    }
    let list = f.containers.list().unwrap();
    let held: BTreeSet<String> = list.iter().map(|s| s.name.clone()).collect();
    assert_eq!(list.len(), held.len(), "two containers with one name");
    assert_eq!(list.iter().map(|s| s.id.to_string()).collect::<BTreeSet<_>>(), won);
    for text in names.split(' ') {
        let dir = f.containers.find(text).unwrap();
        assert_eq!(dir.settings().unwrap().name.as_str(), text);
    }
    assert_eq!(f.containers.ids().unwrap().len(), won.len());
}

#[test]
fn case_37_after_a_reboot_a_recycled_pid_is_left_alone() {
    let f = fixture();
    let dir = f.make("web");
    let mut stranger = Command::new("sleep").arg("1000").spawn().unwrap();
    // Another boot with the same numbers, then the same boot with another start time.
    let mut run = run_record(1, stranger.id());
    run.init = run.monitor;
    run.boot_id = "another".into();
    dir.write_run(&run).unwrap();
    assert!(run.open_init().is_none() && run.open_monitor().is_none());
    assert_eq!(dir.status(), Status::Crashed);
    assert!(dir.finish_dead().unwrap().unwrap().error.unwrap().contains("restarted"));
    let mut run = run_record(2, stranger.id());
    run.init.pid = run.monitor.pid;
    run.init.start_time = run.monitor.start_time + 1;
    dir.write_run(&run).unwrap();
    assert!(dir.finish_dead().unwrap().unwrap().error.unwrap().contains("monitor died"));
    assert!(stranger.try_wait().unwrap().is_none(), "the stranger was killed");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn torn_records_hide_nothing_and_never_panic() {
    let f = fixture();
    let dir = f.make("web");
    dir.write_run(&run_record(1, std::process::id())).unwrap();
    dir.write_exit(&exit_record(1, 7)).unwrap();
    for torn in ["", "{", "{\"v\":1,\"na", "null", "[]", "\0\0\0"] {
        std::fs::write(dir.path().join("summary"), torn).unwrap();
        let list = f.containers.list().unwrap();
        assert_eq!((list[0].name.as_str(), list[0].code), ("web", Some(7)), "{torn:?}");
        std::fs::write(dir.path().join("settings.json"), torn).unwrap();
        assert_eq!(f.containers.list().unwrap()[0].name, "web", "{torn:?}");
    }
    for file in ["plan.json", "run.json", "exit.json", "settings.json", "summary"] {
        std::fs::write(dir.path().join(file), "{").unwrap();
    }
    let list = f.containers.list().unwrap();
    assert_eq!((list.len(), list[0].status), (1, Status::Created));
    assert_eq!(list[0].created, DateTime::<Utc>::default());
    assert!(dir.spec().unwrap_err().hints()[0].contains("rm -f"));
    let id = dir.id().clone();
    trash(&f.containers.find(id.short()).unwrap());
    assert!(f.containers.list().unwrap().is_empty());
    // The name whose link outlived the records is free.
    f.make("web");
}

#[test]
fn what_is_in_the_trash_has_nothing_in_the_runtime_directory() {
    let f = fixture();
    let dir = f.make("web");
    let pipe = dir.hold_end().unwrap();
    let fifo = dir.socket_path().with_extension("end");
    std::fs::write(dir.socket_path(), "").unwrap();
    assert!(fifo.exists());
    trash(&dir);
    assert!(!fifo.exists() && !dir.socket_path().exists());
    drop(pipe);
}

/// A command that was killed before its container was listed may have started a monitor, which was killed too.
#[test]
fn what_is_collected_half_made_has_nothing_in_the_runtime_directory() {
    let f = fixture();
    let dir = f.make("web");
    std::mem::forget(dir.hold_end());
    std::fs::write(dir.socket_path(), "").unwrap();
    std::fs::remove_file(dir.path().join("summary")).unwrap();
    assert_eq!(f.containers.collect_half_made().unwrap(), 1);
    assert!(!dir.socket_path().exists() && !dir.socket_path().with_extension("end").exists());
}

#[test]
fn records_are_replaced_whole_and_what_they_replace_is_gone() {
    let f = fixture();
    let dir = f.make("web");
    dir.write_run(&run_record(1, std::process::id())).unwrap();
    dir.write_exit(&exit_record(1, 7)).unwrap();
    assert_eq!(f.containers.list().unwrap()[0].code, Some(7));
    let mut names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().flatten().map(|e| e.file_name()).collect();
    names.sort();
    // What the plan says of settings is not said twice.
    assert_eq!(names, ["claim", "exit.json", "lock", "plan.json", "run.json", "summary", "upper", "work"]);
    // A command that was killed had not come to remove what it replaced.
    let left = dir.path().join(format!(".summary.{}", std::process::id()));
    std::fs::write(&left, "{").unwrap();
    dir.write_run(&run_record(2, std::process::id())).unwrap();
    assert!(!left.exists());
    assert_eq!(f.containers.list().unwrap()[0].run, 2);
}

#[test]
fn a_root_has_the_mode_of_a_root_whatever_is_handed_down() {
    let f = fixture();
    if !hand_down(&f.containers.data) {
        return;
    }
    let upper = f.make("web").upper();
    assert!(!hands_down(&upper));
    assert_eq!(std::fs::metadata(upper).unwrap().permissions().mode() & 0o7777, 0o755);
}

#[test]
fn a_name_that_the_plan_does_not_say_is_kept() {
    let f = fixture();
    let dir = f.containers.create(&Containers::new_id().unwrap(), &name("for-now"), &spec("web")).unwrap();
    assert_eq!(dir.settings().unwrap().name, name("for-now"));
    assert_eq!(f.containers.list().unwrap()[0].name, "for-now");
}

#[test]
fn what_does_not_fit_the_summary_is_read_from_the_records() {
    let f = fixture();
    let long = "n".repeat(255);
    let mut plan = spec(&long);
    plan.process.argv = vec!["x".repeat(5000)];
    plan.image.as_mut().unwrap().reference = format!("docker.io/{}", "i".repeat(200));
    let port = plan.network.ports.remove(0);
    plan.network.ports = (1..=300)
        .map(|number| PortPublish {
            host_ip: Some("127.0.0.1".parse().unwrap()),
            host_port: number,
            protocol: Protocol::Udp,
            ..port.clone()
        })
        .collect();
    let dir = f.containers.create(&Containers::new_id().unwrap(), &name(&long), &plan).unwrap();
    let check = |f: &Fixture| {
        assert!(std::fs::metadata(dir.path().join("summary")).unwrap().len() < 512);
        let listed = f.containers.list().unwrap().remove(0);
        assert_eq!((listed.name.len(), listed.command.len(), listed.ports.len()), (255, 5000, 300));
        assert_eq!(listed.image.len(), 210);
    };
    check(&f);
    let mut run = run_record(1, std::process::id());
    run.ports = plan.network.ports.iter().map(PortRecord::from).collect();
    dir.write_run(&run).unwrap();
    dir.write_exit(&exit_record(1, 0)).unwrap();
    check(&f);
}

#[test]
fn trash_frees_the_name_and_two_may_try() {
    let f = fixture();
    let dir = f.make("web");
    let same = f.containers.find("web").unwrap();
    let path = trash(&dir);
    assert!(path.join("plan.json").exists());
    let next = f.make("web");
    trash(&same);
    assert_eq!(f.containers.find("web").unwrap().id(), next.id(), "the late one took the new one's name");
}

#[test]
fn the_lock_of_a_container_that_went_meanwhile_says_so() {
    let f = fixture();
    let dir = f.make("brief");
    let opened = f.containers.find("brief").unwrap();
    std::fs::remove_dir_all(trash(&dir)).unwrap();
    let error = opened.lock().unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound, "{error}");
    assert!(error.message().ends_with("was removed in the meantime"), "{error}");
}

#[test]
fn the_exit_note_outlives_the_directory() {
    let f = fixture();
    let dir = f.make("web");
    let note = dir.exit_note().unwrap();
    assert_eq!(note.code(1), None);
    dir.write_exit(&exit_record(10, 200)).unwrap();
    dir.write_exit(&exit_record(11, 3)).unwrap();
    std::fs::remove_dir_all(trash(&dir)).unwrap();
    assert_eq!((note.code(10), note.code(11), note.code(12)), (Some(3), Some(3), None));
}

#[test]
fn settings_of_a_newer_program_survive() {
    let f = fixture();
    let dir = f.make("web");
    std::fs::write(dir.path().join("settings.json"), r#"{"version":9,"name":"web","restart":"always"}"#)
        .unwrap();
    let mut settings = dir.settings().unwrap();
    settings.name = name("renamed");
    let lock = dir.lock().unwrap();
    dir.set_settings(&settings).unwrap();
    drop(lock);
    let text = std::fs::read_to_string(dir.path().join("settings.json")).unwrap();
    assert!(text.contains("\"restart\":\"always\""), "{text}");
    assert_eq!(f.containers.list().unwrap()[0].name, "renamed");
}

#[test]
fn exec_records_come_and_go() {
    let f = fixture();
    let dir = f.make("web");
    assert!(dir.execs().unwrap().is_empty());
    let exec = ExecRecord {
        id: Containers::new_id().unwrap(),
        run: 1,
        process: ProcessRef::own(),
        argv: vec!["sh".into()],
        code: None,
        finished: None,
    };
    dir.write_exec(&exec).unwrap();
    assert_eq!(dir.execs().unwrap(), std::slice::from_ref(&exec));
    dir.tidy_execs(1);
    assert_eq!(dir.execs().unwrap().len(), 1);
    dir.tidy_execs(2);
    assert!(dir.execs().unwrap().is_empty(), "of another run");
    let dead = ProcessRef { pid: i32::MAX, start_time: 1 };
    dir.write_exec(&ExecRecord { process: Some(dead), ..exec.clone() }).unwrap();
    dir.tidy_execs(1);
    assert!(dir.execs().unwrap().is_empty(), "nobody saw it end");
    let ended = |minutes| Some(chrono::Utc::now() - chrono::Duration::minutes(minutes));
    dir.write_exec(&ExecRecord { code: Some(3), finished: ended(1), ..exec.clone() }).unwrap();
    dir.tidy_execs(1);
    assert_eq!(dir.execs().unwrap().len(), 1);
    dir.write_exec(&ExecRecord { code: Some(3), finished: ended(6), ..exec.clone() }).unwrap();
    dir.tidy_execs(1);
    assert!(dir.execs().unwrap().is_empty(), "ended long ago");
    dir.write_exec(&exec).unwrap();
    dir.remove_exec(&exec.id).unwrap();
    dir.remove_exec(&exec.id).unwrap();
    assert!(dir.execs().unwrap().is_empty());
}

#[test]
fn random_names_are_names() {
    let f = fixture();
    for _ in 0..20 {
        assert!(f.containers.unused_name().unwrap().as_str().contains('_'));
    }
}

/// `rename` writes three things: the new name's link, the settings, the summary; then the old link goes.
#[test]
fn a_rename_that_was_killed_shows_no_name_twice_and_can_be_repeated() {
    let f = fixture();
    let dir = f.make("old");
    let killed_after_settings = || {
        let settings = Settings { name: name("new"), ..dir.settings().unwrap() };
        files::replace_json(dir.fd(), "settings.json", &settings).unwrap();
    };
    let links = Place::open(&f.containers.data.join(NAMES)).unwrap();
    f.containers.take_name(&links, &name("new"), dir.id()).unwrap();
    killed_after_settings();
    // It is found by either name until somebody says what is to be.
    assert_eq!(f.containers.find("old").unwrap().id(), f.containers.find("new").unwrap().id());
    let names = || {
        let mut names: Vec<_> = f.containers.list().unwrap().into_iter().map(|s| s.name).collect();
        names.sort();
        names
    };
    f.make("old");
    assert_eq!(names(), ["new", "old"]);

    f.containers.rename(&dir, &name("third")).unwrap();
    f.containers.take_name(&links, &name("new"), dir.id()).unwrap();
    killed_after_settings();
    assert_eq!(f.containers.rename(&dir, &name("new")).unwrap(), name("third"));
    assert_eq!(names(), ["new", "old"]);
    assert!(f.containers.find("third").is_err());
    let again = f.containers.rename(&dir, &name("new")).unwrap_err();
    assert_eq!(again.kind(), Kind::Conflict);
}
