//! Each instruction of the reference.

use super::*;
use serde_json::json;

fn words(all: &[&str]) -> Vec<Word> {
    all.iter().map(|text| word(text)).collect()
}

fn pairs(all: &[(&str, &str)]) -> Vec<(Word, Word)> {
    all.iter().map(|(name, value)| (word(name), word(value))).collect()
}

#[test]
fn stages_begin_with_from() {
    let file = file(
        "# syntax=docker/dockerfile:1\nARG BASE=busybox VERSION\narg X=\"a b\"\n\nFROM --platform=$BUILDPLATFORM \
         $BASE:${VERSION:-1} AS Build\nARG VERSION\nrun make\nfrom scratch\ncopy --from=build /a /\n",
    );
    let globals: Vec<_> = file
        .globals
        .iter()
        .map(|g| (g.name.as_str(), g.default.as_ref().map(|d| d.0.as_str()), g.at))
        .collect();
    assert_eq!(
        globals,
        [("BASE", Some("busybox"), (2, 2)), ("VERSION", None, (2, 2)), ("X", Some("\"a b\""), (3, 3))]
    );
    let [build, last] = &file.stages[..] else { panic!("{:?}", file.stages) };
    assert_eq!((build.name.as_deref(), last.name.as_deref()), (Some("build"), None));
    assert_eq!((&build.base.0[..], &last.base.0[..]), ("$BASE:${VERSION:-1}", "scratch"));
    assert_eq!(build.platform, Some(word("$BUILDPLATFORM")));
    assert_eq!((build.at, last.at), ((5, 5), (8, 8)));
    assert!(build.original.starts_with("FROM --platform=$BUILDPLATFORM ") && last.original == "from scratch");
    assert_eq!(build.instructions.len(), 2);
    assert!(matches!(&build.instructions[0].does, Does::Arg(all) if all[0].at == (6, 6)));
    assert_eq!(file.source.lines.len(), 9);
    assert_eq!(file.directives.syntax.as_deref(), Some("docker/dockerfile:1"));
}

#[test]
fn names_have_values() {
    for (line, wanted) in [
        ("ENV a=1 b='x y' c=\"$a\"", &[("a", "1"), ("b", "'x y'"), ("c", "\"$a\"")][..]),
        ("env a x = y  z ", &[("a", "x = y  z")]),
        ("ENV a\t b", &[("a", "b")]),
        (r"ENV a=x\ y b=", &[("a", r"x\ y"), ("b", "")]),
        ("ENV $k=v", &[("$k", "v")]),
        ("ENV a=b=c", &[("a", "b=c")]),
        ("ENV a=1 \\\n  # about b\n\n  b=2", &[("a", "1"), ("b", "2")]),
    ] {
        assert_eq!(does(line), Does::Env(pairs(wanted)), "{line}");
    }
    assert_eq!(
        does("LABEL \"com.example.a\"=\"x y\" b=c"),
        Does::Label(pairs(&[("\"com.example.a\"", "\"x y\""), ("b", "c")]))
    );
    assert_eq!(does("LABEL version 1"), Does::Label(pairs(&[("version", "1")])));
    let Does::Arg(all) = does("ARG a b= c=\"x y\" d=$c") else { panic!() };
    let all: Vec<_> = all.into_iter().map(|a| (a.name, a.default.map(|word| word.0))).collect();
    let wanted = [("a", None), ("b", Some("")), ("c", Some("\"x y\"")), ("d", Some("$c"))];
    assert_eq!(all, wanted.map(|(name, default)| (name.to_owned(), default.map(str::to_owned))));
}

#[test]
fn commands_are_lists_or_lines() {
    for (rest, wanted) in [
        ("echo  \"a\"", shell("echo  \"a\"")),
        ("[\"a\", \"b c\"]", Command::Exec(strings(&["a", "b c"]))),
        ("[]", Command::Exec(Vec::new())),
        ("['a']", shell("['a']")),
        ("[ -d /x ] && y", shell("[ -d /x ] && y")),
        ("[\"a\"] && b", shell("[\"a\"] && b")),
        ("", shell("")),
    ] {
        assert_eq!(does(&format!("CMD {rest}")), Does::Cmd(wanted.clone()), "{rest}");
        assert_eq!(does(&format!("EntryPoint {rest}")), Does::Entrypoint(wanted.clone()), "{rest}");
        assert!(matches!(does(&format!("run {rest}")), Does::Run(run) if run.command == wanted), "{rest}");
    }
    assert_eq!(does("CMD [\"a\", \\\n \"b\"]"), Does::Cmd(Command::Exec(strings(&["a", "b"]))));
    assert_eq!(does("SHELL [\"/bin/bash\", \"-c\"]"), Does::Shell(strings(&["/bin/bash", "-c"])));
}

#[test]
fn run_has_flags() {
    let Does::Run(run) = does(
        "RUN --mount=type=cache,target=/c --mount=type=secret,id=x --network=none --security=sandbox \
         --device=vendor.com/device=a make --mount=y",
    ) else {
        panic!()
    };
    assert_eq!(run.mounts, words(&["type=cache,target=/c", "type=secret,id=x"]));
    assert_eq!((run.network, run.security), (Some(word("none")), Some(word("sandbox"))));
    assert_eq!((run.devices, run.command), (words(&["vendor.com/device=a"]), shell("make --mount=y")));
}

