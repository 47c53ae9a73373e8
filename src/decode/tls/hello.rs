//! ClientHello and ServerHello: versions, suites, names (RFC 5246 7.4.1, RFC 8446 4.1).

use std::ops::Range;

use super::names;
use super::records::Stream;
use super::{RECORD_HEADER, RecordHeader, content};
use crate::decode::reader::Reader;

/// Handshake type of a ClientHello.
pub const CLIENT_HELLO: u8 = 1;
/// Handshake type of a ServerHello.
pub const SERVER_HELLO: u8 = 2;

/// Most entries that are kept of any list in a hello.
const MAX_LIST: usize = 256;

/// The random of a ServerHello that asks for another ClientHello (RFC 8446 4.1.3).
const RETRY_RANDOM_HEAD: [u8; 4] = [0xcf, 0x21, 0xad, 0x74];

/// A hello as read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hello {
    /// From the client.
    pub client: bool,
    /// legacy_version.
    pub legacy_version: u16,
    /// supported_versions (client: the offer; server: the choice).
    pub versions: Vec<u16>,
    /// Random.
    pub random: [u8; 32],
    /// Session id.
    pub session_id: Vec<u8>,
    /// Cipher suites (server: the one chosen).
    pub ciphers: Vec<u16>,
    /// Extensions: type and range of the data within the handshake message.
    pub extensions: Vec<(u16, Range<usize>)>,
    /// Server name indication.
    pub sni: Option<String>,
    /// Application protocols (server: the one chosen).
    pub alpn: Vec<String>,
    /// supported_groups.
    pub groups: Vec<u16>,
    /// Too few bytes: what follows the last item read is missing.
    pub cut: bool,
}

impl Hello {
    /// Reads the first hello in a stream of TLS records, of which it may fill several; `None` if the first handshake
    /// message is none.
    pub fn read_records(stream: &[u8]) -> Option<Self> {
        let header = RecordHeader::read(stream)?;
        if header.content != content::HANDSHAKE {
            return None;
        }
        let body = stream.get(RECORD_HEADER..)?;
        let body = body.get(..usize::from(header.length)).unwrap_or(body);
        let kind = *body.first()?;
        let hello = Self::read(body);
        if !matches!(kind, CLIENT_HELLO | SERVER_HELLO) || hello.as_ref().is_some_and(|h| !h.cut) {
            return hello;
        }
        let parts = Stream::read(stream, false);
        let whole = parts.messages.first().map(|m| parts.bytes(stream, m));
        let whole = whole.and_then(|whole| Self::read(&whole));
        whole.or(hello).or_else(|| {
            Some(Self {
                client: kind == CLIENT_HELLO,
                cut: true,
                ..Self::default()
            })
        })
    }

    /// Reads a handshake message (type, u24 length, body); `None` if it is no hello.
    pub fn read(message: &[u8]) -> Option<Self> {
        let mut r = Reader::new(message);
        let kind = r.u8()?;
        if !matches!(kind, CLIENT_HELLO | SERVER_HELLO) {
            return None;
        }
        let len = r.u24_be()?;
        let (mut body, cut) = r.sub_lax(len);
        let mut hello = Self {
            client: kind == CLIENT_HELLO,
            ..Self::default()
        };
        hello.cut = hello.fill(&mut body).is_none() || cut;
        Some(hello)
    }

    fn fill(&mut self, r: &mut Reader<'_>) -> Option<()> {
        self.legacy_version = r.u16_be()?;
        self.random = r.array()?;
        let id_len = usize::from(r.u8()?);
        self.session_id = r.take(id_len)?.to_vec();
        if self.client {
            let len = usize::from(r.u16_be()?);
            let (mut list, cut) = r.sub_lax(len);
            while let Some(cipher) = list.u16_be() {
                push(&mut self.ciphers, cipher);
            }
            if cut {
                return None;
            }
            let methods = usize::from(r.u8()?);
            r.skip(methods)?;
        } else {
            self.ciphers.push(r.u16_be()?);
            r.u8()?;
        }
        if r.is_empty() {
            return Some(());
        }
        let len = usize::from(r.u16_be()?);
        let (mut all, cut) = r.sub_lax(len);
        while !all.is_empty() {
            let kind = all.u16_be()?;
            let len = usize::from(all.u16_be()?);
            let data = all.sub(len)?;
            push(
                &mut self.extensions,
                (kind, data.position()..data.position().saturating_add(len)),
            );
            self.take_extension(kind, data);
        }
        (!cut).then_some(())
    }

