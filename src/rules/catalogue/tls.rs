//! Resets at the end of connections whose contents are encrypted: what record sizes can tell, and what they cannot.

use super::mars::{close_evidence, trouble_before};
use crate::decode::tls::names;
use crate::rules::facts::{CONTROL, Facts, Pos, Seg, end_of, signed, start_of};
use crate::rules::rule::{Check, Conclusion, Criterion, Rule};
use crate::rules::settings::Threshold;
use crate::store::{Applied, Confidence, Outcome, PduKind, PduRow, Verdict};
use crate::units::Side;

/// TLS content type of alerts.
const ALERT: u8 = 21;

/// Sizes of a record that holds 16 bytes, header of 5 included (catalogue, 3.6).
const CONTROL_RECORDS: &[(u32, &str)] = &[
    (38, "TLS 1.3"),
    (45, "TLS 1.2 AES-GCM or AES-CCM"),
    (37, "TLS 1.2 ChaCha20-Poly1305"),
    (69, "TLS 1.2 AES-CBC with SHA1"),
    (85, "TLS 1.2 AES-CBC with SHA256"),
    (101, "TLS 1.2 AES-CBC with SHA384"),
];

/// The size that a record of 16 bytes has with the version and cipher suite of a connection; `None` where neither is
/// known.
fn control_record(facts: &Facts<'_>) -> Option<u32> {
    let tls = facts.conn.tls.as_deref()?;
    if tls.version == Some("TLS 1.3") {
        return Some(38);
    }
    let suite = names::cipher(tls.cipher?)?;
    let size = match suite {
        _ if suite.contains("CHACHA20") || suite.ends_with("CCM_8") => 37,
        _ if suite.contains("GCM") || suite.contains("CCM") => 45,
        _ if !suite.contains("CBC") => return None,
        _ if suite.ends_with("SHA384") => 101,
        _ if suite.ends_with("SHA256") => 85,
        _ => 69,
    };
    Some(size)
}

/// The ends of both streams in records.
struct Records {
    /// The client's last record before its FIN, alerts left aside.
    client_last: Option<PduRow>,
    /// Start of the row of equal records that ends the client's stream.
    c0: Pos,
    /// The server's records behind the FIN's acknowledgement, in stream order.
    late: Vec<PduRow>,
    /// Whether the FIN's acknowledgement is a border between records.
    border: bool,
}

fn records(facts: &Facts<'_>) -> Option<Records> {
    let a = facts.close.a?;
    let f = facts.close.f?;
    let chain = |side| {
        facts
            .store
            .plain_pdus_back(facts.conn.id, facts.conn.end_of(side))
            .map(|(_, pdu)| pdu)
    };
    let mut client_last = None;
    let mut c0 = f;
    for pdu in chain(Side::Client) {
        if pdu.kind != PduKind::Tls {
            break;
        }
        if pdu.tds_type == ALERT && client_last.is_none() {
            c0 = start_of(&pdu);
            continue;
        }
        let same = client_last.is_none_or(|last: PduRow| last.len == pdu.len);
        if !same || end_of(&pdu) != c0 {
            break;
        }
        client_last = client_last.or(Some(pdu));
        c0 = start_of(&pdu);
    }
    let mut late: Vec<PduRow> = Vec::new();
    let mut border = a == end_or_zero(chain(Side::Server).next().as_ref());
    for pdu in chain(Side::Server) {
        if end_of(&pdu) <= a {
            border |= end_of(&pdu) == a;
            break;
        }
        border |= start_of(&pdu) == a;
        late.push(pdu);
    }
    late.reverse();
    Some(Records {
        client_last,
        c0,
        late,
        border,
    })
}

fn end_or_zero(pdu: Option<&PduRow>) -> Pos {
    pdu.map_or(0, end_of)
}

fn encrypted(facts: &Facts<'_>) -> Check {
    Check::holds(
        facts.encrypted,
        facts
            .conn
            .encryption
            .map_or("encryption not known", crate::store::Encryption::name),
    )
}

