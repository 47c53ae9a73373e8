//! The lives of Sids, and the requests that were sent in them.

use crate::store::{RequestEnd, RequestRow, RequestSigns, SessionRow, Store};
use crate::units::{ConnId, FrameNo, RequestId, SessionId, Sid, TextId};

impl Store {
    /// All sessions (lives of Sids).
    pub fn sessions(&self) -> &[SessionRow] {
        &self.sessions
    }

    /// A session by its number.
    pub fn session(&self, id: SessionId) -> Option<&SessionRow> {
        self.sessions.get(id.index())
    }

    /// The sessions of a connection, in order of opening.
    pub fn conn_sessions(&self, conn: ConnId) -> impl Iterator<Item = &SessionRow> {
        let ids = self.conn_session_ids(conn).iter();
        ids.filter_map(|id| self.session(*id))
    }

    /// Their numbers, which rise.
    pub fn conn_session_ids(&self, conn: ConnId) -> &[SessionId] {
        self.lists(conn).map_or(&[][..], |l| l.sessions.as_slice())
    }

    /// The session of a Sid that is alive at, or was last alive before, a frame.
    pub fn session_at(&self, conn: ConnId, sid: Sid, frame: FrameNo) -> Option<&SessionRow> {
        self.conn_sessions(conn)
            .filter(|s| s.sid == sid && s.open_frame <= frame)
            .last()
    }

    /// Number of requests so far.
    pub fn request_count(&self) -> usize {
        self.requests.len()
    }

    /// All requests, in order of their first frame.
    pub fn requests(&self) -> impl Iterator<Item = RequestRow> {
        (0..self.requests.len()).filter_map(|index| self.requests.get(index))
    }

    /// Calls `f` with all requests, in order of their first frame. Much faster than [`Store::requests`] where only a
    /// few fields of each row are looked at.
    #[expect(clippy::inline_always, reason = "only what `f` looks at is unpacked")]
    #[inline(always)]
    pub fn each_request(&self, mut f: impl FnMut(&RequestRow)) {
        for index in 0..self.requests.len() {
            self.requests.visit(index, &mut f);
        }
    }

    /// The requests that began before a frame or in it, the latest first.
    pub fn requests_back(&self, frame: FrameNo) -> impl Iterator<Item = RequestRow> {
        let begun = 0..self.requests.begun_at(frame);
        begun.rev().filter_map(|index| self.requests.get(index))
    }

    /// A request by its number.
    pub fn request(&self, id: RequestId) -> Option<RequestRow> {
        self.requests.get(id.index())
    }

    /// A text of requests.
    pub fn text(&self, id: TextId) -> &str {
        let text = id.index().checked_sub(1).and_then(|at| self.texts.get(at));
        text.map_or("", |text| text)
    }

    /// The requests of a connection, in order of their first frame.
    pub fn conn_requests(&self, conn: ConnId) -> impl DoubleEndedIterator<Item = RequestRow> {
        let ids = self.request_ids(conn).iter();
        ids.filter_map(|id| self.request(*id))
    }

    /// Calls `f` with the requests of a connection, in order of their first frame. Much faster than
    /// [`Store::conn_requests`] where only a few fields of each row are looked at.
    #[expect(clippy::inline_always, reason = "only what `f` looks at is unpacked")]
    #[inline(always)]
    pub fn each_conn_request(&self, conn: ConnId, mut f: impl FnMut(&RequestRow)) {
        for id in self.request_ids(conn) {
            self.requests.visit(id.index(), &mut f);
        }
    }

    /// What of the requests of a connection is rare or worth a remark.
    pub fn request_signs(&self, conn: ConnId) -> RequestSigns {
        self.lists(conn)
            .map(|l| l.request_signs)
            .unwrap_or_default()
    }

    /// How many requests a connection has.
    pub fn conn_request_count(&self, conn: ConnId) -> usize {
        self.request_ids(conn).len()
    }

    fn request_ids(&self, conn: ConnId) -> &[RequestId] {
        self.lists(conn).map_or(&[][..], |l| l.requests.as_slice())
    }

    /// The requests of a connection that were under way at a frame: sent at or before it, at least in part, and not
    /// answered to the end before or in it.
    pub fn outstanding_at(&self, conn: ConnId, frame: FrameNo) -> impl Iterator<Item = RequestRow> {
        self.conn_requests(conn)
            .filter(move |request| request.first_frame <= frame)
            .filter(move |request| match request.end {
                RequestEnd::Outstanding => true,
                // Its answer lies in a gap: where it ended is not known.
                RequestEnd::Unknown => false,
                RequestEnd::Done | RequestEnd::Error | RequestEnd::Attention => {
                    request.answer_last_frame.is_none_or(|last| last > frame)
                }
            })
    }
}
