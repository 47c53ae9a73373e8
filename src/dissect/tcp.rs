//! The TCP header as a tree, with what the pass found out about the segment.

use super::stream::Frames;
use crate::capture::link::{Network, network};
use crate::decode::field::{Field, Value};
use crate::decode::net::{self, Checksum, Segment};
use crate::decode::walk::{Flag, Step, Stop, Walk};
use crate::store::{ConnRow, FrameFlags, FrameRow, Phase, Store};
use crate::units::{End, FrameNo, TcpSeq};

/// Frames looked at, backwards in the connection, for the segments that a frame acknowledges.
const LOOK_BACK: usize = 64;

const FLAGS: &[Flag] = &[
    (0xe00, "tcp.flags.res", "reserved"),
    (0x100, "tcp.flags.ae", "AE"),
    (0x080, "tcp.flags.cwr", "CWR"),
    (0x040, "tcp.flags.ece", "ECE"),
    (0x020, "tcp.flags.urg", "URG"),
    (0x010, "tcp.flags.ack", "ACK"),
    (0x008, "tcp.flags.push", "PSH"),
    (0x004, "tcp.flags.reset", "RST"),
    (0x002, "tcp.flags.syn", "SYN"),
    (0x001, "tcp.flags.fin", "FIN"),
];

/// The TCP layer of a frame.
pub fn segment(
    store: &Store,
    no: FrameNo,
    row: &FrameRow,
    segment: &Segment,
    bytes: &[u8],
    scale: Scale,
) -> Field {
    let start = usize::try_from(segment.ip.payload).unwrap_or(usize::MAX);
    let mut w = Walk::new(segment.header(bytes), start);
    let conn = row.conn.and_then(|id| store.conn(id));
    let result = w.group("", "TCP", |w| header(w, conn, row, segment, bytes, scale));
    let mut field = w
        .finish(result)
        .fields
        .pop()
        .unwrap_or_else(|| Field::new("", "TCP", Value::None));
    let words: Vec<_> = FLAGS
        .iter()
        .rev()
        .filter(|(bit, ..)| u64::from(segment.flags) & bit != 0)
        .map(|(_, _, word)| *word)
        .collect();
    field.text = format!(
        "{} > {}  [{}]  seq {}  ack {}  win {}  len {}",
        segment.src_port,
        segment.dst_port,
        words.join(","),
        segment.seq,
        segment.ack,
        segment.window,
        segment.payload_len
    );
    if let Some(conn) = conn {
        field.children.push(
            Field::new(
                "tcp.stream",
                "connection",
                Value::UInt(u64::from(conn.id.0)),
            )
            .text(format!("{} sent it", conn.side_of(row.end()).word())),
        );
        field.children.push(completeness(conn));
    }
    times(&mut field, store, conn, row);
    let mut flagged = flagged(row);
    if conn.is_some_and(|conn| conn.incarnation > 0 && conn.syn_frame == Some(no)) {
        let words = "the addresses and ports of an earlier connection again";
        flagged.push(Field::new("tcp.analysis.reused_ports", words, Value::None));
    }
    let measured = measured(store, no, row);
    if !flagged.is_empty() || !measured.is_empty() {
        let copy = row.flags.has(FrameFlags::DUPLICATE);
        let wrong = copy || flagged.iter().any(|field| !field.name.is_empty());
        let name = if wrong { "tcp.analysis.flags" } else { "" };
        let found = flagged.into_iter().chain(measured);
        field
            .children
            .push(Field::new(name, "analysis", Value::None).children(found));
    }
    field
}

fn times(field: &mut Field, store: &Store, conn: Option<&ConnRow>, row: &FrameRow) {
    let before = row.prev.and_then(|no| store.time_of(no));
    let before = before.or_else(|| conn.map(|conn| conn.first_time));
    for (name, label, from) in [
        (
            "tcp.time_relative",
            "since the connection's first frame",
            conn.map(|conn| conn.first_time),
        ),
        ("tcp.time_delta", "since its frame before", before),
    ] {
        if let Some(from) = from {
            field
                .children
                .push(Field::new(name, label, Value::Span(row.time.since(from))));
        }
    }
}

