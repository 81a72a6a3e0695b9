//! What is said to a question (RFC 1035). Pure.
//!
//! Names of containers are ours: with the network's domain behind them, and, being a single word, without. They are answered with no
//! time to live, as the next container of the name may have another address. A single word that is nobody's is not
//! asked outside: it would tell strangers how our containers are called. So it is with addresses of the network.

use crate::netns::bridge::members::Members;
use simple_dns::rdata::RData;
use simple_dns::{
    CLASS, Name, OPCODE, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, ResourceRecord, TYPE,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The domain of containers' names, as podman has it.
pub const DOMAIN: &str = "dns.podman";
/// Bytes of a message's header.
const HEADER: usize = 12;
/// Bytes of an answer by UDP, if the question allows no more (RFC 1035 section 2.3.4); and the most that is sent.
const UDP_MIN: usize = 512;
const UDP_MAX: usize = 4096;
/// Records besides the question that an honest question has: that of EDNS, a signature, a cookie's.
const ADDITIONAL_MAX: u16 = 4;

/// What becomes of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// This is the answer.
    Reply(Vec<u8>),
    /// Nobody here has this name. This is the answer if nobody elsewhere has it either.
    Nobodys(Vec<u8>),
    /// Others know.
    Forward,
    /// It is none: nothing is said.
    Ignore,
}

/// What is said to questions for names of the outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outside {
    /// Others are asked.
    Asked,
    /// Nothing: another name server of who asks knows. A C library goes on to that one, as it would not after being told
    /// that there is no such name.
    Refused,
    /// There are none.
    Unknown,
}

/// How a question came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// In a datagram.
    Udp,
    /// In a stream.
    Tcp,
}

/// Answers a question, or says who does. `turn` is another number each time: who has several addresses gets them in
/// another order.
pub(super) fn answer(bytes: &[u8], way: Way, members: &Members, outside: Outside, turn: usize) -> Outcome {
    let Some(header) = bytes.first_chunk::<HEADER>() else { return Outcome::Ignore };
    let count = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    // Answers are not questions: two servers would go on for ever.
    if header[2] & 0x80 != 0 {
        return Outcome::Ignore;
    }
    // Counts are believed by who reads on.
    if count(4) != 1 || count(6) != 0 || count(8) != 0 || count(10) > ADDITIONAL_MAX {
        return Outcome::Reply(short(header, RCODE::FormatError));
    }
    let Ok(packet) = Packet::parse(bytes) else { return Outcome::Reply(short(header, RCODE::FormatError)) };
    let [question] = packet.questions.as_slice() else {
        return Outcome::Reply(short(header, RCODE::FormatError));
    };
    if packet.opcode() != OPCODE::StandardQuery {
        return Outcome::Reply(short(header, RCODE::NotImplemented));
    }
    let (code, found) = match members.have_names().then(|| ours(question, members)).flatten() {
        Some(found) => found,
        None => match outside {
            Outside::Asked => return Outcome::Forward,
            Outside::Refused => (RCODE::Refused, Vec::new()),
            Outside::Unknown => (RCODE::NameError, Vec::new()),
        },
    };
    let is_known = code == RCODE::NoError;
    let room = match way {
        Way::Udp => {
            packet.opt().map_or(UDP_MIN, |opt| usize::from(opt.udp_packet_size).clamp(UDP_MIN, UDP_MAX))
        }
        Way::Tcp => usize::from(u16::MAX),
    };
    match reply(&packet, question, code, found, room, turn) {
        Some(bytes) if is_known => Outcome::Reply(bytes),
        Some(bytes) => Outcome::Nobodys(bytes),
        None => Outcome::Reply(short(header, RCODE::ServerFailure)),
    }
}

/// An answer without records, when a server has failed.
pub(super) fn failure(query: &[u8]) -> Option<Vec<u8>> {
    query.first_chunk::<HEADER>().map(|header| short(header, RCODE::ServerFailure))
}

/// The header alone, as an answer.
fn short(header: &[u8; HEADER], code: RCODE) -> Vec<u8> {
    let mut reply = vec![0; HEADER];
    reply[..2].copy_from_slice(&header[..2]);
    // The kind of question and the wish for recursion are repeated.
    reply[2] = 0x80 | header[2] & 0x79;
    reply[3] = 0x80 | (code as u8 & 0x0f);
    reply
}

