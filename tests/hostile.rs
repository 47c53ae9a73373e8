//! Bytes that mean harm, or nothing: every decoder ends, stays in its bounds and never panics.

use marstui::decode::tds::login7::Login7;
use marstui::decode::tds::message::{self, Context};
use marstui::decode::tds::prelogin::Prelogin;
use marstui::decode::tds::skim::Skim;
use marstui::decode::tds::type_info::{Place, TypeInfo};
use marstui::decode::tds::{Version, values};
use marstui::decode::tls::hello::Hello;
use marstui::decode::walk::{MOST_FIELDS, Walk};
use marstui::decode::{reader::Reader, sspi, tls};
use proptest::prelude::*;

use crate::corpora::checks::fields;

const KINDS: [u8; 12] = [1, 2, 3, 4, 6, 7, 8, 14, 16, 17, 18, 0x53];
const VERSIONS: [Version; 4] = [Version::V70, Version::V71R1, Version::V72, Version::V74];

/// Every decoder over the same bytes.
pub fn decode_all(bytes: &[u8]) {
    for kind in KINDS {
        for version in VERSIONS {
            for from_server in [false, true] {
                let context = Context {
                    version,
                    from_server,
                    column_encryption: from_server && version == Version::V74,
                    max_rows: 3,
                    ..Context::default()
                };
                let message = message::decode(kind, bytes, 7, &context);
                fields(&message.fields, 7, bytes.len());
            }
        }
    }
    let mut w = Walk::new(bytes, 0);
    let result = tls::tree::records(&mut w);
    fields(&w.finish(result).fields, 0, bytes.len());
    let mut w = Walk::new(bytes, 0);
    let result = sspi::fields(&mut w);
    fields(&w.finish(result).fields, 0, bytes.len());
    for range in sspi::secret_ranges(bytes) {
        assert!(range.end <= bytes.len());
    }
    let _ = (sspi::recognise(bytes), sspi::authenticate_names(bytes));
    let _ = (
        Prelogin::read(bytes),
        Hello::read(bytes),
        Hello::read_records(bytes),
    );
    if let Some((login, _)) = Login7::read(bytes) {
        for range in login.secret_ranges(bytes) {
            assert!(range.end <= bytes.len());
        }
    }
    for place in [Place::Column, Place::ReturnValue, Place::Parameter] {
        if let Ok(info) = TypeInfo::read(&mut Reader::new(bytes), place, Version::V74) {
            let _ = (info.sql(), values::print(&info, bytes).literal());
        }
    }
    let _ = values::variant(bytes);
    let mut skim = Skim::new(Context::default());
    let mut last = 0;
    for piece in bytes.chunks(5) {
        skim.feed(piece, |begin| {
            assert!(begin.at >= last);
            last = begin.at;
        });
    }
}

/// A message head that leads deep into a decoder, followed by anything.
fn seeded() -> impl Strategy<Value = Vec<u8>> {
    let heads: Vec<Vec<u8>> = vec![
        vec![],
        vec![
            0x81, 2, 0, 0, 0, 0, 0, 8, 0, 0x26, 4, 1, b'a', 0, 0, 0, 0, 0, 9, 0,
        ],
        vec![
            0x81, 1, 0, 0, 0, 0, 0, 9, 0, 0xe7, 0xff, 0xff, 9, 4, 0xd0, 0, 0x34, 1, b'b', 0, 0xd1,
        ],
        vec![0xe3, 20, 0, 20],
        vec![0xaa, 40, 0, 1, 2, 3, 4],
        vec![
            0xac, 1, 0, 1, b'@', 0, 1, 0, 0, 0, 0, 0, 0, 0x62, 0, 0, 0, 0,
        ],
        vec![0xae, 1, 4, 0, 0, 0],
        vec![0xa3, 1, 0],
        vec![
            0x16, 0, 0, 0, 0x12, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0,
        ],
        vec![
            0x16, 0, 0, 0, 0x12, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0xff, 0xff, 10,
            0, 0, 0, 0, 0, 0xf3, 0, 0, 0,
        ],
        vec![0, 0, 0x1a, 0, 6, 1, 0, 0x20, 0, 1, 2],
        b"NTLMSSP\0\x03\0\0\0".to_vec(),
        b"NTLMSSP\0\x02\0\0\0".to_vec(),
        vec![0x60, 0x40, 6, 6, 0x2b, 6, 1, 5, 5, 2, 0xa0],
        vec![
            0x60, 0x40, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2, 1, 0, 0x6e,
        ],
        vec![22, 3, 1, 0, 80, 1, 0, 0, 76, 3, 3],
        vec![22, 3, 3, 0, 80, 11, 0, 0, 76, 0, 0, 70, 0, 0, 67, 0x30],
    ];
    (
        prop::sample::select(heads),
        prop::collection::vec(any::<u8>(), 0..200),
    )
        .prop_map(|(mut head, tail)| {
            head.extend(tail);
            head
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_harm_a_decoder(bytes in seeded()) {
        decode_all(&bytes);
    }
}

/// Runs for as many seconds as the environment variable says: changed bytes of real messages, and random ones.
#[test]
fn changed_samples_harm_no_decoder() {
    let seconds: u64 = std::env::var("MARSTUI_FUZZ_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let Some(samples) = crate::vectors::samples() else {
        return;
    };
    let start = std::time::Instant::now();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap()
    };
    let mut rounds = 0_u64;
    while rounds < 50 || start.elapsed().as_secs() < seconds {
        let sample = &samples[random() % samples.len()];
        let mut bytes = sample[8..].to_vec();
        for _ in 0..=random() % 4 {
            if bytes.is_empty() {
                break;
            }
            let at = random() % bytes.len();
            match random() % 4 {
                0 => bytes[at] = u8::try_from(random() % 256).unwrap(),
                1 => bytes.truncate(at),
                2 => bytes[at] = [0, 0xff, 0x7f, 0x80][random() % 4],
                _ => {
                    let piece = bytes[at..].to_vec();
                    bytes.extend(piece.into_iter().take(64));
                }
            }
        }
        decode_all(&bytes);
        rounds += 1;
    }
    if seconds > 0 {
        eprintln!("{rounds} rounds");
    }
}

#[test]
fn a_message_of_very_many_parts_leaves_a_bounded_number_of_fields() {
    // A call with a NULL in each of very many parameters without a name.
    let mut body = vec![22, 0, 0, 0, 18, 0, 0, 0, 2, 0];
    body.extend([0; 8]);
    body.extend([1, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 0]);
    body.extend([0, 0, 0x26, 4, 0].repeat(60_000));
    let message = message::decode(3, &body, 0, &Context::default());
    let mut fields = 0_usize;
    for field in &message.fields {
        field.walk(&mut |_| fields += 1);
    }
    assert!(fields > 10_000 && fields < 2 * MOST_FIELDS, "{fields}");
    assert!(message.stop.is_some());
}
