//! Rules over finished connections: conditions with evidence, and the verdicts they lead to.
