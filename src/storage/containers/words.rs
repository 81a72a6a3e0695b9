//! Generated names for containers.

use crate::container::Name;
use crate::sys::random;

const QUALITIES: [&str; 64] = [
    "agile", "amber", "ample", "azure", "balmy", "basic", "blithe", "bold", "brave", "breezy", "bright",
    "brisk", "calm", "candid", "cheery", "civil", "clear", "clever", "cosy", "crisp", "deft", "eager",
    "earnest", "fair", "fleet", "fluent", "fond", "frank", "fresh", "gentle", "glad", "golden", "grand",
    "hardy", "hearty", "humble", "jolly", "keen", "kind", "level", "light", "lively", "loyal", "lucid",
    "mellow", "merry", "mild", "nimble", "noble", "patient", "placid", "plucky", "prompt", "quiet", "rapid",
    "robust", "serene", "steady", "sturdy", "sunny", "tidy", "warm", "witty", "zesty",
];

const THINGS: [&str; 64] = [
    "anchor", "barge", "beacon", "bosun", "breeze", "buoy", "cabin", "canoe", "capstan", "cargo", "clipper",
    "compass", "coral", "cove", "current", "cutter", "dinghy", "dolphin", "eddy", "estuary", "fender",
    "ferry", "fjord", "galley", "gannet", "gull", "harbour", "haven", "heron", "hull", "island", "jetty",
    "kayak", "keel", "kelp", "ketch", "lagoon", "lantern", "lugger", "mast", "mooring", "oar", "osprey",
    "otter", "paddle", "pebble", "pelican", "pilot", "puffin", "quay", "raft", "reef", "rigging", "rudder",
    "sail", "schooner", "seal", "shoal", "sloop", "tern", "tide", "tiller", "wharf", "willow",
];

/// A name such as `calm_otter`, with a number behind it from the fourth `attempt` on.
pub(super) fn random_name(attempt: u32) -> nix::Result<Option<Name>> {
    let mut dice = [0u8; 4];
    random::fill(&mut dice)?;
    let [first, second, a, b] = dice;
    let quality = QUALITIES[usize::from(first) % QUALITIES.len()];
    let thing = THINGS[usize::from(second) % THINGS.len()];
    let mut text = format!("{quality}_{thing}");
    if attempt >= 3 {
        text.push_str(&(u16::from_be_bytes([a, b])).to_string());
    }
    Ok(text.parse().ok())
}
