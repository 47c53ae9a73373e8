//! What stands above one connection's byte streams: its PDUs, sessions, messages and requests.
//!
//! Bounds: a session per Sid (65 536 at most), each with the state of its latest life only.

use rustc_hash::FxHashMap;

use crate::decode::smp;
use crate::decode::tds;
use crate::decode::tds::packet_type as pt;
use crate::store::{CheckId, Encryption, PduFlags, PduKind, PduRow, Phase, Protocol, SessionRow};
use crate::units::{End, FrameNo, PduId, PerEnd, Sid, StreamPos};

use super::chain::{Chain, Moment};
use super::framing::{Framer, OpenPdu, SidState, Sink, Unread};
use super::login::{self, LoginState};
use super::missing::{Around, Missing};
use super::order::{At, Piece};
use super::out::{Ctx, error};
use super::recognise::Known;
use super::sessions;

/// A connection's framers and what they feed; made with its first payload.
#[derive(Debug, Default)]
pub(super) struct Deep {
    framers: PerEnd<Framer>,
    upper: Upper,
}

impl Deep {
    /// The next piece of a direction's stream.
    pub(super) fn piece(&mut self, end: End, piece: &Piece<'_>, facts: Facts, ctx: &mut Ctx<'_>) {
        self.upper.learn(facts);
        let mut layer = Layer {
            upper: &mut self.upper,
            ctx,
        };
        let framer = self.framers.get_mut(end);
        framer.piece(end, piece, &mut layer);
        if !self.upper.proven && framer.is_other() {
            for framer in &mut self.framers.0 {
                framer.set_other();
            }
        }
    }

    /// Whether the connection carries nothing of interest: its payload need not be looked at any more.
    pub(super) fn is_other(&self) -> bool {
        self.framers.0.iter().all(Framer::is_other)
    }

    /// Nothing more comes. `next` are the positions behind each end's last byte, `closed_by` the frame with the
    /// first FIN or RST.
    pub(super) fn end(
        &mut self,
        next: PerEnd<u64>,
        closed_by: Option<FrameNo>,
        facts: Facts,
        at: At,
        ctx: &mut Ctx<'_>,
    ) {
        self.upper.learn(facts);
        let mut layer = Layer {
            upper: &mut self.upper,
            ctx,
        };
        for end in End::BOTH {
            self.framers
                .get_mut(end)
                .end(end, *next.get(end), &at, &mut layer);
        }
        self.upper.end(closed_by, ctx);
    }

    /// Puts the changed sessions and requests into the batch.
    pub(super) fn flush(&mut self, ctx: &mut Ctx<'_>) {
        self.upper.flush(ctx);
    }
}

/// What the layer of TCP knows and the layers above need.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Facts {
    pub(super) client: Option<End>,
    pub(super) sql_port: bool,
    /// Bytes acknowledged that were not seen (yet): nothing may be missed of what they hold.
    pub(super) behind_ack: PerEnd<bool>,
}

/// The sessions of a connection: the latest life of each Sid.
#[derive(Debug, Default)]
struct Sessions {
    places: FxHashMap<Sid, usize>,
    #[expect(
        clippy::vec_box,
        reason = "a chain is large, and a list of them would hold room for three more where there is one"
    )]
    chains: Vec<Box<Chain>>,
    /// The place that was asked for last: mostly it is asked for again.
    latest: usize,
    /// Places of those with changed rows.
    changed: Vec<usize>,
}

impl Sessions {
    #[inline]
    fn of(&self, sid: Sid) -> Option<(usize, &Chain)> {
        if let Some(chain) = self.chains.get(self.latest)
            && chain.session.as_ref().is_some_and(|s| s.sid == sid)
        {
            return Some((self.latest, chain));
        }
        let place = *self.places.get(&sid)?;
        Some((place, self.chains.get(place)?))
    }

    fn at(&mut self, place: usize) -> Option<&mut Chain> {
        self.chains.get_mut(place).map(Box::as_mut)
    }

    /// A life of a Sid begins, in place of the one before if there was one.
    fn begin(&mut self, sid: Sid, chain: Chain, ctx: &mut Ctx<'_>) -> usize {
        let place = *self.places.entry(sid).or_insert(self.chains.len());
        match self.chains.get_mut(place) {
            Some(old) => {
                old.flush(ctx);
                **old = chain;
            }
            None => self.chains.push(Box::new(chain)),
        }
        place
    }