/// How an end's window is scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// By this power of two.
    Power(u8),
    /// Not at all.
    None,
    /// The handshake does not tell.
    Unknown,
}

impl Scale {
    /// The factor; -1 where it is not known and -2 where there is none, as Wireshark has it.
    fn factor(self) -> i64 {
        match self {
            Self::Power(shift) => 1_i64 << shift.min(14),
            Self::None => -2,
            Self::Unknown => -1,
        }
    }
}

/// The flags as Wireshark writes them: a letter for each bit that is set, a dot for the others.
fn flag_string(flags: u16) -> String {
    (0..12_u16)
        .rev()
        .zip("RRRACEUAPRSF".chars())
        .map(|(bit, letter)| {
            if flags >> bit & 1 == 1 {
                letter
            } else {
                '\u{b7}'
            }
        })
        .collect()
}

/// How a frame's window is scaled: both ends must have offered a scale in their SYN (RFC 7323 2.2), and it does not
/// hold for the SYNs themselves.
pub fn window_scale(frames: &mut Frames<'_>, conn: Option<&ConnRow>, row: &FrameRow) -> Scale {
    if row.tcp_flags.syn() {
        return Scale::None;
    }
    let syns = conn.and_then(|conn| conn.syn_frame.zip(conn.syn_ack_frame));
    let Some((syn, answer)) = syns else {
        return Scale::Unknown;
    };
    scale_of(frames, [syn, answer], row).map_or(Scale::None, Scale::Power)
}

fn scale_of(frames: &mut Frames<'_>, syns: [FrameNo; 2], row: &FrameRow) -> Option<u8> {
    let mut own = None;
    for no in syns {
        let syn = frames.store.frame(no)?;
        let bytes = frames.read(no, &syn);
        let link = frames.link_type(&syn)?;
        let Network::Ip(at) = network(link, &bytes) else {
            return None;
        };
        let net::Packet::Tcp(segment) = net::packet(&bytes, at, syn.wire) else {
            return None;
        };
        let shift = net::tcp_options(&segment, &bytes).window_scale?;
        if syn.end() == row.end() {
            own = Some(shift);
        }
    }
    own
}

fn relative(conn: Option<&ConnRow>, end: End, seq: TcpSeq) -> Option<i64> {
    conn?.relative_seq(end, seq).map(i64::from)
}