    fn take_extension(&mut self, kind: u16, mut r: Reader<'_>) {
        match kind {
            0 => self.sni = server_name(&mut r),
            10 => {
                r.u16_be();
                while let Some(group) = r.u16_be() {
                    push(&mut self.groups, group);
                }
            }
            16 => {
                r.u16_be();
                while let Some(name) = r.u8().and_then(|len| r.take(usize::from(len))) {
                    push(&mut self.alpn, String::from_utf8_lossy(name).into_owned());
                }
            }
            43 => {
                if self.client {
                    r.u8();
                }
                while let Some(version) = r.u16_be() {
                    push(&mut self.versions, version);
                }
            }
            _ => {}
        }
    }

    /// The version: for a server the one chosen, for a client the highest offered.
    pub fn version(&self) -> u16 {
        self.versions
            .iter()
            .copied()
            .filter(|v| !names::is_grease(*v))
            .max()
            .unwrap_or(self.legacy_version)
    }

    /// The cipher suite that a server chose.
    pub fn cipher(&self) -> Option<u16> {
        if self.client {
            return None;
        }
        self.ciphers.first().copied()
    }

    /// Whether this ServerHello is a HelloRetryRequest.
    pub fn is_retry(&self) -> bool {
        !self.client && self.random.starts_with(&RETRY_RANDOM_HEAD)
    }

    /// Whether the server marks that a newer version was not chosen (RFC 8446 4.1.3).
    pub fn is_downgrade(&self) -> bool {
        !self.client
            && (self.random.ends_with(b"DOWNGRD\x00") || self.random.ends_with(b"DOWNGRD\x01"))
    }
}

fn push<T>(list: &mut Vec<T>, item: T) {
    if list.len() < MAX_LIST {
        list.push(item);
    }
}

fn server_name(r: &mut Reader<'_>) -> Option<String> {
    r.u16_be()?;
    let kind = r.u8()?;
    let len = usize::from(r.u16_be()?);
    let name = r.take(len)?;
    (kind == 0).then(|| String::from_utf8_lossy(name).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client_hello() -> Vec<u8> {
        let mut extensions = vec![0, 0, 0, 8, 0, 6, 0, 0, 3, b's', b'q', b'l'];
        extensions.extend([0, 16, 0, 10, 0, 8, 7]);
        extensions.extend(b"tds/8.0");
        extensions.extend([0, 43, 0, 5, 4, 3, 4, 3, 3]);
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([0, 0, 4, 0x13, 1, 0xc0, 0x2f, 1, 0]);
        body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
        body.extend(extensions);
        let mut message = vec![1, 0];
        message.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        message.extend(body);
        message
    }

    #[test]
    fn a_client_hello_tells_what_it_offers() {
        let hello = Hello::read(&client_hello()).unwrap();
        assert!(hello.client && !hello.cut);
        assert_eq!(hello.version(), 0x0304);
        assert_eq!(hello.ciphers, [0x1301, 0xc02f]);
        assert_eq!(hello.sni.as_deref(), Some("sql"));
        assert_eq!(hello.alpn, ["tds/8.0"]);
    }

    #[test]
    fn a_hello_is_read_over_several_records() {
        let message = client_hello();
        let whole = Hello::read(&message).unwrap();
        for size in 1..message.len() {
            let mut stream = Vec::new();
            for part in message.chunks(size) {
                stream.extend([22, 3, 1, 0, u8::try_from(part.len()).unwrap()]);
                stream.extend(part);
            }
            let read = Hello::read_records(&stream).unwrap();
            assert_eq!(read, whole, "records of {size}");
        }
    }

    #[test]
    fn every_shorter_length_is_marked_as_cut() {
        let message = client_hello();
        for len in 4..message.len() {
            assert!(Hello::read(&message[..len]).unwrap().cut, "length {len}");
        }
    }
}