    /// The rows of a session have changed.
    #[inline]
    fn touch(&mut self, place: usize) {
        if let Some(chain) = self.chains.get_mut(place)
            && !std::mem::replace(&mut chain.listed, true)
        {
            self.changed.push(place);
        }
    }
}

#[derive(Debug, Default)]
struct Upper {
    around: Around,
    sql_port: bool,
    proven: bool,
    plain: Chain,
    sessions: Sessions,
    login: LoginState,
    /// A TLS record outside TDS packets was read.
    bare_tls: bool,
    /// The SMP switch-over has been seen in a direction.
    smp_in: PerEnd<bool>,
}

impl Upper {
    fn learn(&mut self, facts: Facts) {
        self.around.client = facts.client;
        self.around.behind_ack = facts.behind_ack;
        self.sql_port = facts.sql_port;
    }

    fn flush(&mut self, ctx: &mut Ctx<'_>) {
        let Sessions {
            chains, changed, ..
        } = &mut self.sessions;
        for place in changed.drain(..) {
            if let Some(chain) = chains.get_mut(place) {
                chain.listed = false;
                chain.flush(ctx);
            }
        }
        self.plain.flush(ctx);
    }

    fn end(&mut self, closed_by: Option<FrameNo>, ctx: &mut Ctx<'_>) {
        let mut places: Vec<(Sid, usize)> =
            self.sessions.places.iter().map(|(s, p)| (*s, *p)).collect();
        places.sort_unstable();
        let around = &self.around;
        for (_, place) in places {
            let Some(chain) = self.sessions.at(place) else {
                continue;
            };
            if sessions::may_lack_an_end(chain, around)
                && let Some(session) = &mut chain.session
            {
                session.holes = true;
                chain.changed = true;
            }
            chain.end(around, ctx);
            if let Some((broken, frame)) = closed_by.and_then(|f| sessions::left_open(chain, f)) {
                let id = chain.session.as_ref().map(|s| s.id);
                ctx.violation(broken, frame, None, id);
            }
            chain.flush(ctx);
        }
        self.plain.end(around, ctx);
        self.plain.flush(ctx);
        self.sessions.changed.clear();
    }

    /// The place of a packet's session; a Sid that was never opened gets one from its first packet on.
    #[inline]
    fn session_for(&mut self, end: End, pdu: &OpenPdu, at: &At, ctx: &mut Ctx<'_>) -> usize {
        match self.sessions.of(pdu.sid) {
            Some((place, chain))
                if pdu.kind != PduKind::Syn
                    && !sessions::opened_in_a_hole(chain, end, pdu, &self.around) =>
            {
                place
            }
            _ => self.begin_life(end, pdu, at, ctx),
        }
    }

    /// A life of a Sid begins, if it can.
    #[inline(never)]
    fn begin_life(&mut self, end: End, pdu: &OpenPdu, at: &At, ctx: &mut Ctx<'_>) -> usize {
        let life = match self.sessions.of(pdu.sid) {
            Some((place, old)) => {
                let reopen = if pdu.kind == PduKind::Syn {
                    sessions::reopen(old)
                } else {
                    sessions::Reopen::Legal
                };
                let id = old.session.as_ref().map(|s| s.id);
                let pdu_id = ctx.out.next_pdu();
                let frame = pdu.first_frame.min(at.done);
                ctx.violation(reopen.broken(), frame, Some(pdu_id), id);
                if reopen == sessions::Reopen::WhileOpen {
                    return place;
                }
                old.session.as_ref().map_or(1, |s| s.life).saturating_add(1)
            }
            None => 1,
        };
        self.begin_session(end, pdu, life, at, ctx)
    }

    fn begin_session(
        &mut self,
        end: End,
        pdu: &OpenPdu,
        life: u32,
        at: &At,
        ctx: &mut Ctx<'_>,
    ) -> usize {
        let sid = pdu.sid;
        let is_syn = pdu.kind == PduKind::Syn;
        let at = At {
            done: pdu.first_frame.min(at.done),
            ..*at
        };
        let client_holes = self.around.client.map_or(0, |c| *self.around.holes.get(c));
        let behind = self
            .around
            .client
            .is_some_and(|c| *self.around.behind_ack.get(c));
        if !is_syn && ctx.row.syn_frame.is_some() && client_holes == 0 && !behind {
            let fact = format!("packet for Sid {sid}, which was not opened");
            ctx.violation(error(CheckId::S1, fact), at.done, None, None);
        }
        let id = ctx.out.new_session();
        let syn = is_syn.then_some(pdu.wndw);
        let row: SessionRow = sessions::new_life(ctx, id, sid, life, at, syn);
        let ends = sessions::starting_ends(&self.around, is_syn);
        let place = self.sessions.begin(sid, Chain::starting(row, ends), ctx);
        self.sessions.touch(place);
        if is_syn && end == ctx.row.client {
            ctx.phase(Phase::SessionOpen, at.done, Some(sid));
        }
        place
    }
}

