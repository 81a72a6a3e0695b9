use crate::cmd::options::request::Origin;
use crate::cmd::run::Args;
use crate::cmd::verbs;
use crate::error::Result;
use crate::host::{Caller, Limit};
use crate::plan::Request;
use crate::plan::env::EnvArg;
use crate::plan::option_values::Stream;
use crate::spec::SeccompSpec;
use clap::FromArgMatches;

fn command() -> clap::Command {
    verbs::arguments::<Args>(clap::Command::new("run")).no_binary_name(true).args_override_self(true)
}

fn parse(line: &[&str]) -> Result<Args, clap::Error> {
    Args::from_arg_matches(&command().try_get_matches_from(line)?)
}

fn args(line: &str) -> Args {
    parse(&line.split_whitespace().collect::<Vec<_>>()).unwrap_or_else(|e| panic!("{line}: {e}"))
}

fn caller() -> Caller {
    Caller {
        env: vec![],
        cwd: std::env::temp_dir(),
        hostname: "laptop".into(),
        limits: vec![Limit { name: "nofile", soft: 1024, hard: 4096 }],
        sockets: None,
    }
}

fn request(line: &str) -> Result<Request> {
    let args = args(line);
    let origin = args.container.origin(&args.words[0]).unwrap();
    args.container.into_request(&origin, args.words[1..].to_vec(), &caller(), vec![])
}

#[test]
fn the_tree_is_well_formed() {
    command().debug_assert();
}

#[test]
fn options_end_at_the_image() {
    for (line, words) in [
        ("alpine", &["alpine"][..]),
        ("--rm alpine ls -l --color", &["alpine", "ls", "-l", "--color"]),
        ("alpine --rm", &["alpine", "--rm"]),
        ("alpine -- ls", &["alpine", "--", "ls"]),
        ("-- alpine ls", &["alpine", "ls"]),
        ("alpine --help", &["alpine", "--help"]),
        ("-e A=1 alpine -e B=2", &["alpine", "-e", "B=2"]),
    ] {
        assert_eq!(args(line).words, words, "{line}");
    }
    assert!(parse(&[]).is_err());
    assert!(parse(&["--rm"]).is_err());
    assert!(parse(&["--wat", "alpine"]).is_err());
}

#[test]
fn flags_combine_and_take_values_as_in_docker() {
    let it = args("-dit -h box --rm alpine");
    assert!(it.run.detach && it.container.terminal.interactive && it.container.terminal.tty);
    assert!(it.container.lifecycle.rm);
    assert_eq!(it.container.process.hostname.unwrap().0, "box");
    for (line, rm) in [
        ("--rm=true x", true),
        ("--rm=false x", false),
        ("--rm=1 x", true),
        ("--rm --rm=false x", false),
        ("x", false),
    ] {
        assert_eq!(args(line).container.lifecycle.rm, rm, "{line}");
    }
    assert!(!args("-it=false x").container.terminal.tty);
    assert!(args("x").run.sig_proxy && !args("--sig-proxy=false x").run.sig_proxy);
    assert!(parse(&["--rm=maybe", "x"]).is_err());
    assert_eq!(
        args("-a stdin,stdout -a stderr x").run.attach,
        [Stream::Stdin, Stream::Stdout, Stream::Stderr]
    );
    assert_eq!(args("-w /a -w /b x").container.process.workdir.as_deref(), Some("/b"));
    let joined = args("-eA=1 -v/a:/b -p8080:80 -u5 x").container;
    assert_eq!(joined.env.env, [EnvArg::Set("A".into(), "1".into())]);
    assert_eq!(joined.network.publish.len(), 1);
}

#[test]
fn every_bad_value_is_refused_where_it_is_read() {
    for line in [
        "-p x alpine",
        "-p 70000:80 alpine",
        "-v a:b alpine",
        "--mount type=wat alpine",
        "--tmpfs rel alpine",
        "--network back:wat=1 alpine",
        "--ip wat alpine",
        "--name a/b alpine",
        "-u 4294967296 alpine",
        "--group-add -5 alpine",
        "-e =x alpine",
        "--ulimit nofile alpine",
        "--sysctl kernel.panic=1 alpine",
        "--cap-add WAT alpine",
        "--security-opt wat alpine",
        "--stop-signal WAT alpine",
        "--stop-timeout x alpine",
        "--shm-size x alpine",
        "--umask 9 alpine",
        "--tz ../x alpine",
        "--pull sometimes alpine",
        "--platform a/b/c/d alpine",
        "--platform linux/arm64 --arch amd64 alpine",
        "--log-driver syslog alpine",
        "--log-opt path= alpine",
        "--pid container: alpine",
        "--userns auto alpine",
        "--userns keep-id:wat alpine",
        "--restart always:3 alpine",
        "-m 512x alpine",
        "--cpus one alpine",
        "--pids-limit x alpine",
        "--attach wat alpine",
        "--detach-keys ctrl-1 alpine",
        "--add-host a alpine",
        "--label =x alpine",
        "--replace alpine",
        "--preserve-fds x alpine",
    ] {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert!(parse(&words).is_err(), "{line}");
    }
    for line in [
        "--pids-limit -1 alpine",
        "--pids-limit=0 alpine",
        "-m 0 alpine",
        "--restart no alpine",
        "--userns= alpine",
    ] {
        args(line);
    }
}

#[test]
fn roots_are_named_by_the_first_word() {
    let origin = |line: &str| {
        let args = args(line);
        args.container.origin(&args.words[0])
    };
    assert_eq!(origin("alpine:3 sh").unwrap(), Origin::Image("alpine:3".into()));
    for (line, path, overlay) in [
        ("--rootfs /:O sh", "/", true),
        ("--rootfs ./tree sh", "./tree", false),
        ("--rootfs --rm a:b:O sh", "a:b", true),
    ] {
        let Origin::Rootfs(rootfs) = origin(line).unwrap() else { panic!("{line}") };
        assert_eq!((rootfs.path.to_str().unwrap(), rootfs.overlay), (path, overlay));
    }
    assert!(origin("--rootfs :O sh").is_err());
}

#[test]
fn files_are_read_and_blamed_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let env = path("env", "A=1\nB\n");
    let labels = path("labels", "a=file\nb=file\n");
    let profile = path("profile", r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#);
    let request = request(&format!(
        "--env-file {env} --label-file {labels} -l a=set --security-opt seccomp={profile} --annotation k=v alpine true"
    ))
    .unwrap();
    assert_eq!(request.process.env.files.len(), 2);
    assert_eq!(request.labels["a"], "set");
    assert_eq!(request.labels["b"], "file");
    assert_eq!(request.annotations["k"], "v");
    assert!(matches!(request.security.seccomp, Some(SeccompSpec::Profile(_))));
    assert_eq!(request.process.command, ["true"]);
    let bad_env = path("bad", "A B=1\n");
    let bad_json = path("json", "[");
    let no_action = path("action", "{}");
    for (line, names) in [
        (format!("--env-file {bad_env} x"), "bad"),
        ("--env-file /nonexistent x".into(), "/nonexistent"),
        ("--label-file /nonexistent x".into(), "/nonexistent"),
        (format!("--security-opt seccomp={bad_json} x"), "json"),
        (format!("--security-opt seccomp={no_action} x"), "action"),
        ("--tz Mars/Base x".into(), "Mars/Base"),
        ("--dns wat x".into(), "wat"),
        ("--expose wat x".into(), "wat"),
    ] {
        let error = self::request(&line).unwrap_err();
        assert!(error.message().contains(names), "{line}: {error}");
    }
}
