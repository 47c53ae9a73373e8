//! Values of every data type as SQL Server would print them ([MS-TDS] 2.2.5.5).

use jiff::civil::Date;

use super::collation::CodePage;
use super::type_info::{TypeInfo, ValueLength, token as t, utf16};
use crate::decode::field::secret_words;
use crate::decode::reader::Reader;

/// Most bytes of a value that are turned into text.
pub const KEEP: usize = 32768;

/// How a value is written as a T-SQL literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quote {
    /// As it is: numbers, 0x….
    Bare,
    /// 'text'.
    Plain,
    /// N'text'.
    National,
}

/// A value, printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// As SQL Server prints it; `NULL` for NULL.
    pub text: String,
    /// It is NULL.
    pub null: bool,
    /// How it is quoted in T-SQL.
    pub quote: Quote,
}

impl Cell {
    /// NULL.
    pub fn null() -> Self {
        Self {
            text: "NULL".to_owned(),
            null: true,
            quote: Quote::Bare,
        }
    }

    /// A secret of so many bytes.
    pub fn secret(len: usize, info: &TypeInfo) -> Self {
        let text = secret_words(len);
        if info.is_unicode() {
            Self::national(text)
        } else {
            Self::plain(text)
        }
    }

    fn bare(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            null: false,
            quote: Quote::Bare,
        }
    }

    fn plain(text: impl Into<String>) -> Self {
        Self {
            quote: Quote::Plain,
            ..Self::bare(text)
        }
    }

    fn national(text: impl Into<String>) -> Self {
        Self {
            quote: Quote::National,
            ..Self::bare(text)
        }
    }

    /// The value as a T-SQL literal.
    pub fn literal(&self) -> String {
        match self.quote {
            Quote::Bare => self.text.clone(),
            Quote::Plain => format!("'{}'", self.text.replace('\'', "''")),
            Quote::National => format!("N'{}'", self.text.replace('\'', "''")),
        }
    }
}

/// Prints a value from its bytes (not NULL). Bytes that do not fit the type are printed as such.
pub fn print(info: &TypeInfo, bytes: &[u8]) -> Cell {
    known(info, bytes).unwrap_or_else(|| Cell::bare(hex(bytes)))
}

fn known(info: &TypeInfo, bytes: &[u8]) -> Option<Cell> {
    let mut r = Reader::new(bytes);
    Some(match info.token {
        t::NULL => Cell::null(),
        t::INT1 | t::INT2 | t::INT4 | t::INT8 | t::INT_N => Cell::bare(match bytes.len() {
            1 => r.u8()?.to_string(),
            2 => r.i16_le()?.to_string(),
            4 => r.i32_le()?.to_string(),
            8 => r.i64_le()?.to_string(),
            _ => return None,
        }),
        t::BIT | t::BIT_N => Cell::bare(if r.u8()? == 0 { "0" } else { "1" }),
        t::FLOAT4 | t::FLOAT8 | t::FLOAT_N => Cell::bare(match bytes.len() {
            4 => real(f32::from_bits(r.u32_le()?)),
            8 => float(f64::from_bits(r.u64_le()?)),
            _ => return None,
        }),
        t::MONEY | t::MONEY4 | t::MONEY_N => Cell::bare(match bytes.len() {
            4 => scaled(i128::from(r.i32_le()?), 4),
            8 => {
                let high = i64::from(r.i32_le()?);
                let low = i64::from(r.u32_le()?);
                scaled(i128::from(high << 32 | low), 4)
            }
            _ => return None,
        }),
        t::DATETIME | t::DATETIME4 | t::DATETIME_N => Cell::plain(match bytes.len() {
            4 => {
                let day = date(SINCE_1900, i64::from(r.u16_le()?))?;
                let minutes = r.u16_le()?;
                format!("{day} {:02}:{:02}:00", minutes / 60, minutes % 60)
            }
            8 => {
                let day = date(SINCE_1900, i64::from(r.i32_le()?))?;
                // 1/300 s, printed in milliseconds: .000, .003, .007.
                let ms = (u64::from(r.u32_le()?) * 10 + 1) / 3;
                format!("{day} {}", clock(ms, 3)?)
            }
            _ => return None,
        }),
        t::DATE => Cell::plain(date(SINCE_0001, days3(&mut r)?)?),
        t::TIME => Cell::plain(clock(number(bytes)?, info.scale)?),
        t::DATETIME2 => Cell::plain(datetime2(bytes, info.scale)?),
        t::DATETIMEOFFSET => Cell::plain(datetimeoffset(bytes, info.scale)?),
        t::GUID => Cell::plain(guid(bytes.try_into().ok()?)),
        t::DECIMAL | t::NUMERIC | t::DECIMAL_OLD | t::NUMERIC_OLD => {
            Cell::bare(decimal(bytes, info.scale)?)
        }
        t::NVARCHAR | t::NCHAR | t::NTEXT => Cell::national(utf16(bytes)),
        t::XML => Cell::national(xml(bytes)),
        t::VARCHAR | t::CHAR | t::TEXT | t::VARCHAR_OLD | t::CHAR_OLD => {
            Cell::plain(code_page(info).decode(bytes))
        }
        t::JSON => Cell::national(String::from_utf8_lossy(bytes).into_owned()),
        t::VARIANT => variant(bytes)?.1,
        t::VECTOR => Cell::plain(vector(bytes)?),
        _ => return None,
    })
}

