//! What the framers' PDUs do to the rows: a connection's upper layers with what they write to.

use crate::decode::smp;
use crate::decode::tds;
use crate::decode::tds::packet_type as pt;
use crate::store::{CheckId, ConnRow, Encryption, PduFlags, PduKind, PduRow, Phase, Protocol};
use crate::units::{End, FrameNo, PduId, Sid, StreamPos};

use super::super::chain::{Chain, Moment};
use super::super::framing::{OpenPdu, SidState, Sink, Unread};
use super::super::login::{self, LoginState};
use super::super::missing::Missing;
use super::super::order::At;
use super::super::out::{Broken, Ctx, error};
use super::super::recognise::Known;
use super::super::requests;
use super::super::sessions;
use super::Upper;

/// The upper layers with the rows that they write to, while a piece of what an end sends goes through.
pub(super) struct Layer<'a, 'b> {
    pub(super) moment: Moment<'a>,
    pub(super) upper: &'a mut Upper,
    pub(super) ctx: &'a mut Ctx<'b>,
}

impl Layer<'_, '_> {
    #[inline(never)]
    fn open_plain(&mut self, pdu: &mut OpenPdu, header: Option<tds::Header>) {
        let Moment { end, around, .. } = self.moment;
        match header {
            Some(header) => {
                if self.ctx.row.known_client() != Some(end) && header.kind == pt::TABULAR_RESULT {
                    login::spid(header.spid, self.ctx);
                }
                if !self.ctx.row.smp_seen && self.ctx.row.tls.is_some() {
                    self.clear_again();
                }
                let upper = &mut *self.upper;
                let side = upper.plain.ends.get_mut(end);
                let seen = std::mem::replace(&mut side.seen, around.seen(end));
                side.miss(Missing::by_holes(seen, side.seen));
                upper.plain.packet_start(
                    &self.moment,
                    header,
                    &mut pdu.row,
                    &upper.login,
                    self.ctx,
                );
            }
            None if pdu.row.kind == PduKind::Tls
                && pdu.row.pos == StreamPos(0)
                && self.ctx.row.syn_frame.is_some()
                && self.ctx.row.encryption.is_none() =>
            {
                self.ctx.row.encryption = Some(Encryption::Strict);
            }
            None => {}
        }
    }

    #[cold]
    fn other_body(&mut self, pdu: &mut OpenPdu, bytes: &[u8]) {
        let end = self.moment.end;
        match pdu.row.kind {
            PduKind::Tds => {
                let texts = &mut self.ctx.out.texts;
                self.upper.plain.packet_body(end, bytes, pdu.left, texts);
            }
            PduKind::Tls if matches!(pdu.row.tds_type, 21 | 22) => {
                let len = u16::try_from(pdu.row.len.saturating_sub(5)).unwrap_or(u16::MAX);
                let [hi, lo] = len.to_be_bytes();
                let header = [pdu.row.tds_type, 3, 3, hi, lo];
                // The record header went by; a hello is read from the handshake bytes behind one.
                let first = usize::try_from(pdu.come()) == Ok(bytes.len().saturating_add(5));
                let bytes = if first {
                    [&header[..], bytes].concat()
                } else {
                    bytes.to_vec()
                };
                let frame = pdu.row.first_frame;
                self.upper
                    .login
                    .handshake_bytes(end, &bytes, frame, self.ctx);
                self.ctx.phase(Phase::Tls, frame, None);
            }
            _ => {}
        }
    }

    #[inline(never)]
    fn plain_row(&mut self, pdu: &mut PduRow, done: FrameNo) {
        let id = self.ctx.out.next_pdu();
        pdu.prev = self.ctx.row.last_plain_pdu.get_mut(pdu.end).replace(id);
        pdu.conn = self.ctx.row.id;
        self.ctx.row.first_pdu.get_or_insert(id);
        complete(pdu, done);
        self.ctx.out.push_pdu(pdu);
        count_wrong_bits(pdu, self.ctx.row);
    }

