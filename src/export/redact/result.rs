//! The tokens of an answer ([MS-TDS] 2.2.7): numbers and shapes stay, so that rows, errors and the end of the answer
//! can still be told; values, names and messages are replaced.

use super::login;
use super::mask::Mask;
use super::names::{Kind, Names};
use super::values::{b_varchar, type_info, us_varchar, value};
use crate::decode::tds::tokens::{self, Class};
use crate::decode::tds::type_info::{Place, TypeInfo};
use crate::decode::tds::version::Version;

/// Flag of a column or return value: its values are encrypted by the driver.
const ENCRYPTED: u16 = 0x0800;

/// What one direction of a session remembers from answer to answer.
#[derive(Debug, Default)]
pub(super) struct Columns {
    infos: Vec<TypeInfo>,
    /// What holds on every session.
    pub(super) agreed: Agreed,
}

/// What the login agreed on (FEATUREEXTACK) that changes the shape of tokens.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Agreed {
    /// COLUMNENCRYPTION: COLMETADATA holds a table of keys.
    encryption: bool,
    /// The version of DATACLASSIFICATION.
    pub(super) classification: Option<u8>,
}

/// Redacts the body of an answer, or of a bulk load; of a `whole` one, what is behind the first thing not understood
/// stays zero. Returns where the first token begins that was not taken apart to its end.
pub(super) fn tokens(
    mask: &mut Mask<'_>,
    names: &mut Names,
    columns: &mut Columns,
    version: Version,
    whole: bool,
) -> usize {
    let mut done = mask.position();
    while !mask.is_empty() {
        if token(mask, names, columns, version).is_none() {
            if whole {
                mask.hide_rest();
            }
            return done;
        }
        done = mask.position();
    }
    done
}

fn token(
    mask: &mut Mask<'_>,
    names: &mut Names,
    columns: &mut Columns,
    version: Version,
) -> Option<()> {
    match mask.u8()? {
        0xd1 => row(mask, names, columns, version, &[]),
        0xd2 => {
            let bits = mask.keep(columns.infos.len().div_ceil(8))?;
            row(mask, names, columns, version, bits)
        }
        0xfd..=0xff => mask.keep(if version.is_wide() { 12 } else { 8 }).map(drop),
        0x81 => metadata(mask, names, columns, version),
        0x78 | 0x79 => mask.keep(4).map(drop),
        0xaa | 0xab => counted(mask, |mask| message(mask, names, version)),
        0xad => counted(mask, |mask| {
            mask.keep(5)?;
            b_varchar(mask, names, Kind::Program)?;
            mask.keep(4).map(drop)
        }),
        0xe3 => env_change(mask, names),
        0xed => counted(mask, |mask| {
            login::sspi(mask);
            Some(())
        }),
        0xa9 => {
            let len = usize::from(mask.u16_le()?);
            mask.keep(len).map(drop)
        }
        0xa5 => counted(mask, |mask| column_infos(mask, names)),
        0xa3 => classification(mask, names, columns),
        0xa4 => {
            let len = usize::from(mask.u16_le()?);
            mask.hide(len).map(drop)
        }
        0xe4 | 0xee => {
            let len = usize::try_from(mask.u32_le()?).ok()?;
            mask.hide(len).map(drop)
        }
        0xac => return_value(mask, names, columns, version),
        0xae => feature_ack(mask, columns),
        unknown => unknown_token(mask, unknown),
    }
}

/// Of a token that nothing knows the length is kept, and the next goes on behind it, as it does for whoever reads the
/// answer: its class tells how long it is, and a token that is known must follow.
fn unknown_token(mask: &mut Mask<'_>, token: u8) -> Option<()> {
    let rest = mask.rest();
    let (head, len) = match tokens::class(token)? {
        Class::Fixed(len) => (0, len),
        Class::Counted => (2, usize::from(u16::from_le_bytes(*rest.first_chunk()?))),
    };
    // Nothing is kept of what is no token.
    tokens::name(*rest.get(len.saturating_add(head))?)?;
    mask.keep(head)?;
    mask.hide(len).map(drop)
}

