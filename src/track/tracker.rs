//! Frames in, rows out: finds each frame's connection and keeps the connections of the capture.
//!
//! Bounds: [`MAX_CONNS`] connections; frames of further ones are kept as frames only, and a problem says so.

use crate::capture::link::{self, link_type};
use crate::capture::{Capture, Chunk, RecordMeta};
use crate::decode::net::{self, Fragments, Packet, Segment};
use crate::store::{
    Batch, FileRow, FrameFlags, FrameRow, InterfaceRow, Problem, Progress, TcpFlags, View,
};
use crate::units::{ConnId, End, FileOffset, FrameNo, InterfaceId, TcpSeq};

use super::ahead::{Ahead, First, Held};
use super::conn::{Conn, Incoming};
use super::conns::Conns;
use super::copies::FAR;
use super::out::Out;
use super::over::Over;
use super::recent::Recent;
use super::view;

/// Connections that are followed.
pub(super) const MAX_CONNS: usize = 1 << 19;

/// So many frames lie between two judgements of the view, once there is one.
const VIEW_EVERY: u32 = 50_000;

/// Transmissions of all connections that are kept until the other one of two files shows them. Each direction keeps its
/// share, or [`FAR`].
const ALL_FAR: u32 = 1 << 19;

/// So many connections that have ended are handed over in one batch.
const CONNS_AT_ONCE: usize = 4096;

/// The pass itself: takes chunks of frames and fills batches.
#[derive(Debug)]
pub(super) struct Tracker {
    out: Out,
    /// Frames may be there twice: from several interfaces, or from several files.
    several_points: bool,
    /// See [`Incoming::far`].
    far: u32,
    sources: Vec<Source>,
    fragments: Fragments,
    /// Frames from the end of the chunk before, the first of them a part whose first part may still come.
    held: Vec<Held>,
    pub(super) conns: Conns,
    /// Connections with changed rows, and their places.
    changed: Vec<(ConnId, usize)>,
    files: Vec<FileRow>,
    /// The only file has as many bytes as are read of it, or more.
    sized_by_reading: bool,
    files_changed: bool,
    view: Option<(View, Vec<String>)>,
    /// Frames at the last judgement of the view.
    view_at: u32,
    progress: Progress,
    full: bool,
    /// Frames are noted, not looked into.
    pub(super) frames_only: bool,
    pub(super) max_conns: usize,
    recent: Recent,
    pub(super) over: Over,
}

/// What the frames of an interface share.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) link_type: u32,
    file: usize,
    /// Frames since the last batch.
    frames: usize,
}

impl Tracker {
    pub(super) fn new(capture: &Capture) -> Self {
        let files = capture
            .files()
            .iter()
            .enumerate()
            .map(|(index, file)| FileRow {
                index,
                path: file.path().display().to_string(),
                format: file.format(),
                bytes: file.size(),
                frames: 0,
            })
            .collect();
        Self {
            out: Out::default(),
            several_points: capture.files().len() > 1,
            far: 0,
            sources: Vec::new(),
            fragments: Fragments::default(),
            held: Vec::new(),
            conns: Conns::default(),
            changed: Vec::new(),
            files,
            sized_by_reading: matches!(capture.files(), [file] if file.is_plain()),
            files_changed: true,
            view: None,
            view_at: 0,
            progress: Progress::default(),
            full: false,
            frames_only: false,
            max_conns: MAX_CONNS,
            recent: Recent::default(),
            over: Over::default(),
        }
    }

    /// Frames taken in so far.
    pub(super) fn frames(&self) -> u32 {
        self.out.frame_count()
    }

