//! What a name in a filter stands for: a field of the registry, with its type and its column, if it has one.

use super::column::{self, Column, PduCol, UserCol, Words};
use crate::decode::registry::{self, Kind};
use crate::settings::nearest;

/// How values of a field are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ty {
    /// Whole numbers.
    Int,
    /// Whole numbers that wrap at 2^32.
    Seq,
    Float,
    Bool,
    /// Nanoseconds; a bare number is seconds.
    Span,
    /// Nanoseconds since the epoch.
    Time,
    Text,
    Bytes,
    Ip,
    /// Only presence can be asked for.
    Presence,
    /// One of these words.
    Word(Words),
}

impl Ty {
    /// What the type takes, for errors.
    pub(super) fn takes(self) -> &'static str {
        match self {
            Self::Int | Self::Seq | Self::Float => "a number",
            Self::Bool => "true or false",
            Self::Span => "a time with its unit (100ms), or seconds",
            Self::Time => "a time (2026-03-14T09:31:12, 09:31:12.024)",
            Self::Text => "a text in quotes",
            Self::Bytes => "bytes (53:01:00) or a text in quotes",
            Self::Ip => "an address (10.0.0.5, 10.0.0.0/8)",
            Self::Presence => "nothing: it is there or not",
            Self::Word(_) => "one of its words",
        }
    }

    /// Whether values are numbers inside.
    pub(super) fn is_number(self) -> bool {
        matches!(
            self,
            Self::Int | Self::Seq | Self::Bool | Self::Span | Self::Time | Self::Word(_)
        )
    }
}

/// A field as a filter uses it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct FieldRef {
    /// Its name in the registry.
    pub(super) name: &'static str,
    pub(super) ty: Ty,
    /// Where it is answered from; `None` where the frame must be decoded.
    pub(super) column: Option<Column>,
    /// Wireshark has the field under this name.
    pub(super) wireshark: bool,
}

impl FieldRef {
    /// The fields of the decode tree that hold its values.
    pub(super) fn tree_names(&self) -> &'static [&'static str] {
        const MANY: &[(&str, &[&str])] = &[
            ("ip.addr", &["ip.src", "ip.dst"]),
            ("ip.host", &["ip.src", "ip.dst", "ipv6.src", "ipv6.dst"]),
            ("ipv6.addr", &["ipv6.src", "ipv6.dst"]),
            ("eth.addr", &["eth.src", "eth.dst"]),
            ("tds.proc", &["tds.proc", "tds.rpc.name", "tds.rpc.proc_id"]),
            ("tds.sql", &["tds.sql", "tds.query"]),
            ("tds.query", &["tds.query"]),
        ];
        MANY.iter()
            .find(|(name, _)| *name == self.name)
            .map_or(&[], |(_, names)| names)
    }

    /// Whether it is the TCP payload, which stands in the frame and not in the tree.
    pub(super) fn is_payload(&self) -> bool {
        self.name == "tcp.payload"
    }

    /// Whether a bare name asks for its value: `marked` is about the mark, not about having the flag.
    pub(super) fn is_own_flag(&self) -> bool {
        matches!(
            self.column,
            Some(Column::User(UserCol::Marked | UserCol::Ignored))
        )
    }

    /// The names that a value may be written as: codes of our own, or the registry's words.
    pub(super) fn words(&self) -> Vec<(i128, &'static str)> {
        match self.ty {
            Ty::Word(words) => words.iter().map(|(c, w)| (i128::from(*c), *w)).collect(),
            _ => registry::values(self.name)
                .iter()
                .map(|(c, w)| (i128::from(*c), *w))
                .chain(short_words(self.name).iter().copied())
                .collect(),
        }
    }
}

/// Shorter words for codes whose official names are long.
fn short_words(name: &str) -> &'static [(i128, &'static str)] {
    match name {
        "tds.type" => &[
            (1, "batch"),
            (1, "sqlbatch"),
            (3, "rpc"),
            (4, "result"),
            (4, "tabular"),
            (6, "attention"),
            (7, "bulk"),
            (8, "fedauth"),
            (14, "transaction"),
            (16, "login7"),
            (16, "login"),
            (17, "sspi"),
            (18, "prelogin"),
        ],
        "smp.flags" => &[(1, "SYN"), (2, "ACK"), (4, "FIN"), (8, "DATA")],
        _ => &[],
    }
}

/// Names of our own for fields that have another in the registry.
const ALIASES: &[(&str, &str)] = &[
    ("frame.no", "frame.number"),
    ("no", "frame.number"),
    ("time", "frame.time_relative"),
    ("tcp.flags.rst", "tcp.flags.reset"),
    ("tcp.flags.psh", "tcp.flags.push"),
    ("seqnum", "seq"),
    ("wndw", "wnd"),
];

/// Protocols, which are there or not. They are no fields of the registry.
const PROTOCOLS: &[&str] = &["ip", "ipv6", "tcp", "smp", "tds"];

/// Protocols that no column tells; they are there where the tree has a field under their name.
const TREE_PROTOCOLS: &[&str] = &["eth", "tls", "x509"];

/// Fields whose values are sequence numbers.
const SEQUENCES: &[&str] = &[
    "tcp.seq",
    "tcp.seq_raw",
    "tcp.nxtseq",
    "tcp.ack",
    "tcp.ack_raw",
    "smp.seqnum",
    "smp.wndw",
    "seq",
    "wnd",
];

