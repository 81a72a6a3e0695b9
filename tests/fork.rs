//! The two rules of forking, in a single-threaded program: `harness = false`, since the usual test runner
//! has threads and `coracle::fork` refuses those.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "these are tests: a panic is how they fail"
)]

use coracle::error::{Error, Kind};
use coracle::fork::{self, Doing, Failure, Link, Step};
use nix::errno::Errno;
use nix::unistd::Pid;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

type Test = (&'static str, fn());

const TESTS: [Test; 16] = [
    ("one_thread_is_seen_as_one", one_thread_is_seen_as_one),
    ("a_process_with_threads_never_forks", a_process_with_threads_never_forks),
    ("a_leaf_refuses_where_threads_run", a_leaf_refuses_where_threads_run),
    ("a_failure_arrives_with_its_errno", a_failure_arrives_with_its_errno),
    ("end_of_file_means_that_exec_succeeded", end_of_file_means_that_exec_succeeded),
    ("a_failed_exec_is_a_failure_not_silence", a_failed_exec_is_a_failure_not_silence),
    ("an_exit_code_and_a_signal_come_back", an_exit_code_and_a_signal_come_back),
    ("a_panic_ends_the_child_alone", a_panic_ends_the_child_alone),
    ("a_leaf_returns_its_result_and_messages", a_leaf_returns_its_result_and_messages),
    ("a_leafs_result_may_be_of_any_size", a_leafs_result_may_be_of_any_size),
    ("a_leaf_may_have_threads", a_leaf_may_have_threads),
    ("a_leaf_has_what_it_is_handed_and_no_more", a_leaf_has_what_it_is_handed_and_no_more),
    ("a_leaf_returns_its_error_whole", a_leaf_returns_its_error_whole),
    ("a_leaf_that_dies_is_an_error", a_leaf_that_dies_is_an_error),
    (
        "a_message_survives_a_close_that_left_others_unread",
        a_message_survives_a_close_that_left_others_unread,
    ),
    ("links_carry_descriptors", links_carry_descriptors),
];

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let mut ran = 0;
    for (name, test) in TESTS {
        if wanted.is_empty() || wanted.iter().any(|w| name.contains(w.as_str())) {
            test();
            println!("test {name} ... ok");
            ran += 1;
        }
    }
    assert_eq!(no_children_left(), Err(Errno::ECHILD), "every child has been reaped");
    println!("\ntest result: ok. {ran} passed");
}

fn no_children_left() -> nix::Result<()> {
    nix::sys::wait::waitpid(Pid::from_raw(-1), Some(nix::sys::wait::WaitPidFlag::WNOHANG)).map(drop)
}

fn one_thread_is_seen_as_one() {
    assert!(fork::single_threaded());
}

/// Runs `check` while a second thread lives, and returns when that one is gone.
fn with_a_second_thread(check: impl FnOnce()) {
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        let _ = receiver.recv();
    });
    check();
    drop(sender);
    thread.join().unwrap();
    // join(3) returns a moment before the kernel has taken the thread off its list.
    while !fork::single_threaded() {
        std::thread::yield_now();
    }
}

fn a_process_with_threads_never_forks() {
    with_a_second_thread(|| {
        assert!(!fork::single_threaded());
        let refused = fork::spawn(0, |_| 0).map(|child| child.pid);
        assert_eq!(refused, Err(Errno::EBUSY));
    });
    let child = fork::spawn(0, |_| 0).unwrap();
    assert_eq!(child.wait().unwrap(), 0);
}

fn a_leaf_refuses_where_threads_run() {
    with_a_second_thread(|| {
        let refused = fork::leaf::<(), ()>("test", &[], |_| Ok(()), |()| {}).unwrap_err();
        assert!(refused.message().contains("test"), "{refused}");
    });
}

fn a_failure_arrives_with_its_errno() {
    let child = fork::spawn(0, |link| {
        let failed = std::fs::File::open("/nonexistent/file").doing("open", Path::new("/nonexistent/file"));
        let failure: Failure = failed.map(drop).unwrap_err();
        link.send(&failure, &[]).unwrap();
        1
    })
    .unwrap();
    let (failure, fds) = child.link.recv::<Failure>().unwrap().unwrap();
    assert_eq!(child.wait().unwrap(), 1);
    assert_eq!(failure.errno(), Errno::ENOENT);
    assert_eq!((failure.step(), failure.object.as_str()), (Step::Other, "/nonexistent/file"));
    assert_eq!(failure.describe(), "open /nonexistent/file: no such file or directory");
    assert!(fds.is_empty());
    assert!(child.link.recv::<Failure>().unwrap().is_none(), "then end of file");
}

/// What a stage does at its end: executes, and reports only if that fails.
fn exec(link: &Link, program: &std::ffi::CStr) -> i32 {
    let argv = [program];
    let Err(errno) = nix::unistd::execv(program, &argv);
    link.send(&Failure::new(Step::Execute, program.to_string_lossy(), errno), &[]).unwrap();
    127
}

fn end_of_file_means_that_exec_succeeded() {
    let child = fork::spawn(0, |link| exec(&link, c"/bin/true")).unwrap();
    assert!(child.link.recv::<Failure>().unwrap().is_none());
    assert_eq!(child.wait().unwrap(), 0);
}

fn a_failed_exec_is_a_failure_not_silence() {
    for (program, errno) in [(c"/nonexistent", Errno::ENOENT), (c"/etc/passwd", Errno::EACCES)] {
        let child = fork::spawn(0, |link| exec(&link, program)).unwrap();
        let (failure, _) = child.link.recv::<Failure>().unwrap().unwrap();
        assert_eq!((failure.step(), failure.errno()), (Step::Execute, errno));
        assert_eq!(child.wait().unwrap(), 127);
    }
}