/// The upper layers with the rows that they write to, while a piece goes through.
struct Layer<'a, 'b> {
    upper: &'a mut Upper,
    ctx: &'a mut Ctx<'b>,
}

impl Layer<'_, '_> {
    #[inline]
    fn open_smp(&mut self, end: End, pdu: &mut OpenPdu, at: &At) {
        if !*self.upper.smp_in.get(end) || pdu.kind == PduKind::Syn {
            self.first_smp(end, pdu.kind, at);
        }
        self.ctx.row.smp_seen = true;
        self.ctx.row.mars = Some(true);
        pdu.chain = self.upper.session_for(end, pdu, at, self.ctx);
        let upper = &mut *self.upper;
        upper.sessions.latest = pdu.chain;
        if let Some(chain) = upper.sessions.at(pdu.chain) {
            sessions::arrive(chain, end, pdu, &upper.around);
            pdu.session = chain.session.as_ref().map(|s| s.id);
        }
    }

    #[inline(never)]
    fn open_plain(&mut self, end: End, pdu: &mut OpenPdu, header: Option<tds::Header>, at: &At) {
        match header {
            Some(header) => {
                if self.upper.around.client != Some(end) && header.kind == pt::TABULAR_RESULT {
                    login::spid(header.spid, self.ctx);
                }
                if !self.ctx.row.smp_seen && self.ctx.row.tls.is_some() {
                    self.clear_again();
                }
                let upper = &mut *self.upper;
                let side = upper.plain.ends.get_mut(end);
                let seen = std::mem::replace(&mut side.seen, upper.around.seen(end));
                side.miss(Missing::by_holes(seen, side.seen));
                let moment = Moment {
                    end,
                    at,
                    around: &upper.around,
                };
                upper
                    .plain
                    .packet_start(&moment, header, pdu, &upper.login, self.ctx);
            }
            None if pdu.kind == PduKind::Tls
                && pdu.pos == 0
                && self.ctx.row.syn_frame.is_some()
                && self.ctx.row.encryption.is_none() =>
            {
                self.ctx.row.encryption = Some(Encryption::Strict);
            }
            None => {}
        }
    }

    /// Bytes of an SMP:DATA.
    #[inline]
    fn data(&mut self, end: End, pdu: &mut OpenPdu, bytes: &[u8], at: &At) {
        let upper = &mut *self.upper;
        if let Some(chain) = upper.sessions.at(pdu.chain)
            && !chain.goes_on_with(end, bytes, &mut self.ctx.out.texts)
        {
            let moment = Moment {
                end,
                at,
                around: &upper.around,
            };
            chain.data_body(&moment, pdu, bytes, &mut upper.login, self.ctx);
            if chain.changed && !chain.listed {
                upper.sessions.touch(pdu.chain);
            }
        }
        if self.ctx.row.client_evidence.is_none() && pdu.flags.has(PduFlags::TDS_HEADER) {
            self.prove(end, Some(pdu.tds_type));
        }
    }

    #[inline(never)]
    fn other_body(&mut self, end: End, pdu: &mut OpenPdu, bytes: &[u8]) {
        match pdu.kind {
            PduKind::Tds => {
                let texts = &mut self.ctx.out.texts;
                self.upper.plain.packet_body(end, bytes, pdu.left, texts);
            }
            PduKind::Tls if matches!(pdu.tds_type, 21 | 22) => {
                let len = u16::try_from(pdu.len.saturating_sub(5)).unwrap_or(u16::MAX);
                let [hi, lo] = len.to_be_bytes();
                let header = [pdu.tds_type, 3, 3, hi, lo];
                // The record header went by; a hello is read from the handshake bytes behind one.
                let read = pdu.len.saturating_sub(pdu.left);
                let first = usize::try_from(read) == Ok(bytes.len().saturating_add(5));
                let bytes = if first {
                    [&header[..], bytes].concat()
                } else {
                    bytes.to_vec()
                };
                let frame = pdu.first_frame;
                self.upper
                    .login
                    .handshake_bytes(end, &bytes, frame, self.ctx);
                self.ctx.phase(Phase::Tls, frame, None);
            }
            _ => {}
        }
    }

