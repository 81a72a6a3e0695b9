use super::*;
use crate::image::Reference;
use crate::registry::places::Places;
use base64::Engine as _;

fn password(user: &str, password: &str) -> Option<Credentials> {
    Some(Credentials::Password { user: user.to_owned(), password: password.to_owned() })
}

fn auth(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn keyring(json: &str) -> Keyring {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("auth.json");
    std::fs::write(&path, json).unwrap();
    Keyring::load(&Places::default(), vec![FILES.to_owned()], Some(&path), None).unwrap()
}

fn find(keyring: &Keyring, name: &str) -> Option<Credentials> {
    keyring.find(&name.parse().unwrap(), true).credentials
}

#[test]
fn the_most_specific_key_wins_and_hosts_are_not_mixed_up() {
    let ring = keyring(&format!(
        r#"{{"auths":{{"r.example":{{"auth":"{}"}},"r.example/foo":{{"auth":"{}"}},"r.example:5000":{{"auth":"{}"}},
            "https://old.example/v1/":{{"auth":"{}"}},"empty.example":{{}}}}}}"#,
        auth("a:1"),
        auth("b:2:3"),
        auth("c:3"),
        auth("d:4")
    ));
    assert_eq!(find(&ring, "r.example/foo/x"), password("b", "2:3"));
    assert_eq!(find(&ring, "r.example/foobar"), password("a", "1"));
    assert_eq!(find(&ring, "r.example:5000/foo/x"), password("c", "3"));
    assert_eq!(find(&ring, "old.example/x"), password("d", "4"));
    assert_eq!(find(&ring, "empty.example/x"), None);
    assert_eq!(find(&ring, "r.example.evil/foo"), None);
}

#[test]
fn docker_hub_is_found_under_dockers_key() {
    let ring =
        keyring(&format!(r#"{{"auths":{{"https://index.docker.io/v1/":{{"auth":"{}"}}}}}}"#, auth("hub:pw")));
    assert_eq!(find(&ring, "docker.io/library/alpine"), password("hub", "pw"));
    assert_eq!(find(&ring, "quay.io/a/b"), None);
}

#[test]
fn identity_tokens_come_before_passwords() {
    let ring = keyring(&format!(
        r#"{{"auths":{{"a.example":{{"auth":"{}","identitytoken":"idt"}}}}}}"#,
        auth("u:p")
    ));
    assert_eq!(find(&ring, "a.example/x"), Some(Credentials::Identity("idt".into())));
}

#[test]
fn case_13_given_credentials_are_for_the_named_registry_only() {
    let given = password("u", "p");
    let ring = Keyring::load(&Places::default(), vec![FILES.to_owned()], None, given.clone()).unwrap();
    let name: Reference = "r.example/x".parse().unwrap();
    assert_eq!(ring.find(&name, true).credentials, given);
    assert_eq!(ring.find(&name, false).credentials, None);
}

#[test]
fn bad_files_are_named_without_quoting_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("auth.json");
    std::fs::write(&path, r#"{"auths":"c2VjcmV0"}"#).unwrap();
    let error = Keyring::load(&Places::default(), vec![FILES.to_owned()], Some(&path), None).unwrap_err();
    assert!(error.message().contains("auth.json"));
    assert!(!format!("{error:?}").contains("c2VjcmV0"));
    let missing = dir.path().join("none.json");
    assert!(Keyring::load(&Places::default(), vec![FILES.to_owned()], Some(&missing), None).is_err());
    let unset = Places { docker: Some(dir.path().join("none")), ..Places::default() };
    assert!(Keyring::load(&unset, vec![FILES.to_owned()], None, None).unwrap().files.is_empty());
}

#[test]
fn debug_output_shows_no_secret() {
    let text = format!("{:?} {:?}", password("u", "hush"), Credentials::Identity("hush".into()));
    assert!(!text.contains("hush"));
}

#[test]
fn a_missing_helper_is_told_but_does_not_stop_us() {
    let ring = keyring(r#"{"credHelpers":{"h.example":"coracle-no-such-helper"},"credsStore":""}"#);
    let found = ring.find(&"h.example/x".parse().unwrap(), true);
    assert_eq!(found.credentials, None);
    assert!(found.trouble.unwrap().contains("docker-credential-coracle-no-such-helper"));
    let slash = keyring(r#"{"credsStore":"../evil"}"#);
    assert!(slash.find(&"h.example/x".parse().unwrap(), true).trouble.is_some());
}

#[test]
fn helpers_of_registries_conf_stand_beside_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("auth.json");
    std::fs::write(&path, format!(r#"{{"auths":{{"a.example":{{"auth":"{}"}}}}}}"#, auth("u:p"))).unwrap();
    let order = vec!["coracle-no-such-helper".to_owned(), FILES.to_owned()];
    let ring = Keyring::load(&Places::default(), order, Some(&path), None).unwrap();
    let found = ring.find(&"a.example/x".parse().unwrap(), true);
    assert_eq!(found.credentials, password("u", "p"));
    assert!(found.trouble.unwrap().contains("coracle-no-such-helper"));
}
