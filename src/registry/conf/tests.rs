//! Tests of `registries.conf`.

use super::*;

fn conf(text: &str) -> Registries {
    let mut merged = Registries::default();
    merged.merge(text, "main", true).unwrap();
    merged
}

fn name(text: &str) -> Reference {
    text.parse().unwrap()
}

fn names(conf: &Registries, name: &Reference) -> Vec<Reference> {
    conf.resolve(name).unwrap().names
}

fn sources(conf: &Registries, text: &str) -> Vec<(String, bool)> {
    let found = conf.sources(&name(text)).unwrap();
    found.into_iter().map(|s| (s.reference.canonical(), s.insecure)).collect()
}

#[test]
fn without_configuration_short_names_are_docker_hubs() {
    let found = names(&Registries::default(), &name("alpine:3"));
    assert_eq!(found, [name("docker.io/library/alpine:3")]);
    let found = names(&Registries::default(), &name("team/app"));
    assert_eq!(found, [name("docker.io/team/app")]);
}

#[test]
fn aliases_keep_tag_and_digest_and_search_goes_in_order() {
    let conf = conf(
        "unqualified-search-registries = ['one.example', 'docker.io']\n\
         [aliases]\n'fedora' = 'registry.fedoraproject.org/fedora'",
    );
    assert_eq!(names(&conf, &name("fedora:40")), [name("registry.fedoraproject.org/fedora:40")]);
    assert_eq!(names(&conf, &name("app")), [name("one.example/app"), name("docker.io/library/app")]);
    assert_eq!(names(&conf, &name("q.example/app")), [name("q.example/app")]);
}

#[test]
fn an_empty_search_list_is_an_error_with_a_hint() {
    let error = conf("unqualified-search-registries = []").resolve(&name("app")).unwrap_err();
    assert!(error.hints()[0].contains("docker.io/library/app"));
}

#[test]
fn the_longest_prefix_wins_and_is_rewritten() {
    let conf = conf(
        "[[registry]]\nprefix='example.com/foo'\nlocation='internal.example/bar'\n\
         [[registry.mirror]]\nlocation='m0.local/for-foo'\n\
         [[registry.mirror]]\nlocation='m1.local/foo'\ninsecure=true\npull-from-mirror='digest-only'\n\
         [[registry]]\nlocation='example.com'\ninsecure=true\n\
         [[registry]]\nprefix='*.example.org'\ninsecure=true\n\
         [[registry]]\nlocation='bad.example'\nblocked=true",
    );
    assert_eq!(
        sources(&conf, "example.com/foo/image:1"),
        [("m0.local/for-foo/image:1".to_owned(), false), ("internal.example/bar/image:1".to_owned(), false)]
    );
    let digest = format!("@sha256:{}", "a".repeat(64));
    assert_eq!(sources(&conf, &format!("example.com/foo/image{digest}")).len(), 3);
    assert_eq!(sources(&conf, "example.com/foobar"), [("example.com/foobar:latest".to_owned(), true)]);
    assert_eq!(sources(&conf, "a.b.example.org/x"), [("a.b.example.org/x:latest".to_owned(), true)]);
    assert_eq!(sources(&conf, "example.org/x"), [("example.org/x:latest".to_owned(), false)]);
    assert!(conf.sources(&name("bad.example/x")).unwrap_err().message().contains("blocked"));
}

#[test]
fn later_files_replace_and_erase() {
    let mut merged = conf("[aliases]\n'a'='x.io/a'\n[[registry]]\nlocation='r.io'\nblocked=true");
    merged.merge("[aliases]\n'a'=''\n[[registry]]\nlocation='r.io'", "other", false).unwrap();
    assert_eq!(names(&merged, &name("a")), [name("docker.io/library/a")]);
    assert!(merged.sources(&name("r.io/x")).is_ok());
}

#[test]
fn dockers_mirrors_come_first_and_its_hosts_are_insecure() {
    let mut merged = conf(
        "[[registry]]\nlocation='docker.io'\n[[registry.mirror]]\nlocation='m.local'\n\
         [[registry]]\nlocation='r.example'\n[[registry]]\nlocation='b.example'\nblocked=true",
    );
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("daemon.json");
    let text = r#"{"registry-mirrors": ["http://d.local"], "insecure-registries": ["r.example", "x.example", "10.0.0.0/8"]}"#;
    std::fs::write(&path, text).unwrap();
    merged.add_dockers(Daemon::read(&path).unwrap());
    let names: Vec<_> = sources(&merged, "docker.io/library/a").into_iter().collect();
    assert_eq!(
        names,
        [
            ("d.local/library/a:latest".to_owned(), true),
            ("m.local/library/a:latest".to_owned(), false),
            ("docker.io/library/a:latest".to_owned(), false)
        ]
    );
    for (image, insecure) in
        [("r.example/a", true), ("x.example/a", true), ("10.1.1.1:5000/a", true), ("y.example/a", false)]
    {
        assert_eq!(sources(&merged, image)[0].1, insecure, "{image}");
        assert_eq!(merged.insecure(&name(image)).unwrap(), insecure, "{image}");
    }
    assert!(merged.sources(&name("b.example/a")).is_err());
    assert_eq!(Daemon::read(&dir.path().join("none")).unwrap(), Daemon::default());
}

