//! Rules beside the closes: on sessions, on requests, on several connections, and on the capture itself.

use super::text::{count, duration};
use crate::rules::facts::Facts;
use crate::rules::rule::{Check, Criterion, Rule, Scope};
use crate::store::Verdict;

pub(in crate::rules) const MARS_SID_CLOSE: Rule = Rule::gathered(
    "mars-sid-close",
    "Session closed",
    Scope::Session,
    Verdict::Normal,
    &[Criterion::gathered(
        "fins",
        "Client and server sent an SMP:FIN on the Sid, and the connection went on",
    )],
)
.says(
    "A session was closed while the connection went on.",
    "Nothing to do.",
    "[MC-SMP] 3.1.4.4",
);

pub(in crate::rules) const POOL_RESET: Rule = Rule::gathered(
    "pool-reset",
    "Pooled connection reused",
    Scope::Session,
    Verdict::Normal,
    &[Criterion::gathered(
        "bit",
        "The first packet of a request has status bit 0x08 or 0x10",
    )],
)
.says(
    "A pooled connection starts its next use; the server resets the session's state first.",
    "Nothing to do.",
    "[MS-TDS] 2.2.3.1.2",
);

pub(in crate::rules) const ATTENTION_OK: Rule = Rule::gathered(
    "attention-ok",
    "Request cancelled",
    Scope::Session,
    Verdict::Notice,
    &[Criterion::gathered(
        "acknowledged",
        "An attention was acknowledged by a DONE with bit 0x0020",
    )],
)
.says(
    "The client cancelled a request, and the server confirmed it.",
    "If it came after the command timeout, look at the statement; else the program cancels on purpose.",
    "[MS-TDS] 2.2.1.7",
);

pub(in crate::rules) const WINDOW_STALL: Rule = Rule::gathered(
    "mars-window-stall",
    "Session stood still for want of SMP window",
    Scope::Session,
    Verdict::Notice,
    &[Criterion::gathered(
        "blocked",
        "A message was unfinished, the window used up, and no DATA came for longer than the limit",
    )],
)
.says(
    "The receiver of the data did not take it: a client that reads slowly blocks the server.",
    "Look at the reading side; every window costs about one round trip.",
    "[MC-SMP] 3.1.4.3 and 3.1.5.2",
);

pub(in crate::rules) const ORPHAN_SID: Rule = Rule::gathered(
    "orphan-sid",
    "Session left open",
    Scope::Session,
    Verdict::Notice,
    &[Criterion::gathered(
        "open",
        "A Sid was opened and not closed by both sides, or its SMP:FIN was not answered in time",
    )],
)
.says(
    "Sessions stayed open to the end. One idle Sid is how FreeTDS closes; a growing number is a leak.",
    "Count open Sids over time in the lanes.",
    "[MC-SMP] 3.1.4.4",
);

pub(in crate::rules) const SLOW_RESPONSE: Rule = Rule::gathered(
    "slow-response",
    "Slow answer",
    Scope::Session,
    Verdict::Notice,
    &[Criterion::gathered(
        "slow",
        "From the end of a request to the first byte of its answer it took longer than the limit",
    )],
)
.says(
    "The server took long to begin the answer. Where TCP acknowledged the request at once, it is not the network.",
    "Look at the statement: locks, plan, load.",
    "Own limit; the page's request 18028 shows how to split the time",
);

pub(in crate::rules) const SLOW_ACK: Rule = Rule::gathered(
    "slow-ack",
    "Late TCP acknowledgement",
    Scope::Connection,
    Verdict::Notice,
    &[Criterion::gathered(
        "late",
        "Data was not acknowledged for longer than the limit, without being sent again",
    )],
)
.says(
    "One end, or the path to it, was slow to acknowledge.",
    "On the sender's file the time includes the path; on the receiver's own file it is the receiver.",
    "RFC 1122 4.2.3.2",
);

