//! Selects what fits this machine or a requested platform from what is offered for several.

use super::Platform;

/// What something is offered for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer<'a> {
    /// Operating system.
    pub os: &'a str,
    /// Architecture.
    pub architecture: &'a str,
    /// Architecture variant; an empty one counts as none.
    pub variant: Option<&'a str>,
}

/// The variants that run where `platform` runs, best first; `None` is an entry without a variant.
///
/// The order is that of containers/image: a 64-bit arm runs v8 only, a 32-bit arm its own version and
/// the older ones, an amd64 its own micro-architecture level and the lower ones.
fn variants(platform: &Platform) -> Vec<Option<String>> {
    let numbered = |prefix: &str, from: u8, to: u8| -> Vec<Option<String>> {
        (to..=from).rev().map(|n| Some(format!("{prefix}{n}"))).collect()
    };
    let level =
        platform.variant.as_deref().and_then(|v| v.strip_prefix('v')).and_then(|n| n.parse::<u8>().ok());
    let mut all = match (platform.architecture.as_str(), level) {
        ("arm", Some(n @ 5..=8)) => numbered("v", n, 5),
        ("arm", None) => numbered("v", 7, 5),
        ("arm64", None) => numbered("v", 8, 8),
        ("amd64", Some(n @ 1..=4)) => numbered("v", n, 1),
        _ => platform.variant.iter().cloned().map(Some).collect(),
    };
    // An entry without a variant is the architecture's baseline; for amd64 that is v1.
    if platform.architecture == "amd64" && all.is_empty() {
        return vec![None, Some("v1".into())];
    }
    all.push(None);
    all
}

/// This machine's platform with its micro-architecture level, for images built in several.
pub fn refined(platform: &Platform) -> Platform {
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

/// The position of the best offer for a platform. One of an attestation, which is for `unknown`, fits nothing.
pub fn choose(offers: &[Option<Offer<'_>>], wanted: &Platform) -> Option<usize> {
    let fits = |offer: &Option<Offer<'_>>, variant: &Option<String>| {
        offer.is_some_and(|offer| {
            offer.os == wanted.os
                && offer.architecture == wanted.architecture
                && offer.variant.filter(|v| !v.is_empty()) == variant.as_deref()
        })
    };
    let best =
        variants(wanted).iter().find_map(|variant| offers.iter().position(|offer| fits(offer, variant)));
    // One that says nothing of its platform comes last: its configuration is checked later.
    best.or_else(|| matches!(offers, [None]).then_some(0))
}

/// What is offered, in words, each once; attestations are not platforms.
pub fn offered<'a>(offers: impl Iterator<Item = Offer<'a>>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for offer in offers {
        let mut name = format!("{}/{}", offer.os, offer.architecture);
        if let Some(variant) = offer.variant.filter(|v| !v.is_empty()) {
            name.push('/');
            name.push_str(variant);
        }
        if name != "unknown/unknown" && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(text: &str) -> Offer<'_> {
        let parts: Vec<&str> = text.split('/').collect();
        Offer { os: parts[0], architecture: parts[1], variant: parts.get(2).copied() }
    }

    fn chosen(offers: &[&str], wanted: &str) -> Option<usize> {
        let all: Vec<Option<Offer<'_>>> = offers.iter().map(|text| Some(offer(text))).collect();
        choose(&all, &wanted.parse().unwrap())
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
    fn the_only_entry_may_say_nothing_of_its_platform() {
        let wanted: Platform = "linux/amd64".parse().unwrap();
        assert_eq!(choose(&[None], &wanted), Some(0));
        assert_eq!(choose(&[None, None], &wanted), None);
        assert_eq!(choose(&[None, Some(offer("linux/amd64"))], &wanted), Some(1));
    }

    #[test]
    fn attestations_are_not_offered() {
        let all = ["linux/arm/v7", "unknown/unknown", "linux/arm/v7"];
        assert_eq!(offered(all.iter().map(|text| offer(text))), ["linux/arm/v7"]);
    }
}
