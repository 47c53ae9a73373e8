//! What an answer shows that its request, its PDUs and the login want to know of.

use crate::decode::reader::Reader;
use crate::decode::tds::type_info::{us_varchar, utf16};
use crate::store::ErrorRow;

use super::super::TEXT_CHARS;

/// DONE status bits ([MS-TDS] 2.2.7.6).
pub(in super::super) mod done {
    pub(in super::super::super) const MORE: u16 = 0x001;
    /// An error ended what this is the end of; `SRVERROR` where its results are void too. An ERROR should, but need
    /// not, say which.
    pub(in super::super::super) const ERROR: u16 = 0x002;
    pub(in super::super::super) const COUNT: u16 = 0x010;
    pub(in super::super::super) const ATTN: u16 = 0x020;
    pub(in super::super::super) const SRVERROR: u16 = 0x100;
}

/// CurCmd of SELECT.
const SELECT: u16 = 0xc1;

/// Tokens of a login that the connection's row wants to know of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Note {
    LoginAck { version: u32 },
    PacketSize(u32),
    Database(String),
    Routing,
    ColumnEncryption,
    Classification(u8),
    Sspi(Vec<u8>),
    FedAuthInfo,
}

/// What an answer has shown so far.
#[derive(Debug, Default)]
pub(in super::super) struct Outcome {
    pub(in super::super) rows_seen: u64,
    pub(in super::super) rows_counted: Option<u64>,
    pub(in super::super) last_done: Option<u16>,
    pub(in super::super) attention_ack: bool,
    /// ENVCHANGE 18: the server has reset the session's state.
    pub(in super::super) reset_ack: bool,
    pub(in super::super) error: Option<Box<ErrorRow>>,
    pub(in super::super) worst_class: Option<u8>,
    /// A DONE says that there was an error.
    pub(in super::super) failed: bool,
    /// The last token read was a DONE, DONEPROC or DONEINPROC.
    pub(in super::super) ends_with_done: bool,
    pub(in super::super) notes: Vec<Note>,
    /// Not all of the answer was read.
    pub(in super::super) partial: bool,
}

impl Outcome {
    /// Of the next answer nothing was read yet.
    #[inline]
    pub(in super::super) fn clear(&mut self) {
        let mut notes = std::mem::take(&mut self.notes);
        notes.clear();
        *self = Self {
            notes,
            ..Self::default()
        };
    }

    /// Rows of the answer, where anything tells.
    pub(in super::super) fn rows(&self) -> Option<u64> {
        if self.partial {
            return None;
        }
        self.rows_counted
            .or((self.rows_seen > 0).then_some(self.rows_seen))
    }

    /// A DONE, DONEPROC or DONEINPROC.
    pub(super) fn done(&mut self, status: u16, command: u16, count: Option<u64>) {
        if status & done::COUNT != 0 && command & 0xff == SELECT {
            let sum = self.rows_counted.unwrap_or(0);
            self.rows_counted = Some(sum.saturating_add(count.unwrap_or(0)));
        }
        self.failed |= status & (done::ERROR | done::SRVERROR) != 0;
        self.attention_ack |= status & done::ATTN != 0;
        self.last_done = Some(status);
        self.ends_with_done = true;
    }

    /// A token with a length whose content counts.
    pub(super) fn note(&mut self, token: u8, body: &[u8]) {
        match token {
            0xaa => self.error(body),
            0xe3 => self.env_change(body),
            0xad => {
                let version = Reader::new(body.get(1..).unwrap_or_default()).u32_be();
                self.notes.push(Note::LoginAck {
                    version: version.unwrap_or(0),
                });
            }
            0xed => self.notes.push(Note::Sspi(body.to_vec())),
            _ => {}
        }
    }

    fn error(&mut self, body: &[u8]) {
        let mut r = Reader::new(body);
        let number = r.i32_le().unwrap_or(0);
        let state = r.u8().unwrap_or(0);
        let class = r.u8().unwrap_or(0);
        self.worst_class = Some(self.worst_class.unwrap_or(0).max(class));
        if self.error.is_none() {
            let before = r;
            let text = us_varchar(&mut r).unwrap_or_else(|| {
                let mut rest = before;
                rest.skip(2);
                utf16(rest.rest())
            });
            let text: String = text.chars().take(TEXT_CHARS).collect();
            let chars = r.u8().map_or(0, usize::from);
            let server = r.take(chars.saturating_mul(2)).map(utf16);
            self.error = Some(Box::new(ErrorRow {
                number,
                class,
                state,
                text: text.into(),
                server: server.unwrap_or_default().into(),
            }));
        }
    }

    fn env_change(&mut self, body: &[u8]) {
        let mut r = Reader::new(body);
        let kind = r.u8();
        let mut text = || {
            let chars = usize::from(r.u8()?);
            r.take(chars.saturating_mul(2)).map(utf16)
        };
        let note = match kind {
            Some(1) => text().map(Note::Database),
            Some(4) => text()
                .and_then(|size| size.trim().parse().ok())
                .map(Note::PacketSize),
            Some(18) => {
                self.reset_ack = true;
                None
            }
            Some(20 | 21) => Some(Note::Routing),
            _ => None,
        };
        self.notes.extend(note);
    }
}
