//! `coracle pull` from a registry that wants to know who asks: tokens, and where credentials go.

use crate::common::{Auth, Fault, FaultyRegistry, TestEnv};
use crate::pull_faults::{OCI, noise, pull, pulled, refused};
use serde_json::json;

#[test]
fn tokens_that_expire_are_renewed_in_the_middle() {
    // With one use each, layers side by side take the tokens away from each other again and again.
    for (uses, layers) in [(2, 5), (1, 12)] {
        let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
        let layers = (0..layers).map(|n| noise(10 + n, 20)).collect();
        let (_, id) = registry.put_image("x", "latest", layers);
        registry.require(Auth::Bearer { realm: None, uses }, None);
        pulled(&env, &registry, &id);
        assert!(registry.count("/token") >= 3, "{}", registry.count("/token"));
        assert!(registry.seen().iter().any(|s| s.path.contains("scope=repository")));
    }
}

#[test]
fn identity_tokens_are_exchanged() {
    let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
    let (_, id) = registry.put_image("x", "latest", vec![noise(20, 10)]);
    registry.require(Auth::Bearer { realm: None, uses: 100 }, Some("refresh-me"));
    refused(&env, &registry, "denied");
    let auth = json!({"auths": {registry.address(): {"identitytoken": "refresh-me"}}});
    env.file("home/.docker/config.json", auth.to_string());
    pulled(&env, &registry, &id);
    let post = registry.seen().into_iter().find(|s| s.method == "POST").unwrap();
    assert!(post.body.contains("grant_type=refresh_token"), "{}", post.body);
}

#[test]
fn case_13_credentials_stay_with_their_host() {
    let (env, registry, elsewhere) = (TestEnv::new(), FaultyRegistry::start(), FaultyRegistry::start());
    let (blobs, id) = registry.put_image("x", "latest", vec![noise(50, 10)]);
    elsewhere.put_image("x", "latest", vec![noise(50, 10)]);
    registry.require(Auth::Basic("bob".into(), "secret".into()), None);
    let to = format!("http://{}/v2/x/blobs/{}", elsewhere.address(), blobs[0]);
    registry.fault(&blobs[0], 9, Fault::Redirect(to));
    let output = pull(&env, &registry, &["--creds", "bob:secret"]);
    assert_eq!((output.code, output.text()), (0, id.as_str()), "{output}");
    let there = elsewhere.seen();
    assert_eq!(there.len(), 1);
    assert_eq!(there[0].header("authorization"), None);
    assert!(registry.seen().iter().any(|s| s.header("authorization").is_some()));
}

#[test]
fn case_13_a_foreign_token_server_gets_no_secret() {
    let (env, registry, elsewhere) = (TestEnv::new(), FaultyRegistry::start(), FaultyRegistry::start());
    registry.put_image("x", "latest", vec![noise(51, 10)]);
    let port = elsewhere.address().rsplit_once(':').unwrap().1.to_owned();
    let realm = format!("http://localhost:{port}/token");
    registry.require(Auth::Bearer { realm: Some(realm), uses: 9 }, None);
    let output = pull(&env, &registry, &["--creds", "bob:secret"]);
    assert_eq!(output.code, 125, "{output}");
    output.says("which is not encrypted");
    assert!(elsewhere.seen().is_empty());
}

#[test]
fn case_13_urls_of_foreign_layers_are_not_followed() {
    let (env, registry, elsewhere) = (TestEnv::new(), FaultyRegistry::start(), FaultyRegistry::start());
    let (tar, packed) = noise(52, 10).finish();
    let digest = elsewhere.put_blob(&packed);
    let diff_id = format!("sha256:{}", crate::common::sha256_hex(&tar));
    let config =
        json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [diff_id]}});
    let config = config.to_string();
    let id = registry.put_blob(config.as_bytes());
    let manifest = json!({"schemaVersion": 2, "mediaType": OCI,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": id, "size": config.len()},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "digest": digest,
            "size": packed.len(), "urls": [format!("http://{}/v2/x/blobs/{digest}", elsewhere.address())]}]});
    registry.put_manifest("x", "latest", OCI, manifest.to_string().as_bytes());
    refused(&env, &registry, "lacks blob sha256:");
    assert!(elsewhere.seen().is_empty());
}

#[test]
fn passwords_with_line_ends_are_refused_before_anything_is_asked() {
    let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
    registry.put_image("x", "latest", vec![noise(53, 1)]);
    let name = format!("{}/x", registry.address());
    for creds in ["bob:secret\n", "bob:sec\rret", "bo\nb:secret", "bob:\u{1b}[2J"] {
        let output = env.coracle(["pull", "--creds", creds, &name]).fails(125).says("control characters");
        assert!(!output.stderr.contains("sec"), "{output}");
        env.coracle(["search", "--creds", creds, &name]).fails(125);
    }
    let login = |password: &str| {
        env.coracle(["login", "-u", "bob", "--password-stdin", registry.address()]).stdin(password).run()
    };
    // The end of the line that it came in is none of its own.
    assert_eq!(login("secret\n").code, 0);
    assert_eq!(login("{\n  \"type\": \"service_account\"\n}\n").code, 0);
    let before = registry.seen().len();
    let output = login("sec\nret\n");
    assert_eq!(output.code, 125, "{output}");
    assert_eq!(registry.seen().len(), before);
}

#[test]
fn an_empty_part_of_a_platform_is_none() {
    let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
    let (_, id) = registry.put_image("x", "latest", vec![noise(54, 1)]);
    let output = pull(&env, &registry, &["--arch", "", "--os=", "--variant", ""]);
    assert_eq!((output.code, output.text()), (0, id.as_str()), "{output}");
}
