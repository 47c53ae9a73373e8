//! A whole TDS message, or a stretch of one, as a tree; which decoder its body needs.

use std::sync::Arc;

use super::columns::Column;
use super::requests::Call;
use super::values::Cell;
use super::{Header, Version, packet_type, requests, tokens, tree_login};
use crate::decode::field::{Field, Value};
use crate::decode::walk::{Flag, Step, Stop, Walk};
use crate::decode::{sspi, tls};

/// What a decoder must know that its bytes do not say.
#[derive(Debug, Clone, PartialEq)]
pub struct Context {
    /// The TDS version of the connection.
    pub version: Version,
    /// The message comes from the server.
    pub from_server: bool,
    /// COLUMNENCRYPTION was acknowledged.
    pub column_encryption: bool,
    /// Whether sensitivity labels have ranks (version 2 of DATACLASSIFICATION), if the login told.
    pub ranks: Option<bool>,
    /// The bytes may go on behind those that are there.
    pub open_end: bool,
    /// Columns that are in force at the first byte, for a stretch that begins behind its COLMETADATA.
    pub columns: Option<Arc<Vec<Column>>>,
    /// No token is read that begins at or behind this position.
    pub until: Option<usize>,
    /// Most rows that get fields and a place in a grid; further ones are counted.
    pub max_rows: usize,
}

impl Default for Context {
    fn default() -> Self {
        Self {
            version: Version::default(),
            from_server: false,
            column_encryption: false,
            ranks: None,
            open_end: false,
            columns: None,
            until: None,
            max_rows: 200,
        }
    }
}

/// A result as columns and rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Grid {
    /// Name and type of each column.
    pub columns: Vec<(String, String)>,
    /// The rows shown.
    pub rows: Vec<Vec<Cell>>,
    /// Rows that are there and not shown.
    pub more: u64,
    /// Its columns were described before the first byte.
    pub carried: bool,
}

/// A decoded message.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Message {
    /// The fields; ranges count from the message's first byte.
    pub fields: Vec<Field>,
    /// Why decoding stopped before the end, if it did.
    pub stop: Option<Stop>,
    /// Requests as T-SQL that a reader can understand.
    pub sql: Vec<String>,
    /// The procedure calls among them.
    pub calls: Vec<Call>,
    /// Results as grids.
    pub grids: Vec<Grid>,
}

/// Decodes the body of a message of packet type `kind`: its packets' contents one behind the other, without
/// packet headers. The first byte has position `base`.
pub fn decode(kind: u8, body: &[u8], base: usize, context: &Context) -> Message {
    let mut out = Message::default();
    let mut w = Walk::new(body, base);
    let result = decode_into(kind, &mut w, &mut out, context);
    let decoded = w.finish(result);
    out.fields = decoded.fields;
    out.stop = decoded.stop;
    if let Some(stop) = &out.stop {
        out.fields.push(stop_field(stop, base, body.len()));
    }
    out
}

/// The remark on why decoding stopped, over the bytes that it left.
pub fn stop_field(stop: &Stop, base: usize, len: usize) -> Field {
    let end = base.saturating_add(len);
    Field::new(
        "tds.stop",
        "stopped",
        Value::Text(stop.why.clone().into_owned()),
    )
    .text(format!("{} bytes left", end.saturating_sub(stop.at)))
    .at(stop.at.min(end)..end)
}

fn decode_into(kind: u8, w: &mut Walk<'_>, out: &mut Message, context: &Context) -> Step<()> {
    if matches!(kind, packet_type::PRELOGIN | packet_type::TABULAR_RESULT)
        && tls::RecordHeader::read(w.r.rest()).is_some()
    {
        return tls::tree::records(w);
    }
    match kind {
        packet_type::PRELOGIN => tree_login::prelogin(w, context.from_server),
        packet_type::TABULAR_RESULT if tree_login::is_prelogin_reply(w.r.rest()) => {
            tree_login::prelogin(w, true)
        }
        packet_type::TABULAR_RESULT => tokens::stream(w, out, context),
        packet_type::BULK_LOAD => {
            w.group("tds.bulk", "bulk load", |w| tokens::stream(w, out, context))
        }
        packet_type::LOGIN7 => tree_login::login7(w),
        packet_type::SSPI => sspi::fields(w),
        packet_type::FED_AUTH => tree_login::fed_auth_token(w),
        packet_type::SQL_BATCH => requests::batch(w, out, context),
        packet_type::RPC => requests::rpc(w, out, context),
        packet_type::TRANSACTION_MANAGER => requests::transaction(w, out, context),
        packet_type::ATTENTION => {
            w.remark("tds.attention", "cancels what runs on this session");
            Ok(())
        }
        _ => {
            let len = w.r.left();
            w.bytes("tds.unknown_tds_packet", "body", len)?;
            Err(Stop::wrong(w.at(), "no packet type of TDS 7"))
        }
    }
}

const STATUS: &[Flag] = &[
    (0x01, "tds.status.eom", "end of message"),
    (0x02, "tds.status.ignore", "ignore this message"),
    (0x04, "tds.status.event_notif", "event notification"),
    (0x08, "tds.status.reset_conn", "reset connection"),
    (
        0x10,
        "tds.status.reset_conn_skip_tran",
        "reset connection, keep transaction",
    ),
];

/// The fields of a packet header.
pub fn header(bytes: &[u8], base: usize) -> (Vec<Field>, Option<Header>) {
    let mut w = Walk::new(bytes, base);
    let result = header_fields(&mut w);
    (w.finish(result).fields, Header::read(bytes))
}

fn header_fields(w: &mut Walk<'_>) -> Step<()> {
    let kind = w.le("tds.type", "type", 1)?;
    w.say(u8::try_from(kind).map_or("", type_name));
    let status = w.hex("tds.status", "status", 1)?;
    w.flags(status, STATUS);
    w.be("tds.length", "length", 2)?;
    w.be("tds.channel", "SPID", 2)?;
    w.le("tds.packet_number", "packet", 1)?;
    w.le("tds.window", "window", 1)?;
    Ok(())
}

/// The name of a packet type as [MS-TDS] has it.
pub fn type_name(kind: u8) -> &'static str {
    match kind {
        packet_type::SQL_BATCH => "SQLBatch",
        packet_type::LOGIN_OLD => "login before TDS 7",
        packet_type::RPC => "RPC",
        packet_type::TABULAR_RESULT => "Response",
        packet_type::ATTENTION => "Attention",
        packet_type::BULK_LOAD => "BulkLoad",
        packet_type::FED_AUTH => "FedAuthToken",
        packet_type::TRANSACTION_MANAGER => "TransactionManager",
        packet_type::LOGIN7 => "Login7",
        packet_type::SSPI => "SSPI",
        packet_type::PRELOGIN => "Prelogin",
        _ => "unknown type",
    }
}