    #[cold]
    fn plain_body(&mut self, pdu: &mut OpenPdu, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.other_body(pdu, bytes);
        }
        if pdu.left == 0 {
            self.finish_plain(pdu);
        }
    }

    #[cold]
    fn finish_plain(&mut self, pdu: &mut OpenPdu) {
        let id = self.ctx.out.next_pdu();
        let upper = &mut *self.upper;
        match pdu.row.kind {
            PduKind::Tds => {
                upper
                    .plain
                    .packet_end(&self.moment, &mut pdu.row, id, &mut upper.login, self.ctx);
                self.check_plain(&pdu.row, id);
            }
            PduKind::Tls => {
                upper.bare_tls = true;
                upper.login.record(
                    self.moment.end,
                    pdu.row.tds_type,
                    pdu.row.first_frame,
                    self.ctx,
                );
            }
            _ => {}
        }
        self.plain_row(&mut pdu.row, self.moment.at.done);
    }
}

/// An SMP packet of a session is complete.
#[expect(
    clippy::inline_always,
    reason = "what is usual of a piece is not to be taken apart"
)]
#[inline(always)]
fn finish_smp(
    chain: &mut Chain,
    moment: &Moment<'_>,
    pdu: &mut PduRow,
    login: &mut LoginState,
    ctx: &mut Ctx<'_>,
) {
    let id = ctx.out.next_pdu();
    sessions::packet(chain, moment, pdu, id, ctx);
    if pdu.kind == PduKind::Data {
        chain.data_end(moment, pdu, id, login, ctx);
    }
    if let Some(session) = &mut chain.session {
        let done = moment.at.done;
        if pdu.first_frame < session.open_frame {
            session.open_frame = pdu.first_frame;
        }
        session.last_frame = session.last_frame.max(done);
        complete(pdu, done);
        ctx.out.push_smp(session, pdu);
        count_wrong_bits(pdu, ctx.row);
    }
}

/// A PDU is complete with a frame.
#[inline]
fn complete(pdu: &mut PduRow, done: FrameNo) {
    pdu.frame = done;
    if done < pdu.first_frame {
        pdu.first_frame = done;
    }
}

#[inline]
fn count_wrong_bits(pdu: &PduRow, conn: &mut ConnRow) {
    if pdu.wrong_reset_bits() {
        login::count_wrong_reset_bits(conn, pdu.end);
    }
}

/// What a header breaks from which no packet can be read.
fn no_header(header: smp::Header) -> Broken {
    let length = format!("LENGTH {}", header.length);
    match header.flags {
        _ if header.length < 16 => error(CheckId::H3, length),
        _ if header.length > smp::MAX_DATA_LEN => error(CheckId::H6, length),
        smp::SYN | smp::ACK | smp::FIN => {
            error(CheckId::H4, format!("control packet with {length}"))
        }
        flags => error(CheckId::H2, format!("FLAGS 0x{flags:02x}")),
    }
}

impl Sink for Layer<'_, '_> {
    #[inline]
    fn end(&self) -> End {
        self.moment.end
    }

    fn known(&self) -> Known {
        let row = &*self.ctx.row;
        let login = row.login.as_deref();
        Known {
            from_start: row.syn_frame.is_some(),
            proven: self.upper.proven,
            sql_port: self.upper.sql_port,
            client: row.known_client(),
            mars: row.mars,
            logged_in: self.upper.login.logged_in,
            bare_tls: self.upper.bare_tls,
            plain_handshake: row
                .tls
                .as_ref()
                .and_then(|tls| tls.version)
                .is_some_and(|version| version != "TLS 1.3"),
            smp: row.smp_seen,
            packet_size: login.and_then(|l| l.packet_size),
            spid: login.and_then(|l| l.spid),
        }
    }

    fn sid_state(&self, sid: Sid) -> SidState {
        match self.upper.sessions.of(sid) {
            None => SidState::Unknown,
            Some((_, chain)) => {
                let side = &chain.ends.get(self.moment.end).smp;
                if side.synced {
                    SidState::At(side.seq)
                } else {
                    SidState::Unsure
                }
            }
        }
    }

    fn is_proven(&self) -> bool {
        self.upper.proven
    }

    fn prove(&mut self, tds_type: Option<u8>) {
        let end = self.moment.end;
        self.upper.proven = true;
        self.ctx.row.protocol = Protocol::Tds;
        if let Some(tds_type) = tds_type {
            login::client_by_type(self.ctx.row, end, tds_type);
        }
    }

    fn open(&mut self, pdu: &mut OpenPdu, header: Option<tds::Header>) {
        let Moment { end, around, .. } = self.moment;
        around.set_lost(end, false);
        if pdu.row.kind.is_smp() {
            if !*self.upper.smp_in.get(self.moment.end) {
                self.first_smp();
            }
            self.open_smp(pdu);
        } else {
            self.open_plain(pdu, header);
        }
    }

