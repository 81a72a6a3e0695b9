//! The mounts of RUN.

use super::*;
use mount::{RunMount, Sharing};

fn bind(from: Option<&str>, source: &str, target: &str, read_write: bool) -> RunMount {
    RunMount::Bind { from: from.map(str::to_owned), source: source.into(), target: target.into(), read_write }
}

fn cache(id: &str, target: &str) -> RunMount {
    RunMount::Cache {
        id: id.into(),
        target: target.into(),
        sharing: Sharing::Shared,
        from: None,
        source: "/".into(),
        mode: 0o755,
        uid: 0,
        gid: 0,
        read_only: false,
    }
}

fn secret(id: &str, target: Option<&str>, env: Option<&str>) -> RunMount {
    RunMount::Secret {
        id: id.into(),
        target: target.map(str::to_owned),
        env: env.map(str::to_owned),
        required: false,
        mode: 0o400,
        uid: 0,
        gid: 0,
    }
}

#[test]
fn every_documented_option_is_taken() {
    for (text, wanted) in [
        ("target=/a", bind(None, "/", "/a", false)),
        ("type=bind,source=x,target=.", bind(None, "x", ".", false)),
        ("TYPE=Bind,from=build,src=/x,dst=/a,rw", bind(Some("build"), "/x", "/a", true)),
        ("destination=/a,readwrite=true,z", bind(None, "/", "/a", true)),
        ("target=/a,rw=false", bind(None, "/", "/a", false)),
        ("target=/a,readonly,Z", bind(None, "/", "/a", false)),
        ("target=/a,ro=false", bind(None, "/", "/a", true)),
        ("\"target=/a,b\"", bind(None, "/", "/a,b", false)),
        ("type=cache,target=/root/../c/", cache("/c", "/root/../c/")),
        ("type=cache,target=.m2,id=x", cache("x", ".m2")),
        (
            "type=cache,target=/c,sharing=locked,from=a,source=/s,mode=0700,uid=1,gid=2,ro",
            RunMount::Cache {
                id: "/c".into(),
                target: "/c".into(),
                sharing: Sharing::Locked,
                from: Some("a".into()),
                source: "/s".into(),
                mode: 0o700,
                uid: 1,
                gid: 2,
                read_only: true,
            },
        ),
        (
            "type=tmpfs,dst=/t,size=64m",
            RunMount::Tmpfs { target: "/t".into(), size: Some(64 << 20), mode: 0o1777, read_only: false },
        ),
        (
            "type=tmpfs,dst=/t,tmpfs-size=1,tmpfs-mode=700,ro=true",
            RunMount::Tmpfs { target: "/t".into(), size: Some(1), mode: 0o700, read_only: true },
        ),
        ("type=secret,id=aws", secret("aws", Some("/run/secrets/aws"), None)),
        ("type=secret,id=a/b", secret("a/b", Some("/run/secrets/b"), None)),
        ("type=secret,source=aws,ro", secret("aws", Some("/run/secrets/aws"), None)),
        ("type=secret,target=/root/.aws", secret(".aws", Some("/root/.aws"), None)),
        ("type=secret,id=K,env=KEY", secret("K", None, Some("KEY"))),
        ("type=secret,id=K,env=", secret("K", None, Some("K"))),
        ("type=secret,id=K,env=KEY,target=/k", secret("K", Some("/k"), Some("KEY"))),
        (
            "required=true,type=secret,id=a,target=b,mode=0444,uid=1,gid=2",
            RunMount::Secret {
                id: "a".into(),
                target: Some("b".into()),
                env: None,
                required: true,
                mode: 0o444,
                uid: 1,
                gid: 2,
            },
        ),
        (
            "type=ssh",
            RunMount::Ssh {
                id: "default".into(),
                target: None,
                required: false,
                mode: 0o600,
                uid: 0,
                gid: 0,
            },
        ),
        (
            "type=ssh,id=x,target=/s,required,mode=0666,uid=5,gid=6",
            RunMount::Ssh {
                id: "x".into(),
                target: Some("/s".into()),
                required: true,
                mode: 0o666,
                uid: 5,
                gid: 6,
            },
        ),
    ] {
        assert_eq!(mount::parse(text).unwrap(), wanted, "{text}");
    }
}

