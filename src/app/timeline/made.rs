//! What of the timeline is kept from one draw to the next, since it costs more than a draw may.

use std::cell::{OnceCell, RefCell};
use std::cmp::Reverse;
use std::rc::Rc;

use rustc_hash::FxHashSet;

use super::events::Events;
use super::slots::{self, Slot};
use super::{Lanes, Scale, Scene, Timeline};
use crate::export::FrameSet;
use crate::store::{Store, Verdict};
use crate::units::{ConnId, FrameNo, SessionId};

/// What was made last, each with what it was made from.
#[derive(Debug, Default)]
pub struct Memo {
    numbers: Kept<(ConnId, usize), Rc<[SessionId]>>,
    view: Kept<ViewKey, Rc<View>>,
    lanes: Kept<LanesKey, Rc<Lanes>>,
}

/// A thing that is made anew when what it is made from has changed.
#[derive(Debug)]
struct Kept<K, T>(RefCell<Option<(K, T)>>);

impl<K, T> Default for Kept<K, T> {
    fn default() -> Self {
        Self(RefCell::new(None))
    }
}

impl<K: PartialEq, T: Clone> Kept<K, T> {
    fn get(&self, key: K, make: impl FnOnce() -> T) -> T {
        let mut kept = self.0.borrow_mut();
        if let Some((old, thing)) = kept.as_ref()
            && *old == key
        {
            return thing.clone();
        }
        let thing = make();
        *kept = Some((key, thing.clone()));
        thing
    }
}

/// What the events in view depend on.
#[derive(Debug, Clone, PartialEq)]
struct ViewKey {
    from: i64,
    per_col: i64,
    scale: Scale,
    gap_ns: i64,
    conn: ConnId,
    columns: u16,
    ignored: FrameSet,
    counts: [usize; 4],
    /// On the event scale, the frame of the cursor.
    here: Option<FrameNo>,
}

impl ViewKey {
    fn of(scene: &Scene<'_>) -> Self {
        let (store, timeline) = (scene.store, scene.timeline);
        Self {
            from: timeline.from.0,
            per_col: timeline.per_col,
            scale: timeline.scale,
            gap_ns: timeline.gap_ns,
            conn: scene.conn,
            columns: scene.columns,
            ignored: scene.ignored.clone(),
            counts: [
                store.frame_count(),
                store.pdu_count(),
                store.request_count(),
                store.findings().len(),
            ],
            here: (timeline.scale == Scale::Events).then_some(scene.cursor),
        }
    }
}

/// What the lanes on screen depend on.
#[derive(Debug, PartialEq)]
struct LanesKey {
    view: ViewKey,
    shown: Vec<SessionId>,
    pinned: Vec<SessionId>,
    above: Option<usize>,
}

impl Memo {
    /// The lanes of a scene.
    pub(super) fn lanes(&self, scene: &Scene<'_>) -> Rc<Lanes> {
        let key = ViewKey::of(scene);
        let numbers = self.numbers(scene.store, scene.conn);
        let view = self
            .view
            .get(key.clone(), || Rc::new(View::new(scene, numbers)));
        let (shown, above) = view.shown(scene);
        let key = LanesKey {
            view: key,
            shown,
            pinned: scene.timeline.pinned.clone(),
            above,
        };
        let shown = key.shown.clone();
        self.lanes
            .get(key, || Rc::new(Lanes::new(scene, &view, &shown, above)))
    }

    /// The lives of a connection's Sids by number, pinned ones first.
    pub(super) fn by_number(
        &self,
        store: &Store,
        conn: ConnId,
        timeline: &Timeline,
    ) -> Vec<SessionId> {
        pinned_first(&self.numbers(store, conn), &timeline.pinned)
    }

    fn numbers(&self, store: &Store, conn: ConnId) -> Rc<[SessionId]> {
        let count = store.conn_session_ids(conn).len();
        self.numbers.get((conn, count), || {
            let all = store.conn_sessions(conn);
            let mut all: Vec<_> = all.map(|s| (s.sid, s.life, s.id)).collect();
            all.sort_unstable();
            all.into_iter().map(|key| key.2).collect()
        })
    }
}

fn pinned_first(numbers: &[SessionId], pinned: &[SessionId]) -> Vec<SessionId> {
    if pinned.is_empty() {
        return numbers.to_vec();
    }
    let (mut all, rest): (Vec<_>, Vec<_>) = numbers.iter().partition(|id| pinned.contains(id));
    all.extend(rest);
    all
}

