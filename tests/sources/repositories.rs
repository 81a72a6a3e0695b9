//! Git repositories, fetched from `git daemon` and from a plain web server.

use super::Scene;
use super::web::Web;
use crate::common::{eventually, free_port, skip, which};
use coracle::build::sources::git::{Checkout, Repository};
use coracle::build::sources::remote::{self, GitSource, Remote};
use coracle::error::{Error, Kind};
use coracle::host::Caller;
use coracle::registry::WebTrust;
use std::fs::{create_dir_all, write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Repositories below a directory, served by `git daemon`.
pub(crate) struct Served {
    pub(crate) scene: Scene,
    dir: PathBuf,
    port: u16,
    daemon: Child,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// Runs git as a user of its own, in a directory.
fn git(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always", "-C"])
        .arg(dir)
        .args(args)
        .env("HOME", "/nonexistent")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .envs([("GIT_AUTHOR_NAME", "a"), ("GIT_AUTHOR_EMAIL", "a@b"), ("GIT_COMMITTER_NAME", "a")])
        .env("GIT_COMMITTER_EMAIL", "a@b")
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Served {
    /// `None` where there is no git, which is said.
    pub(crate) fn new() -> Option<Served> {
        if which("git").is_none() {
            skip("no git");
            return None;
        }
        let scene = Scene::new();
        let dir = scene.env.path().join("srv");
        create_dir_all(&dir).unwrap();
        let programs = git(&dir, &["--exec-path"]);
        let port = free_port();
        let daemon = Command::new(format!("{programs}/git-daemon"))
            .args(["--export-all", "--reuseaddr", "--listen=127.0.0.1", "--init-timeout=10"])
            .arg(format!("--port={port}"))
            .arg(format!("--base-path={}", dir.display()))
            .env("HOME", "/nonexistent")
            .stderr(Stdio::null())
            .spawn();
        let Ok(daemon) = daemon else {
            skip("no git daemon");
            return None;
        };
        eventually("git daemon listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(Served { scene, dir, port, daemon })
    }

    /// A new repository with two commits; the second is on `main` and has the tag `v1`.
    pub(crate) fn repository(&self, name: &str) -> PathBuf {
        let dir = self.dir.join(name);
        create_dir_all(dir.join("sub/deep")).unwrap();
        git(&dir, &["init", "--quiet"]);
        write(dir.join("file"), "one").unwrap();
        self.commit(name, "first");
        write(dir.join("file"), "two").unwrap();
        write(dir.join("sub/deep/x"), "x").unwrap();
        write(dir.join("Containerfile"), "FROM scratch\n").unwrap();
        write(dir.join("run"), "").unwrap();
        std::fs::set_permissions(dir.join("run"), std::fs::Permissions::from_mode(0o755)).unwrap();
        self.commit(name, "second");
        git(&dir, &["tag", "-a", "-m", "x", "v1"]);
        git(&dir, &["branch", "other", "HEAD~1"]);
        dir
    }

    /// Commits everything in a repository; returns the id.
    fn commit(&self, name: &str, message: &str) -> String {
        let dir = self.dir.join(name);
        git(&dir, &["add", "--all"]);
        git(&dir, &["commit", "--quiet", "-m", message]);
        git(&dir, &["rev-parse", "HEAD"])
    }

    fn id(&self, name: &str, of: &str) -> String {
        git(&self.dir.join(name), &["rev-parse", of])
    }

    /// `git://127.0.0.1:PORT/PATH`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("git://127.0.0.1:{}/{path}", self.port)
    }

    fn fetch(&self, address: &str) -> Result<Checkout, Error> {
        fetch(&self.scene, &self.scene.caller, &self.url(address), false)
    }
}

pub(crate) fn source(address: &str) -> GitSource {
    match remote::of_context(address) {
        Ok(Some(Remote::Git(source))) => source,
        other => panic!("{address}: {other:?}"),
    }
}

fn fetch(scene: &Scene, caller: &Caller, address: &str, keep: bool) -> Result<Checkout, Error> {
    Repository::open(&scene.store, &source(address), caller, &WebTrust::default())?.fetch(keep, &mut |_| {})
}

/// Where the fetched files are.
fn place(checkout: &Checkout) -> PathBuf {
    let copy: OwnedFd = checkout.root().try_clone_to_owned().unwrap();
    std::fs::read_link(format!("/proc/self/fd/{}", copy.as_raw_fd())).unwrap()
}

fn text(checkout: &Checkout, name: &str) -> String {
    std::fs::read_to_string(place(checkout).join(name)).unwrap()
}

pub(crate) fn a_commit_is_fetched_alone() {
    let Some(served) = Served::new() else { return };
    served.repository("r");
    let head = served.id("r", "main");
    // The mask of who builds says nothing about the files of a commit.
    let mask = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    let mut steps = Vec::new();
    let Scene { store, caller, .. } = &served.scene;
    let repository = Repository::open(store, &source(&served.url("r")), caller, &WebTrust::default());
    let repository = repository.unwrap();
    assert_eq!(repository.resolve().unwrap().unwrap().commit, head);
    let checkout = repository.fetch(false, &mut |step| steps.push(step.what)).unwrap();
    nix::sys::stat::umask(mask);
    assert_eq!((checkout.commit.as_str(), text(&checkout, "file").as_str()), (head.as_str(), "two"));
    assert!(steps.iter().any(|what| what.starts_with("fetching git://127.0.0.1")), "{steps:?}");
    let place = place(&checkout);
    assert!(!place.join(".git").exists());
    let mode = |name: &str| place.join(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("run"), mode("file"), mode("sub"), mode(".")), (0o755, 0o644, 0o755, 0o755));
    drop(checkout);
    assert_eq!(served.scene.left_over(), [""; 0]);

    let kept = fetch(&served.scene, &served.scene.caller, &served.url("r?tag=v1"), true).unwrap();
    let place = self::place(&kept);
    assert_eq!(git(&place, &["rev-list", "--count", "HEAD"]), "1", "its history stays where it is");
    assert_eq!(git(&place, &["describe", "--tags"]), "v1");
    let kept = fetch(&served.scene, &served.scene.caller, &served.url("r?keep-git-dir=0"), true).unwrap();
    assert!(!self::place(&kept).join(".git").exists());
}

pub(crate) fn names_and_ids_are_found() {
    let Some(served) = Served::new() else { return };
    let dir = served.repository("r");
    let (first, second) = (served.id("r", "main~1"), served.id("r", "main"));
    git(&dir, &["update-ref", "refs/pull/1/head", "other"]);
    for (tail, commit, content) in [
        ("#main", &second, "two"),
        ("#other", &first, "one"),
        ("?branch=other", &first, "one"),
        ("#v1", &second, "two"),
        ("#refs/tags/v1", &second, "two"),
        ("#pull/1/head", &first, "one"),
        (&format!("#{first}"), &first, "one"),
        (&format!("#{}", &first[..8]), &first, "one"),
        (&format!("?tag=v1&checksum={}", &second[..10]), &second, "two"),
        (&format!("?checksum={first}"), &first, "one"),
    ] {
        let got = served.fetch(&format!("r{tail}")).unwrap_or_else(|e| panic!("{tail}: {}", e.in_one_line()));
        assert_eq!((&got.commit, text(&got, "file").as_str()), (commit, content), "{tail}");
    }
    // A tag object's own id is as good.
    let tag = served.id("r", "v1");
    assert_eq!(served.fetch(&format!("r?tag=v1&checksum={tag}")).unwrap().commit, second);
    for tail in [format!("?branch=main&checksum={first}"), format!("?tag=v1&commit={}", "0".repeat(40))] {
        assert_eq!(served.fetch(&format!("r{tail}")).unwrap_err().kind(), Kind::Image, "{tail}");
    }
    for tail in ["#none", "#0123456", &format!("#{}", "1".repeat(40))] {
        let error = served.fetch(&format!("r{tail}")).unwrap_err();
        assert!(matches!(error.kind(), Kind::NotFound | Kind::Registry), "{tail}: {}", error.in_one_line());
    }
    assert!(served.fetch("none").unwrap_err().hints()[0].contains("git ls-remote"));
    let sub = served.fetch("r#:sub/deep").unwrap();
    assert_eq!(text(&sub, "x"), "x");
    assert_eq!(served.fetch("r#:missing").unwrap_err().kind(), Kind::NotFound);
    drop(sub);
    assert_eq!(served.scene.left_over(), [""; 0]);
}

pub(crate) fn a_server_that_gives_only_everything() {
    let Some(served) = Served::new() else { return };
    let dir = served.repository("r");
    git(&dir, &["update-server-info"]);
    // A plain web server: git calls it dumb.
    symlink(dir.join(".git"), served.dir.join("dumb.git")).unwrap();
    let web = Web::start(&served.dir);
    for tail in ["", "#other", "#v1"] {
        let url = web.url(&format!("plain/dumb.git{tail}"));
        let got = fetch(&served.scene, &served.scene.caller, &url, false);
        let got = got.unwrap_or_else(|e| panic!("{tail}: {}", e.in_one_line()));
        assert_eq!(text(&got, "file"), if tail == "#other" { "one" } else { "two" });
    }
}

pub(crate) fn submodules_are_fetched() {
    let Some(served) = Served::new() else { return };
    served.repository("leaf");
    let middle = served.repository("middle");
    let top = served.repository("top");
    git(&middle, &["submodule", "--quiet", "add", "../leaf", "inner"]);
    served.commit("middle", "with a submodule");
    git(&top, &["submodule", "--quiet", "add", "../middle", "mod"]);
    served.commit("top", "with a submodule");
    let pinned = served.id("middle", "HEAD");
    // From now on no name leads to the commit that is wanted.
    write(middle.join("more"), "").unwrap();
    served.commit("middle", "more");
    let got = served.fetch("top").unwrap_or_else(|e| panic!("{}", e.in_one_line()));
    assert_eq!((text(&got, "mod/file"), text(&got, "mod/inner/file")), ("two".into(), "two".into()));
    assert!(!place(&got).join("mod/.git").exists() && !place(&got).join("mod/inner/.git").exists());
    let got = served.fetch("top?submodules=false").unwrap();
    assert!(!place(&got).join("mod/file").exists());
    let got = fetch(&served.scene, &served.scene.caller, &served.url("top"), true).unwrap();
    assert_eq!(git(&place(&got).join("mod"), &["rev-parse", "HEAD"]), pinned);
}

pub(crate) fn case_47_a_repository_shows_nothing_of_the_host() {
    let Some(served) = Served::new() else { return };
    let dir = served.repository("r");
    let secret = served.scene.env.file("secret/x", "secret");
    let outside = secret.parent().unwrap();
    symlink(outside, dir.join("out")).unwrap();
    symlink("../../../../..", dir.join("up")).unwrap();
    served.commit("r", "links");
    for subdir in ["out", "up", "up/etc", "/out/"] {
        let error = served.fetch(&format!("r#:{subdir}")).unwrap_err();
        assert_eq!(error.kind(), Kind::Image, "{subdir}: {}", error.in_one_line());
    }
    // A submodule is no way to the host's files, whatever it is called.
    served.repository("target");
    for (name, url) in [
        ("file", format!("file://{}", served.dir.join("target").display())),
        ("path", served.dir.join("target").display().to_string()),
        ("ext", "ext::sh -c touch% /tmp/x".to_owned()),
    ] {
        let dir = served.repository(name);
        let id = served.id("target", "HEAD");
        write(dir.join(".gitmodules"), format!("[submodule \"m\"]\n\tpath = m\n\turl = {url}\n")).unwrap();
        git(&dir, &["update-index", "--add", "--cacheinfo", &format!("160000,{id},m")]);
        git(&dir, &["add", ".gitmodules"]);
        git(&dir, &["commit", "--quiet", "-m", "x"]);
        let error = served.fetch(name).unwrap_err();
        assert_eq!(error.kind(), Kind::Registry, "{name}");
    }
    assert_eq!(served.scene.left_over(), [""; 0]);
}

pub(crate) fn case_48_a_repository_runs_nothing() {
    let Some(served) = Served::new() else { return };
    let dir = served.repository("r");
    let home = served.scene.env.home();
    let traces = served.scene.env.path().join("traces");
    create_dir_all(&traces).unwrap();
    let script = |name: &str| {
        let path = served
            .scene
            .env
            .file(&format!("bin/{name}"), format!("#!/bin/sh\ntouch {}/{name}\ncat\n", traces.display()));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    };
    // Whatever the user has set up for repositories of their own.
    let hooks = home.join("hooks");
    create_dir_all(&hooks).unwrap();
    symlink(script("hook"), hooks.join("post-checkout")).unwrap();
    let templates = home.join("templates/hooks");
    create_dir_all(&templates).unwrap();
    symlink(script("template"), templates.join("post-checkout")).unwrap();
    write(
        home.join(".gitconfig"),
        format!(
            "[core]\n\thooksPath = {}\n\tfsmonitor = {}\n\tautocrlf = true\n[init]\n\ttemplateDir = {}\n[filter \"f\"]\n\tsmudge = {}\n\tclean = cat\n[submodule]\n\trecurse = true\n",
            hooks.display(),
            script("monitor"),
            home.join("templates").display(),
            script("filter"),
        ),
    )
    .unwrap();
    write(dir.join(".gitattributes"), "* filter=f\n").unwrap();
    write(dir.join("lines"), "a\nb\n").unwrap();
    served.commit("r", "attributes");
    let got = served.fetch("r").unwrap();
    assert_eq!(text(&got, "lines"), "a\nb\n");
    let left: Vec<_> = std::fs::read_dir(&traces).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(left, [""; 0]);
    // A kept repository has nothing to run either.
    let got = fetch(&served.scene, &served.scene.caller, &served.url("r"), true).unwrap();
    assert!(!place(&got).join(".git/hooks").exists());
    let config = text(&got, ".git/config");
    assert!(!config.contains("hooks") && !config.contains("filter"), "{config}");
}

pub(crate) fn the_users_way_to_a_server_counts() {
    let Some(served) = Served::new() else { return };
    let config = format!("[url \"{}\"]\n\tinsteadOf = https://mirrored.invalid/\n", served.url(""));
    write(served.scene.env.home().join(".gitconfig"), config).unwrap();
    served.repository("x.git");
    let got = fetch(&served.scene, &served.scene.caller, "https://mirrored.invalid/x.git#other", false);
    assert_eq!(text(&got.unwrap_or_else(|e| panic!("{}", e.in_one_line())), "file"), "one");
}

pub(crate) fn a_password_is_in_no_message() {
    let Some(served) = Served::new() else { return };
    let dir = served.repository("r");
    git(&dir, &["update-server-info"]);
    symlink(dir.join(".git"), served.dir.join("r.git")).unwrap();
    let web = Web::start(&served.dir);
    let got = fetch(&served.scene, &served.scene.caller, &web.secret_url("auth/r.git"), true);
    let got = got.unwrap_or_else(|e| panic!("{}", e.in_one_line()));
    assert_eq!(text(&got, "file"), "two");
    assert!(!text(&got, ".git/config").contains("s3cret"));
    assert!(web.asked().iter().any(|line| line.contains("authorization: Basic")));
    let wrong = web.secret_url("auth/r.git").replace("s3cret", "wr0ng");
    let error = fetch(&served.scene, &served.scene.caller, &wrong, false).unwrap_err();
    let said = format!("{} {:?}", error.in_one_line(), error.hints());
    assert!(!said.contains("wr0ng") && said.contains("127.0.0.1"), "{said}");
    // Another server gets nothing.
    web.asked();
    let away = format!("{}#main", web.secret_url("away/r.git"));
    assert!(fetch(&served.scene, &served.scene.caller, &away, false).is_err());
    let asked = web.asked();
    let others: Vec<_> = asked.iter().filter(|line| line.starts_with("/auth/")).collect();
    assert!(!others.is_empty() && others.iter().all(|line| !line.contains("authorization")), "{asked:?}");
}

pub(crate) fn a_missing_git_is_said() {
    let scene = Scene::new();
    let caller = Caller { env: vec![("PATH".to_owned(), "/nonexistent".to_owned())], ..scene.caller.clone() };
    let error = fetch(&scene, &caller, "git://127.0.0.1:1/r", false).unwrap_err();
    assert_eq!(error.kind(), Kind::Host);
    assert!(error.hints()[0].contains("Install the package git"), "{}", error.in_one_line());
    assert_eq!(scene.left_over(), [""; 0]);
}
