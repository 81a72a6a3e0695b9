//! Questions and answers, honest and hostile.

use super::answer::{Outcome, Outside, Way, answer};
use super::asker::Asker;
use super::upstream::Question;
use super::{DOMAIN, Door, Resolver, fuzzing};
use crate::netns::bridge::members::{Members, Wish};
use nix::sys::epoll::{Epoll, EpollCreateFlags};
use proptest::prelude::*;
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, QCLASS, QTYPE, RCODE, TYPE};
use std::net::UdpSocket;

fn members(dns: bool) -> Members {
    fuzzing::members(dns).unwrap()
}

fn query(name: &str, kind: QTYPE) -> Vec<u8> {
    let mut packet = Packet::new_query(7);
    let name = Name::new(name).unwrap();
    packet.questions.push(simple_dns::Question::new(name, kind, QCLASS::CLASS(CLASS::IN), false));
    packet.build_bytes_vec().unwrap()
}

/// The code and the addresses or names of an answer; `None` when others are asked.
fn said(name: &str, kind: TYPE, turn: usize) -> Option<(RCODE, Vec<String>)> {
    let outcome = answer(&query(name, QTYPE::TYPE(kind)), Way::Udp, &members(true), Outside::Asked, turn);
    let (Outcome::Reply(bytes) | Outcome::Nobodys(bytes)) = outcome else { return None };
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!(packet.id(), 7);
    let shown = packet.answers.iter().map(|record| {
        assert_eq!(record.ttl, 0);
        match &record.rdata {
            RData::A(a) => std::net::Ipv4Addr::from(a.address).to_string(),
            RData::AAAA(a) => std::net::Ipv6Addr::from(a.address).to_string(),
            RData::PTR(name) => name.0.to_string(),
            other => panic!("{other:?}"),
        }
    });
    Some((packet.rcode(), shown.collect()))
}

#[test]
fn names_of_containers_are_answered_with_and_without_the_domain() {
    let found =
        |all: &[&str]| Some((RCODE::NoError, all.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()));
    assert_eq!(said("web", TYPE::A, 0), found(&["10.89.0.2"]));
    assert_eq!(said("WEB", TYPE::AAAA, 0), found(&["fd01::2"]));
    assert_eq!(said(&format!("db.{DOMAIN}"), TYPE::A, 0), found(&["10.89.0.3"]));
    assert_eq!(said("app", TYPE::A, 0), found(&["10.89.0.2", "10.89.0.3"]));
    assert_eq!(said("app", TYPE::A, 1), found(&["10.89.0.3", "10.89.0.2"]));
    // It is there, and has none of these.
    assert_eq!(said("web", TYPE::MX, 0), found(&[]));
    assert_eq!(said("3.0.89.10.in-addr.arpa", TYPE::PTR, 0), found(&[&format!("db.{DOMAIN}")]));
    let six = "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.d.f.ip6.arpa";
    assert_eq!(said(six, TYPE::PTR, 0), found(&[&format!("web.{DOMAIN}")]));
}

#[test]
fn what_is_nobodys_is_not_asked_outside_and_the_rest_is() {
    let missing = Some((RCODE::NameError, Vec::new()));
    for name in ["nobody", &format!("nobody.{DOMAIN}"), DOMAIN, "99.0.89.10.in-addr.arpa"] {
        assert_eq!(said(name, TYPE::A, 0), missing, "{name}");
    }
    for name in ["example.org", "web.example.org", "1.2.3.4.in-addr.arpa", "nodns.podman"] {
        assert_eq!(said(name, TYPE::A, 0), None, "{name}");
    }
    let bytes = query("web", QTYPE::TYPE(TYPE::A));
    assert_eq!(answer(&bytes, Way::Udp, &members(false), Outside::Asked, 0), Outcome::Forward);
    let outside = query("example.org", QTYPE::TYPE(TYPE::A));
    for (how, code) in [(Outside::Unknown, RCODE::NameError), (Outside::Refused, RCODE::Refused)] {
        let Outcome::Nobodys(reply) = answer(&outside, Way::Udp, &members(true), how, 0) else { panic!() };
        assert_eq!(Packet::parse(&reply).unwrap().rcode(), code);
    }
}