const ENCRYPTED: Criterion = Criterion::new(
    "T1",
    "Everything behind the login is inside TLS, so that SMP cannot be seen",
    encrypted,
);

fn negotiated(facts: &Facts<'_>) -> Check {
    let p = &facts.conn.prelogin;
    let agreed = p.client_mars == Some(true) && p.server_mars == Some(true);
    Check::holds(
        agreed,
        if agreed {
            "both say 1"
        } else {
            "not readable, or 0"
        },
    )
    .on(p.client_frame.into_iter().chain(p.server_frame))
}

fn fin_in_file(facts: &Facts<'_>) -> Check {
    let tf = facts.close.tf.iter().map(|seg| seg.no);
    Check::holds(!facts.close.tf.is_empty() && !facts.close.two_fins, "").on(tf)
}

fn client_first(facts: &Facts<'_>) -> Check {
    Check::holds(
        facts.close.closed_by(Side::Client) && facts.close.server_resets.is_empty(),
        "",
    )
    .on(facts.close.ender.map(|(_, seg)| seg.no))
}

fn sizes(facts: &Facts<'_>) -> Check {
    let Some(records) = records(facts) else {
        return Check::failed("no FIN of the client");
    };
    let Some(last) = records.client_last else {
        return Check::failed("the client's last record cannot be read");
    };
    let Some((size, cipher)) = CONTROL_RECORDS.iter().find(|(size, _)| *size == last.len) else {
        return Check::failed(format!(
            "the client's last record has {} bytes: no 16-byte packet",
            last.len
        ))
        .on([last.frame]);
    };
    if let Some(usual) = control_record(facts).filter(|usual| usual != size) {
        return Check::failed(format!(
            "the client's last record has {size} bytes, a 16-byte packet would have {usual} with the cipher of this connection"
        ))
        .on([last.frame]);
    }
    let late: Vec<&PduRow> = records
        .late
        .iter()
        .filter(|p| p.tds_type != ALERT)
        .collect();
    if late.is_empty() {
        return Check::failed("no late record of the server").on([last.frame]);
    }
    match late
        .iter()
        .find(|p| p.kind != PduKind::Tls || p.len != *size)
    {
        Some(other) => Check::failed(format!(
            "a late record of the server has {} bytes",
            other.len
        ))
        .on([other.frame]),
        None => Check::held(format!(
            "{} late records of {size} bytes each, as a 16-byte packet makes with {cipher}",
            late.len()
        ))
        .on([last.frame].into_iter().chain(late.iter().map(|p| p.frame))),
    }
}

fn border(facts: &Facts<'_>) -> Check {
    let border = records(facts).is_some_and(|r| r.border);
    Check::holds(border, "").on(facts.close.tf.iter().map(|seg| seg.no))
}

fn forms(facts: &Facts<'_>) -> Check {
    let (Some(records), Some(a), Some(f)) = (records(facts), facts.close.a, facts.close.f) else {
        return Check::failed("no FIN of the client");
    };
    let size = records.client_last.map_or(CONTROL, |p| Pos::from(p.len));
    let late = facts.frames.late.get(Side::Server);
    if facts.close.resets.is_empty() {
        return Check::failed("no reset of the client");
    }
    for reset in &facts.close.resets {
        let provoked = |seg: &&Seg| {
            seg.no < reset.no && seg.ack == Some(reset.pos) && seg.next > a.saturating_sub(1)
        };
        let fits = match reset.ack {
            Some(ack) => {
                let more = ack.saturating_sub(a);
                reset.pos == f.saturating_add(1) && more > 0 && more % size == 0
            }
            None => {
                reset.pos >= records.c0
                    && reset.pos <= f.saturating_add(1)
                    && late.iter().any(|seg| provoked(&seg))
            }
        };
        if !fits || reset.len > 0 {
            return Check::failed(format!(
                "frame {}: RST.Seq = FIN.Seq {}",
                reset.no,
                signed(reset.pos.saturating_sub(f))
            ))
            .on([reset.no]);
        }
    }
    Check::held("").on(facts.close.resets.iter().map(|r| r.no))
}

