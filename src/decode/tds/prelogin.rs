//! PRELOGIN: the option table of both sides ([MS-TDS] 2.2.6.5).

use std::ops::Range;

use crate::decode::reader::Reader;

/// Option tokens.
pub mod option {
    /// VERSION.
    pub const VERSION: u8 = 0;
    /// ENCRYPTION.
    pub const ENCRYPTION: u8 = 1;
    /// INSTOPT.
    pub const INSTOPT: u8 = 2;
    /// THREADID.
    pub const THREADID: u8 = 3;
    /// MARS.
    pub const MARS: u8 = 4;
    /// TRACEID.
    pub const TRACEID: u8 = 5;
    /// FEDAUTHREQUIRED.
    pub const FEDAUTHREQUIRED: u8 = 6;
    /// NONCEOPT.
    pub const NONCEOPT: u8 = 7;
    /// TERMINATOR.
    pub const TERMINATOR: u8 = 0xff;
}

/// Most options that are read; a real table has at most eight, each token once.
const MAX_OPTIONS: usize = 32;

/// One option: its entry in the table and its data, as ranges of the message body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreloginOption {
    /// Option token.
    pub token: u8,
    /// Offset as written.
    pub offset: u16,
    /// Length as written.
    pub length: u16,
    /// The five bytes of the table entry.
    pub entry: Range<usize>,
    /// Its data, cut to what is there.
    pub data: Range<usize>,
}

/// A PRELOGIN body as read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prelogin {
    /// The options, in the order of the table.
    pub options: Vec<PreloginOption>,
    /// The terminator was reached.
    pub terminated: bool,
    /// VERSION: major, minor, build, sub-build.
    pub version: Option<(u8, u8, u16, u16)>,
    /// ENCRYPTION.
    pub encryption: Option<u8>,
    /// MARS.
    pub mars: Option<u8>,
    /// INSTOPT of the client: the instance name, without its NUL.
    pub instance: Option<String>,
    /// THREADID of the client.
    pub thread_id: Option<u32>,
    /// TRACEID: the connection's GUID as on the wire.
    pub connection_guid: Option<[u8; 16]>,
    /// TRACEID: activity GUID as on the wire, and sequence number.
    pub activity: Option<([u8; 16], u32)>,
    /// FEDAUTHREQUIRED.
    pub fed_auth_required: Option<u8>,
    /// A nonce is there.
    pub nonce: bool,
}

impl Prelogin {
    /// Reads the body of a PRELOGIN message (without the TDS header); `None` if it does not begin with VERSION,
    /// as every PRELOGIN does, so that it can tell one from a TLS record or a token stream.
    pub fn read(body: &[u8]) -> Option<Self> {
        let mut r = Reader::new(body);
        if r.peek()? != option::VERSION {
            return None;
        }
        let mut found = Self::default();
        while found.options.len() < MAX_OPTIONS {
            let Some(token) = r.u8() else { break };
            if token == option::TERMINATOR {
                found.terminated = true;
                break;
            }
            let (Some(offset), Some(length)) = (r.u16_be(), r.u16_be()) else {
                break;
            };
            let start = usize::from(offset).min(body.len());
            let end = start.saturating_add(usize::from(length)).min(body.len());
            found.options.push(PreloginOption {
                token,
                offset,
                length,
                entry: r.last(5),
                data: start..end,
            });
            let data = body.get(start..end).unwrap_or_default();
            found.take_value(token, data);
        }
        (!found.options.is_empty()).then_some(found)
    }

    fn take_value(&mut self, token: u8, data: &[u8]) {
        let mut r = Reader::new(data);
        match token {
            option::VERSION => self.version = version(&mut r),
            option::ENCRYPTION => self.encryption = r.u8(),
            option::INSTOPT => {
                let name = data.split(|byte| *byte == 0).next().unwrap_or_default();
                self.instance = Some(String::from_utf8_lossy(name).into_owned());
            }
            option::THREADID => self.thread_id = r.u32_le(),
            option::MARS => self.mars = r.u8(),
            option::TRACEID => {
                self.connection_guid = r.array();
                self.activity = r.array().zip(r.u32_le());
            }
            option::FEDAUTHREQUIRED => self.fed_auth_required = r.u8(),
            option::NONCEOPT => self.nonce = !data.is_empty(),
            _ => {}
        }
    }
}

fn version(r: &mut Reader<'_>) -> Option<(u8, u8, u16, u16)> {
    Some((r.u8()?, r.u8()?, r.u16_be()?, r.u16_le().unwrap_or(0)))
}

/// The name of an option.
pub fn option_name(token: u8) -> &'static str {
    match token {
        option::VERSION => "VERSION",
        option::ENCRYPTION => "ENCRYPTION",
        option::INSTOPT => "INSTOPT",
        option::THREADID => "THREADID",
        option::MARS => "MARS",
        option::TRACEID => "TRACEID",
        option::FEDAUTHREQUIRED => "FEDAUTHREQUIRED",
        option::NONCEOPT => "NONCEOPT",
        option::TERMINATOR => "TERMINATOR",
        _ => "unknown option",
    }
}

/// The meaning of an ENCRYPTION value.
pub fn encryption_name(value: u8) -> &'static str {
    match value {
        0x00 => "OFF: available, not for all traffic",
        0x01 => "ON",
        0x02 => "NOT_SUP",
        0x03 => "REQ",
        0x80 => "CLIENT_CERT, OFF",
        0x81 => "CLIENT_CERT, ON",
        0x83 => "CLIENT_CERT, REQ",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sample of [MS-TDS] 4.1, without its header.
    const SAMPLE: &[u8] = &[
        0x00, 0x00, 0x1a, 0x00, 0x06, 0x01, 0x00, 0x20, 0x00, 0x01, 0x02, 0x00, 0x21, 0x00, 0x01,
        0x03, 0x00, 0x22, 0x00, 0x04, 0x04, 0x00, 0x26, 0x00, 0x01, 0xff, 0x09, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x01, 0x00, 0xb8, 0x0d, 0x00, 0x00, 0x01,
    ];

    #[test]
    fn the_specifications_sample_reads() {
        let prelogin = Prelogin::read(SAMPLE).unwrap();
        assert!(prelogin.terminated);
        assert_eq!(prelogin.version, Some((9, 0, 0, 0)));
        assert_eq!(prelogin.encryption, Some(1));
        assert_eq!(prelogin.instance.as_deref(), Some(""));
        assert_eq!(prelogin.thread_id, Some(3512));
        assert_eq!(prelogin.mars, Some(1));
        assert_eq!(prelogin.options[4].data, 38..39);
    }

    #[test]
    fn every_shorter_length_reads_a_prefix_of_the_options() {
        let whole = Prelogin::read(SAMPLE).unwrap();
        for len in 0..SAMPLE.len() {
            if let Some(cut) = Prelogin::read(&SAMPLE[..len]) {
                assert!(cut.options.len() <= whole.options.len());
                for (a, b) in cut.options.iter().zip(&whole.options) {
                    assert_eq!(a.token, b.token);
                }
            }
        }
        assert_eq!(Prelogin::read(&[0x16, 3, 1, 0, 5]), None);
    }
}
