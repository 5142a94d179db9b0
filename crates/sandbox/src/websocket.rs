//! The server's side of WebSocket (RFC 6455), as much of it as `exec` needs: binary messages both ways, pings,
//! an orderly close.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};

use crate::call::{Answer, Call};
use crate::refusal::{Refusal, Reply};

/// What every key is hashed with.
const MAGIC: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// No message of a client is longer.
const LONGEST: u64 = 1 << 20;

const CONTINUED: u8 = 0;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Agrees to speak WebSocket with the first of `protocols` that the client knows; the stream is there once the
/// answer is sent.
pub(crate) fn accept(call: &Call, protocols: &[&'static str]) -> Reply<(Answer, OnUpgrade)> {
    let asked = call.header("upgrade").eq_ignore_ascii_case("websocket");
    let key = call.header("sec-websocket-key");
    if !asked || key.is_empty() {
        return Err(Refusal::bad_request(
            "only WebSocket is spoken here, as by kubectl 1.31 and later; SPDY is not",
        ));
    }
    let offered: Vec<&str> = call.header("sec-websocket-protocol").split(',').map(str::trim).collect();
    let Some(protocol) = protocols.iter().find(|protocol| offered.contains(protocol)) else {
        let why = format!("none of the protocols {offered:?} is spoken here, only {protocols:?}");
        return Err(Refusal::bad_request(why));
    };
    let Some(upgrade) = call.upgrade.clone() else {
        return Err(Refusal::bad_request(
            "a client in this process has no connection that could be taken over",
        ));
    };
    let digest = Sha1::new().chain_update(key).chain_update(MAGIC).finalize();
    let mut answer = Answer::text(101, "");
    answer.headers = vec![
        ("upgrade", "websocket".into()),
        ("connection", "Upgrade".into()),
        ("sec-websocket-accept", STANDARD.encode(digest)),
        ("sec-websocket-protocol", (*protocol).into()),
    ];
    Ok((answer, upgrade))
}

type Stream = TokioIo<Upgraded>;

/// What a client sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Data(Vec<u8>),
    Ping,
}

/// The reading half.
pub(crate) struct Incoming<R = ReadHalf<Stream>>(R);

/// The writing half.
pub(crate) struct Outgoing<W = WriteHalf<Stream>>(W);

pub(crate) fn split(stream: Upgraded) -> (Incoming, Outgoing) {
    let (read, write) = tokio::io::split(TokioIo::new(stream));
    (Incoming(read), Outgoing(write))
}

impl<R: tokio::io::AsyncRead + Unpin> Incoming<R> {
    /// The next message; nothing once the client has closed.
    pub async fn next(&mut self) -> io::Result<Option<Message>> {
        let mut message = Vec::new();
        loop {
            let (last, kind, bytes) = self.frame().await?;
            match kind {
                CLOSE => return Ok(None),
                // Both may stand between the pieces of a message.
                PING | PONG if !message.is_empty() => {}
                PING | PONG => return Ok(Some(Message::Ping)),
                _ => {
                    message.extend_from_slice(&bytes);
                    if message.len() as u64 > LONGEST {
                        return Err(io::Error::new(io::ErrorKind::InvalidData, "the message is too long"));
                    }
                    if last {
                        return Ok(Some(Message::Data(message)));
                    }
                }
            }
        }
    }

    async fn frame(&mut self) -> io::Result<(bool, u8, Vec<u8>)> {
        let wrong = |why| io::Error::new(io::ErrorKind::InvalidData, why);
        let mut head = [0; 2];
        self.0.read_exact(&mut head).await?;
        let length = match head[1] & 0x7f {
            126 => u64::from(self.0.read_u16().await?),
            127 => self.0.read_u64().await?,
            short => u64::from(short),
        };
        if length > LONGEST {
            return Err(wrong("the frame is too long"));
        }
        if head[1] & 0x80 == 0 {
            return Err(wrong("a client's frames are masked"));
        }
        let kind = head[0] & 0x0f;
        if !matches!(kind, CONTINUED..=BINARY | CLOSE..=PONG) {
            return Err(wrong("a frame of an unknown kind"));
        }
        let mut mask = [0; 4];
        self.0.read_exact(&mut mask).await?;
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        self.0.read_exact(&mut bytes).await?;
        bytes.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        Ok((head[0] & 0x80 != 0, kind, bytes))
    }
}

impl<W: tokio::io::AsyncWrite + Unpin> Outgoing<W> {
    /// Sends a binary message.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.frame(BINARY, bytes).await
    }

    /// Says goodbye, without complaint.
    pub async fn close(&mut self) -> io::Result<()> {
        self.frame(CLOSE, &1000_u16.to_be_bytes()).await?;
        self.0.shutdown().await
    }

    async fn frame(&mut self, kind: u8, bytes: &[u8]) -> io::Result<()> {
        let mut head = vec![0x80 | kind];
        match (u8::try_from(bytes.len()), u16::try_from(bytes.len())) {
            (Ok(short @ 0..=125), _) => head.push(short),
            (_, Ok(length)) => {
                head.push(126);
                head.extend_from_slice(&length.to_be_bytes());
            }
            _ => {
                head.push(127);
                head.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
            }
        }
        head.extend_from_slice(bytes);
        self.0.write_all(&head).await?;
        self.0.flush().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client's frame, masked.
    fn masked(first: u8, bytes: &[u8]) -> Vec<u8> {
        let mut frame = vec![first, 0x80 | u8::try_from(bytes.len()).unwrap(), 1, 2, 3, 4];
        frame.extend(bytes.iter().zip([1, 2, 3, 4].iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    #[tokio::test]
    async fn messages_come_whole_and_wrong_frames_end_the_connection() {
        let mut text = masked(0x82, b"one");
        text.extend(masked(0x02, b"two "));
        text.extend(masked(0x89, b""));
        text.extend(masked(0x80, b"parts"));
        text.extend(masked(0x89, b""));
        text.extend(masked(0x88, b""));
        let mut incoming = Incoming(text.as_slice());
        assert_eq!(incoming.next().await.unwrap(), Some(Message::Data(b"one".to_vec())));
        assert_eq!(incoming.next().await.unwrap(), Some(Message::Data(b"two parts".to_vec())));
        assert_eq!(incoming.next().await.unwrap(), Some(Message::Ping));
        assert_eq!(incoming.next().await.unwrap(), None);
        for wrong in [
            &[0x82, 0x03, b'o', b'n', b'e'][..],
            &[0x83, 0x80, 0, 0, 0, 0],
            &[0x82, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0],
            b"\x82",
        ] {
            assert!(Incoming(wrong).next().await.is_err(), "{wrong:?}");
        }
    }

    #[tokio::test]
    async fn frames_say_how_long_they_are() {
        for (length, head) in [
            (5, &[0x82, 5][..]),
            (300, &[0x82, 126, 1, 44]),
            (70_000, &[0x82, 127, 0, 0, 0, 0, 0, 1, 17, 112]),
        ] {
            let mut written = Vec::new();
            Outgoing(&mut written).send(&vec![7; length]).await.unwrap();
            assert!(written.starts_with(head), "{length}");
            assert_eq!(written.len(), head.len() + length);
        }
    }
}
