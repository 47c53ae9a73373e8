//! Collations and the code pages that they name ([MS-TDS] 2.2.5.1.2), and text in those code pages.

use std::borrow::Cow;

use crate::decode::reader::Reader;

/// A collation as on the wire: LCID, comparison flags and version in 32 bits, then the sort id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Collation {
    /// Bits 0 to 19 LCID, 20 to 27 flags, 28 to 31 version.
    pub info: u32,
    /// Sort id; 0 for a Windows collation.
    pub sort_id: u8,
}

impl Collation {
    /// Reads the five bytes.
    pub fn read(r: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            info: r.u32_le()?,
            sort_id: r.u8()?,
        })
    }

    /// The locale.
    pub fn lcid(self) -> u32 {
        self.info & 0x000f_ffff
    }

    /// The version: 0 for SQL Server 2000, 1 for 2005, 2 for 2008, 3 for 2017.
    pub fn version(self) -> u8 {
        u8::try_from(self.info >> 28).unwrap_or(0)
    }

    /// Whether a flag bit (20 to 27) is set.
    pub fn has(self, bit: u32) -> bool {
        self.info >> bit & 1 == 1
    }

    /// The flags in words: what comparisons ignore.
    pub fn flag_words(self) -> String {
        const WORDS: [(u32, &str); 7] = [
            (20, "ignore case"),
            (21, "ignore accent"),
            (22, "ignore kana"),
            (23, "ignore width"),
            (24, "binary"),
            (25, "binary2"),
            (26, "UTF-8"),
        ];
        WORDS
            .iter()
            .filter(|(bit, _)| self.has(*bit))
            .map(|(_, word)| *word)
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// The name of a collation with a sort id.
    pub fn name(self) -> Option<&'static str> {
        BY_SORT_ID
            .iter()
            .find(|(id, ..)| *id == self.sort_id && self.sort_id != 0)
            .map(|(_, name, _)| *name)
    }

    /// The code page of its char and varchar text.
    pub fn code_page(self) -> CodePage {
        if self.has(26) {
            return CodePage::Utf8;
        }
        if self.sort_id != 0 {
            return BY_SORT_ID
                .iter()
                .find(|(id, ..)| *id == self.sort_id)
                .map_or(CodePage::Guessed, |(.., page)| CodePage::Known(*page));
        }
        let Ok(lcid) = u16::try_from(self.lcid() & 0xffff) else {
            return CodePage::Guessed;
        };
        if lcid == 0 {
            return CodePage::Raw;
        }
        match BY_LCID.binary_search_by_key(&lcid, |(id, _)| *id) {
            Ok(at) => match BY_LCID.get(at) {
                Some((_, page)) if *page != 0 => CodePage::Known(*page),
                _ => CodePage::UnicodeOnly,
            },
            Err(_) if LATIN.binary_search(&lcid).is_ok() => CodePage::Known(1252),
            Err(_) => CodePage::Guessed,
        }
    }
}

/// The encoding of char and varchar text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CodePage {
    /// A Windows or OEM code page.
    Known(u16),
    /// UTF-8.
    Utf8,
    /// The locale is not in the tables; 1252 is a guess.
    Guessed,
    /// The language has no code page; char types are not used with it.
    UnicodeOnly,
    /// No collation: bytes without a meaning as text.
    Raw,
}

