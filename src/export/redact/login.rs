//! PRELOGIN, LOGIN7 and SSPI: options and flags stay, names are replaced, secrets are zeroed.

use super::mask::Mask;
use super::names::{Kind, Names};
use crate::decode::tds::login7::{Login7, Part};
use crate::decode::tds::prelogin::{Prelogin, option};

/// PRELOGIN of either side: the table and the options that say how the connection will work.
pub(super) fn prelogin(mask: &mut Mask<'_>, names: &mut Names) {
    let body = mask.rest();
    let start = mask.position();
    let Some(read) = Prelogin::read(body) else {
        mask.hide_rest();
        return;
    };
    mask.hide_rest();
    for opt in &read.options {
        let at = |pos: usize| start.saturating_add(pos);
        let bytes = |range: &std::ops::Range<usize>| body.get(range.clone()).unwrap_or_default();
        mask.overwrite(at(opt.entry.start), bytes(&opt.entry));
        let data = bytes(&opt.data);
        match opt.token {
            // Not more of them than such an option has.
            option::VERSION if data.len() <= 6 => mask.overwrite(at(opt.data.start), data),
            option::ENCRYPTION | option::MARS | option::FEDAUTHREQUIRED if data.len() == 1 => {
                mask.overwrite(at(opt.data.start), data);
            }
            // One byte is a server's answer: matches or not.
            option::INSTOPT if data.len() == 1 => mask.overwrite(at(opt.data.start), data),
            option::INSTOPT => {
                let text = data.strip_suffix(&[0]).unwrap_or(data);
                let stand_in = names.bytes(Kind::Server, text);
                mask.overwrite(at(opt.data.start), &stand_in);
            }
            _ => {}
        }
    }
    if read.terminated
        && let Some(last) = read.options.last()
    {
        mask.overwrite(start.saturating_add(last.entry.end), &[option::TERMINATOR]);
    }
}

/// LOGIN7: the fixed part without process id and MAC address, and stand-ins for the names.
pub(super) fn login7(mask: &mut Mask<'_>, names: &mut Names) {
    let body = mask.rest();
    let start = mask.position();
    mask.hide_rest();
    // A login that the snap length cut keeps what there is of its fixed part.
    let Some((login, _)) = Login7::read(body) else {
        return;
    };
    let fixed = if login.change_password.is_some() {
        94
    } else {
        86
    };
    let keep = |mask: &mut Mask<'_>, from: usize, to: usize| {
        let to = to.min(body.len());
        mask.overwrite(
            start.saturating_add(from),
            body.get(from..to).unwrap_or_default(),
        );
    };
    keep(mask, 0, 16);
    keep(mask, 20, 72);
    keep(mask, 78, fixed);
    // Library and language name products, not people. Where another part has the same place, that one counts.
    for part in [&login.library, &login.language] {
        if part.data.start >= fixed {
            keep(mask, part.data.start, part.data.end);
        }
    }
    let mut texts = vec![
        (&login.host, Kind::Host),
        (&login.user, Kind::User),
        (&login.app, Kind::Program),
        (&login.server, Kind::Server),
        (&login.database, Kind::Database),
        (&login.attach_file, Kind::Other),
    ];
    texts.retain(|(part, _)| !part.data.is_empty());
    for (part, kind) in texts {
        let bytes = body.get(part.data.clone()).unwrap_or_default();
        let stand_in = names.utf16(kind, bytes);
        mask.overwrite(start.saturating_add(part.data.start), &stand_in);
    }
    for secret in login.secret_ranges(body) {
        let nothing = vec![0; secret.len()];
        mask.overwrite(start.saturating_add(secret.start), &nothing);
    }
    if !login.sspi.data.is_empty() {
        let bytes = body.get(login.sspi.data.clone()).unwrap_or_default();
        let mut copy = vec![0; bytes.len()];
        sspi(&mut Mask::new(bytes, &mut copy));
        mask.overwrite(start.saturating_add(login.sspi.data.start), &copy);
    }
    if login.flags.last().is_some_and(|f| f & 0x10 != 0) {
        features(mask, start, body, &login.extension);
    }
}

/// The list of features: ids and lengths, no data.
fn features(mask: &mut Mask<'_>, start: usize, body: &[u8], extension: &Part) {
    let Some(pointer) = body
        .get(extension.data.clone())
        .and_then(|b| b.first_chunk::<4>())
    else {
        return;
    };
    mask.overwrite(start.saturating_add(extension.data.start), pointer);
    let Ok(mut at) = usize::try_from(u32::from_le_bytes(*pointer)) else {
        return;
    };
    while let Some(id) = body.get(at) {
        mask.overwrite(start.saturating_add(at), &[*id]);
        if *id == 0xff {
            return;
        }
        let head = body
            .get(at.saturating_add(1)..)
            .and_then(|b| b.first_chunk::<4>());
        let Some(len) = head else { return };
        mask.overwrite(start.saturating_add(at).saturating_add(1), len);
        let Ok(len) = usize::try_from(u32::from_le_bytes(*len)) else {
            return;
        };
        at = at.saturating_add(5).saturating_add(len);
    }
}

/// Object ids by which SPNEGO and Kerberos name mechanisms (RFC 4178, RFC 4121, [MS-SPNG]).
const MECHANISMS: &[&[u8]] = &[
    &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x02],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02],
    &[0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 0x01, 0x02, 0x02],
    &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x0a],
    &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x1e],
];

/// How an NTLM message begins.
const NTLM: &[u8] = b"NTLMSSP\0";

/// A security token: which mechanism it is stays to be seen, everything in it is zeroed.
pub(super) fn sspi(mask: &mut Mask<'_>) {
    let token = mask.rest();
    let start = mask.position();
    mask.hide_rest();
    let head = token.get(..token.len().min(160)).unwrap_or_default();
    let mut seen = 0;
    for mechanism in MECHANISMS {
        for at in positions(head, mechanism) {
            seen = seen.max(at.saturating_add(mechanism.len()));
        }
    }
    // Up to the last mechanism's id there are only lengths and ids of the list.
    mask.overwrite(start, head.get(..seen).unwrap_or_default());
    if seen == 0 && head.first() == Some(&0xa1) {
        mask.overwrite(start, head.get(..head.len().min(2)).unwrap_or_default());
    }
    if let Some(at) = positions(token, NTLM).next() {
        let end = at.saturating_add(12).min(token.len());
        mask.overwrite(
            start.saturating_add(at),
            token.get(at..end).unwrap_or_default(),
        );
    }
}

fn positions<'a>(bytes: &'a [u8], wanted: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    memchr::memmem::find_iter(bytes, wanted)
}
