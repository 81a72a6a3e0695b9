//! Refusals, help, formats, completion.

use super::ps::{IDLE, start};
use crate::common::TestEnv;
use std::process::{Command, Stdio};

/// Words, and what standard error must hold.
const REFUSED: [(&[&str], &str, &str); 19] = [
    (&["volume"], "Error: missing command 'coracle volume COMMAND'\n", "Hint: See 'coracle volume --help'\n"),
    (
        &["exce", "web", "ls"],
        "Error: unrecognized command `coracle exce`\n",
        "Hint: Did you mean coracle exec?\n",
    ),
    (
        &["contain"],
        "Error: unrecognized command `coracle contain`\n",
        "Hint: Did you mean coracle container?\n",
    ),
    (
        &["delete", "web"],
        "Error: unrecognized command `coracle delete`\n",
        "Hint: Did you mean coracle rm?\n",
    ),
    (
        &["volume", "creat"],
        "Error: unrecognized command `coracle volume creat`\n",
        "Hint: Did you mean coracle volume create?\n",
    ),
    (&["container", "ls", "--al"], "Error: unknown flag: --al\n", "Did you mean --all?"),
    (&["--rot", "/x", "ps"], "Error: unknown flag: --rot\n", "Did you mean --root?"),
    (&["psx"], "Error: unrecognized command `coracle psx`\n", "Hint: Did you mean coracle ps?\n"),
    (&["swarm", "init"], "Error: coracle swarm is not supported: there is no cluster\n", ""),
    (&["machine", "start"], "Error: coracle machine is not supported: ", ""),
    (&["ps", "--fromat", "json"], "Error: unknown flag: --fromat\n", "Did you mean --format?"),
    (&["ps", "-Z"], "Error: unknown shorthand flag: 'Z' in -Z\n", "Hint: See 'coracle ps --help'\n"),
    (&["ps", "--format"], "Error: flag needs an argument: --format\n", "Hint: See 'coracle ps --help'\n"),
    (
        &["stop", "-t", "abc", "x"],
        "Error: invalid argument \"abc\" for \"--time\" flag: \"abc\" is not a whole number of seconds\n",
        "Hint: See 'coracle stop --help'\n",
    ),
    (
        &["pull", "--retry=-1", "x"],
        "Error: invalid argument \"-1\" for \"--retry\" flag: -1 is less than 0\n",
        "Hint: See 'coracle pull --help'\n",
    ),
    (
        &["ps", "--last", "x"],
        "Error: invalid argument \"x\" for \"--last\" flag: ",
        "Hint: See 'coracle ps --help'\n",
    ),
    (&["--storage-opt", "size=1", "ps"], "unknown storage option \"size=1\"", "additionalimagestore=DIR"),
    (
        &["version", "extra"],
        "Error: `coracle version` takes no arguments: unexpected argument extra\n",
        "Hint: See 'coracle version --help'\n",
    ),
    (&["completion", "tcsh"], "Error: ", "Hint: Values: bash zsh fish\n"),
];

#[test]
fn refusals_are_one_line_and_a_hint_and_touch_nothing() {
    let env = TestEnv::new();
    for (words, message, hint) in REFUSED {
        let output = env.coracle(words).fails(125).says(message).says(hint);
        assert_eq!(output.stdout, "", "{output}");
        assert_eq!(output.stderr.lines().filter(|l| l.starts_with("Error: ")).count(), 1, "{output}");
        assert!(!output.stderr.contains("Usage:") && !output.stderr.contains('\u{1b}'), "{output}");
    }
    let level =
        env.coracle(["--log-level", "loud", "ps"]).fails(1).says("Log Level \"loud\" is not supported");
    level.says("Hint: Values: error warn info debug trace\n");
    assert!(!env.root().exists(), "a refused command line made the data root");
}

