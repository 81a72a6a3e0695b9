//! The network's name server.
//!
//! Theory of operation. Its sockets are in the network's namespace, bound to the bridge's own addresses; the questions
//! that others have to answer leave from the host's network, where this process is. Such a question is passed on as it
//! is, but for its number: by UDP what came by UDP, in a stream what came in a stream, so that an answer which is too
//! long for a datagram is asked for again by who wants it. A question is never given to two servers at once; who does not
//! answer in time is followed by the next. Everything is bounded: questions under way, streams, and their time.
//! When all is taken, the client that has the most makes room for another one.

mod answer;
mod asker;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod room;
mod servers;
mod stream;
#[cfg(test)]
mod tests;
mod upstream;
#[cfg(test)]
mod upstream_tests;

pub use answer::DOMAIN;

use super::members::Members;
use super::token::Token;
use answer::{Outcome, Outside, Way};
use asker::Asker;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use room::{Room, gives_way};
use servers::Servers;
use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};
use stream::Stream;
use upstream::{Asked, Question, Upstream};

/// Longest question or answer in a datagram, in bytes.
const DATAGRAM_MAX: usize = 65_535;
/// How many datagrams of one socket are taken before others have their turn.
const TURN: usize = 64;

/// Where questions come in.
#[derive(Debug)]
pub(super) enum Door {
    Udp(UdpSocket),
    Tcp(TcpListener),
}

impl Door {
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Door::Udp(socket) => socket.as_fd(),
            Door::Tcp(socket) => socket.as_fd(),
        }
    }
}

#[derive(Debug)]
pub(super) struct Resolver {
    doors: Vec<Door>,
    outside: bool,
    servers: Servers,
    /// The network's directory, by which those of others are found.
    dir: OwnedFd,
    questions: HashMap<u64, Question>,
    streams: HashMap<u64, Stream>,
    room: Room,
    /// The number of the next question or stream.
    next: u64,
    turn: usize,
    buffer: Vec<u8>,
}

impl Resolver {
    /// `outside` says whether other names than the network's own are asked for elsewhere: of `servers`, or else of the
    /// host's.
    ///
    /// # Errors
    /// Those of epoll_ctl(2).
    pub(super) fn new(
        epoll: &Epoll,
        doors: Vec<Door>,
        outside: bool,
        servers: Vec<IpAddr>,
        dir: OwnedFd,
    ) -> nix::Result<Resolver> {
        for (at, door) in doors.iter().enumerate() {
            epoll.add(door.fd(), EpollEvent::new(EpollFlags::EPOLLIN, Token::Door(at as u64).into()))?;
        }
        Ok(Resolver {
            doors,
            outside,
            servers: Servers::new(servers),
            dir,
            questions: HashMap::new(),
            streams: HashMap::new(),
            room: Room::of_process(),
            next: 0,
            turn: 0,
            buffer: vec![0; DATAGRAM_MAX],
        })
    }

    /// Asks others from now on: these servers, or else the host's.
    pub(super) fn ask_of(&mut self, servers: Vec<IpAddr>) {
        self.servers = Servers::new(servers);
    }