/// The code page of a character type.
pub fn code_page(info: &TypeInfo) -> CodePage {
    info.collation.map_or(
        CodePage::Known(1252),
        super::collation::Collation::code_page,
    )
}

/// Bytes as SQL Server prints binary values.
pub fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().saturating_mul(2).saturating_add(2));
    out.push_str("0x");
    for byte in bytes {
        out.push_str(&format_byte(*byte));
    }
    out
}

fn format_byte(byte: u8) -> String {
    format!("{byte:02X}")
}

/// The magnitude behind a decimal's sign byte, as text with its scale.
fn decimal(bytes: &[u8], scale: u8) -> Option<String> {
    let (sign, magnitude) = bytes.split_first()?;
    if magnitude.len() > 16 {
        return None;
    }
    let value = magnitude
        .iter()
        .rev()
        .fold(0_u128, |sum, byte| sum << 8 | u128::from(*byte));
    let text = point(value, scale);
    Some(if *sign == 0 && value != 0 {
        format!("-{text}")
    } else {
        text
    })
}

fn scaled(value: i128, scale: u8) -> String {
    let text = point(value.unsigned_abs(), scale);
    if value < 0 { format!("-{text}") } else { text }
}

fn point(value: u128, scale: u8) -> String {
    let scale = usize::from(scale);
    let digits = format!("{value:0>width$}", width = scale.saturating_add(1));
    if scale == 0 {
        return digits;
    }
    let (whole, fraction) = digits.split_at(digits.len().saturating_sub(scale));
    format!("{whole}.{fraction}")
}

/// A float in its shortest exact form, with an exponent outside a middle range.
fn float(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() || value == 0.0 || (1e-4..1e15).contains(&size) {
        return value.to_string();
    }
    exponent(&format!("{value:e}"))
}

fn real(value: f32) -> String {
    let size = value.abs();
    if !value.is_finite() || value == 0.0 || (1e-4..1e7).contains(&size) {
        return value.to_string();
    }
    exponent(&format!("{value:e}"))
}

/// An exponent as SQL Server writes it: with a sign and three digits.
fn exponent(text: &str) -> String {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (sign, number) = exponent
        .strip_prefix('-')
        .map_or(('+', exponent), |number| ('-', number));
    format!("{mantissa}e{sign}{number:0>3}")
}

/// Day 0 of date, datetime2 and datetimeoffset.
const SINCE_0001: Date = Date::constant(1, 1, 1);
/// Day 0 of datetime and smalldatetime.
const SINCE_1900: Date = Date::constant(1900, 1, 1);

fn date(start: Date, days: i64) -> Option<String> {
    let span = jiff::Span::new().try_days(days).ok()?;
    let day = start.checked_add(span).ok()?;
    (day.year() >= 1).then(|| day.to_string())
}

fn days3(r: &mut Reader<'_>) -> Option<i64> {
    let [a, b, c] = r.array()?;
    Some(i64::from(u32::from_le_bytes([a, b, c, 0])))
}

/// A little-endian number of up to 8 bytes.
fn number(bytes: &[u8]) -> Option<u64> {
    (bytes.len() <= 8).then(|| {
        bytes
            .iter()
            .rev()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    })
}

/// A time of day from units of 10^-scale seconds.
fn clock(units: u64, scale: u8) -> Option<String> {
    let per_second = 10_u64
        .checked_pow(u32::from(scale))
        .filter(|_| scale <= 7)?;
    let seconds = units / per_second;
    if seconds >= 86_400 {
        return None;
    }
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let whole = format!("{hour:02}:{minute:02}:{second:02}");
    Some(if scale == 0 {
        whole
    } else {
        format!(
            "{whole}.{:0>width$}",
            units % per_second,
            width = usize::from(scale)
        )
    })
}