    fn plain_row(&mut self, end: End, pdu: &OpenPdu, at: &At) -> PduId {
        let prev = *self.ctx.row.last_plain_pdu.get(end);
        let id = self.push(end, pdu, prev, at);
        *self.ctx.row.last_plain_pdu.get_mut(end) = Some(id);
        id
    }

    #[inline]
    fn push(&mut self, end: End, pdu: &OpenPdu, prev: Option<PduId>, at: &At) -> PduId {
        let row = PduRow {
            frame: at.done,
            first_frame: pdu.first_frame.min(at.done),
            conn: self.ctx.row.id,
            end,
            kind: pdu.kind,
            flags: pdu.flags,
            pos: StreamPos(pdu.pos),
            len: pdu.len,
            session: pdu.session,
            sid: pdu.sid,
            seqnum: pdu.seqnum,
            wndw: pdu.wndw,
            tds_type: pdu.tds_type,
            tds_status: pdu.tds_status,
            prev,
        };
        if row.wrong_reset_bits() {
            let counts = self.ctx.row.tds.get_mut(end);
            counts.wrong_reset_bits = counts.wrong_reset_bits.saturating_add(1);
        }
        let id = self.ctx.out.push_pdu(&row);
        self.ctx.row.first_pdu.get_or_insert(id);
        self.ctx.row.last_pdu = Some(id);
        id
    }

    #[inline]
    fn finish_smp(&mut self, end: End, pdu: &mut OpenPdu, at: &At) {
        let upper = &mut *self.upper;
        let Some(chain) = upper.sessions.at(pdu.chain) else {
            return;
        };
        let id = self.ctx.out.next_pdu();
        let moment = Moment {
            end,
            at,
            around: &upper.around,
        };
        sessions::packet(chain, &moment, pdu, id, self.ctx);
        if pdu.kind == PduKind::Data {
            chain.data_end(&moment, pdu, id, &mut upper.login, self.ctx);
        }
        let prev = chain.ends.get_mut(end).last_pdu.replace(id);
        sessions::count(self.ctx.row.smp.get_mut(end), pdu.kind);
        if pdu.kind == PduKind::Fin {
            self.ctx.phase(Phase::SessionClosed, at.done, Some(pdu.sid));
        }
        upper.sessions.touch(pdu.chain);
        self.push(end, pdu, prev, at);
    }

    #[inline(never)]
    fn finish_plain(&mut self, end: End, pdu: &mut OpenPdu, at: &At) {
        let id = self.ctx.out.next_pdu();
        let upper = &mut *self.upper;
        match pdu.kind {
            PduKind::Tds => {
                let moment = Moment {
                    end,
                    at,
                    around: &upper.around,
                };
                upper
                    .plain
                    .packet_end(&moment, pdu, id, &mut upper.login, self.ctx);
            }
            PduKind::Tls => {
                upper.bare_tls = true;
                upper
                    .login
                    .record(end, pdu.tds_type, pdu.first_frame, self.ctx);
            }
            _ => {}
        }
        self.plain_row(end, pdu, at);
    }
}

