//! Numbers in words.

use std::fmt::Display;

/// `1 frame`, `2 frames`.
pub fn counted<N: Copy + Display + PartialEq + From<u8>>(n: N, what: &str) -> String {
    let s = if n == N::from(1) { "" } else { "s" };
    format!("{n} {what}{s}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one() {
        let told = [
            counted(0_usize, "byte"),
            counted(1_u32, "byte"),
            counted(2_u64, "byte"),
        ];
        assert_eq!(told, ["0 bytes", "1 byte", "2 bytes"]);
    }
}
