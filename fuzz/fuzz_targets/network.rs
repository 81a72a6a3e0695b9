//! Options of networks, ports and names: --network, --publish, --expose, --add-host, --dns.
#![no_main]

use coracle::netns::{
    AddressOptions, dns_plan, merge_networks, parse_add_host, parse_expose, parse_network, parse_publish,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let modes = text.lines().filter_map(|line| parse_network(line).ok()).collect();
    let _ = merge_networks(modes, AddressOptions::default());
    let _ = parse_publish(text);
    let _ = parse_expose(text);
    let _ = parse_add_host(text);
    let words: Vec<&str> = text.lines().collect();
    let _ = dns_plan(&words, &words, &words);
});