impl Sink for Layer<'_, '_> {
    fn known(&self) -> Known {
        let row = &*self.ctx.row;
        let login = row.login.as_deref();
        Known {
            from_start: row.syn_frame.is_some(),
            proven: self.upper.proven,
            sql_port: self.upper.sql_port,
            client: self.upper.around.client,
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

    fn sid_state(&self, end: End, sid: Sid) -> SidState {
        match self.upper.sessions.of(sid) {
            None => SidState::Unknown,
            Some((_, chain)) => {
                let side = &chain.ends.get(end).smp;
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

    fn prove(&mut self, end: End, tds_type: Option<u8>) {
        self.upper.proven = true;
        self.ctx.row.protocol = Protocol::Tds;
        if self.ctx.row.client_evidence.is_none() {
            let (client, why) = match tds_type {
                Some(pt::TABULAR_RESULT) => (Some(end.other()), "the other end sends results"),
                Some(_) => (Some(end), "it sends requests"),
                None => (None, ""),
            };
            if let Some(client) = client {
                self.ctx.row.client = client;
                self.ctx.row.client_evidence = Some(why);
                self.upper.around.client = Some(client);
            }
        }
    }

    #[inline]
    fn open(&mut self, end: End, pdu: &mut OpenPdu, header: Option<tds::Header>, at: &At) {
        *self.upper.around.lost.get_mut(end) = false;
        if pdu.kind.is_smp() {
            self.open_smp(end, pdu, at);
        } else {
            self.open_plain(end, pdu, header, at);
        }
    }

    #[inline]
    fn body(&mut self, end: End, pdu: &mut OpenPdu, bytes: &[u8], at: &At) {
        if pdu.kind == PduKind::Data {
            self.data(end, pdu, bytes, at);
        } else {
            self.other_body(end, pdu, bytes);
        }
    }

    fn body_hidden(&mut self, end: End, pdu: &mut OpenPdu, len: u32) {
        match pdu.kind {
            PduKind::Tds => self.upper.plain.packet_hidden(end),
            PduKind::Data => {
                if let Some(chain) = self.upper.sessions.at(pdu.chain) {
                    chain.data_hidden(end, pdu, len);
                }
            }
            _ => {}
        }
    }

    #[inline]
    fn finish(&mut self, end: End, pdu: &mut OpenPdu, at: &At) {
        if pdu.kind.is_smp() {
            self.finish_smp(end, pdu, at);
        } else {
            self.finish_plain(end, pdu, at);
        }
    }

    fn unfinished(&mut self, pdu: &OpenPdu) {
        if pdu.kind.is_smp()
            && let Some(chain) = self.upper.sessions.at(pdu.chain)
            && let Some(session) = &mut chain.session
        {
            session.holes = true;
            chain.changed = true;
        }
    }

    fn hole(&mut self, end: End) {
        let holes = self.upper.around.holes.get_mut(end);
        *holes = holes.saturating_add(1);
    }

    fn lost(&mut self, end: End, at: &At, view: &[u8]) {
        self.hole(end);
        *self.upper.around.lost.get_mut(end) = true;
        if !*self.upper.smp_in.get(end) {
            return;
        }
        let broken = match (view.first(), smp::Header::read(view)) {
            (None, _) | (Some(&smp::SMID), None) => return,
            (Some(byte), None) => {
                let fact = format!("byte 0x{byte:02x} where an SMP header must start");
                error(CheckId::H1, fact)
            }
            (_, Some(header)) => {
                let check = if header.length < 16 {
                    CheckId::H3
                } else {
                    CheckId::H6
                };
                error(check, format!("LENGTH {}", header.length))
            }
        };
        self.ctx.violation(broken, at.done, None, None);
    }

    fn unread(&mut self, end: End, unread: Unread, at: &At) {
        let sum = self.upper.around.unread.get_mut(end);
        *sum = sum.saturating_add(unread.len);
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
            let mut row = OpenPdu::new(kind, pos, unread.first_frame);
            row.flags = flags;
            row.len = len;
            self.plain_row(end, &row, at);
            pos = pos.saturating_add(u64::from(len));
            left = left.saturating_sub(u64::from(len));
        }
    }
}

impl Layer<'_, '_> {
    /// The first SMP packet of a direction, or one that opens a session.
    #[inline(never)]
    fn first_smp(&mut self, end: End, kind: PduKind, at: &At) {
        if kind == PduKind::Syn && self.ctx.row.client_evidence.is_none() {
            self.ctx.row.client = end;
            self.ctx.row.client_evidence = Some("it opens SMP sessions");
            self.upper.around.client = Some(end);
        }
        if std::mem::replace(self.upper.smp_in.get_mut(end), true) {
            return;
        }
        if self.ctx.row.prelogin.server_mars == Some(false) && !self.ctx.row.smp_seen {
            let fact = "SMP although MARS was refused".to_owned();
            self.ctx
                .violation(error(CheckId::M1, fact), at.done, None, None);
        }
        if self.ctx.row.tls.is_some() {
            self.clear_again();
        }
        self.upper.login.logged_in = true;
    }

    /// Clear text behind TLS: only the login was encrypted.
    fn clear_again(&mut self) {
        let row = &mut *self.ctx.row;
        if self.upper.login.login_was_sent() && row.encryption.is_none() {
            row.encryption = Some(Encryption::Login);
        }
    }
}
