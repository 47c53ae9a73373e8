//! A small capture made by hand, for the tests of the screen: one MARS connection with two Sids that is closed and
//! reset, 12 frames.

use std::sync::Arc;

use super::settings::Settings;
use super::{App, Effect, Event, update};
use crate::store::{
    Batch, Condition, Confidence, ConnRow, Endpoint, Evidence, Finding, FrameFlags, FrameRow,
    HeaderCheck, InterfaceRow, Outcome, PduFlags, PduKind, PduRow, Phase, PhaseRow, PreloginInfo,
    Progress, Protocol, RequestEnd, RequestKind, RequestRow, SessionEnd, SessionRow, SmpCounts,
    TcpFlags, TcpStats, TdsCounts, Verdict,
};
use crate::units::{
    ConnId, End, FileOffset, FindingId, FrameNo, Holds, InterfaceId, Nanos, PduId, PerEnd,
    RequestId, SessionId, Sid, SmpSeq, StreamPos, TcpSeq, TextId,
};

/// Frames: microseconds, sender, what, Sid.
const FRAMES: [(i64, End, &str, u16); 12] = [
    (0, End::A, "syn", 0),
    (100, End::B, "syn", 0),
    (200, End::A, "ack", 0),
    (5_000, End::A, "SYN", 0),
    (5_100, End::A, "DATA", 0),
    (7_000, End::B, "DATA", 0),
    (8_000, End::A, "SYN", 5),
    (208_000, End::A, "FIN", 5),
    (208_500, End::B, "FIN", 5),
    (210_000, End::A, "FIN", 0),
    (210_100, End::A, "fin", 0),
    (210_300, End::A, "rst", 0),
];

/// The frame's row.
fn frame_row(at: usize) -> FrameRow {
    let (us, end, what, _) = FRAMES[at];
    let mut flags = FrameFlags::TCP;
    if end == End::B {
        flags.set(FrameFlags::FROM_B);
    }
    let smp = what.chars().all(char::is_uppercase);
    FrameRow {
        offset: FileOffset(0),
        time: Nanos(1_773_480_672_000_000_000 + us * 1000),
        captured: 60,
        wire: 60,
        conn: Some(ConnId(0)),
        prev: at.checked_sub(1).map(FrameNo::from_index),
        seq: TcpSeq(1000),
        ack: TcpSeq(2000),
        payload_len: if smp { 16 } else { 0 },
        payload_offset: 54,
        window: 512,
        ip_id: 0,
        tcp_flags: TcpFlags(match what {
            "syn" => 0x02,
            "fin" => 0x11,
            "rst" => 0x14,
            _ => 0x10,
        }),
        interface: InterfaceId(0),
        ttl: 64,
        flags,
    }
}

fn pdu_row(at: usize) -> Option<PduRow> {
    let (_, end, what, sid) = FRAMES[at];
    let kind = match what {
        "SYN" => PduKind::Syn,
        "DATA" => PduKind::Data,
        "FIN" => PduKind::Fin,
        _ => return None,
    };
    Some(PduRow {
        frame: FrameNo::from_index(at),
        first_frame: FrameNo::from_index(at),
        conn: ConnId(0),
        end,
        kind,
        flags: PduFlags::default(),
        pos: StreamPos(0),
        len: 16,
        session: Some(SessionId(u32::from(sid > 0))),
        sid: Sid(sid),
        seqnum: SmpSeq(1),
        wndw: SmpSeq(4),
        tds_type: 0,
        tds_status: 0,
        prev: None,
    })
}

fn session_row(id: u32, sid: u16, open: u32, fins: (u32, Option<u32>)) -> SessionRow {
    let end = |fin: Option<u32>| SessionEnd {
        counts: SmpCounts::default(),
        fin_frame: fin.map(FrameNo),
        ..SessionEnd::default()
    };
    SessionRow {
        last_frame: FrameNo(fins.0),
        ends: PerEnd([end(Some(fins.0)), end(fins.1)]),
        requests: 1,
        ..SessionRow::opened(SessionId(id), ConnId(0), Sid(sid), FrameNo(open))
    }
}

