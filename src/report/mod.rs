//! The facts of a capture without a screen: `report`, `list` and `show`.
