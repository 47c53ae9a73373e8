//! PRELOGIN, LOGIN7 and federated authentication as trees ([MS-TDS] 2.2.6.3 to 2.2.6.5).

use std::ops::Range;

use super::columns::size;
use super::login7::{self, Login7, Part};
use super::prelogin::{self, Prelogin, option};
use super::values::guid;
use super::version::{Version, release};
use crate::decode::field::{Field, Value};
use crate::decode::sspi;
use crate::decode::walk::{Step, Stop, Walk};

/// Whether a server's body is the answer to PRELOGIN: it has no token in front, and begins with option VERSION.
pub fn is_prelogin_reply(body: &[u8]) -> bool {
    body.first() == Some(&option::VERSION)
        && Prelogin::read(body).is_some_and(|p| p.version.is_some() && p.terminated)
}

/// A PRELOGIN body. What its options mean depends on who sent it.
pub fn prelogin(w: &mut Walk<'_>, from_server: bool) -> Step<()> {
    let base = w.at();
    let body = w.r.rest();
    let Some(found) = Prelogin::read(body) else {
        return Err(if body.is_empty() {
            Stop::short(base, "PRELOGIN")
        } else {
            Stop::wrong(base, "PRELOGIN does not begin with VERSION")
        });
    };
    let mut heading = Field::new("tds.prelogin", "PRELOGIN", Value::None)
        .at(base..base.saturating_add(body.len()));
    let mut reached = 0;
    let mut cut = !found.terminated;
    for item in &found.options {
        let data = body.get(item.data.clone()).unwrap_or_default();
        cut |= data.len() < usize::from(item.length);
        reached = reached.max(item.data.end).max(item.entry.end);
        heading
            .children
            .push(option_field(&found, item, data, base, from_server));
    }
    if found.terminated {
        let at = found.options.last().map_or(0, |item| item.entry.end);
        let at = base.saturating_add(at);
        heading.children.push(
            Field::new("tds.prelogin.option.token", "TERMINATOR", Value::UInt(0xff))
                .at(at..at.saturating_add(1)),
        );
    }
    w.push(heading);
    let end = base.saturating_add(reached).saturating_add(1);
    let len = w.r.left();
    w.r.skip(len);
    if cut {
        return Err(Stop::short(end.min(w.at()), "PRELOGIN"));
    }
    Ok(())
}

fn option_field(
    found: &Prelogin,
    item: &prelogin::PreloginOption,
    data: &[u8],
    base: usize,
    from_server: bool,
) -> Field {
    let name = prelogin::option_name(item.token);
    let entry = shift(&item.entry, base);
    let mut field = Field::new(
        "tds.prelogin.option.token",
        name,
        Value::UInt(u64::from(item.token)),
    )
    .at(entry.clone());
    if !data.is_empty() {
        field = field.at(shift(&item.data, base));
    }
    let start = entry.start;
    field.children = vec![
        Field::new(
            "tds.prelogin.option.offset",
            "offset",
            Value::UInt(u64::from(item.offset)),
        )
        .at(start.saturating_add(1)..start.saturating_add(3)),
        Field::new(
            "tds.prelogin.option.length",
            "length",
            Value::UInt(u64::from(item.length)),
        )
        .at(start.saturating_add(3)..start.saturating_add(5)),
    ];
    let values = match item.token {
        option::VERSION => version_values(found, shift(&item.data, base), from_server),
        option::INSTOPT => {
            vec![instance_value(found, data, from_server).at(shift(&item.data, base))]
        }
        token => option_values(found, token, data, shift(&item.data, base)),
    };
    field.text = values
        .first()
        .map(|value| match (&value.value, value.text.is_empty()) {
            (Value::Text(text), true) => text.clone(),
            (Value::UInt(number), true) => number.to_string(),
            _ => value.text.clone(),
        })
        .unwrap_or_default();
    field.children.extend(values);
    field
}

/// A server's version names its product; a client's is that of its driver.
fn version_values(found: &Prelogin, range: Range<usize>, from_server: bool) -> Vec<Field> {
    let Some((major, minor, build, sub)) = found.version else {
        return Vec::new();
    };
    let split = range.end.saturating_sub(2).max(range.start);
    let number = u64::from(major) << 24 | u64::from(minor) << 16 | u64::from(build);
    let words = if from_server {
        release(major, minor, build)
    } else {
        format!("{major}.{minor}.{build}")
    };
    vec![
        Field::new(
            "tds.prelogin.option.version",
            "version",
            Value::Hex(number, 8),
        )
        .text(words)
        .at(range.start..split),
        Field::new(
            "tds.prelogin.option.subbuild",
            "sub-build",
            Value::UInt(u64::from(sub)),
        )
        .at(split..range.end),
    ]
}

/// A client names the instance that it wants; a server's byte says whether it is that.
fn instance_value(found: &Prelogin, data: &[u8], from_server: bool) -> Field {
    let words = match data {
        [0] if from_server => "matches",
        [1] if from_server => "mismatch",
        _ => "",
    };
    let name = Value::Text(found.instance.clone().unwrap_or_default());
    Field::new("tds.prelogin.option.instopt", "instance", name).text(words)
}

