//! What handles stand for: the SQL text of prepared statements and of cursors, by the calls that made them and the
//! answers that named them (`tds.md` 7).

use std::collections::BTreeMap;

use super::Dissector;
use super::stream::Frames;
use crate::decode::field::{Field, Value};
use crate::decode::tds::requests::Call;
use crate::decode::tds::{hiding, packet_type, sql_secret};
use crate::store::{PduRow, RequestEnd, RequestKind, RequestRow};
use crate::units::{ConnId, End, FrameNo, PduId, RequestId};

/// Calls in front of the one at hand that are looked through for the one that made a handle.
const LOOK_BACK: usize = 50_000;
/// Calls that are decoded for it.
const MOST: usize = 500;
/// Calls whose handles are remembered.
const KEEP: usize = 8192;
/// Characters of a statement that are kept.
const MAX_TEXT: usize = 4000;

/// Handles of prepared statements and of cursors are numbered apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Prepared,
    Cursor,
}

/// What a procedure does with handles; parameters count from 0.
struct Shape {
    /// The kind of handle that its first parameter names.
    uses: Option<Kind>,
    /// Parameters that return new handles.
    makes: &'static [(usize, Kind)],
}

fn shape(procedure: &str) -> Option<Shape> {
    use Kind::{Cursor, Prepared};
    let makes = |makes| Shape { uses: None, makes };
    let uses = |kind, makes| Shape {
        uses: Some(kind),
        makes,
    };
    Some(match sql_secret::system_name(procedure).as_str() {
        "sp_prepare" | "sp_prepexec" | "sp_prepexecrpc" | "sp_cursorprepare" => {
            makes(&[(0, Prepared)])
        }
        "sp_cursorprepexec" => makes(&[(0, Prepared), (1, Cursor)]),
        "sp_cursoropen" => makes(&[(0, Cursor)]),
        "sp_execute" | "sp_unprepare" | "sp_cursorunprepare" => uses(Prepared, &[]),
        "sp_cursorexecute" => uses(Prepared, &[(1, Cursor)]),
        "sp_cursor" | "sp_cursorfetch" | "sp_cursoroption" | "sp_cursorclose" => uses(Cursor, &[]),
        _ => return None,
    })
}

/// The parameter of a procedure that is SQL text.
pub fn statement(call: &Call) -> Option<&str> {
    let at = hiding::runs(&call.procedure)?.statement;
    let value = &call.parameters.get(at)?.value;
    (!value.null).then_some(value.text.as_str())
}

/// A statement, and the frame in which it was prepared or opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The first frame of the call.
    pub frame: FrameNo,
    /// The statement.
    pub text: String,
}

/// What a call made.
#[derive(Debug, Clone, Default)]
struct Made {
    handles: Vec<(Kind, i64)>,
    text: Option<String>,
    /// The prepared statement that it opened a cursor for.
    prepared: Option<i64>,
}

/// Remembers what calls made.
#[derive(Debug, Default)]
pub struct Handles {
    made: BTreeMap<RequestId, Made>,
}

/// The statement behind the handle that a call uses, by the calls before it on its connection.
pub fn origin(
    dissector: &mut Dissector,
    frames: &mut Frames<'_>,
    conn: ConnId,
    before: FrameNo,
    call: &Call,
) -> Option<Origin> {
    let kind = shape(&call.procedure)?.uses?;
    let handle = number(call, 0)?;
    find(dissector, frames, conn, before, (kind, handle))
}

fn number(call: &Call, at: usize) -> Option<i64> {
    call.parameters.get(at)?.value.text.parse().ok()
}

fn find(
    dissector: &mut Dissector,
    frames: &mut Frames<'_>,
    conn: ConnId,
    before: FrameNo,
    wanted: (Kind, i64),
) -> Option<Origin> {
    let store = frames.store;
    let calls = store
        .conn_requests(conn)
        .rev()
        .take(LOOK_BACK)
        .filter(|r| r.kind == RequestKind::Rpc && r.first_frame < before)
        .filter(|r| shape(store.text(r.text)).is_some_and(|shape| !shape.makes.is_empty()))
        .take(MOST);
    for request in calls {
        let made = made(dissector, frames, &request);
        if !made.handles.contains(&wanted) {
            continue;
        }
        return match (made.text, made.prepared) {
            (Some(text), _) => Some(Origin {
                frame: request.first_frame,
                text,
            }),
            // A cursor over a prepared statement: that has the text.
            (None, Some(handle)) if wanted.0 == Kind::Cursor => {
                let prepared = (Kind::Prepared, handle);
                find(dissector, frames, conn, request.first_frame, prepared)
            }
            _ => None,
        };
    }
    None
}

