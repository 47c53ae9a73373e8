//! TDS messages of one session (or of a connection without SMP): packets to messages, requests to answers.

mod data;
mod holes;

use crate::decode::tds;
use crate::decode::tds::packet_type as pt;
use crate::store::{CheckId, ConnRow, PduFlags, PduRow, Phase, SessionRow};
use crate::units::{End, Nanos, PduId, PerEnd, SessionId};

use super::login::{self, LoginState};
use super::missing::{self, Around, Missing, Place, UnderWay};
use super::order::At;
use super::out::{Broken, Ctx, warn};
use super::request_text::Texts;
use super::requests::{self, Requests, Start};
use super::sender::{ChainEnd, Message};
use super::tokens::{Walker, done};

/// The packets of one session, or of a connection outside SMP.
#[derive(Debug, Default)]
pub(super) struct Chain {
    pub(super) session: Option<SessionRow>,
    pub(super) ends: PerEnd<ChainEnd>,
    requests: Requests,
    walker: Option<Box<Walker>>,
    /// The version of what its connection lacks by which its session was clear ([`super::sessions`]), if it still is.
    pub(super) clear_at: u64,
    /// Its session was never opened, by all that the file shows, and that was not told yet.
    pub(super) unopened: bool,
    /// Its rows have changed since they were last put into a batch. Until its connection ends it stands in the list of
    /// those then.
    pub(super) changed: bool,
}

/// Who sends, where it stands in the file, and what the connection knows at that point.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment<'a> {
    pub(super) end: End,
    pub(super) at: &'a At,
    pub(super) around: &'a Around,
}

impl Moment<'_> {
    fn is_from_client(&self, conn: &ConnRow) -> Option<bool> {
        conn.known_client().map(|client| client == self.end)
    }

    /// Whether a packet of a type is one of an answer: from a server, as far as is known.
    fn is_answer(&self, kind: u8, conn: &ConnRow) -> bool {
        kind == pt::TABULAR_RESULT && self.is_from_client(conn) != Some(true)
    }

    /// Whether packets of the other end may be missing since its last one.
    fn may_miss_other(&self, chain: &Chain) -> bool {
        let other = self.end.other();
        self.around.may_miss(other, chain.ends.get(other).seen)
    }
}

impl Chain {
    /// The chain of a new session.
    pub(super) fn starting(session: SessionRow, ends: PerEnd<ChainEnd>) -> Self {
        Self {
            session: Some(session),
            ends,
            changed: true,
            ..Self::default()
        }
    }

    fn session_id(&self) -> Option<SessionId> {
        self.session.as_ref().map(|s| s.id)
    }

    /// Requests whose answer has not ended.
    pub(super) fn outstanding(&self) -> u32 {
        self.requests.outstanding()
    }

    /// Puts the changed rows into the batch.
    pub(super) fn flush(&mut self, ctx: &mut Ctx<'_>) {
        self.requests.flush(ctx);
        if std::mem::take(&mut self.changed)
            && let Some(session) = &mut self.session
        {
            for end in End::BOTH {
                let side = self.ends.get_mut(end);
                side.count(ctx.row.smp.get_mut(end));
                *session.ends.get_mut(end) = side.session_end();
            }
            session.outstanding = self.requests.outstanding();
            session.attention_outstanding = self.requests.attention_outstanding();
            session.requests = self.requests.begun;
            ctx.out.session_changed(session.clone());
        }
    }

    /// A TDS packet begins.
    #[inline]
    pub(super) fn packet_start(
        &mut self,
        moment: &Moment<'_>,
        header: tds::Header,
        pdu: &mut PduRow,
        login: &LoginState,
        ctx: &mut Ctx<'_>,
    ) {
        if !self.ends.get_mut(moment.end).goes_on_with(header) {
            self.other_packet_start(moment, UnderWay::with(header), pdu, login, ctx);
        }
    }

    /// A TDS packet begins that is not simply the next one of its message.
    #[inline(never)]
    fn other_packet_start(
        &mut self,
        moment: &Moment<'_>,
        packet: UnderWay,
        pdu: &mut PduRow,
        login: &LoginState,
        ctx: &mut Ctx<'_>,
    ) {
        let side = self.ends.get_mut(moment.end);
        if side.missing.is_something() {
            let missing = std::mem::take(&mut side.missing);
            self.packet_behind_hole(moment, packet, pdu, missing, login, ctx);
            return;
        }
        if let Some(message) = &mut side.message {
            let under_way = message.under_way();
            let is_same = message.kind == packet.kind;
            if is_same {
                message.go_on_with(packet);
            }
            if let Some(broken) = out_of_order(under_way, packet) {
                ctx.violation(broken, moment.at.frame, None, self.session_id());
            }
            if is_same {
                return;
            }
        }
        self.message_begins(moment, packet, pdu, None, login, ctx);
    }

