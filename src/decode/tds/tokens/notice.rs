//! ERROR, INFO and the DONE tokens ([MS-TDS] 2.2.7.6 to 2.2.7.13).

use super::Version;
use crate::decode::registry;
use crate::decode::walk::{Flag, Step, Walk};

/// The registry names of ERROR or INFO.
pub(super) struct Notice {
    number: &'static str,
    state: &'static str,
    class: &'static str,
    text_len: &'static str,
    text: &'static str,
    server_len: &'static str,
    server: &'static str,
    proc_len: &'static str,
    procedure: &'static str,
    line: &'static str,
}

pub(super) const ERROR: Notice = Notice {
    number: "tds.error.number",
    state: "tds.error.state",
    class: "tds.error.class",
    text_len: "tds.error.msgtext_length",
    text: "tds.error.msgtext",
    server_len: "tds.error.servername_length",
    server: "tds.error.servername",
    proc_len: "tds.error.procname_length",
    procedure: "tds.error.procname",
    line: "tds.error.linenumber",
};

pub(super) const INFO: Notice = Notice {
    number: "tds.info.number",
    state: "tds.info.state",
    class: "tds.info.class",
    text_len: "tds.info.msgtext_length",
    text: "tds.info.msgtext",
    server_len: "tds.info.servername_length",
    server: "tds.info.servername",
    proc_len: "tds.info.procname_length",
    procedure: "tds.info.procname",
    line: "tds.info.linenumber",
};

pub(super) fn notice(w: &mut Walk<'_>, version: Version, names: &Notice) -> Step<String> {
    let number = w.i32(names.number, "number")?;
    w.le(names.state, "state", 1)?;
    let class = w.le(names.class, "class", 1)?;
    w.say(class_name(class));
    let text = w.counted(names.text_len, 2, names.text, "message")?;
    w.counted(names.server_len, 1, names.server, "server")?;
    w.counted(names.proc_len, 1, names.procedure, "procedure")?;
    w.le(names.line, "line", if version.is_wide() { 4 } else { 2 })?;
    Ok(format!("{number}, class {class}: {text}"))
}

fn class_name(class: u64) -> &'static str {
    match class {
        0..=10 => "information",
        13 => "deadlock",
        14 => "permission",
        15 => "syntax",
        11..=16 => "an error that the user can correct",
        17..=19 => "resources or software",
        _ => "fatal: the connection usually ends",
    }
}

/// The registry names of DONE, DONEPROC or DONEINPROC.
pub(super) struct Done {
    status: &'static str,
    /// Status bits that the token can have.
    bits: u64,
    curcmd: &'static str,
    wide: &'static str,
    narrow: &'static str,
}

pub(super) const DONE: Done = Done {
    status: "tds.done.status",
    bits: 0x17f,
    curcmd: "tds.done.curcmd",
    wide: "tds.done.donerowcount64",
    narrow: "tds.done.donerowcount",
};
pub(super) const DONEPROC: Done = Done {
    status: "tds.doneproc.status",
    bits: 0x1ff,
    curcmd: "tds.doneproc.curcmd",
    wide: "tds.doneproc.donerowcount64",
    narrow: "tds.doneproc.donerowcount",
};
pub(super) const DONEINPROC: Done = Done {
    status: "tds.doneinproc.status",
    bits: 0x177,
    curcmd: "tds.doneinproc.curcmd",
    wide: "tds.doneinproc.donerowcount64",
    narrow: "tds.doneinproc.donerowcount",
};

const DONE_STATUS: &[Flag] = &[
    (0x001, "tds.done.status.more", "more results follow"),
    (0x002, "tds.done.status.error", "error"),
    (0x004, "tds.done.status.inxact", "in transaction"),
    (0x008, "tds.done.status.proc", "procedure"),
    (0x010, "tds.done.status.count", "row count valid"),
    (0x020, "tds.done.status.attn", "attention acknowledged"),
    (0x040, "tds.done.status.event", "event"),
    (0x080, "tds.done.status.rpcinbatch", "one of several calls"),
    (0x100, "tds.done.status.srverror", "server error"),
];

pub(super) fn done(w: &mut Walk<'_>, version: Version, names: &Done) -> Step<String> {
    let status = w.hex(names.status, "status", 2)?;
    let flags: Vec<Flag> = DONE_STATUS
        .iter()
        .copied()
        .filter(|(bit, ..)| names.bits & bit != 0)
        .collect();
    w.flags(status, &flags);
    let mut words = Vec::new();
    if status == 0 {
        w.say("final");
    }
    let command = w.hex(names.curcmd, "command", 2)?;
    if let Some(word) = registry::word("tds.done.curcmd", command) {
        w.say(word);
        words.push(word.to_owned());
    }
    let rows = if version.is_wide() {
        w.le(names.wide, "rows", 8)?
    } else {
        w.le(names.narrow, "rows", 4)?
    };
    if status & 0x10 == 0 {
        w.say("not valid");
    } else {
        words.push(format!("{rows} rows"));
    }
    for (bit, word) in [
        (0x1, "more"),
        (0x2, "error"),
        (0x20, "attention acknowledged"),
        (0x100, "server error"),
    ] {
        if status & bit != 0 {
            words.push(word.to_owned());
        }
    }
    Ok(words.join(", "))
}
