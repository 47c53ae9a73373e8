//! Stores built by hand for the tests of this layer.

use std::net::IpAddr;
use std::sync::Arc;

use crate::store::*;
use crate::units::*;

/// A store in the making: frames and PDUs are added in file order.
#[derive(Default)]
pub(crate) struct Builder {
    pub(crate) frames: Vec<FrameRow>,
    pub(crate) pdus: Vec<PduRow>,
    /// The rest.
    pub(crate) batch: Batch,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A connection from 10.0.0.5 to 10.0.0.9:1433, whose end A is the client.
    pub(crate) fn conn(&mut self, port: u16) -> ConnId {
        let id = ConnId::from_index(self.batch.conns.len());
        self.batch.conns.push(conn_row(id, port).into());
        id
    }

    pub(crate) fn session(&mut self, conn: ConnId, sid: u16) -> SessionId {
        let id = SessionId::from_index(self.batch.sessions.len());
        let row = SessionRow::opened(id, conn, Sid(sid), FrameNo(1));
        self.batch.sessions.push(row);
        id
    }

    /// A frame of a connection, 1 ms behind the one before.
    pub(crate) fn frame(&mut self, conn: ConnId, end: End, flags: u16, payload: u32) -> FrameNo {
        let no = FrameNo::from_index(self.frames.len());
        let ms = i64::from(no.0);
        let row = Arc::make_mut(self.batch.conns.get_mut(conn.index()).unwrap());
        let prev = (row.frames > 0).then_some(row.last_frame);
        row.last_frame = no;
        row.frames += 1;
        if prev.is_none() {
            row.first_frame = no;
        }
        let mut frame_flags = FrameFlags::TCP;
        if end == End::B {
            frame_flags.set(FrameFlags::FROM_B);
        }
        self.frames.push(FrameRow {
            offset: FileOffset(u64::from(no.0) * 100),
            time: Nanos(1_773_480_672_000_000_000 + ms * 1_000_000),
            captured: 54 + payload,
            wire: 54 + payload,
            conn: Some(conn),
            prev,
            seq: TcpSeq(1000 + no.0),
            ack: TcpSeq(5000 + no.0),
            payload_len: payload,
            payload_offset: 54,
            window: 1024,
            ip_id: 7,
            tcp_flags: TcpFlags(flags),
            interface: InterfaceId(0),
            ttl: 64,
            flags: frame_flags,
        });
        no
    }

    /// A PDU that is completed in the last frame.
    pub(crate) fn pdu(&mut self, kind: PduKind, session: Option<SessionId>) -> PduId {
        let id = PduId::from_index(self.pdus.len());
        let frame = self.frames.last().unwrap();
        let no = FrameNo::from_index(self.frames.len() - 1);
        let sid = session.map_or(0, |s| self.batch.sessions[s.index()].sid.0);
        self.pdus.push(PduRow {
            frame: no,
            first_frame: no,
            conn: frame.conn.unwrap(),
            end: frame.end(),
            kind,
            flags: PduFlags::default(),
            pos: StreamPos(0),
            len: 16,
            session,
            sid: Sid(sid),
            seqnum: SmpSeq(3),
            wndw: SmpSeq(7),
            tds_type: 0,
            tds_status: 0,
            prev: None,
        });
        id
    }

    /// A TDS packet that is completed in the last frame.
    pub(crate) fn tds(
        &mut self,
        session: Option<SessionId>,
        kind: u8,
        status: u8,
        len: u32,
    ) -> PduId {
        let outside = if session.is_some() {
            PduKind::Data
        } else {
            PduKind::Tds
        };
        let id = self.pdu(outside, session);
        let pdu = self.pdus.last_mut().unwrap();
        pdu.flags.set(PduFlags::TDS_HEADER);
        pdu.tds_type = kind;
        pdu.tds_status = status;
        pdu.len = len;
        id
    }

    pub(crate) fn last_frame(&mut self) -> &mut FrameRow {
        self.frames.last_mut().unwrap()
    }

