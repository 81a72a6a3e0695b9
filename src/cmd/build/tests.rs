use super::options::{Args, Method};
use super::request::{Wanted, wanted};
use crate::build::request::{
    BuildRequest, CachePlace, CacheTarget, CheckRequest, ContextSource, Destination, FileSource,
    LayerRequest, NamedContext, Output, SecretSource, TimeRequest,
};
use crate::cmd::verbs;
use crate::engine::images::pull::PullPolicy;
use crate::error::Result;
use crate::host::Caller;
use crate::image::Platform;
use crate::spec::NetworkMode;
use crate::storage::archive::{Family, OutgoingForm};
use clap::FromArgMatches;
use std::path::PathBuf;

fn command() -> clap::Command {
    verbs::arguments::<Args>(clap::Command::new("build")).no_binary_name(true).args_override_self(true)
}

fn parse(line: &[&str]) -> Result<Args, clap::Error> {
    Args::from_arg_matches(&command().try_get_matches_from(line)?)
}

/// A caller in a directory with the file `f`, the directory `d` and the Containerfile `d/Containerfile`.
fn caller(dir: &tempfile::TempDir) -> Caller {
    std::fs::write(dir.path().join("f"), "A=file\nB=file\n").unwrap();
    std::fs::create_dir_all(dir.path().join("d")).unwrap();
    std::fs::write(dir.path().join("d/Containerfile"), "FROM scratch\n").unwrap();
    let env = [("TOKEN", "t0k3n"), ("EMPTY", ""), ("http_proxy", "http://p")];
    Caller {
        env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        cwd: dir.path().to_owned(),
        ..Caller::default()
    }
}

fn asked(line: &str, more: &[(&str, &str)], docker: bool) -> Result<(Wanted, PathBuf)> {
    let dir = tempfile::tempdir().unwrap();
    let mut caller = caller(&dir);
    caller.env.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let words: Vec<&str> = line.split_whitespace().collect();
    let args = parse(&words).unwrap_or_else(|e| panic!("{line}: {e}"));
    wanted(args, &caller, docker).map(|wanted| (wanted, dir.path().to_owned()))
}

fn request(line: &str) -> BuildRequest {
    asked(line, &[], false).unwrap_or_else(|e| panic!("{line}: {}", e.in_one_line())).0.request
}

#[test]
fn the_tree_is_well_formed() {
    command().debug_assert();
}

#[test]
fn without_options_the_directory_is_built() {
    let (found, dir) = asked("", &[], false).unwrap();
    assert_eq!((found.method, found.json), (Method::Build, false));
    let request = found.request;
    assert_eq!((request.context, request.files), (ContextSource::Directory(dir), vec![]));
    assert_eq!(
        (request.pull, request.family, request.layers),
        (PullPolicy::Missing, Family::Oci, LayerRequest::Each)
    );
    assert_eq!(
        (request.jobs, request.check, request.times),
        (None, CheckRequest::Warn, TimeRequest::default())
    );
    assert!(request.platforms.is_empty() && request.outputs.is_empty() && request.run.proxies.proxy);
}

#[test]
fn sources_are_files_and_contexts() {
    let (found, dir) =
        asked("-f d/Containerfile --target build --from alpine:3 --ignorefile d/i", &[], false).unwrap();
    let request = found.request;
    assert_eq!(request.context, ContextSource::Directory(dir.join("d")));
    assert_eq!(request.files, [FileSource::Path(dir.join("d/Containerfile"))]);
    assert_eq!((request.target.as_deref(), request.from.as_deref()), (Some("build"), Some("alpine:3")));
    assert_eq!(request.ignore_file, Some(dir.join("d/i")));
    let (found, dir) =
        asked("--build-context x=d --build-context docker.io/library/y=docker-image://z d", &[], false)
            .unwrap();
    let contexts = found.request.contexts;
    assert_eq!(contexts["x"], NamedContext::Files(ContextSource::Directory(dir.join("d"))));
    assert_eq!(contexts["y"], NamedContext::Image("z".into()));
    // docker has one Containerfile.
    let (found, _) = asked("-f f -f d/Containerfile .", &[], true).unwrap();
    assert_eq!(found.request.files.len(), 1);
}

#[test]
fn build_arguments_come_from_files_the_line_and_the_caller() {
    let args =
        request("--build-arg-file f --build-arg B=set --build-arg TOKEN --build-arg NONE --build-arg E=")
            .args;
    let shown: Vec<String> = args.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(shown, ["A=file", "B=set", "E=", "TOKEN=t0k3n"]);
}