impl CodePage {
    /// Its name, with a guess marked as such.
    pub fn name(self) -> Cow<'static, str> {
        match self {
            Self::Known(page) => format!("CP{page}").into(),
            Self::Utf8 => "UTF-8".into(),
            Self::Guessed => "CP1252 (guess: locale not in the tables)".into(),
            Self::UnicodeOnly => "no code page (Unicode only)".into(),
            Self::Raw => "none".into(),
        }
    }

    /// Bytes as text; what does not decode becomes U+FFFD.
    pub fn decode(self, bytes: &[u8]) -> String {
        use encoding_rs as e;
        let page = match self {
            Self::Utf8 => return String::from_utf8_lossy(bytes).into_owned(),
            Self::Known(page) => page,
            Self::Guessed | Self::UnicodeOnly | Self::Raw => 1252,
        };
        let encoding = match page {
            437 => return upper_half(bytes, CP437),
            850 => return upper_half(bytes, CP850),
            874 => e::WINDOWS_874,
            932 => e::SHIFT_JIS,
            936 => e::GBK,
            949 => e::EUC_KR,
            950 => e::BIG5,
            1250 => e::WINDOWS_1250,
            1251 => e::WINDOWS_1251,
            1253 => e::WINDOWS_1253,
            1254 => e::WINDOWS_1254,
            1255 => e::WINDOWS_1255,
            1256 => e::WINDOWS_1256,
            1257 => e::WINDOWS_1257,
            1258 => e::WINDOWS_1258,
            _ => e::WINDOWS_1252,
        };
        encoding.decode_without_bom_handling(bytes).0.into_owned()
    }
}

/// Text in a code page whose lower half is ASCII and whose upper half is this table.
fn upper_half(bytes: &[u8], table: &str) -> String {
    let table: Vec<char> = table.chars().collect();
    bytes
        .iter()
        .map(|byte| match byte.checked_sub(128) {
            None => char::from(*byte),
            Some(at) => table
                .get(usize::from(at))
                .copied()
                .unwrap_or(char::REPLACEMENT_CHARACTER),
        })
        .collect()
}

/// Code page by the low 16 bits of the LCID, where the sort id is 0; sorted by LCID. Page 0: Unicode only.
const BY_LCID: &[(u16, u16)] = &[
    (0x0401, 1256),
    (0x0402, 1251),
    (0x0404, 950),
    (0x0405, 1250),
    (0x0408, 1253),
    (0x040d, 1255),
    (0x040e, 1250),
    (0x0411, 932),
    (0x0412, 949),
    (0x0415, 1250),
    (0x0418, 1250),
    (0x0419, 1251),
    (0x041a, 1250),
    (0x041b, 1250),
    (0x041c, 1250),
    (0x041e, 874),
    (0x041f, 1254),
    (0x0420, 1256),
    (0x0422, 1251),
    (0x0423, 1251),
    (0x0424, 1250),
    (0x0425, 1257),
    (0x0426, 1257),
    (0x0427, 1257),
    (0x0428, 1251),
    (0x0429, 1256),
    (0x042a, 1258),
    (0x042c, 1254),
    (0x042f, 1251),
    (0x0439, 0),
    (0x043a, 0),
    (0x043f, 1251),
    (0x0440, 1251),
    (0x0442, 1250),
    (0x0443, 1254),
    (0x0444, 1251),
    (0x0445, 0),
    (0x0446, 0),
    (0x0447, 0),
    (0x0448, 0),
    (0x0449, 0),
    (0x044a, 0),
    (0x044b, 0),
    (0x044c, 0),
    (0x044d, 0),
    (0x044e, 0),
    (0x044f, 0),
    (0x0450, 1251),
    (0x0451, 0),
    (0x0453, 0),
    (0x0454, 0),
    (0x0457, 0),
    (0x045a, 0),
    (0x045b, 0),
    (0x0461, 0),
    (0x0463, 0),
    (0x0465, 0),
    (0x046d, 1251),
    (0x0480, 1256),
    (0x0481, 0),
    (0x0485, 1251),
    (0x048c, 1256),
    (0x0801, 1256),
    (0x0804, 936),
    (0x081a, 1250),
    (0x0827, 1257),
    (0x082c, 1251),
    (0x0843, 1251),
    (0x0845, 0),
    (0x0850, 1251),
    (0x0c01, 1256),
    (0x0c04, 950),
    (0x0c1a, 1251),
    (0x1001, 1256),
    (0x1004, 936),
    (0x101a, 1250),
    (0x1401, 1256),
    (0x1404, 950),
    (0x141a, 1250),
    (0x1801, 1256),
    (0x181a, 1250),
    (0x1c01, 1256),
    (0x1c1a, 1251),
    (0x2001, 1256),
    (0x201a, 1251),
    (0x2401, 1256),
    (0x2801, 1256),
    (0x2c01, 1256),
    (0x3001, 1256),
    (0x3401, 1256),
    (0x3801, 1256),
    (0x3c01, 1256),
    (0x4001, 1256),
];