/// What skopeo and podman refuse, in their words.
#[test]
fn bad_files_are_refused() {
    for (bad, why) in [
        (
            "[registries.search]\nregistries=['a.io']\n[[registry]]\nlocation='r.io'",
            "mixing sysregistry v1/v2",
        ),
        ("[[registry]]\ninsecure=true", "both location and prefix are unset"),
        (
            "[[registry]]\nlocation='https://r.io'",
            "invalid location 'https://r.io': URI schemes are not supported",
        ),
        (
            "[[registry]]\nlocation='r.io'\nmirror-by-digest-only=true\n\
             [[registry.mirror]]\nlocation='m'\npull-from-mirror='tag-only'",
            "at the same time",
        ),
        (
            "[[registry]]\nlocation='r.io'\npull-from-mirror='all'",
            "must not be set for a non-mirror registry \"r.io\"",
        ),
        (
            "[[registry]]\nlocation='r.io'\n[[registry.mirror]]\nlocation='m'\npull-from-mirror='some'",
            "unsupported pull-from-mirror value \"some\" for mirror \"m\"",
        ),
        ("[[registry]]\nlocation='r.io'\n[[registry.mirror]]\ninsecure=true", "mirror location is unset"),
        (
            "[[registry]]\nlocation='r.io'\n[[registry]]\nprefix='s.io'\nlocation='r.io'\nblocked=true",
            "registry 'r.io' is defined multiple times with conflicting 'blocked' setting",
        ),
        (
            "[[registry]]\nlocation='r.io'\n[[registry]]\nlocation='r.io'\ninsecure=true",
            "registry 'r.io' is defined multiple times with conflicting 'insecure' setting",
        ),
        ("[[registry]]\nprefix='*.r.io/foo'", "Wildcarded prefix should be in the format: *.example.com"),
        ("short-name-mode='ask'", "invalid short-name mode: \"ask\""),
        (
            "unqualified-search-registries=['r.io/foo']",
            "Invalid unqualified-search-registries entry \"r.io/foo\"",
        ),
        ("unqualified-search-registries=['a b.io']", "Invalid unqualified-search-registries entry"),
        ("[aliases]\n'a:1'='r.io/a'", "invalid short name \"a:1\": must not contain tag"),
        ("[aliases]\n's.io/a'='r.io/a'", "invalid short name \"s.io/a\": must not contain registry"),
        ("[aliases]\n'a'='r.io/a:1'", "invalid alias \"r.io/a:1\": must not contain tag"),
        ("[aliases]\n'a'='b'", "invalid alias \"b\": must contain registry and repository"),
        ("\n\nx = ", "line 3"),
        ("\ninsecure = 1\n[[registry]]\nlocation = 'r.io'\ninsecure = 'yes'", "line 5"),
    ] {
        let error = Registries::default().merge(bad, "main", true).unwrap_err();
        assert!(error.in_one_line().contains(why), "{bad}: {error:?}");
    }
}

#[test]
fn the_form_of_version_1_is_read_in_the_main_file_alone() {
    let first = "[registries.search]\nregistries=['a.io','b.io:5000']\n[registries.insecure]\n\
                 registries=['i.io/']\n[registries.block]\nregistries=['bad.io','i.io/bad']\n";
    let merged = conf(first);
    assert_eq!(names(&merged, &name("x")), [name("a.io/x"), name("b.io:5000/x")]);
    assert_eq!(sources(&merged, "i.io/x"), [("i.io/x:latest".to_owned(), true)]);
    for blocked in ["bad.io/x", "i.io/bad/x"] {
        assert!(merged.sources(&name(blocked)).unwrap_err().message().contains("is blocked in main"));
    }
    let error = Registries::default().merge(first, "other", false).unwrap_err();
    assert!(error.message().contains("must be in v2 format but is in v1"), "{error:?}");
    // Empty lists say nothing.
    Registries::default().merge("[registries.search]\nregistries=[]", "other", false).unwrap();
}