fn row(
    mask: &mut Mask<'_>,
    names: &mut Names,
    columns: &Columns,
    version: Version,
    nulls: &[u8],
) -> Option<()> {
    if columns.infos.is_empty() {
        return None;
    }
    for (i, info) in columns.infos.iter().enumerate() {
        let null = nulls
            .get(i / 8)
            .is_some_and(|byte| byte >> (i % 8) & 1 == 1);
        if !null {
            value(mask, info, version, names)?;
        }
    }
    Some(())
}

fn metadata(
    mask: &mut Mask<'_>,
    names: &mut Names,
    columns: &mut Columns,
    version: Version,
) -> Option<()> {
    let count = mask.u16_le()?;
    if count == 0xffff {
        return Some(());
    }
    let has_keys = columns.agreed.encryption && key_table(mask, names)?;
    columns.infos.clear();
    for _ in 0..count {
        mask.keep(if version.is_wide() { 4 } else { 2 })?;
        let flags = mask.u16_le()?;
        let info = type_info(mask, names, Place::Column, version)?;
        if info.has_table_name() {
            let parts = if version.is_wide() { mask.u8()? } else { 1 };
            for _ in 0..parts {
                us_varchar(mask, names, Kind::Object)?;
            }
        }
        if columns.agreed.encryption && flags & ENCRYPTED != 0 {
            crypto(mask, names, version, has_keys)?;
        }
        b_varchar(mask, names, Kind::Object)?;
        columns.infos.push(info);
    }
    Some(())
}

/// The table of column encryption keys ([MS-TDS] 2.2.7.4, CekTable): numbers stay, keys and where they are kept do
/// not. Returns whether it has entries.
fn key_table(mask: &mut Mask<'_>, names: &mut Names) -> Option<bool> {
    let entries = mask.u16_le()?;
    for _ in 0..entries {
        mask.keep(20)?;
        for _ in 0..mask.u8()? {
            let len = mask.u16_le()?;
            mask.hide(usize::from(len))?;
            b_varchar(mask, names, Kind::Other)?;
            us_varchar(mask, names, Kind::Other)?;
            b_varchar(mask, names, Kind::Other)?;
        }
    }
    Some(entries > 0)
}

/// How a column or return value is encrypted (CryptoMetaData): no names but that of an algorithm.
fn crypto(mask: &mut Mask<'_>, names: &mut Names, version: Version, has_keys: bool) -> Option<()> {
    mask.keep(if has_keys { 6 } else { 4 })?;
    type_info(mask, names, Place::Column, version)?;
    if mask.u8()? == 0 {
        b_varchar(mask, names, Kind::Other)?;
    }
    mask.keep(2).map(drop)
}

/// A token with a u16 length: what `inside` leaves of it stays zero, and the walk goes on behind it.
fn counted(mask: &mut Mask<'_>, inside: impl FnOnce(&mut Mask<'_>) -> Option<()>) -> Option<()> {
    let len = usize::from(mask.u16_le()?);
    let original = mask.rest().get(..len)?;
    let mut copy = vec![0; len];
    // A part that is not understood stays zero; the token's length is known all the same.
    let _ = inside(&mut Mask::new(original, &mut copy));
    mask.put(&copy);
    Some(())
}

/// COLINFO ([MS-TDS] 2.2.7.5): numbers, and the name of a column in its table where it has another in the result.
fn column_infos(mask: &mut Mask<'_>, names: &mut Names) -> Option<()> {
    while !mask.is_empty() {
        mask.keep(2)?;
        if mask.u8()? & 0x20 != 0 {
            b_varchar(mask, names, Kind::Object)?;
        }
    }
    Some(())
}

