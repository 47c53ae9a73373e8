//! TDS messages ([MS-TDS] 2.2) as bytes: login, requests and answers as Microsoft's drivers and SQL Server send them.

pub const SQL_BATCH: u8 = 1;
pub const RPC: u8 = 3;
pub const RESPONSE: u8 = 4;
pub const ATTENTION: u8 = 6;
pub const LOGIN7: u8 = 16;
pub const SSPI: u8 = 17;
pub const PRELOGIN: u8 = 18;

pub const EOM: u8 = 0x01;

/// DONE status bits.
pub const MORE: u16 = 0x001;
pub const ERROR: u16 = 0x002;
pub const COUNT: u16 = 0x010;
pub const ATTN: u16 = 0x020;
pub const SRVERROR: u16 = 0x100;

/// PRELOGIN ENCRYPTION values.
pub const ENCRYPT_OFF: u8 = 0;
pub const ENCRYPT_ON: u8 = 1;
pub const ENCRYPT_NOT_SUP: u8 = 2;

/// Text as UTF-16LE.
pub fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// B_VARCHAR: a count of characters in one byte, then the text.
fn b_varchar(text: &str) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(text.encode_utf16().count()).unwrap()];
    bytes.extend(utf16(text));
    bytes
}

/// US_VARCHAR: a count of characters in two bytes, then the text.
fn us_varchar(text: &str) -> Vec<u8> {
    let count = u16::try_from(text.encode_utf16().count()).unwrap();
    let mut bytes = count.to_le_bytes().to_vec();
    bytes.extend(utf16(text));
    bytes
}

/// One TDS packet.
pub fn packet(kind: u8, status: u8, spid: u16, id: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, status];
    bytes.extend(u16::try_from(8 + body.len()).unwrap().to_be_bytes());
    bytes.extend(spid.to_be_bytes());
    bytes.extend([id, 0]);
    bytes.extend(body);
    bytes
}

/// A message as packets of at most `size` bytes.
pub fn message(kind: u8, spid: u16, body: &[u8], size: usize) -> Vec<Vec<u8>> {
    let pieces: Vec<&[u8]> = if body.is_empty() {
        vec![body]
    } else {
        body.chunks(size - 8).collect()
    };
    let last = pieces.len() - 1;
    pieces
        .iter()
        .enumerate()
        .map(|(i, piece)| {
            let status = if i == last { EOM } else { 0 };
            packet(
                kind,
                status,
                spid,
                u8::try_from((i + 1) % 256).unwrap(),
                piece,
            )
        })
        .collect()
}

/// The options of a PRELOGIN that matter here.
#[derive(Debug, Clone, Copy)]
pub struct Prelogin {
    pub version: [u8; 6],
    pub encryption: u8,
    pub mars: u8,
    /// The client's has THREADID and TRACEID filled; the server's leaves them empty.
    pub from_client: bool,
}

impl Prelogin {
    /// The message, one packet.
    pub fn packet(self) -> Vec<u8> {
        let thread: &[u8] = if self.from_client {
            &[0x58, 0x1C, 0, 0]
        } else {
            &[]
        };
        let trace: Vec<u8> = if self.from_client {
            (0..36)
                .map(|i| if i < 32 { i * 7 + 3 } else { 0 })
                .collect()
        } else {
            Vec::new()
        };
        let options: [(u8, &[u8]); 6] = [
            (0, &self.version),
            (1, &[self.encryption]),
            (2, &[0]),
            (3, thread),
            (4, &[self.mars]),
            (5, &trace),
        ];
        let mut offset = u16::try_from(options.len() * 5 + 1).unwrap();
        let mut body = Vec::new();
        for (token, data) in &options {
            let len = u16::try_from(data.len()).unwrap();
            body.push(*token);
            body.extend(offset.to_be_bytes());
            body.extend(len.to_be_bytes());
            offset += len;
        }
        body.push(0xFF);
        for (_, data) in &options {
            body.extend(*data);
        }
        let kind = if self.from_client { PRELOGIN } else { RESPONSE };
        packet(kind, EOM, 0, 1, &body)
    }
}

/// The fields of a LOGIN7.
#[derive(Debug, Clone)]
pub struct Login<'a> {
    pub host: &'a str,
    pub user: &'a str,
    pub password: &'a str,
    pub app: &'a str,
    pub server: &'a str,
    pub library: &'a str,
    pub database: &'a str,
    /// The first token of integrated security; empty for a SQL login.
    pub sspi: &'a [u8],
}

