//! The lanes as a picture: one per life of a Sid, one for TCP, time from left to right.

use std::collections::BTreeSet;

use super::{LINE, MARGIN, Page, WIDTH};
use crate::export::error::ExportError;
use crate::export::job::Job;
use crate::export::time::seconds;
use crate::store::{ClosedBy, ConnRow, PduKind, SessionRow, Store};
use crate::units::words::counted;
use crate::units::{FrameNo, Nanos, Side};

/// Where the time axis begins and ends.
const LEFT: f64 = 110.0;
const RIGHT: f64 = WIDTH - 250.0;
/// Height of a lane.
const LANE: f64 = 20.0;
/// Lanes drawn; more are counted.
const MAX_LANES: usize = 200;

pub(super) fn draw(job: &Job<'_>, page: &mut Page) -> Result<(), ExportError> {
    let store = job.store;
    let Some(scale) = Scale::of(job) else {
        let y = page.down(LINE);
        page.text(
            MARGIN,
            y,
            "quiet",
            "No frame of a connection is among those chosen.",
        );
        return Ok(());
    };
    let lanes: usize = job
        .plan
        .conns
        .iter()
        .map(|id| {
            store
                .conn_sessions(*id)
                .filter(|s| scale.shows(store, s))
                .count()
                .saturating_add(1)
        })
        .sum();
    let top = page.down(LINE);
    axis(page, &scale, top, lanes.min(MAX_LANES));
    let mut drawn = 0_usize;
    for conn in job.plan.conns.iter().filter_map(|id| store.conn(*id)) {
        for session in store
            .conn_sessions(conn.id)
            .filter(|s| scale.shows(store, s))
        {
            job.tick(0)?;
            drawn = drawn.saturating_add(1);
            if drawn < MAX_LANES {
                let several = job.plan.several_conns();
                session_lane(job, page, &scale, conn, session, several);
            }
        }
        drawn = drawn.saturating_add(1);
        if drawn <= MAX_LANES {
            tcp_lane(job, page, &scale, conn);
        }
    }
    if drawn > MAX_LANES {
        let y = page.down(LINE);
        let more = drawn.saturating_sub(MAX_LANES) as u64;
        page.text(
            MARGIN,
            y,
            "quiet",
            &format!("and {}", counted(more, "more lane")),
        );
    }
    page.down(LINE);
    Ok(())
}

/// Time to horizontal position.
struct Scale {
    start: i64,
    span: f64,
    origin: Nanos,
}

impl Scale {
    fn of(job: &Job<'_>) -> Option<Self> {
        let times = || {
            job.plan
                .frames
                .iter()
                .filter_map(|no| job.store.frame(no))
                .filter(|f| f.conn.is_some())
                .map(|f| f.time.0)
        };
        let (start, end) = (times().min()?, times().max()?);
        Some(Self {
            start,
            span: length(end.saturating_sub(start)).max(1.0),
            origin: job.store.start_time().unwrap_or(Nanos(start)),
        })
    }

    fn x(&self, time: Nanos) -> f64 {
        let part = length(time.0.saturating_sub(self.start)) / self.span;
        LEFT + part.clamp(0.0, 1.0) * (RIGHT - LEFT)
    }

    /// Whether a time is among those shown; what lies before or behind is not drawn at the border.
    fn holds(&self, time: Nanos) -> bool {
        let end = self.start.saturating_add(nanos(self.span));
        (self.start..=end).contains(&time.0)
    }

    /// Whether a stretch of time reaches into what is shown.
    fn overlaps(&self, from: Nanos, to: Nanos) -> bool {
        let end = self.start.saturating_add(nanos(self.span));
        from.0 <= end && to.0 >= self.start
    }

    /// Whether a session was alive within the time that is shown.
    fn shows(&self, store: &Store, session: &SessionRow) -> bool {
        let time = |no: FrameNo| store.frame(no).map_or(self.start, |f| f.time.0);
        let end = self.start.saturating_add(nanos(self.span));
        time(session.open_frame) <= end && time(session.last_frame) >= self.start
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a position on a page of 1200 units"
)]
fn length(ns: i64) -> f64 {
    ns as f64
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a span that came from an i64"
)]
fn nanos(length: f64) -> i64 {
    length as i64
}

/// The time axis with round steps.
fn axis(page: &mut Page, scale: &Scale, top: f64, lanes: usize) {
    let bottom = top + LANE * f64::from(u32::try_from(lanes).unwrap_or(u32::MAX)) + 4.0;
    let step = round_step(scale.span / 6.0);
    let offset = scale.start.saturating_sub(scale.origin.0);
    let step_ns = nanos(step).max(1);
    let mut at = offset
        .div_euclid(step_ns)
        .saturating_add(1)
        .saturating_mul(step_ns);
    let digits = if step_ns % 1_000_000 == 0 {
        3
    } else if step_ns % 1_000 == 0 {
        6
    } else {
        9
    };
    while at <= offset.saturating_add(nanos(scale.span)) {
        let x = scale.x(Nanos(scale.origin.0.saturating_add(at)));
        page.line("grid", (x, top), (x, bottom));
        page.anchored(x, top - 4.0, "quiet", "middle", &seconds(at, digits));
        at = at.saturating_add(step_ns);
    }
    page.text(MARGIN, top - 4.0, "quiet", "seconds");
}

/// The next step of 1, 2 or 5 times a power of ten.
fn round_step(least: f64) -> f64 {
    let mut step = 1.0;
    loop {
        for factor in [1.0, 2.0, 5.0] {
            if step * factor >= least {
                return step * factor;
            }
        }
        step *= 10.0;
    }
}