fn conn_row() -> ConnRow {
    let endpoint = |ip: [u8; 4], port| Endpoint {
        ip: ip.into(),
        port,
    };
    ConnRow {
        id: ConnId(0),
        ends: PerEnd([
            endpoint([10, 0, 0, 5], 50123),
            endpoint([10, 0, 0, 9], 1433),
        ]),
        client: End::A,
        client_evidence: Some("SYN"),
        incarnation: 0,
        apart: None,
        first_frame: FrameNo(1),
        last_frame: FrameNo(12),
        frames: 12,
        first_time: frame_row(0).time,
        last_time: frame_row(11).time,
        protocol: Protocol::Tds,
        mars: Some(true),
        smp_seen: true,
        encryption: None,
        syn_frame: Some(FrameNo(1)),
        syn_ack_frame: Some(FrameNo(2)),
        handshake_frame: Some(FrameNo(3)),
        base_seq: PerEnd([Some(TcpSeq(1)), Some(TcpSeq(1))]),
        tcp: PerEnd([TcpStats::default(); 2]),
        smp: PerEnd([SmpCounts::default(); 2]),
        tds: PerEnd([TdsCounts::default(); 2]),
        prelogin: PreloginInfo::default(),
        tls: None,
        login: None,
        phases: Arc::new(vec![
            PhaseRow {
                phase: Phase::Connect,
                frame: FrameNo(1),
                sid: None,
            },
            PhaseRow {
                phase: Phase::SessionOpen,
                frame: FrameNo(4),
                sid: Some(Sid(0)),
            },
            PhaseRow {
                phase: Phase::Reset,
                frame: FrameNo(12),
                sid: None,
            },
        ]),
        last_plain_pdu: PerEnd([None, None]),
        first_pdu: Some(PduId(0)),
        copied: false,
        calm: Box::default(),
    }
}

/// What a rule says about the reset.
pub(crate) fn finding() -> Finding {
    Finding {
        id: FindingId(0),
        rule: "mars-close-rst".into(),
        verdict: Verdict::Benign,
        confidence: Confidence::Proven,
        close: true,
        conn: Some(ConnId(0)),
        session: None,
        marks: vec![FrameNo(12)],
        evidence: [Evidence {
            frame: FrameNo(11),
            role: "client TCP FIN".into(),
            fact: "FIN.Seq 1000".to_string(),
        }]
        .into_iter()
        .collect(),
        conditions: [Condition {
            id: "M5".into(),
            text: "late bytes are one SMP FIN".into(),
            outcome: Outcome::Held,
            frames: vec![FrameNo(11)],
            fact: "51022 - 51006 = 16".to_string(),
        }]
        .into_iter()
        .collect(),
        notes: Vec::new(),
        text: "a late SMP FIN met a closed socket".into(),
    }
}

/// The request of Sid 0, which is answered.
fn request_row() -> RequestRow {
    RequestRow {
        id: RequestId(0),
        conn: ConnId(0),
        session: Some(SessionId(0)),
        kind: RequestKind::SqlBatch,
        text: TextId(1),
        headers: HeaderCheck::default(),
        first_frame: FrameNo(5),
        last_frame: FrameNo(5),
        first_pdu: PduId(1),
        complete: true,
        ignored: false,
        reset_connection: false,
        reset_acknowledged: false,
        answer_first_frame: Some(FrameNo(6)),
        answer_last_frame: Some(FrameNo(6)),
        answer_bytes: 16,
        start: frame_row(4).time,
        first_byte_ns: Some(1_900_000),
        duration_ns: Some(1_900_000),
        rows: Some(1),
        error: None,
        done_status: Some(0x10),
        attention_frame: None,
        attention_ack_frame: None,
        end: RequestEnd::Done,
    }
}

