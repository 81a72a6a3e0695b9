//! `coracle login` and `logout`.

use crate::common::{Auth, Call, Fault, FaultyRegistry, Output, Registry, TestEnv, busybox};
use base64::Engine as _;
use expectrl::Expect as _;
use serde_json::{Value, json};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

fn encoded(pair: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(pair)
}

fn login(env: &TestEnv, host: &str, user: &str, password: &str) -> Output {
    env.coracle(["login", "-u", user, "--password-stdin", host]).stdin(password).run()
}

fn logged_in(env: &TestEnv, host: &str) {
    assert_eq!(login(env, host, "bob", "secret\n").code, 0);
}

fn own_file(env: &TestEnv) -> PathBuf {
    env.home().join(".config/containers/auth.json")
}

fn auths(path: &std::path::Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str::<Value>(&text).unwrap()["auths"].clone()
}

/// As a newcomer types it, at a registry of each kind.
#[test]
fn login_and_pull_of_a_private_image_work_word_by_word() {
    for registry in [Registry::with_password("bob", "secret"), Registry::with_tokens("bob", "secret")] {
        busybox().push(&registry, "team/app", "latest");
        let (host, name) = (registry.address(), registry.reference("team/app", "latest"));
        let env = TestEnv::new();
        let denied = env.coracle(["pull", &name]).fails(125);
        denied.says("access to").says(&format!("coracle login {host}"));
        let wrong = login(&env, host, "bob", "wrong");
        assert_eq!((wrong.code, wrong.text()), (125, ""), "{wrong}");
        let wrong = wrong.says(&format!("Error: logging into \"{host}\": invalid username/password\n"));
        assert!(!wrong.stderr.contains("wrong"), "{wrong}");
        assert!(!own_file(&env).exists());
        let done = login(&env, host, "bob", "secret\n");
        assert_eq!((done.code, done.stdout.as_str()), (0, "Login Succeeded!\n"), "{done}");
        env.coracle(["pull", &name]).ok();
        assert_eq!(env.coracle(["login", "--get-login", host]).ok().stdout, "bob\n");
        let again = env.coracle(["login", host]).ok();
        let expected = format!(
            "Authenticating with existing credentials for {host}\n\
             Existing credentials are valid. Already logged in to {host}\n"
        );
        assert_eq!(again.stdout, expected);
        let gone = env.coracle(["logout", host]).ok();
        assert_eq!(gone.stdout, format!("Removed login credentials for {host}\n"));
        env.coracle(["logout", host]).fails(125).says(&format!("Error: not logged into {host}\n"));
        env.coracle(["login", "--get-login", host]).fails(125).says(&format!("not logged into {host}"));
        env.coracle(["pull", &name]).fails(125).says("access to");
    }
}

#[test]
fn a_registry_that_asks_for_nothing_lets_in() {
    let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
    let done = env.coracle(["login", "-u", "bob", "-p", "secret", "-v", registry.address()]).ok();
    let expected = format!("Used:  {}\nLogin Succeeded!\n", own_file(&env).display());
    assert_eq!(done.stdout, expected);
    assert!(registry.seen().iter().all(|seen| seen.header("authorization").is_none()));
    let nobody = crate::common::free_port();
    let refused = login(&env, &format!("127.0.0.1:{nobody}"), "bob", "secret");
    assert_eq!(refused.code, 125);
    refused.says(&format!("pinging container registry 127.0.0.1:{nobody}"));
}