fn calm_and_timely(facts: &Facts<'_>) -> Check {
    let Some(first) = facts.close.resets.first() else {
        return Check::failed("no reset of the client");
    };
    if let Some((fact, frames)) = trouble_before(facts, first) {
        return Check::failed(fact).on(frames);
    }
    let limit = facts.settings.get(Threshold::LateReset).unsigned_abs();
    let late = facts.frames.late.get(Side::Server).iter();
    let near = facts
        .close
        .tf
        .iter()
        .chain(late)
        .filter_map(|seg| facts.provoked_after(seg.no, first.no))
        .any(|gap| gap.unsigned_abs() <= limit);
    Check::holds(near, "").on([first.no])
}

/// `mars-close-rst-tls`.
pub(in crate::rules) const MARS_CLOSE_TLS: Rule = Rule::close(
    "mars-close-rst-tls",
    "MARS close reset inside TLS (suspected)",
    Verdict::LikelyBenign,
    &[
        ENCRYPTED,
        Criterion::new("T2", "Both PRELOGINs agree on MARS", negotiated),
        Criterion::new("T3", "The client's FIN is in the file, with one number", fin_in_file),
        Criterion::new("T4", "The client closed first", client_first),
        Criterion::new(
            "T5",
            "The client's last record and every late record of the server have the size of a 16-byte packet",
            sizes,
        ),
        Criterion::new("T6", "FIN.Ack is a border between records", border),
        Criterion::new(
            "T7",
            "Every reset has the form that a closing client gives it, counted in records",
            forms,
        ),
        Criterion::new(
            "T8",
            "Nothing was wrong just before, and the reset follows in time",
            calm_and_timely,
        ),
    ],
    conclude,
)
.says(
    "Suspected: the benign reset of a MARS close; contents encrypted. The sizes of the records fit SMP:FINs, but an unfinished answer could not be seen.",
    "With the TLS keys, or without encryption, the close could be proved.",
    "Catalogue 3.6, own measurements",
);

fn conclude(facts: &Facts<'_>, _: &[Applied]) -> Conclusion {
    Conclusion::new(
        Verdict::LikelyBenign,
        Confidence::Likely,
        "Suspected: a normal MARS close with its benign reset; contents encrypted, so it cannot be proved.",
    )
    .with_evidence(close_evidence(facts))
}

fn any_client_reset(facts: &Facts<'_>) -> Check {
    let frames = facts.close.resets.iter().map(|r| r.no);
    Check::holds(
        !facts.close.resets.is_empty() && !facts.close.closed_by(Side::Server),
        "",
    )
    .on(frames)
}

/// `rst-encrypted`.
pub(in crate::rules) const RST_ENCRYPTED: Rule = Rule::close(
    "rst-encrypted",
    "Reset of an encrypted connection",
    Verdict::Undecided,
    &[
        ENCRYPTED,
        Criterion::new("reset", "The client ended the connection by a reset", any_client_reset),
    ],
    conclude_encrypted,
)
.says(
    "Contents encrypted: whether requests were outstanding, and whether SMP:FINs were exchanged, cannot be seen.",
    "Take a capture without full encryption, or look at the client's own log.",
    "Catalogue 3.6",
);

fn conclude_encrypted(facts: &Facts<'_>, conditions: &[Applied]) -> Conclusion {
    debug_assert!(conditions.iter().all(|c| c.outcome != Outcome::Failed));
    Conclusion::new(
        Verdict::Undecided,
        Confidence::Possible,
        "The client reset an encrypted connection; contents encrypted, so neither a benign close nor a fault can be proved.",
    )
    .with_evidence(close_evidence(facts))
}