pub(in crate::rules) const TDS_VIOLATION: Rule = Rule::gathered(
    "tds-violation",
    "TDS against its specification",
    Scope::Connection,
    Verdict::Fault,
    &[Criterion::gathered(
        "bits",
        "A request carries both reset bits, or one of them behind its first packet",
    )],
)
.says(
    "A packet header breaks the rules of TDS.",
    "Look at the driver named in the login.",
    "[MS-TDS] 2.2.3.1.2",
);

pub(in crate::rules) const ONE_WAY_LOSS: Rule = Rule::gathered(
    "one-way-loss",
    "Packets lost in one direction",
    Scope::Connection,
    Verdict::Fault,
    &[
        Criterion::gathered(
            "asymmetry",
            "Frames of one side have no effect, or do not arrive, while those of the other side keep coming",
        ),
        Criterion::new(
            "both-ends",
            "As proof: its own file shows the frames being sent, the other end's file does not have them",
            frames_lost_between,
        ),
    ],
)
.says(
    "Packets of one direction do not arrive.",
    "Take captures on both sides at the same time.",
    "CSS wiki, Connection Dropped in one Direction",
);

fn frames_lost_between(facts: &Facts<'_>) -> Check {
    if !facts.ends.both {
        return Check::unknown("could not be checked: the files show one end of the connection");
    }
    match facts.ends.lost.first() {
        Some(row) => Check::held(format!(
            "{} of the {} in a row, over {}",
            count(row.frames.len(), "frame"),
            row.side.word(),
            duration(row.lasted)
        ))
        .on(row.frames.iter().copied()),
        None => Check::failed("the files of both ends have the same frames"),
    }
}

pub(in crate::rules) const PORT_REUSE: Rule = Rule::gathered(
    "port-reuse",
    "Client port used again",
    Scope::Capture,
    Verdict::Notice,
    &[Criterion::gathered(
        "again",
        "A SYN opens a pair of addresses and ports that was in the file before",
    )],
)
.says(
    "The client used the same port again; soon after a close that may mean that its ports run out.",
    "Count the client's connections per minute; look at pooling.",
    "Support guidance on intermittent network issues: ports rest for 240 s",
);

pub(in crate::rules) const NON_POOLED: Rule = Rule::gathered(
    "non-pooled",
    "Many short connections",
    Scope::Capture,
    Verdict::Notice,
    &[Criterion::gathered(
        "short",
        "Many connections of one client to one server had few frames from SYN to FIN",
    )],
)
.says(
    "The client makes a connection for every request: each costs a handshake and a login, and a port for minutes.",
    "Look at the connection string (Pooling) and whether the program closes what it opens.",
    "Support guidance on intermittent network issues",
);

pub(in crate::rules) const BAD_CHECKSUM: Rule = Rule::gathered(
    "bad-checksum",
    "Checksums wrong in both directions",
    Scope::Capture,
    Verdict::Notice,
    &[Criterion::gathered(
        "both-ways",
        "TCP checksums are wrong in frames of both directions of a connection",
    )],
)
.says(
    "Both ends are on the capturing host (loopback, virtual switch), or frames were damaged on the way or in the file.",
    "Where the ends are different machines, compare with a capture of the other end.",
    "RFC 9293 3.1; Catalogue 7",
);

pub(in crate::rules) const MASS_CLOSE: Rule = Rule::gathered(
    "mass-close",
    "Many connections ended at once",
    Scope::Capture,
    Verdict::Fault,
    &[Criterion::gathered(
        "together",
        "The same server ended several connections within the limit",
    )],
)
.says(
    "The server was restarted, failed over, or ran out of something.",
    "Look into the server's error log and the cluster's log at that time.",
    "Support guidance on intermittent network issues",
);

/// Artefacts of the capture: they change what other rules may claim.
pub(in crate::rules) const DUP_FRAMES: Rule = Rule::gathered(
    "dup-frames",
    "Frames are in the file twice",
    Scope::Capture,
    Verdict::Notice,
    &[Criterion::gathered(
        "copies",
        "Frames repeat IP identification, TCP header and payload of another",
    )],
)
.says(
    "Two capture points, or a mirrored port. Copies are left out of the analysis and shown greyed.",
    "Nothing to do.",
    "Catalogue 7",
);

