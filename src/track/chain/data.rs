//! Inside SMP: the payload of DATA packets, read as a stream of TDS packets.

use crate::decode::{smp, tds};
use crate::store::{CheckId, PduFlags, PduRow};
use crate::units::{End, PduId};

use super::super::login::LoginState;
use super::super::missing::Missing;
use super::super::out::{Broken, Ctx, error, warn};
use super::super::request_text::Texts;
use super::{Chain, Moment};

impl Chain {
    /// Inside SMP: takes bytes of DATA payload that lie in the TDS packet at hand, as most do. Whether it has.
    #[inline]
    pub(in crate::track) fn goes_on_with(
        &mut self,
        end: End,
        bytes: &[u8],
        texts: &mut Texts,
    ) -> bool {
        let side = self.ends.get_mut(end);
        let left = u32::try_from(bytes.len())
            .ok()
            .and_then(|n| side.packet_left.checked_sub(n));
        let Some(left) = left else {
            return false;
        };
        side.packet_left = left;
        self.packet_body(end, bytes, left, texts);
        true
    }

    /// Inside SMP: bytes of DATA payload. They are read as a stream of TDS packets, whatever their borders.
    pub(in crate::track) fn data_body(
        &mut self,
        moment: &Moment<'_>,
        pdu: &mut PduRow,
        mut bytes: &[u8],
        login: &mut LoginState,
        ctx: &mut Ctx<'_>,
    ) {
        let Moment { end, at, .. } = *moment;
        while !bytes.is_empty() {
            let side = self.ends.get_mut(end);
            if !side.in_packet && pdu.flags.has(PduFlags::BODY_HIDDEN) {
                // Where the next TDS packet begins in this DATA is not known.
                return;
            }
            if side.packet_left > 0 {
                let left = usize::try_from(side.packet_left).unwrap_or(usize::MAX);
                let n = left.min(bytes.len());
                side.packet_left = side
                    .packet_left
                    .saturating_sub(u32::try_from(n).unwrap_or(u32::MAX));
                let (body, rest) = bytes.split_at_checked(n).unwrap_or((bytes, &[]));
                let left = side.packet_left;
                self.packet_body(end, body, left, &mut ctx.out.texts);
                bytes = rest;
                continue;
            }
            if side.in_packet {
                // Another packet in the same DATA: the one before is over.
                let next = ctx.out.next_pdu();
                self.packet_end(moment, pdu, next, login, ctx);
            }
            let side = self.ends.get_mut(end);
            let Some((header, rest)) = side.header(bytes) else {
                return;
            };
            bytes = rest;
            if !header.is_plausible() {
                // Not TDS: the rest of this DATA cannot be walked.
                let known = side.missing == Missing::Nothing;
                side.miss(Missing::Unknown);
                let session = self.session_id();
                if known {
                    ctx.violation(no_packet(header), at.frame, None, session);
                }
                pdu.flags.set(PduFlags::BODY_HIDDEN);
                return;
            }
            side.packet_left = u32::from(header.length).saturating_sub(8);
            side.in_packet = true;
            if !pdu.flags.has(PduFlags::TDS_HEADER) {
                pdu.flags.set(PduFlags::TDS_HEADER);
                pdu.tds_type = header.kind;
                pdu.tds_status = header.status;
                if u32::from(header.length) != pdu.len.saturating_sub(16) {
                    let fact = format!(
                        "TDS packet of {} bytes in a DATA with {}",
                        header.length,
                        pdu.len.saturating_sub(16)
                    );
                    let session = self.session_id();
                    ctx.violation(warn(CheckId::P1, fact), at.frame, None, session);
                }
            }
            self.packet_start(moment, header, pdu, login, ctx);
        }
    }

    /// Inside SMP: `len` bytes of DATA payload are not in the file.
    pub(in crate::track) fn data_hidden(&mut self, end: End, pdu: &mut PduRow, len: u32) {
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
    #[inline]
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