    /// Takes in the frames of a chunk.
    pub(super) fn chunk(&mut self, chunk: &Chunk) {
        for interface in &chunk.interfaces {
            self.sources.push(Source {
                link_type: interface.link_type,
                file: interface.file,
                frames: 0,
            });
            self.out.batch.interfaces.push(InterfaceRow {
                file: interface.file,
                local: interface.local,
                section: interface.section,
                link_type: interface.link_type,
                snap_len: interface.snap_len,
                ticks_per_second: interface.ticks_per_second,
                name: interface.name.clone(),
                holds: interface.holds,
            });
        }
        self.several_points |= self.sources.len() > 1;
        self.out.marks_wanted = self.several_points;
        self.far = self.kept_of_a_direction();
        let held = to_u32(self.held.len());
        let before = self.out.frame_count().saturating_add(held);
        self.frames_of(chunk, chunk.caught_up);
        for damage in &chunk.problems {
            let before = before.saturating_add(to_u32(damage.records_before));
            self.out.batch.problems.push(Problem {
                file: damage.file,
                offset: damage.offset,
                frame: (before > 0).then_some(FrameNo(before)),
                what: damage.what.clone(),
            });
        }
        self.progress.bytes_done = chunk.bytes_done;
        self.progress.bytes_total = chunk.bytes_total;
        self.progress.caught_up = chunk.caught_up;
    }

    /// Takes in the frames that were held back, and those of a chunk.
    fn frames_of(&mut self, chunk: &Chunk, last: bool) {
        let held = std::mem::take(&mut self.held);
        let mut ahead = Ahead {
            held: &held,
            chunk,
            records: &chunk.records,
            last,
        };
        while let Some((record, bytes)) = ahead.next_held() {
            self.out.interface = record.interface.0;
            if !self.frame(record, bytes, ahead) {
                self.held = ahead.hold(record, bytes);
                return;
            }
            self.count(record, 1);
        }
        let mut records = chunk.records.as_slice();
        while let Some(first) = records.first() {
            let taken = self.of_interface(first, records, ahead);
            self.count(first, taken);
            records = records.get(taken..).unwrap_or_default();
            if let [record, behind @ ..] = records
                && record.interface == first.interface
            {
                self.held = ahead.behind(behind.len()).hold(record, chunk.bytes(record));
                return;
            }
        }
    }

    /// Takes in frames as long as they are of one interface; says how many, as not all can be without knowing what
    /// follows.
    fn of_interface(
        &mut self,
        first: &RecordMeta,
        records: &[RecordMeta],
        ahead: Ahead<'_>,
    ) -> usize {
        self.out.interface = first.interface.0;
        let may_be_usual = self.link(first) == link_type::ETHERNET && !self.frames_only;
        let mut rest = records;
        while let [record, behind @ ..] = rest
            && record.interface == first.interface
        {
            let bytes = ahead.chunk.bytes(record);
            let at = link::BEHIND_ETHERNET;
            let is_usual = may_be_usual && link::is_ipv4_on_ethernet(bytes);
            if !(is_usual && self.goes_on(record, bytes, at)) {
                let ahead = ahead.behind(behind.len());
                let taken = if is_usual {
                    self.packet(record, bytes, at, ahead)
                } else {
                    self.frame(record, bytes, ahead)
                };
                if !taken {
                    break;
                }
            }
            rest = behind;
        }
        records.len().saturating_sub(rest.len())
    }

    /// How many transmissions of a direction are kept to find their copies on another interface. With two files these
    /// may be the files of both ends, and clocks seconds apart.
    fn kept_of_a_direction(&self) -> u32 {
        let directions = to_u32(self.conns.len()).saturating_mul(2).max(1);
        match self.files.len() {
            _ if !self.several_points => 0,
            2 => (ALL_FAR / directions).max(FAR),
            _ => FAR,
        }
    }

    fn link(&self, record: &RecordMeta) -> u32 {
        let source = self.sources.get(record.interface.index());
        source.map_or(u32::MAX, |source| source.link_type)
    }

    /// Counts frames of the interface of one.
    fn count(&mut self, record: &RecordMeta, frames: usize) {
        if let Some(source) = self.sources.get_mut(record.interface.index()) {
            source.frames = source.frames.saturating_add(frames);
        }
    }

    /// Takes in a frame, whatever it is; says whether it could without knowing what follows.
    #[inline(never)]
    fn frame(&mut self, record: &RecordMeta, bytes: &[u8], ahead: Ahead<'_>) -> bool {
        match link::ip_packet(self.link(record), bytes) {
            Some(at) if !self.frames_only => {
                self.goes_on(record, bytes, at) || self.packet(record, bytes, at, ahead)
            }
            _ => self.other(record, None, bytes, ahead),
        }
    }

