//! `registries.conf`: what names mean, against real registries, and as podman and skopeo read it.

use crate::common::{Call, Registry, TestEnv, one_file, skip, which};
use expectrl::Expect;
use std::path::Path;

/// All kinds of manifests of images.
const ACCEPTED: &str =
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";
const CONF: &str = "home/.config/containers/registries.conf";

/// Two registries: both have `both/app`, with different images, only the second has `only/app`.
fn two() -> (Registry, Registry, [String; 2], String) {
    let (first, second) = (Registry::start(), Registry::start());
    let id = |text: &str, registry: &Registry, name: &str| {
        one_file(text).push(registry, name, "1");
        let answer = registry.request(
            "GET",
            &format!("/v2/{name}/manifests/1"),
            &[("Accept", "application/vnd.oci.image.manifest.v1+json")],
            b"",
        );
        let manifest: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        manifest["config"]["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned()
    };
    let both = [id("one", &first, "both/app"), id("two", &second, "both/app")];
    let only = id("only", &second, "only/app");
    (first, second, both, only)
}

fn insecure(registries: &[&Registry]) -> String {
    let table = |registry: &&Registry| {
        format!("[[registry]]\nlocation = \"{}\"\ninsecure = true\n", registry.address())
    };
    registries.iter().map(table).collect()
}

fn podman(env: &TestEnv, args: &[&str]) -> Call {
    env.program("podman").args(["--storage-driver=vfs"]).args(args)
}

#[test]
fn short_name_modes_decide_without_a_terminal() {
    let env = TestEnv::new();
    let (first, second, both, only) = two();
    let conf = |mode: &str| {
        let search = format!(
            "unqualified-search-registries = ['{}', '{}']\nshort-name-mode = '{mode}'\n",
            first.address(),
            second.address()
        );
        env.file(CONF, search + &insecure(&[&first, &second]))
    };
    let pull = |name: &str| env.coracle(["pull", name]);
    let path = conf("enforcing");
    let refused = "short-name resolution enforced but cannot prompt without a TTY";
    pull("only/app:1").fails(125).says(refused).says(&format!("{}/only/app:1", first.address()));
    if which("podman").is_some() {
        podman(&env, &["pull", "only/app:1"]).fails(125).says(refused);
        podman(&env, &["system", "reset", "-f"]).ok();
    }
    for mode in ["permissive", "disabled", ""] {
        conf(mode);
        let mut output = pull("only/app:1").ok();
        assert_eq!(output.text(), only);
        output = output.says(&format!(
            "Resolving \"only/app\" using unqualified-search registries ({})",
            path.display()
        ));
        for registry in [&first, &second] {
            output = output.says(&format!("Trying to pull {}/only/app:1...", registry.address()));
        }
        assert_eq!(pull("both/app:1").ok().text(), both[0], "{mode}");
    }
    // An alias is no choice, and nobody was asked.
    conf("enforcing");
    let alias = format!("[aliases]\n'nick' = '{}/both/app'\n", second.address());
    env.file("home/.config/containers/registries.conf.d/nick.conf", alias);
    let output = pull("nick:1").ok().says("Resolved \"nick\" as an alias (").says("nick.conf)");
    assert_eq!(output.text(), both[1]);
    assert!(!env.home().join(".cache/containers/short-name-aliases.conf").exists());
    env.file(CONF, "unqualified-search-registries = []\n");
    pull("other:1").fails(125).says(&format!(
        "short-name \"other\" did not resolve to an alias and no unqualified-search registries are defined in {:?}",
        path.display().to_string()
    ));
}

#[test]
fn somebody_at_a_terminal_chooses_once() {
    let env = TestEnv::new();
    let (first, second, both, _) = two();
    let search = format!("unqualified-search-registries = ['{}', '{}']\n", first.address(), second.address());
    env.file(CONF, search + &insecure(&[&first, &second]));
    let chosen = env.home().join(".cache/containers/short-name-aliases.conf");
    // Ctrl-D chooses nothing.
    let mut session = env.coracle(["pull", "both/app:1"]).env("TERM", "xterm").pty();
    session.expect("Please select an image:").unwrap();
    session.expect(format!("{}/both/app:1", second.address())).unwrap();
    session.send("\x04").unwrap();
    session.expect("no image was selected").unwrap();
    session.expect(expectrl::Eof).unwrap();
    assert!(!chosen.exists());
    // What cannot be pulled is not noted.
    let mut session = env.coracle(["pull", "both/none:1"]).env("TERM", "xterm").pty();
    session.expect("Please select an image:").unwrap();
    session.send("\r").unwrap();
    session.expect("manifest unknown").unwrap();
    session.expect(expectrl::Eof).unwrap();
    assert!(!chosen.exists());
    // Down, and Enter.
    let mut session = env.coracle(["pull", "both/app:1"]).env("TERM", "xterm").pty();
    session.expect("Please select an image:").unwrap();
    session.send("\x1b[B\r").unwrap();
    session.expect(format!("Trying to pull {}/both/app:1", second.address())).unwrap();
    session.expect(both[1].as_str()).unwrap();
    session.expect(expectrl::Eof).unwrap();
    let kept = std::fs::read_to_string(&chosen).unwrap();
    assert_eq!(kept, format!("[aliases]\n  \"both/app\" = \"{}/both/app\"\n", second.address()));
    // From now on nobody is asked, here and by podman.
    let pulled = env.coracle(["pull", "both/app:1"]).ok().says("as an alias");
    assert_eq!(pulled.text(), both[1]);
    if which("podman").is_none() {
        return skip("podman is not installed");
    }
    let pulled = podman(&env, &["pull", "-q", "both/app:1"]).ok();
    assert_eq!(pulled.text(), both[1]);
    podman(&env, &["system", "reset", "-f"]).ok();
}

/// Which of the two registries an image comes from, here and as skopeo reads the same file.
#[test]
fn mirrors_and_locations_are_those_that_skopeo_finds() {
    if which("skopeo").is_none() {
        return skip("skopeo is not installed");
    }
    let env = TestEnv::new();
    let (first, second, both, only) = two();
    let (one, two) = (first.address(), second.address());
    let digest = |registry: &Registry, name: &str| {
        let answer = registry.request(
            "GET",
            &format!("/v2/{name}/manifests/1"),
            &[("Accept", "application/vnd.oci.image.manifest.v1+json")],
            b"",
        );
        format!("sha256:{}", crate::common::sha256_hex(&answer.body))
    };
    let (of_one, of_two) = (digest(&first, "both/app"), digest(&second, "both/app"));
    let mirrored = |more: &str, mirror: &str| {
        format!(
            "[[registry]]\nprefix = 'q.example'\nlocation = '{two}'\ninsecure = true\n{more}\n\
             [[registry.mirror]]\nlocation = '{one}'\ninsecure = true\n{mirror}\n"
        )
    };
    let by_tag = "q.example/both/app:1".to_owned();
    let by = |digest: &str| format!("q.example/both/app@{digest}");
    let wild = format!("[[registry]]\nprefix = '*.example'\nlocation = '{two}'\ninsecure = true\n");
    let longer = format!(
        "[[registry]]\nprefix = 'q.example'\nlocation = '{one}'\ninsecure = true\n\
         [[registry]]\nprefix = 'q.example/team'\nlocation = '{two}/both'\ninsecure = true\n"
    );
    let blocked =
        mirrored("", "") + &format!("[[registry]]\nlocation = '{one}'\nblocked = true\ninsecure = true\n");
    let first_form = format!("[registries.insecure]\nregistries = ['{one}']\n");
    let open_wild = format!(
        "[[registry]]\nprefix = '*.example'\n[[registry.mirror]]\nlocation = '{one}'\ninsecure = true\n"
    );
    let dead = format!(
        "[[registry]]\nprefix = 'q.example'\nlocation = '{two}'\ninsecure = true\n\
         [[registry.mirror]]\nlocation = '127.0.0.1:1'\ninsecure = true\n\
         [[registry.mirror]]\nlocation = '{one}'\ninsecure = true\n"
    );
    for (conf, name, from) in [
        (mirrored("", ""), &by_tag, Some(&both[0])),
        (mirrored("", "pull-from-mirror = 'all'"), &by_tag, Some(&both[0])),
        (mirrored("", "pull-from-mirror = 'tag-only'"), &by_tag, Some(&both[0])),
        (mirrored("", "pull-from-mirror = 'digest-only'"), &by_tag, Some(&both[1])),
        (mirrored("mirror-by-digest-only = true", ""), &by_tag, Some(&both[1])),
        (mirrored("", "pull-from-mirror = 'tag-only'"), &by(&of_one), None),
        (mirrored("", "pull-from-mirror = 'digest-only'"), &by(&of_one), Some(&both[0])),
        (mirrored("mirror-by-digest-only = true", ""), &by(&of_one), Some(&both[0])),
        // What the mirror does not have comes from the location.
        (mirrored("", ""), &by(&of_two), Some(&both[1])),
        (mirrored("", ""), &"q.example/only/app:1".to_owned(), Some(&only)),
        (dead, &by_tag, Some(&both[0])),
        (blocked, &by_tag, Some(&both[1])),
        (wild, &"a.b.example/both/app:1".to_owned(), Some(&both[1])),
        (open_wild, &"a.b.example/both/app:1".to_owned(), Some(&both[0])),
        (longer, &"q.example/team/app:1".to_owned(), Some(&both[1])),
        (first_form, &format!("{one}/both/app:1"), Some(&both[0])),
    ] {
        env.file(CONF, &conf);
        let ours = env.coracle(["pull", "-q", name]).run();
        assert_eq!(
            (ours.code, ours.text()),
            from.map_or((125, ""), |id| (0, id.as_str())),
            "{conf}{name}: {ours}"
        );
        let theirs = env.program("skopeo").args(["inspect", "--raw", &format!("docker://{name}")]).run();
        match from {
            None => assert_ne!(theirs.code, 0, "{conf}{name}: {theirs}"),
            Some(id) => assert!(theirs.stdout.contains(id.as_str()), "{conf}{name}: {theirs}"),
        }
        env.coracle(["rmi", "-a", "-f"]).ok();
    }
}

/// Nothing but reading is sent elsewhere, as podman has it.
#[test]
fn a_push_goes_to_the_registry_of_its_name() {
    let env = TestEnv::new();
    let (first, second) = (Registry::start(), Registry::start());
    one_file("pushed").push(&first, "a/app", "1");
    let name = first.reference("a/app", "1");
    env.coracle(["pull", "-q", &name]).ok();
    env.file(
        CONF,
        format!(
            "[[registry]]\nprefix = '{0}/a'\nlocation = '{1}/b'\ninsecure = true\n\
             [[registry.mirror]]\nlocation = '{1}/c'\ninsecure = true\n",
            first.address(),
            second.address()
        ),
    );
    let to = first.reference("a/new", "1");
    env.coracle(["push", "-q", &name, &to]).ok();
    let has = |registry: &Registry, path: &str| {
        registry.request("GET", &format!("/v2/{path}/manifests/1"), &[("Accept", ACCEPTED)], b"").status
            == 200
    };
    assert!(has(&first, "a/new") && !has(&second, "b/new") && !has(&second, "c/new"));
    if which("skopeo").is_none() {
        return skip("skopeo is not installed");
    }
    let (from, to) = (format!("docker://{name}"), format!("docker://{}", first.reference("a/theirs", "1")));
    one_file("pushed").push(&second, "b/app", "1");
    env.program("skopeo").args(["--insecure-policy", "copy", &from, &to]).ok();
    assert!(has(&first, "a/theirs") && !has(&second, "b/theirs"));
    env.file(CONF, format!("[[registry]]\nlocation = '{}/a'\nblocked = true\n", first.address()));
    env.coracle(["push", "-q", &name, &first.reference("a/other", "1")]).fails(125).says("is blocked in");
}

/// The same files are refused, with the same words.
#[test]
fn files_that_skopeo_refuses_are_refused() {
    let env = TestEnv::new();
    let skopeo = which("skopeo");
    for (text, words) in [
        (
            "[[registry]]\nprefix = 'a'\nlocation = 'http://b'\n",
            "invalid location 'http://b': URI schemes are not supported",
        ),
        ("short-name-mode = 'x'\n", "invalid short-name mode: \"x\""),
        (
            "[[registry]]\nlocation = 'a'\n[[registry]]\nlocation = 'a'\nblocked = true\n",
            "registry 'a' is defined multiple times with conflicting 'blocked' setting",
        ),
        (
            "unqualified-search-registries = ['a.io']\n[registries.block]\nregistries = ['b']\n",
            "mixing sysregistry v1/v2 is not supported",
        ),
        ("[aliases]\n'a:1' = 'b.io/c'\n", "invalid short name \"a:1\": must not contain tag"),
        (
            "[[registry]]\nprefix = '*.io/foo'\nlocation = 'a.b'\n",
            "Wildcarded prefix should be in the format: *.example.com. Current prefix \"*.io/foo\" is incorrectly formatted",
        ),
        ("[[registry]]\nlocation = 'a.io'\ninsecure = 1\n", "line 3"),
    ] {
        let path = env.file(CONF, text);
        let file = format!("loading registries configuration {:?}", path.display().to_string());
        env.coracle(["pull", "q.example/x"])
            .fails(125)
            .says(&file)
            .says(words)
            .says("man containers-registries.conf");
        env.coracle(["login", "-u", "a", "-p", "b", "q.example"]).fails(125).says(&file);
        env.coracle(["search", "q.example/x"]).fails(125).says(&file);
        if skopeo.is_some() && !words.starts_with("line") {
            let theirs = env.program("skopeo").args(["inspect", "docker://q.example/x"]).run();
            assert!(theirs.stderr.replace('\\', "").contains(words), "{words}: {theirs}");
        }
    }
    env.file(CONF, "");
    env.file("home/.config/containers/registries.conf.d/1.conf", "[registries.block]\nregistries = ['b']\n");
    env.coracle(["pull", "q.example/x"])
        .fails(125)
        .says("loading drop-in registries configuration")
        .says("registry must be in v2 format but is in v1");
    std::fs::remove_file(env.path().join("home/.config/containers/registries.conf.d/1.conf")).unwrap();
    let missing = Path::new("/nonexistent/registries.conf");
    env.coracle(["pull", "q.example/x"])
        .env("CONTAINERS_REGISTRIES_CONF", missing)
        .fails(125)
        .says("no such file");
    // A registry that is blocked is not spoken to, whatever for.
    env.file(CONF, "[[registry]]\nlocation = '127.0.0.1:1'\nblocked = true\n");
    for words in [
        &["pull", "127.0.0.1:1/x"][..],
        &["pull", "-a", "127.0.0.1:1/x"],
        &["login", "-u", "a", "-p", "b", "127.0.0.1:1"],
        &["search", "127.0.0.1:1/x"],
        &["manifest", "inspect", "127.0.0.1:1/x"],
    ] {
        env.coracle(words).fails(125).says("registry 127.0.0.1:1 is blocked in ").says("registries.conf");
    }
}

/// An image that was pulled by its alias is found by it, as podman finds it.
#[test]
fn images_are_found_by_their_aliases() {
    let env = TestEnv::new();
    let registry = Registry::start();
    one_file("alias").push(&registry, "team/demo", "1");
    let conf = |aliases: &str| env.file(CONF, insecure(&[&registry]) + "[aliases]\n" + aliases);
    conf(&format!("\"dd\" = \"{}/team/demo\"\n", registry.address()));
    env.coracle(["image", "exists", "dd:1"]).fails(1);
    env.coracle(["pull", "-q", "dd:1"]).ok();
    let name = format!("{}/team/demo:1", registry.address());
    let shown = env.coracle(["image", "inspect", "-f", "{{index .RepoTags 0}}", "dd:1"]).ok();
    assert_eq!(shown.text(), name);
    env.coracle(["inspect", "dd:1"]).ok();
    env.coracle(["image", "exists", "dd:1"]).ok();
    env.coracle(["create", "--pull=never", "--network=none", "dd:1", "/f"]).ok();
    env.coracle(["rm", "-a"]).ok();
    // Only what has no name of its own here is looked up.
    env.coracle(["tag", "dd:1", "localhost/dd:1"]).ok();
    conf("\"dd\" = [");
    env.coracle(["image", "exists", "dd:1"]).ok();
    env.coracle(["rmi", "localhost/dd:1"]).ok();
    env.coracle(["image", "exists", "dd:1"]).fails(1);
    conf(&format!("\"dd\" = \"{}/team/demo\"\n", registry.address()));
    assert_eq!(env.coracle(["rmi", "dd:1"]).ok().lines()[0], format!("Untagged: {name}"));
}

/// Podman takes it for a letter, which no name has.
#[test]
fn an_asterisk_alone_is_no_wildcard() {
    let env = TestEnv::new();
    let registry = Registry::start();
    one_file("asterisk").push(&registry, "app", "1");
    env.file(
        CONF,
        insecure(&[&registry]) + "[[registry]]\nprefix = \"*\"\nlocation = \"localhost:1\"\nblocked = true\n",
    );
    env.coracle(["pull", "-q", &registry.reference("app", "1")]).ok();
}
