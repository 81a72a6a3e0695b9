//! `--sdnotify`: what a service manager is told.

use super::ps::{IDLE, field};
use crate::common::{Call, TestEnv, eventually};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// A service manager: a datagram socket at a path.
struct Manager {
    socket: UnixDatagram,
    path: std::path::PathBuf,
}

impl Manager {
    fn new(env: &TestEnv) -> Manager {
        let path = env.path().join("manager");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Manager { socket, path }
    }

    fn run(&self, env: &TestEnv, options: &[&str], script: &str) {
        let call: Call = env.coracle(["run", "-d", "--name", "c", "--network=none"]).args(options);
        let call = call.arg("--rootfs").arg(env.busybox_rootfs()).args(["sh", "-c", script]);
        call.env("NOTIFY_SOCKET", &self.path).ok();
    }

    fn hears(&self) -> String {
        let mut message = [0; 4096];
        let length = self.socket.recv(&mut message).unwrap();
        String::from_utf8_lossy(&message[..length]).into_owned()
    }

    fn silent(&self) -> bool {
        self.socket.set_nonblocking(true).unwrap();
        self.socket.recv(&mut [0; 10]).is_err()
    }
}

fn main_pid(env: &TestEnv) -> String {
    format!("MAINPID={}\n", field(env, "c", "{{.State.ConmonPid}}"))
}

#[test]
fn the_monitor_says_ready_at_once_or_nothing_at_all() {
    let env = TestEnv::new();
    let manager = Manager::new(&env);
    manager.run(&env, &["--sdnotify=conmon"], &format!("echo [$NOTIFY_SOCKET] >/tmp/seen; {IDLE}"));
    assert_eq!(manager.hears(), format!("{}READY=1\n", main_pid(&env)));
    eventually("it has looked", || env.coracle(["exec", "c", "cat", "/tmp/seen"]).run().stdout == "[]\n");
    env.coracle(["rm", "-f", "c"]).ok();
    manager.run(&env, &["--sdnotify=ignore", "--env-host"], IDLE);
    assert!(manager.silent());
    assert_eq!(env.coracle(["exec", "c", "sh", "-c", "echo $NOTIFY_SOCKET"]).ok().text(), "");
}

#[test]
fn a_healthy_container_is_a_ready_one() {
    let env = TestEnv::new();
    let manager = Manager::new(&env);
    let options = [
        "--sdnotify=healthy",
        "--health-cmd=test -e /tmp/up",
        "--health-interval=100ms",
        "--health-retries=1",
    ];
    manager.run(&env, &options, IDLE);
    assert_eq!(manager.hears(), main_pid(&env));
    eventually("it is unhealthy", || field(&env, "c", "{{.State.Health.Status}}") == "unhealthy");
    env.coracle(["exec", "c", "touch", "/tmp/up"]).ok();
    assert_eq!(manager.hears(), "READY=1\n");
    let refused =
        env.coracle(["run", "--sdnotify=healthy", "--rootfs"]).arg(env.busybox_rootfs()).arg("true");
    refused.fails(125).says("no health check");
    env.coracle(["run", "--sdnotify=maybe", "--rootfs"]).arg(env.busybox_rootfs()).arg("true").fails(125);
}

/// The payload may speak of its own state, and neither name processes nor keep descriptors.
#[test]
fn a_payload_speaks_for_itself() {
    let env = TestEnv::new();
    let manager = Manager::new(&env);
    let Some(python) = std::process::Command::new("python3").arg("--version").output().ok() else {
        eprintln!("not run: there is no python3 here to send a datagram");
        return;
    };
    assert!(python.status.success());
    let script = "import socket,os,time\n\
        s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM)\n\
        say=lambda t:s.sendto(t.encode(),os.environ['NOTIFY_SOCKET'])\n\
        say('MAINPID=1\\nREADY=1\\n')\n\
        say('FDSTORE=1')\n\
        say('STATUS=up')\n\
        time.sleep(500)";
    let call = env.coracle([
        "run",
        "-d",
        "--name",
        "c",
        "--network=none",
        "--rootfs",
        "/:O",
        "python3",
        "-c",
        script,
    ]);
    call.env("NOTIFY_SOCKET", &manager.path).ok();
    assert_eq!(manager.hears(), main_pid(&env));
    assert_eq!(manager.hears(), "READY=1\n");
    assert_eq!(manager.hears(), "STATUS=up\n");
    env.coracle(["rm", "-f", "-t", "0", "c"]).ok();
    assert!(manager.silent());
}
