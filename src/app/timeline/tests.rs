//! Steps, windows, cells, and the lanes of connections with many Sids.

use super::*;
use crate::units::FrameNo;

#[test]
fn steps_are_one_two_five() {
    let mut step = 1;
    let mut seen = vec![step];
    for _ in 0..6 {
        step = round_step(step + 1);
        seen.push(step);
    }
    assert_eq!(seen, [1, 2, 5, 10, 20, 50, 100]);
    for pair in seen.windows(2) {
        assert_eq!(smaller_step(pair[1]), pair[0]);
    }
    assert_eq!(smaller_step(1), 1);
}

#[test]
fn zooming_keeps_the_time_in_its_column() {
    let mut timeline = Timeline::default();
    timeline.fit(Nanos(0), Nanos(60_000_000), 60);
    let time = Nanos(30_000_000);
    let before = timeline.column(time, 60).unwrap();
    for closer in [true, true, false, true] {
        timeline.zoom(time, 60, closer);
        assert_eq!(timeline.column(time, 60), Some(before));
    }
}

#[test]
fn fit_shows_both_ends() {
    for span in [1_i64, 999, 1_000_000, 3_600_000_000_000] {
        let mut timeline = Timeline::default();
        timeline.fit(Nanos(5), Nanos(5 + span), 60);
        assert!(timeline.column(Nanos(5), 60).is_some());
        assert!(timeline.column(Nanos(5 + span), 60).is_some());
    }
}

#[test]
fn a_request_and_a_reply_in_one_cell_are_both_and_a_reset_wins() {
    let mut cell = Cell::default();
    cell.hit(Mark::Request);
    cell.hit(Mark::Reply);
    assert_eq!((cell.mark, cell.events), (Mark::Both, 2));
    cell.hit(Mark::Reset);
    cell.hit(Mark::Ack);
    assert_eq!(cell.mark.letter(), 'R');
}

use crate::app::testing::{app, many_sids, press};
use crate::app::{App, Event, update};

fn shown(app: &App) -> Vec<String> {
    let area = app.layout().lanes.unwrap();
    let lanes = app.lanes(area).unwrap();
    lanes.lanes.iter().map(|lane| lane.name.clone()).collect()
}

fn text(app: &App, name: &str) -> String {
    let area = app.layout().lanes.unwrap();
    let lanes = app.lanes(area).unwrap();
    let lane = lanes.lanes.iter().find(|lane| lane.name == name).unwrap();
    lane.cells.iter().map(|cell| cell.mark.letter()).collect()
}

#[test]
fn with_more_sids_than_rows_the_cursors_the_pinned_and_the_busiest_are_shown() {
    for sids in [50, 2000] {
        let mut app = many_sids(sids, 33);
        press(&mut app, "0");
        assert_eq!(shown(&app), ["Sid 0", "Sid 1", "Sid 33", "TCP"], "{sids}");
        // Sid 20 sends in frames 41 and 42; its lane is kept when the cursor goes on.
        press(&mut app, "4 2 G P g g");
        assert_eq!(shown(&app), ["Sid 20", "Sid 0", "Sid 33", "TCP"], "{sids}");
        press(&mut app, "4 2 G P g g");
        assert_eq!(shown(&app), ["Sid 0", "Sid 1", "Sid 33", "TCP"], "{sids}");
    }
}

#[test]
fn with_the_focus_every_lane_can_be_scrolled_to() {
    let mut app = many_sids(50, 33);
    press(&mut app, "0 Tab");
    let mut seen = std::collections::BTreeSet::new();
    for sid in 0..50 {
        seen.extend(shown(&app));
        assert_eq!(app.lane_of_cursor(), LaneOf::Session(SessionId(sid)));
        press(&mut app, "j");
    }
    assert_eq!(seen.len(), 51);
    assert_eq!(app.lane_of_cursor(), LaneOf::Tcp);
    press(&mut app, "j");
    assert_eq!(app.lane_of_cursor(), LaneOf::Tcp);
    press(&mut app, "g g");
    assert_eq!(shown(&app), ["Sid 0", "Sid 1", "Sid 2", "TCP"]);
}

#[test]
fn two_thousand_lanes_scroll_like_fifty() {
    let mut app = many_sids(2000, 33);
    press(&mut app, "0 Tab 1 2 3 4 j");
    assert_eq!(shown(&app), ["Sid 1232", "Sid 1233", "Sid 1234", "TCP"]);
    press(&mut app, "G k");
    assert_eq!(shown(&app), ["Sid 1997", "Sid 1998", "Sid 1999", "TCP"]);
    assert_eq!(app.lane_of_cursor(), LaneOf::Session(SessionId(1999)));
    press(&mut app, "3 k");
    assert_eq!(shown(&app), ["Sid 1996", "Sid 1997", "Sid 1998", "TCP"]);
}

#[test]
fn steps_and_enter_follow_the_chosen_lane() {
    let mut app = many_sids(50, 33);
    press(&mut app, "0 Tab 2 j .");
    // Sid 2 opens in frame 5 and sends in frame 6.
    assert_eq!(app.list.cursor, FrameNo(5));
    press(&mut app, ".");
    assert_eq!(app.list.cursor, FrameNo(6));
    press(&mut app, ".");
    assert_eq!(app.list.cursor, FrameNo(6));
    press(&mut app, ", j Enter");
    assert_eq!(app.list.cursor, FrameNo(7), "the nearest of Sid 3");
    assert_eq!(app.focus, crate::app::layout::Pane::List);
    press(&mut app, "(");
    assert_eq!(app.list.cursor, FrameNo(5));
}

