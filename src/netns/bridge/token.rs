//! Which socket of a network's keeper an epoll event belongs to.

/// What an event is for. The three low bits are the kind, the rest is a number of that kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// Where members come in.
    Entrance,
    /// The connection of a member.
    Member(u64),
    /// A socket that questions come in by, by its place in the list.
    Door(u64),
    /// A client's stream.
    Stream(u64),
    /// A question on its way to a server outside.
    Question(u64),
    /// What connects the network to the outside: whether it is ready.
    UplinkReady,
    /// The same: whether it has ended.
    UplinkEnded,
}

const KINDS: u64 = 8;

impl From<Token> for u64 {
    fn from(token: Token) -> u64 {
        let (kind, number) = match token {
            Token::Entrance => (0, 0),
            Token::Member(number) => (1, number),
            Token::Door(number) => (2, number),
            Token::Stream(number) => (3, number),
            Token::Question(number) => (4, number),
            Token::UplinkReady => (5, 0),
            Token::UplinkEnded => (6, 0),
        };
        number * KINDS + kind
    }
}

impl From<u64> for Token {
    fn from(data: u64) -> Token {
        let number = data / KINDS;
        match data % KINDS {
            0 => Token::Entrance,
            1 => Token::Member(number),
            2 => Token::Door(number),
            3 => Token::Stream(number),
            4 => Token::Question(number),
            5 => Token::UplinkReady,
            _ => Token::UplinkEnded,
        }
    }
}