    /// A TDS packet begins that has packets missing in front of it.
    #[cold]
    fn packet_behind_hole(
        &mut self,
        moment: &Moment<'_>,
        packet: UnderWay,
        pdu: &mut PduRow,
        missing: Missing,
        login: &LoginState,
        ctx: &mut Ctx<'_>,
    ) {
        let end = moment.end;
        let message = &mut self.ends.get_mut(end).message;
        let under_way = message.as_ref().map(Message::under_way);
        let place = missing::place(under_way, packet.kind, packet.last_packet_id, missing);
        if place == Place::Continues {
            if let Some(message) = message {
                message.go_on_with(packet);
                message.head_cut = true;
                if let Some(walker) = self.walker.as_mut().filter(|_| message.walked) {
                    walker.give_up();
                }
            }
            return;
        }
        let is_answer = moment.is_answer(packet.kind, ctx.row);
        if place == Place::Unclear && !is_answer && requests::kind(packet.kind).is_some() {
            // A request whose beginning is missing: the answers to those before it have gone by, and the next
            // is its own.
            self.requests.lose_track(ctx);
            self.drop_answer(end.other());
        }
        if packet.kind == pt::ATTENTION {
            // What it cancels may be a request that is not in the file.
            self.settle_answers(moment, pdu, ctx);
            self.requests.forget_last();
        }
        if is_answer && !login.awaits_prelogin() && self.unseen_request(moment, pdu) {
            self.requests.lose_track(ctx);
            self.drop_answer(end);
        }
        self.message_begins(moment, packet, pdu, Some(place), login, ctx);
    }

