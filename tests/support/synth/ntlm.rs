//! NTLM messages ([MS-NLMP] 2.2.1). Challenges, responses and keys are made-up bytes.

use super::rng::Rng;
use super::tds::utf16;

const SIGNATURE: &[u8] = b"NTLMSSP\0";
const FLAGS: u32 = 0xE288_8215;
const VERSION: [u8; 8] = [6, 1, 0xB1, 0x1D, 0, 0, 0, 15];

/// Appends `data` to the payload and gives its {length, capacity, offset}.
fn field(data: &[u8], head: usize, payload: &mut Vec<u8>) -> Vec<u8> {
    let len = u16::try_from(data.len()).unwrap().to_le_bytes();
    let at = u32::try_from(head + payload.len()).unwrap().to_le_bytes();
    payload.extend(data);
    [&len[..], &len[..], &at[..]].concat()
}

/// NEGOTIATE: 40 bytes, without names.
pub fn negotiate() -> Vec<u8> {
    let mut bytes = [SIGNATURE, &1u32.to_le_bytes()[..]].concat();
    bytes.extend(0xE208_8297u32.to_le_bytes());
    bytes.extend([0; 16]);
    bytes.extend(VERSION);
    bytes
}

/// CHALLENGE of a server of the domain.
pub fn challenge(domain: &str, computer: &str, dns_domain: &str, rng: &mut Rng) -> Vec<u8> {
    let host = format!("{}.{dns_domain}", computer.to_lowercase());
    let info = target_info(domain, computer, dns_domain, &host);
    let mut payload = Vec::new();
    let mut bytes = [SIGNATURE, &2u32.to_le_bytes()[..]].concat();
    bytes.extend(field(&utf16(domain), 56, &mut payload));
    bytes.extend((FLAGS | 0x0001_0000).to_le_bytes());
    bytes.extend(rng.bytes(8));
    bytes.extend([0; 8]);
    bytes.extend(field(&info, 56, &mut payload));
    bytes.extend(VERSION);
    bytes.extend(payload);
    bytes
}

fn target_info(domain: &str, computer: &str, dns_domain: &str, host: &str) -> Vec<u8> {
    let mut info = Vec::new();
    let mut pair = |id: u16, value: &[u8]| {
        info.extend(id.to_le_bytes());
        info.extend(u16::try_from(value.len()).unwrap().to_le_bytes());
        info.extend(value);
    };
    pair(2, &utf16(domain));
    pair(1, &utf16(computer));
    pair(4, &utf16(dns_domain));
    pair(3, &utf16(host));
    pair(5, &utf16(dns_domain));
    pair(7, &0x01D7_6F00_0000_0000u64.to_le_bytes());
    pair(0, &[]);
    info
}

/// AUTHENTICATE with an NTLM v2 response.
pub fn authenticate(domain: &str, user: &str, workstation: &str, rng: &mut Rng) -> Vec<u8> {
    let mut response = rng.bytes(16);
    response.extend([1, 1, 0, 0, 0, 0, 0, 0]);
    response.extend(0x01D7_6F00_0000_0000u64.to_le_bytes());
    response.extend(rng.bytes(8));
    response.extend([0; 4]);
    response.extend(target_info(
        domain,
        "SQLPROD1",
        "corp.contoso.example",
        "sqlprod1.corp.contoso.example",
    ));
    response.extend([0; 4]);
    let mut payload = Vec::new();
    let names = [domain, user, workstation].map(|n| field(&utf16(n), 88, &mut payload));
    let lm = field(&[0; 24], 88, &mut payload);
    let nt = field(&response, 88, &mut payload);
    let key = field(&rng.bytes(16), 88, &mut payload);
    let mut bytes = [SIGNATURE, &3u32.to_le_bytes()[..], &lm, &nt].concat();
    bytes.extend(names.concat());
    bytes.extend(key);
    bytes.extend(FLAGS.to_le_bytes());
    bytes.extend(VERSION);
    bytes.extend(rng.bytes(16));
    bytes.extend(payload);
    bytes
}
