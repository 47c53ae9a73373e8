//! What an export will take, worked out before anything is written: frames, connections, bytes and problems.

use super::format::Format;
use super::frames::{FrameSet, parse_frames};
use crate::store::{Phase, Store};
use crate::units::runs::in_words;
use crate::units::words::counted;
use crate::units::{ConnId, FindingId, FrameNo, Holds, InterfaceId, SessionId, Sid, Side};

/// What to take from the capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The frames marked by the user.
    Marked(FrameSet),
    /// The range that the user drew.
    Range(FrameNo, FrameNo),
    /// The frames that a filter leaves.
    Filtered(FrameSet),
    /// All lives of a Sid of a connection.
    Sid(ConnId, Sid),
    /// One life of a session.
    Session(SessionId),
    /// A connection.
    Connection(ConnId),
    /// The evidence and marks of a finding.
    Finding(FindingId),
    /// Frames as typed: `5,10-15,20-,-5`, `@12.0..12.1`.
    Typed(String),
    /// All frames.
    All,
}

/// What to add to the chosen frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Context {
    /// TCP handshake, PRELOGIN and login of each connection concerned.
    pub opening: bool,
    /// That many last frames of each direction of each connection concerned.
    pub last_frames: usize,
    /// Everything between the first and the last chosen frame.
    pub between: bool,
}

/// A request for an export, as the form on screen and the command line make it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What to take.
    pub what: What,
    /// What to add.
    pub context: Context,
    /// Frames to leave out, whatever else says to take them.
    pub ignored: FrameSet,
}

impl Choice {
    /// A choice without context that ignores nothing.
    pub fn of(what: What) -> Self {
        Self {
            what,
            context: Context::default(),
            ignored: FrameSet::new(),
        }
    }
}

/// What an export will take. Made by [`Plan::new`]; the writers take it as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The frames, in file order.
    pub frames: FrameSet,
    /// Those of them that the context added.
    pub context: FrameSet,
    /// Their connections, by number.
    pub conns: Vec<ConnId>,
    /// Their interfaces, by number; without what stands for blocks that carry no frame.
    pub interfaces: Vec<InterfaceId>,
    /// Their captured bytes, without the file's own headers.
    pub bytes: u64,
    /// Their link types, each once.
    pub link_types: Vec<u32>,
    /// Some of them were cut by the snap length.
    pub cut_frames: u64,
    /// So many of them are blocks of pcapng that carry no frame.
    pub blocks: u64,
    /// So many more are such blocks that ask not to be copied.
    pub blocks_to_leave: u64,
    /// What stands in the way; a plan with problems writes nothing.
    pub problems: Vec<String>,
    /// What is worth knowing, but does not stand in the way.
    pub remarks: Vec<String>,
    /// What was chosen, in words.
    pub title: String,
}

impl Plan {
    /// Whether it has to be said of its frames which connection is meant.
    pub fn several_conns(&self) -> bool {
        self.conns.len() > 1
    }

    /// Works out what a choice takes from the frames indexed so far.
    pub fn new(store: &Store, choice: &Choice) -> Self {
        let mut plan = Self {
            title: title(&choice.what, store),
            ..Self::default()
        };
        let chosen = match pick(store, &choice.what) {
            Ok(frames) => frames,
            Err(problem) => {
                plan.problems.push(problem);
                return plan;
            }
        };
        let added = context_frames(store, &chosen, choice.context);
        let last = store.last_frame().unwrap_or(FrameNo(0));
        plan.frames = chosen.union(&added).minus(&choice.ignored).up_to(last);
        plan.context = added.minus(&chosen).minus(&choice.ignored);
        if plan.frames.is_empty() {
            plan.problems.push(if chosen.is_empty() {
                format!("{}: no such frames in this capture", plan.title)
            } else {
                "all chosen frames are ignored".to_owned()
            });
        }
        plan.count(store);
        if !store.progress().complete {
            plan.remarks.push(
                "the capture is not read to its end; later frames are not in the plan".into(),
            );
        }
        plan
    }

    /// Whether it can be written.
    pub fn is_ready(&self) -> bool {
        self.problems.is_empty()
    }

    /// What a capture file of it holds, in one line: `13 frames, 3 connections, 2.9 kB, link type Ethernet, times
    /// unchanged`.
    pub fn summary(&self) -> String {
        self.summary_as(Format::Pcapng, None)
    }

