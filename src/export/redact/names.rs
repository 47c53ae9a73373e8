//! Stable stand-ins: the same address or name always gets the same one, of the same length.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::decode::tds::type_info::utf16;

/// What a name names; stand-ins say it by their first letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Host,
    User,
    Program,
    Server,
    Database,
    Object,
    Sql,
    Message,
    Other,
}

impl Kind {
    fn tag(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::User => "user",
            Self::Program => "prog",
            Self::Server => "srv",
            Self::Database => "db",
            Self::Object => "name",
            Self::Sql => "sql",
            Self::Message => "text",
            Self::Other => "data",
        }
    }
}

/// Names of the product that tell nothing about anybody: they stay, so that a reader still recognises what happens.
const PUBLIC: &[&str] = &[
    "",
    "us_english",
    "Microsoft SQL Server",
    "sp_executesql",
    "sp_prepare",
    "sp_execute",
    "sp_prepexec",
    "sp_prepexecrpc",
    "sp_unprepare",
    "sp_cursor",
    "sp_cursoropen",
    "sp_cursorfetch",
    "sp_cursorclose",
    "sp_cursoroption",
    "sp_cursorprepare",
    "sp_cursorexecute",
    "sp_cursorprepexec",
    "sp_cursorunprepare",
    "sp_reset_connection",
    "sp_datatype_info",
    "sp_datatype_info_90",
    "sp_datatype_info_100",
    "[sys].sp_datatype_info",
    "[sys].sp_datatype_info_90",
    "[sys].sp_datatype_info_100",
    "sp_describe_parameter_encryption",
    "sp_describe_first_result_set",
    "sp_describe_undeclared_parameters",
];

/// All stand-ins given so far.
#[derive(Debug, Default)]
pub(super) struct Names {
    texts: HashMap<String, String>,
    counts: HashMap<Kind, u32>,
    taken: BTreeSet<String>,
    addresses: HashMap<IpAddr, IpAddr>,
    next_v4: u32,
    next_v6: u32,
    macs: HashMap<[u8; 6], [u8; 6]>,
    ports: HashMap<(IpAddr, u16), u16>,
    next_port: u16,
}

impl Names {
    /// The stand-in of a text: as many UTF-16 units, plain ASCII.
    pub(super) fn text(&mut self, kind: Kind, text: &str) -> String {
        if PUBLIC.contains(&text) {
            return text.to_owned();
        }
        if let Some(known) = self.texts.get(text) {
            return known.clone();
        }
        let len = text.encode_utf16().count();
        let mut stand_in = String::new();
        // Short names may run out of different stand-ins; then two of them share one.
        for _ in 0..64 {
            let count = self.counts.entry(kind).or_insert(0);
            *count = count.wrapping_add(1);
            stand_in = shaped(kind, *count, len);
            if !self.taken.contains(&stand_in) && stand_in != text {
                break;
            }
        }
        self.taken.insert(stand_in.clone());
        self.texts.insert(text.to_owned(), stand_in.clone());
        stand_in
    }

    /// As [`Names::text`], for UTF-16LE bytes; a half unit at the end becomes zero.
    pub(super) fn utf16(&mut self, kind: Kind, bytes: &[u8]) -> Vec<u8> {
        let stand_in = self.text(kind, &utf16(bytes));
        let mut out: Vec<u8> = stand_in.encode_utf16().flat_map(u16::to_le_bytes).collect();
        out.resize(bytes.len(), 0);
        out
    }

    /// As [`Names::text`], for text of one byte a character.
    pub(super) fn bytes(&mut self, kind: Kind, bytes: &[u8]) -> Vec<u8> {
        let text: String = bytes.iter().map(|b| char::from(*b)).collect();
        let mut out = self.text(kind, &text).into_bytes();
        out.resize(bytes.len(), 0);
        out
    }

    /// The stand-in of an address, of the same version, from ranges that are for documentation and tests.
    pub(super) fn ip(&mut self, ip: IpAddr) -> IpAddr {
        if ip.is_unspecified() || ip.is_loopback() || ip == IpAddr::V4(Ipv4Addr::BROADCAST) {
            return ip;
        }
        if ip.is_multicast() {
            return group(ip);
        }
        if let Some(known) = self.addresses.get(&ip) {
            return *known;
        }
        let stand_in = match ip {
            IpAddr::V4(_) => {
                self.next_v4 = self.next_v4.wrapping_add(1) & 0x0001_ffff;
                // 198.18.0.0/15, for tests of network devices (RFC 2544).
                IpAddr::V4(Ipv4Addr::from_bits(0xc612_0000 | self.next_v4))
            }
            IpAddr::V6(_) => {
                self.next_v6 = self.next_v6.wrapping_add(1);
                // 2001:db8::/32, for documentation (RFC 3849).
                let high = 0x2001_0db8_u128 << 96;
                IpAddr::V6(Ipv6Addr::from_bits(high | u128::from(self.next_v6)))
            }
        };
        self.addresses.insert(ip, stand_in);
        stand_in
    }