fn header(
    w: &mut Walk<'_>,
    conn: Option<&ConnRow>,
    row: &FrameRow,
    segment: &Segment,
    bytes: &[u8],
    scale: Scale,
) -> Step<()> {
    w.be("tcp.srcport", "sender's port", 2)?;
    w.be("tcp.dstport", "receiver's port", 2)?;
    let number = |w: &mut Walk<'_>, raw, name, label: &'static str, end| -> Step<()> {
        let value = w.be(raw, label, 4)?;
        let range = w.r.last(4);
        let seq = TcpSeq(u32::try_from(value).unwrap_or(0));
        // Without the flag the acknowledgement number means nothing.
        let means = name == "tcp.seq" || row.tcp_flags.ack();
        if let Some(position) = relative(conn, end, seq).filter(|_| means) {
            w.push(Field::new(name, "from the start", Value::Int(position)).at(range));
        }
        Ok(())
    };
    number(w, "tcp.seq_raw", "tcp.seq", "sequence number", row.end())?;
    number(
        w,
        "tcp.ack_raw",
        "tcp.ack",
        "acknowledgement number",
        row.end().other(),
    )?;
    let at = w.at();
    let [offset, _] =
        w.r.array()
            .ok_or_else(|| Stop::short(at, "header length and flags"))?;
    w.push(
        Field::new(
            "tcp.hdr_len",
            "header length",
            Value::UInt(u64::from(offset >> 4) * 4),
        )
        .at(at..at.saturating_add(1)),
    );
    let flags = u64::from(segment.flags);
    w.push(Field::new("tcp.flags", "flags", Value::Hex(flags, 3)).at(at..w.at()));
    w.flags(flags, FLAGS);
    w.push(Field::new(
        "tcp.flags.str",
        "flags as letters",
        Value::Text(flag_string(segment.flags)),
    ));
    let window = w.be("tcp.window_size_value", "window", 2)?;
    let (factor, words) = match scale {
        Scale::Power(shift) => (1_u64 << shift.min(14), ""),
        Scale::None => (1, "no scaling"),
        Scale::Unknown => (
            1,
            "the scale is not known, the handshake is not in the file",
        ),
    };
    w.push(
        Field::new(
            "tcp.window_size",
            "window, scaled",
            Value::UInt(window.saturating_mul(factor)),
        )
        .text(words),
    );
    if !row.tcp_flags.syn() {
        w.push(Field::new(
            "tcp.window_size_scalefactor",
            "window scale",
            Value::Int(scale.factor()),
        ));
    }
    w.hex_be("tcp.checksum", "checksum", 2)?;
    let status = net::tcp_checksum(segment, bytes);
    w.say(match status {
        Checksum::Good => "right",
        Checksum::Bad => "wrong: damage, or captured before the network card fills it in",
        Checksum::CannotTell => "cannot be checked, bytes are missing",
    });
    let code = match status {
        Checksum::Bad => 0,
        Checksum::Good => 1,
        Checksum::CannotTell => 2,
    };
    w.push(Field::new(
        "tcp.checksum.status",
        "checksum status",
        Value::UInt(code),
    ));
    w.be("tcp.urgent_pointer", "urgent pointer", 2)?;
    w.push(Field::new(
        "tcp.len",
        "payload",
        Value::UInt(u64::from(segment.payload_len)),
    ));
    if let Some(next) = relative(conn, row.end(), row.next_seq()) {
        w.push(Field::new(
            "tcp.nxtseq",
            "next sequence number, from the start",
            Value::Int(next),
        ));
    }
    if !w.r.is_empty() {
        let len = w.r.left();
        w.bounded("tcp.options", "options", len, options)?;
    }
    Ok(())
}

fn options(w: &mut Walk<'_>) -> Step<()> {
    while let Some(kind) = w.r.peek() {
        match kind {
            0 => {
                w.le("tcp.option_kind", "end of options", 1)?;
                return Ok(());
            }
            1 => {
                w.le("tcp.option_kind", "no operation", 1)?;
            }
            _ => w.group("tcp.option_kind", option_name(kind), |w| {
                w.le("tcp.option_kind", "kind", 1)?;
                let len = w.le("tcp.option_len", "length", 1)?;
                let body = usize::try_from(len).unwrap_or(0).saturating_sub(2);
                option(w, kind, body)
            })?,
        }
    }
    Ok(())
}

fn option(w: &mut Walk<'_>, kind: u8, len: usize) -> Step<()> {
    match (kind, len) {
        (2, 2) => {
            w.be("tcp.options.mss_val", "largest segment", 2)?;
        }
        (3, 1) => {
            let shift = w.le("tcp.options.wscale.shift", "shift", 1)?;
            w.say(format!("times {}", 1_u64 << shift.min(14)));
        }
        (4, 0) => w.remark(
            "tcp.options.sack_perm",
            "selective acknowledgement permitted",
        ),
        (5, _) => {
            for _ in 0..len / 8 {
                w.be("tcp.options.sack_le", "left edge", 4)?;
                w.be("tcp.options.sack_re", "right edge", 4)?;
            }
        }
        (8, 8) => {
            w.be("tcp.options.timestamp.tsval", "time stamp", 4)?;
            w.be("tcp.options.timestamp.tsecr", "echoed", 4)?;
        }
        _ => {
            w.bytes("tcp.options", "data", len)?;
        }
    }
    Ok(())
}

fn option_name(kind: u8) -> &'static str {
    match kind {
        2 => "maximum segment size",
        3 => "window scale",
        4 => "SACK permitted",
        5 => "SACK",
        8 => "time stamps",
        19 => "MD5 signature",
        29 => "authentication",
        30 => "multipath TCP",
        34 => "fast open",
        _ => "option",
    }
}

