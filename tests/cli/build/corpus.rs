//! The Containerfiles of `tests/corpus`: each directory is a context. What is in it besides:
//!
//! - `options`: options of `build`, one in a line
//! - `check`: a script that is run in the image and has to end with 0
//! - `error`: words that the failure has, where there is to be one
//! - `config`: lines of a template and what it gives: `{{.Config.User}} = 7`

use crate::common::TestEnv;
use std::fs;
use std::path::{Path, PathBuf};

fn cases() -> Vec<PathBuf> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut cases: Vec<PathBuf> = fs::read_dir(all).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.is_dir());
    cases.sort();
    cases
}

fn text(case: &Path, name: &str) -> Option<String> {
    fs::read_to_string(case.join(name)).ok()
}

/// What is wrong with a case, if anything is.
fn failure(env: &TestEnv, case: &Path) -> Option<String> {
    let name = case.file_name().unwrap().to_string_lossy().into_owned();
    let image = format!("corpus-{}", name.to_lowercase());
    let options = text(case, "options").unwrap_or_default();
    let options = options.lines().filter(|line| !line.is_empty());
    let call = env.coracle(["build", "--network=none", "-t", &image]).args(options).arg(case);
    let built = call.cwd(case).run();
    if let Some(words) = text(case, "error") {
        let said = words.lines().all(|line| built.stderr.contains(line));
        return (built.code == 0 || !said)
            .then(|| format!("{name}: ended with {}: {}", built.code, built.stderr));
    }
    if built.code != 0 {
        return Some(format!("{name}: {}", built.stderr));
    }
    for line in text(case, "config").unwrap_or_default().lines().filter(|line| !line.is_empty()) {
        let (template, wanted) = line.split_once(" = ").unwrap_or((line, ""));
        let found = env.coracle(["image", "inspect", "-f", template, &image]).run();
        if found.stdout.trim_end() != wanted {
            return Some(format!("{name}: {template} is {:?}: {}", found.stdout, found.stderr));
        }
    }
    let script = text(case, "check")?;
    let checked = env
        .coracle([
            "run",
            "--rm",
            "--network=none",
            "--user=0",
            "--workdir=/",
            "--entrypoint=",
            &image,
            "sh",
            "-ec",
        ])
        .arg(script)
        .run();
    (checked.code != 0).then(|| format!("{name}: check: {}{}", checked.stdout, checked.stderr))
}

#[test]
fn every_file_builds_as_it_should() {
    let env = TestEnv::with_images();
    let cases = cases();
    assert!(cases.len() >= 10);
    let failures: Vec<String> = cases.iter().filter_map(|case| failure(&env, case)).collect();
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), cases.len(), failures.join("\n"));
}