#[test]
fn copy_and_add_have_sources() {
    let Does::Copy(copy) = does(
        "COPY --from=build --chown=1:\"$G\" --chmod=u+x --link --parents --exclude=*.o --exclude=x a/* ./b /dest/",
    ) else {
        panic!()
    };
    assert_eq!((copy.sources, copy.destination), (words(&["a/*", "./b"]), word("/dest/")));
    assert_eq!(
        (copy.from, copy.chown, copy.chmod),
        (Some(word("build")), Some(word("1:$G")), Some(word("u+x")))
    );
    assert!(copy.link && copy.parents && copy.inline.is_empty());
    assert_eq!(copy.exclude, words(&["*.o", "x"]));
    let Does::Copy(list) = does("COPY [\"a b\", \"<<EOF\", \"/d\"]") else { panic!() };
    assert_eq!((list.sources, list.destination), (words(&["a b", "<<EOF"]), word("/d")));
    let Does::Add(add) = does(
        "ADD --checksum=sha256:00 --keep-git-dir=true --unpack=false --link=false https://example.com/a.tar /",
    ) else {
        panic!()
    };
    assert_eq!((add.checksum, add.keep_git_dir, add.unpack), (Some(word("sha256:00")), true, Some(false)));
    assert!(!add.copy.link);
    assert!(matches!(does("ADD a /"), Does::Add(add) if add.unpack.is_none() && !add.keep_git_dir));
}

#[test]
fn the_rest_are_words() {
    for (line, wanted) in [
        ("WORKDIR /a b", Does::WorkDir(word("/a b"))),
        ("USER  $U:g ", Does::User(word("$U:g"))),
        ("STOPSIGNAL SIGKILL", Does::StopSignal(word("SIGKILL"))),
        ("MAINTAINER A <a@b>", Does::Maintainer(word("A <a@b>"))),
        ("EXPOSE 80/tcp 443 $P", Does::Expose(words(&["$P", "443", "80/tcp"]))),
        ("VOLUME /a /b", Does::Volume(words(&["/a", "/b"]))),
        ("VOLUME [\"/a b\", \" /c\"]", Does::Volume(words(&["/a b", "/c"]))),
    ] {
        assert_eq!(does(line), wanted, "{line}");
    }
}

#[test]
fn health_is_checked() {
    for (rest, wanted) in [
        ("NONE", json!({"Test": ["NONE"]})),
        ("cmd curl -f localhost", json!({"Test": ["CMD-SHELL", "curl -f localhost"]})),
        (
            "--interval=5s --retries=3 CMD [\"a\", \"b\"]",
            json!({"Test": ["CMD", "a", "b"], "Interval": 5_000_000_000_u64, "Retries": 3}),
        ),
    ] {
        assert_eq!(does(&format!("HEALTHCHECK {rest}")), Does::HealthCheck(wanted), "{rest}");
    }
}

#[test]
fn triggers_are_kept_as_written() {
    assert_eq!(does("ONBUILD  COPY . /src"), Does::OnBuild("COPY . /src".into()));
    assert_eq!(does("onbuild run <<EOF\nmake\nEOF"), Does::OnBuild("run <<EOF\nmake\nEOF".into()));
    let run = parse_trigger("run <<EOF\nmake\nEOF", (3, 4)).unwrap();
    assert_eq!((run.at, run.keyword()), ((3, 4), "run"));
    let Does::Run(Run { command, .. }) = run.does else { panic!() };
    assert_eq!(command.script(), Script::Text("make\n".into()));
    assert!(matches!(parse_trigger("ARG a", (3, 3)).unwrap().does, Does::Arg(all) if all[0].at == (3, 3)));
    for wrong in
        ["", "FROM a", "ONBUILD RUN a", "MAINTAINER a", "RUN a\nRUN b", "RNU", "RUN <<EOF\n", "RUN a\n\0"]
    {
        let error = parse_trigger(wrong, (1, 1)).unwrap_err();
        assert_eq!(error.kind(), crate::error::Kind::Image, "{wrong:?}");
    }
}

#[test]
fn instructions_are_shown_in_one_line() {
    let file = file("FROM a\n\tRun echo a \\\n  # no\n  && b \nENV a=1");
    let all: Vec<_> = file.stages[0].instructions.iter().map(|i| (i.original.as_str(), i.at)).collect();
    assert_eq!(all, [("Run echo a   && b", (2, 4)), ("ENV a=1", (5, 5))]);
    assert_eq!(file.stages[0].instructions[0].keyword(), "Run");
}

#[test]
fn the_escape_character_is_chosen() {
    let file = file("# escape=`\nFROM a\nRUN dir c:\\ `\n  && x\nCOPY a c:\\\nENV a=x` y b=\\\n");
    let [run, copy, env] = &file.stages[0].instructions[..] else { panic!("{file:?}") };
    assert!(matches!(&run.does, Does::Run(run) if run.command == shell("dir c:\\   && x")));
    assert!(matches!(&copy.does, Does::Copy(copy) if copy.destination == word("c:\\")));
    assert_eq!(env.does, Does::Env(pairs(&[("a", "x` y"), ("b", "\\")])));
}