/// The frames that steps along a lane stop at, from the first frame on.
fn steps(app: &mut App) -> Vec<u32> {
    let mut seen = Vec::new();
    app.message = None;
    loop {
        press(app, ".");
        if app.message.take().is_some() {
            return seen;
        }
        seen.push(app.list.cursor.0);
    }
}

#[test]
fn steps_stop_where_the_lane_is_drawn() {
    use crate::store::{PduRow, Store};
    use crate::units::PduId;
    let mut app = app(80, 24);
    // What the server sends in frame 6 is a part of the packet that is complete in frame 9.
    let of_two = |(_, mut pdu): (PduId, PduRow)| {
        if pdu.frame == FrameNo(9) {
            pdu.first_frame = FrameNo(6);
        }
        (pdu.frame != FrameNo(6)).then_some(pdu)
    };
    let mut batch = crate::app::testing::batch();
    let pdus = app.store.pdus_from(PduId(0));
    batch.pdus = pdus.filter_map(of_two).collect();
    let mut store = Store::new();
    store.append(batch);
    app.store = std::sync::Arc::new(store);
    press(&mut app, "0 g g Tab G");
    assert_eq!(app.lane_of_cursor(), LaneOf::Tcp);
    assert_eq!(steps(&mut app), [2, 3, 11, 12]);
    press(&mut app, "Shift-Tab g g Tab G k");
    assert_eq!(app.lane_of_cursor(), LaneOf::Session(SessionId(1)));
    assert_eq!(steps(&mut app), [6, 7, 8, 9]);
}

#[test]
fn steps_pass_over_what_is_left_out() {
    let mut app = app(80, 24);
    press(&mut app, "1 1 G i g g Tab G");
    assert_eq!(app.lane_of_cursor(), LaneOf::Tcp);
    assert_eq!(steps(&mut app), [2, 3, 12]);
}

#[test]
fn enter_takes_what_is_nearest_in_time() {
    for (frame, nearest) in [(4, 3), (9, 11), (10, 11)] {
        let mut app = app(80, 24);
        press(&mut app, "0");
        press(&mut app, &format!("{frame} G").replace("10", "1 0"));
        press(&mut app, "Tab G Enter");
        assert_eq!(app.list.cursor, FrameNo(nearest), "{frame}");
    }
}

#[test]
fn enter_after_panning_puts_the_list_where_the_window_is() {
    let mut app = app(80, 24);
    press(&mut app, "4 G f f + + + + Tab");
    let before = app.timeline.from;
    press(&mut app, "l l l l l l l l");
    assert!(app.timeline.from > before);
    let from = app.timeline.from;
    press(&mut app, "Enter");
    let frame = app.store.frame(app.list.cursor).unwrap();
    assert!(frame.time >= from, "{}", app.list.cursor);
}

#[test]
fn a_second_fit_shows_the_connection_wherever_columns_begin() {
    for keys in ["7 G", "8 G", "5 G T 9 G"] {
        let mut app = app(80, 24);
        press(&mut app, keys);
        let columns = app.lane_columns();
        let mut fit = || {
            press(&mut app, "f");
            let shows = |no| {
                let time = app.store.time_of(FrameNo(no)).unwrap();
                app.timeline.column(time, columns).is_some()
            };
            assert!(shows(7) && shows(8), "{keys}");
            let timeline = &app.timeline;
            (timeline.from, timeline.per_col, shows(1) && shows(12))
        };
        let (of_sid, of_conn) = (fit(), fit());
        assert_ne!(of_sid, of_conn, "{keys}");
        assert!(of_conn.2, "{keys}");
        assert_eq!(fit(), of_sid, "{keys}");
    }
}

#[test]
fn phases_have_borders_in_the_lane_of_tcp() {
    let mut app = app(80, 24);
    press(&mut app, "=");
    // Handshake, opening of Sid 0, and at the end FIN and reset; the packets of Sids stand in their own lanes.
    assert!(
        text(&app, "TCP").starts_with("SSa|---:---FR"),
        "{}",
        text(&app, "TCP")
    );
    assert!(
        text(&app, "Sid 0").starts_with("   S><-:--F-"),
        "{}",
        text(&app, "Sid 0")
    );
}

#[test]
fn the_same_window_is_made_once_and_anew_when_the_capture_grows() {
    let mut app = app(80, 24);
    press(&mut app, "0");
    let area = app.layout().lanes.unwrap();
    let first = app.lanes(area).unwrap();
    press(&mut app, "4 G 5 G");
    let again = app.lanes(area).unwrap();
    assert!(std::rc::Rc::ptr_eq(&again, &app.lanes(area).unwrap()));
    press(&mut app, "i");
    let without = app.lanes(area).unwrap();
    assert_ne!(first.lanes, without.lanes, "frame 5 is ignored");
    update(&mut app, Event::Resize(100, 30));
    let area = app.layout().lanes.unwrap();
    assert_ne!(without.lanes, app.lanes(area).unwrap().lanes);
}