#[test]
fn credentials_are_for_their_owner_and_everything_else_stays() {
    let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
    let host = registry.address();
    let path = own_file(&env);
    let before = "{\n  \"credHelpers\": {\"x.example\": \"x\"},\n  \"auths\": {\n    \"old.example\": {\"auth\": \"YTpi\"}\n  },\n  \
                  \"unknown\": [1,   2]\n}\n";
    env.file("home/.config/containers/auth.json", before);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    logged_in(&env, host);
    let text = std::fs::read_to_string(&path).unwrap();
    for part in
        ["  \"credHelpers\": {\"x.example\": \"x\"},\n", "\"unknown\": [1,   2]\n", "{\"auth\": \"YTpi\"}"]
    {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert_eq!(auths(&path)[host]["auth"], encoded("bob:secret"));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    env.coracle(["logout", host]).ok();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
    // New directories are for their owner, too.
    let fresh = TestEnv::new();
    logged_in(&fresh, host);
    let dir = own_file(&fresh).parent().unwrap().to_owned();
    assert_eq!(std::fs::metadata(dir).unwrap().permissions().mode() & 0o077, 0);
}

#[test]
fn namespaces_have_credentials_of_their_own() {
    let registry = Registry::with_password("bob", "secret");
    busybox().push(&registry, "team/app", "latest");
    let (env, host) = (TestEnv::new(), registry.address());
    logged_in(&env, &format!("{host}/team"));
    env.coracle(["pull", &registry.reference("team/app", "latest")]).ok();
    env.coracle(["pull", &registry.reference("other/app", "latest")]).fails(125).says("access to");
    assert_eq!(
        auths(&own_file(&env)).as_object().unwrap().keys().collect::<Vec<_>>(),
        [&format!("{host}/team")]
    );
    let compatible = env.path().join("config.json");
    let call = env.coracle(["login", "-u", "bob", "-p", "secret", "--compat-auth-file"]).arg(&compatible);
    call.arg(format!("{host}/team")).fails(125).says("not supported in a Docker-compatible auth file");
    assert!(!compatible.exists());
    let call = env.coracle(["login", "-u", "bob", "-p", "secret", "--compat-auth-file"]).arg(&compatible);
    call.arg(host).ok();
    assert_eq!(auths(&compatible)[host]["auth"], encoded("bob:secret"));
    for bad in ["a b.c", "nodots", &format!("{host}/team:1"), "x.io\r\nEvil: 1"] {
        let output = login(&env, bad, "bob", "secret");
        assert_eq!(output.code, 125, "{output}");
        output.says("is not the name of a registry");
    }
}

/// Podman's own logins last until the machine is restarted; ours do not vanish, nor are they hidden by those.
#[test]
fn logins_last_and_older_ones_do_not_hide_them() {
    let registry = Registry::with_password("bob", "secret");
    let (env, host) = (TestEnv::new(), registry.address());
    let stale = json!({"auths": {host: {"auth": encoded("old:old")}}}).to_string();
    let volatile = env.file("run/containers/auth.json", &stale);
    let changed = env.coracle(["login", "-u", "bob", "--password-stdin", host]).stdin("secret").ok();
    assert_eq!(changed.text(), "Login Succeeded!");
    assert_eq!(env.coracle(["login", "--get-login", host]).ok().text(), "bob");
    std::fs::remove_file(&volatile).unwrap();
    assert_eq!(env.coracle(["login", "--get-login", host]).ok().text(), "bob");
    env.file("run/containers/auth.json", &stale);
    env.coracle(["logout", host]).ok();
    env.coracle(["login", "--get-login", host]).fails(125);
    // What docker keeps is for docker to remove.
    env.file("home/.docker/config.json", &stale);
    let left = env.coracle(["logout", host]).ok();
    assert!(left.stdout.contains("Existing credentials were established via docker login"), "{left}");
    logged_in(&env, host);
    env.coracle(["logout", "--all"]).ok();
    assert_eq!(auths(&own_file(&env)), json!({}));
    env.coracle(["logout", "--all", host]).fails(125).says("--all");
}

#[test]
fn files_can_be_chosen() {
    let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
    let host = registry.address();
    let named = env.path().join("new/auth.json");
    let call = || env.coracle(["login", "-u", "bob", "-p", "secret"]).arg(host);
    call().arg("--authfile").arg(&named).ok();
    assert_eq!(auths(&named)[host]["auth"], encoded("bob:secret"));
    let other = env.path().join("other.json");
    call().env("REGISTRY_AUTH_FILE", &other).ok();
    assert_eq!(auths(&other)[host]["auth"], encoded("bob:secret"));
    assert!(!own_file(&env).exists());
    env.coracle(["logout", host, "--authfile"]).arg(&named).ok();
    assert_eq!(auths(&named), json!({}));
    call()
        .arg("--authfile")
        .arg(&named)
        .arg("--compat-auth-file")
        .arg(&other)
        .fails(125)
        .says("--compat-auth-file");
}

#[test]
fn passwords_come_from_streams_and_secrets() {
    // The key of a service account: JSON of several lines.
    let key = "{\n\"type\": \"service_account\"\n}";
    let registry = Registry::with_password("bob", key);
    let (env, host) = (TestEnv::new(), registry.address());
    assert_eq!(login(&env, host, "bob", &format!("{key}\r\n")).code, 0);
    env.coracle(["logout", host]).ok();
    env.coracle(["secret", "create", "token", "-"]).stdin(key).ok();
    env.coracle(["login", "--secret", "token", host])
        .fails(125)
        .says("must provide --username with --secret");
    env.coracle(["login", "--secret", "token", "-u", "bob", host]).ok();
    env.coracle(["login", "--secret", "nosuch", "-u", "bob", host]).fails(125).says("no such secret");
    let stdin = || env.coracle(["login", "--password-stdin", host]).stdin("x");
    stdin().fails(125).says("must provide --username with --password-stdin");
    stdin().args(["-u", "bob", "-p", "x"]).fails(125).says("--password");
    for (user, password) in [("a:b", "x"), ("a\r\nb", "x"), ("bob", ""), ("bob", "nul\0"), ("bob", "nul\nx")]
    {
        let output = login(&env, host, user, password);
        assert_eq!(output.code, 125, "{output}");
        assert!(!output.stderr.contains("nul"), "{output}");
    }
    let big = login(&env, host, "bob", &"x".repeat(100_000));
    big.says("longer than");
    // Nobody to ask.
    env.coracle(["logout", host]).ok();
    env.coracle(["login", "-u", "bob", host])
        .fails(125)
        .says("inappropriate ioctl for device")
        .says("--password-stdin");
}

#[test]
fn a_password_is_asked_for_without_showing_it() {
    let registry = Registry::with_password("bob", "secret");
    let (env, host) = (TestEnv::new(), registry.address());
    let mut session = env.coracle(["login", host]).pty();
    session.expect("Username: ").unwrap();
    session.send("bob\r").unwrap();
    session.expect("Password: ").unwrap();
    session.send("wro\x15secrex\x7ft\r").unwrap();
    let seen = session.expect("Login Succeeded!").unwrap();
    let before = String::from_utf8_lossy(seen.before()).into_owned();
    assert!(!before.contains("secre"), "{before:?}");
    assert_eq!(auths(&own_file(&env))[host]["auth"], encoded("bob:secret"));
    drop(session);
    // Those that no longer work are asked for again, the user offered.
    let stale = json!({"auths": {host: {"auth": encoded("bob:old")}}}).to_string();
    env.file("home/.config/containers/auth.json", stale);
    let mut session = env.coracle(["login", host]).pty();
    session.expect("Existing credentials are invalid, please enter valid username and password").unwrap();
    session.expect("Username (bob): ").unwrap();
    session.send("\r").unwrap();
    session.expect("Password: ").unwrap();
    session.send("secret\r").unwrap();
    session.expect("Login Succeeded!").unwrap();
}

#[test]
fn an_interrupted_question_restores_the_terminal() {
    let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
    let binary = crate::common::coracle_binary().display().to_string();
    for keys in ["\x03", "half\x03", "\x04"] {
        let script = format!(
            "stty -a >before; '{binary}' --root '{}' login -u bob {}; echo \"code=$?\"; stty -a >after; \
             cmp before after && echo same",
            env.root().display(),
            registry.address()
        );
        // A shell that is interrupted with its child would end, too.
        let mut session = env.program("bash").args(["-c", &format!("trap : INT; {script}")]).pty();
        session.expect("Password: ").unwrap();
        session.send(keys).unwrap();
        session.expect("code=").unwrap();
        session.expect("same").unwrap();
    }
    let mut session = env.coracle(["login", "-u", "bob", registry.address()]).pty();
    session.expect("Password: ").unwrap();
    let pid = nix::unistd::Pid::from_raw(session.get_process().pid().as_raw());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    let ended = nix::sys::wait::waitpid(pid, None).unwrap();
    assert!(
        matches!(ended, nix::sys::wait::WaitStatus::Signaled(_, nix::sys::signal::Signal::SIGTERM, _)),
        "{ended:?}"
    );
    assert!(!own_file(&env).exists());
}

#[test]
fn called_docker_it_is_dockers_file_and_words() {
    let registry = Registry::with_password("bob", "secret");
    busybox().push(&registry, "team/app", "latest");
    let (env, host) = (TestEnv::new(), registry.address());
    let path = env.home().join(".docker/config.json");
    let docker = |args: &[&str]| env.called("docker", args);
    let stale = json!({"auths": {host: {"auth": encoded("old:old")}}}).to_string();
    env.file("home/.config/containers/auth.json", stale);
    let wrong = docker(&["login", "-u", "bob", "-p", "wrong", host]).fails(1);
    wrong.says("WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n").says(&format!(
        "Error response from daemon: Get \"https://{host}/v2/\": unauthorized: incorrect username or password\n"
    ));
    let done = docker(&["login", "-u", "bob", "--password-stdin", host]).stdin("secret").ok();
    assert_eq!(done.stdout, "Login Succeeded\n");
    done.says(&format!("WARNING! Your password will be stored unencrypted in {}.\n", path.display()));
    assert_eq!(auths(&path)[host]["auth"], encoded("bob:secret"));
    docker(&["pull", "-q", &registry.reference("team/app", "latest")]).ok();
    let again = docker(&["login", &format!("https://{host}/v2/")]).ok();
    assert_eq!(again.stdout, "Authenticating with existing credentials...\nLogin Succeeded\n");
    let gone = docker(&["logout", host]).ok();
    assert_eq!(gone.stdout, format!("Removing login credentials for {host}\n"));
    assert_eq!(auths(&path), json!({}));
    assert_eq!(docker(&["logout", host]).ok().stdout, format!("Not logged in to {host}\n"));
    assert_eq!(docker(&["logout"]).ok().stdout, "Not logged in to https://index.docker.io/v1/\n");
    docker(&["login", "-u", "bob", host])
        .fails(1)
        .says("cannot perform an interactive login from a non-TTY device");
    let elsewhere = env.path().join("docker-config");
    let call = docker(&["--config"]).arg(&elsewhere).args(["login", "-u", "bob", "--password-stdin", host]);
    call.stdin("secret").ok();
    assert_eq!(auths(&elsewhere.join("config.json"))[host]["auth"], encoded("bob:secret"));
}

/// A helper that keeps its secrets in a file, and notes how it was called.
struct Helper {
    path: String,
    dir: PathBuf,
}

impl Helper {
    fn new(env: &TestEnv, name: &str) -> Helper {
        let dir = env.path().join(format!("helper-{name}"));
        std::fs::create_dir(&dir).unwrap();
        let script = r#"#!/bin/sh
cd DIR
echo "$*" >>calls
ls -l /proc/$$/fd >descriptors
read_key() { key=$(cat); file=$(printf %s "$key" | tr '/:' '__'); }
case $1 in
store) cat >order; server=$(sed 's/.*"ServerURL":"\([^"]*\)".*/\1/' order); mv order "$(printf %s "$server" | tr '/:' '__')" ;;
get) read_key; [ -e "$file" ] || { echo 'credentials not found in native keychain'; exit 1; }; cat "$file" ;;
erase) read_key; rm -f "$file" ;;
list) printf '{'; first=; for f in *_*; do [ -e "$f" ] || continue
    printf '%s"%s":"bob"' "$first" "$(sed 's/.*"ServerURL":"\([^"]*\)".*/\1/' "$f")"; first=,; done; printf '}' ;;
esac
"#;
        let helper = env.file(
            &format!("bin/docker-credential-{name}"),
            script.replace("DIR", &dir.display().to_string()),
        );
        std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", helper.parent().unwrap().display(), std::env::var("PATH").unwrap());
        Helper { path, dir }
    }

    fn call(&self, call: Call) -> Call {
        call.env("PATH", &self.path)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.join(name)).unwrap_or_default()
    }
}