    /// The stand-in of a MAC address; group addresses stay, but for what they hold of an IPv6 address.
    pub(super) fn mac(&mut self, mac: [u8; 6]) -> [u8; 6] {
        let [first, ..] = mac;
        if let [0x33, 0x33, high, upper, ..] = mac
            && (high, upper) != (0, 0)
        {
            return [0x33, 0x33, high, 0, 0, 0];
        }
        if first & 1 != 0 || mac == [0; 6] {
            return mac;
        }
        let count = u32::try_from(self.macs.len())
            .unwrap_or(u32::MAX)
            .saturating_add(1);
        *self.macs.entry(mac).or_insert_with(|| {
            let [high, upper, lower, low] = count.to_be_bytes();
            [0x02, 0, high, upper, lower, low]
        })
    }

    /// The stand-in of a client's port.
    pub(super) fn port(&mut self, ip: IpAddr, port: u16) -> u16 {
        if let Some(known) = self.ports.get(&(ip, port)) {
            return *known;
        }
        // Ports above 20000 only, so that no stand-in looks like a server's.
        self.next_port = self
            .next_port
            .checked_add(1)
            .filter(|p| *p > 20_000)
            .unwrap_or(20_001);
        self.ports.insert((ip, port), self.next_port);
        self.next_port
    }
}

/// What may stay of a multicast address. The longer ones of IPv6 hold a part of an address of one host, or of a network
/// (RFC 4291 2.7.1, RFC 3306): that part is left out.
fn group(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(group) = ip else { return ip };
    match group.segments() {
        [_, 0, 0, 0, 0, 0, 0, _] => ip,
        [scope, 0, 0, 0, 0, 1, 0xff00..=0xffff, _] => {
            IpAddr::V6(Ipv6Addr::new(scope, 0, 0, 0, 0, 1, 0xff00, 0))
        }
        [scope, ..] => IpAddr::V6(Ipv6Addr::new(scope, 0, 0, 0, 0, 0, 0, 0)),
    }
}

/// `host7xxxx`: tag and number where they fit, the number alone in letters where they don't.
fn shaped(kind: Kind, count: u32, len: usize) -> String {
    let named = format!("{}{count}", kind.tag());
    if named.len() <= len {
        return format!("{named:x<len$}");
    }
    let mut rest = count;
    let mut out = String::new();
    for _ in 0..len {
        let digit = u8::try_from(rest % 26).unwrap_or(0);
        out.push(char::from(b'a'.saturating_add(digit)));
        rest /= 26;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_keeps_its_stand_in_and_its_length() {
        let mut names = Names::default();
        let first = names.text(Kind::Database, "customers");
        assert_eq!(first.len(), 9);
        assert_eq!(names.text(Kind::Server, "customers"), first);
        assert_ne!(names.text(Kind::Database, "customerz"), first);
        assert_eq!(names.text(Kind::Object, "sp_prepare"), "sp_prepare");
        let wide = "größe😀"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect::<Vec<_>>();
        assert_eq!(names.utf16(Kind::Object, &wide).len(), wide.len());
        assert_eq!(names.utf16(Kind::Object, &[65, 0, 66]).len(), 3);
    }

    #[test]
    fn short_names_get_different_stand_ins_while_there_are_some() {
        let mut names = Names::default();
        let all: BTreeSet<_> = ["ab", "cd", "ef", "gh"]
            .map(|n| names.text(Kind::User, n))
            .into();
        assert_eq!(all.len(), 4);
    }

    #[test]
    fn addresses_stay_apart_and_keep_their_version() {
        let mut names = Names::default();
        let (a, b): (IpAddr, IpAddr) = ("10.1.2.3".parse().unwrap(), "fd00::1".parse().unwrap());
        assert_eq!(names.ip(a).to_string(), "198.18.0.1");
        assert_eq!(names.ip(b).to_string(), "2001:db8::1");
        assert_eq!(names.ip(a), names.ip(a));
        assert_eq!(
            names.ip("127.0.0.1".parse().unwrap()).to_string(),
            "127.0.0.1"
        );
        assert_eq!(names.mac([0xff; 6]), [0xff; 6]);
        assert_eq!(names.mac([0, 1, 2, 3, 4, 5]), [2, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn groups_keep_nothing_of_the_addresses_that_they_are_made_from() {
        let mut names = Names::default();
        let mut ip = |text: &str| names.ip(text.parse().unwrap()).to_string();
        assert_eq!(ip("ff02::1:ffa1:b2c3"), "ff02::1:ff00:0");
        assert_eq!(ip("ff3e:40:2001:db8:7:8:1:2"), "ff3e::");
        assert_eq!(ip("ff02::fb"), "ff02::fb");
        assert_eq!(ip("224.0.0.251"), "224.0.0.251");
        let of = |last: [u8; 4]| [0x33, 0x33, last[0], last[1], last[2], last[3]];
        assert_eq!(names.mac(of([0xff, 1, 2, 3])), of([0xff, 0, 0, 0]));
        assert_eq!(names.mac(of([0, 0, 0, 0xfb])), of([0, 0, 0, 0xfb]));
    }
}
