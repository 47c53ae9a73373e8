//! Facts as the rules state them: the numbers, and how they are told, so that a text is only made where one is read.

use std::borrow::Cow;
use std::fmt;

use super::short::Short;
use crate::units::{FrameNo, Sid, SmpSeq, TcpSeq};

/// The numbers of a fact.
pub type Numbers = Short<i64, 6>;

/// Adds what a fact's numbers say to a text.
pub type Tell = fn(&[i64], &mut String);

/// Something that is told in words.
#[derive(Debug, Clone)]
pub enum Fact {
    /// Words that are there already.
    Text(Cow<'static, str>),
    /// Numbers, and how they are told.
    Told(Tell, Numbers),
}

impl Fact {
    /// Numbers, and how they are told.
    #[inline]
    pub fn told(numbers: impl IntoIterator<Item = i64>, tell: Tell) -> Self {
        Self::Told(tell, numbers.into_iter().collect())
    }

    /// Adds it to a text.
    pub fn tell(&self, out: &mut String) {
        match self {
            Self::Text(text) => out.push_str(text),
            Self::Told(tell, numbers) => tell(numbers.as_slice(), out),
        }
    }
}

impl PartialEq for Fact {
    /// Whether both read the same.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(own), Self::Text(other)) => own == other,
            _ => self.to_string() == other.to_string(),
        }
    }
}

impl Eq for Fact {}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.tell(&mut text);
        f.write_str(&text)
    }
}

impl From<&'static str> for Fact {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Fact {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<Cow<'static, str>> for Fact {
    fn from(text: Cow<'static, str>) -> Self {
        Self::Text(text)
    }
}

/// A number that facts tell of.
pub trait Number {
    /// The number alone.
    fn number(self) -> i64;
}

macro_rules! numbers {
    ($($name:ty: $value:expr),+) => {
        $(impl Number for $name {
            #[inline]
            fn number(self) -> i64 {
                let number: fn(Self) -> i64 = $value;
                number(self)
            }
        })+
    };
}

numbers!(
    i64: |n| n,
    i32: i64::from,
    u8: i64::from,
    u16: i64::from,
    u32: i64::from,
    usize: |n| i64::try_from(n).unwrap_or(i64::MAX),
    FrameNo: |n| n.0.into(),
    Sid: |n| n.0.into(),
    SmpSeq: |n| n.0.into(),
    TcpSeq: |n| n.0.into()
);

/// A [`Fact`]: a sentence, the numbers that are kept for the names in it, and words that are made of these.
macro_rules! fact {
    ($text:literal $(, $name:ident = $value:expr)* $(; $($word:ident = $make:expr),+)?) => {
        $crate::store::Fact::told([$($crate::store::Number::number($value)),*], |numbers, out| {
            if let [$($name),*] = *numbers {
                $($(let $word = $make;)+)?
                // Writing to a String cannot fail.
                let _ = std::fmt::Write::write_fmt(out, format_args!($text));
            }
        })
    };
}

pub(crate) use fact;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_tells_its_numbers_in_the_places_of_their_names() {
        let told = fact!(
            "{n} {noun} behind frame {frame}: {n} - 16", n = -4_i64, frame = FrameNo(72);
            noun = if n == 1 { "byte" } else { "bytes" }
        );
        assert_eq!(told.to_string(), "-4 bytes behind frame 72: -4 - 16");
        assert_eq!(told, Fact::from(told.to_string()));
        assert_eq!(fact!("nothing found"), "nothing found".into());
    }
}