#[test]
fn helpers_keep_and_forget() {
    let registry = Registry::with_password("bob", "secret");
    busybox().push(&registry, "team/app", "latest");
    let (host, name) = (registry.address(), registry.reference("team/app", "latest"));
    let own = "home/.config/containers/auth.json";
    let rules = "credential-helpers = [\"tests\"]\n".to_owned();
    for (file, text) in [
        (
            own,
            json!({"credHelpers": {host: "tests"}, "auths": {host: {"auth": encoded("old:old")}}})
                .to_string(),
        ),
        (own, json!({"credsStore": "tests"}).to_string()),
        ("home/.config/containers/registries.conf", rules),
    ] {
        let env = TestEnv::new();
        let helper = Helper::new(&env, "tests");
        env.file(file, &text);
        let call = env.coracle(["login", "-v", "-u", "bob", "--password-stdin", host]).stdin("secret");
        let done = helper.call(call).ok();
        assert_eq!(done.stdout, "Used:  docker-credential-tests\nLogin Succeeded!\n", "{text}");
        assert!(!helper.read("calls").contains("secret"));
        // It gets nothing of ours but pipes; its own script is not ours.
        let descriptors = helper.read("descriptors");
        assert!(descriptors.contains("pipe:"), "{descriptors}");
        let ours = [env.root(), env.runroot()].map(|dir| dir.display().to_string());
        assert!(!ours.iter().any(|dir| descriptors.contains(dir.as_str())), "{descriptors}");
        let kept = std::fs::read_to_string(own_file(&env)).unwrap_or_default();
        assert!(!kept.contains(&encoded("bob:secret")) && !kept.contains(&encoded("old:old")), "{kept}");
        helper.call(env.coracle(["pull", "-q", &name])).ok();
        assert_eq!(helper.call(env.coracle(["login", "--get-login", host])).ok().text(), "bob");
        helper.call(env.coracle(["logout", host])).ok();
        helper.call(env.coracle(["login", "--get-login", host])).fails(125);
        helper.call(env.coracle(["logout", host])).fails(125).says("not logged into");
        helper.call(env.coracle(["login", "-u", "bob", "-p", "secret", host])).ok();
        helper.call(env.coracle(["logout", "--all"])).ok();
        helper.call(env.coracle(["login", "--get-login", host])).fails(125);
    }
    // Docker notes whom its helper knows.
    let env = TestEnv::new();
    let helper = Helper::new(&env, "tests");
    env.file("home/.docker/config.json", json!({"credsStore": "tests"}).to_string());
    let done = helper
        .call(env.called("docker", ["login", "-u", "bob", "--password-stdin", host]).stdin("secret"))
        .ok();
    assert!(!done.stderr.contains("unencrypted"), "{done}");
    assert_eq!(auths(&env.home().join(".docker/config.json")), json!({host: {}}));
    helper.call(env.called("docker", ["logout", host])).ok();
    assert_eq!(auths(&env.home().join(".docker/config.json")), json!({}));
}