/// What the pass found to be out of the ordinary, in words; with a name where Wireshark marks it too.
fn flagged(row: &FrameRow) -> Vec<Field> {
    const FOUND: &[(FrameFlags, &str, &str)] = &[
        (
            FrameFlags::RETRANSMISSION,
            "tcp.analysis.retransmission",
            "retransmission: all payload was seen before",
        ),
        (
            FrameFlags::OVERLAP,
            "tcp.analysis.retransmission",
            "some payload was seen before",
        ),
        (
            FrameFlags::OUT_OF_ORDER,
            "tcp.analysis.out_of_order",
            "out of order: behind a later segment",
        ),
        (
            FrameFlags::KEEPALIVE,
            "tcp.analysis.keep_alive",
            "keepalive probe",
        ),
        (
            FrameFlags::KEEPALIVE_ANSWER,
            "tcp.analysis.keep_alive_ack",
            "answer to a keepalive probe",
        ),
        (
            FrameFlags::WINDOW_PROBE,
            "tcp.analysis.keep_alive",
            "probe of a closed window",
        ),
        (
            FrameFlags::ZERO_WINDOW,
            "tcp.analysis.zero_window",
            "window 0: the sender accepts no data",
        ),
        (
            FrameFlags::DUPLICATE,
            "tcp.analysis.retransmission",
            "a copy of one transmission, left out of the analysis",
        ),
        (
            FrameFlags::GAP_BEFORE,
            "tcp.analysis.ack_lost_segment",
            "acknowledges bytes that are not in the file, or only behind it",
        ),
        (
            FrameFlags::NOT_IN_STREAM,
            "",
            "its payload is not part of the stream",
        ),
        (
            FrameFlags::FRAGMENT,
            "",
            "an IP fragment that could not be put together",
        ),
    ];
    FOUND
        .iter()
        .filter(|(flag, ..)| row.flags.has(*flag))
        .map(|(flag, name, words)| {
            // Nothing was sent again where a copy is of a bare acknowledgement.
            let bare = *flag == FrameFlags::DUPLICATE && !row.is_copy_with_data();
            let name = if bare { "" } else { *name };
            Field::new(name, *words, Value::None)
        })
        .collect()
}

/// Times and numbers that every segment may have.
fn measured(store: &Store, no: FrameNo, row: &FrameRow) -> Vec<Field> {
    let measures = [
        initial_round_trip(store, row),
        acknowledged(store, row),
        acknowledged_by(store, no, row),
        in_flight(store, row),
    ];
    measures.into_iter().flatten().collect()
}

/// The bytes that this end has sent and the other has not acknowledged, as far as the frames before tell.
fn in_flight(store: &Store, row: &FrameRow) -> Option<Field> {
    let probe = row.flags.has(FrameFlags::KEEPALIVE) || row.flags.has(FrameFlags::WINDOW_PROBE);
    if row.payload_len == 0 || probe || row.flags.has(FrameFlags::DUPLICATE) {
        return None;
    }
    let mut highest = row.next_seq();
    // Where nothing was acknowledged yet, all that was seen is in flight.
    let mut from = row.seq;
    let mut next = row.prev;
    for _ in 0..LOOK_BACK.saturating_mul(8) {
        let Some(other) = next.and_then(|no| store.frame(no)) else {
            return flight(from, highest);
        };
        next = other.prev;
        if other.end() != row.end() {
            if other.tcp_flags.ack() {
                return flight(other.ack, highest);
            }
        } else if other.payload_len > 0 {
            if highest.at_or_before(other.next_seq()) {
                highest = other.next_seq();
            }
            if other.seq.at_or_before(from) {
                from = other.seq;
            }
        }
    }
    None
}

fn flight(from: TcpSeq, to: TcpSeq) -> Option<Field> {
    let bytes = u64::try_from(to.diff(from)).ok().filter(|n| *n > 0)?;
    Some(Field::new(
        "tcp.analysis.bytes_in_flight",
        "bytes in flight",
        Value::UInt(bytes),
    ))
}