#[test]
fn secrets_and_agents_are_looked_up() {
    let (found, dir) = asked(
        "--secret id=a,src=f --secret id=b,env=TOKEN --secret id=f --secret id=TOKEN --secret id=c,env=NONE",
        &[],
        false,
    )
    .unwrap();
    let secrets = found.request.secrets;
    assert_eq!(secrets["a"], SecretSource::File(dir.join("f")));
    assert_eq!(secrets["b"], SecretSource::Value(b"t0k3n".to_vec()));
    assert_eq!(secrets["f"], SecretSource::File(dir.join("f")));
    assert_eq!(secrets["TOKEN"], SecretSource::Value(b"t0k3n".to_vec()));
    assert!(!secrets.contains_key("c"));
    let (found, dir) = asked("--ssh default --ssh key=f", &[("SSH_AUTH_SOCK", "/agent")], false).unwrap();
    assert_eq!(found.request.ssh["default"], [PathBuf::from("/agent")]);
    assert_eq!(found.request.ssh["key"], [dir.join("f")]);
}

#[test]
fn the_result_has_names_forms_and_times() {
    let request =
        self::request("-t app -t quay.io/a/b:1 --format docker --squash --timestamp 5 --omit-history");
    assert_eq!(
        request.names.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["localhost/app:latest", "quay.io/a/b:1"]
    );
    assert_eq!((request.family, request.layers), (Family::Docker, LayerRequest::Squash));
    assert_eq!(request.times, TimeRequest { all: Some(5), image: None, rewrite: false });
    assert!(request.changes.omit_history);
    for (line, layers) in [
        ("--squash-all", LayerRequest::SquashAll),
        ("--layers=false", LayerRequest::Squash),
        ("--layers", LayerRequest::Each),
        ("--layers=true", LayerRequest::Each),
    ] {
        assert_eq!(self::request(line).layers, layers, "{line}");
    }
    let of = |more: &[(&str, &str)], line: &str, docker| asked(line, more, docker).unwrap().0.request;
    assert_eq!(of(&[("BUILDAH_LAYERS", "false")], "", false).layers, LayerRequest::Squash);
    assert_eq!(of(&[("BUILDAH_FORMAT", "docker")], "", false).family, Family::Docker);
    assert_eq!(of(&[], ".", true).family, Family::Docker);
    let epoch = [("SOURCE_DATE_EPOCH", "7")];
    assert_eq!(
        of(&epoch, "--rewrite-timestamp", false).times,
        TimeRequest { all: None, image: Some(7), rewrite: true }
    );
    assert_eq!(of(&epoch, "--source-date-epoch 8", false).times.image, Some(8));
    assert_eq!(
        of(&epoch, "--timestamp 9", false).times,
        TimeRequest { all: Some(9), image: None, rewrite: false }
    );
}

#[test]
fn platforms_are_a_list() {
    let shown =
        |line: &str| -> Vec<String> { request(line).platforms.iter().map(ToString::to_string).collect() };
    assert_eq!(
        shown("--platform linux/amd64,linux/arm64 --platform linux/arm64"),
        ["linux/amd64", "linux/arm64"]
    );
    assert_eq!(shown("--arch arm --variant v7"), ["linux/arm/v7"]);
    assert_eq!(request("--platform local").platforms, [Platform::host()]);
    let usual = [("DOCKER_DEFAULT_PLATFORM", "linux/386")];
    assert_eq!(asked(".", &usual, true).unwrap().0.request.platforms[0].to_string(), "linux/386");
    assert!(asked(".", &usual, false).unwrap().0.request.platforms.is_empty());
    let index = request("--platform linux/amd64,linux/arm64 --manifest app");
    assert_eq!(index.list.unwrap().to_string(), "localhost/app:latest");
    assert!(index.names.is_empty());
    assert_eq!(request("--platform linux/s390x").registry.platform.to_string(), "linux/s390x");
}

#[test]
fn changes_of_the_configuration_are_collected() {
    let changes = request(
        "--label a=b --label c --annotation d=e --annotation index:i=j --env TOKEN --env X=y --env NONE --unsetenv A,B \
         --unsetlabel l --inherit-labels=false",
    )
    .changes;
    assert_eq!((changes.labels["a"].as_str(), changes.labels["c"].as_str()), ("b", ""));
    assert_eq!((&changes.annotations["d"][..], &changes.index_annotations["i"][..]), ("e", "j"));
    assert_eq!(changes.env, [("TOKEN".to_owned(), "t0k3n".to_owned()), ("X".to_owned(), "y".to_owned())]);
    assert_eq!(
        (changes.unset_env, changes.unset_labels),
        (vec!["A".to_owned(), "B".to_owned()], vec!["l".to_owned()])
    );
    assert!(changes.forget_labels && !changes.forget_annotations && !changes.identity_label);
}