    /// Takes in the frame of an IP packet at a position, of which it is known that it is no segment that just goes on.
    #[inline(never)]
    fn packet(&mut self, record: &RecordMeta, bytes: &[u8], at: usize, ahead: Ahead<'_>) -> bool {
        let packet = net::packet(bytes, at, record.wire);
        if let Packet::Tcp(segment) = &packet {
            self.tcp(record, segment, bytes, false);
            return true;
        }
        self.other(record, Some(&packet), bytes, ahead)
    }

    /// Takes in a frame without a TCP header of its own.
    #[inline(never)]
    fn other(
        &mut self,
        record: &RecordMeta,
        packet: Option<&Packet>,
        bytes: &[u8],
        ahead: Ahead<'_>,
    ) -> bool {
        if let Some(Packet::Fragment(part)) = packet
            && self.fragments.wants_first(part)
            && ahead.first_part(part, &self.sources, &mut self.fragments) == First::Later
        {
            return false;
        }
        let mut flags = cut(record);
        match packet {
            None if self.frames_only => {}
            Some(Packet::Fragment(fragment)) => {
                if let Some(segment) = &self.fragments.place(fragment, bytes) {
                    self.tcp(record, segment, bytes, true);
                    return true;
                }
                flags.set(FrameFlags::FRAGMENT);
            }
            Some(Packet::Udp(..)) => flags.set(FrameFlags::UDP),
            Some(Packet::Tcp(_) | Packet::Other(_)) => {}
            None | Some(Packet::Broken(_)) => flags.set(FrameFlags::NOT_IP),
        }
        self.out.push_other(FrameRow {
            offset: record.offset,
            time: record.time,
            captured: record.captured,
            wire: record.wire,
            conn: None,
            prev: None,
            seq: TcpSeq(0),
            ack: TcpSeq(0),
            payload_len: 0,
            payload_offset: 0,
            window: 0,
            ip_id: 0,
            tcp_flags: TcpFlags::default(),
            interface: record.interface,
            ttl: 0,
            flags,
        });
        true
    }

