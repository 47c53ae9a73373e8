//! The ladder as a picture: time downward, an arrow per frame.

use super::{LINE, MARGIN, Page};
use crate::export::error::ExportError;
use crate::export::job::Job;
use crate::export::ladder::{Arrow, wait};
use crate::export::time::Offsets;
use crate::report::words;
use crate::units::words::counted;
use crate::units::{FrameNo, Nanos, Side};

/// Life line of the client, and of the server.
const CLIENT: f64 = 210.0;
const SERVER: f64 = 860.0;
/// Height of an arrow's row.
const ROW: f64 = 22.0;
/// Frames drawn from the start, and from the end, where a connection is decided; those between are counted.
const FIRST: usize = 100;
const LAST: usize = 300;

pub(super) fn draw(job: &Job<'_>, page: &mut Page) -> Result<(), ExportError> {
    let store = job.store;
    let offsets = Offsets::new(store, job.plan.frames.iter());
    let several = job.plan.several_conns();
    let y = page.down(LINE);
    page.text(MARGIN, y, "quiet", "time in s");
    page.anchored(CLIENT, y, "", "middle", "client");
    page.anchored(SERVER, y, "", "middle", "server");
    page.text(SERVER + 40.0, y, "quiet", "frame");
    let top = y + 6.0;
    let mut arrows = Vec::new();
    for no in job.plan.frames.iter() {
        job.tick(u64::from(no.0))?;
        if store
            .frame(no)
            .is_some_and(|frame| Arrow::of(store, no, &frame).is_some())
        {
            arrows.push(no);
        }
    }
    let left_out = arrows.len().saturating_sub(FIRST.saturating_add(LAST));
    let mut before: Option<Nanos> = None;
    for (i, no) in arrows.into_iter().enumerate() {
        if left_out > 0 && i == FIRST {
            let y = page.down(ROW);
            let words = counted(left_out as u64, "frame");
            let words = format!("... {words} left out ...");
            page.anchored(f64::midpoint(CLIENT, SERVER), y, "quiet", "middle", &words);
        }
        if (FIRST..FIRST.saturating_add(left_out)).contains(&i) {
            continue;
        }
        let Some(frame) = store.frame(no) else {
            continue;
        };
        let Some(arrow) = Arrow::of(store, no, &frame) else {
            continue;
        };
        if let Some(wait) = wait(before, frame.time) {
            let y = page.down(ROW);
            page.anchored(f64::midpoint(CLIENT, SERVER), y, "quiet", "middle", &wait);
        }
        before = Some(frame.time);
        let y = page.down(ROW);
        page.text(MARGIN, y + 4.0, "", &offsets.show(frame.time));
        draw_arrow(page, y, no, &arrow, several);
    }
    let bottom = page.y + 8.0;
    for x in [CLIENT, SERVER] {
        page.line("life", (x, top), (x, bottom));
    }
    page.down(LINE);
    Ok(())
}

fn draw_arrow(page: &mut Page, y: f64, no: FrameNo, arrow: &Arrow, several: bool) {
    let (from, to, back) = match arrow.from {
        Side::Client => (CLIENT, SERVER, -1.0),
        Side::Server => (SERVER, CLIENT, 1.0),
    };
    let shape = if arrow.tcp { "double" } else { "arrow" };
    let class = format!("{} {shape}", arrow.from.word());
    page.line(&class, (from, y), (to, y));
    page.line(&class, (to + back * 9.0, y - 4.5), (to, y));
    page.line(&class, (to + back * 9.0, y + 4.5), (to, y));
    let conn = if several {
        format!("c{} ", arrow.conn)
    } else {
        String::new()
    };
    let label = words::cut(&arrow.label, 80).into_owned();
    let class = if label.contains("RST") {
        "rst"
    } else if label.contains("FIN") {
        "fin"
    } else if label.contains("SYN") {
        "syn"
    } else {
        ""
    };
    page.anchored(
        f64::midpoint(CLIENT, SERVER),
        y - 4.0,
        class,
        "middle",
        &format!("{conn}{label}"),
    );
    let tail = match &arrow.verdict {
        None => no.to_string(),
        Some((letter, frames)) => {
            format!("{no}  {letter} {}", words::cut(&words::frames(frames), 34))
        }
    };
    page.text(SERVER + 40.0, y + 4.0, "", &tail);
}
