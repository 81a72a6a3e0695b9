//! A newcomer's first project with docker: a web application in Python that counts its visitors in redis, as Compose's
//! "getting started" has it. The base images are made here, everything else is as a newcomer types it.

use super::super::context;
use super::{get, servers};
use crate::common::{Call, TestEnv, coracle_binary, free_port, skip};
use crate::programs::{command, kept};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

/// What the application wants, for Debian's Python.
const WHEELS: [&str; 3] = ["flask==3.0.3", "redis==5.0.8", "async-timeout==5.0.1"];

const APP: &str = "import redis\n\
    from flask import Flask\n\n\
    app = Flask(__name__)\n\
    cache = redis.Redis(host='redis', port=6379)\n\n\
    @app.route('/')\n\
    def hello():\n    \
        return f'Hello World! I have been seen {cache.incr(\"hits\")} times.\\n'\n";

const DOCKERFILE: &str = "# syntax=docker/dockerfile:1\n\
    FROM python:3.11-slim\n\
    WORKDIR /code\n\
    ENV FLASK_APP=app.py FLASK_RUN_HOST=0.0.0.0\n\
    COPY requirements.txt requirements.txt\n\
    RUN pip install -r requirements.txt\n\
    EXPOSE 5000\n\
    COPY . .\n\
    CMD [\"flask\", \"run\", \"--debug\"]\n";

fn wheels() -> Option<PathBuf> {
    kept("flask-1", |_| {
        let fetch = ["python3", "-m", "pip", "download", "-q", "-d", ".", "--only-binary=:all:"];
        let debian = ["--python-version=3.11", "--implementation=cp", "--platform=manylinux2014_x86_64"];
        vec![command(&[&fetch[..], &debian, &WHEELS].concat())]
    })
}

/// `docker`, which is a link to the program.
fn docker<const N: usize>(env: &TestEnv, args: [&str; N]) -> Call {
    let link = env.path().join("docker");
    if !link.exists() {
        symlink(coracle_binary(), &link).unwrap();
    }
    let mut call = env.program(link).arg("--root").arg(env.root()).arg("--runroot").arg(env.runroot());
    for store in env.stores() {
        call = call.args(["--storage-opt", &format!("additionalimagestore={store}")]);
    }
    call.args(args)
}

/// The base images, by the names that they have on Docker Hub. As they are local, they are `localhost/`'s.
fn bases(env: &TestEnv, wheels: PathBuf) {
    let python = "FROM localhost/servers\n\
        RUN python3 -m venv /usr/local/python\n\
        COPY . /wheels\n\
        ENV PATH=/usr/local/python/bin:$PATH PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels PIP_DISABLE_PIP_VERSION_CHECK=1\n";
    let redis = "FROM localhost/servers\nEXPOSE 6379\nCMD [\"redis-server\", \"--save\", \"\", \"--protected-mode\", \"no\"]\n";
    let python = env.file("python.Dockerfile", python);
    let build = docker(env, ["build", "-q", "-t", "python:3.11-slim", "-f"]);
    build.arg(python).arg(wheels).ok();
    docker(env, ["build", "-q", "-t", "redis:alpine", "-"]).stdin(redis).ok();
}

/// Lines of progress without times, sizes, digests and what pip says.
fn shape(log: &str) -> Vec<String> {
    let plain = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            // Output of a step.
            [_, time, ..] if time.parse::<f64>().is_ok() => None,
            [number, "DONE", _] => Some(format!("{number} DONE")),
            [number, "transferring", what, ..] => Some(format!("{number} transferring {what}")),
            [number, "writing", "image", ..] => Some(format!("{number} writing image")),
            [number, "exporting", "layers", ..] => Some(format!("{number} exporting layers")),
            _ => Some(line.to_owned()),
        }
    };
    let mut lines: Vec<String> = log.lines().filter_map(plain).filter(|line| !line.is_empty()).collect();
    lines.dedup();
    lines
}

#[test]
fn a_newcomers_project_works_as_with_docker() {
    let (Some(env), Some(wheels)) = (servers(), wheels()) else {
        return skip("no Debian tree with servers, or no wheels");
    };
    bases(&env, wheels);
    let files = [("Dockerfile", DOCKERFILE), ("app.py", APP), ("requirements.txt", "flask\nredis\n")];
    let dir = context(&env, "getting-started", &files);
    let build = || docker(&env, ["build", "-t", "web", "."]).cwd(&dir).ok();
    let first = build();
    assert_eq!(first.stdout, "");
    let wanted = "\
        #1 [internal] load build definition from Dockerfile\n\
        #1 transferring dockerfile:\n\
        #1 DONE\n\
        #2 [internal] load .dockerignore\n\
        #2 DONE\n\
        #3 [internal] load metadata for localhost/python:3.11-slim\n\
        #3 DONE\n\
        #4 [1/5] FROM localhost/python:3.11-slim\n\
        #4 DONE\n\
        #5 [2/5] WORKDIR /code\n\
        #5 DONE\n\
        #6 [3/5] COPY requirements.txt requirements.txt\n\
        #6 DONE\n\
        #7 [4/5] RUN pip install -r requirements.txt\n\
        #7 DONE\n\
        #8 [5/5] COPY . .\n\
        #8 DONE\n\
        #9 exporting to image\n\
        #9 exporting layers\n\
        #9 writing image\n\
        #9 naming to localhost/web:latest done\n\
        #9 DONE";
    assert_eq!(shape(&first.stderr).join("\n"), wanted);
    assert!(first.stderr.contains("Successfully installed "), "{}", first.stderr);
    let steps = ["[2/5] WORKDIR", "[3/5] COPY", "[4/5] RUN", "[5/5] COPY"];
    let cached = |log: &str| -> Vec<bool> {
        let is = |step: &&str| log.split(step).nth(1).unwrap().lines().nth(1).unwrap().ends_with("CACHED");
        steps.iter().map(is).collect()
    };
    assert_eq!(cached(&build().stderr), [true; 4]);

    // Both share a network, in which the one is found under the other's name.
    let port = free_port();
    let publish = format!("127.0.0.1:{port}:5000");
    docker(&env, ["run", "-d", "--name=redis", "--hostname=redis", "-p", &publish, "redis:alpine"]).ok();
    let run = ["run", "-d", "--name=web", "--network=container:redis", "web"];
    docker(&env, run).ok();
    for visits in 1..=2 {
        assert_eq!(get(&env, "web", port), format!("Hello World! I have been seen {visits} times.\n"));
    }
    docker(&env, ["rm", "-f", "web"]).ok();

    // A change of the program is seen at once: nothing is installed again.
    fs::write(dir.join("app.py"), APP.replace("World", "from Docker")).unwrap();
    assert_eq!(cached(&build().stderr), [true, true, true, false]);
    docker(&env, run).ok();
    assert_eq!(get(&env, "web", port), "Hello from Docker! I have been seen 3 times.\n");
    docker(&env, ["rm", "-f", "web", "redis"]).ok();
}
