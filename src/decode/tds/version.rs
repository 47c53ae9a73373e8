//! TDS versions, and what in a message depends on them ([MS-TDS] 2.2.7.14 and the version notes).

use std::fmt;

/// A TDS version; later ones compare greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Version {
    /// 7.0, SQL Server 7.0.
    V70,
    /// 7.1, SQL Server 2000.
    V71,
    /// 7.1 revision 1, SQL Server 2000 SP1.
    V71R1,
    /// 7.2, SQL Server 2005; MARS begins here.
    V72,
    /// 7.3.A, SQL Server 2008.
    V73A,
    /// 7.3.B, SQL Server 2008 R2.
    V73B,
    /// 7.4, SQL Server 2012 and later; assumed where the login is not in the capture.
    #[default]
    V74,
    /// 8.0, strict encryption.
    V80,
}

impl Version {
    /// The version that a LOGIN7 or LOGINACK number stands for; both spellings of 7.0 and 7.1 are read.
    pub fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0x7000_0000 | 0x0700_0000 => Self::V70,
            0x7100_0000 | 0x0701_0000 => Self::V71,
            0x7100_0001 => Self::V71R1,
            0x7209_0002 => Self::V72,
            0x730a_0003 => Self::V73A,
            0x730b_0003 => Self::V73B,
            0x7400_0004 => Self::V74,
            0x0800_0000 => Self::V80,
            // Betas and rebuilt servers differ in the lower bytes only.
            n => match n >> 24 {
                0x70 => Self::V70,
                0x71 => Self::V71R1,
                0x72 => Self::V72,
                0x73 if n >= 0x730b_0000 => Self::V73B,
                0x73 => Self::V73A,
                0x74 => Self::V74,
                _ => return None,
            },
        })
    }

    /// The number that LOGIN7 carries for it.
    pub fn number(self) -> u32 {
        match self {
            Self::V70 => 0x7000_0000,
            Self::V71 => 0x7100_0000,
            Self::V71R1 => 0x7100_0001,
            Self::V72 => 0x7209_0002,
            Self::V73A => 0x730a_0003,
            Self::V73B => 0x730b_0003,
            Self::V74 => 0x7400_0004,
            Self::V80 => 0x0800_0000,
        }
    }

    /// The version to assume for a server that introduces itself with this major version in PRELOGIN, where
    /// neither LOGIN7 nor LOGINACK is readable.
    pub fn assumed_for_server(major: Option<u8>) -> Self {
        match major {
            Some(0..=7) => Self::V70,
            Some(8) => Self::V71R1,
            Some(9) => Self::V72,
            _ => Self::V74,
        }
    }

    /// Whether character types carry a collation (7.1).
    pub fn has_collation(self) -> bool {
        self >= Self::V71
    }

    /// Whether UserType and line numbers are 32 bits wide, DONE counts 64, and requests begin with ALL_HEADERS (7.2).
    pub fn is_wide(self) -> bool {
        self >= Self::V72
    }

    /// The words for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::V70 => "7.0",
            Self::V71 => "7.1",
            Self::V71R1 => "7.1 revision 1",
            Self::V72 => "7.2",
            Self::V73A => "7.3.A",
            Self::V73B => "7.3.B",
            Self::V74 => "7.4",
            Self::V80 => "8.0",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The product behind a server's major version (PRELOGIN VERSION, LOGINACK); clients send their driver's own.
pub fn product(major: u8, minor: u8) -> Option<&'static str> {
    Some(match (major, minor) {
        (7, _) => "SQL Server 7.0",
        (8, _) => "SQL Server 2000",
        (9, _) => "SQL Server 2005",
        (10, 0..=49) => "SQL Server 2008",
        (10, _) => "SQL Server 2008 R2",
        (11, _) => "SQL Server 2012",
        (12, _) => "SQL Server 2014 or Azure SQL",
        (13, _) => "SQL Server 2016",
        (14, _) => "SQL Server 2017",
        (15, _) => "SQL Server 2019",
        (16, _) => "SQL Server 2022",
        (17, _) => "SQL Server 2025",
        _ => return None,
    })
}

/// A version with the product behind it, for example `16.0.4135, SQL Server 2022`.
pub fn release(major: u8, minor: u8, build: u16) -> String {
    let number = format!("{major}.{minor}.{build}");
    match product(major, minor) {
        Some(product) => format!("{number}, {product}"),
        None => number,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_back_and_order_by_age() {
        for version in [
            Version::V70,
            Version::V71,
            Version::V71R1,
            Version::V72,
            Version::V73A,
            Version::V73B,
            Version::V74,
            Version::V80,
        ] {
            assert_eq!(Version::from_number(version.number()), Some(version));
        }
        assert!(Version::V71R1 < Version::V72 && Version::V74 < Version::V80);
        assert_eq!(Version::from_number(0x0701_0000), Some(Version::V71));
        assert_eq!(Version::from_number(0x1234_5678), None);
    }
}
