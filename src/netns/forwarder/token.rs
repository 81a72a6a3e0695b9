//! Which socket an epoll event belongs to.

/// What an event is for. The two low bits are the kind, the rest is a number of that kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// The link to the monitor.
    Link,
    /// A host socket, by its place in the list.
    Listener(usize),
    /// The host's side of a connection.
    Client(u64),
    /// The container's side of a connection.
    Container(u64),
    /// The container's side of a UDP session.
    Session(u64),
}

impl From<Token> for u64 {
    fn from(token: Token) -> u64 {
        match token {
            Token::Link => 0,
            Token::Listener(i) => (i as u64 + 1) << 2,
            Token::Client(id) => id << 2 | 1,
            Token::Container(id) => id << 2 | 2,
            Token::Session(id) => id << 2 | 3,
        }
    }
}

impl From<u64> for Token {
    fn from(data: u64) -> Token {
        match (data & 3, data >> 2) {
            (0, 0) => Token::Link,
            (0, n) => Token::Listener(n as usize - 1),
            (1, id) => Token::Client(id),
            (2, id) => Token::Container(id),
            (_, id) => Token::Session(id),
        }
    }
}
