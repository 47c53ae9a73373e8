//! Packets of all shapes, made with etherparse's builder, and what is read from them.

use etherparse::{
    IpFragOffset, IpNumber, Ipv4Header, Ipv6FragmentHeader, Ipv6Header, PacketBuilder, TcpHeader,
    TcpOptionElement,
};
use proptest::prelude::*;

use super::*;

const SRC: [u8; 4] = [10, 0, 0, 1];
const DST: [u8; 4] = [10, 0, 0, 2];

fn tcp_v4(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ipv4(SRC, DST, 64)
        .tcp(50000, 1433, 0xffff_fff0, 8192)
        .ack(77)
        .psh()
        .write(&mut bytes, payload)
        .unwrap();
    bytes
}

fn tcp_v6(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ipv6([1; 16], [2; 16], 60)
        .tcp(50000, 1433, 5, 8192)
        .fin()
        .ack(77)
        .write(&mut bytes, payload)
        .unwrap();
    bytes
}

fn segment(packet: Packet) -> Segment {
    match packet {
        Packet::Tcp(segment) => segment,
        other => panic!("no segment: {other:?}"),
    }
}

fn read(frame: &[u8]) -> Segment {
    segment(packet(frame, 0, to_u32(frame.len())))
}

/// An inner packet behind an outer header of the given protocol.
fn within(number: u8, outer_payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(outer_payload.len()).unwrap();
    let header = Ipv4Header::new(len, 9, IpNumber(number), [1; 4], [2; 4]).unwrap();
    [&header.to_bytes()[..], outer_payload].concat()
}

fn ethernet_frame(tags: &[u8], ip: &[u8]) -> Vec<u8> {
    [&[0; 12][..], tags, ip].concat()
}

#[test]
fn the_length_is_that_of_the_ip_header_not_of_the_padded_frame() {
    let mut frame = tcp_v4(&[1, 2, 3]);
    frame.extend([0; 3]);
    let found = read(&frame);
    assert_eq!(found.payload_len, 3);
    assert_eq!(found.payload(&frame), [1, 2, 3]);
    assert_eq!(found.payload_offset, 40);
    assert_eq!((found.src_port, found.dst_port), (50000, 1433));
    assert_eq!((found.seq.0, found.ack.0), (0xffff_fff0, 77));
    assert_eq!((found.flags, found.window), (0x18, 8192));
    assert_eq!((found.ip.ttl, found.ip.offloaded), (64, false));
    assert_eq!(tcp_checksum(&found, &frame), Checksum::Good);
}

#[test]
fn with_segmentation_offload_the_frame_tells_the_length() {
    for version in [4, 6] {
        let (mut frame, at) = match version {
            4 => (tcp_v4(&vec![9; 60_000]), 2),
            _ => (tcp_v6(&vec![9; 60_000]), 4),
        };
        frame[at..at + 2].fill(0);
        let found = read(&frame);
        assert_eq!(found.payload_len, 60_000);
        assert!(found.ip.offloaded);
        assert_eq!(found.payload(&frame).len(), 60_000);
    }
}

