//! What is known of one sender in a chain: the message that it is sending, and its side of the SMP session.
//!
//! Bounds: [`HEAD`] bytes of a request, [`LOGIN_HEAD`] of a login step.

use crate::decode::tds;
use crate::store::{RequestKind, SessionEnd, SmpCounts};
use crate::units::{FrameNo, Nanos, PerEnd, SmpSeq};

use super::missing::{self, Missing, Seen, UnderWay};
use super::out::StallId;
use super::request_text::{Said, Texts};
use super::requests;

/// Bytes kept of a request, for its text.
const HEAD: usize = 2048;
/// Bytes kept of PRELOGIN, LOGIN7 and handshake messages.
const LOGIN_HEAD: usize = 16 << 10;

/// A TDS message being sent.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) kind: u8,
    pub(super) first_frame: FrameNo,
    pub(super) first_time: Nanos,
    /// What the first packet of a request says, where it says all that is asked.
    pub(super) said: Option<Said>,
    /// Bytes are missing in its head: nothing more is added.
    pub(super) head_cut: bool,
    pub(super) last_packet_id: u8,
    pub(super) packet_len: u16,
    /// Body bytes that go to the token walk.
    pub(super) walked: bool,
    /// Body bytes of a PRELOGIN, login or wrapped TLS flight.
    pub(super) login_step: bool,
    /// Its first packet is there and not complete yet.
    pub(super) starts: bool,
    /// Its first byte says whether it is TLS or an answer.
    pub(super) open: bool,
}

impl Message {
    /// The first bytes of a message that may be a step of the login or an answer say which it is.
    pub(super) fn first_bytes_tell(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first()
            && std::mem::take(&mut self.open)
            && !(0x14..=0x17).contains(first)
        {
            self.login_step = false;
            self.walked = true;
        }
    }

    /// Keeps in its head what is needed later of body bytes behind which their packet has `left` more.
    pub(super) fn keep(
        &mut self,
        head: &mut Vec<u8>,
        bytes: &[u8],
        left: usize,
        texts: &mut Texts,
    ) {
        let kind = requests::kind(self.kind);
        let limit = match kind {
            Some(RequestKind::BulkLoad) => 0,
            Some(_) => HEAD,
            None if self.login_step => LOGIN_HEAD,
            None => 0,
        };
        if self.head_cut || self.said.is_some() || head.len() >= limit {
            return;
        }
        let room = limit.saturating_sub(head.len());
        let bytes = bytes.get(..room).unwrap_or(bytes);
        // Mostly the first packet comes in one piece, and nothing of it has to be kept.
        if let Some(kind) = kind
            && self.starts
            && head.is_empty()
            && (left == 0 || bytes.len() == limit)
        {
            let said = texts.said(kind, bytes, false);
            if said.is_all() {
                self.said = Some(said);
                return;
            }
        }
        head.extend_from_slice(bytes);
    }

    /// What it says of itself so far, with this head, if it is a request.
    pub(super) fn says(&self, kind: RequestKind, head: &[u8], texts: &mut Texts) -> Said {
        self.said
            .unwrap_or_else(|| self.says_by_head(kind, head, texts))
    }

    #[cold]
    fn says_by_head(&self, kind: RequestKind, head: &[u8], texts: &mut Texts) -> Said {
        texts.said(kind, head, self.head_cut)
    }

    /// Whether it goes on with a packet, where nothing is missing in front of that.
    #[inline]
    pub(super) fn goes_on_with(&self, packet: UnderWay) -> bool {
        packet.kind == self.kind && packet.last_packet_id == self.last_packet_id.wrapping_add(1)
    }

    /// Goes on with a packet.
    #[inline]
    pub(super) fn go_on_with(&mut self, packet: UnderWay) {
        self.last_packet_id = packet.last_packet_id;
        self.packet_len = packet.packet_len;
    }

    pub(super) fn under_way(&self) -> UnderWay {
        UnderWay {
            kind: self.kind,
            last_packet_id: self.last_packet_id,
            packet_len: self.packet_len,
        }
    }
}

/// One sender's part of a chain.
#[derive(Debug, Default)]
pub(super) struct ChainEnd {
    /// Its part of the session's row, but for the numbers.
    pub(super) row: SessionEnd,
    /// So much of it is counted in the connection's row.
    counted: SmpCounts,
    pub(super) message: Option<Message>,
    /// The first bytes of that message, where they are needed later.
    pub(super) head: Vec<u8>,
    /// Packets missing in front of the next TDS packet.
    pub(super) missing: Missing,
    /// What its direction lacked when its last packet was read.
    pub(super) seen: Seen,
    /// Inside SMP: bytes left of the TDS packet at hand, and the header as far as it came.
    pub(super) packet_left: usize,
    header: Vec<u8>,
    /// Status bits of the packet at hand, which need not be those of the first one in its DATA.
    pub(super) status: u8,
    pub(super) in_packet: bool,
    pub(super) smp: SmpEnd,
}