#[test]
fn outputs_are_those_of_the_dialect() {
    let outputs = |line: &str, docker| asked(line, &[], docker).unwrap();
    let (found, dir) = outputs("-o out .", true);
    assert_eq!(found.request.outputs, [Output::Local(dir.join("out"))]);
    let (found, dir) = outputs("-o out", false);
    assert_eq!(found.request.outputs, [Output::Local(dir.join("out")), Output::Image]);
    let (found, dir) = outputs("-o type=oci,dest=x,tar=false", false);
    assert_eq!(
        found.request.outputs,
        [Output::Oci { to: Destination::File(dir.join("x")), directory: true }]
    );
    let (found, dir) = outputs("-o type=docker,dest=x --load .", true);
    assert_eq!(found.request.outputs, [Output::Docker(Destination::File(dir.join("x"))), Output::Image]);
    assert_eq!(outputs("--load", false).0.request.outputs, [Output::Image]);
    let pushed = |names: &[&str]| {
        let names = names.iter().map(|name| name.parse().unwrap()).collect();
        Output::Push { names, form: OutgoingForm::default() }
    };
    let (found, _) = outputs("--push -t r.io/a -t r.io/b:1", false);
    assert_eq!(found.request.outputs, [pushed(&["r.io/a:latest", "r.io/b:1"])]);
    assert_eq!(outputs("--push -t a .", true).0.request.outputs, [pushed(&["docker.io/library/a:latest"])]);
    let (found, _) = outputs("-o type=image,name=r.io/c,push=true", false);
    assert_eq!(found.request.outputs, [pushed(&["r.io/c:latest"])]);
    assert_eq!(outputs("-o type=cacheonly", false).0.request.outputs, [Output::Nothing]);
    let more = request("-o type=image,name=b,rewrite-timestamp=true,annotation.k=v -t a");
    assert_eq!(more.names.len(), 2);
    assert!(more.times.rewrite && more.changes.annotations["k"] == "v");
}

#[test]
fn the_cache_is_asked_as_told() {
    let (found, dir) = asked("--no-cache-filter a,b --cache-from x/y --cache-from type=local,src=c --cache-to type=inline --cache-ttl 1h", &[], false).unwrap();
    let cache = found.request.cache;
    assert_eq!(cache.ignore_stages, ["a", "b"]);
    assert_eq!(
        cache.from,
        [CachePlace::Repository("x/y".parse().unwrap()), CachePlace::Local(dir.join("c"))]
    );
    let to = vec![CacheTarget { place: CachePlace::Inline, least: false }];
    assert_eq!((cache.to, cache.max_age, cache.ignore), (to, Some(3600), false));
    let (found, _) = asked(
        "--cache-to type=registry,ref=r.io/a --cache-to type=registry,ref=r.io/b,mode=max --cache-to r.io/c",
        &[],
        false,
    )
    .unwrap();
    assert_eq!(found.request.cache.to.iter().map(|to| to.least).collect::<Vec<_>>(), [true, false, false]);
    assert!(request("--no-cache").cache.ignore && request("--cache-ttl 0").cache.ignore);
}

#[test]
fn base_images_are_pulled_as_told() {
    for (line, policy) in [
        ("", PullPolicy::Missing),
        ("--pull", PullPolicy::Always),
        ("--pull=true", PullPolicy::Always),
        ("--pull=false", PullPolicy::Never),
        ("--pull=newer", PullPolicy::Newer),
        ("--pull-always", PullPolicy::Always),
        ("--pull-never", PullPolicy::Never),
    ] {
        assert_eq!(request(line).pull, policy, "{line}");
    }
    assert_eq!(request("--retry 7").registry.retry.retries, 7);
    assert_eq!(request("--mount type=tmpfs,target=/t").run.step_mounts, ["type=tmpfs,target=/t"]);
}

