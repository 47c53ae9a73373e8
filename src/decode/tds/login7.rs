//! LOGIN7: the fixed part and the strings behind it ([MS-TDS] 2.2.6.4). Passwords are counted, never read.

use std::ops::Range;

use super::type_info::utf16;
use crate::decode::reader::Reader;

/// A variable part of LOGIN7: where it stands in the structure.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Part {
    /// Offset as written.
    pub offset: u16,
    /// Length as written: characters for texts, bytes for SSPI and Extension.
    pub length: u16,
    /// The bytes of offset and length.
    pub head: Range<usize>,
    /// Its data, cut to what is there.
    pub data: Range<usize>,
}

/// A LOGIN7 structure as read. Ranges count from its first byte.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Login7 {
    /// Length as written.
    pub length: u32,
    /// TDS version number.
    pub tds_version: u32,
    /// Packet size asked for.
    pub packet_size: u32,
    /// Client program version.
    pub client_version: u32,
    /// Process id of the client.
    pub client_pid: u32,
    /// Connection id, for a login on behalf of a primary server.
    pub connection_id: u32,
    /// OptionFlags1, OptionFlags2, TypeFlags, OptionFlags3.
    pub flags: [u8; 4],
    /// Time zone (not used).
    pub time_zone: u32,
    /// Locale: the head of a collation.
    pub lcid: u32,
    /// HostName.
    pub host: Part,
    /// UserName.
    pub user: Part,
    /// Password; its bytes are a secret.
    pub password: Part,
    /// AppName.
    pub app: Part,
    /// ServerName.
    pub server: Part,
    /// Extension, valid with `fExtension`.
    pub extension: Part,
    /// CltIntName.
    pub library: Part,
    /// Language.
    pub language: Part,
    /// Database.
    pub database: Part,
    /// ClientID, usually the MAC address.
    pub client_id: [u8; 6],
    /// SSPI; its bytes hold the first token.
    pub sspi: Part,
    /// AtchDBFile.
    pub attach_file: Part,
    /// ChangePassword (7.2 on); its bytes are a secret.
    pub change_password: Option<Part>,
}

/// OptionFlags2: integrated security, SSPI follows.
const INT_SECURITY: u8 = 0x80;
/// OptionFlags3: the Extension part is valid.
const EXTENSION: u8 = 0x10;

impl Login7 {
    /// Reads the structure (a message body of type 16). Returns what could be read and whether the fixed part
    /// was complete; `None` if not even length and version are there.
    pub fn read(body: &[u8]) -> Option<(Self, bool)> {
        let mut login = Self::default();
        let mut r = Reader::new(body);
        login.length = r.u32_le()?;
        login.tds_version = r.u32_le()?;
        let complete = login.read_fixed(&mut r, body).is_some();
        Some((login, complete))
    }