#[test]
fn a_frame_cut_by_the_snap_length_tells_what_is_there() {
    let whole = tcp_v4(&[5; 500]);
    let wire = to_u32(whole.len());
    for len in 0..whole.len() {
        let frame = &whole[..len];
        match packet(frame, 0, wire) {
            Packet::Broken(_) => assert!(len < 20),
            Packet::Other(ip) => {
                assert!((20..28).contains(&len));
                assert_eq!(ip.protocol, 6);
            }
            Packet::Tcp(found) => {
                assert!(len >= 28);
                assert_eq!((found.src_port, found.seq.0), (50000, 0xffff_fff0));
                assert_eq!(found.has_flags(), len >= 34);
                if len >= 34 {
                    assert_eq!((found.flags, found.payload_len), (0x18, 500));
                }
                assert_eq!(to_usize(found.captured_payload), len.saturating_sub(40));
                assert_eq!(tcp_checksum(&found, frame), Checksum::CannotTell);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn ipv6_extension_headers_are_stepped_over() {
    let plain = tcp_v6(&[1, 2, 3, 4]);
    assert_eq!(read(&plain).flags, 0x11);
    assert_eq!(tcp_checksum(&read(&plain), &plain), Checksum::Good);
    // Hop-by-hop and destination options, 8 bytes each.
    let mut frame = plain[..40].to_vec();
    frame[5] += 16;
    frame[6] = 0;
    frame.extend([60, 0, 1, 4, 0, 0, 0, 0]);
    frame.extend([6, 0, 1, 4, 0, 0, 0, 0]);
    frame.extend(&plain[40..]);
    let found = read(&frame);
    assert_eq!(found.payload(&frame), [1, 2, 3, 4]);
    assert_eq!(found.payload_len, 4);
    assert_eq!(tcp_checksum(&found, &frame), Checksum::Good);
}

#[test]
fn a_checksum_is_right_or_wrong_whatever_the_length() {
    for len in (0..200).chain([1460, 40_000]) {
        let mixed = (0..=250).cycle().take(len).collect();
        for payload in [vec![0xff; len], mixed] {
            for mut frame in [tcp_v4(&payload), tcp_v6(&payload)] {
                assert_eq!(tcp_checksum(&read(&frame), &frame), Checksum::Good);
                *frame.last_mut().unwrap() ^= 1;
                assert_eq!(tcp_checksum(&read(&frame), &frame), Checksum::Bad);
            }
        }
    }
}

#[test]
fn a_wrong_checksum_is_told_from_a_right_one() {
    let mut frame = tcp_v4(&[1, 2, 3]);
    *frame.last_mut().unwrap() ^= 1;
    assert_eq!(tcp_checksum(&read(&frame), &frame), Checksum::Bad);
}

#[test]
fn options_are_read_over_those_that_are_not_known() {
    let mut header = TcpHeader::new(1, 2, 3, 4);
    header.syn = true;
    header
        .set_options(&[
            TcpOptionElement::MaximumSegmentSize(1460),
            TcpOptionElement::SelectiveAcknowledgementPermitted,
            TcpOptionElement::Timestamp(10, 20),
            TcpOptionElement::Noop,
            TcpOptionElement::WindowScale(8),
        ])
        .unwrap();
    let options = header.options.as_slice().to_vec();
    // A TCP fast open cookie request (kind 34) between them.
    let raw = [&options[..4], &[34, 4, 0, 0], &options[4..]].concat();
    header.set_options_raw(&raw).unwrap();
    let frame = within(6, &header.to_bytes());
    let found = tcp_options(&read(&frame), &frame);
    assert_eq!(found.mss, Some(1460));
    assert_eq!(found.window_scale, Some(8));
    assert_eq!(found.timestamps, Some((10, 20)));
    assert!(found.sack_permitted);
}

#[test]
fn tunnels_are_looked_through() {
    let inner = tcp_v4(b"hello");
    let inner6 = tcp_v6(b"hello");
    let ether = ethernet_frame(&[8, 0], &inner);
    let tagged = ethernet_frame(&[0x88, 0xa8, 0, 1, 0x81, 0, 0, 2, 8, 0], &inner);
    let vxlan = |port: u16, frame: &[u8]| {
        let mut udp = vec![0x30, 0x39];
        udp.extend(port.to_be_bytes());
        udp.extend([0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 42, 0]);
        udp.extend(frame);
        within(17, &udp)
    };
    let tunnels = [
        within(4, &inner),
        within(41, &inner6),
        within(47, &[&[0, 0, 8, 0], &inner[..]].concat()),
        within(
            47,
            &[&[0xb0, 0, 0x86, 0xdd][..], &[0; 12], &inner6].concat(),
        ),
        within(
            47,
            &[&[0x20, 0, 0x65, 0x58, 0, 0, 0, 1], &ether[..]].concat(),
        ),
        within(47, &[&[0x10, 0, 0x88, 0xbe][..], &[0; 12], &ether].concat()),
        vxlan(4789, &ether),
        vxlan(8472, &tagged),
        within(4, &within(4, &within(41, &inner6))),
    ];
    for (i, frame) in tunnels.iter().enumerate() {
        let Packet::Tcp(found) = packet(frame, 0, to_u32(frame.len())) else {
            panic!("tunnel {i}");
        };
        assert_eq!(found.payload(frame), b"hello", "tunnel {i}");
    }
    let geneve = {
        let mut udp = vec![
            0x30, 0x39, 0x17, 0xc1, 0, 0, 0, 0, 1, 0, 0x65, 0x58, 0, 0, 7, 0,
        ];
        udp.extend([0; 4]);
        udp.extend(&ether);
        within(17, &udp)
    };
    assert_eq!(read(&geneve).payload(&geneve), b"hello");
    let deep = (0..6).fold(inner, |packet, _| within(4, &packet));
    assert!(matches!(packet(&deep, 0, 999), Packet::Other(ip) if ip.protocol == 4));
}

#[test]
fn datagrams_and_other_protocols_say_what_they_are() {
    let mut frame = Vec::new();
    PacketBuilder::ipv4(SRC, DST, 64)
        .udp(500, 1434)
        .write(&mut frame, &[4])
        .unwrap();
    assert!(matches!(packet(&frame, 0, 99), Packet::Udp(_, 500, 1434)));
    let icmp = within(1, &[8, 0, 0, 0]);
    assert!(matches!(packet(&icmp, 0, 99), Packet::Other(ip) if ip.protocol == 1));
    assert!(matches!(packet(&[0x33; 40], 0, 40), Packet::Broken(_)));
    assert!(matches!(packet(&[0x41; 40], 0, 40), Packet::Broken(_)));
    assert!(matches!(packet(&[], 0, 0), Packet::Broken(_)));
}

/// The parts of a packet, cut at multiples of eight.
fn parts(whole: &[u8], id: u16, cuts: &[usize]) -> Vec<Vec<u8>> {
    let carried = &whole[20..];
    let mut from = 0;
    let ends = cuts.iter().copied().chain([carried.len()]);
    ends.map(|end| {
        let piece = &carried[from..end];
        let len = u16::try_from(piece.len()).unwrap();
        let mut header = Ipv4Header::new(len, 64, IpNumber::TCP, SRC, DST).unwrap();
        header.identification = id;
        header.more_fragments = end < carried.len();
        header.fragment_offset = IpFragOffset::try_new(u16::try_from(from / 8).unwrap()).unwrap();
        from = end;
        [&header.to_bytes()[..], piece].concat()
    })
    .collect()
}

/// An IPv6 packet with a chain of extension headers in front of TCP.
fn extended(first: u8, chain: &[u8], tcp: &[u8]) -> Vec<u8> {
    let len = u16::try_from(chain.len() + tcp.len())
        .unwrap()
        .to_be_bytes();
    let mut packet = vec![0x60, 0, 0, 0, len[0], len[1], first, 64];
    packet.extend([1; 16]);
    packet.extend([2; 16]);
    packet.extend(chain);
    packet.extend(tcp);
    packet
}

#[test]
fn extension_headers_are_walked_only_as_far_as_they_are_there() {
    let tcp = tcp_v6(b"hello")[40..].to_vec();
    // Hop-by-hop with 16 bytes, authentication with 24, a fragment header of a packet that came in one part.
    let mut chain = vec![51, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    chain.extend([44, 4]);
    chain.extend([9; 22]);
    chain.extend([6, 0, 0, 0, 1, 2, 3, 4]);
    let whole = extended(0, &chain, &tcp);
    assert_eq!(read(&whole).payload(&whole), b"hello");
    for len in 0..whole.len() {
        let cut = &whole[..len];
        match packet(cut, 0, to_u32(whole.len())) {
            Packet::Tcp(found) => assert!(len >= 40 + chain.len() + 8, "{len}: {found:?}"),
            Packet::Broken(_) => assert!(len < 40, "{len}"),
            other => assert!(matches!(other, Packet::Other(_)), "{len}: {other:?}"),
        }
    }
    // A header whose length reaches beyond the packet.
    let beyond = extended(0, &[6, 200, 0, 0, 0, 0, 0, 0], &tcp);
    assert!(matches!(packet(&beyond, 0, 999), Packet::Other(ip) if ip.protocol == 0));
}

fn fragment(frame: &[u8]) -> Fragment {
    match packet(frame, 0, to_u32(frame.len())) {
        Packet::Fragment(fragment) => fragment,
        other => panic!("no fragment: {other:?}"),
    }
}

#[test]
fn parts_of_a_packet_become_segments_that_continue_each_other() {
    let payload: Vec<u8> = (0..200).collect();
    let mut whole = tcp_v4(&payload);
    whole[20 + 13] |= 1;
    let mut fragments = Fragments::default();
    let mut bytes: Vec<u8> = Vec::new();
    let mut next = TcpSeq(0xffff_fff0);
    let all = parts(&whole, 7, &[24, 104, 160]);
    for (i, frame) in all.iter().enumerate() {
        let found = fragments.place(&fragment(frame), frame).unwrap();
        assert_eq!(found.seq, next);
        assert!(found.has_flags());
        assert_eq!(found.flags & 1 != 0, i == 3, "FIN belongs to the last part");
        assert_eq!((found.src_port, found.dst_port), (50000, 1433));
        next = next.plus(found.payload_len);
        bytes.extend(found.payload(frame));
    }
    assert_eq!(bytes, payload);
    // Another packet's parts, and parts before their first, have no place.
    let others = parts(&whole, 8, &[24, 104]);
    assert_eq!(fragments.place(&fragment(&others[1]), &others[1]), None);
}

#[test]
fn parts_of_ipv6_packets_are_placed_too() {
    let payload: Vec<u8> = (0..100).collect();
    let whole = tcp_v6(&payload);
    let carried = &whole[40..];
    let mut fragments = Fragments::default();
    let mut bytes: Vec<u8> = Vec::new();
    for (from, to) in [(0, 64), (64, carried.len())] {
        let part = Ipv6FragmentHeader::new(
            IpNumber::TCP,
            IpFragOffset::try_new(u16::try_from(from / 8).unwrap()).unwrap(),
            to < carried.len(),
            0x1234_5678,
        );
        let header = Ipv6Header {
            payload_length: u16::try_from(8 + to - from).unwrap(),
            next_header: IpNumber::IPV6_FRAGMENTATION_HEADER,
            hop_limit: 60,
            source: [1; 16],
            destination: [2; 16],
            ..Ipv6Header::default()
        };
        let frame = [&header.to_bytes()[..], &part.to_bytes(), &carried[from..to]].concat();
        let found = fragments.place(&fragment(&frame), &frame).unwrap();
        assert_eq!(found.seq.0, 5 + to_u32(bytes.len()));
        bytes.extend(found.payload(&frame));
    }
    assert_eq!(bytes, payload);
}

#[test]
fn fragments_of_countless_packets_take_bounded_memory() {
    let whole = tcp_v4(&[1; 64]);
    let mut fragments = Fragments::default();
    for id in 0..5000 {
        let all = parts(&whole, id, &[24]);
        fragments.place(&fragment(&all[0]), &all[0]).unwrap();
    }
    assert_eq!(fragments.remembered(), 1024);
    // The oldest are forgotten, the newest are not.
    for (id, known) in [(0, false), (4999, true)] {
        let all = parts(&whole, id, &[24]);
        let placed = fragments.place(&fragment(&all[1]), &all[1]);
        assert_eq!(placed.is_some(), known);
    }
}

proptest! {
    #[test]
    fn whatever_bytes_come_positions_stay_within_the_frame(
        mut frame in proptest::collection::vec(any::<u8>(), 0..200),
        version in prop_oneof![Just(0x45_u8), Just(0x60), any::<u8>()],
        next in prop_oneof![Just(6_u8), Just(47), Just(17), Just(44), Just(4), any::<u8>()],
        wire in any::<u32>(),
    ) {
        if let Some(first) = frame.first_mut() { *first = version; }
        let at = if version == 0x60 { 6 } else { 9 };
        if let Some(field) = frame.get_mut(at) { *field = next; }
        if let Packet::Tcp(found) = packet(&frame, 0, wire) {
            let len = to_usize(found.captured_payload);
            prop_assert_eq!(found.payload(&frame).len(), len);
            prop_assert_eq!(found.header(&frame).len(), usize::from(found.header_seen));
            tcp_options(&found, &frame);
            tcp_checksum(&found, &frame);
        }
    }
}

/// A packet as the usual ones are, its fields, its length and what is there of it at random.
fn nearly_usual() -> impl Strategy<Value = (Vec<u8>, usize)> {
    let field = |at: usize, usual: u8| {
        let changed = prop_oneof![6 => Just(None), 1 => any::<u8>().prop_map(Some)];
        changed.prop_map(move |value| (at, value.unwrap_or(usual)))
    };
    let fields = [
        field(0, 0x45),
        field(2, 0),
        field(3, 72),
        field(6, 0x40),
        field(7, 0),
        field(9, 6),
        field(32, 0x50),
    ];
    let bytes = proptest::collection::vec(any::<u8>(), 20..100);
    (bytes, fields, 0_usize..20, 0_u8..16).prop_map(|(mut bytes, fields, at, words)| {
        for (place, value) in fields {
            if let Some(byte) = bytes.get_mut(place) {
                *byte = value;
            }
        }
        if let Some(byte) = bytes.get_mut(32) {
            *byte = (*byte & 0x0f) | (words << 4);
        }
        ([vec![0; at], bytes].concat(), at)
    })
}

proptest! {
    #[test]
    fn the_short_way_finds_what_the_long_way_finds((frame, at) in nearly_usual()) {
        if let Some((found, payload)) = usual(&frame, at) {
            prop_assert_eq!(payload, found.payload(&frame));
            prop_assert_eq!(Packet::Tcp(found), packet(&frame, at, to_u32(frame.len())));
        }
    }
}

#[test]
fn the_usual_segment_goes_the_short_way() {
    let frame = tcp_v4(&[1, 2, 3]);
    assert_eq!(
        usual(&frame, 0).map(|(segment, _)| Packet::Tcp(segment)),
        Some(packet(&frame, 0, to_u32(frame.len())))
    );
}
