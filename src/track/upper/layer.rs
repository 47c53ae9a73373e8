//! What the framers' PDUs do to the rows: a connection's upper layers with what they write to.

use crate::decode::smp;
use crate::decode::tds;
use crate::decode::tds::packet_type as pt;
use crate::store::{CheckId, Encryption, PduFlags, PduKind, PduRow, Phase, Protocol};
use crate::units::{End, PduId, Sid, StreamPos};

use super::super::chain::Moment;
use super::super::framing::{OpenPdu, SidState, Sink, Unread};
use super::super::login;
use super::super::missing::Missing;
use super::super::order::At;
use super::super::out::{Ctx, error};
use super::super::recognise::Known;
use super::super::sessions;
use super::Upper;

/// The upper layers with the rows that they write to, while a piece goes through.
pub(super) struct Layer<'a, 'b> {
    pub(super) upper: &'a mut Upper,
    pub(super) ctx: &'a mut Ctx<'b>,
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
