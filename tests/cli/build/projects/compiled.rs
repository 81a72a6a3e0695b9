//! Programs that are compiled in one stage and alone in the last.

use super::super::context;
use super::compilers;
use crate::common::skip;
use std::fs;

/// C with a Makefile: compiled, stripped, and then nothing but the program.
#[test]
fn a_c_program_is_all_there_is_in_its_image() {
    let Some(env) = compilers() else { return skip("no Debian tree with compilers") };
    let file = "# syntax=docker/dockerfile:1\n\
        FROM localhost/compilers AS build\n\
        WORKDIR /src\n\
        COPY Makefile *.c *.h ./\n\
        ARG VERSION=dev\n\
        RUN make VERSION=\"$VERSION\"\n\
        FROM build AS stripped\n\
        RUN strip -o /hello hello && test \"$(stat -c %s /hello)\" -lt \"$(stat -c %s hello)\"\n\
        FROM scratch\n\
        LABEL org.opencontainers.image.title=hello\n\
        COPY --from=stripped --chmod=0755 /hello /hello\n\
        USER 1000:1000\n\
        ENTRYPOINT [\"/hello\"]\n\
        CMD [\"world\"]\n";
    let make = "CFLAGS = -O2 -Wall -Werror -DVERSION='\"$(VERSION)\"'\n\
        hello: main.o greet.o\n\tgcc -static -o $@ $^\n\
        %.o: %.c greet.h\n\tgcc $(CFLAGS) -c $<\n";
    let main = "#include \"greet.h\"\nint main(int n, char **words) { return greet(n > 1 ? words[1] : \"nobody\"); }\n";
    let greet = |word: &str| {
        format!(
            "#include <stdio.h>\n#include \"greet.h\"\nint greet(const char *whom) {{ return printf(\"{word} %s from \" VERSION \"\\n\", whom) < 0; }}\n"
        )
    };
    let dir = context(
        &env,
        "c",
        &[
            ("Dockerfile", file),
            ("Makefile", make),
            ("main.c", main),
            ("greet.c", &greet("hello")),
            ("greet.h", "int greet(const char *whom);\n"),
            (".dockerignore", "*.o\nhello\n"),
        ],
    );
    let build = || {
        let call = env.coracle(["build", "--network=none", "--build-arg=VERSION=1.2", "--progress=plain"]);
        call.args(["-t", "hello"]).arg(&dir).ok().stderr
    };
    build();
    let run = ["run", "--rm", "--network=none", "hello"];
    assert_eq!(env.coracle(run).ok().text(), "hello world from 1.2");
    assert_eq!(env.coracle(run).arg("you").ok().text(), "hello you from 1.2");
    let files = env.path().join("files");
    env.coracle(["build", "--network=none", "--build-arg=VERSION=1.2", "-o"]).arg(&files).arg(&dir).ok();
    let names: Vec<_> = fs::read_dir(files).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["hello"]);
    // What is not copied does not count, and what is changes only what it is in.
    fs::write(dir.join("main.o"), "left out").unwrap();
    assert_eq!(build().matches("CACHED").count(), 5);
    fs::write(dir.join("greet.c"), greet("bye")).unwrap();
    let log = build();
    assert!(log.contains("[build 2/4] WORKDIR /src\n#") && log.contains("RUN make"), "{log}");
    assert_eq!(env.coracle(run).ok().text(), "bye world from 1.2");
}

/// Rust with a vendored crate, whose build directory outlives the build in a cache mount.
#[test]
fn a_rust_program_is_built_from_vendored_crates() {
    let Some(env) = compilers() else { return skip("no Debian tree with compilers") };
    let file = "FROM localhost/compilers AS build\n\
        ENV CARGO_HOME=/cargo RUSTFLAGS='-C target-feature=+crt-static'\n\
        WORKDIR /src\n\
        COPY . .\n\
        RUN --mount=type=cache,target=/src/target \\\n    \
            cargo build --release --frozen && cp target/release/app /app\n\
        FROM scratch\n\
        COPY --link --from=build /app /app\n\
        ENTRYPOINT [\"/app\"]\n";
    let sum = "0".repeat(64);
    let lock = format!(
        "version = 3\n\n[[package]]\nname = \"app\"\nversion = \"0.1.0\"\ndependencies = [\"greeting\"]\n\n\
        [[package]]\nname = \"greeting\"\nversion = \"1.0.0\"\n\
        source = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"{sum}\"\n"
    );
    let vendored =
        "[source.crates-io]\nreplace-with = \"vendored\"\n[source.vendored]\ndirectory = \"vendor\"\n";
    let dir = context(
        &env,
        "rust",
        &[
            ("Containerfile", file),
            (
                "Cargo.toml",
                "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[dependencies]\ngreeting = \"1\"\n",
            ),
            ("Cargo.lock", &lock),
            ("src/main.rs", "fn main() { println!(\"{}\", greeting::of(\"rust\")) }\n"),
            (".cargo/config.toml", vendored),
            (
                "vendor/greeting/Cargo.toml",
                "[package]\nname = \"greeting\"\nversion = \"1.0.0\"\nedition = \"2021\"\n",
            ),
            ("vendor/greeting/src/lib.rs", "pub fn of(whom: &str) -> String { format!(\"hello {whom}\") }\n"),
            ("vendor/greeting/.cargo-checksum.json", &format!("{{\"files\":{{}},\"package\":\"{sum}\"}}")),
            ("target/debug/left-out", ""),
            (".containerignore", "target\n"),
        ],
    );
    let build =
        || env.coracle(["build", "--network=none", "--progress=plain", "-t", "app"]).arg(&dir).ok().stderr;
    let first = build();
    assert!(first.contains("Compiling greeting"), "{first}");
    assert_eq!(env.coracle(["run", "--rm", "--network=none", "app"]).ok().text(), "hello rust");
    fs::write(dir.join("src/main.rs"), "fn main() { println!(\"{}!\", greeting::of(\"rust\")) }\n").unwrap();
    let second = build();
    assert!(second.contains("Compiling app") && !second.contains("Compiling greeting"), "{second}");
    assert_eq!(env.coracle(["run", "--rm", "--network=none", "app"]).ok().text(), "hello rust!");
}