fn session_lane(
    job: &Job<'_>,
    page: &mut Page,
    scale: &Scale,
    conn: &ConnRow,
    session: &SessionRow,
    several: bool,
) {
    let store = job.store;
    let y = page.down(LANE);
    let mid = y - LANE / 2.0 + 4.0;
    let life = "'".repeat(
        usize::try_from(session.life.saturating_sub(1))
            .unwrap_or(0)
            .min(3),
    );
    let name = if several {
        format!("c{} Sid {}{life}", conn.id, session.sid)
    } else {
        format!("Sid {}{life}", session.sid)
    };
    page.text(MARGIN, mid + 4.0, "", &name);
    let time = |no| store.time_of(no);
    if let (Some(from), Some(to)) = (time(session.open_frame), time(session.last_frame)) {
        page.line("open", (scale.x(from), mid), (scale.x(to), mid));
    }
    for request in store
        .conn_requests(conn.id)
        .filter(|r| r.session == Some(session.id))
    {
        let end = request
            .answer_last_frame
            .or(Some(session.last_frame))
            .and_then(time);
        if let Some(end) = end.filter(|end| scale.overlaps(request.start, *end)) {
            page.line(
                "wait",
                (scale.x(request.start), mid),
                (scale.x(end).max(scale.x(request.start) + 1.0), mid),
            );
        }
    }
    let mut ticks = BTreeSet::new();
    let mut letters = BTreeSet::new();
    for side in Side::BOTH {
        let end = conn.end_of(side);
        for (_, pdu) in store.pdu_chain_back(session.ends.get(end).last_pdu) {
            let Some(at) = time(pdu.frame).filter(|at| scale.holds(*at)) else {
                continue;
            };
            let x = nanos(scale.x(at) * 2.0);
            match pdu.kind {
                PduKind::Data => drop(ticks.insert((x, side.word()))),
                PduKind::Ack => drop(ticks.insert((x, "ack"))),
                PduKind::Syn => drop(letters.insert((x, "syn", "S"))),
                PduKind::Fin => drop(letters.insert((x, "fin", "F"))),
                _ => {}
            }
        }
    }
    for (x, class) in ticks {
        let x = length(x) / 2.0;
        let (from, to) = match class {
            "client" => (mid - 7.0, mid),
            "server" => (mid, mid + 7.0),
            _ => (mid - 2.0, mid + 2.0),
        };
        page.line(class, (x, from), (x, to));
    }
    for (x, class, letter) in letters {
        page.anchored(length(x) / 2.0, mid + 4.0, class, "middle", letter);
    }
    page.text(
        RIGHT + 12.0,
        mid + 4.0,
        "quiet",
        &session_tail(conn, session),
    );
}

fn session_tail(conn: &ConnRow, session: &SessionRow) -> String {
    let end = match session.closed_by(conn.client) {
        ClosedBy::Both => "closed",
        ClosedBy::Client => "client FIN only",
        ClosedBy::Server => "server FIN only",
        ClosedBy::Nobody => "open",
    };
    let waiting = if session.outstanding > 0 {
        format!(", {} waiting", session.outstanding)
    } else {
        String::new()
    };
    format!(
        "{}, {end}{waiting}",
        counted(u64::from(session.requests), "request")
    )
}

fn tcp_lane(job: &Job<'_>, page: &mut Page, scale: &Scale, conn: &ConnRow) {
    let store = job.store;
    let y = page.down(LANE);
    let mid = y - LANE / 2.0 + 4.0;
    let name = if job.plan.several_conns() {
        format!("c{} TCP", conn.id)
    } else {
        "TCP".to_owned()
    };
    page.text(MARGIN, mid + 4.0, "", &name);
    page.line(
        "open",
        (scale.x(conn.first_time), mid),
        (scale.x(conn.last_time), mid),
    );
    let mut letters = BTreeSet::new();
    let mut verdicts = BTreeSet::new();
    let mut resets = 0_u64;
    for (no, frame) in store.conn_frames_back(conn.id) {
        let flags = frame.tcp_flags;
        let letter = if flags.rst() {
            resets = resets.saturating_add(1);
            ("rst", "R")
        } else if flags.fin() {
            ("fin", "F")
        } else if flags.syn() {
            ("syn", "S")
        } else {
            continue;
        };
        if let Some(finding) = store.finding_on(no) {
            verdicts.insert(finding.verdict.letter());
        }
        if !scale.holds(frame.time) {
            continue;
        }
        letters.insert((nanos(scale.x(frame.time) * 2.0), letter.0, letter.1));
    }
    // Letters that would cover each other step to the right.
    let mut last = f64::MIN;
    for (x, class, letter) in letters {
        let x = (length(x) / 2.0).max(last + 8.0);
        last = x;
        page.anchored(x, mid + 4.0, class, "middle", letter);
    }
    let verdicts: String = verdicts.into_iter().filter(|c| *c != ' ').collect();
    let tail = if resets > 0 {
        format!("{} {verdicts}", counted(resets, "RST"))
    } else {
        verdicts
    };
    page.text(
        (RIGHT + 12.0).max(last + 12.0),
        mid + 4.0,
        "quiet",
        tail.trim(),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_the_axis_are_round() {
        assert!((round_step(0.3) - 1.0).abs() < 1e-9);
        assert!((round_step(3.0) - 5.0).abs() < 1e-9);
        assert!((round_step(120.0) - 200.0).abs() < 1e-9);
    }
}
