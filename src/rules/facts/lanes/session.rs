//! M3 for one session: its last DATA decides, if it is known to be the last.

use super::{
    Bounds, Doubt, Joined, Lane, Work, finished, follows, hides_data, may_have_reached,
    misnumbered, missing_behind, pending,
};
use crate::rules::facts::streams::{AnswerEnd, answer_end, end_of};
use crate::store::{PduRow, SessionRow, Store};
use crate::units::{Side, SmpSeq};

/// What a session had outstanding.
pub(super) fn session_work(
    store: &Store,
    lane: &Lane<'_>,
    session: &SessionRow,
    joined: Joined,
    bounds: Bounds<'_>,
) -> Work {
    let ends = Ends::of(lane, session, bounds);
    if joined.later && ends.asked.is_none() && ends.answered.is_none() {
        return Work::Unused;
    }
    if !joined.later && ends.client_lacks_last() {
        return ends.without_clients_last(joined);
    }
    if !joined.later && ends.are_misnumbered() {
        return ends.with_wrong_numbers();
    }
    let Some(asked) = ends.asked else {
        return ends.without_request();
    };
    if ends.unproved() && ends.may_hide_more(Side::Client, Some(asked)) {
        return Work::Unknown(Doubt::LastMissing);
    }
    ends.with_request(store, &asked)
}

/// The last packets of both sides of a session in the file, and what tells whether they are the last.
#[derive(Debug, Clone, Copy)]
struct Ends<'l> {
    lane: &'l Lane<'l>,
    session: &'l SessionRow,
    bounds: Bounds<'l>,
    asked: Option<PduRow>,
    answered: Option<PduRow>,
    /// The last packet that the client took, by its window.
    taken: Option<SmpSeq>,
    /// The server's last, by its SMP:FIN or else by what the client took.
    server_last: Option<SmpSeq>,
}

impl<'l> Ends<'l> {
    fn of(lane: &'l Lane<'l>, session: &'l SessionRow, bounds: Bounds<'l>) -> Self {
        let taken = lane
            .client_fin
            .map(|fin| fin.wndw.minus(session.initial_window.0));
        Self {
            lane,
            session,
            bounds,
            asked: *lane.last_data.get(Side::Client),
            answered: *lane.last_data.get(Side::Server),
            taken,
            server_last: lane.server_fin.map(|fin| fin.seqnum).or(taken),
        }
    }
}

/// By the client's last packet.
impl Ends<'_> {
    /// Whether the client's SMP:FIN tells of a later DATA than the file has.
    fn client_lacks_last(&self) -> bool {
        missing_behind(self.asked, self.lane.client_fin.map(|fin| fin.seqnum))
    }

    /// The client's last packet is not in the file.
    fn without_clients_last(&self, joined: Joined) -> Work {
        // What the client sent before the file began is no hole in it: what it asked then, the file answers.
        let before_file = self.asked.is_none()
            && joined.whole
            && !self.session.syn_seen
            && !hides_data(self.bounds, Side::Client, 0);
        let proved = !missing_behind(self.answered, self.server_last) && self.server_last.is_some();
        if before_file && proved {
            finished(self.lane, None)
        } else {
            Work::Unknown(Doubt::LastMissing)
        }
    }

    /// The client has sent nothing in this session, as far as the file shows.
    fn without_request(&self) -> Work {
        match (self.answered, self.lane.client_fin) {
            (_, Some(fin)) if fin.seqnum == SmpSeq(0) => Work::Unused,
            (None, None) if !self.may_hide_more(Side::Client, None) => Work::Unused,
            (Some(_), _) if !self.server_lacks_last() && !self.unproved() => {
                // Joined late: the client's side of it lies before the file.
                finished(self.lane, None)
            }
            _ => Work::Unknown(Doubt::LastMissing),
        }
    }
}