    #[expect(
        clippy::inline_always,
        reason = "most PDUs are opened by the framer's loop, which is to stay in one piece"
    )]
    #[inline(always)]
    fn open_smp(&mut self, pdu: &mut OpenPdu) {
        match self.upper.sessions.latest_of(pdu.row.sid) {
            Some((place, chain)) if sessions::just_goes_on(chain, &self.moment, &pdu.row) => {
                pdu.chain = place;
            }
            _ => self.open_other_smp(pdu),
        }
    }

    #[expect(
        clippy::inline_always,
        reason = "what is usual of a piece is not to be taken apart"
    )]
    #[inline(always)]
    fn body(&mut self, pdu: &mut OpenPdu, bytes: &[u8]) {
        if !pdu.row.kind.is_smp() {
            return self.plain_body(pdu, bytes);
        }
        // The session is looked up once for both.
        let upper = &mut *self.upper;
        let Some(chain) = upper.sessions.change(pdu.chain) else {
            return;
        };
        let (moment, row, login) = (&self.moment, &mut pdu.row, &mut upper.login);
        if row.kind == PduKind::Data && !bytes.is_empty() {
            chain.data_body(moment, row, bytes, login, self.ctx);
        }
        if pdu.left == 0 {
            finish_smp(chain, moment, row, login, self.ctx);
        }
    }

    fn body_hidden(&mut self, pdu: &mut OpenPdu, len: usize) {
        let end = self.moment.end;
        match pdu.row.kind {
            PduKind::Tds => self.upper.plain.packet_hidden(end),
            PduKind::Data => {
                if let Some(chain) = self.upper.sessions.at(pdu.chain) {
                    chain.data_hidden(end, &mut pdu.row, len);
                }
            }
            _ => {}
        }
    }

    fn unfinished(&mut self, pdu: &mut OpenPdu, done: FrameNo) {
        let come = pdu.come();
        let end = self.moment.end;
        self.moment.around.note_unread(end, u64::from(come));
        let at = At {
            done,
            ..*self.moment.at
        };
        let moment = Moment {
            at: &at,
            ..self.moment
        };
        let upper = &mut *self.upper;
        let chain = match pdu.row.kind {
            PduKind::Tds => Some(&mut upper.plain),
            kind if kind.is_smp() => upper.sessions.at(pdu.chain),
            _ => None,
        };
        let row = &mut pdu.row;
        row.session = None;
        if let Some(chain) = chain {
            sessions::tell_unopened(chain, done, None, self.ctx);
            // What it was to be is said by its header, and so is that a request began.
            if row.flags.has(PduFlags::TDS_HEADER) {
                chain.packet_unfinished(&moment, row, &mut upper.login, self.ctx);
            }
            if let Some(session) = &mut chain.session {
                session.holes = true;
                chain.changed = true;
                row.session = Some(session.id);
            }
        }
        let hidden = row.flags.has(PduFlags::BODY_HIDDEN);
        row.kind = if hidden {
            PduKind::Hidden
        } else {
            PduKind::Unknown
        };
        row.flags.set(PduFlags::UNFINISHED);
        row.len = come;
        self.plain_row(&mut pdu.row, done);
        self.ctx.out.bad_pdu |= !hidden;
    }

    fn hole(&mut self) {
        self.moment.around.note_hole(self.moment.end);
    }

    fn lost(&mut self, view: &[u8]) {
        self.hole();
        self.moment.around.set_lost(self.moment.end, true);
        // A few bytes in front of a hole may begin a packet of the login.
        let is_due = || view.len() >= tds::HEADER_LEN && self.smp_is_due();
        if !*self.upper.smp_in.get(self.moment.end) && !is_due() {
            return;
        }
        let broken = match (view.first(), smp::Header::read(view)) {
            (None, _) | (Some(&smp::SMID), None) => return,
            (Some(byte), None) => {
                let fact = format!("byte 0x{byte:02x} where an SMP header must start");
                error(CheckId::H1, fact)
            }
            (_, Some(header)) => no_header(header),
        };
        self.ctx.violation(broken, self.moment.at.done, None, None);
    }

    fn unread(&mut self, unread: Unread, done: FrameNo) {
        let end = self.moment.end;
        self.moment.around.note_unread(end, unread.len);
        let mut pos = unread.pos;
        let mut left = unread.len;
        let mut flags = PduFlags::default();
        if unread.unfinished {
            flags.set(PduFlags::UNFINISHED);
        }
        while left > 0 {
            let len = u32::try_from(left).unwrap_or(u32::MAX);
            let kind = if unread.hidden {
                PduKind::Hidden
            } else {
                PduKind::Unknown
            };
            let mut row = OpenPdu::new(kind, end, pos, unread.first_frame).row;
            row.flags = flags;
            row.len = len;
            self.plain_row(&mut row, done);
            self.ctx.out.bad_pdu |= kind == PduKind::Unknown;
            pos = pos.saturating_add(u64::from(len));
            left = left.saturating_sub(u64::from(len));
        }
    }
}