    pub(crate) fn build(self) -> Store {
        let mut store = Store::new();
        store.append(Batch {
            frames: self.frames.into_iter().collect(),
            pdus: self.pdus.into_iter().collect(),
            ..self.batch
        });
        store
    }
}

fn conn_row(id: ConnId, port: u16) -> ConnRow {
    let ip = |last| IpAddr::from([10, 0, 0, last]);
    ConnRow {
        id,
        ends: PerEnd([
            Endpoint { ip: ip(5), port },
            Endpoint {
                ip: ip(9),
                port: 1433,
            },
        ]),
        client: End::A,
        client_evidence: Some("SYN"),
        incarnation: 0,
        apart: None,
        first_frame: FrameNo(1),
        last_frame: FrameNo(1),
        frames: 0,
        first_time: Nanos(1_773_480_672_000_000_000),
        last_time: Nanos(1_773_480_672_000_000_000),
        protocol: Protocol::Tds,
        mars: Some(true),
        smp_seen: true,
        encryption: None,
        syn_frame: None,
        syn_ack_frame: None,
        handshake_frame: None,
        base_seq: PerEnd([Some(TcpSeq(1001)), Some(TcpSeq(5001))]),
        tcp: PerEnd::default(),
        smp: PerEnd::default(),
        tds: PerEnd::default(),
        prelogin: PreloginInfo::default(),
        tls: None,
        login: None,
        phases: Arc::new(Vec::new()),
        last_plain_pdu: PerEnd::default(),
        first_pdu: None,
        copied: false,
        calm: Box::default(),
    }
}

/// A finding of a rule that marks a frame.
pub(crate) fn finding(
    rule: &'static str,
    verdict: Verdict,
    conn: ConnId,
    mark: FrameNo,
) -> Finding {
    Finding {
        id: FindingId(0),
        rule: rule.into(),
        verdict,
        confidence: Confidence::Proven,
        close: true,
        conn: Some(conn),
        session: None,
        marks: vec![mark],
        evidence: EvidenceList::default(),
        conditions: Conditions::default(),
        notes: Vec::new(),
        text: "".into(),
    }
}

pub(crate) const SYN: u16 = 0x002;
pub(crate) const FIN_ACK: u16 = 0x011;
pub(crate) const RST_ACK: u16 = 0x014;
pub(crate) const ACK: u16 = 0x010;

/// Two connections; on the first a close of two Sids with a reset:
/// 1 SYN · 2 request on Sid 0 · 3 answer · 4 FIN Sid 0 and FIN Sid 5 in one frame · 5 TCP FIN · 6 FIN Sid 0 from
/// the server · 7 RST (marked by the finding) · 8 SYN of connection 1 · 9 plain ACK of connection 1 · 10 not TCP.
pub(crate) fn close() -> Store {
    let mut b = Builder::new();
    let (one, two) = (b.conn(50123), b.conn(50124));
    let (zero, five) = (b.session(one, 0), b.session(one, 5));
    b.frame(one, End::A, SYN, 0);
    b.frame(one, End::A, ACK, 120);
    b.tds(Some(zero), 3, 1, 120);
    b.frame(one, End::B, ACK, 44);
    b.tds(Some(zero), 4, 1, 44);
    b.frame(one, End::A, ACK, 32);
    b.pdu(PduKind::Fin, Some(zero));
    b.pdu(PduKind::Fin, Some(five));
    b.frame(one, End::A, FIN_ACK, 0);
    b.last_frame().ack = TcpSeq(6000);
    b.frame(one, End::B, ACK, 16);
    b.pdu(PduKind::Fin, Some(zero));
    let reset = b.frame(one, End::A, RST_ACK, 0);
    b.last_frame().ack = TcpSeq(6016);
    b.frame(two, End::A, SYN, 0);
    b.frame(two, End::B, ACK, 0);
    b.frame(two, End::A, 0, 0);
    let last = b.last_frame();
    last.flags = FrameFlags::NOT_IP;
    last.conn = None;
    let mut store = b.build();
    store.add_finding(finding("mars-close-rst", Verdict::Benign, one, reset));
    store
}