/// The events in view, whichever lanes are shown.
#[derive(Debug)]
pub(super) struct View {
    /// What stands in each column of the event scale; empty on the linear one.
    pub(super) slots: Vec<Slot>,
    /// The events.
    pub(super) events: Events,
    /// All lives of the connection's Sids by number.
    pub(super) numbers: Rc<[SessionId]>,
    /// They again, the most telling ones first: their places among the numbers.
    telling: OnceCell<Vec<usize>>,
    /// Those on which a fault was found.
    faulty: FxHashSet<SessionId>,
}

impl View {
    fn new(scene: &Scene<'_>, numbers: Rc<[SessionId]>) -> Self {
        let (slots, events) = match scene.timeline.scale {
            Scale::Linear => (Vec::new(), Events::in_window(scene)),
            Scale::Events => {
                let slots = slots::slots(scene);
                let events = Events::in_slots(scene, &slots);
                (slots, events)
            }
        };
        let findings = scene.store.conn_findings(scene.conn);
        Self {
            slots,
            events,
            numbers,
            telling: OnceCell::new(),
            faulty: findings
                .filter(|f| f.verdict == Verdict::Fault)
                .filter_map(|f| f.session)
                .collect(),
        }
    }

    /// The sessions that have a lane, and, where the user scrolls, how many stand above them.
    fn shown(&self, scene: &Scene<'_>) -> (Vec<SessionId>, Option<usize>) {
        let room = scene.rows.saturating_sub(1);
        let total = self.numbers.len();
        let all = || pinned_first(&self.numbers, &scene.timeline.pinned);
        if total <= room {
            (all(), None)
        } else if scene.scrolled {
            let above = scene.timeline.scroll.min(total.saturating_sub(room));
            let shown = all().into_iter().skip(above).take(room).collect();
            (shown, Some(above))
        } else {
            (self.most_telling(scene, room), None)
        }
    }

    /// Where there is no room for all: pinned ones, those of the cursor, those with findings, the most active in view,
    /// the smallest numbers. They keep their order, so that moving does not shuffle them.
    fn most_telling(&self, scene: &Scene<'_>, room: usize) -> Vec<SessionId> {
        let (store, pinned) = (scene.store, &scene.timeline.pinned);
        let here = crate::app::facts::sessions_of(store, scene.cursor);
        // Only so many of those that are neither pinned nor the cursor's can come into question.
        let mut candidates: Vec<usize> = self.telling().iter().take(room).copied().collect();
        let wanted = pinned.iter().chain(&here);
        candidates.extend(wanted.filter_map(|id| self.place_of(store, *id)));
        candidates.sort_unstable();
        candidates.dedup();
        let mut order: Vec<_> = candidates
            .into_iter()
            .filter_map(|at| Some((at, *self.numbers.get(at)?)))
            .map(|(at, id)| {
                let favoured = (!pinned.contains(&id), !here.contains(&id));
                (favoured, self.rank(at, id), id)
            })
            .collect();
        order.sort_unstable();
        order.truncate(room);
        order.sort_unstable_by_key(|(favoured, rank, _)| (favoured.0, rank.2));
        order.into_iter().map(|(_, _, id)| id).collect()
    }

    fn rank(&self, at: usize, id: SessionId) -> (bool, Reverse<u32>, usize) {
        (
            !self.faulty.contains(&id),
            Reverse(self.events.count(id)),
            at,
        )
    }

    fn telling(&self) -> &[usize] {
        self.telling.get_or_init(|| {
            let all = self.numbers.iter().enumerate();
            let mut ranks: Vec<_> = all.map(|(at, id)| self.rank(at, *id)).collect();
            ranks.sort_unstable();
            ranks.into_iter().map(|(_, _, at)| at).collect()
        })
    }

    /// Where a session stands among the numbers.
    fn place_of(&self, store: &Store, id: SessionId) -> Option<usize> {
        let session = store.session(id)?;
        let key = |id: &SessionId| store.session(*id).map(|s| (s.sid, s.life, s.id));
        let wanted = (session.sid, session.life, session.id);
        let found = self.numbers.binary_search_by_key(&Some(wanted), key);
        found.ok()
    }
}
