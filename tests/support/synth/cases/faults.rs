//! Captures that trigger the other rules of the catalogue.

use super::Case;

pub fn cases() -> Vec<Case> {
    Vec::new()
}