fn datetime2(bytes: &[u8], scale: u8) -> Option<String> {
    let (time, day) = bytes.split_at_checked(bytes.len().checked_sub(3)?)?;
    let day = date(SINCE_0001, days3(&mut Reader::new(day))?)?;
    Some(format!("{day} {}", clock(number(time)?, scale)?))
}

/// datetimeoffset carries UTC; it is printed in local time with its offset.
fn datetimeoffset(bytes: &[u8], scale: u8) -> Option<String> {
    let (utc, offset) = bytes.split_at_checked(bytes.len().checked_sub(2)?)?;
    let (time, day) = utc.split_at_checked(utc.len().checked_sub(3)?)?;
    let minutes = i64::from(Reader::new(offset).i16_le()?);
    if !(-840..=840).contains(&minutes) || scale > 7 {
        return None;
    }
    let per_minute = 10_i64.checked_pow(u32::from(scale))?.checked_mul(60)?;
    let per_day = per_minute.checked_mul(1440)?;
    let units = i64::try_from(number(time)?).ok().filter(|u| *u < per_day)?;
    let local = units.checked_add(minutes.checked_mul(per_minute)?)?;
    let day = days3(&mut Reader::new(day))?.checked_add(local.div_euclid(per_day))?;
    let time = clock(u64::try_from(local.rem_euclid(per_day)).ok()?, scale)?;
    let sign = if minutes < 0 { '-' } else { '+' };
    let size = minutes.unsigned_abs();
    Some(format!(
        "{} {time} {sign}{:02}:{:02}",
        date(SINCE_0001, day)?,
        size / 60,
        size % 60
    ))
}

/// A GUID: its first three groups are little-endian.
pub fn guid(bytes: [u8; 16]) -> String {
    let group = |bytes: &mut dyn Iterator<Item = &u8>| -> String {
        bytes.map(|byte| format_byte(*byte)).collect()
    };
    let (head, tail) = bytes.split_at(8);
    let (first, rest) = head.split_at(4);
    let (second, third) = rest.split_at(2);
    let (fourth, last) = tail.split_at(2);
    format!(
        "{}-{}-{}-{}-{}",
        group(&mut first.iter().rev()),
        group(&mut second.iter().rev()),
        group(&mut third.iter().rev()),
        group(&mut fourth.iter()),
        group(&mut last.iter())
    )
}

fn xml(bytes: &[u8]) -> String {
    if bytes.starts_with(&[0xdf, 0xff]) {
        return format!("binary XML {}", hex(bytes));
    }
    utf16(bytes.strip_prefix(&[0xff, 0xfe]).unwrap_or(bytes))
}

/// A vector: header A9 01, dimensions, type, then numbers of single precision.
fn vector(bytes: &[u8]) -> Option<String> {
    let mut r = Reader::new(bytes);
    if r.u16_be()? != 0xa901 {
        return None;
    }
    let count = usize::from(r.u16_le()?);
    let kind = r.u8()?;
    r.skip(3)?;
    if kind != 0 {
        return None;
    }
    let mut numbers = Vec::new();
    while let Some(bits) = r.u32_le().filter(|_| numbers.len() < count) {
        numbers.push(real(f32::from_bits(bits)));
    }
    Some(format!("[{}]", numbers.join(",")))
}