    /// What a file of a format holds, in one line. The frames' bytes say nothing of files that are no captures: those
    /// have a length only where it is given, as that of the whole file.
    pub fn summary_as(&self, format: Format, bytes: Option<u64>) -> String {
        let mut parts = vec![
            counted(self.frames.len(), "frame"),
            counted(self.conns.len() as u64, "connection"),
        ];
        let of_frames = format.is_capture().then_some(self.bytes);
        parts.extend(bytes.or(of_frames).map(human_bytes));
        if !format.is_capture() {
            parts.push(format.about().to_owned());
            return parts.join(", ");
        }
        if !self.link_types.is_empty() {
            let names: Vec<_> = self.link_types.iter().map(|l| link_type_name(*l)).collect();
            let word = if names.len() == 1 {
                "link type"
            } else {
                "link types"
            };
            parts.push(format!("{word} {}", names.join(" and ")));
        }
        parts.push("times unchanged".into());
        parts.join(", ")
    }

    fn count(&mut self, store: &Store) {
        let frames = std::mem::take(&mut self.frames);
        for (first, last) in frames.ranges() {
            let len = usize::try_from(last.0.saturating_sub(first.0)).unwrap_or(usize::MAX);
            store.each_frame(first, len.saturating_add(1), |_, frame| {
                self.bytes = self.bytes.saturating_add(u64::from(frame.captured));
                if frame.captured < frame.wire {
                    self.cut_frames = self.cut_frames.saturating_add(1);
                }
                if let Some(conn) = frame.conn {
                    insert_sorted(&mut self.conns, conn);
                }
                match store.interface(frame.interface).map(|row| row.holds) {
                    Some(Holds::Blocks) => self.blocks = self.blocks.saturating_add(1),
                    Some(Holds::BlocksToLeave) => {
                        self.blocks_to_leave = self.blocks_to_leave.saturating_add(1);
                    }
                    Some(Holds::Frames) | None => {
                        insert_sorted(&mut self.interfaces, frame.interface);
                    }
                }
            });
        }
        self.frames = frames;
        for interface in &self.interfaces {
            if let Some(row) = store.interface(*interface) {
                insert_sorted(&mut self.link_types, row.link_type);
            }
        }
    }
}

/// Keeps a short list sorted and free of doubles; runs of the same value cost one comparison.
pub(super) fn insert_sorted<T: Ord + Copy>(list: &mut Vec<T>, value: T) {
    if list.last() == Some(&value) {
        return;
    }
    if let Err(at) = list.binary_search(&value) {
        list.insert(at, value);
    }
}

fn pick(store: &Store, what: &What) -> Result<FrameSet, String> {
    match what {
        What::Marked(frames) if frames.is_empty() => Err("no frame is marked".into()),
        What::Filtered(frames) if frames.is_empty() => Err("the filter matches no frame".into()),
        What::Marked(frames) | What::Filtered(frames) => Ok(frames.clone()),
        What::Range(first, last) => Ok(FrameSet::range(*first, *last)),
        What::Sid(conn, sid) => sid_frames(store, *conn, *sid),
        What::Session(session) => session_frames(store, *session),
        What::Connection(conn) => match store.conn(*conn) {
            Some(_) => Ok(store.conn_frames(*conn).into_iter().collect()),
            None => Err(format!(
                "there is no connection {conn}; this capture has {}",
                numbered(store.conns().len() as u64, "connection")
            )),
        },
        What::Finding(finding) => match store.finding(*finding) {
            Some(finding) => Ok(finding.frames().into_iter().collect()),
            None => Err(format!(
                "there is no finding {finding}; this capture has {}",
                numbered(store.findings().len() as u64, "finding")
            )),
        },
        What::Typed(text) => parse_frames(text, store).map_err(|e| e.to_string()),
        What::All => Ok(store
            .last_frame()
            .map(|last| FrameSet::range(FrameNo(1), last))
            .unwrap_or_default()),
    }
}

fn sid_frames(store: &Store, conn: ConnId, sid: Sid) -> Result<FrameSet, String> {
    let sids: Vec<_> = store.conn_sessions(conn).collect();
    if !sids.iter().any(|s| s.sid == sid) {
        let mut known: Vec<_> = sids.iter().map(|s| s.sid.0).collect();
        known.sort_unstable();
        known.dedup();
        return Err(if known.is_empty() {
            format!("connection {conn} has no Sid {sid}: no SMP packet was seen on it")
        } else {
            format!(
                "connection {conn} has no Sid {sid}; its Sids are {}",
                in_words(&known, " ", 20)
            )
        });
    }
    let lives = sids.iter().filter(|s| s.sid == sid);
    Ok(lives
        .filter_map(|s| session_frames(store, s.id).ok())
        .fold(FrameSet::new(), |all, life| all.union(&life)))
}