/// LCIDs known to use code page 1252; for any other it is a guess.
const LATIN: &[u16] = &[
    0x0403, 0x0406, 0x0407, 0x0409, 0x040a, 0x040b, 0x040c, 0x040f, 0x0410, 0x0413, 0x0414, 0x0416,
    0x0417, 0x041d, 0x0421, 0x042b, 0x042d, 0x042e, 0x0432, 0x0434, 0x0435, 0x0436, 0x0437, 0x0438,
    0x043b, 0x043e, 0x0441, 0x0452, 0x0456, 0x045d, 0x045e, 0x0462, 0x0464, 0x0468, 0x046a, 0x046b,
    0x046c, 0x046e, 0x046f, 0x0470, 0x0478, 0x047a, 0x047c, 0x047e, 0x0482, 0x0483, 0x0484, 0x0486,
    0x0487, 0x0488, 0x0807, 0x0809, 0x080a, 0x080c, 0x0810, 0x0813, 0x0814, 0x0816, 0x081d, 0x082e,
    0x083b, 0x083c, 0x083e, 0x085d, 0x085f, 0x086b, 0x0c07, 0x0c09, 0x0c0a, 0x0c0c, 0x0c3b, 0x0c6b,
    0x1007, 0x1009, 0x100a, 0x100c, 0x103b, 0x1407, 0x1409, 0x140a, 0x140c, 0x143b, 0x1809, 0x180a,
    0x180c, 0x183b, 0x1c09, 0x1c0a, 0x1c3b, 0x2009, 0x200a, 0x203b, 0x2409, 0x240a, 0x243b, 0x2809,
    0x280a, 0x2c09, 0x2c0a, 0x3009, 0x300a, 0x3409, 0x340a, 0x380a, 0x3c0a, 0x4009, 0x400a, 0x4409,
    0x440a, 0x4809, 0x480a, 0x4c0a, 0x500a, 0x540a,
];

