use super::super::framing::OpenPdu;
use super::*;

/// The numbers of one side; `seq` and `wnd` lie around the wrap.
fn side(seq: u32, wnd: u32, synced: bool, fin: bool) -> SmpEnd {
    SmpEnd {
        seq: SmpSeq(seq.wrapping_sub(2)),
        wnd: SmpSeq(wnd.wrapping_sub(2)),
        synced,
        fin,
        ..SmpEnd::default()
    }
}

#[test]
fn a_usual_packet_of_a_clear_session_breaks_no_check() {
    let (mut usual, mut unusual) = (0, 0);
    let kinds = [
        (PduKind::Data, 16),
        (PduKind::Data, 17),
        (PduKind::Data, smp::MAX_DATA_LEN),
        (PduKind::Data, smp::MAX_DATA_LEN + 1),
        (PduKind::Ack, 16),
        (PduKind::Ack, 17),
        (PduKind::Fin, 16),
        (PduKind::Syn, 16),
        (PduKind::BadSmp, 16),
    ];
    for n in 0..5_u32.pow(5) {
        let digit = |place: u32| n / 5_u32.pow(place) % 5;
        for flags in 0..8_u8 {
            let own = side(digit(0), digit(1), flags & 1 != 0, flags & 2 != 0);
            let peer = side(digit(2), digit(3), true, flags & 4 != 0);
            for seqnum in 0..4_u32 {
                for (kind, len) in kinds {
                    let mut pdu = OpenPdu::new(kind, End::A, 0, FrameNo(1)).row;
                    pdu.len = len;
                    pdu.seqnum = SmpSeq(seqnum.wrapping_sub(2));
                    pdu.wndw = SmpSeq(digit(4).wrapping_add(1).wrapping_sub(2));
                    if !is_usual(&own, &peer, &pdu) {
                        unusual += 1;
                        continue;
                    }
                    let mut chain = Chain::default();
                    chain.ends.get_mut(End::A).smp = own;
                    chain.ends.get_mut(End::B).smp = peer;
                    if !is_clear(&chain, &Around::default()) {
                        unusual += 1;
                        continue;
                    }
                    usual += 1;
                    checks(&chain, End::A, &pdu, None, true, &mut |broken| {
                        panic!("{pdu:?} with {own:?} and {peer:?}: {broken:?}");
                    });
                }
            }
        }
    }
    assert!(usual > 1000 && unusual > 1000, "{usual}, {unusual}");
}
