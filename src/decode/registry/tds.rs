//! Fields of TDS packets and messages.

use super::{Def, Kind as K, Source as S, own, wireshark};

pub(super) const FIELDS: &[Def] = &[
    own(
        "tds.other",
        K::Nothing,
        S::Tds,
        "part of a message without a name of its own",
    ),
    wireshark("tds.type", K::U8, S::Tds, "packet type"),
    wireshark("tds.status", K::U8, S::Tds, "status bits"),
    wireshark(
        "tds.status.eom",
        K::Bool,
        S::Tds,
        "last packet of its message",
    ),
    wireshark(
        "tds.status.ignore",
        K::Bool,
        S::Tds,
        "message is taken back",
    ),
    wireshark(
        "tds.status.event_notif",
        K::Bool,
        S::Tds,
        "event notification",
    ),
    wireshark(
        "tds.status.reset_conn",
        K::Bool,
        S::Tds,
        "session state is reset first: pool reuse",
    ),
    wireshark(
        "tds.status.reset_conn_skip_tran",
        K::Bool,
        S::Tds,
        "session state is reset first, the transaction stays",
    ),
    wireshark(
        "tds.length",
        K::U16,
        S::Tds,
        "bytes of the packet, header included",
    ),
    wireshark("tds.channel", K::U16, S::Tds, "server's session id (SPID)"),
    wireshark(
        "tds.packet_number",
        K::U8,
        S::Tds,
        "number of the packet in its message, modulo 256",
    ),
    wireshark("tds.window", K::U8, S::Tds, "not used"),
    wireshark(
        "tds.fragments",
        K::Nothing,
        S::Tds,
        "packets of the message",
    ),
    wireshark(
        "tds.fragment",
        K::FrameNum,
        S::Tds,
        "frame that completes a packet of the message",
    ),
    wireshark(
        "tds.fragment.count",
        K::U32,
        S::Tds,
        "packets in the message",
    ),
    wireshark(
        "tds.fragment.overlap",
        K::Bool,
        S::Tds,
        "never set here: streams are put in order first",
    ),
    wireshark(
        "tds.fragment.overlap.conflict",
        K::Bool,
        S::Tds,
        "never set here: streams are put in order first",
    ),
    wireshark(
        "tds.fragment.multipletails",
        K::Bool,
        S::Tds,
        "never set here",
    ),
    wireshark(
        "tds.fragment.toolongfragment",
        K::Bool,
        S::Tds,
        "never set here",
    ),
    wireshark(
        "tds.fragment.error",
        K::FrameNum,
        S::Tds,
        "frame of a broken message",
    ),
    wireshark(
        "tds.reassembled_in",
        K::FrameNum,
        S::Tds,
        "frame that completes the message",
    ),
    wireshark(
        "tds.reassembled.length",
        K::U32,
        S::Tds,
        "bytes of the message without packet headers",
    ),
    wireshark(
        "tds.unknown_tds_packet",
        K::Bytes,
        S::Tds,
        "body that does not decode",
    ),
    wireshark(
        "tds.unknown_tds_token",
        K::Nothing,
        S::Tds,
        "token that is not known",
    ),
    wireshark(
        "tds.invalid_length",
        K::Nothing,
        S::Tds,
        "length that cannot be",
    ),
    wireshark(
        "tds.token.length.invalid",
        K::Nothing,
        S::Tds,
        "token length that cannot be",
    ),
];
