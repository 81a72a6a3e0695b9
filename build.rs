//! Compiles the default system call filter, so that a start does not have to.
//!
//! One program for each combination of the capabilities that both the profile mentions and a container
//! commonly has: only `CAP_SYS_CHROOT` of podman's default set, so there are two. Everything else is
//! compiled, and cached, at run time.

#[allow(dead_code, reason = "shared with the library, which uses all of it")]
#[path = "src/runtime/seccomp/compile.rs"]
mod compile;

use compile::{Profile, Target};
use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

const PROFILE: &str = "src/runtime/seccomp/default.json";

fn main() -> Result<(), Box<dyn Error>> {
    for path in ["build.rs", PROFILE, "src/runtime/seccomp/compile.rs"] {
        println!("cargo:rerun-if-changed={path}");
    }
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let machine = std::env::var("CARGO_CFG_TARGET_ARCH")?;
    let profile = Profile::parse(&fs::read_to_string(PROFILE)?)?;
    if profile.mentions_kernel() {
        return Err("the default profile must not depend on the kernel's release".into());
    }
    let mentioned = profile.mentioned_capabilities();
    let mut code = format!("pub(super) const MENTIONED: &[&str] = &{:?};\n", Vec::from_iter(&mentioned));
    code.push_str("pub(super) const EMBEDDED: &[(&[&str], &[u8])] = &[\n");
    for capabilities in [&[][..], &["CAP_SYS_CHROOT"]] {
        // Beside this code, so that a target directory may be moved.
        let name = compile_for(&profile, &machine, capabilities, &out)?;
        writeln!(code, "    (&{capabilities:?}, include_bytes!({name:?})),")?;
    }
    code.push_str("];\n");
    fs::write(out.join("seccomp.rs"), code)?;
    Ok(())
}

fn compile_for(
    profile: &Profile,
    machine: &str,
    capabilities: &[&str],
    out: &Path,
) -> Result<String, Box<dyn Error>> {
    let set: BTreeSet<String> = capabilities.iter().map(|c| (*c).to_owned()).collect();
    let name = format!("seccomp-{}.bpf", set.len());
    let file = File::create(out.join(&name))?;
    profile.compile(&Target { machine, capabilities: &set, kernel: None }, &file)?;
    Ok(name)
}
