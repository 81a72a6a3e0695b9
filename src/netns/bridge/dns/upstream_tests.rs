//! Servers outside that lie, stop in the middle or never answer.

use super::answer::Way;
use super::asker::Asker;
use super::fuzzing;
use super::upstream::{PATIENCE, Question};
use super::{Door, Resolver};
use crate::netns::bridge::token::Token;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollTimeout};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// A question for the address of `a.example`, and where it ends in an answer.
const QUESTION: &[u8] = b"\x07\x07\x01\0\0\x01\0\0\0\0\0\0\x01a\x07example\0\0\x01\0\x01";
/// The same for the neighbour `web`.
const NEIGHBOUR: &[u8] = b"\x08\x08\x01\0\0\x01\0\0\0\0\0\0\x03web\0\0\x01\0\x01";

/// A name server with a client, and no servers but those that a test names.
struct Place {
    epoll: Epoll,
    resolver: Resolver,
    client: UdpSocket,
}

impl Place {
    fn new() -> Place {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
        let door = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(door.local_addr().unwrap()).unwrap();
        client.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let dir = std::fs::File::open("/").unwrap().into();
        let resolver = Resolver::new(&epoll, vec![Door::Udp(door)], true, Vec::new(), dir).unwrap();
        Place { epoll, resolver, client }
    }

    fn asker(&self) -> Asker {
        Asker::Datagram(0, self.client.local_addr().unwrap())
    }

    /// Asks these servers, one after the other.
    fn ask(&mut self, way: Way, servers: Vec<SocketAddr>) {
        let question = Question::new(QUESTION.to_vec(), self.asker(), way, servers).unwrap();
        let number = self.resolver.number();
        self.resolver.questions.insert(number, question);
        self.resolver.try_next(&self.epoll, number);
    }

    /// Does what there is to do, at this time; gives what the client has been told since.
    fn turn(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let mut events = [EpollEvent::empty(); 8];
        while let Ok(count @ 1..) = self.epoll.wait(&mut events, EpollTimeout::from(20u8)) {
            for event in &events[..count] {
                if let Token::Question(number) = Token::from(event.data()) {
                    self.resolver.at_question(&self.epoll, number);
                }
            }
        }
        self.resolver.expire(&self.epoll, now);
        let mut told = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(length) = self.client.recv(&mut buffer) {
            told.push(buffer[..length].to_vec());
        }
        told
    }

    /// A neighbour is found whatever a server outside does.
    fn finds_its_neighbour(&mut self) {
        let (members, asker) = (fuzzing::members(true).unwrap(), self.asker());
        self.resolver.question(&self.epoll, &members, NEIGHBOUR.to_vec(), Way::Udp, asker);
        let told = self.turn(Instant::now());
        assert!(told.iter().any(|answer| answer[..2] == NEIGHBOUR[..2] && answer[7] == 1), "{told:?}");
    }
}

/// The answer to a question: itself, with the bit of answers, and what follows.
fn answered(question: &[u8], more: &[u8]) -> Vec<u8> {
    let mut answer = [question, more].concat();
    answer[2] |= 0x80;
    answer
}

#[test]
fn lies_are_passed_over_and_the_answer_is_taken() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut place = Place::new();
    place.ask(Way::Udp, vec![server.local_addr().unwrap()]);
    let mut buffer = [0; 4096];
    let (length, from) = server.recv_from(&mut buffer).unwrap();
    let question = &buffer[..length];
    assert_ne!(question[..2], QUESTION[..2], "its number can be guessed");
    let good = answered(question, &[]);
    let changed = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] ^= value;
        bytes
    };
    let lies =
        [changed(0, 1), changed(2, 0x80), changed(13, 3), good[..5].to_vec(), Vec::new(), vec![0xff; 4000]];
    for lie in &lies {
        server.send_to(lie, from).unwrap();
    }
    assert_eq!(place.turn(Instant::now()), Vec::<Vec<u8>>::new());
    place.finds_its_neighbour();
    // From another address nothing is taken at all.
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(&good, from).unwrap();
    assert_eq!(place.turn(Instant::now()), Vec::<Vec<u8>>::new());
    // Who asks judges what the records are: here, a name that points at itself.
    let loops = answered(question, b"\xc0\x1f\0\x01\0\x01");
    server.send_to(&loops, from).unwrap();
    server.send_to(&good, from).unwrap();
    let told = place.turn(Instant::now());
    assert_eq!(told.len(), 1, "one question has one answer");
    assert_eq!((&told[0][..2], &told[0][2..]), (&QUESTION[..2], &loops[2..]));
    assert!(place.resolver.questions.is_empty());
}

#[test]
fn a_server_that_stops_in_the_middle_is_followed_by_the_next() {
    let door = || TcpListener::bind("127.0.0.1:0").unwrap();
    let (hostile, honest) = (door(), door());
    let asked = |listener: &TcpListener| {
        let (mut stream, _) = listener.accept().unwrap();
        let mut question = vec![0; QUESTION.len() + 2];
        stream.read_exact(&mut question).unwrap();
        (stream, question.split_off(2))
    };
    let silent = |_: &mut TcpStream| {};
    let long = |stream: &mut TcpStream| stream.write_all(&[&[0xff, 0xff][..], &[7; 9000]].concat()).unwrap();
    let closes = |stream: &mut TcpStream| stream.shutdown(std::net::Shutdown::Both).unwrap();
    let other =
        |stream: &mut TcpStream| stream.write_all(&[0, 12, 9, 9, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
    // Of the first two, time alone tells.
    let tries: [&dyn Fn(&mut TcpStream); 4] = [&silent, &long, &closes, &other];
    for (number, does) in tries.iter().enumerate() {
        let mut place = Place::new();
        place.ask(Way::Tcp, vec![hostile.local_addr().unwrap(), honest.local_addr().unwrap()]);
        place.turn(Instant::now());
        let (mut stream, _) = asked(&hostile);
        does(&mut stream);
        assert_eq!(place.turn(Instant::now()), Vec::<Vec<u8>>::new(), "{number}");
        place.finds_its_neighbour();
        if number < 2 {
            place.turn(Instant::now() + PATIENCE);
        }
        place.turn(Instant::now());
        let (mut stream, question) = asked(&honest);
        let answer = answered(&question, &[]);
        stream.write_all(&[&(answer.len() as u16).to_be_bytes()[..], &answer].concat()).unwrap();
        let told = place.turn(Instant::now());
        assert_eq!(told, [answered(QUESTION, &[])], "{number}");
        assert!(place.resolver.questions.is_empty());
    }
}

#[test]
fn who_drips_has_no_more_time_than_who_is_silent() {
    let hostile = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut place = Place::new();
    place.ask(Way::Tcp, vec![hostile.local_addr().unwrap()]);
    place.turn(Instant::now());
    let (mut stream, _) = hostile.accept().unwrap();
    let begun = Instant::now();
    for _ in 0..5 {
        stream.write_all(&[0x0f]).unwrap();
        place.turn(Instant::now());
    }
    let told = place.turn(begun + PATIENCE);
    assert_eq!(told.len(), 1);
    assert_eq!((told[0][..2].to_vec(), told[0][3] & 0xf), (QUESTION[..2].to_vec(), 2), "SERVFAIL");
    assert!(place.resolver.questions.is_empty());
}
