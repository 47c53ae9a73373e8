//! TLS records: headers stay, of the handshake what says version, cipher and protocol; certificates, names and
//! everything encrypted are zeroed.

use super::mask::Mask;
use super::names::{Kind, Names};

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;

/// A stretch of TLS records. With `encrypted`, handshake records are not looked into.
pub(super) fn records(mask: &mut Mask<'_>, names: &mut Names, encrypted: &mut bool) {
    while !mask.is_empty() {
        if record(mask, names, encrypted).is_none() {
            mask.hide_rest();
        }
    }
}

fn record(mask: &mut Mask<'_>, names: &mut Names, encrypted: &mut bool) -> Option<()> {
    let kind = mask.u8()?;
    mask.keep(2)?;
    let len = usize::from(mask.u16_be()?);
    let original = mask.rest().get(..len.min(mask.rest().len()))?;
    let mut copy = vec![0; original.len()];
    let mut inner = Mask::new(original, &mut copy);
    match kind {
        // ChangeCipherSpec: what follows is encrypted.
        20 => {
            inner.keep(original.len());
            *encrypted = true;
        }
        // An alert in clear is two bytes; an encrypted one is longer.
        21 if original.len() == 2 && !*encrypted => drop(inner.keep(2)),
        HANDSHAKE if !*encrypted => {
            while !inner.is_empty() {
                if handshake(&mut inner, names).is_none() {
                    inner.hide_rest();
                }
            }
        }
        _ => {}
    }
    mask.put(&copy);
    Some(())
}

fn handshake(mask: &mut Mask<'_>, names: &mut Names) -> Option<()> {
    let kind = mask.u8()?;
    let [a, b, c]: [u8; 3] = mask.keep(3)?.try_into().ok()?;
    let len = usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()?;
    let original = mask.rest().get(..len.min(mask.rest().len()))?;
    let mut copy = vec![0; original.len()];
    let mut inner = Mask::new(original, &mut copy);
    let _ = match kind {
        CLIENT_HELLO => client_hello(&mut inner, names),
        SERVER_HELLO => server_hello(&mut inner, names),
        _ => None,
    };
    mask.put(&copy);
    Some(())
}

fn client_hello(mask: &mut Mask<'_>, names: &mut Names) -> Option<()> {
    mask.keep(2)?;
    mask.hide(32)?;
    let session = mask.u8()?;
    mask.hide(usize::from(session))?;
    let suites = mask.u16_be()?;
    mask.keep(usize::from(suites))?;
    let compressions = mask.u8()?;
    mask.keep(usize::from(compressions))?;
    extensions(mask, names)
}

fn server_hello(mask: &mut Mask<'_>, names: &mut Names) -> Option<()> {
    // The random says a retry or a downgrade; it names nobody.
    mask.keep(34)?;
    let session = mask.u8()?;
    mask.hide(usize::from(session))?;
    mask.keep(3)?;
    extensions(mask, names)
}

fn extensions(mask: &mut Mask<'_>, names: &mut Names) -> Option<()> {
    if mask.is_empty() {
        return Some(());
    }
    mask.keep(2)?;
    while !mask.is_empty() {
        let kind = mask.u16_be()?;
        let len = usize::from(mask.u16_be()?);
        match kind {
            0 if len > 5 => {
                // Server name: u16 list length, u8 type, u16 length, name.
                mask.keep(5)?;
                let name = mask.rest().get(..len.checked_sub(5)?)?;
                let stand_in = names.bytes(Kind::Server, name);
                mask.put(&stand_in);
            }
            // Groups, point formats, signature algorithms, ALPN, extended master secret, versions, PSK modes.
            10 | 11 | 13 | 16 | 22 | 23 | 43 | 45 | 50 => drop(mask.keep(len)?),
            _ => drop(mask.hide(len)?),
        }
    }
    Some(())
}