    fn read_fixed(&mut self, r: &mut Reader<'_>, body: &[u8]) -> Option<()> {
        self.packet_size = r.u32_le()?;
        self.client_version = r.u32_le()?;
        self.client_pid = r.u32_le()?;
        self.connection_id = r.u32_le()?;
        self.flags = r.array()?;
        self.time_zone = r.u32_le()?;
        self.lcid = r.u32_le()?;
        let part = |r: &mut Reader<'_>, unit: usize| -> Option<Part> {
            let offset = r.u16_le()?;
            let length = r.u16_le()?;
            let start = usize::from(offset).min(body.len());
            let bytes = usize::from(length).saturating_mul(unit);
            let end = start.saturating_add(bytes).min(body.len());
            Some(Part {
                offset,
                length,
                head: r.last(4),
                data: if length == 0 { 0..0 } else { start..end },
            })
        };
        self.host = part(r, 2)?;
        self.user = part(r, 2)?;
        self.password = part(r, 2)?;
        self.app = part(r, 2)?;
        self.server = part(r, 2)?;
        self.extension = part(r, 1)?;
        self.library = part(r, 2)?;
        self.language = part(r, 2)?;
        self.database = part(r, 2)?;
        self.client_id = r.array()?;
        let mut sspi = part(r, 1)?;
        self.attach_file = part(r, 2)?;
        if self.has_new_password(sspi.offset) {
            self.change_password = Some(part(r, 2)?);
            let long = r.u32_le()?;
            if sspi.length == 0xffff && long > 0 {
                let len = usize::try_from(long).unwrap_or(usize::MAX);
                sspi.data.end = sspi.data.start.saturating_add(len).min(body.len());
            }
        }
        self.sspi = sspi;
        Some(())
    }

    /// Whether the fixed part goes on as of 7.2. The variable data begin behind it, where HostName points, also if it is
    /// empty; a client may leave its place open, then all others that are not empty must leave room.
    fn has_new_password(&self, sspi: u16) -> bool {
        const BEHIND: u16 = 94;
        let offset = |part: &Part| (part.length > 0).then_some(part.offset);
        let parts = [
            &self.user,
            &self.password,
            &self.app,
            &self.server,
            &self.extension,
            &self.library,
            &self.language,
            &self.database,
            &self.attach_file,
        ];
        let first = parts.into_iter().filter_map(offset).min();
        match self.host.offset {
            0 => first.unwrap_or(sspi) >= BEHIND,
            host => host >= BEHIND,
        }
    }

    /// The text of a part; empty if it is not there, or if it stands where a secret stands.
    pub fn text(&self, body: &[u8], part: &Part) -> String {
        let is_in =
            |secret: &Range<usize>| secret.start < part.data.end && part.data.start < secret.end;
        if self.secret_ranges(body).iter().any(is_in) {
            return String::new();
        }
        utf16(body.get(part.data.clone()).unwrap_or_default())
    }

    /// Whether the login uses SSPI.
    pub fn uses_sspi(&self) -> bool {
        let [_, flags2, ..] = self.flags;
        flags2 & INT_SECURITY != 0
    }

    /// The feature extensions: id and data range of each, in order.
    pub fn features(&self, body: &[u8]) -> Vec<(u8, Range<usize>)> {
        let mut found = Vec::new();
        let [.., flags3] = self.flags;
        if flags3 & EXTENSION == 0 {
            return found;
        }
        let pointer = body
            .get(self.extension.data.clone())
            .and_then(|bytes| Reader::new(bytes).u32_le());
        let Some(start) = pointer
            .and_then(|p| usize::try_from(p).ok())
            .filter(|p| *p > 0)
        else {
            return found;
        };
        let mut r = Reader::at(body.get(start..).unwrap_or_default(), start);
        while let Some(id) = r.u8().filter(|id| *id != 0xff) {
            let Some(len) = r.u32_le() else { break };
            let (data, cut) = r.sub_lax(usize::try_from(len).unwrap_or(usize::MAX));
            let end = data.position().saturating_add(data.left());
            found.push((id, data.position()..end));
            if cut || found.len() >= 64 {
                break;
            }
        }
        found
    }

    /// The ranges that hold secrets: passwords and the data of features that are secret.
    pub fn secret_ranges(&self, body: &[u8]) -> Vec<Range<usize>> {
        let passwords = [Some(&self.password), self.change_password.as_ref()];
        passwords
            .into_iter()
            .flatten()
            .map(|part| part.data.clone())
            .chain(
                self.features(body)
                    .into_iter()
                    .filter(|(id, _)| is_secret_feature(*id))
                    .map(|(_, data)| data),
            )
            .filter(|range| !range.is_empty())
            .collect()
    }
}

/// Feature extensions ([MS-TDS] 2.2.6.4).
pub mod feature {
    /// SESSIONRECOVERY.
    pub const SESSION_RECOVERY: u8 = 0x01;
    /// FEDAUTH.
    pub const FED_AUTH: u8 = 0x02;
}

/// Whether a feature's data, of request and answer, are secret: tokens and what a session is recovered from, and whatever
/// is not known here, which may be a token too.
pub fn is_secret_feature(id: u8) -> bool {
    matches!(id, feature::SESSION_RECOVERY | feature::FED_AUTH) || known_feature(id).is_none()
}

/// What the data of a feature say, in words; `answer` for the server's acknowledgement ([MS-TDS] 2.2.6.4, 2.2.7.11).
/// Nothing for features whose data are secret.
pub fn feature_words(id: u8, data: &[u8], answer: bool) -> String {
    let on = |byte: u8| if byte & 1 == 1 { "on" } else { "off" };
    match (id, data) {
        (0x04, [version, enclave @ ..]) => {
            let enclave = match enclave.split_first() {
                Some((_, name)) if answer => format!(", enclave {}", super::type_info::utf16(name)),
                _ => String::new(),
            };
            format!("version {version}{enclave}")
        }
        (0x05 | 0x0f, [enabled]) if answer => on(*enabled).to_owned(),
        (0x08 | 0x0a | 0x0b, [bits]) => on(*bits).to_owned(),
        (0x09, [version, enabled]) if answer => format!("version {version}, {}", on(*enabled)),
        (0x09 | 0x0d | 0x0e, [version]) => format!("version {version}"),
        (0x10, name) => super::type_info::utf16(name),
        _ => String::new(),
    }
}

/// The name of a feature extension.
pub fn feature_name(id: u8) -> &'static str {
    known_feature(id).unwrap_or("unknown feature")
}

fn known_feature(id: u8) -> Option<&'static str> {
    Some(match id {
        0x01 => "SESSIONRECOVERY",
        0x02 => "FEDAUTH",
        0x04 => "COLUMNENCRYPTION",
        0x05 => "GLOBALTRANSACTIONS",
        0x08 => "AZURESQLSUPPORT",
        0x09 => "DATACLASSIFICATION",
        0x0a => "UTF8_SUPPORT",
        0x0b => "AZURESQLDNSCACHING",
        0x0d => "JSONSUPPORT",
        0x0e => "VECTORSUPPORT",
        0x0f => "ENHANCEDROUTINGSUPPORT",
        0x10 => "USERAGENT",
        0xff => "terminator",
        _ => return None,
    })
}
