//! Inside SMP: the payload of DATA packets, read as a stream of TDS packets.

use crate::decode::{smp, tds};
use crate::store::{CheckId, PduFlags, PduRow};
use crate::units::{End, PduId};

use super::super::login::{self, LoginState};
use super::super::missing::{Missing, UnderWay};
use super::super::out::{Broken, Ctx, error, warn};
use super::{Chain, Moment};

impl Chain {
    /// Inside SMP: bytes of DATA payload. They are read as a stream of TDS packets, whatever their borders.
    #[expect(
        clippy::inline_always,
        reason = "what is usual of a piece is not to be taken apart"
    )]
    #[inline(always)]
    pub(in crate::track) fn data_body(
        &mut self,
        moment: &Moment<'_>,
        pdu: &mut PduRow,
        mut bytes: &[u8],
        login: &mut LoginState,
        ctx: &mut Ctx<'_>,
    ) {
        if self.ends.get_mut(moment.end).packet_left == 0 {
            match self.next_packet(moment, pdu, bytes, login, ctx) {
                Some(body) => bytes = body,
                None => return,
            }
        }
        let side = self.ends.get_mut(moment.end);
        if let Some(left) = side.packet_left.checked_sub(bytes.len()) {
            side.packet_left = left;
            self.packet_body(moment.end, bytes, left, &mut ctx.out.texts);
        } else {
            self.more_packets(moment, pdu, bytes, login, ctx);
        }
    }

    /// The rest of [`Chain::data_body`] where the TDS packet at hand ends in it, and others follow.
    #[cold]
    fn more_packets(
        &mut self,
        moment: &Moment<'_>,
        pdu: &mut PduRow,
        mut bytes: &[u8],
        login: &mut LoginState,
        ctx: &mut Ctx<'_>,
    ) {
        loop {
            let side = self.ends.get_mut(moment.end);
            let left = side.packet_left;
            let (body, rest) = bytes.split_at_checked(left).unwrap_or((bytes, &[]));
            side.packet_left = left.saturating_sub(body.len());
            let left = side.packet_left;
            self.packet_body(moment.end, body, left, &mut ctx.out.texts);
            if rest.is_empty() {
                return;
            }
            match self.next_packet(moment, pdu, rest, login, ctx) {
                Some(body) => bytes = body,
                None => return,
            }
        }
    }

    /// The TDS packet at hand is over: reads the header of the next. Returns what follows it; `None` if that is not to
    /// be read, or the header goes on in what comes next.
    #[expect(clippy::inline_always, reason = "with most DATA a TDS packet begins")]
    #[inline(always)]
    fn next_packet<'a>(
        &mut self,
        moment: &Moment<'_>,
        pdu: &mut PduRow,
        bytes: &'a [u8],
        login: &mut LoginState,
        ctx: &mut Ctx<'_>,
    ) -> Option<&'a [u8]> {
        let side = self.ends.get_mut(moment.end);
        if side.in_packet {
            // Another packet in the same DATA: the one before is over.
            let next = ctx.out.next_pdu();
            self.packet_end(moment, pdu, next, login, ctx);
        } else if pdu.flags.has(PduFlags::BODY_HIDDEN) {
            // Where the next TDS packet begins in this DATA is not known.
            return None;
        }
        let side = self.ends.get_mut(moment.end);
        if let Some((header, rest)) = bytes.split_first_chunk()
            && !side.has_part_of_header()
        {
            let header = tds::Header::of(*header);
            return self.packet(moment, header, pdu, login, ctx).then_some(rest);
        }
        let (header, rest) = side.header_in_parts(bytes)?;
        let is_packet = self.other_packet(moment, header, pdu, login, ctx);
        is_packet.then_some(rest)
    }

    /// A TDS packet begins; whether it can be one.
    #[expect(
        clippy::inline_always,
        reason = "the header of most packets lies in one piece, and what is usual of it is not to be taken apart"
    )]
    #[inline(always)]
    fn packet(
        &mut self,
        moment: &Moment<'_>,
        header: tds::Header,
        pdu: &mut PduRow,
        login: &LoginState,
        ctx: &mut Ctx<'_>,
    ) -> bool {
        if !header.is_plausible_in(pdu.len.saturating_sub(16)) {
            self.no_packet(moment, header, pdu, ctx);
            return false;
        }
        if !pdu.flags.has(PduFlags::TDS_HEADER) {
            pdu.flags.set(PduFlags::TDS_HEADER);
            pdu.tds_type = header.kind;
            pdu.tds_status = header.status;
            login::client_by_type(ctx.row, moment.end, header.kind);
            let len = u32::from(header.length).saturating_add(16);
            if len != pdu.len {
                if len < pdu.len {
                    pdu.flags.set(PduFlags::SHARED);
                }
                let broken = other_length(header, pdu);
                ctx.violation(broken, moment.at.frame, None, self.session_id());
            }
        }
        if !self.ends.get_mut(moment.end).begins_packet(header) {
            self.other_packet_start(moment, UnderWay::with(header), pdu, login, ctx);
        }
        true
    }

    /// As [`Chain::packet`], of a header that came in parts.
    #[cold]
    fn other_packet(
        &mut self,
        moment: &Moment<'_>,
        header: tds::Header,
        pdu: &mut PduRow,
        login: &LoginState,
        ctx: &mut Ctx<'_>,
    ) -> bool {
        self.packet(moment, header, pdu, login, ctx)
    }

    /// What stands where a TDS packet should begin is none: the rest of this DATA cannot be walked.
    #[cold]
    fn no_packet(
        &mut self,
        moment: &Moment<'_>,
        header: tds::Header,
        pdu: &mut PduRow,
        ctx: &mut Ctx<'_>,
    ) {
        let side = self.ends.get_mut(moment.end);
        let known = side.missing == Missing::Nothing;
        side.miss(Missing::Unknown);
        if known {
            let session = self.session_id();
            ctx.violation(no_packet(header), moment.at.frame, None, session);
        }
        pdu.flags.set(PduFlags::BODY_HIDDEN);
    }

    /// Inside SMP: `len` bytes of DATA payload are not in the file.
    pub(in crate::track) fn data_hidden(&mut self, end: End, pdu: &mut PduRow, len: usize) {
        let side = self.ends.get_mut(end);
        if side.in_packet {
            if len > side.packet_left {
                side.miss(Missing::Unknown);
            }
            side.packet_left = side.packet_left.saturating_sub(len);
        } else {
            // The TDS header itself is hidden.
            side.miss(Missing::Packets(1));
            pdu.flags.set(PduFlags::BODY_HIDDEN);
        }
        self.packet_hidden(end);
    }

    /// Inside SMP: a DATA is complete.
    #[expect(
        clippy::inline_always,
        reason = "what is done with a complete DATA is not to be taken apart"
    )]
    #[inline(always)]
    pub(in crate::track) fn data_end(
        &mut self,
        moment: &Moment<'_>,
        pdu: &mut PduRow,
        id: PduId,
        login: &mut LoginState,
        ctx: &mut Ctx<'_>,
    ) {
        let Moment { end, .. } = *moment;
        let side = self.ends.get_mut(end);
        if side.in_packet && side.packet_left == 0 {
            self.packet_end(moment, pdu, id, login, ctx);
        }
    }
}

/// What a DATA breaks whose TDS packet does not fill it.
#[cold]
fn other_length(header: tds::Header, pdu: &PduRow) -> Broken {
    let fact = format!(
        "TDS packet of {} bytes in a DATA with {}",
        header.length,
        pdu.len.saturating_sub(16)
    );
    warn(CheckId::P1, fact)
}

/// What a DATA breaks that does not begin with a TDS packet.
fn no_packet(header: tds::Header) -> Broken {
    let fact = format!(
        "payload begins with type {}, length {}",
        header.kind, header.length
    );
    if header.kind == smp::SMID {
        error(CheckId::P2, fact)
    } else {
        warn(CheckId::P1, fact)
    }
}
