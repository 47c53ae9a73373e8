//! Tokens of the answer to a login: LOGINACK, FEATUREEXTACK, SESSIONSTATE, FEDAUTHINFO.

use super::Version;
use crate::decode::field::{Field, Value};
use crate::decode::tds::columns::size;
use crate::decode::tds::version::release;
use crate::decode::tds::{login7, type_info};
use crate::decode::walk::{Step, Stop, Walk};

pub(super) fn login_ack(w: &mut Walk<'_>) -> Step<(String, Option<Version>)> {
    let interface = w.le("tds.loginack.interface", "interface", 1)?;
    w.say(match interface {
        0 => "default SQL",
        1 => "T-SQL",
        _ => "unknown",
    });
    let number = w.hex_be("tds.loginack.tdsversion", "TDS version", 4)?;
    let version = u32::try_from(number).ok().and_then(Version::from_number);
    w.say(version.map_or("unknown", Version::name));
    let program = w.counted_padded(1, "tds.loginack.progname", "program")?;
    let at = w.at();
    let mut bytes = [0_u8; 4];
    for slot in &mut bytes {
        *slot =
            w.r.u8()
                .ok_or_else(|| Stop::short(at, "the server's version"))?;
    }
    let [major, minor, high, low] = bytes;
    let range = w.r.last(4);
    let build = u16::from_be_bytes([high, low]);
    w.push(
        Field::new(
            "tds.loginack.progversion",
            "server version",
            Value::Hex(u64::from(u32::from_be_bytes(bytes)), 8),
        )
        .text(release(major, minor, build))
        .at(range),
    );
    Ok((
        format!(
            "{program} {major}.{minor}.{build}, TDS {}",
            version.map_or("?", Version::name)
        ),
        version,
    ))
}

pub(super) fn feature_ext_ack(w: &mut Walk<'_>) -> Step<String> {
    let mut words = Vec::new();
    loop {
        let Some(id) = w.r.peek() else {
            return Err(Stop::short(w.at(), "FEATUREEXTACK"));
        };
        if id == 0xff {
            w.group("tds.featureextack.feature", "terminator", |w| {
                w.le("tds.featureextack.featureid", "id", 1)
            })?;
            return Ok(words.join(", "));
        }
        let name = login7::feature_name(id);
        words.push(name);
        w.group("tds.featureextack.feature", name, |w| {
            w.le("tds.featureextack.featureid", "id", 1)?;
            let len = w.le("tds.featureextack.featureackdatalen", "length", 4)?;
            let label = "data";
            if login7::is_secret_feature(id) {
                w.secret("tds.featureextack.featureackdata", label, size(len))
            } else {
                let data = w.bytes("tds.featureextack.featureackdata", label, size(len))?;
                let said = login7::feature_words(id, data.get(..256).unwrap_or(data), true);
                w.say(said);
                Ok(())
            }
        })?;
    }
}

pub(super) fn session_state(w: &mut Walk<'_>) -> Step<String> {
    w.le("tds.sessionstate.seqno", "sequence number", 4)?;
    let status = w.hex("tds.sessionstate.status", "status", 1)?;
    w.say(if status & 1 == 1 {
        "recoverable"
    } else {
        "not recoverable"
    });
    while !w.r.is_empty() {
        w.le("tds.sessionstate.stateid", "state", 1)?;
        let mut len = w.le("tds.sessionstate.statelen", "length", 1)?;
        if len == 0xff {
            len = w.le("tds.sessionstate.statelen", "length", 4)?;
        }
        w.secret("tds.sessionstate.statevalue", "value", size(len))?;
    }
    Ok(String::new())
}

pub(super) fn fed_auth_info(w: &mut Walk<'_>) -> Step<String> {
    let whole = w.r;
    let count = w.le("tds.other", "options", 4)?;
    for _ in 0..count {
        let id = w.le("tds.other", "option", 1)?;
        let len = w.le("tds.other", "length", 4)?;
        let offset = w.le("tds.other", "offset", 4)?;
        let mut data = whole;
        let text = data
            .skip(size(offset))
            .and_then(|()| data.take(size(len)))
            .map(type_info::utf16);
        if let Some(text) = text {
            let label = match id {
                1 => "STS URL",
                2 => "SPN",
                _ => "information",
            };
            let range = data.last(size(len));
            w.push(Field::new("tds.fedauthinfo.option", label, Value::Text(text)).at(range));
        }
    }
    let rest = w.r.left();
    w.r.skip(rest);
    Ok(String::new())
}