/// Which parts of a connection are in the file, as the sum that Wireshark makes of them.
fn completeness(conn: &ConnRow) -> Field {
    let began = |phase| conn.phases.iter().any(|row| row.phase == phase);
    let data = conn.tcp.0.iter().any(|end| end.bytes > 0);
    let parts = [
        (1, "SYN", conn.syn_frame.is_some()),
        (2, "SYN-ACK", conn.syn_ack_frame.is_some()),
        (4, "ACK", conn.handshake_frame.is_some()),
        (8, "data", data),
        (16, "FIN", began(Phase::Closing)),
        (32, "RST", began(Phase::Reset)),
    ];
    let there = parts.iter().filter(|(.., there)| *there);
    let sum = there.clone().map(|(bit, ..)| *bit).sum();
    let words: Vec<_> = there.map(|(_, word, _)| *word).collect();
    Field::new("tcp.completeness", "completeness", Value::UInt(sum)).text(words.join(", "))
}

/// The round trip of the handshake, from the SYN to the frame that completes it.
fn initial_round_trip(store: &Store, row: &FrameRow) -> Option<Field> {
    let conn = store.conn(row.conn?)?;
    let syn = store.frame(conn.syn_frame?)?;
    let done = store.frame(conn.handshake_frame?)?;
    if row.tcp_flags.syn() {
        return None;
    }
    Some(Field::new(
        "tcp.analysis.initial_rtt",
        "round trip of the handshake",
        Value::Span(store.between(&syn, &done)?),
    ))
}

/// The segments of the other end that this frame acknowledges and no frame of its end did before.
fn acknowledged(store: &Store, row: &FrameRow) -> Option<Field> {
    if !row.tcp_flags.ack() {
        return None;
    }
    let mut frames = Vec::new();
    let mut next = row.prev;
    for _ in 0..LOOK_BACK {
        let Some(no) = next else { break };
        let Some(other) = store.frame(no) else { break };
        next = other.prev;
        if store.between(&other, row).is_none() {
            // The copy of another point.
            continue;
        }
        if other.end() == row.end() {
            if other.tcp_flags.ack() && other.ack == row.ack && other.payload_len == 0 {
                break;
            }
            if other.tcp_flags.ack() && !row.ack.at_or_before(other.ack) {
                // It had acknowledged up to there.
                frames.retain(|(_, end): &(FrameNo, TcpSeq)| !end.at_or_before(other.ack));
                break;
            }
        } else if other.next_seq() != other.seq && other.next_seq().at_or_before(row.ack) {
            frames.push((no, other.next_seq()));
        }
    }
    let last = frames.first()?.0;
    let first = frames.last()?.0;
    let words = if first == last {
        String::new()
    } else {
        format!("from frame {first} on, {} segments", frames.len())
    };
    let sent = store.time_of(last)?;
    Some(
        Field::new(
            "tcp.analysis.acks_frame",
            "acknowledges frame",
            Value::Frame(last),
        )
        .text(words)
        .link(first)
        .child(Field::new(
            "tcp.analysis.ack_rtt",
            "after",
            Value::Span(row.time.since(sent)),
        )),
    )
}

/// The first later frame of the other end that acknowledges this segment.
fn acknowledged_by(store: &Store, no: FrameNo, row: &FrameRow) -> Option<Field> {
    if row.next_seq() == row.seq || row.tcp_flags.rst() {
        return None;
    }
    let (answer, later) = store
        .frames_from(FrameNo(no.0.saturating_add(1)))
        .take(LOOK_BACK.saturating_mul(16))
        .find(|(_, other)| {
            other.conn == row.conn
                && other.is_tcp()
                && other.end() != row.end()
                && other.tcp_flags.ack()
                && row.next_seq().at_or_before(other.ack)
                && store.between(row, other).is_some()
        })?;
    Some(
        Field::new(
            "tcp.acked_after",
            "acknowledged after",
            Value::Span(later.time.since(row.time)),
        )
        .text(format!("by frame {answer}"))
        .link(answer),
    )
}
