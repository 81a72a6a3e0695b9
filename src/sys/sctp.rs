//! SCTP's sockets of the one-to-one style: messages with their stream and kind (RFC 6458, sctp(7)).

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd};

/// The one flag that a message keeps on its way.
const UNORDERED: u16 = libc::SCTP_UNORDERED as u16;

/// How one message travels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Info {
    /// The stream that it belongs to.
    pub stream: u16,
    /// It may overtake others of its stream.
    pub unordered: bool,
    /// The payload protocol identifier, in the order of bytes that the sender gave it.
    pub kind: u32,
}

/// A part of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Its length in bytes; 0 at the end of the association, since no message is empty.
    pub length: usize,
    /// The message ends with it.
    pub last: bool,
    /// How the message came.
    pub info: Info,
}

/// How many streams an association has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Streams {
    /// Towards the peer.
    pub out: u16,
    /// From the peer.
    pub inward: u16,
}

/// Has messages leave at once (`SCTP_NODELAY`) and tell their stream when they come (`SCTP_RECVRCVINFO`).
///
/// # Errors
/// Those of setsockopt(2).
pub fn prepare(fd: impl AsFd) -> nix::Result<()> {
    let on: libc::c_int = 1;
    set(&fd, libc::SCTP_NODELAY, &on)?;
    set(&fd, libc::SCTP_RECVRCVINFO, &on)
}

/// How many streams a socket asks for, at most, before it listens or connects (`SCTP_INITMSG`); 0 as the kernel likes.
///
/// # Errors
/// Those of setsockopt(2).
pub fn ask_for(fd: impl AsFd, streams: Streams) -> nix::Result<()> {
    let wanted = libc::sctp_initmsg {
        sinit_num_ostreams: streams.out,
        sinit_max_instreams: streams.inward,
        sinit_max_attempts: 0,
        sinit_max_init_timeo: 0,
    };
    set(&fd, libc::SCTP_INITMSG, &wanted)
}

/// How many streams the association of a connected socket has (`SCTP_STATUS`).
///
/// # Errors
/// `EINVAL` when the association has ended.
pub fn streams(fd: impl AsFd) -> nix::Result<Streams> {
    // struct sctp_status has 176 bytes, and the two counts of 16 bits at its bytes 16 and 18.
    let mut status = [0u16; 88];
    let mut length = size_of_val(&status) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes to the buffer, which has as many.
    Errno::result(unsafe {
        libc::getsockopt(
            fd.as_fd().as_raw_fd(),
            libc::IPPROTO_SCTP,
            libc::SCTP_STATUS,
            status.as_mut_ptr().cast(),
            &raw mut length,
        )
    })?;
    Ok(Streams { inward: status[8], out: status[9] })
}

/// Takes what has come, without waiting: a message, or a part of one that is longer than the buffer.
///
/// # Errors
/// `EAGAIN` when nothing has come; those of recvmsg(2).
pub fn receive(fd: impl AsFd, buffer: &mut [u8]) -> nix::Result<Part> {
    let mut control = nix::cmsg_space!(libc::sctp_rcvinfo);
    let mut slices = [IoSliceMut::new(buffer)];
    let raw = fd.as_fd().as_raw_fd();
    let got = recvmsg::<()>(raw, &mut slices, Some(&mut control), MsgFlags::MSG_DONTWAIT)?;
    let mut info = Info::default();
    for message in got.cmsgs()? {
        // The stream, a sequence number, flags and padding, each of 16 bits, then the kind.
        if let ControlMessageOwned::Unknown(found) = message
            && found.cmsg_header.cmsg_level == libc::IPPROTO_SCTP
            && let [s0, s1, _, _, f0, f1, _, _, k0, k1, k2, k3, ..] = found.data_bytes[..]
        {
            let flags = u16::from_ne_bytes([f0, f1]);
            info = Info {
                stream: u16::from_ne_bytes([s0, s1]),
                unordered: flags & UNORDERED != 0,
                kind: u32::from_ne_bytes([k0, k1, k2, k3]),
            };
        }
    }
    Ok(Part { length: got.bytes, last: got.flags.contains(MsgFlags::MSG_EOR), info })
}

/// Sends a whole message, without waiting.
///
/// # Errors
/// `EAGAIN` when there is no room, `EMSGSIZE` when it is longer than the socket's send buffer, `EINVAL` when the
/// association does not have the stream; those of sendmsg(2).
pub fn send(fd: impl AsFd, message: &[u8], info: Info) -> nix::Result<()> {
    let how = libc::sctp_sndinfo {
        snd_sid: info.stream,
        snd_flags: if info.unordered { UNORDERED } else { 0 },
        snd_ppid: info.kind,
        snd_context: 0,
        snd_assoc_id: 0,
    };
    let size = size_of_val(&how) as libc::c_uint;
    let mut control = [0u64; 8];
    let mut slice = libc::iovec { iov_base: message.as_ptr().cast_mut().cast(), iov_len: message.len() };
    // SAFETY: msghdr is plain old data; all-zero is valid.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut slice;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    // SAFETY: pure arithmetic.
    header.msg_controllen = unsafe { libc::CMSG_SPACE(size) } as _;
    // SAFETY: the control buffer is aligned and, with 64 bytes, longer than a header and 16 bytes of data. The
    // kernel only reads the message, the slice and the buffer, all of which outlive the call.
    let sent = unsafe {
        let cmsg = libc::CMSG_FIRSTHDR(&raw const header);
        (*cmsg).cmsg_level = libc::IPPROTO_SCTP;
        (*cmsg).cmsg_type = libc::SCTP_SNDINFO;
        (*cmsg).cmsg_len = libc::CMSG_LEN(size) as _;
        libc::CMSG_DATA(cmsg).cast::<libc::sctp_sndinfo>().write_unaligned(how);
        libc::sendmsg(fd.as_fd().as_raw_fd(), &raw const header, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
    };
    Errno::result(sent).map(drop)
}

fn set<T>(fd: &impl AsFd, option: libc::c_int, value: &T) -> nix::Result<()> {
    // SAFETY: passes a pointer to a value and its size.
    let result = unsafe {
        libc::setsockopt(
            fd.as_fd().as_raw_fd(),
            libc::IPPROTO_SCTP,
            option,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    Errno::result(result).map(drop)
}
