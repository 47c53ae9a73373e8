//! Frames: by number, by time, along a connection, and where and by whom each was sent.

use crate::store::{ConnRow, FileRow, FrameFlags, FrameRow, Oddities, PduRow, Store};
use crate::units::{ConnId, FrameNo, InterfaceId, Nanos, Side};

/// So many frames may be no copies although another point shows the rest of a connection, too.
const FEW: usize = 8;

impl Store {
    /// Number of frames indexed so far.
    pub fn frame_count(&self) -> usize {
        self.frames.len()
    }

    /// What is odd about the frames.
    pub fn oddities(&self) -> &Oddities {
        self.frames.oddities()
    }

    /// A frame by its number.
    pub fn frame(&self, no: FrameNo) -> Option<FrameRow> {
        self.frames.get(no.index())
    }

    /// When a frame was captured.
    #[inline]
    pub fn time_of(&self, no: FrameNo) -> Option<Nanos> {
        self.frames.visit(no.index(), |row| Some(row.time))
    }

    /// All frames from `from` on, in file order, with their numbers.
    pub fn frames_from(&self, from: FrameNo) -> impl Iterator<Item = (FrameNo, FrameRow)> {
        let start = from.index().min(self.frames.len());
        self.frames
            .iter_from(start)
            .enumerate()
            .map(move |(i, row)| (FrameNo::from_index(start.saturating_add(i)), row))
    }

    /// Calls `f` with so many frames from a number on. Much faster than [`Store::frames_from`] where only a few
    /// fields of each row are looked at.
    #[expect(
        clippy::inline_always,
        reason = "in a scan's loop only what the scan looks at is unpacked"
    )]
    #[inline(always)]
    pub fn each_frame(&self, from: FrameNo, len: usize, mut f: impl FnMut(FrameNo, &FrameRow)) {
        self.frames.each(from.index(), len, |index, row| {
            f(FrameNo::from_index(index), row);
        });
    }

    /// The last frame's number, if there is one.
    pub fn last_frame(&self) -> Option<FrameNo> {
        self.frames.len().checked_sub(1).map(FrameNo::from_index)
    }

    /// Time of the first frame.
    pub fn start_time(&self) -> Option<Nanos> {
        self.time_of(FrameNo(1))
    }

    /// Time of the last frame, by file order.
    pub fn end_time(&self) -> Option<Nanos> {
        self.time_of(self.last_frame()?)
    }

    /// The last frame at or before a time, by file order; where times go backwards, the last such frame.
    pub fn frame_at(&self, time: Nanos) -> Option<FrameNo> {
        let mut low = 0;
        let mut high = self.frames.len();
        while low < high {
            let mid = low.midpoint(high);
            if self.frames.get(mid).is_some_and(|f| f.time <= time) {
                low = mid.saturating_add(1);
            } else {
                high = mid;
            }
        }
        low.checked_sub(1).map(FrameNo::from_index)
    }

    /// The frames of a connection from its last to its first.
    pub fn conn_frames_back(&self, conn: ConnId) -> impl Iterator<Item = (FrameNo, FrameRow)> {
        self.frames_back(self.conn(conn).map(|c| c.last_frame))
    }

    /// When a connection was last seen by an interface: several points that show it have clocks of their own.
    pub fn last_seen(&self, conn: &ConnRow, interface: InterfaceId) -> Option<Nanos> {
        if !conn.copied {
            return Some(conn.last_time);
        }
        let mut frames = self.conn_frames_back(conn.id);
        let found = frames.find(|(_, row)| row.interface == interface);
        found.map(|(_, row)| row.time)
    }

    /// Nanoseconds from the first frame of a connection to its last, by the clock of the first.
    pub fn lasted(&self, conn: &ConnRow) -> i64 {
        let whole = conn.last_time.since(conn.first_time);
        let Some(first) = self.frame(conn.first_frame).filter(|_| conn.copied) else {
            return whole;
        };
        let (mut behind, mut fresh) = (0_usize, 0_usize);
        for (_, row) in self.conn_frames_back(conn.id) {
            if row.interface == first.interface {
                // A file that goes on where that of the first frame ends shows what is no copy.
                let goes_on = fresh > FEW && fresh.saturating_mul(4) > behind;
                return if goes_on {
                    whole
                } else {
                    row.time.since(first.time)
                };
            }
            behind = behind.saturating_add(1);
            fresh = fresh.saturating_add(usize::from(!row.flags.has(FrameFlags::DUPLICATE)));
        }
        whole
    }

    /// Nanoseconds from one frame of a connection to another, unless they were taken at two of its points, whose clocks
    /// may differ.
    pub fn between(&self, from: &FrameRow, to: &FrameRow) -> Option<i64> {
        let copied = || {
            to.conn
                .and_then(|id| self.conn(id))
                .is_some_and(|c| c.copied)
        };
        (from.interface == to.interface || !copied()).then(|| to.time.since(from.time))
    }

    /// A frame and those of its connection before it, from the last to the first.
    fn frames_back(&self, from: Option<FrameNo>) -> impl Iterator<Item = (FrameNo, FrameRow)> {
        let mut next = from;
        std::iter::from_fn(move || {
            let no = next?;
            let row = self.frame(no)?;
            next = row.prev.filter(|prev| *prev < no);
            Some((no, row))
        })
    }

    /// Calls `f` with the frames of a connection from its last to its first, for as long as it says so.
    #[expect(clippy::inline_always, reason = "only what `f` looks at is unpacked")]
    #[inline(always)]
    pub fn each_conn_frame_back(
        &self,
        conn: ConnId,
        mut f: impl FnMut(FrameNo, &FrameRow) -> bool,
    ) {
        let mut next = self.conn(conn).map(|c| c.last_frame);
        while let Some(no) = next {
            next = self.frames.visit(no.index(), |row| {
                let on = f(no, row);
                row.prev.filter(|prev| on && *prev < no)
            });
        }
    }

    /// The frames of a connection in file order.
    pub fn conn_frames(&self, conn: ConnId) -> Vec<FrameNo> {
        let mut frames: Vec<_> = self.conn_frames_back(conn).map(|(no, _)| no).collect();
        frames.reverse();
        frames
    }

    /// The frames in front of the one that completes a PDU that carry bytes of it, the nearest first: of its sender, with
    /// payload.
    pub fn parts_of(&self, pdu: &PduRow) -> impl Iterator<Item = FrameNo> {
        let (first, end) = (pdu.first_frame, pdu.end);
        self.frames_back(Some(pdu.frame))
            .skip(1)
            .take_while(move |(no, _)| *no >= first)
            .filter(move |(_, row)| row.end() == end && row.payload_len > 0)
            .map(|(no, _)| no)
    }

    /// The file that a frame stands in, and its number within it; the first is 1.
    pub fn place(&self, no: FrameNo) -> Option<(&FileRow, FrameNo)> {
        let interface = self.interface(self.frame(no)?.interface)?;
        let file = self.files.get(interface.file)?;
        if self.files.len() == 1 {
            return Some((file, no));
        }
        let number = self
            .places
            .number(no.index(), interface.file, &self.interfaces, |start| {
                self.frames.iter_from(start).map(|row| row.interface)
            })?;
        Some((file, FrameNo(number)))
    }

    /// Which side sent a frame, where its connection's client is known or assumed.
    pub fn side(&self, frame: &FrameRow) -> Option<Side> {
        let conn = self.conn(frame.conn?)?;
        Some(conn.side_of(frame.end()))
    }
}
