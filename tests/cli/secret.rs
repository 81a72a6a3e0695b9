//! `secret` and `--secret`.

use super::ps::{IDLE, field, start};
use crate::common::{Output, TestEnv};
use serde_json::{Value, json};

const VALUE: &str = "s3cr3t-of-the-test";

fn run(env: &TestEnv, options: &[&str], script: &str) -> Output {
    let rootfs = format!("{}:O", env.busybox_rootfs().display());
    let call = env.coracle(["run", "--rm", "--network=none"]).args(options);
    call.args(["--rootfs", &rootfs, "sh", "-c", script]).run()
}

fn create(env: &TestEnv, name: &str) -> String {
    env.coracle(["secret", "create", name, "-"]).stdin(VALUE).ok().text().to_owned()
}

#[test]
fn secrets_come_from_files_streams_and_variables() {
    let env = TestEnv::new();
    let id = create(&env, "one");
    assert_eq!(id.len(), 25, "{id}");
    let file = env.file("value", "from a file");
    env.coracle(["secret", "create", "-l", "a=b", "--driver-opts", "x=y", "-d", "file", "two"])
        .arg(&file)
        .ok();
    env.coracle(["secret", "create", "--env", "three", "VALUE"]).env("VALUE", "from env").ok();
    let value = |name: &str| {
        let call = env.coracle(["secret", "inspect", "--showsecret", "-f", "{{.SecretData}}", name]);
        call.ok().text().to_owned()
    };
    assert_eq!([value("one"), value("two"), value("three")], [VALUE, "from a file", "from env"]);
    let shown = &env.coracle(["secret", "inspect", "two"]).ok().json()[0];
    assert_eq!(shown["Spec"]["Name"], "two");
    assert_eq!(shown["Spec"]["Labels"], serde_json::json!({"a": "b"}));
    assert_eq!(shown["Spec"]["Driver"]["Name"], "file");
    assert_eq!(shown["Spec"]["Driver"]["Options"]["x"], "y");
    assert!(shown.get("SecretData").is_none());
    let pretty = env.coracle(["secret", "inspect", "--pretty", "two"]).ok();
    assert!(pretty.stdout.contains("Name:              two\nLabels:\n - a=b\n"), "{pretty}");
    assert!(!pretty.stdout.contains("from a file"));

    env.coracle(["secret", "create", "one", "-"])
        .stdin("x")
        .fails(125)
        .says("exists already")
        .says("--replace");
    assert_eq!(env.coracle(["secret", "create", "--ignore", "one", "-"]).stdin("x").ok().text(), id);
    assert_eq!(env.coracle(["secret", "create", "--replace", "one", "-"]).stdin("new").ok().text(), id);
    assert_eq!(value("one"), "new");
    for (args, says) in [
        (&["empty", "-"][..], "0 bytes"),
        (&["a/b", "-"], "not a valid name"),
        (&["x", "/nosuch"], "/nosuch"),
        (&["--env", "x", "NOSUCH"], "NOSUCH is not set"),
        (&["-d", "pass", "x", "-"], "not supported"),
    ] {
        env.coracle(["secret", "create"]).args(args).fails(125).says(says);
    }
    let large = vec![b'x'; 600_000];
    env.coracle(["secret", "create", "large", "-"]).stdin(large).fails(125).says("512000");
}

#[test]
fn secrets_are_listed_found_and_removed() {
    let env = TestEnv::new();
    assert_eq!(env.coracle(["secret", "ls"]).ok().text(), "ID        NAME      DRIVER    CREATED   UPDATED");
    let ids = [create(&env, "aa"), create(&env, "bb")];
    let list = |args: &[&str]| env.coracle(["secret", "ls"]).args(args).ok();
    assert_eq!(list(&["-q"]).lines(), ids);
    assert_eq!(list(&["--noheading", "--format", "{{.Name}} {{.Driver}}"]).lines(), ["aa file", "bb file"]);
    assert!(list(&[]).lines()[1].starts_with(&format!("{}   aa        file", ids[0])));
    assert_eq!(list(&["-f", "name=^a", "--format", "{{.ID}}"]).text(), ids[0]);
    assert_eq!(list(&["--filter", &format!("id={}", &ids[1][..6]), "-q"]).text(), ids[1]);
    assert_eq!(list(&["--format", "json"]).json()[1]["Name"], "bb");
    env.coracle(["secret", "ls", "-f", "colour=red"]).fails(125).says("colour");
    env.coracle(["secret", "exists", "aa"]).ok();
    env.coracle(["secret", "exists", "cc"]).fails(1);
    env.coracle(["secret", "inspect", "cc"]).fails(125).says("cc");
    env.coracle(["secret", "rm"]).fails(125);
    env.coracle(["secret", "rm", "cc"]).fails(125).says("cc");
    env.coracle(["secret", "rm", "-i", "cc"]).ok();
    assert_eq!(env.coracle(["secret", "rm", &ids[0][..8]]).ok().text(), ids[0]);
    assert_eq!(env.coracle(["secret", "rm", "--all"]).ok().text(), ids[1]);
    assert!(list(&["-q"]).text().is_empty());
}

