//! Tests of the rules on stores built by hand.