#[test]
fn help_goes_to_standard_output_and_groups_its_options() {
    let env = TestEnv::new();
    for words in [&["--help"][..], &["help"], &["ps", "--help"], &["help", "ps"], &["ps", "-h"]] {
        let output = env.coracle(words).ok();
        assert!(output.stderr.is_empty() && output.stdout.contains("Usage: coracle"), "{output}");
        assert!(output.stdout.ends_with('\n') && output.stdout.contains("Global options:"), "{output}");
    }
    assert!(!env.root().exists());
}

/// As docker's and podman's: commands by what they are about, each with a line.
#[test]
fn the_program_alone_shows_its_commands_in_groups() {
    let env = TestEnv::new();
    let alone = env.coracle(&[] as &[&str]).ok();
    assert!(alone.stderr.is_empty(), "{alone}");
    let bare = env.program(crate::common::coracle_binary()).ok();
    assert_eq!(bare.stdout, alone.stdout);
    assert_eq!(env.coracle(["-h"]).ok().stdout, alone.stdout);
    let help = env.coracle(["--help"]).ok().stdout;
    for text in [&alone.stdout, &help] {
        let titles: Vec<&str> = text.lines().filter(|line| line.ends_with(':')).collect();
        let wanted = [
            "Common commands:",
            "Containers:",
            "Images and registries:",
            "Volumes, secrets and networks:",
            "System:",
            "Global options:",
        ];
        assert_eq!(titles[..6], wanted, "{text}");
        for line in ["  run         ", "  volume      ", "  -v, --version", "      --root <DIR>"] {
            assert!(text.lines().any(|l| l.starts_with(line)), "{line}: {text}");
        }
    }
    for flag in ["-v", "--version"] {
        let version = format!("coracle version {}\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(env.program(crate::common::coracle_binary()).args([flag]).ok().stdout, version);
    }
    assert!(help.contains("Exit status:") && !alone.stdout.contains("Exit status:"), "{help}");
    assert!(!env.root().exists());
}

#[test]
fn help_of_a_command_ends_with_two_examples() {
    let env = TestEnv::new();
    for words in
        [&["run", "--help"][..], &["ps", "-h"], &["help", "volume", "create"], &["image", "ls", "-h"]]
    {
        let output = env.coracle(words).ok().stdout;
        let (_, examples) = output.split_once("\nExamples:\n").expect("examples");
        assert_eq!(examples.lines().filter(|l| l.starts_with("  # ")).count(), 2, "{output}");
        assert_eq!(examples.lines().filter(|l| l.starts_with("  coracle ")).count(), 2, "{output}");
    }
}

#[test]
fn global_options_stand_before_and_behind_the_verb() {
    let env = TestEnv::new();
    let roots = |words: [&str; 6]| {
        let output = env.program(crate::common::coracle_binary()).args(words).ok();
        assert_eq!(output.text(), env.root().to_str().unwrap(), "{output}");
    };
    let (root, run) = (env.root(), env.runroot());
    let (root, run) = (root.to_str().unwrap(), run.to_str().unwrap());
    let format = "-f={{.store.graphRoot}}";
    let run = format!("--runroot={run}");
    roots(["--root", root, &run, "info", format, "--log-level=info"]);
    roots(["--log-level=info", "info", "--root", root, format, &run]);
}

/// As docker's and podman's: options end at the image, what follows is the command's.
#[test]
fn options_behind_the_image_are_the_commands() {
    let env = TestEnv::new();
    let rootfs = format!("{}:O", env.busybox_rootfs().display());
    let run = ["run", "--rm", "--network=none", "--rootfs", &rootfs];
    let command = ["echo", "--rm", "-d", "--root", "x", "--", "--nosuch"];
    let output = env.coracle(run.iter().chain(&command)).ok();
    assert_eq!(output.stdout, "--rm -d --root x -- --nosuch\n");
    // In front of it they are ours, in any order, joined or apart.
    let joined = ["run", "--network", "none", "--rm", "-ie", "A=1", "--rootfs", &rootfs];
    let output = env.coracle(joined.iter().chain(&["sh", "-c", "echo $A"])).ok();
    assert_eq!(output.stdout, "1\n");
    env.coracle(["run", "--nosuch", "alpine"]).fails(125).says("Error: unknown flag: --nosuch\n");
}

/// The end of standard input may reach the monitor after the payload's end; the exit code came with
/// one in four such runs only as "the monitor died".
#[test]
fn an_exit_code_is_not_lost_to_unread_input() {
    let env = TestEnv::new();
    let rootfs = format!("{}:O", env.busybox_rootfs().display());
    for _ in 0..20 {
        let run = ["run", "-i", "--rm", "--network=none", "--rootfs", &rootfs, "sh", "-c", "exit 7"];
        env.coracle(run).fails(7);
    }
}

#[test]
fn a_reader_that_leaves_ends_the_command_quietly() {
    let env = TestEnv::new();
    let mut command = env.coracle(["info"]).into_command();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(141));
}

