//! The registry of fields: name, type, source and meaning of everything that the decode tree, filters, columns
//! and exports can name. Names are Wireshark's display-filter names where it has the field.

use std::collections::HashMap;
use std::sync::LazyLock;

mod link;
mod login;
mod own;
mod request;
mod result;
mod tcp;
mod tds;
mod tls;
mod types;
mod values;

pub use values::{values, word};

/// The type of a field, by Wireshark's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// uint8.
    U8,
    /// uint16.
    U16,
    /// uint24.
    U24,
    /// uint32.
    U32,
    /// uint64.
    U64,
    /// int8.
    I8,
    /// int16.
    I16,
    /// int32.
    I32,
    /// int64.
    I64,
    /// float.
    Float,
    /// boolean.
    Bool,
    /// string.
    Str,
    /// stringz: text up to a NUL.
    StrZ,
    /// uint_string: text with a length in front.
    UintStr,
    /// bytes.
    Bytes,
    /// uint_bytes: bytes with a length in front.
    UintBytes,
    /// none: only its presence can be asked for.
    Nothing,
    /// ipv4.
    Ip4,
    /// ipv6.
    Ip6,
    /// ether: a hardware address.
    Ether,
    /// guid.
    Guid,
    /// framenum: another frame.
    FrameNum,
    /// absolute_time.
    Time,
    /// relative_time.
    Span,
}

impl Kind {
    /// Wireshark's word for the type.
    pub fn word(self) -> &'static str {
        match self {
            Self::U8 => "uint8",
            Self::U16 => "uint16",
            Self::U24 => "uint24",
            Self::U32 => "uint32",
            Self::U64 => "uint64",
            Self::I8 => "int8",
            Self::I16 => "int16",
            Self::I32 => "int32",
            Self::I64 => "int64",
            Self::Float => "float",
            Self::Bool => "boolean",
            Self::Str => "string",
            Self::StrZ => "stringz",
            Self::UintStr => "uint_string",
            Self::Bytes => "bytes",
            Self::UintBytes => "uint_bytes",
            Self::Nothing => "none",
            Self::Ip4 => "ipv4",
            Self::Ip6 => "ipv6",
            Self::Ether => "ether",
            Self::Guid => "guid",
            Self::FrameNum => "framenum",
            Self::Time => "absolute_time",
            Self::Span => "relative_time",
        }
    }

    /// Whether values are whole numbers, so that they can be compared by size and written as 0x….
    pub fn is_integer(self) -> bool {
        matches!(
            self,
            Self::U8
                | Self::U16
                | Self::U24
                | Self::U32
                | Self::U64
                | Self::I8
                | Self::I16
                | Self::I32
                | Self::I64
                | Self::FrameNum
        )
    }

    /// Whether values are text.
    pub fn is_text(self) -> bool {
        matches!(self, Self::Str | Self::StrZ | Self::UintStr)
    }
}

/// Where a field's value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// The capture file, link and IP headers.
    Frame,
    /// The TCP header.
    Tcp,
    /// What the pass found out about a TCP segment.
    Analysis,
    /// The SMP header.
    Smp,
    /// TDS packets and messages.
    Tds,
    /// TLS records, certificates and authentication tokens.
    Tls,
    /// The index: connections, sessions, requests, findings, marks.
    Own,
}

/// A field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Def {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Where its value comes from.
    pub source: Source,
    /// What it means, in a line.
    pub meaning: &'static str,
    /// Wireshark has a field of this name and type.
    pub wireshark: bool,
}

const fn wireshark(name: &'static str, kind: Kind, source: Source, meaning: &'static str) -> Def {
    Def {
        name,
        kind,
        source,
        meaning,
        wireshark: true,
    }
}

const fn own(name: &'static str, kind: Kind, source: Source, meaning: &'static str) -> Def {
    Def {
        name,
        kind,
        source,
        meaning,
        wireshark: false,
    }
}

/// All fields, layer by layer.
pub fn all() -> impl Iterator<Item = &'static Def> {
    [
        own::FIELDS,
        link::FIELDS,
        tcp::FIELDS,
        tds::FIELDS,
        login::FIELDS,
        request::FIELDS,
        types::FIELDS,
        result::FIELDS,
        tls::FIELDS,
    ]
    .into_iter()
    .flatten()
}

/// All fields by name.
static BY_NAME: LazyLock<HashMap<&'static str, &'static Def>> =
    LazyLock::new(|| all().map(|def| (def.name, def)).collect());

/// A field by its name; the old prefix `ssl.` and `tcp.flags.ns` are understood.
pub fn find(name: &str) -> Option<&'static Def> {
    if let Some(rest) = name.strip_prefix("ssl.") {
        return BY_NAME.get(format!("tls.{rest}").as_str()).copied();
    }
    let name = if name == "tcp.flags.ns" {
        "tcp.flags.ae"
    } else {
        name
    };
    BY_NAME.get(name).copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_explained() {
        let mut seen = BTreeSet::new();
        for def in all() {
            assert!(seen.insert(def.name), "{} is there twice", def.name);
            assert!(!def.meaning.is_empty(), "{} means nothing", def.name);
        }
        assert!(seen.len() > 400);
    }

    #[test]
    fn old_names_are_understood() {
        assert_eq!(find("ssl.record.length").unwrap().name, "tls.record.length");
        assert_eq!(find("tcp.flags.ns").unwrap().name, "tcp.flags.ae");
        assert_eq!(find("smp.sidd"), None);
    }
}