impl Login<'_> {
    /// The message, one packet.
    pub fn packet(&self) -> Vec<u8> {
        let password: Vec<u8> = utf16(self.password)
            .iter()
            .map(|b| b.rotate_left(4) ^ 0xA5)
            .collect();
        let texts: [(&[u8], usize); 9] = [
            (&utf16(self.host), 36),
            (&utf16(self.user), 40),
            (&password, 44),
            (&utf16(self.app), 48),
            (&utf16(self.server), 52),
            (&[], 56),
            (&utf16(self.library), 60),
            (&[], 64),
            (&utf16(self.database), 68),
        ];
        let mut fixed = vec![0u8; 94];
        fixed[4..8].copy_from_slice(&[0x04, 0, 0, 0x74]);
        fixed[8..12].copy_from_slice(&4096u32.to_le_bytes());
        fixed[12..16].copy_from_slice(&[0, 0, 0x0B, 0x11]);
        fixed[16..20].copy_from_slice(&7256u32.to_le_bytes());
        fixed[24] = 0xE0;
        fixed[25] = if self.sspi.is_empty() { 0x03 } else { 0x83 };
        fixed[32..36].copy_from_slice(&[0x09, 0x04, 0, 0]);
        let mut data = Vec::new();
        let at = |data: &Vec<u8>| u16::try_from(94 + data.len()).unwrap().to_le_bytes();
        for (text, field) in &texts {
            fixed[*field..field + 2].copy_from_slice(&at(&data));
            let chars = u16::try_from(text.len() / 2).unwrap();
            fixed[field + 2..field + 4].copy_from_slice(&chars.to_le_bytes());
            data.extend(*text);
        }
        fixed[72..78].copy_from_slice(&[0x00, 0x15, 0x5D, 0x0A, 0x0A, 0x0A]);
        fixed[78..80].copy_from_slice(&at(&data));
        let sspi_len = u16::try_from(self.sspi.len()).unwrap();
        fixed[80..82].copy_from_slice(&sspi_len.to_le_bytes());
        data.extend(self.sspi);
        fixed[82..84].copy_from_slice(&at(&data));
        fixed[86..88].copy_from_slice(&at(&data));
        let len = u32::try_from(94 + data.len()).unwrap();
        fixed[0..4].copy_from_slice(&len.to_le_bytes());
        fixed.extend(data);
        packet(LOGIN7, EOM, 0, 1, &fixed)
    }
}

/// An ENVCHANGE whose old and new values are texts.
fn env_text(kind: u8, new: &str, old: &str) -> Vec<u8> {
    let mut value = vec![kind];
    value.extend(b_varchar(new));
    value.extend(b_varchar(old));
    with_length(0xE3, &value)
}

fn with_length(token: u8, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![token];
    bytes.extend(u16::try_from(value.len()).unwrap().to_le_bytes());
    bytes.extend(value);
    bytes
}

/// An ERROR or INFO token.
pub fn message_token(error: bool, number: i32, class: u8, text: &str, server: &str) -> Vec<u8> {
    let mut value = number.to_le_bytes().to_vec();
    value.extend([1, class]);
    value.extend(us_varchar(text));
    value.extend(b_varchar(server));
    value.extend(b_varchar(""));
    value.extend(1i32.to_le_bytes());
    with_length(if error { 0xAA } else { 0xAB }, &value)
}

/// A DONE, DONEPROC (0xFE) or DONEINPROC (0xFF) token.
pub fn done(token: u8, status: u16, command: u16, rows: u64) -> Vec<u8> {
    let mut bytes = vec![token];
    bytes.extend(status.to_le_bytes());
    bytes.extend(command.to_le_bytes());
    bytes.extend(rows.to_le_bytes());
    bytes
}

/// An ENVCHANGE that sends the client to another server.
pub fn routing(port: u16, server: &str) -> Vec<u8> {
    let mut target = vec![0];
    target.extend(port.to_le_bytes());
    target.extend(us_varchar(server));
    let mut value = vec![20];
    value.extend(u16::try_from(target.len()).unwrap().to_le_bytes());
    value.extend(target);
    value.extend([0, 0]);
    with_length(0xE3, &value)
}