#[test]
fn the_log_level_decides_what_is_told() {
    let env = TestEnv::new();
    crate::common::busybox().push(crate::common::shared_registry(), "manners/log", "1");
    let image = crate::common::shared_registry().reference("manners/log", "1");
    let run = |level: &[&str]| {
        let call = env.coracle(level).args(["run", "-q", "--rm", "--pull=always", "--network=none", &image]);
        let output = call.args(["echo", "out"]).ok();
        assert_eq!(output.stdout, "out\n", "{output}");
        output.stderr
    };
    for quiet in [&[][..], &["--log-level=error"], &["--log-level=info"]] {
        assert!(!run(quiet).contains("debug "), "{quiet:?}");
    }
    let told = run(&["--log-level=debug"]);
    for what in ["data root ", "/v2/manners/log/manifests/1 answers 200", " was created: ", " runs, monitor "]
    {
        assert!(told.contains(what), "{what}: {told}");
    }
    let config = env.home().join(".config/coracle/coracle.toml");
    crate::common::write(&config, "log_level = \"debug\"\n");
    assert!(run(&[]).contains("data root "));
    assert!(!run(&["--log-level=warn"]).contains("data root "));
}

#[test]
fn templates_come_with_line_column_and_fields() {
    let env = TestEnv::new();
    env.coracle(["version", "--format", "{{.Client.Versoin}}"])
        .fails(125)
        .says("Error: template, line 1 column 10: unknown field .Versoin\n")
        .says("Hint: Fields: .APIVersion .Version .GoVersion .GitCommit .BuiltTime .Built .OsArch .Os");
    let output = env.coracle(["version", "--format", r"{{upper .Client.Os}}\t{{printf `%5s|` `x`}}"]).ok();
    assert_eq!(output.stdout, "LINUX\t    x|\n");
}

/// Puts names where completion looks for them.
fn named() -> TestEnv {
    let env = TestEnv::new();
    std::fs::create_dir_all(env.root().join("names")).unwrap();
    for name in ["web", "worker", "db"] {
        std::os::unix::fs::symlink("x", env.root().join("names").join(name)).unwrap();
    }
    env
}

fn empty_archive() -> Vec<u8> {
    crate::common::Layer::new().finish().0
}

/// A shell with `coracle` in its PATH, under its other names too.
fn shell(env: &TestEnv, program: &str, script: &str) -> Option<String> {
    if Command::new(program).arg("-c").arg(":").status().is_err() {
        crate::common::skip(&format!("{program} is not installed"));
        return None;
    }
    let bin = env.path().join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    for name in ["coracle", "podman", "docker"] {
        let link = bin.join(name);
        if !link.exists() {
            std::os::unix::fs::symlink(crate::common::coracle_binary(), link).unwrap();
        }
    }
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let output = env
        .program(program)
        .args(["-c", script])
        .env("PATH", path)
        .env("CORACLE_ROOT", env.root())
        .env("CORACLE_RUNROOT", env.runroot())
        .run();
    assert_eq!(output.stderr, "", "{output}");
    Some(output.stdout)
}

