//! `logs`.

use super::ps::{kill_monitor, start};
use crate::common::TestEnv;

#[test]
fn output_and_errors_come_apart_and_whole() {
    let env = TestEnv::new();
    start(&env, "job", &[], "echo one; echo bad >&2; printf 'no end'; printf '\\377\\000\\r\\n' >&2");
    env.coracle(["wait", "job"]).ok();
    let output = env.coracle(["logs", "job"]).into_command().output().unwrap();
    assert_eq!(output.stdout, b"one\nno end");
    assert_eq!(output.stderr, b"bad\n\xff\0\r\n");
    // What happened to the container does not matter.
    env.coracle(["container", "logs", "-f", "--latest"]).ok();
}

#[test]
fn choosing_lines() {
    let env = TestEnv::new();
    start(&env, "job", &[], "for i in 1 2 3 4 5; do echo $i; sleep 0.02; done");
    env.coracle(["wait", "job"]).ok();
    let logs = |args: &[&str]| env.coracle(["logs"]).args(args).arg("job").ok().lines();
    assert_eq!(logs(&[]), ["1", "2", "3", "4", "5"]);
    assert_eq!(logs(&["--tail", "2"]), ["4", "5"]);
    assert_eq!(logs(&["--tail", "0"]), [""; 0]);
    assert_eq!(logs(&["--tail", "-1"]).len(), 5);
    assert_eq!(logs(&["--tail", "all"]).len(), 5);
    assert_eq!(logs(&["--since", "1h"]).len(), 5);
    // As podman's: an end of so long lies ahead. A value may begin with a hyphen.
    assert_eq!(logs(&["--until", "1h"]).len(), 5);
    assert_eq!(logs(&["--until", "-1h"]), [""; 0]);
    assert_eq!(logs(&["--since", "-1h"]), [""; 0]);
    let stamped = logs(&["-t"]);
    let times: Vec<&str> = stamped.iter().map(|line| line.split_once(' ').unwrap().0).collect();
    for (line, number) in stamped.iter().zip(1..) {
        let (time, text) = line.split_once(' ').unwrap();
        assert_eq!(text, number.to_string());
        assert!(chrono::DateTime::parse_from_rfc3339(time).is_ok(), "{time}");
    }
    assert_eq!(logs(&["--since", times[2]]), ["3", "4", "5"]);
    assert_eq!(logs(&["--until", times[2]]), ["1", "2", "3"]);
    assert_eq!(logs(&["--since", times[1], "--until", times[2]]), ["2", "3"]);
    // As `date --iso-8601=ns` prints it.
    assert_eq!(logs(&["--since", &times[2].replace('.', ",")]), ["3", "4", "5"]);
    for wrong in [["--since", "whenever"], ["--until", "soon"], ["--tail", "x"]] {
        env.coracle(["logs"]).args(wrong).arg("job").fails(125).says(wrong[1]);
    }
}

#[test]
fn following_ends_with_the_container() {
    let env = TestEnv::new();
    let script = "trap 'echo bye; exit 0' TERM; i=0; while :; do echo line; sleep 0.02; done";
    start(&env, "web", &[], script);
    let follow = env.coracle(["logs", "-f", "web"]).start();
    let rm = start(&env, "self", &["--rm"], script);
    let follow_rm = env.coracle(["logs", "--follow", &rm]).start();
    let early = env.coracle(["logs", "-f", "--until", "2006-01-02", "web"]).ok();
    assert_eq!(early.stdout, "");
    env.coracle(["stop", "web", "self"]).ok();
    for follow in [follow, follow_rm] {
        let lines = follow.wait().lines();
        assert_eq!(lines.last().map(String::as_str), Some("bye"));
    }
}

#[test]
fn following_ends_when_the_monitor_is_killed() {
    let env = TestEnv::new();
    start(&env, "web", &[], "echo up; sleep 1000");
    let follow = env.coracle(["logs", "-f", "web"]).start();
    kill_monitor(&env, "web");
    let output = follow.wait();
    assert_eq!((output.code, output.stdout.as_str()), (0, "up\n"));
}

#[test]
fn several_containers_in_the_order_of_time() {
    let env = TestEnv::new();
    let a = start(&env, "a", &[], "echo first; sleep 0.3; echo third");
    let b = start(&env, "b", &[], "sleep 0.15; echo second");
    env.coracle(["wait", "a", "b"]).ok();
    let shown = env.coracle(["logs", "b", "a"]).ok().lines();
    assert_eq!(shown[0], format!("{} first", &a[..12]));
    assert_eq!(shown.iter().filter(|line| line.starts_with(&b[..12])).count(), 1);
    let named = env.coracle(["logs", "-n", "a", "b"]).ok().lines();
    assert!(named.contains(&"a third".to_owned()) && named.contains(&"b second".to_owned()), "{named:?}");
}