impl Layer<'_, '_> {
    /// As [`Layer::open_smp`], of a packet that need not be the next of the session that the packet before it was of.
    #[inline(never)]
    fn open_other_smp(&mut self, pdu: &mut OpenPdu) {
        pdu.chain = match self.upper.sessions.latest_of(pdu.row.sid) {
            Some((place, chain)) if self.belongs_to(chain, &pdu.row) => place,
            _ => self.other_session(&pdu.row),
        };
        if let Some(chain) = self.upper.sessions.at(pdu.chain) {
            sessions::arrive(chain, &self.moment, &pdu.row);
        }
    }

    /// Whether a packet belongs to the life of its Sid that a chain is.
    fn belongs_to(&self, chain: &Chain, pdu: &PduRow) -> bool {
        let (moment, conn) = (&self.moment, &*self.ctx.row);
        pdu.kind != PduKind::Syn && !sessions::opened_in_a_hole(chain, moment, pdu, conn)
    }

    /// The place of a packet's session that is not the one of the packet before, or begins with this packet.
    #[inline(never)]
    fn other_session(&mut self, pdu: &PduRow) -> usize {
        let end = self.moment.end;
        if pdu.kind == PduKind::Syn && self.ctx.row.client_evidence.is_none() {
            self.ctx.row.client = end;
            self.ctx.row.client_evidence = Some("it opens SMP sessions");
        }
        let place = match self.upper.sessions.of(pdu.sid) {
            Some((place, chain)) if self.belongs_to(chain, pdu) => place,
            _ => self.upper.begin_life(&self.moment, pdu, self.ctx),
        };
        self.upper.sessions.latest = (pdu.sid, place);
        place
    }

    /// Whether nothing but SMP may come any more, by what both ends have agreed on or by what one of them does.
    fn smp_is_due(&self) -> bool {
        let row = &*self.ctx.row;
        let agreed = row.mars == Some(true) && self.upper.login.logged_in;
        (agreed || row.smp_seen) && !self.upper.bare_tls
    }

    /// A TDS packet outside SMP is complete: with MARS the client asks for nothing there. One such packet tells of all.
    fn check_plain(&mut self, pdu: &PduRow, id: PduId) {
        let row = &*self.ctx.row;
        let asks = requests::kind(pdu.tds_type).is_some() || pdu.tds_type == pt::ATTENTION;
        let from_client = row.known_client() == Some(self.moment.end);
        if asks && from_client && row.mars == Some(true) && !self.upper.asked_outside {
            self.upper.asked_outside = true;
            let fact = format!("TDS packet of type {} outside SMP", pdu.tds_type);
            let done = self.moment.at.done;
            self.ctx
                .violation(error(CheckId::M1, fact), done, Some(id), None);
        }
    }

    /// The first SMP packet of a direction.
    fn first_smp(&mut self) {
        let at = self.moment.at;
        *self.upper.smp_in.get_mut(self.moment.end) = true;
        if self.ctx.row.prelogin.server_mars == Some(false) && !self.ctx.row.smp_seen {
            let fact = "SMP although MARS was refused".to_owned();
            self.ctx
                .violation(error(CheckId::M1, fact), at.done, None, None);
        }
        if self.ctx.row.tls.is_some() {
            self.clear_again();
        }
        self.ctx.row.smp_seen = true;
        self.ctx.row.mars = Some(true);
        self.upper.login.logged_in = true;
    }

    /// Clear text behind TLS: only the login was encrypted.
    fn clear_again(&mut self) {
        let row = &mut *self.ctx.row;
        if self.upper.login.login_was_sent() && row.encryption.is_none() {
            login::clear_again(row);
        }
    }
}