    /// Takes in a segment that just goes on, in the IPv4 packet at a position; says whether it is one.
    #[expect(
        clippy::inline_always,
        reason = "what a usual frame says stays in registers from its bytes to its row"
    )]
    #[inline(always)]
    fn goes_on(&mut self, record: &RecordMeta, bytes: &[u8], at: usize) -> bool {
        let Some((segment, payload)) = &net::usual(bytes, at) else {
            return false;
        };
        let incoming = &Incoming {
            payload,
            ..self.incoming(record, segment, bytes, false)
        };
        if let Some(index) = self.recent.get(segment)
            && let Some(conn) = self.conns.get_mut(index)
            && let Some(end) = conn.end_of(segment)
            && let Some(mut found) = conn.goes_on(end, incoming, &mut self.out)
        {
            found.set(self.out.found_in_pdus());
            conn.list(index, &mut self.changed);
            let flags = flags(record, segment, found);
            let of = (conn.row.id, Some(conn.last_frame()));
            if !conn.is_like_before(end, incoming, flags) {
                let row = row(record, segment, Some(of), flags);
                conn.note_news(incoming.no, row, self.several_points);
            }
            let row = row(record, segment, Some(of), flags);
            conn.count(end, incoming);
            self.out.push_frame(row);
            return true;
        }
        false
    }

    #[inline]
    fn incoming<'a>(
        &self,
        record: &RecordMeta,
        segment: &'a Segment,
        frame: &'a [u8],
        fragment: bool,
    ) -> Incoming<'a> {
        Incoming {
            segment,
            frame,
            payload: segment.payload(frame),
            no: self.out.next_frame(),
            time: record.time,
            interface: record.interface.0,
            far: self.far,
            fragment,
        }
    }

    #[inline(never)]
    fn tcp(&mut self, record: &RecordMeta, segment: &Segment, bytes: &[u8], fragment: bool) {
        let incoming = &self.incoming(record, segment, bytes, fragment);
        let found = self.find(incoming);
        let Some((index, end, conn)) =
            found.and_then(|(index, end)| Some((index, end, self.conns.get_mut(index)?)))
        else {
            let flags = flags(record, segment, FrameFlags::default());
            let row = row(record, segment, None, flags);
            self.out.push_other(row);
            return;
        };
        conn.list(index, &mut self.changed);
        let mut found = conn.segment(end, incoming, &mut self.out);
        found.set(self.out.found_in_pdus());
        let flags = flags(record, segment, found);
        let prev = Some(conn.last_frame()).filter(|prev| *prev != FrameNo::default());
        let row = row(record, segment, Some((conn.row.id, prev)), flags);
        conn.note(end, incoming, row);
        conn.pass_frame(end, incoming, flags, &mut self.out);
        // What gives its place back is not waited for.
        let may_end = conn.is_over && !conn.let_go;
        let ends = may_end && !std::mem::replace(&mut conn.is_among_over, true);
        self.out.push_other(row);
        if ends {
            self.over.push(index, incoming.no);
            self.give_up();
        }
    }

    /// The connection of a segment and the end that sent it; a new one where there is none, or where a SYN opens it
    /// again.
    fn find(&mut self, incoming: &Incoming<'_>) -> Option<(usize, End)> {
        let segment = incoming.segment;
        if let Some(index) = self.recent.get(segment)
            && let Some(conn) = self.conns.get(index)
            && let Some(end) = conn.end_of(segment)
            && !conn.is_reopened_by(end, segment)
            && !conn.is_apart(end, incoming)
        {
            return Some((index, end));
        }
        self.look_up(incoming)
    }

    #[inline(never)]
    fn look_up(&mut self, incoming: &Incoming<'_>) -> Option<(usize, End)> {
        let segment = incoming.segment;
        let (mut incarnation, mut apart) = (0, None);
        if let Some(index) = self.conns.latest(segment, incoming.interface) {
            let conn = self.conns.get_mut(index)?;
            let end = conn.end_of(segment)?;
            apart = conn.row.apart;
            if conn.is_apart(end, incoming) {
                apart = Some(InterfaceId(incoming.interface));
                self.recent
                    .forget([segment.src_port, segment.dst_port], index);
            } else if !conn.is_reopened_by(end, segment) {
                self.remember(segment, index);
                return Some((index, end));
            } else {
                incarnation = conn.row.incarnation.saturating_add(1);
                conn.let_go |= !conn.is_among_over;
                if conn.end(incoming.no, &mut self.out) || conn.let_go {
                    conn.list(index, &mut self.changed);
                }
            }
        }
        if self.conns.len() >= self.max_conns {
            self.is_full(incoming.no);
            return None;
        }
        let make = |id| {
            let mut conn = Conn::new(id, incarnation, incoming);
            conn.row.apart = apart;
            conn
        };
        let index = self.conns.add(segment, make);
        self.remember(segment, index);
        Some((index, End::A))
    }

    /// Segments with these ports need not be looked up, if the connection is theirs wherever they were captured.
    fn remember(&mut self, segment: &Segment, index: usize) {
        if !self.conns.depends_on_point(segment) {
            self.recent.put(segment, index);
        }
    }

    /// There is no room for another connection.
    fn is_full(&mut self, at: FrameNo) {
        if !std::mem::replace(&mut self.full, true) {
            self.out.batch.problems.push(Problem {
                file: 0,
                offset: FileOffset(0),
                frame: Some(at),
                what: format!(
                    "more than {} connections: frames of further ones are not assigned",
                    self.max_conns
                ),
            });
        }
    }

    /// The rows that are new or changed since the batch before.
    pub(super) fn take(&mut self) -> Batch {
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable();
        for (_, index) in changed {
            let Some(conn) = self.conns.get_mut(index) else {
                continue;
            };
            let row = conn.flush(&mut self.out);
            if conn.let_go && self.conns.put_away(index, &row) {
                self.recent.forget(row.ends.0.map(|end| end.port), index);
            }
        }
        let mut batch = self.out.take();
        for source in &mut self.sources {
            let frames = std::mem::take(&mut source.frames);
            if frames > 0
                && let Some(file) = self.files.get_mut(source.file)
            {
                let frames = u64::try_from(frames).unwrap_or(u64::MAX);
                file.frames = file.frames.saturating_add(frames);
                self.files_changed = true;
            }
        }
        if self.sized_by_reading
            && let [file] = &mut *self.files
            && file.bytes < self.progress.bytes_done
        {
            file.bytes = self.progress.bytes_done;
            self.files_changed = true;
        }
        if std::mem::take(&mut self.files_changed) {
            batch.files.clone_from(&self.files);
        }
        let now = self.view_at.saturating_add(VIEW_EVERY);
        if self.progress.complete || self.out.frame_count() >= now || self.view.is_none() {
            self.view_at = self.out.frame_count();
            let view = view::verdict(self.conns.for_view());
            if view != self.view {
                self.view.clone_from(&view);
                batch.view = view;
            }
        }
        batch.progress = self.progress.clone();
        batch
    }

    /// Ends the connection that is over for longest, if there are more than can be kept. This is done whenever one comes in,
    /// so that the memory of the one serves the next.
    fn give_up(&mut self) {
        // Two are looked at for one that came, so that those that go on behind their end do not become ever more.
        for _ in 0..2 {
            let Some((index, known)) = self.over.pop() else {
                return;
            };
            let Some(conn) = self.conns.get_mut(index) else {
                return;
            };
            let last = conn.last_frame();
            if last > known {
                self.over.push(index, last);
            } else {
                conn.end(last, &mut self.out);
                conn.let_go = true;
                conn.list(index, &mut self.changed);
            }
        }
    }

    /// Nothing more comes: all connections end. Hands over what that changes, the last batch with why the capture was
    /// not read to its end, if so.
    pub(super) fn finish(&mut self, stopped: Option<String>, mut hand_over: impl FnMut(Batch)) {
        self.frames_of(&Chunk::default(), true);
        let last = FrameNo(self.out.frame_count());
        for index in self.conns.all_whole() {
            if let Some(conn) = self.conns.get_mut(index)
                && conn.end(last, &mut self.out)
            {
                conn.list(index, &mut self.changed);
            }
            // So that the rows of very many connections are not all there twice at once.
            if self.changed.len() >= CONNS_AT_ONCE {
                hand_over(self.take());
            }
        }
        self.progress.complete = true;
        self.progress.caught_up = false;
        self.progress.stopped = stopped;
        hand_over(self.take());
    }
}

