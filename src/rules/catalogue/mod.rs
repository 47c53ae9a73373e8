//! All rules as values, in the order of precedence of the catalogue (section 8), and the texts that explain them.

mod beside;
mod failure;
mod login;
mod mars;
mod normal;
mod text;
mod tls;

use super::engine;
use super::facts::Facts;
use super::rule::Rule;
use crate::store::{Applied, Outcome};

pub(super) use beside::{
    ATTENTION_OK, BAD_CHECKSUM, CLOCK_STEP, DUP_FRAMES, FILE_GAP, MARS_SID_CLOSE, MASS_CLOSE,
    MID_STREAM, NON_POOLED, NONSTANDARD_PORT, OFFLOAD_CHECKSUM, ONE_DIRECTION, ONE_WAY_LOSS,
    ORPHAN_SID, POOL_RESET, PORT_REUSE, SEQ_REWRITTEN, SLOW_ACK, SLOW_RESPONSE, SNAPLEN,
    TDS_VIOLATION, WINDOW_STALL,
};
pub(super) use failure::{
    RST_IGNORED, RST_MIDDLEBOX, SMP_VIOLATION, ZERO_WINDOW, foreign_sign, grave_violations,
};
pub(super) use login::{LOGIN_SLOW, slow_login};
pub(super) use mars::{
    CONDITIONS as MARS_CONDITIONS, MARS_CLOSE_NOFIN, MARS_CLOSE_RST, echo_sentence,
};
pub(super) use text::{count, duration, times};

/// Every rule. Rules on closes come first, in their order of precedence.
const ALL: &[Rule] = &[
    login::SYN_BACKLOG,
    login::SYN_REFUSED,
    login::SYN_NO_ANSWER,
    login::HANDSHAKE_INCOMPLETE,
    failure::KEEPALIVE_TIMEOUT,
    failure::RETRANSMIT_TIMEOUT,
    failure::ZERO_WINDOW,
    failure::RST_MIDDLEBOX,
    failure::SMP_VIOLATION,
    failure::RST_AFTER_ATTENTION,
    failure::RST_WITH_REQUEST,
    failure::CLOSE_AFTER_ATTENTION,
    failure::CLOSE_WITH_REQUEST,
    failure::MARS_HEADER,
    failure::SERVER_ERROR,
    login::LOGIN_FAILED,
    login::LOGIN_REDIRECT,
    login::LATE_LOGINACK,
    failure::SERVER_FIN_FIRST,
    failure::RST_DATA_LOST,
    login::LOGIN_TIMEOUT,
    login::MARS_REFUSED,
    login::CLIENT_GAVE_UP,
    login::PRELOGIN_NO_RESPONSE,
    login::CLOSE_IN_TLS,
    login::CLOSE_IN_PRELOGIN,
    mars::MARS_CLOSE_RST,
    mars::MARS_CLOSE_NOFIN,
    tls::MARS_CLOSE_TLS,
    tls::RST_ENCRYPTED,
    failure::RST_UNREAD_DATA,
    failure::SERVER_CLOSED_SID,
    failure::RST_OPEN_SIDS,
    failure::RST_ODD_SEQ,
    normal::PROBE_CONNECTION,
    normal::RST_AFTER_CLOSE,
    normal::CLOSE_ABORTIVE,
    failure::RST_ABORT_SERVER,
    failure::RST_SERVER_AFTER_CLOSE,
    failure::RST_ABORT_CLIENT,
    normal::MARS_CLOSE_CLEAN,
    normal::CLOSE_UNREAD,
    normal::CLOSE_IDLE,
    normal::CLOSE_4WAY,
    failure::RST_IGNORED,
    login::LOGIN_SLOW,
    beside::MARS_SID_CLOSE,
    beside::POOL_RESET,
    beside::ATTENTION_OK,
    beside::WINDOW_STALL,
    beside::ORPHAN_SID,
    beside::SLOW_RESPONSE,
    beside::SLOW_ACK,
    beside::TDS_VIOLATION,
    beside::ONE_WAY_LOSS,
    beside::ONE_DIRECTION,
    beside::FILE_GAP,
    beside::MID_STREAM,
    beside::SEQ_REWRITTEN,
    beside::NONSTANDARD_PORT,
    beside::PORT_REUSE,
    beside::MASS_CLOSE,
    beside::NON_POOLED,
    beside::DUP_FRAMES,
    beside::SNAPLEN,
    beside::CLOCK_STEP,
    beside::OFFLOAD_CHECKSUM,
    beside::BAD_CHECKSUM,
];

/// All rules of the catalogue; those on closes first, in their order of precedence.
pub fn catalogue() -> &'static [Rule] {
    ALL
}

/// A rule by its id.
pub fn rule(id: &str) -> Option<&'static Rule> {
    ALL.iter().find(|rule| rule.id == id)
}

/// The ids of the conditions of the benign close that fail on a connection.
pub(super) fn failed_mars_conditions(facts: &Facts<'_>) -> Vec<&'static str> {
    let failed: Vec<&Applied> = engine::mars_conditions(facts)
        .iter()
        .filter(|c| c.outcome == Outcome::Failed)
        .collect();
    MARS_CONDITIONS
        .iter()
        .map(|c| c.statement.id)
        .filter(|id| failed.iter().any(|c| c.id() == *id))
        .collect()
}