#[test]
fn bash_completes_container_names_live() {
    let env = named();
    let script = r#"
        . <(coracle completion bash)
        COMP_WORDS=(coracle rm w); COMP_CWORD=2; COMP_TYPE=9; COMP_LINE='coracle rm w'; COMP_POINT=12
        _clap_complete_coracle coracle w rm
        printf '%s\n' "${COMPREPLY[@]}""#;
    if let Some(found) = shell(&env, "bash", script) {
        assert_eq!(found, "web\nworker\n");
    }
}

#[test]
fn the_other_names_are_completed_too() {
    let env = named();
    for name in ["podman", "docker"] {
        let script = r#"
            . <(NAME completion bash)
            complete -p NAME
            COMP_WORDS=(NAME rm w); COMP_CWORD=2; COMP_TYPE=9; COMP_LINE='NAME rm w'; COMP_POINT=11
            _clap_complete_NAME NAME w rm
            printf '%s\n' "${COMPREPLY[@]}""#;
        if let Some(found) = shell(&env, "bash", &script.replace("NAME", name)) {
            let lines: Vec<&str> = found.lines().collect();
            assert!(lines[0].ends_with(&format!(" {name}")), "{found}");
            assert_eq!(lines[1..], ["web", "worker"], "{name}");
        }
        let script = format!("{name} completion fish | source; complete --do-complete '{name} rm w'");
        if let Some(found) = shell(&env, "fish", &script) {
            assert_eq!(found, "web\nworker\n");
        }
    }
}

#[test]
fn names_are_completed_by_what_they_are_for() {
    let env = named();
    for name in ["volumes/wares", "networks/wide"] {
        std::fs::create_dir_all(env.root().join(name)).unwrap();
    }
    for (line, wanted) in [
        ("network rm ", "wide\n"),
        ("network inspect ", "podman\nwide\n"),
        ("inspect -t network w", "wide\n"),
        ("inspect --type volume w", "wares\n"),
        ("inspect w", "wares\nweb\nwide\nworker\n"),
    ] {
        let script =
            format!("coracle completion fish | source; complete --do-complete 'coracle {line}' | sort");
        if let Some(found) = shell(&env, "fish", &script) {
            assert_eq!(found, wanted, "{line}");
        }
    }
}

/// bash cuts words at `:` and `=`; what was typed before them is not offered once more.
#[test]
fn bash_completes_names_with_colons() {
    let env = named();
    for name in ["data", "date"] {
        env.coracle(["volume", "create", name]).ok();
    }
    env.coracle(["import", "-q", "-", "app:one"]).stdin(empty_archive()).ok();
    env.coracle(["tag", "app:one", "app:two"]).ok();
    let script = r#"
        . <(coracle completion bash)
        ask() {
            COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9; shift
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
            _clap_complete_coracle
            echo "${COMPREPLY[@]}"
        }
        ask 'coracle rmi ap' coracle rmi ap
        ask 'coracle rmi app:' coracle rmi app :
        ask 'coracle rmi app:t' coracle rmi app : t
        ask 'coracle run localhost/app:o' coracle run localhost/app : o
        ask 'coracle rm --force=true w' coracle rm --force = true w
        ask 'coracle run --pull=mi' coracle run --pull = mi
        ask 'coracle cp w' coracle cp w
        ask 'coracle run -v da' coracle run -v da
        ask 'coracle run --network=h' coracle run --network = h
        ask 'coracle volume rm ' coracle volume rm ''"#;
    if let Some(found) = shell(&env, "bash", script) {
        let lines: Vec<&str> = found.lines().collect();
        let wanted = [
            "app:one app:two",
            "one two",
            "two",
            "one",
            "web worker",
            "missing",
            "web: worker:",
            "data: date:",
            "host",
            "data date",
        ];
        assert_eq!(lines, wanted);
    }
}

#[test]
fn fish_completes_container_names_live() {
    let env = named();
    let script = "coracle completion fish | source; complete --do-complete 'coracle rm w'";
    if let Some(found) = shell(&env, "fish", script) {
        assert_eq!(found, "web\nworker\n");
    }
}

