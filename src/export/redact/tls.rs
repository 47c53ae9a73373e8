//! TLS records: headers stay, of the handshake what says version, cipher and protocol; certificates, names and
//! everything encrypted are zeroed.

use super::mask::Mask;
use super::names::{Kind, Names};

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;

/// How far the handshake of a direction was followed.
#[derive(Debug, Default)]
pub(super) struct Handshake {
    /// Records are encrypted, or messages cannot be told apart any more: none is looked into.
    closed: bool,
    /// Bytes of a message that the next records go on with; they stay zero.
    open: usize,
}

/// A stretch of TLS records.
pub(super) fn records(mask: &mut Mask<'_>, names: &mut Names, state: &mut Handshake) {
    while !mask.is_empty() {
        if record(mask, names, state).is_none() {
            mask.hide_rest();
        }
    }
}

fn record(mask: &mut Mask<'_>, names: &mut Names, state: &mut Handshake) -> Option<()> {
    let kind = mask.u8()?;
    mask.keep(2)?;
    let len = usize::from(mask.u16_be()?);
    let original = mask.rest().get(..len.min(mask.rest().len()))?;
    let mut copy = vec![0; original.len()];
    let mut inner = Mask::new(original, &mut copy);
    match kind {
        // ChangeCipherSpec: what follows is encrypted.
        20 => {
            inner.keep(1);
            state.closed = true;
        }
        // An alert in clear is two bytes; an encrypted one is longer.
        21 if original.len() == 2 && !state.closed => drop(inner.keep(2)),
        HANDSHAKE if !state.closed => {
            let begun = state.open.min(original.len());
            inner.hide(begun)?;
            state.open = state.open.saturating_sub(begun);
            while !inner.is_empty() {
                if let Some(open) = handshake(&mut inner, names) {
                    state.open = open;
                } else {
                    inner.hide_rest();
                    state.closed = true;
                }
            }
        }
        _ => {}
    }
    mask.put(&copy);
    Some(())
}

/// A message; returns how many of its bytes the record does not hold. `None` where not even its header is whole.
fn handshake(mask: &mut Mask<'_>, names: &mut Names) -> Option<usize> {
    let [kind, a, b, c]: [u8; 4] = mask.keep(4)?.try_into().ok()?;
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
    Some(len.saturating_sub(copy.len()))
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