/// The handles that a call's answer named.
fn made(dissector: &mut Dissector, frames: &mut Frames<'_>, request: &RequestRow) -> Made {
    if let Some(made) = dissector.handles.made.get(&request.id) {
        return made.clone();
    }
    let made = read(dissector, frames, request).unwrap_or_default();
    if matches!(request.end, RequestEnd::Done | RequestEnd::Error) {
        if dissector.handles.made.len() >= KEEP {
            dissector.handles.made.clear();
        }
        dissector.handles.made.insert(request.id, made.clone());
    }
    made
}

fn read(dissector: &mut Dissector, frames: &mut Frames<'_>, request: &RequestRow) -> Option<Made> {
    let index = dissector.index(frames, request.first_pdu)?;
    let decoded = index.decode(frames, 0, 0, false);
    let call = decoded.message.calls.first()?.clone();
    let shape = shape(&call.procedure)?;
    let text = statement(&call).map(|text| text.chars().take(MAX_TEXT).collect());
    let returned = returned(dissector, frames, request);
    let handles = shape.makes.iter().filter_map(|(parameter, kind)| {
        let wanted = u64::try_from(*parameter).ok()?;
        let (_, handle) = returned.iter().find(|(ordinal, _)| *ordinal == wanted)?;
        Some((*kind, *handle))
    });
    Some(Made {
        handles: handles.collect(),
        text,
        prepared: shape.uses.and_then(|_| number(&call, 0)),
    })
}

/// The numbers that a call returned: ordinal of the parameter, and value.
fn returned(
    dissector: &mut Dissector,
    frames: &mut Frames<'_>,
    request: &RequestRow,
) -> Vec<(u64, i64)> {
    let store = frames.store;
    let (Some(last), Some(row)) = (request.answer_last_frame, store.pdu(request.first_pdu)) else {
        return Vec::new();
    };
    let server: End = row.end.other();
    let is_answer = |pdu: &PduRow| {
        pdu.conn == request.conn
            && pdu.session == request.session
            && pdu.end == server
            && pdu.tds_type == packet_type::TABULAR_RESULT
            && pdu.carries_tds()
    };
    let answers = store.pdus_in(last).filter(|(_, pdu)| is_answer(pdu));
    let Some(id): Option<PduId> = answers.map(|(id, _)| id).last() else {
        return Vec::new();
    };
    let Some(index) = dissector.index(frames, id) else {
        return Vec::new();
    };
    // They stand behind the results; in a long answer that is its last packet, rarely its first.
    let last = index.parts.len().saturating_sub(1);
    let mut found = Vec::new();
    for part in [last, 0] {
        for field in &index.decode(frames, part, 0, false).message.fields {
            field.walk(&mut |field| found.extend(return_value(field)));
        }
        if !found.is_empty() || last == 0 {
            break;
        }
    }
    found
}

fn return_value(field: &Field) -> Option<(u64, i64)> {
    if field.name != "tds.returnvalue" {
        return None;
    }
    let Value::UInt(ordinal) = field.find("tds.returnvalue.ordinal")?.value else {
        return None;
    };
    match field.find("tds.type_varbyte.data.int")?.value {
        Value::Int(value) => Some((ordinal, value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn procedures_are_known_however_they_are_qualified() {
        for name in [
            "sp_execute",
            "SP_EXECUTE",
            "sys.sp_execute",
            "master..sp_execute",
        ] {
            assert_eq!(shape(name).unwrap().uses, Some(Kind::Prepared), "{name}");
        }
        assert!(shape("sp_executesql").is_none());
        assert!(shape("execute").is_none());
    }
}