#[test]
fn following_ends_at_a_time_in_the_future() {
    let env = TestEnv::new();
    start(&env, "web", &[], "echo up; sleep 1000");
    let until = (chrono::Utc::now() + chrono::Duration::milliseconds(1500)).to_rfc3339();
    let shown = env.coracle(["logs", "-f", "--until", &until, "web"]).ok();
    assert_eq!(shown.stdout, "up\n");
    assert!(chrono::Utc::now() > chrono::DateTime::parse_from_rfc3339(&until).unwrap(), "it waited");
    let begun = chrono::Utc::now();
    let shown = env.coracle(["logs", "-f", "--until", "1.5s", "web"]).ok();
    assert_eq!(shown.stdout, "up\n");
    assert!(chrono::Utc::now() - begun >= chrono::Duration::milliseconds(1500), "it followed for so long");
    env.coracle(["kill", "web"]).ok();
}

#[test]
fn colours_and_names_tell_several_apart() {
    let env = TestEnv::new();
    start(&env, "a", &[], "echo one; printf x >&2");
    start(&env, "b", &[], "echo two");
    env.coracle(["wait", "a", "b"]).ok();
    let shown = env.coracle(["logs", "--color", "-n", "a", "b"]).ok();
    assert!(shown.stdout.contains("\x1b[31ma\x1b[0m one\n"), "{:?}", shown.stdout);
    assert!(shown.stdout.contains("\x1b[32mb\x1b[0m two\n"), "{:?}", shown.stdout);
    assert!(shown.stderr.contains("\x1b[31ma\x1b[0m x"), "{:?}", shown.stderr);
    assert_eq!(env.coracle(["logs", "--color", "b"]).ok().stdout, "two\n", "one container needs no name");
}

#[test]
fn json_files_are_dockers_and_come_back() {
    let env = TestEnv::new();
    let options =
        ["--log-driver", "json-file", "--log-opt", "tag={{.Name}}/{{.ImageName}}", "--label", "a=b"];
    let id = start(&env, "job", &options, "echo one; printf '\\377\\000\"\\n' >&2; printf end");
    env.coracle(["wait", "job"]).ok();
    let path = env.root().join("containers").join(&id).join("log");
    let text = std::fs::read_to_string(&path).unwrap();
    let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!((&first["log"], &first["stream"]), (&"one\n".into(), &"stdout".into()));
    assert!(first["attrs"]["tag"].as_str().unwrap().starts_with("job/"), "{first}");
    let output = env.coracle(["logs", "job"]).into_command().output().unwrap();
    // JSON is text: other bytes are replacement characters.
    let text = "\u{fffd}\0\"\n".as_bytes();
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"one\nend"[..], text));
    let shown = env.coracle(["inspect", "job", "-f", "{{.LogPath}} {{.HostConfig.LogConfig.Type}}"]).ok();
    assert_eq!(shown.stdout, format!("{} json-file\n", path.display()));
}

#[test]
fn a_log_may_lie_elsewhere() {
    let env = TestEnv::new();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.log");
    let option = format!("path={}", path.display());
    start(&env, "job", &["--log-opt", &option], "echo one; sleep 1000");
    let follow = env.coracle(["logs", "-f", "job"]).start();
    env.coracle(["kill", "job"]).ok();
    assert_eq!(follow.wait().stdout, "one\n");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.ends_with(" stdout F one\n"), "{text}");
    assert_eq!(
        env.coracle(["inspect", "job", "-f", "{{.LogPath}}"]).ok().stdout.trim(),
        path.to_str().unwrap()
    );
    env.coracle(["rm", "job"]).ok();
    assert!(path.exists(), "it is the user's");
}

#[test]
fn options_of_the_log_are_refused_with_the_reason() {
    let env = TestEnv::new();
    let refused = |args: &[&str], word: &str| {
        env.coracle(["run"]).args(args).args(["--rootfs", "/:O", "true"]).fails(125).says(word);
    };
    refused(&["--log-driver", "syslog"], "syslog");
    refused(&["--log-opt", "wat=1"], "wat");
    refused(&["--log-opt", "tag=x"], "tag");
    refused(&["--log-driver", "none", "--log-opt", "path=/x"], "path");
    refused(&["--log-opt", "max-file=0"], "max-file");
    refused(&["--log-driver", "json-file", "--log-opt", "tag={{.Wat}}"], ".Wat");
    if !std::path::Path::new("/run/systemd/journal/socket").exists() {
        refused(&["--log-driver", "journald"], "journald is not running here");
    }
}

#[test]
fn what_keeps_no_log_says_so() {
    let env = TestEnv::new();
    start(&env, "quiet", &["--log-driver", "none"], "echo x");
    env.coracle(["logs", "quiet"]).fails(125).says("using the 'none' log driver, cannot read logs");
    env.coracle(["logs", "nobody"]).fails(125).says("nobody");
    env.coracle(["logs"]).fails(125);
}

#[test]
fn case_39_a_flood_is_rotated() {
    let env = TestEnv::new();
    let id = start(&env, "flood", &["--log-opt", "max-size=100k"], "seq 1 50000");
    env.coracle(["wait", "flood"]).ok();
    let dir = env.root().join("containers").join(id);
    let size = |name: &str| std::fs::metadata(dir.join(name)).map_or(0, |m| m.len());
    assert!(size("log") + size("log.1") <= 102_400 && size("log.1") > 0);
    let lines = env.coracle(["logs", "flood"]).ok().lines();
    let first: usize = lines[0].parse().unwrap();
    assert_eq!(lines, (first..=50000).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(env.coracle(["logs", "--tail", "3", "flood"]).ok().lines(), ["49998", "49999", "50000"]);
}
