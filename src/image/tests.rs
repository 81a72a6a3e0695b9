use super::*;

#[test]
fn references_are_read_as_docker_reads_them() {
    let hex = "a".repeat(64);
    for (text, canonical) in [
        ("alpine", "alpine:latest".to_owned()),
        ("docker.io/alpine", "docker.io/library/alpine:latest".to_owned()),
        ("index.docker.io/library/alpine:3", "docker.io/library/alpine:3".to_owned()),
        ("localhost/a", "localhost/a:latest".to_owned()),
        ("localhost:5000/a/b:t", "localhost:5000/a/b:t".to_owned()),
        ("127.0.0.1:5000/x", "127.0.0.1:5000/x:latest".to_owned()),
        ("[::1]:5000/x", "[::1]:5000/x:latest".to_owned()),
        ("team/app", "team/app:latest".to_owned()),
        ("docker://alpine", "docker.io/library/alpine:latest".to_owned()),
        ("docker://team/app:1", "docker.io/team/app:1".to_owned()),
        ("docker://quay.io/app", "quay.io/app:latest".to_owned()),
        ("quay.io/a/b__c--d.e", "quay.io/a/b__c--d.e:latest".to_owned()),
        (&format!("a@sha256:{hex}"), format!("a@sha256:{hex}")),
        (&format!("a:t@sha256:{hex}"), format!("a:t@sha256:{hex}")),
    ] {
        assert_eq!(text.parse::<Reference>().unwrap().canonical(), canonical, "{text}");
    }
    assert_eq!(
        "alpine".parse::<Reference>().unwrap().qualify("docker.io").canonical(),
        "docker.io/library/alpine:latest"
    );
}

#[test]
fn bad_references_are_refused() {
    for bad in [
        "",
        "A",
        "a b",
        "a:",
        "a//b",
        "/a",
        "a/",
        "a:-x",
        "a@sha256:12",
        "a_",
        "a..b",
        "-h.x/a",
        "x.y:0/a",
        "[::1]x:5000/a",
        "[::1]\u{fffd}/a",
        "a___b",
        "x.y/",
    ] {
        assert!(bad.parse::<Reference>().is_err(), "{bad:?}");
    }
    // What is wrong is said, not only that something is.
    for (bad, why) in [
        ("a:".to_owned(), "the tag is empty"),
        (format!("a:{}", "t".repeat(129)), "129 characters, more than 128"),
        ("a".repeat(256), "256 characters, more than 255"),
        ("https://docker.io/library/alpine".to_owned(), "leave http:// or https:// out"),
    ] {
        let error = bad.parse::<Reference>().unwrap_err();
        assert!(error.message().contains(why), "{error}");
    }
}

#[test]
fn case_11_digests_hold_nothing_else() {
    for bad in ["sha256:../../x", "sha256:ABC", "md5:aa", "sha256", &format!("sha256:{}", "g".repeat(64))] {
        assert!(bad.parse::<Digest>().is_err(), "{bad:?}");
    }
}

#[test]
fn chain_ids_follow_the_spec() {
    let a = DiffId(Digest::sha256_of(b"a"));
    let b = DiffId(Digest::sha256_of(b"b"));
    let chain = ChainId::chain(&[a.clone(), b.clone()]);
    assert_eq!(chain[0].0, a.0);
    assert_eq!(chain[1].0, Digest::sha256_of(format!("{} {}", a.0, b.0).as_bytes()));
}

#[test]
fn a_platform_of_one_word_is_a_known_one() {
    let host = Platform::host();
    assert_eq!("linux".parse::<Platform>().unwrap(), host);
    assert_eq!("aarch64".parse::<Platform>().unwrap().to_string(), "linux/arm64");
    assert_eq!("windows".parse::<Platform>().unwrap().architecture, host.architecture);
    for bad in ["nonsense", "amd46", "linux/", "/", ""] {
        assert!(bad.parse::<Platform>().is_err(), "{bad:?}");
    }
}

#[test]
fn a_repository_has_other_tags() {
    let name: Reference = "r.io/a/b:1".parse().unwrap();
    assert_eq!(name.with_tag("two").to_string(), "r.io/a/b:two");
    assert_eq!(name.with_tag("no tag").to_string(), "r.io/a/b:latest");
}
