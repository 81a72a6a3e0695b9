//! What is seen of a run while its monitor lives, and afterwards.

use super::*;

#[test]
fn a_run_is_seen_from_start_to_end() {
    let f = fixture();
    let dir = f.make("web");
    let (mut monitor, _) = f.helper("monitor", "web");
    assert_eq!(dir.status(), Status::Running);
    assert!(dir.is_alive());
    assert_eq!(f.containers.list().unwrap()[0].status, Status::Running);
    assert_eq!(dir.hold_alive().unwrap_err().kind(), Kind::Conflict);
    assert!(dir.run_record().unwrap().unwrap().open_monitor().is_some());
    drop(monitor.stdin.take());
    assert!(monitor.wait().unwrap().success());
    assert_eq!(dir.status(), Status::Exited);
    let list = f.containers.list().unwrap();
    assert_eq!((list[0].status, list[0].code, list[0].run), (Status::Exited, Some(3), 1));
    // The next run counts on.
    assert_eq!(dir.next_run(ProcessRef { pid: 0, start_time: 0 }).unwrap().run, 2);
    dir.write_run(&run_record(2, std::process::id())).unwrap();
    assert_eq!(dir.status(), Status::Crashed, "the exit record is of another run");
}

#[test]
fn a_container_that_is_being_started_does_not_run_yet() {
    let f = fixture();
    let dir = f.make("web");
    assert!(!dir.is_starting());
    let (mut monitor, _) = f.helper("starting monitor", "web");
    assert_eq!((dir.status(), dir.is_starting(), dir.is_in_hand()), (Status::Starting, true, false));
    assert!(dir.status().is_active() && !dir.status().is_live());
    assert_eq!(f.containers.list().unwrap()[0].status, Status::Starting);
    monitor.kill().unwrap();
    monitor.wait().unwrap();
    assert_eq!((dir.status(), dir.is_starting()), (Status::Crashed, false));
    // One that a monitor of the former version runs does not say so.
    let (mut monitor, _) = f.helper("starting monitor", "web");
    dir.write_run(&RunRecord { version: 1, ..dir.run_record().unwrap().unwrap() }).unwrap();
    assert_eq!(dir.status(), Status::Running);
    monitor.kill().unwrap();
    monitor.wait().unwrap();
}

#[test]
fn a_killed_monitor_leaves_a_crashed_container_that_anyone_may_finish() {
    let f = fixture();
    let dir = f.make("web");
    let (mut monitor, _) = f.helper("monitor", "web");
    let mut payload = Command::new("sleep").arg("1000").spawn().unwrap();
    let mut run = dir.run_record().unwrap().unwrap();
    run.init = ProcessRef::of(payload.id() as i32).unwrap();
    dir.write_run(&run).unwrap();
    assert!(dir.finish_dead().unwrap().is_none(), "a living monitor's work is its own");
    monitor.kill().unwrap();
    monitor.wait().unwrap();
    assert_eq!(dir.status(), Status::Crashed);
    let listed = &f.containers.list().unwrap()[0];
    assert_eq!((listed.status, listed.status.as_str()), (Status::Crashed, "exited"));
    let exit = dir.finish_dead().unwrap().unwrap();
    assert_eq!((exit.code, exit.run), (LOST_EXIT_CODE, 1));
    use std::os::unix::process::ExitStatusExt;
    assert_eq!(payload.wait().unwrap().signal(), Some(9));
    assert_eq!(f.containers.list().unwrap()[0].status, Status::Exited);
    assert!(dir.finish_dead().unwrap().is_none());
}