impl ChainEnd {
    /// A sender at the start of a session.
    pub(super) fn starting(smp: SmpEnd, seen: Seen) -> Self {
        Self {
            seen,
            smp,
            ..Self::default()
        }
    }

    /// Adds to the packets of a connection's end those that were not counted yet.
    pub(super) fn count(&mut self, counts: &mut SmpCounts) {
        let before = std::mem::replace(&mut self.counted, self.row.counts);
        counts.add_since(before, self.counted);
    }

    /// Its part of the session's row.
    pub(super) fn session_end(&self) -> SessionEnd {
        let (row, smp) = (self.row, &self.smp);
        SessionEnd {
            last_seqnum: row.last_pdu.map(|_| smp.last_seq),
            last_wndw: row.last_pdu.map(|_| smp.wnd),
            last_data_seqnum: row.last_data.map(|_| smp.last_data),
            ..row
        }
    }

    /// A TDS packet begins. Whether it is simply the next one of its message, as most packets are of a long one.
    #[inline]
    pub(super) fn goes_on_with(&mut self, header: tds::Header) -> bool {
        self.status = header.status;
        let packet = UnderWay::with(header);
        if self.missing == Missing::Nothing
            && let Some(message) = &mut self.message
            && message.goes_on_with(packet)
        {
            message.go_on_with(packet);
            return true;
        }
        false
    }

    /// Inside SMP, as [`ChainEnd::goes_on_with`].
    #[inline]
    pub(super) fn begins_packet(&mut self, header: tds::Header) -> bool {
        self.packet_left = usize::from(header.length.saturating_sub(8));
        self.in_packet = true;
        self.goes_on_with(header)
    }

    /// Inside SMP: whether the first bytes of the next TDS packet's header have come, and not all of them.
    pub(super) fn has_part_of_header(&self) -> bool {
        !self.header.is_empty()
    }

    /// Inside SMP: the header of the next TDS packet, and what follows it; `None` until all of it has come.
    #[cold]
    pub(super) fn header_in_parts<'a>(
        &mut self,
        bytes: &'a [u8],
    ) -> Option<(tds::Header, &'a [u8])> {
        let want = tds::HEADER_LEN.saturating_sub(self.header.len());
        let (part, rest) = bytes.split_at_checked(want).unwrap_or((bytes, &[]));
        self.header.extend_from_slice(part);
        let header = tds::Header::read(&self.header)?;
        self.header.clear();
        Some((header, rest))
    }

    /// Packets are missing in front of the next one: what was under way inside a DATA does not go on.
    pub(super) fn miss(&mut self, missing: Missing) {
        self.missing = self.missing.and(missing);
        if missing.is_something() {
            self.packet_left = 0;
            self.in_packet = false;
            self.header.clear();
        }
    }
}

/// One side of an SMP session, for the checks.
#[derive(Debug, Clone, Copy)]
pub(super) struct SmpEnd {
    /// SEQNUM of the last DATA.
    pub(super) seq: SmpSeq,
    /// SEQNUM of the last DATA that the other end had taken when it began its last request.
    pub(super) settled: SmpSeq,
    /// The last WNDW.
    pub(super) wnd: SmpSeq,
    /// The numbers are certain, up to the holes since then.
    pub(super) synced: bool,
    pub(super) fin: bool,
    /// Stands still for want of window since then, and what each direction lacked at that time.
    pub(super) blocked: Option<(Nanos, PerEnd<Seen>)>,
    /// By this the beginning of that is marked, where several points may show it.
    pub(super) mark: StallId,
    /// Has used the last slot of its window once: not a sender that stops one earlier.
    pub(super) used_last_slot: bool,
    /// SEQNUM of the last packet, if there is one.
    pub(super) last_seq: SmpSeq,
    /// SEQNUM of the last DATA, if there is one.
    pub(super) last_data: SmpSeq,
}

impl Default for SmpEnd {
    fn default() -> Self {
        Self {
            seq: SmpSeq(0),
            settled: SmpSeq(0),
            wnd: SmpSeq(missing::WINDOW),
            synced: false,
            fin: false,
            blocked: None,
            mark: StallId(0),
            used_last_slot: false,
            last_seq: SmpSeq(0),
            last_data: SmpSeq(0),
        }
    }
}

impl SmpEnd {
    /// SEQNUM of the last DATA that is read or known to be over.
    pub(super) fn last(&self) -> SmpSeq {
        if self.seq.before(self.settled) {
            self.settled
        } else {
            self.seq
        }
    }
}