/// Marks of Wireshark's that the analysis does not make, with those that come nearest. To take them and never find one
/// would be an answer, and a wrong one.
const NOT_MADE: &[(&str, &str)] = &[
    (
        "tcp.analysis.fast_retransmission",
        "tcp.analysis.retransmission, tcp.analysis.out_of_order",
    ),
    (
        "tcp.analysis.spurious_retransmission",
        "tcp.analysis.retransmission",
    ),
    (
        "tcp.analysis.lost_segment",
        "tcp.analysis.ack_lost_segment, kind == GAP",
    ),
    ("tcp.analysis.duplicate_ack", "tcp.analysis.out_of_order"),
    (
        "tcp.analysis.duplicate_ack_num",
        "tcp.analysis.out_of_order",
    ),
    ("tcp.analysis.window_update", "tcp.analysis.zero_window"),
    ("tcp.analysis.window_full", "tcp.analysis.zero_window"),
];

/// Why a field that Wireshark has and the analysis does not make is refused, in words.
pub(super) fn refusal(name: &str) -> Option<String> {
    instead_of(name).map(|instead| format!("`{name}` is not worked out here; there is {instead}"))
}

/// What there is instead of such a field.
fn instead_of(name: &str) -> Option<&'static str> {
    NOT_MADE
        .iter()
        .find(|(made, _)| *made == name)
        .map(|(_, instead)| *instead)
}

/// The field that a name stands for.
pub(super) fn find(name: &str) -> Option<FieldRef> {
    let name = ALIASES
        .iter()
        .find(|(alias, _)| *alias == name)
        .map_or(name, |(_, real)| real);
    if let Some(protocol) = PROTOCOLS.iter().chain(TREE_PROTOCOLS).find(|p| **p == name) {
        return Some(FieldRef {
            name: protocol,
            ty: Ty::Presence,
            column: column::find(protocol),
            wireshark: true,
        });
    }
    // `frame in 5..9` is about the number; a bare `frame` is there in every frame.
    let own = match name {
        "frame" => Some(("frame.number", Ty::Int, true)),
        "ignored" => Some(("ignored", Ty::Bool, false)),
        _ => None,
    };
    if let Some((name, ty, wireshark)) = own {
        return Some(FieldRef {
            name,
            ty,
            column: column::find(name),
            wireshark,
        });
    }
    if instead_of(name).is_some() {
        return None;
    }
    let def = registry::find(name)?;
    let column = column::find(def.name);
    Some(FieldRef {
        name: def.name,
        ty: ty(def, column),
        column,
        wireshark: def.wireshark,
    })
}

fn ty(def: &registry::Def, column: Option<Column>) -> Ty {
    if let Some(column) = column {
        let words = column::words(column);
        if !words.is_empty() {
            return Ty::Word(words);
        }
    }
    if SEQUENCES.contains(&def.name) {
        return Ty::Seq;
    }
    match def.kind {
        Kind::Bool => Ty::Bool,
        Kind::Float => Ty::Float,
        Kind::Str | Kind::StrZ | Kind::UintStr => match column {
            Some(Column::Addr(_)) => Ty::Ip,
            _ => Ty::Text,
        },
        Kind::Bytes | Kind::UintBytes | Kind::Ether | Kind::Guid => Ty::Bytes,
        Kind::Nothing => Ty::Presence,
        Kind::Ip4 | Kind::Ip6 => Ty::Ip,
        Kind::Time => Ty::Time,
        Kind::Span => Ty::Span,
        _ => Ty::Int,
    }
}

/// All names that a filter may use, with what they mean.
pub(super) fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    const OWN: &[(&str, &str)] = &[
        ("frame", "number of the frame"),
        ("time", "time since the first frame"),
        ("ignored", "left out of the lanes by the user"),
        ("ip", "has an IPv4 header"),
        ("ipv6", "has an IPv6 header"),
        ("tcp", "has a TCP header"),
        ("smp", "completes an SMP packet"),
        ("tds", "completes a TDS packet"),
        ("tls", "holds TLS"),
        ("eth", "has an Ethernet header"),
    ];
    let made = registry::all().filter(|def| instead_of(def.name).is_none());
    OWN.iter()
        .copied()
        .chain(made.map(|def| (def.name, def.meaning)))
}

/// The known name that is nearest to one that is not.
pub(super) fn nearest_name(name: &str) -> Option<&'static str> {
    nearest(name, names().map(|(n, _)| n))
}

/// Whether a field of the decode tree belongs to TDS, so that only frames with TDS packets can have it.
pub(super) fn is_tds(name: &str) -> bool {
    name.starts_with("tds.")
}

/// The column of a PDU's own numbers, if the field is one.
pub(super) fn pdu_column(field: &FieldRef) -> Option<PduCol> {
    match field.column {
        Some(Column::Pdu(column)) => Some(column),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_lead_to_fields() {
        for (alias, real) in ALIASES {
            assert_eq!(find(alias).unwrap().name, *real);
            assert!(registry::find(alias).is_none(), "{alias} is a field itself");
        }
        assert_eq!(find("ssl.record.length").unwrap().name, "tls.record.length");
        assert_eq!(find("sidd"), None);
        assert_eq!(nearest_name("sidd"), Some("sid"));
        assert_eq!(nearest_name("smp.flags.fni"), Some("smp.flags.fin"));
    }
}
