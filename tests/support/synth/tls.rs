//! Bytes with the shape of a TLS 1.2 handshake. Nothing is encrypted: keys, certificates and records hold made-up
//! bytes, and only what a reader without keys can see is as it would be.

use super::rng::Rng;

const CHANGE_CIPHER_SPEC: u8 = 20;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

/// Bytes that AES-GCM adds to a record's plaintext: explicit nonce and tag.
pub const GCM: usize = 24;

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, 3, 3];
    bytes.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    bytes.extend(body);
    bytes
}

fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(&u32::try_from(body.len()).unwrap().to_be_bytes()[1..]);
    bytes.extend(body);
    bytes
}

fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = kind.to_be_bytes().to_vec();
    bytes.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    bytes.extend(data);
    bytes
}

/// A record with a ClientHello that makes the record `size` bytes long; a session ticket takes up the rest.
pub fn client_hello(size: usize, rng: &mut Rng) -> Vec<u8> {
    client_hello_with(&[], size, rng)
}

/// The same of a client that speaks TDS 8.0: TLS comes first, and its ALPN says what is inside.
pub fn strict_client_hello(size: usize, rng: &mut Rng) -> Vec<u8> {
    let name = b"tds/8.0";
    let alpn = [&[0, 8, 7], &name[..]].concat();
    client_hello_with(&extension(16, &alpn), size, rng)
}

fn client_hello_with(more: &[u8], size: usize, rng: &mut Rng) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend(rng.bytes(32));
    body.push(0);
    let suites: [u16; 12] = [
        0xC02C, 0xC02B, 0xC030, 0xC02F, 0xC024, 0xC023, 0xC028, 0xC027, 0xC00A, 0xC009, 0xC014,
        0xC013,
    ];
    body.extend(u16::try_from(suites.len() * 2).unwrap().to_be_bytes());
    body.extend(suites.iter().flat_map(|s| s.to_be_bytes()));
    body.extend([1, 0]);
    let mut extensions = extension(10, &[0, 6, 0, 29, 0, 23, 0, 24]);
    extensions.extend(extension(11, &[1, 0]));
    extensions.extend(extension(
        13,
        &[0, 14, 4, 1, 5, 1, 2, 1, 4, 3, 5, 3, 2, 3, 6, 1],
    ));
    extensions.extend(extension(23, &[]));
    extensions.extend(extension(0xFF01, &[0]));
    extensions.extend(more);
    let ticket = size - (5 + 4 + body.len() + 2 + extensions.len() + 4);
    extensions.extend(extension(35, &rng.bytes(ticket)));
    body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    body.extend(extensions);
    let bytes = record(HANDSHAKE, &handshake(1, &body));
    assert_eq!(bytes.len(), size);
    bytes
}

/// One record with ServerHello, Certificate (two of them), ServerKeyExchange and ServerHelloDone that is `size`
/// bytes long; the addresses in the certificates take up the rest.
pub fn server_flight(size: usize, host: &str, rng: &mut Rng) -> Vec<u8> {
    let mut hello = vec![3, 3];
    hello.extend(rng.bytes(32));
    hello.push(32);
    hello.extend(rng.bytes(32));
    hello.extend([0xC0, 0x30, 0]);
    let mut extensions = extension(23, &[]);
    extensions.extend(extension(0xFF01, &[0]));
    hello.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    hello.extend(extensions);

    let mut exchange = vec![3, 0, 23, 65, 4];
    exchange.extend(rng.bytes(64));
    exchange.extend([4, 1, 1, 0]);
    exchange.extend(rng.bytes(256));

    let mut rest = handshake(2, &hello);
    let tail = [handshake(12, &exchange), handshake(14, &[])].concat();
    let room = size - (5 + rest.len() + tail.len() + 4 + 3 + 6);
    let authority = "Example Issuing CA";
    let leaf = certificate(host, authority, room / 2, rng);
    let issuer = certificate(authority, "Example Root CA", room - room / 2, rng);
    let mut chain = Vec::new();
    for der in [leaf, issuer] {
        chain.extend(&u32::try_from(der.len()).unwrap().to_be_bytes()[1..]);
        chain.extend(der);
    }
    let mut certificates = u32::try_from(chain.len()).unwrap().to_be_bytes()[1..].to_vec();
    certificates.extend(chain);
    rest.extend(handshake(11, &certificates));
    rest.extend(tail);
    let bytes = record(HANDSHAKE, &rest);
    assert_eq!(bytes.len(), size);
    bytes
}