fn an_exit_code_and_a_signal_come_back() {
    let child = fork::spawn(0, |_| 42).unwrap();
    assert_eq!(child.wait().unwrap(), 42);
    let child = fork::spawn(0, |link| {
        // Until the parent is gone or kills us.
        let _ = link.recv::<()>();
        0
    })
    .unwrap();
    coracle::sys::process::pidfd_send_signal(child.pidfd.as_fd(), 15).unwrap();
    assert_eq!(child.wait().unwrap(), 128 + 15);
}

fn a_panic_ends_the_child_alone() {
    std::panic::set_hook(Box::new(|_| {}));
    let own = nix::unistd::getpid();
    let child = fork::spawn(0, |_| panic!("on purpose")).unwrap();
    assert_eq!(nix::unistd::getpid(), own, "the child has left its parent's stack");
    assert_ne!(child.wait().unwrap(), 0);
    let _ = std::panic::take_hook();
}

fn a_leaf_returns_its_result_and_messages() {
    let mut heard = Vec::new();
    let work = |reporter: &fork::Reporter<u32>| {
        for number in 0..1000 {
            reporter.send(number);
        }
        Ok("done".to_owned())
    };
    let result: String = fork::leaf("test", &[], work, |number| heard.push(number)).unwrap();
    assert_eq!(result, "done");
    assert_eq!(heard, (0..1000).collect::<Vec<u32>>(), "all, in order, before the result");
}

fn a_leafs_result_may_be_of_any_size() {
    // One more than fits into a packet, and one that fills packets to the last byte.
    for length in [64 * 1024 + 1, 3 * 64 * 1024 - r#"{"Ok":""}"#.len()] {
        let result = fork::leaf::<(), String>("test", &[], |_| Ok("x".repeat(length)), |()| {}).unwrap();
        assert_eq!(result.len(), length);
    }
}

fn a_leaf_may_have_threads() {
    let work = |_: &fork::Reporter<()>| {
        let threads: Vec<_> = (0..4u64).map(|n| std::thread::spawn(move || n * n)).collect();
        Ok(threads.into_iter().map(|t| t.join().unwrap()).sum::<u64>())
    };
    assert_eq!(fork::leaf("test", &[], work, |()| {}).unwrap(), 14);
    assert!(fork::single_threaded(), "they were the leaf's");
}

fn a_leaf_has_what_it_is_handed_and_no_more() {
    let (kept, other) = nix::unistd::pipe().unwrap();
    let [kept, other] = [kept.as_raw_fd(), other.as_raw_fd()];
    let open = |_: &fork::Reporter<()>| {
        let found = |fd: &i32| coracle::sys::fd::is_open(*fd);
        // Its link is one of them.
        let all = (3..256).filter(found).count();
        Ok((found(&kept), found(&other), all))
    };
    assert_eq!(fork::leaf("test", &[kept], open, |()| {}).unwrap(), (true, false, 2));
}

fn a_leaf_returns_its_error_whole() {
    let work = |_: &fork::Reporter<()>| -> Result<(), Error> {
        let bottom = Error::new(Kind::Storage, "write blob").caused_by(std::io::Error::from_raw_os_error(28));
        Err(Error::new(Kind::Registry, "pull alpine")
            .caused_by(bottom)
            .excerpt("1 | x\n")
            .hint("Try coracle pull again."))
    };
    let error = fork::leaf("test", &[], work, |()| {}).unwrap_err();
    assert_eq!(error.kind(), Kind::Registry);
    assert_eq!(error.message(), "pull alpine");
    assert_eq!((error.hints(), error.excerpts()), (vec!["Try coracle pull again."], vec!["1 | x\n"]));
    let causes = error.causes();
    assert_eq!(causes[0], "write blob");
    assert_eq!(causes[1], "no space left on device");
}

fn a_leaf_that_dies_is_an_error() {
    let work = |_: &fork::Reporter<()>| -> Result<(), Error> {
        nix::sys::signal::kill(nix::unistd::getpid(), nix::sys::signal::Signal::SIGKILL).unwrap();
        Ok(())
    };
    let error = fork::leaf("test", &[], work, |()| {}).unwrap_err();
    assert!(error.message().contains("test"), "{error}");
}

fn a_message_survives_a_close_that_left_others_unread() {
    let (ours, theirs) = Link::pair().unwrap();
    ours.send(&"never read", &[]).unwrap();
    theirs.send(&7, &[]).unwrap();
    drop(theirs);
    let (answer, _): (i32, Vec<OwnedFd>) = ours.recv().unwrap().expect("the message came first");
    assert_eq!(answer, 7);
    assert!(ours.recv::<i32>().unwrap().is_none());
}

fn links_carry_descriptors() {
    let (a, b) = Link::pair().unwrap();
    let (reader, writer) = nix::unistd::pipe().unwrap();
    a.send(&"pipe", &[writer.as_fd()]).unwrap();
    drop(writer);
    let (name, fds): (String, Vec<OwnedFd>) = b.recv().unwrap().unwrap();
    assert_eq!((name.as_str(), fds.len()), ("pipe", 1));
    nix::unistd::write(&fds[0], b"x").unwrap();
    drop(fds);
    let mut buffer = [0u8; 2];
    assert_eq!(nix::unistd::read(&reader, &mut buffer).unwrap(), 1);
    assert_eq!(nix::unistd::read(&reader, &mut buffer).unwrap(), 0, "the sender's copy was not kept");
}