#[test]
fn a_secret_is_a_file_of_the_containers_user() {
    let env = TestEnv::new();
    create(&env, "key");
    let look = "cd /run/secrets; stat -c '%a %u:%g' *; cat *";
    assert_eq!(run(&env, &["--secret", "key"], look).text(), format!("444 0:0\n{VALUE}"));
    assert_eq!(run(&env, &["--secret", "key", "-u", "12:34"], look).text(), format!("444 12:34\n{VALUE}"));
    let options = "key,target=other,uid=5,gid=6,mode=0440";
    assert_eq!(run(&env, &["--secret", options], "ls /run/secrets").text(), "other");
    assert_eq!(run(&env, &["--secret", options], look).text(), format!("440 5:6\n{VALUE}"));
    let place = ["--secret", "key,type=mount,target=/etc/app/key"];
    assert_eq!(run(&env, &place, "cat /etc/app/key").text(), VALUE);
    // Nothing inside changes it, and a read-only root is no obstacle.
    let fixed = ["--secret", "key", "--read-only"];
    assert_eq!(
        run(&env, &fixed, "echo x 2>/dev/null > /run/secrets/key || cat /run/secrets/key").text(),
        VALUE
    );
    for (option, says) in [("nobody", "nobody"), ("key,mode=9", "octal"), ("key,wat=1", "wat")] {
        let refused = run(&env, &["--secret", option], "true");
        assert_eq!(refused.code, 125, "{refused}");
        refused.says(says);
    }
}

#[test]
fn a_secret_is_a_variable_that_no_record_holds() {
    let env = TestEnv::new();
    create(&env, "key");
    let options = ["-e", "KEY=other", "--secret", "key,type=env,target=KEY", "--secret", "key"];
    let id = start(&env, "c", &options, &format!("env | grep ^KEY; cat /run/secrets/key; echo; {IDLE}"));
    crate::common::eventually("it has said so", || env.coracle(["logs", "c"]).ok().lines().len() == 2);
    assert_eq!(env.coracle(["logs", "c"]).ok().lines(), [format!("KEY={VALUE}"), VALUE.to_owned()]);
    assert_eq!(env.coracle(["exec", "c", "sh", "-c", "echo $KEY"]).ok().text(), VALUE);
    assert_eq!(env.coracle(["exec", "-e", "KEY=mine", "c", "sh", "-c", "echo $KEY"]).ok().text(), "mine");
    assert!(!env.coracle(["inspect", "c"]).ok().stdout.contains(VALUE));
    // Neither its records nor what it wrote, and nobody else may read where it is.
    let container = env.root().join("containers").join(&id);
    let grep = env.program("grep").args(["-rlF", VALUE]).arg(env.root()).run();
    let mut found = grep.lines();
    found.retain(|path| !path.ends_with("/log") && !path.contains("/rootfs/"));
    found.sort();
    let copy = container.join("secrets/key");
    let value = env.root().join("secrets/key/value");
    assert_eq!(found, [copy.to_str().unwrap(), value.to_str().unwrap()]);
    for path in [copy, value] {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    let archive = env.coracle(["export", "c"]).ok();
    assert!(!archive.stdout.contains(VALUE));
    assert!(
        !std::fs::read(env.busybox_rootfs().join("run/secrets/key")).unwrap_or_default().starts_with(b"s3")
    );
    // What is not text fits no variable.
    env.coracle(["secret", "create", "bytes", "-"]).stdin([0xff, 0, 1].to_vec()).ok();
    let refused = run(&env, &["--secret", "bytes,type=env"], "true");
    assert_eq!(refused.code, 125, "{refused}");
    refused.says("not text");
}

#[test]
fn a_container_keeps_the_value_it_was_made_with() {
    let env = TestEnv::new();
    create(&env, "key");
    start(&env, "c", &["--secret", "key"], IDLE);
    env.coracle(["secret", "create", "--replace", "key", "-"]).stdin("new").ok();
    assert_eq!(env.coracle(["exec", "c", "cat", "/run/secrets/key"]).ok().text(), VALUE);
    env.coracle(["secret", "rm", "key"]).ok();
    assert_eq!(env.coracle(["exec", "c", "cat", "/run/secrets/key"]).ok().text(), VALUE);
    env.coracle(["rm", "-f", "-t", "0", "c"]).ok();
    let grep = env.program("grep").args(["-rlF", VALUE]).arg(env.root()).run();
    assert!(grep.text().is_empty(), "it went with the container: {grep}");
}

#[test]
fn a_container_says_which_secrets_are_files_in_it() {
    let env = TestEnv::new();
    let id = create(&env, "key");
    let options =
        ["--secret", "key,type=env", "--secret", "key", "--secret", "key,target=b,uid=7,gid=8,mode=0444"];
    start(&env, "c", &options, IDLE);
    let secrets = || serde_json::from_str::<Value>(&field(&env, "c", "{{json .Config.Secrets}}")).unwrap();
    let shown = |id: &str| {
        json!([
            {"Name": "key", "ID": id, "UID": 0, "GID": 0, "Mode": 0o444},
            {"Name": "key", "ID": id, "UID": 7, "GID": 8, "Mode": 0o444},
        ])
    };
    assert_eq!(secrets(), shown(&id));
    env.coracle(["secret", "rm", "key"]).ok();
    assert_eq!(secrets(), shown(""), "a secret that is gone has no id");
    env.coracle(["rm", "-f", "-t", "0", "c"]).ok();
}