#[test]
fn steps_run_as_told() {
    let run = request(
        "--network none --dns 1.1.1.1 --add-host a:1.2.3.4 --no-hostname -v /d:/e:ro --cap-drop all --group-add 5 \
         --shm-size 1m --ulimit nofile=5 -m 64m --cpus 1.5 -c 512 --cgroup-parent x --http-proxy=false --jobs 2",
    )
    .run;
    assert_eq!(run.network, Some(NetworkMode::None));
    assert_eq!((run.hosts.len(), run.no_hosts, run.no_hostname), (1, false, true));
    assert_eq!((run.mounts.len(), run.groups, run.shm_size), (1, vec!["5".to_owned()], Some(1 << 20)));
    assert_eq!((run.ulimits.len(), run.security.cap_drop.len()), (1, 1));
    assert!(!run.resources.is_empty() && !run.proxies.proxy);
    assert_eq!(run.cgroup_parent.as_deref(), Some("x"));
    assert_eq!((request("--jobs 2").jobs, request("--jobs 0").jobs), (Some(2), None));
    assert_eq!(request("--net host").run.network, Some(NetworkMode::Host));
}

#[test]
fn methods_are_chosen() {
    let method =
        |line: &str| asked(line, &[], false).map(|(it, _)| (it.method, it.json, it.request.check)).unwrap();
    assert_eq!(method("--check"), (Method::Check, false, CheckRequest::Only));
    assert_eq!(method("--call check,format=json"), (Method::Check, true, CheckRequest::Only));
    assert_eq!(method("--call outline"), (Method::Outline, false, CheckRequest::Warn));
    assert_eq!(method("--call=targets"), (Method::Targets, false, CheckRequest::Warn));
}

#[test]
fn what_changes_nothing_is_accepted() {
    for line in [
        "--compress --rm --rm=false --force-rm --disable-content-trust --debug --loglevel 3",
        "--isolation chroot --isolation=default --builder default --allow network.host",
        "-D --disable-compression=true --skip-unused-stages --compat-volumes=false --logsplit=false --stdin=false",
        "--sbom=false --provenance false --attest type=sbom,disabled=true --push=false",
        "--pid private --ipc container --uts= --cgroupns private --userns host",
    ] {
        request(line);
    }
}

#[test]
fn what_cannot_be_is_refused_where_it_is_read() {
    for line in [
        "--isolation hyperv",
        "--allow security.insecure",
        "--disable-compression=false",
        "--stdin",
        "--all-platforms",
        "--sbom=true",
        "--provenance=mode=max",
        "--attest type=sbom",
        "--cpp-flag -DX",
        "--decryption-key k",
        "--sign-by x",
        "--signature-policy p",
        "--hooks-dir d",
        "--runtime-flag x",
        "--layer-label a=b",
        "--os-version 10",
        "--pid host",
        "--userns keep-id",
        "--userns-uid-map 0:1:2",
        "--squash --squash-all",
        "--timestamp 1 --source-date-epoch 2",
        "--timestamp x",
        "--platform linux/arm64 --arch arm",
        "--pull=sometimes",
        "--pull --pull-never",
        "--progress wat",
        "--call wat",
        "--check --call outline",
        "--network back:wat=1",
        "--secret a",
        "--cache-from type=gha",
        "-o type=wat",
        "-t a@sha256:0",
        "--jobs x",
        "a b",
    ] {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert!(parse(&words).is_err(), "{line}");
    }
}

#[test]
fn bad_combinations_are_refused_before_anything_changes() {
    for (line, names) in [
        ("nosuch", "nosuch"),
        ("f", "not a directory"),
        ("-f Containerfile.in", "cpp"),
        ("--rewrite-timestamp", "--rewrite-timestamp"),
        (
            "--manifest a@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "has a digest, which cannot be chosen",
        ),
        ("--secret id=a,src=nosuch", "nosuch"),
        ("--ssh default", "SSH_AUTH_SOCK"),
        ("--ssh a=nosuch", "nosuch"),
        ("--build-context a=nosuch", "nosuch"),
        ("--build-arg-file nosuch", "nosuch"),
        ("--cache-from type=inline", "inline"),
        ("-v name:/x", "directories of the host"),
        ("-v /x", "directories of the host"),
        ("--device /dev/nosuch", "/dev/nosuch"),
        ("-o type=tar -o -", "two outputs"),
        ("--push", "tag is needed when pushing"),
        ("-o type=registry -t nowhere", "names no registry"),
        ("--cache-to nowhere", "names no registry"),
        ("--memory-swappiness 5", "memory-swappiness"),
        ("--dns wat", "wat"),
    ] {
        let error = asked(line, &[], false).map(|_| ()).expect_err(line);
        assert!(error.in_one_line().contains(names), "{line}: {}", error.in_one_line());
    }
    for (name, value) in [("SOURCE_DATE_EPOCH", "x"), ("BUILDAH_FORMAT", "x")] {
        let error = asked("", &[(name, value)], false).map(|_| ()).expect_err(name);
        assert!(error.message().contains(name), "{error}");
    }
}