    /// The answer to a question that came to another network, where it is for one of our own names.
    pub(super) fn own(&mut self, members: &Members, query: &[u8]) -> Option<Vec<u8>> {
        self.turn = self.turn.wrapping_add(1);
        // What is too long for a datagram is cut there.
        match answer::answer(query, Way::Tcp, members, Outside::Unknown, self.turn) {
            Outcome::Reply(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// How long until something has waited long enough.
    pub(super) fn patience(&self, now: Instant) -> Option<Duration> {
        let questions = self.questions.values().map(|question| question.until);
        let streams = self.streams.values().map(|stream| stream.until);
        questions.chain(streams).min().map(|until| until.saturating_duration_since(now))
    }

    /// Gives up what has waited long enough.
    pub(super) fn expire(&mut self, epoll: &Epoll, now: Instant) {
        let late = |until: &Instant| *until <= now;
        let questions: Vec<u64> =
            self.questions.iter().filter(|(_, q)| late(&q.until)).map(|(number, _)| *number).collect();
        for number in questions {
            self.try_next(epoll, number);
        }
        let streams: Vec<u64> =
            self.streams.iter().filter(|(_, s)| late(&s.until)).map(|(number, _)| *number).collect();
        for number in streams {
            self.close(number);
        }
    }

    /// Something has come in by a door.
    pub(super) fn at_door(&mut self, epoll: &Epoll, members: &Members, door: u64) {
        for _ in 0..TURN {
            let at = door as usize;
            match self.doors.get(at) {
                Some(Door::Udp(socket)) => {
                    let Ok((length, from)) = socket.recv_from(&mut self.buffer) else { return };
                    let query = self.buffer[..length].to_vec();
                    self.question(epoll, members, query, Way::Udp, Asker::Datagram(at, from));
                }
                Some(Door::Tcp(socket)) => {
                    match socket.accept() {
                        Ok((client, from)) => self.admit(epoll, client, from.ip().to_canonical()),
                        Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                        // This client has gone, or there are no descriptors left: a stream's is the next one's.
                        Err(_) => {
                            let Some(oldest) = self.streams.keys().min() else { return };
                            self.close(*oldest);
                        }
                    }
                }
                None => return,
            }
        }
    }

    /// A client wants to ask in a stream.
    fn admit(&mut self, epoll: &Epoll, client: TcpStream, from: IpAddr) {
        if self.streams.len() >= self.room.streams {
            let held = self.streams.iter().map(|(number, stream)| (*number, stream.client()));
            let Some(number) = gives_way(held, Some(from)) else { return };
            self.close(number);
        }
        let number = self.number();
        if let Ok(stream) = Stream::new(epoll, client, number) {
            self.streams.insert(number, stream);
        }
    }

    /// A client's stream has something to read, or takes more.
    pub(super) fn at_stream(&mut self, epoll: &Epoll, members: &Members, number: u64) {
        loop {
            let Some(stream) = self.streams.get_mut(&number) else { return };
            match stream.proceed(epoll, number) {
                Ok(Some(query)) => {
                    self.question(epoll, members, query, Way::Tcp, Asker::Stream(number));
                }
                Ok(None) => return,
                Err(_) => return self.close(number),
            }
        }
    }

    /// A server has answered, or takes a question.
    pub(super) fn at_question(&mut self, epoll: &Epoll, number: u64) {
        let Some(question) = self.questions.get_mut(&number) else { return };
        match question.upstream.proceed(epoll, number, &mut self.buffer) {
            Asked::Waits => {}
            Asked::Answered(mut bytes) => {
                // A datagram that is no answer to this question may be anybody's: the real one may still come.
                if !question.is_answered_by(&bytes) {
                    if !question.upstream.is_datagram() {
                        self.try_next(epoll, number);
                    }
                    return;
                }
                question.restore_number(&mut bytes);
                let asker = question.asker;
                self.questions.remove(&number);
                self.deliver(epoll, asker, &bytes);
            }
            Asked::Failed => self.try_next(epoll, number),
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn question(&mut self, epoll: &Epoll, members: &Members, query: Vec<u8>, way: Way, asker: Asker) {
        self.turn = self.turn.wrapping_add(1);
        let from = self.client(asker);
        let others = from.map_or(&[][..], |from| members.others_of(from));
        let outside = match self.outside {
            true => Outside::Asked,
            // Nothing goes out by an internal network, not even for who has another way.
            false if others.iter().any(|other| other.outside) => Outside::Refused,
            false => Outside::Unknown,
        };
        match answer::answer(&query, way, members, outside, self.turn) {
            Outcome::Reply(bytes) => self.deliver(epoll, asker, &bytes),
            Outcome::Nobodys(bytes) if others.is_empty() => self.deliver(epoll, asker, &bytes),
            Outcome::Ignore => {
                if let Asker::Stream(number) = asker {
                    self.close(number);
                }
            }
            unknown => {
                if self.questions.len() >= self.room.questions {
                    let held = self.questions.iter().map(|(number, one)| (*number, self.client(one.asker)));
                    let Some(number) = gives_way(held, from) else { return self.fail(epoll, asker, &query) };
                    self.give_up(epoll, number);
                }
                let number = self.number();
                let (servers, otherwise) = match unknown {
                    Outcome::Nobodys(bytes) => (Vec::new(), Some(bytes)),
                    _ => (self.servers.all(from.and_then(|from| members.servers_of(from))), None),
                };
                let Some(mut question) = Question::new(query.clone(), asker, way, servers) else {
                    return self.fail(epoll, asker, &query);
                };
                question.others = others.iter().map(|other| other.id.clone()).collect();
                question.otherwise = otherwise;
                self.questions.insert(number, question);
                self.try_next(epoll, number);
            }
        }
    }

    /// Asks the next server, or says that none answers.
    fn try_next(&mut self, epoll: &Epoll, number: u64) {
        let Some(question) = self.questions.get_mut(&number) else { return };
        while let Some(other) = question.others.pop_front() {
            if let Ok(upstream) =
                Upstream::ask_other(epoll, number, self.dir.as_fd(), &other, &question.bytes)
            {
                question.upstream = upstream;
                question.until = Instant::now() + upstream::PATIENCE_AT_HOME;
                return;
            }
        }
        while let Some(server) = question.next_server() {
            if let Ok(upstream) = Upstream::ask(epoll, number, question.way, server, &question.bytes) {
                question.upstream = upstream;
                question.until = Instant::now() + upstream::PATIENCE;
                return;
            }
        }
        self.give_up(epoll, number);
    }

    /// Asks nobody any more.
    fn give_up(&mut self, epoll: &Epoll, number: u64) {
        let Some(question) = self.questions.remove(&number) else { return };
        if let Some(bytes) = &question.otherwise {
            return self.deliver(epoll, question.asker, bytes);
        }
        let mut query = question.bytes.clone();
        question.restore_number(&mut query);
        self.fail(epoll, question.asker, &query);
    }

    /// Who has asked.
    fn client(&self, asker: Asker) -> Option<IpAddr> {
        match asker {
            Asker::Datagram(_, from) => Some(from.ip().to_canonical()),
            Asker::Stream(number) => self.streams.get(&number).and_then(Stream::client),
        }
    }

    fn fail(&mut self, epoll: &Epoll, asker: Asker, query: &[u8]) {
        if let Some(bytes) = answer::failure(query) {
            self.deliver(epoll, asker, &bytes);
        }
    }

    /// Gives an answer to who asked; they may have gone.
    fn deliver(&mut self, epoll: &Epoll, asker: Asker, bytes: &[u8]) {
        match asker {
            Asker::Datagram(door, to) => {
                if let Some(Door::Udp(socket)) = self.doors.get(door) {
                    let _ = socket.send_to(bytes, to);
                }
            }
            Asker::Stream(number) => {
                let Some(stream) = self.streams.get_mut(&number) else { return };
                if stream.answer(epoll, number, bytes).is_err() {
                    self.close(number);
                }
            }
        }
    }

    /// Ends a stream, and what it waits for.
    fn close(&mut self, number: u64) {
        self.streams.remove(&number);
        self.questions.retain(|_, question| question.asker != Asker::Stream(number));
    }
}
