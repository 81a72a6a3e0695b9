//! `coracle push` to the real registry: what is there then, and what was sent.

use crate::common::{Format, ImageBuilder, Layer, Registry, TestEnv, sha256_hex, shared_registry, which};
use crate::pull::{certificates, tls_registry};
use expectrl::Expect as _;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

fn small(marker: &str) -> ImageBuilder {
    ImageBuilder::new().layer(Layer::new().dir("etc", 0o755).file("etc/marker", 0o644, marker))
}

/// An image in the registry, and in the store.
fn pulled(env: &TestEnv, registry: &Registry, image: ImageBuilder, repository: &str) -> (String, Vec<u8>) {
    let (media_type, manifest) = image.upload(registry, repository);
    registry.put_manifest(repository, "v1", media_type, &manifest);
    let name = registry.reference(repository, "v1");
    env.coracle(["pull", "-q", &name]).ok();
    (name, manifest)
}

/// A manifest as the registry has it.
fn manifest(registry: &Registry, repository: &str, tag: &str) -> Vec<u8> {
    let types =
        "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";
    let path = format!("/v2/{repository}/manifests/{tag}");
    let answer = registry.request("GET", &path, &[("Accept", types)], b"");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

pub(crate) fn parsed(registry: &Registry, repository: &str, tag: &str) -> Value {
    serde_json::from_slice(&manifest(registry, repository, tag)).unwrap()
}

pub(crate) fn layer_types(manifest: &Value) -> Vec<&str> {
    manifest["layers"].as_array().unwrap().iter().map(|l| l["mediaType"].as_str().unwrap()).collect()
}

/// An image that was built here: plain layers without blobs.
fn built(env: &TestEnv, name: &str) {
    let text = "FROM busybox\nRUN echo built >/built\nCOPY --from=busybox /bin /copy\n";
    env.coracle(["build", "-q", "--network=none", "-t", name, "-"]).stdin(text).ok();
}

#[test]
fn a_pulled_image_keeps_its_bytes_and_layers_are_mounted() {
    let (env, registry) = (TestEnv::new(), shared_registry());
    for (format, repository) in [(Format::Oci, "push/oci"), (Format::Docker, "push/docker")] {
        let (name, original) = pulled(&env, registry, small(repository).format(format), repository);
        let to = format!("{}/{repository}-copy:v2", registry.address());
        let digestfile = env.path().join("digest");
        let output = env.coracle(["push", "--digestfile"]).arg(&digestfile).args([&name, &to]).ok();
        assert_eq!(output.text(), "");
        let output = output.says("Writing manifest to image destination");
        output.says(&format!("skipped: mounted from {repository}"));
        assert_eq!(manifest(registry, &format!("{repository}-copy"), "v2"), original);
        let digest = format!("sha256:{}", sha256_hex(&original));
        assert_eq!(std::fs::read_to_string(digestfile).unwrap(), digest);
        let digests = env.coracle(["image", "inspect", "-f", "{{json .RepoDigests}}", &name]).ok();
        assert!(digests.stdout.contains(&format!("{repository}-copy@{digest}")), "{digests}");
        // All is there: nothing is sent but the manifest.
        env.coracle(["push", &name, &to]).ok().says("skipped: already exists");
        let quiet = env.coracle(["push", "-q", &name, &to]).ok();
        assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    }
}

#[test]
fn a_built_image_goes_there_and_comes_back() {
    let (env, registry) = (TestEnv::with_images(), Registry::start());
    built(&env, "made");
    let name = registry.reference("push/built", "1");
    env.coracle(["push", "made", &name]).ok();
    let first = parsed(&registry, "push/built", "1");
    assert!(layer_types(&first).iter().all(|kind| kind.ends_with("tar+gzip")), "{first}");
    let digest = format!("sha256:{}", sha256_hex(&manifest(&registry, "push/built", "1")));
    let told = env.coracle(["image", "inspect", "-f", "{{json .RepoDigests}}", "made"]).ok();
    assert!(told.stdout.contains(&format!("push/built@{digest}")), "{told}");
    // Its own manifest is still the first, by which it is saved; and it can be found by what was pushed.
    env.coracle(["save", "-o"]).arg(env.path().join("saved.tar")).arg("made").ok();
    let by_digest = format!("{}@{digest}", name.trim_end_matches(":1"));
    env.coracle(["image", "exists", &by_digest]).ok();
    let id = env.coracle(["image", "inspect", "-f", "{{.Id}}", "made"]).ok().text().to_owned();
    let other = TestEnv::new();
    assert_eq!(other.coracle(["pull", "-q", &name]).ok().text(), id);
    let ran = other.coracle(["run", "--rm", "--network=none", &name, "cat", "/built"]).ok();
    assert_eq!(ran.text(), "built");
    // What it came to is remembered: the layers are found by their digests.
    let again = env.coracle(["push", "made", &name]).ok();
    assert_eq!(again.stderr.matches("skipped: already exists").count(), 3, "{again}");
    // A registry that lost a layer gets the same bytes again.
    let lost = first["layers"][1]["digest"].as_str().unwrap();
    let path = format!("/v2/push/built/blobs/{lost}");
    assert_eq!(registry.request("DELETE", &path, &[], b"").status, 202);
    env.coracle(["push", "made", &registry.reference("push/anew", "1")]).ok();
    assert_eq!(parsed(&registry, "push/anew", "1"), first);
    assert!(std::fs::read_dir(env.root().join("tmp")).unwrap().next().is_none());
    env.coracle(["system", "check"]).ok();
    // Other stores read what was pushed, and prune leaves nothing of it.
    env.coracle(["rmi", "-f", "made"]).ok();
    env.coracle(["system", "prune", "-af"]).ok();
}

#[test]
fn forms_and_compressions_are_chosen() {
    let (env, registry) = (TestEnv::with_images(), shared_registry());
    built(&env, "made");
    let push = |options: &[&str], tag: &str| {
        let name = registry.reference("push/forms", tag);
        env.coracle(["push", "-q"]).args(options).args(["made", &name]).ok();
        let other = TestEnv::new();
        other.coracle(["pull", "-q", &name]).ok();
        let ran = other.coracle(["run", "--rm", "--network=none", &name, "cat", "/built"]).ok();
        assert_eq!(ran.text(), "built");
        parsed(registry, "push/forms", tag)
    };
    let docker = push(&["--format=v2s2"], "docker");
    assert_eq!(docker["mediaType"], "application/vnd.docker.distribution.manifest.v2+json");
    assert!(layer_types(&docker).iter().all(|kind| kind.ends_with("diff.tar.gzip")), "{docker}");
    let zstd = push(&["--compression-format=zstd", "--compression-level=5"], "zstd");
    assert!(layer_types(&zstd).iter().all(|kind| kind.ends_with("tar+zstd")), "{zstd}");
    // Layers that are compressed stay as they are if that is said.
    let kept = push(&["--compression-format=zstd", "--force-compression=false"], "kept");
    let kinds = layer_types(&kept);
    assert!(kinds[0].ends_with("tar+gzip") && kinds[1].ends_with("tar+zstd"), "{kept}");
    assert_eq!(kept["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    for (options, says) in [
        (&["--compression-format=zstd:chunked"][..], "zstd:chunked is not supported"),
        (&["--compression-format=lz4"], "unknown compression format"),
        (&["--compression-level=12"], "compression level 12"),
        (&["--format=v2s2", "--compression-format=zstd"], "no layers that are compressed with zstd"),
        (&["--sign-by=me"], "signing images is not supported"),
        (&["--encryption-key=jwe:x"], "encrypted layers are not supported"),
        (&["--platform=linux/s390x"], "not for linux/s390x"),
    ] {
        let name = registry.reference("push/forms", "refused");
        let output = env.coracle(["push"]).args(options).args(["made", &name]).fails(125);
        output.says(says);
    }
    assert!(!registry.tags("push/forms").contains(&"refused".to_owned()));
}

#[test]
fn names_say_where_it_goes() {
    let (env, registry) = (TestEnv::new(), shared_registry());
    let (name, _) = pulled(&env, registry, small("names"), "push/names");
    env.coracle(["push", "-q", &name]).ok();
    env.coracle(["push", "-q", &name, &format!("docker://{}", registry.reference("push/names", "v3"))]).ok();
    env.coracle(["tag", &name, "mine"]).ok();
    env.coracle(["push", "mine"]).fails(125).says("names no registry to push to");
    let id = env.coracle(["image", "inspect", "-f", "{{.Id}}", "mine"]).ok().text().to_owned();
    env.coracle(["push", &id[..12]]).fails(125).says("names no registry to push to");
    env.coracle(["push", "-q", &id[..12], &registry.reference("push/names", "v4")]).ok();
    env.coracle(["push", "nothing"]).fails(125).says("nothing: image not known");
    env.coracle(["push", &name, "docker-daemon:x:1"]).fails(125).says("not pushed to docker's engine");
    // All tags of a repository.
    let more = registry.reference("push/names", "v9");
    env.coracle(["tag", &name, &more]).ok();
    let repository = format!("{}/push/names", registry.address());
    env.coracle(["push", "-q", "--all-tags", &repository]).ok();
    env.coracle(["push", "-a", &name]).fails(125).says("tag can't be used with --all-tags/-a");
    for tag in ["v1", "v3", "v4", "v9"] {
        assert!(registry.tags("push/names").contains(&tag.to_owned()), "{tag}");
    }
    // A blocked name.
    env.file(
        "home/.config/containers/registries.conf",
        format!("[[registry]]\nprefix = \"{}\"\nblocked = true\n", registry.address()),
    );
    env.coracle(["push", &name]).fails(125).says("is blocked in ");
}

#[test]
fn files_are_written_as_save_does() {
    let (env, registry) = (TestEnv::new(), shared_registry());
    let (name, _) = pulled(&env, registry, small("files"), "push/files");
    let other = TestEnv::new();
    for (to, loads) in [
        ("oci-archive:a.tar", true),
        ("docker-archive:b.tar:c/d:1", true),
        ("oci:layout", true),
        ("dir:plain", true),
    ] {
        env.coracle(["push", "-q", &name, to]).cwd(env.path()).ok();
        let path = env.path().join(to.split(':').nth(1).unwrap());
        if loads {
            other.coracle(["load", "-i"]).arg(path).ok();
        }
    }
    let told = env.coracle(["push", &name, "oci:words"]).cwd(env.path()).ok();
    told.says("Getting image source signatures").says("Writing manifest to image destination");
    env.coracle(["push", "--compression-format=zstd", &name, "docker-archive:x"])
        .fails(125)
        .says("do not go with docker-archive:");
}

#[test]
fn docker_has_its_own_words() {
    let (env, registry) = (TestEnv::new(), shared_registry());
    let (name, original) = pulled(&env, registry, small("words"), "push/words");
    let repository = format!("{}/push/words", registry.address());
    let output = env.called("docker", ["push", &name]).ok();
    let lines = output.lines();
    assert_eq!(lines[0], format!("The push refers to repository [{repository}]"));
    assert!(lines[1].ends_with(": Preparing") && lines[2].ends_with(": Layer already exists"), "{output}");
    let digest = sha256_hex(&original);
    assert_eq!(lines[3], format!("v1: digest: sha256:{digest} size: {}", original.len()));
    let quiet = env.called("docker", ["push", "-q", &name]).ok();
    assert_eq!(quiet.text(), name);
    let missing = env.called("docker", ["push", "nothing"]).run();
    assert_eq!(missing.code, 1, "{missing}");
    missing.says("An image does not exist locally with the tag: nothing");
    env.called("docker", ["push", &name, "other:1"])
        .fails(1)
        .says("\"docker push\" requires exactly 1 argument");
    env.coracle(["tag", &name, &repository]).ok();
    let latest = env.called("docker", ["push", &repository]).ok();
    assert_eq!(latest.lines()[..2], ["Using default tag: latest", lines[0].as_str()], "{latest}");
    let none = format!("{repository}@sha256:{}", "a".repeat(64));
    env.called("docker", ["pull", &none]).fails(1).says(&format!("manifest for {none} not found"));
}

/// What scripts pin a deployment by must be what others can pull.
#[test]
fn one_digest_is_told_for_a_name_and_it_is_the_registrys() {
    let (env, registry) = (TestEnv::with_images(), Registry::start());
    let (name, repository) =
        (registry.reference("push/pin", "1"), format!("{}/push/pin", registry.address()));
    built(&env, &name);
    env.coracle(["tag", &name, "other:1"]).ok();
    let told = |who: &str, words: &[&str]| env.called(who, words).ok().text().to_owned();
    let digests = ["image", "inspect", "-f", "{{json .RepoDigests}}", &name];
    let listed = |who: &str, name: &str| told(who, &["images", "--format={{.Digest}}", name]);
    let own = told("coracle", &["image", "inspect", "-f", "{{.Digest}}", &name]);
    assert_eq!(told("docker", &digests), "[]");
    assert_eq!(
        (listed("docker", &repository), listed("coracle", &repository)),
        ("<none>".into(), own.clone())
    );
    told("docker", &["push", "-q", &name]);
    let digest = format!("sha256:{}", sha256_hex(&manifest(&registry, "push/pin", "1")));
    assert_ne!(digest, own);
    let pin = format!("{repository}@{digest}");
    assert_eq!(told("docker", &digests), format!("[{pin:?}]"));
    let all: Vec<String> = serde_json::from_str(&told("coracle", &digests)).unwrap();
    assert_eq!(all[0], pin);
    for who in ["docker", "coracle"] {
        assert_eq!(listed(who, &repository), digest, "{who}");
    }
    assert_eq!(told("coracle", &["image", "inspect", "-f", "{{.Digest}}", &name]), digest);
    assert_eq!((listed("docker", "other"), listed("coracle", "other")), ("<none>".into(), own.clone()));
    // Another machine, and this one again.
    let other = TestEnv::new();
    other.called("docker", ["pull", "-q", &pin]).ok();
    told("docker", &["pull", "-q", &name]);
    assert_eq!((told("docker", &digests), listed("docker", &repository)), (format!("[{pin:?}]"), digest));
    // A record of an older coracle does not tell them apart.
    let id = told("coracle", &["image", "inspect", "-f", "{{.Id}}", &name]);
    let record = env.root().join("images").join(id);
    let mut old: Value = serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();
    old.as_object_mut().unwrap().remove("remote");
    std::fs::write(&record, old.to_string()).unwrap();
    assert!(told("docker", &digests).contains(&pin));
    assert!(told("docker", &digests).contains("other@"));
}

#[test]
fn an_event_tells_of_it() {
    let (env, registry) = (TestEnv::new(), shared_registry());
    let (name, _) = pulled(&env, registry, small("event"), "push/event");
    env.coracle(["image", "push", "-q", &name]).ok();
    let events = env.coracle(["events", "--stream=false", "--filter=event=push", "--format={{.Name}}"]).ok();
    assert_eq!(events.text(), name);
}

#[test]
fn a_registry_that_asks_for_a_password_gets_it() {
    let registry = Registry::with_password("bob", "secret");
    let env = TestEnv::new();
    let (_, open) = (pulled(&env, shared_registry(), small("password"), "push/password"), shared_registry());
    let (from, to) = (open.reference("push/password", "v1"), registry.reference("x", "1"));
    let refused = env.coracle(["push", &from, &to]).fails(125);
    refused.says("access to");
    env.coracle(["push", "--creds=bob:wrong", &from, &to]).fails(125);
    env.coracle(["push", "--creds=bob:secret", &from, &to]).ok();
    assert_eq!(registry.tags("x"), ["1"]);
}

/// The registry checks what its token server has signed: a mount needs to read the other repository, too.
#[test]
fn a_registry_that_asks_for_tokens_gets_those_that_fit() {
    let registry = Registry::with_tokens("bob", "secret");
    let env = TestEnv::new();
    let (from, _) = pulled(&env, shared_registry(), small("tokens"), "push/tokens");
    let (one, two, three) =
        (registry.reference("a/x", "1"), registry.reference("b/x", "1"), registry.reference("c/x", "1"));
    env.coracle(["push", &from, &one]).fails(125).says("access to");
    env.coracle(["push", "--creds=bob:secret", &from, &one]).ok();
    env.coracle(["push", "--creds=bob:secret", &from, &two]).ok().says("skipped: mounted from a/x");
    let asked = registry.tokens().seen();
    let both = |path: &str| path.contains("b%2Fx%3Apull%2Cpush") && path.contains("a%2Fx%3Apull");
    assert!(asked.iter().any(|seen| both(&seen.path)), "{asked:?}");
    // Where another repository may not be read, the blob is sent.
    registry.tokens().deny("a/x");
    registry.tokens().deny("b/x");
    let output = env.coracle(["push", "--creds=bob:secret", &from, &three]).ok();
    assert!(!output.stderr.contains("mounted"), "{output}");
}

#[test]
fn tls_is_spoken_with_those_that_are_trusted() {
    if which("openssl").is_none() {
        return crate::common::skip("no openssl");
    }
    let env = TestEnv::new();
    let made = env.path().join("made");
    std::fs::create_dir(&made).unwrap();
    certificates(&env, &made);
    let extra = "  tls:\n    certificate: DIR/server.crt\n    key: DIR/server.key\n";
    let Some(registry) = tls_registry(&made, extra) else { return };
    env.file("trusted/ca.crt", std::fs::read(made.join("ca.crt")).unwrap());
    pulled(&env, shared_registry(), small("tls"), "push/tls");
    let from = shared_registry().reference("push/tls", "v1");
    let to = format!("{}/x", registry.address);
    env.coracle(["push", &from, &to]).fails(125).says("pinging container registry").says("certs.d");
    env.coracle(["push", "--cert-dir"]).arg(env.path().join("trusted")).args([&from, &to]).ok();
    env.coracle(["push", "--tls-verify=false", &from, &to]).ok();
}

/// skopeo and podman read what was pushed.
#[test]
fn others_read_what_was_pushed() {
    let (env, registry) = (TestEnv::with_images(), shared_registry());
    let Some(skopeo) = which("skopeo") else { return crate::common::skip("no skopeo") };
    built(&env, "made");
    for (options, tag) in
        [(&[][..], "gzip"), (&["--compression-format=zstd"], "zstd"), (&["--format=v2s2"], "docker")]
    {
        let name = registry.reference("push/others", tag);
        env.coracle(["push", "-q"]).args(options).args(["made", &name]).ok();
        let copy = |to: &Path| {
            let mut command = Command::new(&skopeo);
            command.args(["copy", "--src-tls-verify=false", &format!("docker://{name}")]);
            command.arg(format!("oci:{}", to.display())).env("HOME", env.home());
            let output = command.output().unwrap();
            assert!(output.status.success(), "{tag}: {output:?}");
        };
        let layout = env.path().join(tag);
        copy(&layout);
        // It has unpacked and compared every layer if it can be loaded again.
        let other = TestEnv::new();
        other.coracle(["load", "-i"]).arg(&layout).ok();
    }
}

/// What a terminal of 80 columns shows of this: the lines, without blanks at their ends.
fn screen(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let (mut lines, mut row, mut column) = (vec![Vec::new()], 0, 0);
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        match next {
            '\r' => column = 0,
            '\n' => (row, column) = (row + 1, 0),
            '\x1b' => {
                let code: String = rest.by_ref().skip(1).take_while(|c| c.is_ascii_digit()).collect();
                // The letter that ends it was taken with its number.
                let before = text.len() - rest.as_str().len();
                let count = code.parse().unwrap_or(1);
                match text[..before].chars().next_back() {
                    Some('A') => row = usize::saturating_sub(row, count),
                    Some('B') => row += count,
                    Some('K') => lines[row].clear(),
                    _ => {}
                }
            }
            shown => {
                if column == 80 {
                    (row, column) = (row + 1, 0);
                }
                lines.resize(lines.len().max(row + 1), Vec::new());
                let line: &mut Vec<char> = &mut lines[row];
                line.resize(line.len().max(column + 1), ' ');
                line[column] = shown;
                column += 1;
            }
        }
        lines.resize(lines.len().max(row + 1), Vec::new());
    }
    let line = |line: Vec<char>| line.into_iter().collect::<String>().trim_end().to_owned();
    lines.into_iter().map(line).filter(|line| !line.is_empty()).collect()
}

/// The same words for each way of an image, and they stay when it has ended.
#[test]
fn the_last_lines_stay_on_the_terminal() {
    let (env, registry) = (TestEnv::new(), Registry::start());
    let image = small("lines").layer(Layer::new().file("more", 0o644, vec![7; 300_000]));
    let (name, bytes) = pulled(&env, &registry, image, "way/from");
    let manifest: Value = serde_json::from_slice(&bytes).unwrap();
    let short = |part: &Value| part["digest"].as_str().unwrap()[7..19].to_owned();
    let blobs: Vec<String> = manifest["layers"].as_array().unwrap().iter().map(short).collect();
    let shown = |words: &[&str]| {
        let mut session = env.coracle(words).env("TERM", "xterm").pty();
        let all = session.expect(expectrl::Eof).unwrap();
        screen(all.as_bytes())
    };
    let lines = |how: &str| {
        let mut lines = vec!["Getting image source signatures".to_owned()];
        lines.extend(blobs.iter().map(|blob| format!("Copying blob {blob} {how}")));
        lines.push(format!("Copying config {} done", short(&manifest["config"])));
        lines.push("Writing manifest to image destination".to_owned());
        lines
    };
    let other = Registry::start();
    let to = other.reference("way/to", "1");
    assert_eq!(shown(&["push", &name, &to]), lines("done"));
    assert_eq!(shown(&["push", &name, &to]), lines("skipped: already exists"));
    env.coracle(["rmi", &name]).ok();
    let id = manifest["config"]["digest"].as_str().unwrap()[7..].to_owned();
    let pull = |how: &str| {
        let trying = format!("Trying to pull {name}...");
        [vec![trying], lines(how), vec![id.clone()]].concat()
    };
    assert_eq!(shown(&["pull", &name]), pull("done"));
    assert_eq!(shown(&["pull", &name]), pull("skipped: already exists"));
}