/// ClientKeyExchange, ChangeCipherSpec and an encrypted Finished.
pub fn client_finish(rng: &mut Rng) -> Vec<u8> {
    let mut exchange = vec![65, 4];
    exchange.extend(rng.bytes(64));
    let mut bytes = record(HANDSHAKE, &handshake(16, &exchange));
    bytes.extend(server_finish(rng));
    bytes
}

/// ChangeCipherSpec and an encrypted Finished: 51 bytes.
pub fn server_finish(rng: &mut Rng) -> Vec<u8> {
    let mut bytes = record(CHANGE_CIPHER_SPEC, &[1]);
    bytes.extend(record(HANDSHAKE, &rng.bytes(16 + GCM)));
    bytes
}

/// A record of application data that hides `plain` bytes (TLS 1.2 with AES-GCM).
pub fn application_data(plain: usize, rng: &mut Rng) -> Vec<u8> {
    record(APPLICATION_DATA, &rng.bytes(plain + GCM))
}

fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let len: usize = parts.iter().map(|p| p.len()).sum();
    let mut bytes = vec![tag];
    if len < 128 {
        bytes.push(u8::try_from(len).unwrap());
    } else if len < 256 {
        bytes.extend([0x81, u8::try_from(len).unwrap()]);
    } else {
        bytes.push(0x82);
        bytes.extend(u16::try_from(len).unwrap().to_be_bytes());
    }
    bytes.extend(parts.concat());
    bytes
}

const SEQUENCE: u8 = 0x30;
const OID: u8 = 0x06;

fn name(common_name: &str) -> Vec<u8> {
    let oid = der(OID, &[&[0x55, 0x04, 0x03]]);
    let value = der(0x0C, &[common_name.as_bytes()]);
    der(SEQUENCE, &[&der(0x31, &[&der(SEQUENCE, &[&oid, &value])])])
}

/// An X.509 certificate of `size` bytes with an RSA key and a signature of made-up bytes. The address of the
/// issuer's revocation list takes up what is left.
fn certificate(subject: &str, issuer: &str, size: usize, rng: &mut Rng) -> Vec<u8> {
    let serial = rng.bytes(15);
    let modulus = rng.bytes(255);
    let signature = rng.bytes(256);
    let build = |filler: usize| {
        let sha256_rsa = der(
            SEQUENCE,
            &[
                &der(OID, &[&[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 11]]),
                &[5, 0],
            ],
        );
        let rsa = der(
            SEQUENCE,
            &[
                &der(OID, &[&[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 1]]),
                &[5, 0],
            ],
        );
        let number = der(0x02, &[&[0, 0xC5], &modulus]);
        let key = der(SEQUENCE, &[&number, &der(0x02, &[&[1, 0, 1]])]);
        let key_info = der(SEQUENCE, &[&rsa, &der(0x03, &[&[0], &key])]);
        let validity = der(
            SEQUENCE,
            &[
                &der(0x17, &[b"200101000000Z"]),
                &der(0x17, &[b"300101000000Z"]),
            ],
        );
        let address = format!("http://crl.contoso.example/{}.crl", "a".repeat(filler));
        let uri = der(0x86, &[address.as_bytes()]);
        let point = der(SEQUENCE, &[&der(0xA0, &[&der(0xA0, &[&uri])])]);
        let list = der(0x04, &[&der(SEQUENCE, &[&point])]);
        let crl = der(SEQUENCE, &[&der(OID, &[&[0x55, 0x1D, 0x1F]]), &list]);
        let extensions = der(0xA3, &[&der(SEQUENCE, &[&crl])]);
        let body = der(
            SEQUENCE,
            &[
                &[0xA0, 3, 2, 1, 2],
                &der(0x02, &[&[0x3E], &serial]),
                &sha256_rsa,
                &name(issuer),
                &validity,
                &name(subject),
                &key_info,
                &extensions,
            ],
        );
        der(
            SEQUENCE,
            &[&body, &sha256_rsa, &der(0x03, &[&[0], &signature])],
        )
    };
    // Longer contents need longer DER lengths, so the filler is found by trying.
    (0..size)
        .map(build)
        .find(|der| der.len() == size)
        .unwrap_or_else(|| panic!("no certificate has {size} bytes"))
}