#[test]
fn descriptions_are_left_out_when_not_wanted() {
    let env = named();
    for (options, described) in [("", true), ("--no-desc", false)] {
        let script =
            format!("coracle completion {options} fish | source; complete --do-complete 'coracle rm --fo'");
        if let Some(found) = shell(&env, "fish", &script) {
            assert!(found.starts_with("--force"), "{found}");
            assert_eq!(found.trim_end().contains('\t'), described, "{found}");
        }
        let mut ask = env.program(crate::common::coracle_binary());
        if !described {
            ask = ask.env("CORACLE_COMPLETE_PLAIN", "1");
        }
        let asked = ask.args(["--", "coracle", "rm", "--fo"]).env("CORACLE_COMPLETE", "fish").ok();
        assert_eq!(asked.text().contains('\t'), described, "{asked}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = env.coracle(["completion", "--no-desc", shell]).ok();
        assert!(script.stdout.contains("CORACLE_COMPLETE_PLAIN=1 CORACLE_COMPLETE="), "{script}");
    }
}

/// zsh has no way to complete without a terminal; its script is read, and the question it would ask is
/// asked in its stead.
#[test]
fn zsh_reads_its_script_and_gets_names() {
    let env = named();
    let script = "autoload -Uz compinit; compinit -D -u; . =(coracle completion zsh); whence -w _clap_dynamic_completer_coracle";
    if let Some(found) = shell(&env, "zsh", script) {
        assert_eq!(found.trim(), "_clap_dynamic_completer_coracle: function");
    }
    let asked = env
        .program(crate::common::coracle_binary())
        .args(["--", "coracle", "--root"])
        .arg(env.root())
        .args(["rm", "d"])
        .env("CORACLE_COMPLETE", "zsh")
        .env("_CLAP_COMPLETE_INDEX", "4")
        .env("_CLAP_IFS", "\n")
        .ok();
    assert_eq!(asked.text(), "db");
}

#[test]
fn containers_are_offered_in_a_fitting_state() {
    let env = TestEnv::new();
    start(&env, "live", &[], IDLE);
    start(&env, "ended", &[], "true");
    env.coracle(["wait", "ended"]).ok();
    env.coracle(["volume", "create", "data"]).ok();
    let asked = |words: &[&str]| {
        let call = env.program(crate::common::coracle_binary()).args(["--", "coracle", "--root"]);
        let call = call.arg(env.root()).arg("--runroot").arg(env.runroot()).args(words).arg("");
        let index = (5 + words.len()).to_string();
        let call = call.env("CORACLE_COMPLETE", "zsh").env("_CLAP_COMPLETE_INDEX", index);
        // Options would bury the names.
        call.env("_CLAP_IFS", "\n").ok().lines()
    };
    for verb in ["stop", "kill", "pause", "exec", "attach", "top"] {
        assert_eq!(asked(&[verb]), ["live"], "{verb}");
    }
    assert_eq!(asked(&["start"]), ["ended"]);
    assert!(asked(&["unpause"]).iter().all(|word| word.starts_with('-')));
    assert_eq!(
        asked(&["run", "--network"]),
        ["none", "host", "slirp4netns", "pasta", r"container\:live", "podman"]
    );
    assert_eq!(asked(&["run", "--volumes-from"]), ["ended", "live"]);
    env.coracle(["import", "-q", "-", "app:one"]).stdin(empty_archive()).ok();
    for verb in ["rmi", "run", "save", "untag"] {
        assert_eq!(asked(&[verb]), [r"app\:one"], "{verb}");
    }
    for verb in [&["rm"][..], &["logs"], &["container", "inspect"]] {
        assert!(asked(verb).starts_with(&["ended".to_owned(), "live".to_owned()]), "{verb:?}");
    }
    assert_eq!(asked(&["volume", "rm"]), ["data"]);
    env.coracle(["rm", "-f", "-t", "0", "live"]).ok();
}