/// Every frame that carries bytes of a session's packets, the first parts of packets over several frames included.
fn session_frames(store: &Store, session: SessionId) -> Result<FrameSet, String> {
    let row = store
        .session(session)
        .ok_or_else(|| format!("there is no session {session}"))?;
    let mut frames = Vec::new();
    for end in crate::units::End::BOTH {
        for (_, pdu) in store.pdu_chain_back(row.ends.get(end).last_pdu) {
            frames.push(pdu.frame);
            frames.extend(store.parts_of(&pdu));
        }
    }
    Ok(frames.into_iter().collect())
}

fn context_frames(store: &Store, chosen: &FrameSet, context: Context) -> FrameSet {
    let mut added = FrameSet::new();
    if context.between
        && let (Some(first), Some(last)) = (chosen.first(), chosen.last())
    {
        added = FrameSet::range(first, last);
    }
    if !context.opening && context.last_frames == 0 {
        return added;
    }
    let mut conns = Vec::new();
    for frame in chosen.iter().filter_map(|no| store.frame(no)) {
        if let Some(conn) = frame.conn {
            insert_sorted(&mut conns, conn);
        }
    }
    for conn in conns {
        if context.opening {
            added = added.union(&opening_frames(store, conn));
        }
        for side in Side::BOTH {
            let last: FrameSet = store
                .conn_frames_back(conn)
                .filter(|(_, frame)| store.side(frame) == Some(side))
                .take(context.last_frames)
                .map(|(no, _)| no)
                .collect();
            added = added.union(&last);
        }
    }
    added
}

/// The connection's frames before its first session or command: handshake, PRELOGIN, TLS and login.
fn opening_frames(store: &Store, conn: ConnId) -> FrameSet {
    let Some(row) = store.conn(conn) else {
        return FrameSet::new();
    };
    let opening = |phase: Phase| {
        matches!(
            phase,
            Phase::Connect | Phase::Prelogin | Phase::Tls | Phase::Login
        )
    };
    let Some(seen) = row.phases.iter().find(|p| opening(p.phase)) else {
        return FrameSet::new();
    };
    let end = row
        .phases
        .iter()
        .find(|p| p.frame >= seen.frame && !opening(p.phase))
        .map_or(row.last_frame.0.saturating_add(1), |p| p.frame.0);
    store
        .conn_frames(conn)
        .into_iter()
        .filter(|no| no.0 < end)
        .collect()
}

fn title(what: &What, store: &Store) -> String {
    match what {
        What::Marked(frames) => format!("{} marked", frames.len()),
        What::Range(first, last) => format!("range {first}-{last}"),
        What::Filtered(frames) => format!("{} filtered", frames.len()),
        What::Sid(conn, sid) => format!("Sid {sid} of connection {conn}"),
        What::Session(session) => store.session(*session).map_or_else(
            || format!("session {session}"),
            |s| format!("Sid {} life {} of connection {}", s.sid, s.life, s.conn),
        ),
        What::Connection(conn) => format!("connection {conn}"),
        What::Finding(finding) => store.finding(*finding).map_or_else(
            || format!("finding {finding}"),
            |f| format!("finding {finding} ({})", f.rule),
        ),
        What::Typed(text) => format!("frames {text}"),
        What::All => "all frames".into(),
    }
}

/// Which numbers there are of what is counted from 0: `connections 0 to 10`.
fn numbered(n: u64, what: &str) -> String {
    match n {
        0 => format!("no {what}s"),
        1 => format!("only {what} 0"),
        n => format!("{what}s 0 to {}", n.saturating_sub(1)),
    }
}

/// Bytes for people: `2.9 kB`.
pub(super) fn human_bytes(bytes: u64) -> String {
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut unit = 1_000_u64;
    for (name, next) in [("kB", 1_000_000), ("MB", 1_000_000_000), ("GB", u64::MAX)] {
        if bytes < next {
            let tenths = bytes.saturating_mul(10).saturating_add(unit / 2) / unit;
            return format!("{}.{} {name}", tenths / 10, tenths % 10);
        }
        unit = next;
    }
    format!("{bytes} B")
}

/// The name of a link type (LINKTYPE_ registry), or its number.
pub(super) fn link_type_name(link_type: u32) -> String {
    match link_type {
        0 => "BSD loopback".into(),
        1 => "Ethernet".into(),
        101 => "raw IP".into(),
        108 => "OpenBSD loopback".into(),
        113 => "Linux cooked".into(),
        228 => "raw IPv4".into(),
        229 => "raw IPv6".into(),
        276 => "Linux cooked 2".into(),
        other => other.to_string(),
    }
}
