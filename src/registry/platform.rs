//! Selects the entry of an index for this machine or the requested platform.

use super::shown::shown;
use crate::image::{Digest, Platform};
use oci_client::manifest::ImageIndexEntry;

/// This machine's platform with its micro-architecture level, for images built in several.
pub(super) fn refined(platform: &Platform) -> Platform {
    let mut refined = platform.clone();
    if *platform == Platform::host() && refined.variant.is_none() {
        refined.variant = host_level();
    }
    refined
}

#[cfg(target_arch = "x86_64")]
fn host_level() -> Option<String> {
    use std::arch::is_x86_feature_detected as has;
    let v2 = has!("sse4.2") && has!("ssse3") && has!("popcnt") && has!("cmpxchg16b");
    let v3 =
        v2 && has!("avx2") && has!("bmi1") && has!("bmi2") && has!("fma") && has!("movbe") && has!("lzcnt");
    let v4 =
        v3 && has!("avx512f") && has!("avx512bw") && has!("avx512cd") && has!("avx512dq") && has!("avx512vl");
    let level = [v2, v3, v4].into_iter().filter(|has| *has).count() + 1;
    Some(format!("v{level}"))
}

#[cfg(not(target_arch = "x86_64"))]
fn host_level() -> Option<String> {
    None
}

/// The best entry for a platform: its digest as written.
pub(super) fn choose<'a>(entries: &'a [ImageIndexEntry], wanted: &Platform) -> Option<&'a ImageIndexEntry> {
    let fits = |entry: &ImageIndexEntry, variant: &Option<String>| {
        entry.platform.as_ref().is_some_and(|p| {
            p.os.to_string() == wanted.os
                && p.architecture.to_string() == wanted.architecture
                && p.variant.as_deref().filter(|v| !v.is_empty()) == variant.as_deref()
        })
    };
    let best = wanted.variants().iter().find_map(|variant| entries.iter().find(|e| fits(e, variant)));
    // Entries that say nothing of their platform come last: the configuration is checked later.
    best.or_else(|| match entries {
        [only] if only.platform.is_none() => Some(only),
        _ => None,
    })
}

/// What an index offers, for the message that nothing fits; attestations are not platforms.
pub(super) fn offered(entries: &[ImageIndexEntry]) -> String {
    let mut names: Vec<String> = Vec::new();
    for platform in entries.iter().filter_map(|e| e.platform.as_ref()) {
        let mut name = format!("{}/{}", platform.os, platform.architecture);
        if let Some(variant) = platform.variant.as_deref().filter(|v| !v.is_empty()) {
            name.push('/');
            name.push_str(variant);
        }
        let name = shown(&name);
        if name != "unknown/unknown" && !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}

/// Whether an image that says it is for `os/architecture` is for the wanted platform.
pub(super) fn agrees(os: &str, architecture: &str, wanted: &Platform) -> bool {
    let same = |says: &str, wants: &str| says.is_empty() || says == wants;
    same(os, &wanted.os) && same(architecture, &wanted.architecture)
}

/// The digest of an entry, checked.
///
/// # Errors
/// When it is not a digest.
pub(super) fn digest_of(entry: &ImageIndexEntry) -> crate::error::Result<Digest> {
    entry.digest.parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(platforms: &[&str]) -> Vec<ImageIndexEntry> {
        let one = |(at, text): (usize, &&str)| {
            let parts: Vec<&str> = text.split('/').collect();
            let mut platform = serde_json::json!({"os": parts[0], "architecture": parts[1]});
            if let Some(variant) = parts.get(2) {
                platform["variant"] = (*variant).into();
            }
            serde_json::from_value(serde_json::json!({
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": format!("sha256:{at:064}"), "size": 1, "platform": platform,
            }))
            .unwrap()
        };
        platforms.iter().enumerate().map(one).collect()
    }

    fn chosen(offer: &[&str], wanted: &str) -> Option<usize> {
        let all = entries(offer);
        let found = choose(&all, &wanted.parse().unwrap())?;
        Some(found.digest.trim_start_matches("sha256:").parse().unwrap())
    }

    #[test]
    fn variants_fall_back_to_older_ones() {
        let arms = ["linux/amd64", "linux/arm/v5", "linux/arm/v6", "linux/arm/v7", "linux/arm64/v8"];
        assert_eq!(chosen(&arms, "linux/arm/v8"), Some(3));
        assert_eq!(chosen(&arms, "linux/arm/v6"), Some(2));
        assert_eq!(chosen(&arms, "linux/arm"), Some(3));
        assert_eq!(chosen(&arms, "linux/arm64"), Some(4));
        assert_eq!(chosen(&arms, "linux/arm64/v8"), Some(4));
        assert_eq!(chosen(&["linux/arm64"], "linux/arm64/v8"), Some(0));
        assert_eq!(chosen(&["linux/arm/v7"], "linux/arm/v6"), None);
        assert_eq!(chosen(&["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"], "linux/amd64/v3"), Some(1));
        assert_eq!(chosen(&["linux/amd64/v3"], "linux/amd64"), None);
        assert_eq!(chosen(&["linux/amd64/v1"], "linux/amd64"), Some(0));
        assert_eq!(chosen(&["unknown/unknown", "linux/s390x"], "linux/s390x"), Some(1));
        assert_eq!(chosen(&["windows/amd64"], "linux/amd64"), None);
    }

    #[test]
    fn attestations_are_not_offered() {
        assert_eq!(offered(&entries(&["linux/arm/v7", "unknown/unknown", "linux/arm/v7"])), "linux/arm/v7");
    }
}