fn option_values(found: &Prelogin, token: u8, data: &[u8], range: Range<usize>) -> Vec<Field> {
    let byte = || data.first().copied().map(u64::from);
    match token {
        option::ENCRYPTION => byte().map_or_else(Vec::new, |value| {
            vec![
                Field::new(
                    "tds.prelogin.option.encryption",
                    "encryption",
                    Value::UInt(value),
                )
                .text(u8::try_from(value).map_or("", prelogin::encryption_name))
                .at(range),
            ]
        }),
        option::THREADID => found.thread_id.map_or_else(Vec::new, |id| {
            vec![
                Field::new(
                    "tds.prelogin.option.threadid",
                    "thread",
                    Value::UInt(u64::from(id)),
                )
                .at(range),
            ]
        }),
        option::MARS => byte().map_or_else(Vec::new, |value| {
            vec![
                Field::new("tds.prelogin.option.mars", "MARS", Value::UInt(value))
                    .text(match value {
                        0 => "off",
                        1 => "on",
                        _ => "unknown",
                    })
                    .at(range),
            ]
        }),
        option::TRACEID => found.connection_guid.map_or_else(Vec::new, |id| {
            let mut text = format!("connection {}", guid(id));
            if let Some((activity, sequence)) = found.activity {
                text = format!("{text}, activity {} {sequence}", guid(activity));
            }
            vec![
                Field::new(
                    "tds.prelogin.option.traceid",
                    "trace id",
                    Value::Bytes(data.to_vec()),
                )
                .text(text)
                .at(range),
            ]
        }),
        option::FEDAUTHREQUIRED => byte().map_or_else(Vec::new, |value| {
            vec![
                Field::new(
                    "tds.prelogin.option.fedauthrequired",
                    "federated authentication",
                    Value::UInt(value),
                )
                .at(range),
            ]
        }),
        option::NONCEOPT if !data.is_empty() => vec![
            Field::new(
                "tds.prelogin.option.nonceopt",
                "nonce",
                Value::Bytes(data.to_vec()),
            )
            .at(range),
        ],
        _ => Vec::new(),
    }
}

fn shift(range: &Range<usize>, base: usize) -> Range<usize> {
    base.saturating_add(range.start)..base.saturating_add(range.end)
}

/// Registry name and label of a byte of flags, and mask and word of each flag in it.
type LoginFlags = (&'static str, &'static str, &'static [(u8, &'static str)]);

/// Names of the flags of LOGIN7, by byte; fields of several bits carry their mask.
const LOGIN_FLAGS: [LoginFlags; 4] = [
    (
        "tds.7login.option_flags1",
        "OptionFlags1",
        &[
            (0x01, "fByteOrder: big-endian"),
            (0x02, "fChar: EBCDIC"),
            (0x0c, "fFloat: not IEEE"),
            (0x10, "fDumpLoad: off"),
            (0x20, "fUseDB: tell of USE"),
            (0x40, "fDatabase: fatal if it fails"),
            (0x80, "fSetLang: tell of the language"),
        ],
    ),
    (
        "tds.7login.option_flags2",
        "OptionFlags2",
        &[
            (0x01, "fLanguage: fatal if it fails"),
            (0x02, "fODBC: client is ODBC"),
            (0x04, "fTranBoundary"),
            (0x08, "fCacheConnect"),
            (0x70, "fUserType: not a normal user"),
            (0x80, "fIntSecurity: integrated"),
        ],
    ),
    (
        "tds.7login.sql_type_flags",
        "TypeFlags",
        &[
            (0x0f, "fSQLType: T-SQL"),
            (0x10, "fOLEDB: client is OLE DB"),
            (0x20, "fReadOnlyIntent: read only"),
        ],
    ),
    (
        "tds.7login.reserved_flags",
        "OptionFlags3",
        &[
            (0x01, "fChangePassword"),
            (0x02, "fSendYukonBinaryXML"),
            (0x04, "fUserInstance"),
            (0x08, "fUnknownCollationHandling"),
            (0x10, "fExtension"),
        ],
    ),
];

