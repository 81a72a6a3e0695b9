//! Programs for other machines: what the kernel executes itself, and what it has an emulator for.
//!
//! Theory of operation. binfmt_misc (Documentation/admin-guide/binfmt-misc.rst) has a file for each handler, which says
//! by magic and mask which files it takes. So it is asked what it would do with the first bytes of a program for the
//! platform, whatever the handlers are called. Containers do not have the emulator itself, so only those count that
//! the kernel has opened beforehand (flag F).

use crate::sys::read::text_of;
use std::fs;
use std::path::Path;

/// Where handlers are.
const HANDLERS: &str = "/proc/sys/fs/binfmt_misc";

/// Bytes of an ELF header up to the machine, inclusive.
const HEADER: usize = 20;

/// Whether programs for an operating system and an architecture, in Go's naming, can be executed here.
pub fn executes(os: &str, architecture: &str) -> bool {
    os == "linux" && (is_native(architecture) || has_handler(architecture, HANDLERS.as_ref()))
}

/// Whether the processor does it: also what is usual beside its own architecture.
fn is_native(architecture: &str) -> bool {
    match (std::env::consts::ARCH, architecture) {
        ("x86_64", "amd64" | "386") | ("aarch64", "arm64" | "arm") => true,
        ("x86", "386") | ("powerpc64", "ppc64le") => true,
        (own, other) => own == other,
    }
}

fn has_handler(architecture: &str, handlers: &Path) -> bool {
    let Some(header) = header(architecture) else { return false };
    let enabled = text_of(handlers.join("status")).is_ok_and(|text| text.trim() == "enabled");
    let Ok(entries) = fs::read_dir(handlers) else { return false };
    enabled && entries.flatten().any(|entry| text_of(entry.path()).is_ok_and(|text| takes(&text, &header)))
}

/// Whether a handler takes a file that begins so.
fn takes(handler: &str, header: &[u8; HEADER]) -> bool {
    let value = |key: &str| handler.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    let is_ready =
        handler.lines().next() == Some("enabled") && value("flags:").is_some_and(|f| f.contains('F'));
    let (Some(magic), Some(offset)) = (value("magic").and_then(bytes), value("offset")) else { return false };
    let mask = value("mask").and_then(bytes).unwrap_or_else(|| vec![0xff; magic.len()]);
    let shown = magic.iter().zip(&mask).zip(header).all(|((magic, mask), byte)| byte & mask == magic & mask);
    is_ready && offset == "0" && magic.len() <= HEADER && shown
}

/// Bytes in hexadecimal digits.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
    pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
}

/// How a program for an architecture begins (elf(5)).
fn header(architecture: &str) -> Option<[u8; HEADER]> {
    const LITTLE: u8 = 1;
    const BIG: u8 = 2;
    let (class, order, machine): (u8, u8, u16) = match architecture {
        "386" => (1, LITTLE, 3),
        "amd64" => (2, LITTLE, 62),
        "arm" => (1, LITTLE, 40),
        "arm64" => (2, LITTLE, 183),
        "loong64" => (2, LITTLE, 258),
        "mips64le" => (2, LITTLE, 8),
        "ppc64le" => (2, LITTLE, 21),
        "riscv64" => (2, LITTLE, 243),
        "s390x" => (2, BIG, 22),
        _ => return None,
    };
    let number = |value: u16| if order == LITTLE { value.to_le_bytes() } else { value.to_be_bytes() };
    let mut header = [0; HEADER];
    header[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, order, 1]);
    header[16..18].copy_from_slice(&number(2));
    header[18..].copy_from_slice(&number(machine));
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARM64: &str = "enabled\ninterpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P\nflags: POCF\noffset 0\n\
                         magic 7f454c460201010000000000000000000200b700\n\
                         mask ffffffffffffff00fffffffffffffffffeffffff\n";

    #[test]
    fn handlers_are_asked_by_what_they_take() {
        let arm64 = header("arm64").unwrap();
        assert!(takes(ARM64, &arm64));
        assert!(!takes(ARM64, &header("riscv64").unwrap()));
        assert!(!takes(&ARM64.replace("enabled", "disabled"), &arm64));
        assert!(!takes(&ARM64.replace("POCF", "POC"), &arm64), "containers do not have the interpreter");
        assert!(!takes("enabled\ninterpreter /usr/bin/x\nflags: F\nextension .x\n", &arm64));
        assert!(header("wasm").is_none());
    }

    #[test]
    fn handlers_are_found_where_binfmt_misc_is_enabled() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("qemu-aarch64"), ARM64).unwrap();
        assert!(!has_handler("arm64", dir.path()));
        fs::write(dir.path().join("status"), "enabled\n").unwrap();
        assert!(has_handler("arm64", dir.path()));
        assert!(!has_handler("s390x", dir.path()));
        assert!(!executes("windows", "amd64"));
    }
}