/// The rows.
pub(crate) fn batch() -> Batch {
    Batch {
        frames: (0..FRAMES.len()).map(frame_row).collect(),
        pdus: (0..FRAMES.len()).filter_map(pdu_row).collect(),
        conns: std::iter::once(Arc::new(conn_row())).collect(),
        sessions: [
            session_row(0, 0, 4, (10, None)),
            session_row(1, 5, 7, (8, Some(9))),
        ]
        .into_iter()
        .collect(),
        requests: std::iter::once(request_row()).collect(),
        texts: vec!["select 1".into()],
        interfaces: vec![InterfaceRow {
            file: 0,
            local: 0,
            section: 0,
            link_type: 1,
            snap_len: 0,
            ticks_per_second: 1_000_000,
            name: None,
            holds: Holds::Frames,
        }],
        progress: Progress {
            complete: true,
            ..Progress::default()
        },
        ..Batch::default()
    }
}

/// The screen over the small capture, indexed and judged.
pub(crate) fn app(w: u16, h: u16) -> App {
    let mut app = App::new("small.pcapng", (w, h), Settings::default());
    let effects = read(&mut app);
    assert!(effects.is_empty());
    app
}

/// What the loop does when the small capture is read, from its first frame to its finding.
pub(crate) fn read(app: &mut App) -> Vec<Effect> {
    let mut effects = update(app, Event::Batch(Box::new(batch())));
    effects.extend(update(app, Event::Indexed(None)));
    // The rules have their own tests; here the finding is given.
    app.judge = None;
    app.jobs.judged = true;
    if let Some(store) = Arc::get_mut(&mut app.store) {
        store.add_finding(finding());
    }
    effects
}

/// A screen over a connection with many Sids: each sends a request, and the first is closed. The Sid with the
/// number `busy` sends a hundred.
pub(crate) fn many_sids(sids: u16, busy: u16) -> App {
    let mut app = App::new("many.pcapng", (80, 24), Settings::default());
    let mut batch = batch();
    batch.sessions.clear();
    let (mut frames, mut pdus) = (Vec::new(), Vec::new());
    let template = pdu_row(4);
    let mut add = |sid: u16, kind: PduKind| {
        let at = frames.len();
        let mut frame = frame_row(4);
        frame.time = Nanos(frame.time.0 + i64::try_from(at).unwrap_or(0) * 1000);
        frame.prev = at.checked_sub(1).map(FrameNo::from_index);
        frames.push(frame);
        let no = FrameNo::from_index(at);
        pdus.extend(template.map(|pdu| PduRow {
            frame: no,
            first_frame: no,
            kind,
            session: Some(SessionId(u32::from(sid))),
            sid: Sid(sid),
            ..pdu
        }));
        no.0
    };
    for sid in 0..sids {
        let open = add(sid, PduKind::Syn);
        let many = if sid == busy { 100 } else { 1 };
        let last = (0..many).map(|_| add(sid, PduKind::Data)).last();
        let mut row = session_row(u32::from(sid), sid, open, (last.unwrap_or(open), None));
        row.ends.get_mut(End::A).fin_frame = None;
        batch.sessions.push(row);
    }
    let conn = Arc::make_mut(&mut batch.conns[0]);
    conn.last_frame = FrameNo::from_index(frames.len() - 1);
    conn.last_time = frames[frames.len() - 1].time;
    conn.phases = Arc::default();
    batch.frames = frames.into_iter().collect();
    batch.pdus = pdus.into_iter().collect();
    update(&mut app, Event::Batch(Box::new(batch)));
    update(&mut app, Event::Indexed(None));
    app.judge = None;
    app.jobs.judged = true;
    app
}

/// Presses keys, written as in the command table, blanks between.
pub(crate) fn press(app: &mut App, keys: &str) -> Vec<super::Effect> {
    let keys = super::key::parse_sequence(keys).unwrap();
    keys.into_iter()
        .flat_map(|key| update(app, Event::Key(key)))
        .collect()
}

/// What stands in the message line.
pub fn said(app: &App) -> &str {
    app.message.as_ref().map_or("", |(_, text)| text)
}