/// Collations of SQL Server 6.5 and 7.0 by sort id: name and code page.
const BY_SORT_ID: &[(u8, &str, u16)] = &[
    (30, "SQL_Latin1_General_CP437_BIN", 437),
    (31, "SQL_Latin1_General_CP437_CS_AS", 437),
    (32, "SQL_Latin1_General_CP437_CI_AS", 437),
    (33, "SQL_Latin1_General_Pref_CP437_CI_AS", 437),
    (34, "SQL_Latin1_General_CP437_CI_AI", 437),
    (35, "SQL_Latin1_General_CP437_BIN2", 437),
    (40, "SQL_Latin1_General_CP850_BIN", 850),
    (41, "SQL_Latin1_General_CP850_CS_AS", 850),
    (42, "SQL_Latin1_General_CP850_CI_AS", 850),
    (43, "SQL_Latin1_General_Pref_CP850_CI_AS", 850),
    (44, "SQL_Latin1_General_CP850_CI_AI", 850),
    (45, "SQL_Latin1_General_CP850_BIN2", 850),
    (49, "SQL_1xCompat_CP850_CI_AS", 850),
    (50, "bin_iso_1", 1252),
    (51, "SQL_Latin1_General_CP1_CS_AS", 1252),
    (52, "SQL_Latin1_General_CP1_CI_AS", 1252),
    (53, "SQL_Latin1_General_Pref_CP1_CI_AS", 1252),
    (54, "SQL_Latin1_General_CP1_CI_AI", 1252),
    (55, "SQL_AltDiction_CP850_CS_AS", 850),
    (56, "SQL_AltDiction_Pref_CP850_CI_AS", 850),
    (57, "SQL_AltDiction_CP850_CI_AI", 850),
    (58, "SQL_Scandinavian_Pref_CP850_CI_AS", 850),
    (59, "SQL_Scandinavian_CP850_CS_AS", 850),
    (60, "SQL_Scandinavian_CP850_CI_AS", 850),
    (61, "SQL_AltDiction_CP850_CI_AS", 850),
    (71, "dictionary_1252", 1252),
    (72, "nocase_1252", 1252),
    (73, "dnk_nor_dictionary", 1252),
    (74, "fin_swe_dictionary", 1252),
    (75, "isl_dictionary", 1252),
    (80, "bin_cp1250", 1250),
    (81, "SQL_Latin1_General_CP1250_CS_AS", 1250),
    (82, "SQL_Latin1_General_CP1250_CI_AS", 1250),
    (83, "SQL_Czech_CP1250_CS_AS", 1250),
    (84, "SQL_Czech_CP1250_CI_AS", 1250),
    (85, "SQL_Hungarian_CP1250_CS_AS", 1250),
    (86, "SQL_Hungarian_CP1250_CI_AS", 1250),
    (87, "SQL_Polish_CP1250_CS_AS", 1250),
    (88, "SQL_Polish_CP1250_CI_AS", 1250),
    (89, "SQL_Romanian_CP1250_CS_AS", 1250),
    (90, "SQL_Romanian_CP1250_CI_AS", 1250),
    (91, "SQL_Croatian_CP1250_CS_AS", 1250),
    (92, "SQL_Croatian_CP1250_CI_AS", 1250),
    (93, "SQL_Slovak_CP1250_CS_AS", 1250),
    (94, "SQL_Slovak_CP1250_CI_AS", 1250),
    (95, "SQL_Slovenian_CP1250_CS_AS", 1250),
    (96, "SQL_Slovenian_CP1250_CI_AS", 1250),
    (97, "polish_cs", 1250),
    (98, "polish_ci", 1250),
    (104, "bin_cp1251", 1251),
    (105, "SQL_Latin1_General_CP1251_CS_AS", 1251),
    (106, "SQL_Latin1_General_CP1251_CI_AS", 1251),
    (107, "SQL_Ukrainian_CP1251_CS_AS", 1251),
    (108, "SQL_Ukrainian_CP1251_CI_AS", 1251),
    (112, "bin_cp1253", 1253),
    (113, "SQL_Latin1_General_CP1253_CS_AS", 1253),
    (114, "SQL_Latin1_General_CP1253_CI_AS", 1253),
    (120, "SQL_MixDiction_CP1253_CS_AS", 1253),
    (121, "SQL_AltDiction_CP1253_CS_AS", 1253),
    (122, "SQL_AltDiction2_CP1253_CS_AS", 1253),
    (124, "SQL_Latin1_General_CP1253_CI_AI", 1253),
    (128, "bin_cp1254", 1254),
    (129, "SQL_Latin1_General_CP1254_CS_AS", 1254),
    (130, "SQL_Latin1_General_CP1254_CI_AS", 1254),
    (136, "bin_cp1255", 1255),
    (137, "SQL_Latin1_General_CP1255_CS_AS", 1255),
    (138, "SQL_Latin1_General_CP1255_CI_AS", 1255),
    (144, "bin_cp1256", 1256),
    (145, "SQL_Latin1_General_CP1256_CS_AS", 1256),
    (146, "SQL_Latin1_General_CP1256_CI_AS", 1256),
    (152, "bin_cp1257", 1257),
    (153, "SQL_Latin1_General_CP1257_CS_AS", 1257),
    (154, "SQL_Latin1_General_CP1257_CI_AS", 1257),
    (155, "SQL_Estonian_CP1257_CS_AS", 1257),
    (156, "SQL_Estonian_CP1257_CI_AS", 1257),
    (157, "SQL_Latvian_CP1257_CS_AS", 1257),
    (158, "SQL_Latvian_CP1257_CI_AS", 1257),
    (159, "SQL_Lithuanian_CP1257_CS_AS", 1257),
    (160, "SQL_Lithuanian_CP1257_CI_AS", 1257),
    (183, "SQL_Danish_Pref_CP1_CI_AS", 1252),
    (184, "SQL_SwedishPhone_Pref_CP1_CI_AS", 1252),
    (185, "SQL_SwedishStd_Pref_CP1_CI_AS", 1252),
    (186, "SQL_Icelandic_Pref_CP1_CI_AS", 1252),
    (192, "bin_cp932", 932),
    (193, "nls_cp932", 932),
    (194, "bin_cp949", 949),
    (195, "nls_cp949", 949),
    (196, "bin_cp950", 950),
    (197, "nls_cp950", 950),
    (198, "bin_cp936", 936),
    (199, "nls_cp936", 936),
    (200, "nls_cp932_cs", 932),
    (201, "nls_cp949_cs", 949),
    (202, "nls_cp950_cs", 950),
    (203, "nls_cp936_cs", 936),
    (204, "bin_cp874", 874),
    (205, "nls_cp874", 874),
    (206, "nls_cp874_cs", 874),
    (210, "SQL_EBCDIC037_CP1_CS_AS", 1252),
    (211, "SQL_EBCDIC273_CP1_CS_AS", 1252),
    (212, "SQL_EBCDIC277_CP1_CS_AS", 1252),
    (213, "SQL_EBCDIC278_CP1_CS_AS", 1252),
    (214, "SQL_EBCDIC280_CP1_CS_AS", 1252),
    (215, "SQL_EBCDIC284_CP1_CS_AS", 1252),
    (216, "SQL_EBCDIC285_CP1_CS_AS", 1252),
    (217, "SQL_EBCDIC297_CP1_CS_AS", 1252),
];
/// Code page 437 from 0x80 on.
const CP437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";
/// Code page 850 from 0x80 on.
const CP850: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u{ad}±‗¾¶§÷¸°¨·¹³²■\u{a0}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specifications_collation_reads_as_latin() {
        let collation = Collation::read(&mut Reader::new(&[9, 4, 0xd0, 0, 0x34])).unwrap();
        assert_eq!(collation.lcid(), 0x409);
        assert_eq!(collation.name(), Some("SQL_Latin1_General_CP1_CI_AS"));
        assert_eq!(
            collation.flag_words(),
            "ignore case, ignore kana, ignore width"
        );
        assert_eq!(collation.code_page(), CodePage::Known(1252));
    }

    #[test]
    fn every_upper_half_has_128_characters_and_tables_are_sorted() {
        assert_eq!(CP437.chars().count(), 128);
        assert_eq!(CP850.chars().count(), 128);
        assert!(BY_LCID.is_sorted_by_key(|(lcid, _)| *lcid));
        assert!(LATIN.is_sorted());
        assert_eq!(
            CodePage::Known(437).decode(&[b'a', 0x84, 0xe1]),
            "a\u{e4}\u{df}"
        );
        assert_eq!(CodePage::Known(850).decode(&[0xd5]), "\u{131}");
    }

    #[test]
    fn locales_choose_the_code_page_where_there_is_no_sort_id() {
        let page = |info| Collation { info, sort_id: 0 }.code_page();
        assert_eq!(page(0x0411), CodePage::Known(932));
        assert_eq!(page(0x0419), CodePage::Known(1251));
        assert_eq!(page(0x0407), CodePage::Known(1252));
        assert_eq!(page(0x0439), CodePage::UnicodeOnly);
        assert_eq!(page(0x7777), CodePage::Guessed);
        assert_eq!(page(0x0400_0409), CodePage::Utf8);
        assert_eq!(page(0), CodePage::Raw);
        assert_eq!(CodePage::Known(1251).decode(&[0xcf]), "\u{41f}");
        assert_eq!(CodePage::Known(932).decode(&[0x82, 0xa0]), "\u{3042}");
    }
}