#[test]
fn case_13_a_helper_that_misbehaves_keeps_nothing_and_shows_nothing() {
    let registry = FaultyRegistry::start();
    let host = registry.address();
    for (script, says) in [
        ("cat >/dev/null; echo 'the keyring is locked' >&2; exit 1", "the keyring is locked"),
        ("cat; exit 1", "it failed"),
        ("cat /dev/zero", "it prints more than"),
        ("kill -9 $$", "it failed"),
    ] {
        let env = TestEnv::new();
        let helper =
            env.file("bin/docker-credential-bad", format!("#!/bin/sh\n[ $1 = get ] && exit 0\n{script}\n"));
        std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", helper.parent().unwrap().display(), std::env::var("PATH").unwrap());
        let before = json!({"credsStore": "bad"}).to_string();
        let file = env.file("home/.config/containers/auth.json", &before);
        let call = env.coracle(["login", "-u", "bob", "--password-stdin", host]).stdin("s3cr3t");
        let output = call.env("PATH", &path).fails(125);
        assert!(!output.stderr.contains("s3cr3t") && !output.stdout.contains("Succeeded"), "{output}");
        output.says("docker-credential-bad").says(says);
        assert_eq!(std::fs::read_to_string(file).unwrap(), before);
    }
    // One that is not there.
    let env = TestEnv::new();
    env.file("home/.config/containers/auth.json", json!({"credsStore": "none-such"}).to_string());
    login(&env, host, "bob", "secret").says("docker-credential-none-such");
}

