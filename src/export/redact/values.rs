//! Types, columns and values: their shapes are kept, their contents are not.

use super::mask::Mask;
use super::names::{Kind, Names};
use crate::decode::tds::type_info::{Place, TypeInfo, ValueLength, token};
use crate::decode::tds::version::Version;

/// Keeps a TYPE_INFO; names of user-defined types are replaced.
pub(super) fn type_info(
    mask: &mut Mask<'_>,
    names: &mut Names,
    place: Place,
    version: Version,
) -> Option<TypeInfo> {
    let mut r = mask.reader();
    let info = TypeInfo::read(&mut r, place, version).ok()?;
    if info.names.is_none() {
        mask.keep(r.position())?;
        return Some(info);
    }
    // Behind the type, and what some have before them, there is nothing but the names.
    let in_result = place != Place::Parameter;
    mask.keep(match info.token {
        token::UDT if in_result => 3,
        token::XML => 2,
        _ => 1,
    })?;
    b_varchar(mask, names, Kind::Object)?;
    b_varchar(mask, names, Kind::Object)?;
    if info.token == token::XML {
        us_varchar(mask, names, Kind::Object)?;
    } else {
        b_varchar(mask, names, Kind::Object)?;
    }
    if info.token == token::UDT && in_result {
        us_varchar(mask, names, Kind::Object)?;
    }
    Some(info)
}

/// Keeps a value's length and leaves its bytes zero. With `text`, a character value gets a stand-in instead.
pub(super) fn value(
    mask: &mut Mask<'_>,
    info: &TypeInfo,
    version: Version,
    names: &mut Names,
) -> Option<()> {
    match info.length {
        ValueLength::Fixed(n) => mask.hide(usize::from(n)).map(drop),
        ValueLength::Byte => {
            let n = mask.u8()?;
            mask.hide(usize::from(n)).map(drop)
        }
        ValueLength::Short => match mask.u16_le()? {
            0xffff => Some(()),
            n => mask.hide(usize::from(n)).map(drop),
        },
        ValueLength::Long => match mask.i32_le()? {
            n if n < 0 => Some(()),
            n => mask.hide(usize::try_from(n).ok()?).map(drop),
        },
        ValueLength::Variant => variant(mask),
        ValueLength::TextPointer => match mask.u8()? {
            0 => Some(()),
            n => {
                mask.hide(usize::from(n).saturating_add(8))?;
                let n = mask.i32_le()?;
                mask.hide(usize::try_from(n).ok()?).map(drop)
            }
        },
        ValueLength::Plp => plp(mask),
        ValueLength::Table => table(mask, version, names),
    }
}

fn plp(mask: &mut Mask<'_>) -> Option<()> {
    if mask.u64_le()? == u64::MAX {
        return Some(());
    }
    loop {
        match mask.u32_le()? {
            0 => return Some(()),
            n => mask.hide(usize::try_from(n).ok()?)?,
        };
    }
}

/// A collation and a length are the most that a sql_variant has before its value ([MS-TDS] 2.2.5.5.4).
const MOST_PROPERTIES: usize = 7;

/// A sql_variant keeps its base type and properties: they tell a type, no content.
fn variant(mask: &mut Mask<'_>) -> Option<()> {
    let total = usize::try_from(mask.i32_le()?).ok()?;
    if total == 0 {
        return Some(());
    }
    mask.u8()?;
    let properties = usize::from(mask.u8()?);
    if properties > MOST_PROPERTIES {
        return None;
    }
    mask.keep(properties)?;
    mask.hide(total.checked_sub(properties)?.checked_sub(2)?)
        .map(drop)
}

/// A table-valued parameter: metadata and rows ([MS-TDS] 2.2.5.5.5); its TYPE_INFO held the names.
fn table(mask: &mut Mask<'_>, version: Version, names: &mut Names) -> Option<()> {
    let mut columns = Vec::new();
    let count = mask.u16_le()?;
    if count != 0xffff {
        for _ in 0..count {
            mask.keep(4)?;
            let flags = mask.u16_le()?;
            let info = type_info(mask, names, Place::Parameter, version)?;
            b_varchar(mask, names, Kind::Object)?;
            // A column with its default is left out of the rows.
            if flags & 0x200 == 0 {
                columns.push(info);
            }
        }
    }
    loop {
        match mask.u8()? {
            0 => break,
            0x10 => {
                let n = usize::from(mask.u16_le()?);
                mask.keep(n.checked_mul(3)?)?;
            }
            0x11 => {
                let n = usize::from(mask.u16_le()?);
                mask.keep(n.checked_mul(2)?)?;
            }
            _ => return None,
        }
    }
    loop {
        match mask.u8()? {
            0 => return Some(()),
            1 => {
                for info in &columns {
                    value(mask, info, version, names)?;
                }
            }
            _ => return None,
        }
    }
}

/// A text with a u8 count of characters.
pub(super) fn b_varchar(mask: &mut Mask<'_>, names: &mut Names, kind: Kind) -> Option<()> {
    let chars = usize::from(mask.u8()?);
    utf16(mask, names, kind, chars)
}

/// A text with a u16 count of characters.
pub(super) fn us_varchar(mask: &mut Mask<'_>, names: &mut Names, kind: Kind) -> Option<()> {
    let chars = usize::from(mask.u16_le()?);
    utf16(mask, names, kind, chars)
}

fn utf16(mask: &mut Mask<'_>, names: &mut Names, kind: Kind, chars: usize) -> Option<()> {
    let bytes = mask.rest().get(..chars.checked_mul(2)?)?;
    let stand_in = names.utf16(kind, bytes);
    mask.put(&stand_in);
    Some(())
}