/// A sql_variant: the type of the value inside, and the value.
pub fn variant(bytes: &[u8]) -> Option<(TypeInfo, Cell)> {
    let mut r = Reader::new(bytes);
    let token = r.u8()?;
    let properties_len = usize::from(r.u8()?);
    let mut properties = r.sub(properties_len)?;
    let data = r.rest();
    let mut info = TypeInfo {
        token,
        length: ValueLength::Short,
        max: u32::try_from(data.len()).unwrap_or(u32::MAX),
        precision: 0,
        scale: 0,
        collation: None,
        names: None,
    };
    match token {
        t::TIME | t::DATETIME2 | t::DATETIMEOFFSET => info.scale = properties.u8()?,
        t::DECIMAL | t::NUMERIC => {
            info.precision = properties.u8()?;
            info.scale = properties.u8()?;
        }
        t::BINARY | t::VARBINARY => info.max = u32::from(properties.u16_le()?),
        t::CHAR | t::VARCHAR | t::NCHAR | t::NVARCHAR => {
            info.collation = super::collation::Collation::read(&mut properties);
            info.max = u32::from(properties.u16_le()?);
        }
        // A variant in a variant does not exist.
        t::VARIANT => return None,
        _ => {}
    }
    let cell = print(&info, data);
    Some((info, cell))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::tds::Version;
    use crate::decode::tds::type_info::Place;

    fn info(bytes: &[u8]) -> TypeInfo {
        TypeInfo::read(&mut Reader::new(bytes), Place::Column, Version::V74).unwrap()
    }

    fn shown(type_bytes: &[u8], value: &[u8]) -> String {
        print(&info(type_bytes), value).text
    }

    #[test]
    fn decimals_have_38_digits_and_a_sign_of_their_own() {
        let mut bytes = vec![0];
        bytes.extend(99_999_999_999_999_999_999_999_999_999_999_999_999_u128.to_le_bytes());
        assert_eq!(
            shown(&[0x6a, 17, 38, 10], &bytes),
            "-9999999999999999999999999999.9999999999"
        );
        assert_eq!(shown(&[0x6a, 5, 9, 4], &[1, 5, 0, 0, 0]), "0.0005");
        assert_eq!(shown(&[0x6a, 5, 9, 0], &[0, 0, 0, 0, 0]), "0");
    }

    #[test]
    fn money_has_its_high_half_first() {
        assert_eq!(shown(&[0x6e, 8], &[0, 0, 0, 0, 0x39, 0x30, 0, 0]), "1.2345");
        assert_eq!(
            shown(
                &[0x6e, 8],
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]
            ),
            "-0.0001"
        );
        assert_eq!(shown(&[0x6e, 4], &[0x10, 0x27, 0, 0]), "1.0000");
    }

    #[test]
    fn dates_and_times_print_with_their_scale() {
        assert_eq!(
            shown(&[0x6f, 8], &[0, 0, 0, 0, 1, 0, 0, 0]),
            "1900-01-01 00:00:00.003"
        );
        assert_eq!(
            shown(&[0x6f, 8], &[0, 0, 0, 0, 2, 0, 0, 0]),
            "1900-01-01 00:00:00.007"
        );
        assert_eq!(
            shown(&[0x6f, 8], &[0x46, 0x2e, 0xff, 0xff, 0xff, 0x81, 0x8b, 1]),
            "1753-01-01 23:59:59.997"
        );
        assert_eq!(shown(&[0x6f, 4], &[1, 0, 61, 0]), "1900-01-02 01:01:00");
        assert_eq!(shown(&[0x28], &[0xda, 0xb9, 0x37]), "9999-12-31");
        assert_eq!(shown(&[0x29, 0], &[0x7f, 0x51, 1]), "23:59:59");
        assert_eq!(
            shown(&[0x29, 7], &[0xff, 0xbf, 0x69, 0x2a, 0xc9]),
            "23:59:59.9999999"
        );
        assert_eq!(
            shown(&[0x2a, 3], &[1, 0, 0, 0, 0, 0, 0]),
            "0001-01-01 00:00:00.001"
        );
        assert_eq!(
            shown(&[0x2b, 0], &[0, 0, 0, 1, 0, 0, 0xc4, 0xff]),
            "0001-01-01 23:00:00 -01:00"
        );
        assert_eq!(
            shown(&[0x29, 0], &[0xff, 0xff, 0xff]),
            "0xFFFFFF",
            "no such time of day"
        );
    }

    #[test]
    fn guids_floats_and_text_print_as_the_server_does() {
        let bytes: Vec<u8> = (0..16).collect();
        assert_eq!(
            shown(&[0x24, 16], &bytes),
            "03020100-0504-0706-0809-0A0B0C0D0E0F"
        );
        assert_eq!(shown(&[0x6d, 8], &1.5_f64.to_le_bytes()), "1.5");
        assert_eq!(shown(&[0x6d, 8], &1e300_f64.to_le_bytes()), "1e+300");
        assert_eq!(shown(&[0x6d, 8], &2e-7_f64.to_le_bytes()), "2e-007");
        assert_eq!(shown(&[0xf1, 0], &[0xff, 0xfe, b'<', 0]), "<");
        let cell = print(&info(&[0xe7, 8, 0, 9, 4, 0xd0, 0, 0x34]), &[b'\'', 0]);
        assert_eq!(cell.literal(), "N''''");
    }

    #[test]
    fn variants_and_vectors_carry_their_type() {
        let (inner, cell) = variant(&[0x6a, 2, 9, 2, 1, 0x39, 0x30, 0, 0]).unwrap();
        assert_eq!(
            (inner.sql().as_str(), cell.text.as_str()),
            ("decimal(9,2)", "123.45")
        );
        let mut bytes = vec![0xa9, 1, 2, 0, 0, 0, 0, 0];
        bytes.extend(1.0_f32.to_le_bytes());
        bytes.extend((-0.5_f32).to_le_bytes());
        assert_eq!(shown(&[0xf5, 16, 0, 0], &bytes), "[1,-0.5]");
    }
}