#[test]
fn an_answer_is_one_to_the_question_that_was_asked() {
    let bytes = query("example.org", QTYPE::TYPE(TYPE::A));
    let asker = Asker::Stream(1);
    let question = Question::new(bytes.clone(), asker, Way::Udp, Vec::new()).unwrap();
    let mut reply = question.bytes.clone();
    assert!(!question.is_answered_by(&reply), "a question is no answer");
    reply[2] |= 0x80;
    assert!(question.is_answered_by(&reply));
    let mut restored = reply.clone();
    question.restore_number(&mut restored);
    assert_eq!(restored[..2], bytes[..2]);
    let mut other = reply.clone();
    other[13] = b'x';
    assert!(!question.is_answered_by(&other), "of another name");
    reply[0] ^= 1;
    assert!(!question.is_answered_by(&reply), "with another number");
}

proptest! {
    /// Whatever comes: nothing panics, and an answer is short enough for the way it takes.
    #[test]
    fn hostile_questions_are_answered_or_ignored(bytes in proptest::collection::vec(any::<u8>(), 0..600), turn: usize) {
        fuzzing::exchange(&bytes, turn);
        let members = members(true);
        if let Outcome::Reply(reply) = answer(&bytes, Way::Udp, &members, Outside::Asked, turn) {
            prop_assert!(reply.len() <= 4096 && reply[..2] == bytes[..2] && reply[2] & 0x80 != 0);
        }
    }

    /// Honest questions with a few bytes changed.
    #[test]
    fn broken_questions_are_answered_or_ignored(
        changes in proptest::collection::vec((0usize..40, any::<u8>()), 1..6), cut in 0usize..40,
    ) {
        let mut bytes = query("app", QTYPE::TYPE(TYPE::A));
        for (at, value) in changes {
            let length = bytes.len();
            bytes[at % length] = value;
        }
        bytes.truncate(bytes.len() - cut % bytes.len());
        fuzzing::exchange(&bytes, bytes.len());
        let _ = answer(&bytes, Way::Tcp, &members(true), Outside::Asked, 3);
        if let Some(question) = Question::new(bytes.clone(), Asker::Stream(1), Way::Udp, Vec::new()) {
            let _ = question.is_answered_by(&bytes);
        }
    }
}

#[test]
fn many_addresses_are_cut_for_a_datagram() {
    let mut members = members(true);
    for number in 10..110u64 {
        let wish = Wish {
            container: format!("{number:064x}").parse().unwrap(),
            names: vec!["many".to_owned()],
            ip: None,
            ip6: None,
            mac: None,
            interface: "eth0".to_owned(),
            servers: Vec::new(),
            others: Vec::new(),
            aliases: Vec::new(),
        };
        members.join(number, &wish).unwrap();
    }
    let bytes = query("many", QTYPE::TYPE(TYPE::A));
    let Outcome::Reply(short) = answer(&bytes, Way::Udp, &members, Outside::Asked, 0) else { panic!() };
    let short = Packet::parse(&short).unwrap();
    assert!(short.has_flags(simple_dns::PacketFlag::TRUNCATION) && !short.answers.is_empty());
    let Outcome::Reply(whole) = answer(&bytes, Way::Tcp, &members, Outside::Asked, 0) else { panic!() };
    assert_eq!(Packet::parse(&whole).unwrap().answers.len(), 100);
}

#[test]
fn a_client_that_asks_without_end_does_not_keep_others_from_it() {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let dir = std::fs::File::open("/").unwrap().into();
    // Nobody is asked there, as no event is handled.
    let servers = vec!["127.9.9.9".parse().unwrap()];
    let mut resolver = Resolver::new(&epoll, vec![Door::Udp(socket)], true, servers, dir).unwrap();
    let members = members(true);
    let mut ask = |from: &str, count: usize| {
        for _ in 0..count {
            let asker = Asker::Datagram(0, from.parse().unwrap());
            let query = query("silent.example.org", QTYPE::TYPE(TYPE::A));
            resolver.question(&epoll, &members, query, Way::Udp, asker);
        }
        let of = |ip: &str| {
            let askers = resolver.questions.values().map(|question| question.asker);
            askers.filter(|a| matches!(a, Asker::Datagram(_, at) if at.ip().to_string() == ip)).count()
        };
        (of("127.0.0.1"), of("127.0.0.2"))
    };
    let (all, _) = ask("127.0.0.1:9", 2000);
    assert!(all > 8);
    assert_eq!(ask("127.0.0.2:9", 3), (all - 3, 3));
    assert_eq!(ask("127.0.0.1:9", 50), (all - 3, 3));
    assert_eq!(ask("127.0.0.2:9", all), (all / 2, all - all / 2), "each has its half");
}
