//! The ladder as text: time downward, client left, server right, one arrow per frame.

use std::io::Write;

use super::error::ExportError;
use super::job::Job;
use super::plan::insert_sorted;
use super::time::{Offsets, seconds};
use crate::decode::tds::packet_type;
use crate::report::words;
use crate::store::{FrameRow, PduFlags, PduKind, PduRow, Store};
use crate::units::words::counted;
use crate::units::{ConnId, FrameNo, Nanos, Side};

/// Columns between the two life lines.
const WIDTH: usize = 38;
/// A wait between two rows that is worth a line of its own, in nanoseconds.
const GAP_NS: i64 = 100_000_000;

pub(super) fn write(job: &Job<'_>, out: &mut dyn Write) -> Result<(), ExportError> {
    let store = job.store;
    let offsets = Offsets::new(store, job.plan.frames.iter());
    let several = job.plan.several_conns();
    for conn in job.plan.conns.iter().filter_map(|id| store.conn(*id)) {
        let (client, server) = (conn.endpoint(Side::Client), conn.endpoint(Side::Server));
        writeln!(
            out,
            "connection {}: client {client}, server {server}",
            conn.id
        )?;
    }
    writeln!(
        out,
        "{:>16}  {:<width$}server",
        "time",
        "client",
        width = WIDTH - 1
    )?;
    let mut before: Option<Nanos> = None;
    for (done, no) in (0_u64..).zip(job.plan.frames.iter()) {
        job.tick(done)?;
        let Some(frame) = store.frame(no) else {
            continue;
        };
        let Some(arrow) = Arrow::of(store, no, &frame) else {
            continue;
        };
        if let Some(wait) = wait(before, frame.time) {
            let wait = format!("({wait})");
            writeln!(out, "{:>16}    |{wait:^WIDTH$}|", "")?;
        }
        before = Some(frame.time);
        let conn = if several {
            format!("c{} ", arrow.conn)
        } else {
            String::new()
        };
        let line = arrow.line(&conn);
        let time = offsets.show(frame.time);
        let tail = arrow.tail();
        writeln!(
            out,
            "{}",
            format!("{time:>16}    |{line}|  {no}{tail}").trim_end()
        )?;
    }
    Ok(())
}

/// How long nothing passed in front of a row, where that is worth a line of its own.
pub(super) fn wait(before: Option<Nanos>, now: Nanos) -> Option<String> {
    let gap = now.since(before?);
    (gap >= GAP_NS).then(|| format!("{} s", seconds(gap, 3)))
}

/// One frame of the ladder: who sent it, what it says, and the verdict on it.
pub(super) struct Arrow {
    pub(super) conn: ConnId,
    pub(super) from: Side,
    pub(super) label: String,
    /// A segment without SMP or TDS, drawn with a double line.
    pub(super) tcp: bool,
    pub(super) verdict: Option<(char, Vec<FrameNo>)>,
}

impl Arrow {
    pub(super) fn of(store: &Store, no: FrameNo, frame: &FrameRow) -> Option<Self> {
        let from = store.side(frame)?;
        let conn = store.conn(frame.conn?)?;
        let answers_prelogin = conn.prelogin.server_frame == Some(no);
        let label = |pdu: &PduRow| {
            if answers_prelogin && pdu.kind == PduKind::Tds {
                "PRELOGIN reply".to_owned()
            } else {
                pdu_label(pdu)
            }
        };
        let pdus: Vec<_> = store.pdus_in(no).map(|(_, pdu)| label(&pdu)).collect();
        let flags = frame.tcp_flags;
        let control = flags.syn() || flags.fin() || flags.rst();
        let mut words = pdus.clone();
        if words.is_empty() || control {
            words.push(tcp_label(frame));
        }
        let verdict = store.finding_on(no).map(|finding| {
            let mut frames: Vec<FrameNo> = Vec::new();
            for frame in finding.evidence.frames() {
                if frame != no {
                    insert_sorted(&mut frames, frame);
                }
            }
            (finding.verdict.letter(), frames)
        });
        Some(Self {
            conn: conn.id,
            from,
            label: words.join(", "),
            tcp: pdus.is_empty(),
            verdict,
        })
    }

    fn line(&self, conn: &str) -> String {
        let shaft = if self.tcp { '=' } else { '-' };
        let label = format!(" {conn}{} ", self.label);
        let fill = WIDTH.saturating_sub(label.chars().count().saturating_add(4));
        let lead = shaft.to_string().repeat(3);
        let rest = shaft.to_string().repeat(fill);
        match self.from {
            Side::Client => format!("{lead}{label}{rest}>"),
            Side::Server => format!("<{rest}{label}{lead}"),
        }
    }

    fn tail(&self) -> String {
        match &self.verdict {
            None => String::new(),
            Some((letter, frames)) => format!("  {letter} {}", words::frames(frames)),
        }
    }
}

fn pdu_label(pdu: &PduRow) -> String {
    match pdu.kind {
        PduKind::Syn => format!("Sid {} SYN", pdu.sid),
        PduKind::Ack => format!("Sid {} ACK", pdu.sid),
        PduKind::Fin => format!("Sid {} FIN", pdu.sid),
        PduKind::BadSmp => format!("Sid {} bad SMP", pdu.sid),
        PduKind::Data => format!("Sid {} {}", pdu.sid, tds_label(pdu)),
        PduKind::Tds => tds_label(pdu).to_owned(),
        PduKind::Tls => "TLS".into(),
        PduKind::Hidden => format!("{} missing", counted(pdu.len, "byte")),
        PduKind::Unknown => counted(pdu.len, "byte"),
    }
}

fn tds_label(pdu: &PduRow) -> &'static str {
    if pdu.flags.has(PduFlags::WRAPPED_TLS) {
        return "TLS handshake";
    }
    if !pdu.flags.has(PduFlags::TDS_HEADER) {
        return "DATA";
    }
    match pdu.tds_type {
        packet_type::SQL_BATCH => "SQLBatch",
        packet_type::RPC => "RPC",
        packet_type::TABULAR_RESULT => "response",
        packet_type::ATTENTION => "Attention",
        packet_type::BULK_LOAD => "BulkLoad",
        packet_type::FED_AUTH => "FedAuthToken",
        packet_type::TRANSACTION_MANAGER => "transaction",
        packet_type::LOGIN7 => "LOGIN7",
        packet_type::SSPI => "SSPI",
        packet_type::PRELOGIN => "PRELOGIN",
        _ => "TDS",
    }
}

fn tcp_label(frame: &FrameRow) -> String {
    if !frame.is_tcp() {
        return "not TCP".into();
    }
    let flags = frame.tcp_flags;
    let names: Vec<_> = [
        (flags.syn(), "SYN"),
        (flags.fin(), "FIN"),
        (flags.rst(), "RST"),
        (flags.ack(), "ACK"),
    ]
    .iter()
    .filter(|(set, _)| *set)
    .map(|(_, name)| *name)
    .collect();
    let len = match frame.payload_len {
        0 => String::new(),
        len => format!(" {}", counted(len, "byte")),
    };
    format!("TCP {}{len}", names.join(","))
}