/// A LOGIN7 body.
pub fn login7(w: &mut Walk<'_>) -> Step<()> {
    let base = w.at();
    let body = w.r.rest();
    let start = w.r;
    w.le("tds.7login.total_len", "length", 4)?;
    let version = w.hex("tds.7login.version", "TDS version", 4)?;
    w.say(
        u32::try_from(version)
            .ok()
            .and_then(Version::from_number)
            .map_or("unknown", Version::name),
    );
    w.le("tds.7login.packet_size", "packet size", 4)?;
    w.hex("tds.7login.client_version", "client version", 4)?;
    w.le("tds.7login.client_pid", "client process", 4)?;
    w.le("tds.7login.connection_id", "connection id", 4)?;
    for (name, label, flags) in LOGIN_FLAGS {
        let value = w.hex(name, label, 1)?;
        let set: Vec<_> = flags
            .iter()
            .filter(|(mask, _)| value & u64::from(*mask) != 0)
            .map(|(_, word)| *word)
            .collect();
        w.say(set.join(", "));
    }
    w.hex("tds.7login.time_zone", "time zone", 4)?;
    w.hex("tds.7login.collation", "locale", 4)?;
    let Some((login, complete)) = Login7::read(body) else {
        return Err(Stop::short(w.at(), "LOGIN7"));
    };
    let mut cut = !complete;
    for (name, label, part) in texts(&login) {
        cut |= push_text(w, (&login, body), base, name, label, part);
    }
    push_password(w, base, "tds.7login.password", "password", &login.password);
    if let Some(part) = &login.change_password {
        push_password(w, base, "tds.7login.change_password", "new password", part);
    }
    if complete {
        let range = base.saturating_add(72)..base.saturating_add(78);
        w.push(
            Field::new(
                "tds.7login.client_id",
                "client id",
                Value::Bytes(login.client_id.to_vec()),
            )
            .at(range),
        );
    }
    features(w, &login, body, base);
    if !login.sspi.data.is_empty() {
        let token = body.get(login.sspi.data.clone()).unwrap_or_default();
        let at = base.saturating_add(login.sspi.data.start);
        // What the token does not say is its own affair; the login is complete without it.
        let _ = w.with(token, at, |w| w.group("tds.sspi", "SSPI", sspi::fields));
    }
    w.r = start;
    let len = w.r.left();
    w.r.skip(len);
    let written = usize::try_from(login.length).unwrap_or(usize::MAX);
    if cut || written > body.len() {
        return Err(Stop::short(w.at(), "LOGIN7"));
    }
    Ok(())
}

fn texts(login: &Login7) -> [(&'static str, &'static str, &Part); 8] {
    [
        ("tds.7login.clientname", "host", &login.host),
        ("tds.7login.username", "user", &login.user),
        ("tds.7login.appname", "program", &login.app),
        ("tds.7login.servername", "server", &login.server),
        ("tds.7login.libraryname", "library", &login.library),
        ("tds.7login.locale", "language", &login.language),
        ("tds.7login.databasename", "database", &login.database),
        ("tds.7login.attach_file", "attach file", &login.attach_file),
    ]
}

/// Pushes a text of LOGIN7 and says whether it was cut.
fn push_text(
    w: &mut Walk<'_>,
    (login, body): (&Login7, &[u8]),
    base: usize,
    name: &'static str,
    label: &'static str,
    part: &Part,
) -> bool {
    if part.length == 0 {
        return false;
    }
    let text = login.text(body, part);
    w.push(
        Field::new(name, label, Value::Text(text))
            .at(shift(&part.data, base))
            .at(shift(&part.head, base)),
    );
    part.data.len() < usize::from(part.length).saturating_mul(2)
}

fn push_password(
    w: &mut Walk<'_>,
    base: usize,
    name: &'static str,
    label: &'static str,
    part: &Part,
) {
    if part.length > 0 {
        w.push(
            Field::new(name, label, Value::Secret(part.data.len()))
                .text(format!("{} characters, obfuscated", part.length))
                .at(shift(&part.data, base)),
        );
    }
}

fn features(w: &mut Walk<'_>, login: &Login7, body: &[u8], base: usize) {
    for (id, data) in login.features(body) {
        let label = login7::feature_name(id);
        let bytes = body.get(data.clone()).unwrap_or_default();
        let mut field = Field::new("tds.7login.feature", label, Value::UInt(u64::from(id)))
            .at(shift(&data, base));
        if login7::is_secret_feature(id) {
            field.text = secret_words(id, bytes);
            field.children.push(
                Field::new(
                    "tds.7login.feature.data",
                    "data",
                    Value::Secret(bytes.len()),
                )
                .at(shift(&data, base)),
            );
        } else if !bytes.is_empty() {
            let kept = bytes.get(..256).unwrap_or(bytes);
            field.text = login7::feature_words(id, kept, false);
            field.children.push(
                Field::new(
                    "tds.7login.feature.data",
                    "data",
                    Value::Bytes(kept.to_vec()),
                )
                .at(shift(&data, base)),
            );
        }
        w.push(field);
    }
}

/// What may be said of a feature whose data are secret: the kind of token, never the token.
fn secret_words(id: u8, data: &[u8]) -> String {
    match id {
        login7::feature::FED_AUTH => {}
        login7::feature::SESSION_RECOVERY => return "session recovery data".to_owned(),
        _ => return "not known".to_owned(),
    }
    let Some(options) = data.first() else {
        return String::new();
    };
    let library = match options >> 1 {
        0 => "Live ID",
        1 => "security token",
        2 => "ADAL or MSAL",
        _ => "unknown library",
    };
    let echo = if options & 1 == 1 { ", echo" } else { "" };
    format!("{library}{echo}")
}

/// The federated authentication token message: lengths are shown, the token never.
pub fn fed_auth_token(w: &mut Walk<'_>) -> Step<()> {
    w.le("tds.other", "length", 4)?;
    let len = w.le("tds.other", "token length", 4)?;
    w.secret("tds.fedauth.token", "token", size(len))?;
    if !w.r.is_empty() {
        let rest = w.r.left();
        w.secret("tds.fedauth.token", "nonce", rest)?;
    }
    Ok(())
}