pub(in crate::rules) const ONE_DIRECTION: Rule = Rule::gathered(
    "one-direction",
    "Only one direction was captured",
    Scope::Connection,
    Verdict::Notice,
    &[Criterion::gathered(
        "one-way",
        "Payload of one side only, while acknowledgements prove the other",
    )],
)
.says(
    "Nothing about requests, answers or the close can be said for certain.",
    "Capture again so that both directions are in the file.",
    "CSS wiki, Network Patterns",
);

pub(in crate::rules) const SNAPLEN: Rule = Rule::gathered(
    "snaplen",
    "Frames are cut",
    Scope::Capture,
    Verdict::Notice,
    &[Criterion::gathered(
        "cut",
        "Frames with payload are shorter in the file than on the wire",
    )],
)
.says(
    "Tokens and headers behind the cut are not known; some conditions stay unknown.",
    "Capture again without a snap length.",
    "Catalogue 7",
);

pub(in crate::rules) const FILE_GAP: Rule = Rule::gathered(
    "file-gap",
    "Bytes are missing from the file",
    Scope::Connection,
    Verdict::Notice,
    &[Criterion::gathered(
        "gap",
        "Bytes were acknowledged that the file never shows",
    )],
)
.says(
    "The capture lost frames; conditions on those bytes stay unknown.",
    "Look at the capture's drop counters; capture with a larger buffer.",
    "Catalogue 7",
);

pub(in crate::rules) const MID_STREAM: Rule = Rule::gathered(
    "mid-stream",
    "Joined late",
    Scope::Connection,
    Verdict::Normal,
    &[Criterion::gathered("late", "The file lacks the TCP SYN")],
)
.says(
    "The capture began after the connection was opened; sessions opened before may be unseen.",
    "Nothing to do.",
    "Catalogue 7",
);

pub(in crate::rules) const SEQ_REWRITTEN: Rule = Rule::gathered(
    "seq-rewritten",
    "Numbers rewritten on the way",
    Scope::Connection,
    Verdict::Normal,
    &[Criterion::gathered(
        "numbers",
        "One capture point shows the same ends with other sequence numbers than another",
    )],
)
.says(
    "A device between the capture points numbers the bytes anew, as firewalls do. What each point shows is judged by itself.",
    "Compare the two connections by their contents: a packet that only one of them has was dropped or made on the way.",
    "RFC 6528; what firewalls document as randomised sequence numbers",
);

pub(in crate::rules) const NONSTANDARD_PORT: Rule = Rule::gathered(
    "nonstandard-port",
    "SQL Server on another port",
    Scope::Connection,
    Verdict::Normal,
    &[Criterion::gathered(
        "port",
        "TDS or SMP was found on a port other than 1433",
    )],
)
.says(
    "A named instance, or a configured port. It is decoded all the same.",
    "Nothing to do.",
    "Catalogue 7",
);

pub(in crate::rules) const CLOCK_STEP: Rule = Rule::gathered(
    "clock-step",
    "Time stamps run backwards",
    Scope::Capture,
    Verdict::Normal,
    &[Criterion::gathered(
        "step",
        "A frame is stamped earlier than the frame before it",
    )],
)
.says(
    "Clock set back, or several processors or files merged. Order is that of the file.",
    "Nothing to do.",
    "Catalogue 7",
);

pub(in crate::rules) const OFFLOAD_CHECKSUM: Rule = Rule::gathered(
    "offload-checksum",
    "Checksums wrong in one direction",
    Scope::Capture,
    Verdict::Normal,
    &[Criterion::gathered(
        "one-way",
        "TCP checksums are wrong in frames of one direction only",
    )],
)
.says(
    "The capturing host leaves checksums to its network card; they are right on the wire. It tells which end it is.",
    "Nothing to do.",
    "Microsoft Learn, close sequence; Catalogue 7",
);