/// By the server's last packet.
impl Ends<'_> {
    /// Whether the file lacks the server's last packet. What the client had not taken, and lies in no hole in front of
    /// what it acknowledged, had not reached it.
    fn server_lacks_last(&self) -> bool {
        let end = self.answered.map_or(0, |pdu| end_of(&pdu));
        missing_behind(self.answered, self.server_last)
            && (missing_behind(self.answered, self.taken) || may_have_reached(self.bounds, end))
    }

    /// Whether no number tells the server's last packet.
    fn server_unproved(&self) -> bool {
        // Where the client left packets, its window does not tell the last that there are.
        let left = self
            .answered
            .zip(self.taken)
            .is_some_and(|(last, taken)| taken.diff(last.seqnum) < 0);
        self.unproved() || self.lane.server_fin.is_none() && left
    }

    /// Whether the file may lack packets of the server behind one that had reached the client when that closed: what had
    /// not ends no request.
    fn server_may_lack(&self, last: Option<PduRow>) -> bool {
        self.server_lacks_last() || self.server_unproved() && self.server_hides_in_reach(last)
    }

    /// Whether bytes of the server behind a packet are not in the file, could be data, and may have reached the client.
    fn server_hides_in_reach(&self, last: Option<PduRow>) -> bool {
        let from = last.map_or(0, |pdu| end_of(&pdu));
        let hidden = hides_data(self.bounds, Side::Server, from);
        hidden && may_have_reached(self.bounds, from) || last.is_none() && !self.session.syn_seen
    }
}

/// By the last packets of both.
impl Ends<'_> {
    /// Whether numbers do not tell the last packets of both sides.
    fn unproved(&self) -> bool {
        self.lane.client_fin.is_none() || self.server_last.is_none()
    }

    /// Whether bytes of a side behind a packet are not in the file and could be data.
    fn may_hide_more(&self, side: Side, last: Option<PduRow>) -> bool {
        let from = last.map_or(0, |pdu| end_of(&pdu));
        hides_data(self.bounds, side, from) || (last.is_none() && !self.session.syn_seen)
    }

    /// Whether an SMP:FIN tells of an earlier last DATA than the file has.
    fn are_misnumbered(&self) -> bool {
        misnumbered(self.asked, self.lane.client_fin)
            || misnumbered(self.answered, self.lane.server_fin)
    }

    /// The numbers are of another life of the Sid, or wrong: what the packets say decides, where none are missing.
    fn with_wrong_numbers(&self) -> Work {
        let lost = self.server_hides_in_reach(self.lane.reached);
        match self.lane.reached.map(|pdu| answer_end(&pdu)) {
            Some(AnswerEnd::No) | None if !lost => self
                .asked
                .map_or(Work::Unknown(Doubt::LastMissing), |pdu| pending(&pdu)),
            _ => Work::Unknown(Doubt::LastMissing),
        }
    }

    /// The client's last packet is in the file: whether the server's last one answers it.
    fn with_request(&self, store: &Store, asked: &PduRow) -> Work {
        let Self {
            lane,
            bounds,
            answered,
            ..
        } = *self;
        let answers = |pdu: &PduRow| follows(store, pdu, asked, bounds);
        let Some(answer) = lane.reached.filter(|pdu| answers(pdu)) else {
            // The request is the last: unless the answer lies in a hole, it has none.
            let hidden = self.server_may_lack(lane.reached.or(answered));
            let nothing_late = answered.is_none_or(|last| !answers(&last));
            return if hidden && nothing_late {
                Work::Unknown(Doubt::LastMissing)
            } else {
                pending(asked)
            };
        };
        let late_visible = answered.is_some_and(|last| last.pos > answer.pos);
        if late_visible && matches!(answer_end(&answer), AnswerEnd::No) {
            return pending(asked);
        }
        if self.server_may_lack(answered) {
            return Work::Unknown(Doubt::LastMissing);
        }
        finished(lane, Some(*asked))
    }
}
