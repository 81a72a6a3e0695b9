//! What holds of every question and answer, for property tests and fuzz targets (fuzz/).

use super::answer::{Outcome, Outside, Way, answer};
use super::asker::Asker;
use super::stream::first_message;
use super::upstream::Question;
use crate::netns::bridge::members::{Members, Wish};
use crate::spec::bridge::{Subnet, UserNetwork};

/// Two containers on a network with IPv4 and IPv6, with names or without.
pub(super) fn members(dns: bool) -> Option<Members> {
    let subnet = |subnet: &str, gateway: &str| {
        Some(Subnet { subnet: subnet.parse().ok()?, gateway: gateway.parse().ok()?, range: None })
    };
    let mut members = Members::new(UserNetwork {
        version: 1,
        name: "net".to_owned(),
        id: "1".repeat(64),
        created: chrono::DateTime::UNIX_EPOCH,
        subnets: vec![subnet("10.89.0.0/24", "10.89.0.1")?, subnet("fd01::/64", "fd01::1")?],
        ipv6: true,
        internal: false,
        dns,
        dns_servers: Vec::new(),
        interface: "br0".to_owned(),
        routes: Vec::new(),
        labels: Default::default(),
        options: Default::default(),
    });
    for (number, names) in [(1, ["web", "app"]), (2, ["db", "app"])] {
        let wish = Wish {
            container: format!("{number:064x}").parse().ok()?,
            names: names.map(str::to_owned).to_vec(),
            aliases: Vec::new(),
            ip: None,
            ip6: None,
            mac: None,
            interface: "eth0".to_owned(),
            servers: Vec::new(),
            others: Vec::new(),
        };
        members.join(number, &wish).ok()?;
    }
    Some(members)
}

/// Answers a question, and takes an upstream server's answer; `split` bytes of these are the question.
pub fn exchange(bytes: &[u8], split: usize) {
    let Some(members) = members(true) else { return };
    let (asked, told) = bytes.split_at(split.min(bytes.len()));
    for way in [Way::Udp, Way::Tcp] {
        for outside in [Outside::Asked, Outside::Refused, Outside::Unknown] {
            if let Outcome::Reply(reply) = answer(asked, way, &members, outside, split) {
                assert!(reply.len() <= usize::from(u16::MAX) && reply[..2] == asked[..2]);
                assert!(reply[2] & 0x80 != 0 && (way == Way::Tcp || reply.len() <= 4096));
            }
        }
        if answer(asked, way, &members, Outside::Asked, split) != Outcome::Forward {
            continue;
        }
        // Only what was read is passed on.
        if let Some(question) = Question::new(asked.to_vec(), Asker::Stream(1), way, Vec::new()) {
            let mut told = told.to_vec();
            if told.len() > 1 {
                told[..2].copy_from_slice(&question.bytes[..2]);
            }
            if question.is_answered_by(&told) {
                question.restore_number(&mut told);
                assert_eq!(told[..2], asked[..2]);
            }
        }
    }
    let mut come = bytes.to_vec();
    while first_message(&mut come).is_some() {}
}