#[test]
fn case_13_a_foreign_token_server_is_not_told_the_password() {
    let (env, registry, elsewhere) = (TestEnv::new(), FaultyRegistry::start(), FaultyRegistry::start());
    let port = elsewhere.address().rsplit_once(':').unwrap().1;
    for realm in [format!("http://localhost:{port}/token"), format!("https://localhost:{port}/token")] {
        registry.require(Auth::Bearer { realm: Some(realm), uses: 9 }, None);
        let output = login(&env, registry.address(), "bob", "secret");
        assert_eq!((output.code, output.text()), (125, ""), "{output}");
        assert!(elsewhere.seen().is_empty(), "{:?}", elsewhere.seen());
        assert!(!own_file(&env).exists());
    }
    login(&env, registry.address(), "bob", "secret").says("were not sent to its token server");
    // Nor is the target of a redirect.
    let registry = FaultyRegistry::start();
    registry.require(Auth::Basic("bob".into(), "secret".into()), None);
    let to = format!("http://{}/v2/", elsewhere.address());
    registry.fault("/v2/", 9, Fault::Redirect(to));
    login(&env, registry.address(), "bob", "secret");
    assert!(elsewhere.seen().iter().all(|seen| seen.header("authorization").is_none()));
}

#[test]
fn odd_things_in_the_files_place_are_refused_before_anything_is_asked() {
    let registry = FaultyRegistry::start();
    let host = registry.address();
    type Make<'a> = &'a dyn Fn(&std::path::Path);
    let odd: [(&str, Make<'_>, &str); 5] = [
        ("directory", &|path| std::fs::create_dir(path).unwrap(), "is not a regular file"),
        (
            "fifo",
            &|path| nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap(),
            "is not a regular file",
        ),
        ("text", &|path| std::fs::write(path, "not json").unwrap(), "is not a credentials file"),
        (
            "large",
            &|path| std::fs::File::create(path).unwrap().set_len(1 << 40).unwrap(),
            "is larger than 16 MiB",
        ),
        ("link", &|path| symlink("/dev/zero", path).unwrap(), "is not a regular file"),
    ];
    for (what, make, says) in odd {
        let env = TestEnv::new();
        std::fs::create_dir_all(own_file(&env).parent().unwrap()).unwrap();
        make(&own_file(&env));
        let output = login(&env, host, "bob", "secret");
        assert_eq!(output.code, 125, "{what}: {output}");
        output.says(says);
        env.coracle(["logout", host]).fails(125).says(says);
        env.coracle(["pull", &format!("{host}/x")]).fails(125).says(says);
    }
    assert!(registry.seen().is_empty());
    // A link to a file of the user's is kept, and what it leads to is changed.
    let env = TestEnv::new();
    let real = env.file("dotfiles/auth.json", "{\"auths\": {}, \"mine\": 1}");
    std::fs::create_dir_all(own_file(&env).parent().unwrap()).unwrap();
    symlink(&real, own_file(&env)).unwrap();
    logged_in(&env, host);
    assert!(own_file(&env).is_symlink());
    let text = std::fs::read_to_string(real).unwrap();
    assert!(text.contains("\"mine\": 1") && text.contains(host), "{text}");
}

#[test]
fn a_killed_login_leaves_the_old_file_or_the_new_one() {
    let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
    let host = registry.address();
    let before = json!({"auths": {"old.example": {"auth": encoded("a:b")}}}).to_string();
    let path = env.file("home/.config/containers/auth.json", &before);
    let killed = |step: &str| {
        let call = env.coracle(["login", "-u", "bob", "-p", "secret", host]);
        call.env("CORACLE_FAILPOINT", format!("{step}=kill")).fails(137);
    };
    killed("rewrite.written");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
    killed("rewrite.renamed");
    assert_eq!(auths(&path)[host]["auth"], encoded("bob:secret"));
    assert_eq!(auths(&path)["old.example"]["auth"], encoded("a:b"));
    killed("rewrite.written");
    // What is left of it is gone after the next.
    logged_in(&env, host);
    let names: Vec<_> =
        std::fs::read_dir(path.parent().unwrap()).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(names, ["auth.json"]);
}

#[test]
fn logins_at_the_same_time_do_not_lose_each_other() {
    let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
    let names: Vec<String> = (0..12).map(|n| format!("{}/part{n}", registry.address())).collect();
    let running: Vec<_> =
        names.iter().map(|name| env.coracle(["login", "-u", "bob", "-p", "secret", name]).start()).collect();
    for login in running {
        let output = login.wait();
        assert_eq!(output.code, 0, "{output}");
    }
    let kept = auths(&own_file(&env));
    assert!(names.iter().all(|name| kept[name]["auth"] == encoded("bob:secret")), "{kept}");
}

/// The files are podman's and skopeo's, too.
#[test]
fn skopeo_reads_what_login_writes() {
    let registry = Registry::with_password("bob", "secret");
    busybox().push(&registry, "team/app", "latest");
    let env = TestEnv::new();
    logged_in(&env, registry.address());
    let name = format!("docker://{}", registry.reference("team/app", "latest"));
    env.program("skopeo").args(["inspect", "--tls-verify=false", &name]).ok();
    let back = env.path().join("theirs.json");
    let login = env.program("skopeo").args([
        "login",
        "--tls-verify=false",
        "-u",
        "bob",
        "-p",
        "secret",
        "--authfile",
    ]);
    login.arg(&back).arg(registry.address()).ok();
    let call = env.coracle(["pull", "-q", "--authfile"]).arg(&back);
    call.arg(registry.reference("team/app", "latest")).ok();
}

/// Docker's own settings count under its name, and under no other.
#[test]
fn called_docker_its_mirrors_are_used() {
    let registry = Registry::start();
    busybox().push(&registry, "library/busybox", "latest");
    let env = TestEnv::new();
    let mirror = format!("http://{}", registry.address());
    env.file("home/.config/docker/daemon.json", json!({"registry-mirrors": [mirror]}).to_string());
    env.called("docker", ["pull", "-q", "busybox"]).ok();
    assert!(env.called("docker", ["images", "-q", "busybox"]).ok().text().len() > 5);
    env.file("home/.config/docker/daemon.json", json!({"registry-mirrors": ["m.example"]}).to_string());
    env.called("docker", ["pull", "busybox"]).fails(1).says("is not docker's configuration");
    env.coracle(["search", "--limit", "1", &format!("{}/", registry.address())]).ok();
}