/// The code and the records for what is ours; `None` when others have to say it.
fn ours<'a>(question: &Question<'a>, members: &Members) -> Option<(RCODE, Vec<RData<'a>>)> {
    let name = question.qname.to_string().to_ascii_lowercase();
    if let Some(address) = reversed(&name) {
        let known = members.name_of(address).map(|name| format!("{name}.{DOMAIN}"));
        return match known {
            Some(name) => Some((RCODE::NoError, pointers(question, name))),
            None if members.covers(address) => Some((RCODE::NameError, Vec::new())),
            None => None,
        };
    }
    let within = name.strip_suffix(DOMAIN).and_then(|rest| rest.strip_suffix('.'));
    let short = within.unwrap_or(&name);
    let Some(addresses) = members.addresses_of(short) else {
        let nobodys = within.is_some() || name == DOMAIN || !name.contains('.') && !name.is_empty();
        return nobodys.then(|| (RCODE::NameError, Vec::new()));
    };
    let of_family = addresses.into_iter().filter_map(|address| match (address, question.qtype) {
        (IpAddr::V4(ip), QTYPE::TYPE(TYPE::A) | QTYPE::ANY) => Some(RData::A(ip.into())),
        (IpAddr::V6(ip), QTYPE::TYPE(TYPE::AAAA) | QTYPE::ANY) => Some(RData::AAAA(ip.into())),
        _ => None,
    });
    let internet = matches!(question.qclass, QCLASS::CLASS(CLASS::IN) | QCLASS::ANY);
    Some((RCODE::NoError, if internet { of_family.collect() } else { Vec::new() }))
}

fn pointers<'a>(question: &Question<'_>, name: String) -> Vec<RData<'a>> {
    let asked = matches!(question.qtype, QTYPE::TYPE(TYPE::PTR) | QTYPE::ANY);
    let name = Name::new(&name).ok().map(Name::into_owned);
    name.filter(|_| asked).map(|name| RData::PTR(name.into())).into_iter().collect()
}

fn reply(
    packet: &Packet<'_>,
    question: &Question<'_>,
    code: RCODE,
    mut found: Vec<RData<'_>>,
    room: usize,
    turn: usize,
) -> Option<Vec<u8>> {
    if !found.is_empty() {
        let first = turn % found.len();
        found.rotate_left(first);
    }
    let mut reply = Packet::new_reply(packet.id());
    reply.set_flags(PacketFlag::AUTHORITATIVE_ANSWER | PacketFlag::RECURSION_AVAILABLE);
    if packet.has_flags(PacketFlag::RECURSION_DESIRED) {
        reply.set_flags(PacketFlag::RECURSION_DESIRED);
    }
    *reply.rcode_mut() = code;
    reply.questions.push(question.clone());
    let record = |data| ResourceRecord::new(question.qname.clone(), CLASS::IN, 0, data);
    reply.answers = found.into_iter().map(record).collect();
    let bytes = reply.build_bytes_vec_compressed().ok()?;
    if bytes.len() <= room {
        return Some(bytes);
    }
    // Who wants all of them asks again in a stream.
    reply.set_flags(PacketFlag::TRUNCATION);
    while reply.answers.pop().is_some() {
        let bytes = reply.build_bytes_vec_compressed().ok()?;
        if bytes.len() <= room {
            return Some(bytes);
        }
    }
    None
}

/// The address that a question for a name asks about (RFC 1035 section 3.5, RFC 3596 section 2.5).
fn reversed(name: &str) -> Option<IpAddr> {
    if let Some(rest) = name.strip_suffix(".in-addr.arpa") {
        let mut octets = [0u8; 4];
        let mut parts = rest.split('.');
        for octet in octets.iter_mut().rev() {
            *octet = parts.next()?.parse().ok()?;
        }
        return parts.next().is_none().then(|| Ipv4Addr::from(octets).into());
    }
    let rest = name.strip_suffix(".ip6.arpa")?;
    let mut bits = 0u128;
    let mut count = 0;
    for nibble in rest.split('.') {
        let value = (nibble.len() == 1).then(|| u128::from_str_radix(nibble, 16).ok()).flatten()?;
        bits |= value.checked_shl(4 * count)?;
        count += 1;
    }
    (count == 32).then(|| Ipv6Addr::from_bits(bits).into())
}