/// ERROR and INFO: number, state and class stay.
fn message(mask: &mut Mask<'_>, names: &mut Names, version: Version) -> Option<()> {
    mask.keep(6)?;
    us_varchar(mask, names, Kind::Message)?;
    b_varchar(mask, names, Kind::Server)?;
    b_varchar(mask, names, Kind::Object)?;
    mask.keep(if version.is_wide() { 4 } else { 2 }).map(drop)
}

fn env_change(mask: &mut Mask<'_>, names: &mut Names) -> Option<()> {
    let len = usize::from(mask.u16_le()?);
    if mask.peek() == Some(15) {
        // Promote: the length counts one byte; an L_VARBYTE and an empty old value follow.
        mask.u8()?;
        let len = usize::try_from(mask.u32_le()?).ok()?;
        mask.hide(len)?;
        return mask.keep(1).map(drop);
    }
    let original = mask.rest().get(..len)?;
    let mut copy = vec![0; len];
    let mut inner = Mask::new(original, &mut copy);
    let _ = env_value(&mut inner, names);
    mask.put(&copy);
    Some(())
}

fn env_value(mask: &mut Mask<'_>, names: &mut Names) -> Option<()> {
    let kind = match mask.u8()? {
        1 => Kind::Database,
        // Language, character set, packet size, locale ids: no names.
        2..=6 => {
            mask.keep(mask.rest().len());
            return Some(());
        }
        7..=12 | 17 | 18 => {
            // Collation and transaction descriptors: counts of bytes.
            mask.keep(mask.rest().len());
            return Some(());
        }
        13 | 19 => Kind::Server,
        // Routing and whatever else: shape unknown to us, or a server's address.
        _ => return None,
    };
    b_varchar(mask, names, kind)?;
    b_varchar(mask, names, kind)
}

fn return_value(
    mask: &mut Mask<'_>,
    names: &mut Names,
    columns: &Columns,
    version: Version,
) -> Option<()> {
    mask.keep(2)?;
    b_varchar(mask, names, Kind::Object)?;
    mask.keep(1)?;
    mask.keep(if version.is_wide() { 4 } else { 2 })?;
    let flags = mask.u16_le()?;
    let info = type_info(mask, names, Place::ReturnValue, version)?;
    if columns.agreed.encryption && flags & ENCRYPTED != 0 {
        crypto(mask, names, version, false)?;
    }
    value(mask, &info, version, names)
}

fn feature_ack(mask: &mut Mask<'_>, columns: &mut Columns) -> Option<()> {
    loop {
        let id = mask.u8()?;
        if id == 0xff {
            return Some(());
        }
        let len = usize::try_from(mask.u32_le()?).ok()?;
        // Of what changes the shape of tokens the versions stay.
        let kept = match id {
            4 => 1,
            9 => 2,
            _ => 0,
        };
        let kept = mask.keep(len.min(kept))?;
        mask.hide(len.saturating_sub(kept.len()))?;
        match id {
            4 => columns.agreed.encryption = true,
            9 => columns.agreed.classification = kept.first().copied(),
            _ => {}
        }
    }
}

/// DATACLASSIFICATION ([MS-TDS] 2.2.7.5): names and ids of labels and of information types are replaced; which of them a
/// column has, and their ranks (from version 2 on), stay.
fn classification(mask: &mut Mask<'_>, names: &mut Names, columns: &Columns) -> Option<()> {
    let ranks = columns.agreed.classification? >= 2;
    for _labels_then_types in 0..2 {
        for _ in 0..mask.u16_le()? {
            b_varchar(mask, names, Kind::Other)?;
            b_varchar(mask, names, Kind::Other)?;
        }
    }
    mask.keep(if ranks { 4 } else { 0 })?;
    for _ in 0..mask.u16_le()? {
        for _ in 0..mask.u16_le()? {
            mask.keep(if ranks { 8 } else { 4 })?;
        }
    }
    Some(())
}