#[test]
fn case_42_all_other_options_are_refused() {
    for (text, why) in [
        (
            "target=/a,bind-propagation=rshared",
            "unexpected key 'bind-propagation' in 'bind-propagation=rshared'",
        ),
        ("target=/a,propagation=shared", "unexpected key 'propagation' in 'propagation=shared'"),
        ("target=/a,rshared", "unexpected key 'rshared' in 'rshared'"),
        ("target=/a,suid", "unexpected key 'suid' in 'suid'"),
        ("target=/a,dev=true", "unexpected key 'dev' in 'dev=true'"),
        (
            "target=/a,bind-nonrecursive=true",
            "unexpected key 'bind-nonrecursive' in 'bind-nonrecursive=true'",
        ),
        ("target=/a,z=true", "unexpected key 'z' in 'z=true'"),
        ("target=/a,id=x", "unexpected key 'id' for mount type 'bind'"),
        ("target=/a,size=1", "unexpected key 'size' for mount type 'bind'"),
        ("target=/a,required", "unexpected key 'required' for mount type 'bind'"),
        ("type=tmpfs,target=/a,from=x", "unexpected key 'from' for mount type 'tmpfs'"),
        ("type=tmpfs,target=/a,tmpcopyup", "unexpected key 'tmpcopyup' in 'tmpcopyup'"),
        ("type=ssh,source=/x", "unexpected key 'source' for mount type 'ssh'"),
        ("type=secret,id=x,from=y", "unexpected key 'from' for mount type 'secret'"),
        ("type=volume,target=/a", "unsupported mount type \"volume\""),
        ("type=", "unsupported mount type \"\""),
        ("", "a field is empty"),
        ("target=/a,", "a field is empty"),
        ("target", "invalid field 'target' must be a key=value pair"),
        ("type=cache", "target is required for mount type 'cache'"),
        ("source=/a", "target is required for mount type 'bind'"),
        ("target=/a/..", "invalid mount target \"/a/..\""),
        ("target=/a,ro=maybe", "invalid value for ro: maybe"),
        ("type=cache,target=/a,mode=9", "invalid value for mode: 9"),
        ("type=cache,target=/a,mode=17777", "invalid value for mode: 17777"),
        ("type=cache,target=/a,uid=-1", "invalid value for uid: -1"),
        ("type=cache,target=/a,sharing=maybe", "unsupported sharing value \"maybe\""),
        ("type=tmpfs,target=/a,size=x", "invalid value for size: x"),
        ("type=secret", "invalid secret mount. one of source, target required"),
        ("type=secret,id=a,source=b", "both source and id can't be set"),
        ("type=secret,id=a,env=B=c", "invalid value for env: B=c"),
    ] {
        let error = mount::parse(text).unwrap_err();
        assert_eq!(error.message(), format!("--mount={text}: {why}"));
        assert_eq!(error.kind(), crate::error::Kind::Usage);
    }
    let hint = |text: &str| mount::parse(text).unwrap_err().hints().join("|");
    assert_eq!(hint("tarket=/a"), "Did you mean target?");
    assert_eq!(hint("type=secrets"), "Did you mean secret?");
    assert_eq!(hint("type=volume"), "Types are bind, cache, tmpfs, secret, ssh");
}

#[test]
fn case_42_a_variable_adds_no_option() {
    let variable = |_: &str| Some("/a,bind-propagation=shared".to_owned());
    let expand = |value: &str| word(value).expand('\\', &variable);
    let parsed = mount::parse_with("type=cache,target=$T,id=x", expand).unwrap();
    assert!(matches!(parsed, RunMount::Cache { target, .. } if target == "/a,bind-propagation=shared"));
    assert!(mount::parse_with("target=${T", expand).is_err());
}

#[test]
fn those_without_variables_are_checked_at_once() {
    let (message, hint) =
        refusal("FROM a\nRUN --mount=type=bind,target=/a \\\n  --mount=type=cash,target=/a make");
    assert_eq!(
        (message.as_str(), hint.as_str()),
        ("Containerfile:3: unsupported mount type \"cash\"", "Did you mean cache?")
    );
    assert!(matches!(does("RUN --mount=type=$T,target=/a make"), Does::Run(_)));
}