    /// A TDS packet is the first one of a message. With packets missing in front of it, `behind_hole` says where that
    /// places it: it may be a later one.
    #[expect(
        clippy::inline_always,
        reason = "where nothing is missing, as mostly, half of it falls away"
    )]
    #[inline(always)]
    fn message_begins(
        &mut self,
        moment: &Moment<'_>,
        packet: UnderWay,
        pdu: &mut PduRow,
        behind_hole: Option<Place>,
        login: &LoginState,
        ctx: &mut Ctx<'_>,
    ) {
        let unclear = behind_hole == Some(Place::Unclear);
        let is_answer = moment.is_answer(packet.kind, ctx.row);
        let login_step = match packet.kind {
            pt::PRELOGIN | pt::LOGIN7 | pt::LOGIN_OLD => true,
            pt::TABULAR_RESULT => {
                is_answer && (login.awaits_prelogin() || login.awaits_handshake())
            }
            _ => false,
        };
        let to_walk = is_answer && !login.awaits_prelogin();
        if to_walk {
            let doubt = behind_hole.is_some()
                || self.session.as_ref().is_none_or(|s| s.holes)
                || moment.may_miss_other(self);
            let taken = pdu.kind.is_smp().then(|| missing::taken(pdu));
            self.requests.answer_begins(pdu, taken, doubt, ctx);
        }
        let side = self.ends.get_mut(moment.end);
        side.head.clear();
        side.message = Some(Message {
            kind: packet.kind,
            first_frame: pdu.first_frame,
            first_time: moment.at.time,
            said: None,
            head_cut: unclear,
            last_packet_id: packet.last_packet_id,
            packet_len: packet.packet_len,
            walked: to_walk && !login_step,
            login_step,
            starts: !unclear,
            open: to_walk && login_step,
        });
        if !unclear {
            pdu.flags.set(PduFlags::MESSAGE_START);
        }
        if to_walk {
            let walker = self.walker.get_or_insert_with(|| Box::new(Walker::new()));
            if behind_hole.is_some() {
                walker.miss();
            }
            walker.begin(login.agreed());
            if unclear {
                walker.give_up();
            }
        }
    }

    /// Bytes of a TDS packet's body, behind which it has `left` more.
    #[expect(
        clippy::inline_always,
        reason = "most bytes of an answer go from here to the walk, and no further"
    )]
    #[inline(always)]
    pub(super) fn packet_body(&mut self, end: End, bytes: &[u8], left: usize, texts: &mut Texts) {
        let side = self.ends.get_mut(end);
        let Some(message) = &mut side.message else {
            return;
        };
        if !message.walked {
            message.first_bytes_tell(bytes);
        }
        if !message.walked {
            message.keep(&mut side.head, bytes, left, texts);
        } else if let Some(walker) = &mut self.walker {
            walker.feed(bytes);
        }
    }

    /// Bytes of a TDS packet's body that are not in the file.
    pub(super) fn packet_hidden(&mut self, end: End) {
        let side = self.ends.get_mut(end);
        if let Some(message) = &mut side.message {
            message.head_cut = true;
            message.open = false;
            if message.walked
                && let Some(walker) = &mut self.walker
            {
                walker.give_up();
            }
        }
    }

    /// A TDS packet is complete; status and type are those of its header.
    #[expect(
        clippy::inline_always,
        reason = "most packets end with their DATA, and what is done then is not to be taken apart"
    )]
    #[inline(always)]
    pub(super) fn packet_end(
        &mut self,
        moment: &Moment<'_>,
        pdu: &mut PduRow,
        id: PduId,
        login: &mut LoginState,
        ctx: &mut Ctx<'_>,
    ) {
        let side = self.ends.get_mut(moment.end);
        side.in_packet = false;
        let Some(message) = &mut side.message else {
            return;
        };
        let eom = side.status & tds::STATUS_EOM != 0;
        if message.walked {
            // Not a request: only answers are walked.
            let begun = message.first_time;
            self.answer_goes_on(pdu, begun, moment.at, login, ctx);
            if eom {
                self.answer_ends(moment, pdu, login, ctx);
            }
        } else {
            self.other_packet_end(moment, pdu, id, eom, login, ctx);
        }
    }

    /// A TDS packet is complete that is not one of an answer; `eom` says whether it is its message's last one.
    #[inline(never)]
    fn other_packet_end(
        &mut self,
        moment: &Moment<'_>,
        pdu: &mut PduRow,
        id: PduId,
        eom: bool,
        login: &mut LoginState,
        ctx: &mut Ctx<'_>,
    ) {
        let side = self.ends.get_mut(moment.end);
        let Some(message) = &mut side.message else {
            return;
        };
        let starts = std::mem::take(&mut message.starts);
        if message.login_step && login::is_wrapped_tls(&side.head) {
            pdu.flags.set(PduFlags::WRAPPED_TLS);
        }
        let kind = message.kind;
        if starts && kind == pt::LOGIN_OLD {
            login::before_tds7(&side.head, ctx);
        }
        let asks = kind != pt::TABULAR_RESULT && moment.is_from_client(ctx.row) != Some(false);
        if asks {
            if starts {
                let start = (id, eom);
                self.request_begins(kind, moment, pdu, start, login, ctx);
            } else if requests::kind(kind).is_some() {
                self.requests.go_on(*moment.at, ctx);
            }
        }
        if eom {
            self.message_end(moment, pdu, asks && starts, login, ctx);
        }
    }

    /// Nothing more comes, and a TDS packet whose header was read is not complete: if it is the first of a request, that
    /// was begun.
    #[cold]
    pub(super) fn packet_unfinished(
        &mut self,
        moment: &Moment<'_>,
        pdu: &PduRow,
        login: &mut LoginState,
        ctx: &mut Ctx<'_>,
    ) {
        let side = self.ends.get(moment.end);
        // In a DATA it may be what follows the packet that is not complete.
        let in_packet = side.in_packet || self.session.is_none();
        let Some(message) = side.message.as_ref().filter(|_| in_packet) else {
            return;
        };
        let (kind, starts) = (message.kind, message.starts);
        if requests::kind(kind).is_none() || moment.is_from_client(ctx.row) == Some(false) {
            return;
        }
        if starts {
            let start = (ctx.out.next_pdu(), false);
            self.request_begins(kind, moment, pdu, start, login, ctx);
        } else {
            self.requests.go_on(*moment.at, ctx);
        }
    }

    /// A client's message began with a packet of this number, with or without its end.
    #[expect(clippy::inline_always, reason = "a part of `other_packet_end`")]
    #[inline(always)]
    fn request_begins(
        &mut self,
        packet_type: u8,
        moment: &Moment<'_>,
        pdu: &PduRow,
        (id, complete): (PduId, bool),
        login: &mut LoginState,
        ctx: &mut Ctx<'_>,
    ) {
        let Moment { end, at, .. } = *moment;
        if packet_type == pt::ATTENTION {
            self.requests.attention(*at, ctx);
            return;
        }
        let Some(kind) = requests::kind(packet_type) else {
            return;
        };
        // What the file lacks of the login does not come any more.
        login.logged_in = true;
        self.settle_answers(moment, pdu, ctx);
        let session = self.session_id();
        let side = self.ends.get(end);
        let Some(message) = &side.message else {
            return;
        };
        let start = Start {
            kind,
            session,
            pdu,
            id,
            complete,
            message,
            head: &side.head,
            at,
        };
        self.requests.begin(&start, ctx);
        if self.requests.begun == 1 {
            let sid = self.session.as_ref().map(|s| s.sid);
            ctx.phase(Phase::Commands, at.done, sid);
        }
    }

    /// A packet of an answer is complete.
    #[expect(clippy::inline_always, reason = "a part of `packet_end`")]
    #[inline(always)]
    fn answer_goes_on(
        &mut self,
        pdu: &mut PduRow,
        begun: Nanos,
        at: &At,
        login: &mut LoginState,
        ctx: &mut Ctx<'_>,
    ) {
        let Some(walker) = &mut self.walker else {
            return;
        };
        if !walker.outcome.notes.is_empty() {
            login.tokens(std::mem::take(&mut walker.outcome.notes), *at, ctx);
        }
        if let Some(class) = walker.outcome.worst_class {
            walker.outcome.worst_class = None;
            pdu.flags.set(PduFlags::ERROR);
            if class >= 20 {
                pdu.flags.set(PduFlags::ERROR_FATAL);
            }
        }
        let whole = !walker.outcome.partial;
        self.requests.answer(pdu, begun, whole, at);
    }

    /// The packet with EOM of a message is complete that is not an answer to a request; `told` says that a request began
    /// with it, and was told to be complete.
    fn message_end(
        &mut self,
        moment: &Moment<'_>,
        pdu: &mut PduRow,
        told: bool,
        login: &mut LoginState,
        ctx: &mut Ctx<'_>,
    ) {
        let Moment { end, at, .. } = *moment;
        pdu.flags.set(PduFlags::MESSAGE_END);
        let wrapped = pdu.flags.has(PduFlags::WRAPPED_TLS);
        let side = self.ends.get_mut(end);
        let Some(message) = &side.message else {
            return;
        };
        login::count(ctx.row, end, message.kind, message.login_step, wrapped);
        if requests::kind(message.kind).is_none() {
            login.message(
                end,
                message.kind,
                &side.head,
                wrapped,
                message.first_frame,
                *at,
                ctx,
            );
        } else if !told {
            self.requests.sent((message, &side.head), pdu, *at, ctx);
        }
        side.message = None;
        if !side.head.is_empty() {
            side.head = Vec::new();
        }
    }

    /// The packet with EOM of an answer is complete.
    #[inline(never)]
    fn answer_ends(
        &mut self,
        moment: &Moment<'_>,
        pdu: &mut PduRow,
        login: &mut LoginState,
        ctx: &mut Ctx<'_>,
    ) {
        let at = *moment.at;
        pdu.flags.set(PduFlags::MESSAGE_END);
        let wrapped = pdu.flags.has(PduFlags::WRAPPED_TLS);
        login::count(ctx.row, moment.end, pt::TABULAR_RESULT, false, wrapped);
        self.ends.get_mut(moment.end).message = None;
        let Some(walker) = &mut self.walker else {
            return;
        };
        let read = walker.end();
        if let Some(status) = walker.outcome.last_done.filter(|_| read) {
            pdu.flags.set(PduFlags::DONE_READ);
            for (bit, flag) in [
                (done::MORE, PduFlags::DONE_MORE),
                (done::ATTN, PduFlags::DONE_ATTN),
                (done::SRVERROR, PduFlags::DONE_SRVERROR),
            ] {
                if status & bit != 0 {
                    pdu.flags.set(flag);
                }
            }
        }
        // Outside SMP a message without DONE may be a step of the login.
        let needs_done = walker.outcome.last_done.is_some() || pdu.kind.is_smp();
        if !read && needs_done && walker.is_unfinished() {
            pdu.flags.set(PduFlags::DONE_MORE);
        }
        if pdu.flags.has(PduFlags::DONE_MORE) {
            return;
        }
        pdu.flags.set(PduFlags::ANSWER_END);
        login.answer(&walker.outcome, at, ctx);
        let known = (self.requests).answered(&mut walker.outcome, read, pdu, at, ctx);
        walker.outcome.clear();
        if !known && moment.around.behind_ack(moment.end.other()) {
            let taken = pdu.kind.is_smp().then(|| missing::taken(pdu));
            self.requests.note_early(taken);
        }
    }
}

/// What a packet breaks that does not fit into the message under way, with nothing missing in between.
fn out_of_order(under_way: UnderWay, packet: UnderWay) -> Option<Broken> {
    if packet.kind != under_way.kind {
        let fact = format!(
            "packet of type {} inside a message of type {}",
            packet.kind, under_way.kind
        );
        return Some(warn(CheckId::P3, fact));
    }
    let last = under_way.last_packet_id;
    let follows = packet.last_packet_id == last.wrapping_add(1);
    let fact = || format!("PacketID {} after {last}", packet.last_packet_id);
    (!follows).then(|| warn(CheckId::P3, fact()))
}
