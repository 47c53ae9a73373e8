//! Which TDS version a connection speaks, also where its login is not in the capture.

use super::message::{Index, body};

use super::stream::Frames;
use crate::decode::field::{Field, Value};
use crate::decode::tds::message::{self, Context};
use crate::decode::tds::requests::all_headers_len;
use crate::decode::tds::{Version, packet_type};
use crate::store::{ConnRow, PduFlags, PduKind, PduRow};

/// Requests and answers of a connection that are asked for their shape.
const WITNESSES: usize = 4;
/// PDUs of a connection that are looked through for them.
const LOOK_THROUGH: usize = 4096;
/// Bytes of an answer that are decoded to see which version fits.
const TRIAL_BYTES: u32 = 16 << 10;

/// A version, and why it is assumed where the login does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spoken {
    /// The version.
    pub version: Version,
    /// What the assumption rests on; `None` if the login named the version.
    pub assumed: Option<&'static str>,
    /// What the server acknowledged.
    pub features: Features,
}

/// Feature extensions that change how later tokens are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Features {
    /// COLUMNENCRYPTION: column metadata begin with a table of keys.
    pub column_encryption: bool,
    /// DATACLASSIFICATION: whether labels have ranks.
    pub ranks: Option<bool>,
}

/// Feature extension COLUMNENCRYPTION.
const COLUMN_ENCRYPTION: u64 = 0x04;
/// Feature extension DATACLASSIFICATION.
const DATA_CLASSIFICATION: u64 = 0x09;

/// The features that the answer to the login acknowledges.
fn features(frames: &mut Frames<'_>, conn: &ConnRow) -> Features {
    let store = frames.store;
    let answer = conn.login.as_deref().and_then(|login| login.answer_frame);
    let Some((id, _)) = answer.and_then(|frame| {
        store
            .pdus_in(frame)
            .find(|(_, pdu)| pdu.conn == conn.id && pdu.tds_type == packet_type::TABULAR_RESULT)
    }) else {
        return Features::default();
    };
    let plain = Spoken {
        version: Version::default(),
        assumed: None,
        features: Features::default(),
    };
    let Some(mut index) = Index::find(store, id, plain) else {
        return Features::default();
    };
    let decoded = index.decode(frames, 0, 0, true);
    let mut found = Features::default();
    for field in &decoded.message.fields {
        field.walk(&mut |field| feature(field, &mut found));
    }
    found
}

fn feature(field: &Field, found: &mut Features) {
    let child = |name: &str| field.children.iter().find(|c| c.name == name);
    let id = child("tds.featureextack.featureid").map(|id| &id.value);
    match id {
        Some(Value::UInt(COLUMN_ENCRYPTION)) => found.column_encryption = true,
        Some(Value::UInt(DATA_CLASSIFICATION)) => {
            if let Some(Value::Bytes(data)) =
                child("tds.featureextack.featureackdata").map(|data| &data.value)
            {
                found.ranks = data.first().map(|version| *version >= 2);
            }
        }
        _ => {}
    }
}

/// The version of a connection.
pub fn of(frames: &mut Frames<'_>, conn: &ConnRow) -> Spoken {
    let named = conn
        .login
        .as_deref()
        .and_then(|login| login.tds_version)
        .and_then(Version::from_number);
    let features = features(frames, conn);
    if let Some(version) = named {
        return Spoken {
            version,
            assumed: None,
            features,
        };
    }
    let assumed = |version, why| Spoken {
        features,
        ..assume(version, why)
    };
    if conn.smp_seen {
        return assumed(
            Version::V74,
            "TDS 7.4: the login is not readable, and MARS needs 7.2 at least",
        );
    }
    if let Some(major) = conn.prelogin.server_major {
        return assumed(
            Version::assumed_for_server(Some(major)),
            "the version that the server's release speaks: the login is not readable",
        );
    }
    by_shape(frames, conn)
}

fn assume(version: Version, why: &'static str) -> Spoken {
    Spoken {
        version,
        assumed: Some(why),
        features: Features::default(),
    }
}

/// Requests begin with ALL_HEADERS from 7.2 on, and tokens are wider.
fn by_shape(frames: &mut Frames<'_>, conn: &ConnRow) -> Spoken {
    let store = frames.store;
    let mut left = WITNESSES;
    let mut answers = Vec::new();
    for (_, pdu) in conn
        .first_pdu
        .into_iter()
        .flat_map(|first| store.pdus_from(first))
        .take(LOOK_THROUGH)
        .filter(|(_, pdu)| pdu.conn == conn.id && starts(pdu))
    {
        match pdu.tds_type {
            packet_type::SQL_BATCH | packet_type::RPC | packet_type::TRANSACTION_MANAGER => {
                let head = body(frames, &pdu, 64).bytes;
                if head.len() >= 10 {
                    return if all_headers_len(&head).is_some() {
                        assume(
                            Version::V74,
                            "TDS 7.4: requests have ALL_HEADERS, as from 7.2 on",
                        )
                    } else {
                        assume(Version::V71R1, "TDS 7.1: requests have no ALL_HEADERS")
                    };
                }
            }
            packet_type::TABULAR_RESULT if left > 0 => {
                left = left.saturating_sub(1);
                answers.push(pdu);
            }
            _ => {}
        }
    }
    by_answers(frames, &answers)
}

fn starts(pdu: &PduRow) -> bool {
    pdu.kind == PduKind::Tds
        && pdu.carries_tds()
        && pdu.flags.has(PduFlags::MESSAGE_START)
        && !pdu.flags.has(PduFlags::WRAPPED_TLS)
}

/// Of two versions the one whose tokens fit the answers.
fn by_answers(frames: &mut Frames<'_>, answers: &[PduRow]) -> Spoken {
    for pdu in answers {
        let body = body(frames, pdu, TRIAL_BYTES).bytes;
        let fits = |version| {
            let context = Context {
                version,
                from_server: true,
                max_rows: 0,
                ..Context::default()
            };
            message::decode(pdu.tds_type, &body, 0, &context)
                .stop
                .is_none_or(|stop| stop.short && !pdu.flags.has(PduFlags::MESSAGE_END))
        };
        match (fits(Version::V74), fits(Version::V71R1)) {
            (true, false) => break,
            (false, true) => {
                return assume(
                    Version::V71R1,
                    "TDS 7.1: answers have the token forms from before 7.2",
                );
            }
            _ => {}
        }
    }
    assume(
        Version::V74,
        "TDS 7.4: the login is not readable in this capture",
    )
}