#[test]
fn short_names_of_several_registries_are_somebodys_choice() {
    let two = "unqualified-search-registries=['a.io','b.io']\n";
    for (mode, choice, enforced) in [
        ("", true, false),
        ("permissive", true, false),
        ("enforcing", true, true),
        ("disabled", false, false),
    ] {
        let merged = conf(&format!("{two}short-name-mode='{mode}'\n[aliases]\n'nick'='c.io/x'"));
        let resolved = merged.resolve(&name("x:1")).unwrap();
        assert_eq!(
            (resolved.choice, resolved.enforced, resolved.names.len()),
            (choice, enforced, 2),
            "{mode}"
        );
        for plain in ["nick", "a.io/x"] {
            let resolved = merged.resolve(&name(plain)).unwrap();
            assert_eq!(
                (resolved.choice, resolved.enforced, resolved.names.len()),
                (false, false, 1),
                "{mode}"
            );
        }
    }
    let mut one = conf("unqualified-search-registries=['a.io']\nshort-name-mode='enforcing'");
    assert!(!one.resolve(&name("x")).unwrap().choice);
    // What a later file does not mention stays.
    one.merge("unqualified-search-registries=['a.io','b.io']", "other", false).unwrap();
    assert!(one.resolve(&name("x")).unwrap().enforced);
}

#[test]
fn a_prefix_may_have_a_tag_or_be_a_wildcard_with_a_location() {
    let conf = conf(
        "[[registry]]\nprefix='a.io/foo:9'\nlocation='b.io/bar:1'\n\
         [[registry]]\nprefix='a.io/foo:8'\nlocation='b.io/bar'\n\
         [[registry]]\nprefix='a.io/foo:latest'\nblocked=true\n\
         [[registry]]\nprefix='*.c.io'\nlocation='d.io/c'\n\
         [[registry]]\nprefix='e.io'\nlocation='f.io'\n\
         [[registry.mirror]]\nlocation='m.f.io/'\n\
         [[registry]]\nlocation='m.f.io'\nblocked=true",
    );
    let places = |text: &str| sources(&conf, text).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(places("a.io/foo:9"), ["b.io/bar:1"]);
    assert_eq!(places("a.io/foo:8"), ["b.io/bar:8"]);
    assert_eq!(places("a.io/foo:7"), ["a.io/foo:7"]);
    assert!(conf.sources(&name("a.io/foo")).is_err());
    assert_eq!(places("x.y.c.io:5000/z:1"), ["d.io/c/z:1"]);
    // A mirror that is blocked is no mirror.
    assert_eq!(places("e.io/z:1"), ["f.io/z:1"]);
}

#[test]
fn the_files_are_read_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let write = |path: &str, text: &str| {
        std::fs::create_dir_all(at(path).parent().unwrap()).unwrap();
        std::fs::write(at(path), text).unwrap();
    };
    let of = |host: &str| format!("unqualified-search-registries=['{host}.example']");
    write("sys/registries.conf", &of("sys"));
    write("sys/registries.conf.d/10.conf", "[aliases]\n'a'='sys.example/a'\n's'='sys.example/s'");
    write("user/registries.conf.d/20.conf", "[aliases]\n'a'='user.example/a'");
    write("user/registries.conf.d/15.conf", "[aliases]\n'a'='early.example/a'");
    write("user/registries.conf.d/30.txt", "no toml");
    write("user/registries.conf.d/40.conf/x.conf", "no toml");
    let mut places =
        Places { system: at("sys"), user: at("user"), cache: Some(at("cache")), ..Places::default() };
    let first =
        |places: &Places, short: &str| names(&Registries::load(places).unwrap(), &name(short)).remove(0);
    assert_eq!(first(&places, "b"), name("sys.example/b"));
    assert_eq!(first(&places, "a"), name("user.example/a"));
    assert_eq!(first(&places, "s"), name("sys.example/s"));
    // A user's own main file stands for all of the administrator's.
    write("user/registries.conf", &of("user"));
    assert_eq!(first(&places, "b"), name("user.example/b"));
    assert_eq!(first(&places, "s"), name("user.example/s"));
    // One that the environment names does not.
    write("named.conf", &of("named"));
    places.registries_conf = Some(at("named.conf"));
    assert_eq!(first(&places, "b"), name("named.example/b"));
    assert_eq!(first(&places, "s"), name("sys.example/s"));
    // What was chosen comes before all of them.
    let chosen = crate::registry::aliases::Alias { short: "a".into(), repository: "cache.example/a".into() };
    chosen.keep(&places).unwrap();
    assert_eq!(first(&places, "a:1"), name("cache.example/a:1"));
    let kept = std::fs::read_to_string(at("cache/short-name-aliases.conf")).unwrap();
    assert_eq!(kept, "[aliases]\n  \"a\" = \"cache.example/a\"\n");
    // Errors name their file.
    for (file, what) in [
        ("named.conf", "registries configuration"),
        ("user/registries.conf.d/20.conf", "drop-in registries configuration"),
        ("cache/short-name-aliases.conf", "short-name aliases config file"),
    ] {
        let before = std::fs::read(at(file)).unwrap();
        write(file, "x =");
        let error = Registries::load(&places).unwrap_err();
        assert_eq!(error.message(), format!("loading {what} {:?}", at(file).display().to_string()));
        std::fs::write(at(file), before).unwrap();
    }
    std::fs::remove_file(at("named.conf")).unwrap();
    assert!(Registries::load(&places).is_err());
}
