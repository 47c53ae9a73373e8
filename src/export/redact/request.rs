//! Requests ([MS-TDS] 2.2.6): SQL texts, procedure names of the user's own, parameter names and values are replaced.

use super::mask::Mask;
use super::names::{Kind, Names};
use super::values::{b_varchar, type_info, us_varchar, value};
use crate::decode::tds::type_info::Place;
use crate::decode::tds::version::Version;

/// SQLBatch: ALL_HEADERS, then text.
pub(super) fn sql_batch(mask: &mut Mask<'_>, names: &mut Names, version: Version) {
    all_headers(mask, version);
    let text = names.utf16(Kind::Sql, mask.rest());
    mask.put(&text);
}

/// ALL_HEADERS (7.2 on): the transaction descriptor and the count of requests stay, activity ids do not.
pub(super) fn all_headers(mask: &mut Mask<'_>, version: Version) {
    let total = mask
        .reader()
        .u32_le()
        .and_then(|n| usize::try_from(n).ok())
        .unwrap_or(0);
    let rest = mask.rest().len();
    if !version.is_wide() || total < 4 || total > rest || total > 4096 {
        return;
    }
    let original = mask.rest().get(..total).unwrap_or_default();
    let mut copy = vec![0; total];
    let mut inner = Mask::new(original, &mut copy);
    let _ = headers(&mut inner);
    mask.put(&copy);
}

fn headers(mask: &mut Mask<'_>) -> Option<()> {
    mask.keep(4)?;
    while !mask.is_empty() {
        let len = usize::try_from(mask.u32_le()?).ok()?;
        let kind = mask.u16_le()?;
        let data = len.checked_sub(6)?;
        if kind == 2 {
            mask.keep(data)?;
        } else {
            mask.hide(data)?;
        }
    }
    Some(())
}

/// RPC: ids and options stay, names of parameters and of the user's procedures are replaced, values are zeroed.
pub(super) fn rpc(mask: &mut Mask<'_>, names: &mut Names, version: Version) {
    all_headers(mask, version);
    while !mask.is_empty() {
        if one_rpc(mask, names, version).is_none() {
            mask.hide_rest();
        }
    }
}

fn one_rpc(mask: &mut Mask<'_>, names: &mut Names, version: Version) -> Option<()> {
    if mask.reader().u16_le()? == 0xffff {
        mask.keep(4)?;
    } else {
        us_varchar(mask, names, Kind::Object)?;
    }
    mask.keep(2)?;
    while let Some(first) = mask.peek() {
        let separator = matches!(first, 0xfe | 0xff) || (first == 0x80 && !version.is_wide());
        if separator {
            mask.keep(1)?;
            return Some(());
        }
        b_varchar(mask, names, Kind::Object)?;
        let status = mask.u8()?;
        let info = type_info(mask, names, Place::Parameter, version)?;
        value(mask, &info, version, names)?;
        if status & 8 != 0 {
            cipher_info(mask, names, version)?;
        }
    }
    Some(())
}

/// How a parameter is encrypted ([MS-TDS] 2.2.6.6, ParamCipherInfo).
fn cipher_info(mask: &mut Mask<'_>, names: &mut Names, version: Version) -> Option<()> {
    type_info(mask, names, Place::Parameter, version)?;
    if mask.u8()? == 0 {
        b_varchar(mask, names, Kind::Other)?;
    }
    mask.keep(22).map(drop)
}

/// Transaction requests: the type, isolation level and flags stay, names do not.
pub(super) fn transaction(mask: &mut Mask<'_>, version: Version) {
    all_headers(mask, version);
    let _ = transaction_body(mask);
    mask.hide_rest();
}

fn transaction_body(mask: &mut Mask<'_>) -> Option<()> {
    match mask.u16_le()? {
        0 | 1 => {
            let n = mask.u16_le()?;
            mask.hide(usize::from(n)).map(drop)
        }
        5 => {
            mask.keep(1)?;
            name(mask)
        }
        7 | 8 => {
            name(mask)?;
            if mask.u8()? & 1 != 0 {
                mask.keep(1)?;
                name(mask)?;
            }
            Some(())
        }
        9 => name(mask),
        _ => Some(()),
    }
}

fn name(mask: &mut Mask<'_>) -> Option<()> {
    let n = mask.u8()?;
    mask.hide(usize::from(n)).map(drop)
}