/// The tokens of a login answer.
pub fn login_answer(database: &str, server: &str) -> Vec<u8> {
    let mut body = env_text(1, database, "master");
    body.extend(message_token(
        false,
        5701,
        0,
        &format!("Changed database context to '{database}'."),
        server,
    ));
    body.extend(with_length(0xE3, &[7, 5, 0x09, 0x04, 0xD0, 0, 0x34, 0]));
    body.extend(env_text(2, "us_english", ""));
    body.extend(message_token(
        false,
        5703,
        0,
        "Changed language setting to us_english.",
        server,
    ));
    body.extend(login_ack());
    body.extend(env_text(4, "4096", "4096"));
    body.extend(done(0xFD, 0, 0, 0));
    body
}

fn login_ack() -> Vec<u8> {
    let mut value = vec![1, 0x74, 0, 0, 0x04];
    value.extend(b_varchar("Microsoft SQL Server"));
    value.extend([11, 0, 0x1B, 0x99]);
    with_length(0xAD, &value)
}

/// An SSPI token of the server.
pub fn sspi_token(blob: &[u8]) -> Vec<u8> {
    with_length(0xED, blob)
}

/// ALL_HEADERS with the transaction descriptor, as every request of TDS 7.2 and later begins.
fn all_headers() -> Vec<u8> {
    let mut bytes = vec![0x16, 0, 0, 0, 0x12, 0, 0, 0, 2, 0];
    bytes.extend([0; 8]);
    bytes.extend([1, 0, 0, 0]);
    bytes
}

/// The body of a SQL batch.
pub fn batch(text: &str) -> Vec<u8> {
    let mut body = all_headers();
    body.extend(utf16(text));
    body
}

/// The body of a call of sp_executesql with one int parameter.
pub fn executesql(text: &str, value: i32) -> Vec<u8> {
    let mut body = all_headers();
    body.extend([0xFF, 0xFF, 10, 0, 0, 0]);
    for argument in [text, "@p1 int"] {
        let chars = utf16(argument);
        let len = u16::try_from(chars.len()).unwrap().to_le_bytes();
        body.extend([0, 0, 0xE7]);
        body.extend(8000u16.to_le_bytes());
        body.extend(COLLATION);
        body.extend(len);
        body.extend(chars);
    }
    body.extend(b_varchar("@p1"));
    body.extend([0, 0x26, 4, 4]);
    body.extend(value.to_le_bytes());
    body
}

const COLLATION: [u8; 5] = [0x09, 0x04, 0xD0, 0, 0x34];

/// COLMETADATA of a result with an `id int` and a `text varchar(8000)`.
pub fn columns() -> Vec<u8> {
    let mut bytes = vec![0x81, 2, 0];
    bytes.extend([0, 0, 0, 0, 0x08, 0, 0x38]);
    bytes.extend(b_varchar("id"));
    bytes.extend([0, 0, 0, 0, 0x09, 0, 0xA7]);
    bytes.extend(8000u16.to_le_bytes());
    bytes.extend(COLLATION);
    bytes.extend(b_varchar("text"));
    bytes
}

/// One ROW for [`columns`].
pub fn row(id: i32, text: &str) -> Vec<u8> {
    let mut bytes = vec![0xD1];
    bytes.extend(id.to_le_bytes());
    bytes.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes
}

/// A result of a few short rows, with its final DONE.
pub fn rows(count: u32) -> Vec<u8> {
    let mut body = columns();
    for id in 1..=count {
        body.extend(row(
            i32::try_from(id).unwrap(),
            &format!("row {id} of {count}"),
        ));
    }
    body.extend(done(0xFD, COUNT, 0xC1, u64::from(count)));
    body
}

/// A result whose token stream is `size` bytes long: rows of `width` characters, the last one cut to fit.
/// Sizes below [`SMALLEST_RESULT`] do not hold a row.
pub fn result_of(size: usize, width: usize, text: &str) -> Vec<u8> {
    assert!(size >= SMALLEST_RESULT, "{size} bytes hold no row");
    let mut body = columns();
    let mut room = size - body.len() - 13;
    let mut count = 0;
    while room > 0 {
        // A row that leaves less than a row behind takes all that is left.
        let take = if room >= 2 * (7 + width) {
            7 + width
        } else {
            room
        };
        let cell: String = text.chars().cycle().take(take - 7).collect();
        count += 1;
        body.extend(row(count, &cell));
        room -= take;
    }
    body.extend(done(0xFD, COUNT, 0xC1, u64::try_from(count).unwrap()));
    assert_eq!(body.len(), size);
    body
}

/// The least number of bytes for [`result_of`]: metadata, one empty row, DONE.
pub const SMALLEST_RESULT: usize = 58;

/// An attention signal.
pub fn attention() -> Vec<u8> {
    packet(ATTENTION, EOM, 0, 1, &[])
}