/// The row of a segment's frame, with its connection and the frame before it there.
#[inline]
fn row(
    record: &RecordMeta,
    segment: &Segment,
    of: Option<(ConnId, Option<FrameNo>)>,
    flags: FrameFlags,
) -> FrameRow {
    FrameRow {
        offset: record.offset,
        time: record.time,
        captured: record.captured,
        wire: record.wire,
        conn: of.map(|(conn, _)| conn),
        prev: of.and_then(|(_, prev)| prev),
        seq: segment.seq,
        ack: segment.ack,
        payload_len: segment.payload_len,
        payload_offset: segment.payload_offset,
        window: segment.window,
        ip_id: segment.ip.id,
        tcp_flags: TcpFlags(segment.flags),
        interface: record.interface,
        ttl: segment.ip.ttl,
        flags,
    }
}

/// What is said of a segment's frame, with what was found out about it.
#[inline]
fn flags(record: &RecordMeta, segment: &Segment, found: FrameFlags) -> FrameFlags {
    let mut flags = cut(record);
    flags.set(FrameFlags::TCP);
    flags.set(found);
    if segment.ip.src.is_ipv6() {
        flags.set(FrameFlags::IPV6);
    }
    flags
}

fn cut(record: &RecordMeta) -> FrameFlags {
    if record.captured < record.wire {
        FrameFlags::CUT
    } else {
        FrameFlags::default()
    }
}

fn to_u32(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
