//! Names for containers that were given none.

use crate::container::Name;

const QUALITIES: [&str; 64] = [
    "able", "agile", "airy", "amber", "ample", "apt", "bold", "brave", "breezy", "bright", "brisk", "calm",
    "candid", "cheery", "clear", "clever", "cosy", "crisp", "daring", "deft", "eager", "early", "easy",
    "fair", "fleet", "fond", "fresh", "gentle", "glad", "golden", "grand", "hardy", "hasty", "honest",
    "humble", "jolly", "keen", "kind", "lively", "loyal", "lucid", "mellow", "merry", "mild", "neat",
    "nimble", "noble", "patient", "placid", "plucky", "proud", "quick", "quiet", "ready", "salty", "serene",
    "silver", "sleek", "spry", "steady", "sunny", "swift", "tidy", "witty",
];

const THINGS: [&str; 64] = [
    "anchor", "auk", "avocet", "barge", "bay", "beacon", "bittern", "breeze", "buoy", "canoe", "cape",
    "cove", "crab", "creek", "cutter", "delta", "dinghy", "dipper", "dolphin", "dory", "dunlin", "eddy",
    "eider", "estuary", "ferry", "fjord", "gannet", "gull", "harbour", "heron", "inlet", "island", "jetty",
    "kayak", "keel", "ketch", "lagoon", "limpet", "mussel", "narwhal", "oar", "otter", "oyster", "paddle",
    "pebble", "petrel", "pier", "plover", "porpoise", "puffin", "quay", "raft", "reef", "rudder", "sail",
    "seal", "shoal", "skiff", "sloop", "tern", "tide", "trawler", "whelk", "yawl",
];

/// A name such as `calm_heron`, chosen by these random bytes; `attempt` above 0 adds a number, for when
/// the plain name is taken.
pub fn generate(random: [u8; 2], attempt: u32) -> Option<Name> {
    let quality = QUALITIES[usize::from(random[0]) % QUALITIES.len()];
    let thing = THINGS[usize::from(random[1]) % THINGS.len()];
    match attempt {
        0 => format!("{quality}_{thing}").parse().ok(),
        n => format!("{quality}_{thing}{n}").parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_pair_is_a_name_and_none_is_twice() {
        let mut seen = BTreeSet::new();
        for a in 0..64 {
            for b in 0..64 {
                assert!(seen.insert(generate([a, b], 0).unwrap()));
            }
        }
        assert_eq!(generate([11, 29], 2).unwrap().as_str(), "calm_heron2");
    }
}
