//! Segments that arrive late, twice, or behind a hole: what they do not tell of a close, and what is still in the file.

use marstui::rules::{Settings, judge};
use marstui::store::{Confidence, Finding, Store, Verdict};
use marstui::units::Side::{self, Client, Server};

use crate::generated::index;
use crate::near_misses::describe;
use crate::support::synth::cases::{self, opened, rule_scripts, scripts};
use crate::support::synth::close::Form;
use crate::support::synth::conn::{Conn, MS, US};
use crate::support::synth::file::{Capture, Frame};
use crate::support::synth::wire::ACK;
use crate::support::synth::{smp, tds};

fn judged(capture: &Capture) -> Store {
    let mut store = index(capture);
    judge(&mut store, &Settings::default());
    store
}

fn close(store: &Store) -> &Finding {
    let mut closes = store.findings().iter().filter(|finding| finding.close);
    let close = closes.next().expect("a finding about the close");
    assert_eq!(
        closes.next().map(describe),
        None,
        "one connection, one close"
    );
    close
}

fn of_rule(store: &Store, rule: &str) -> Option<String> {
    let found = store.findings().iter().find(|f| f.rule == rule);
    found.map(describe)
}

/// What triggers a rule in the catalogue's cases.
fn triggers(rule: &str) -> Capture {
    let rules = cases::rules();
    let case = rules.iter().find(|case| case.rule == rule);
    (case.expect("a case of the rule").triggers)()
}

/// Sends something, and labels all its segments.
fn labelled(c: &mut Conn, label: &str, send: impl FnOnce(&mut Conn)) {
    let first = c.segments.len();
    send(c);
    for segment in &mut c.segments[first..] {
        label.clone_into(&mut segment.label);
    }
}

/// A copy of each frame with a label, right behind the last with another one.
fn copy_behind(capture: &mut Capture, label: &str, anchor: &str) {
    let at = capture.frames.iter().rposition(|f| f.label == anchor);
    let at = at.expect("the anchor is there");
    let copies: Vec<_> = capture
        .frames
        .iter()
        .filter(|frame| frame.label == label)
        .cloned()
        .map(|frame| Frame {
            time: capture.frames[at].time + 10 * US,
            ..frame
        })
        .collect();
    assert!(!copies.is_empty(), "no frame is labelled {label}");
    capture.frames.splice((at + 1)..=at, copies);
}

/// The server aborts in the middle of an answer; what the client goes on to send meets resets without ACK, whose
/// numbers are those of the acknowledgements.
fn server_aborts(form: Form) -> Conn {
    let mut c = opened(form, &[0]);
    c.ask(0, "select id, text from dbo.Note");
    c.trip(300 * US);
    let acknowledged = c.snd_nxt(Server);
    let body = tds::result_of(6000, 90, "An answer in several packets. ");
    labelled(&mut c, "answer", |c| {
        let mut packets = tds::message(tds::RESPONSE, c.spid, &body, 4096);
        packets.pop();
        for packet in packets {
            c.send_tds(Server, 0, &packet);
        }
    });
    let (seq, ack) = (c.snd_nxt(Server), c.received(Server));
    c.abort(Server, seq, ack);
    c.label("abort");
    c.trip(50 * US);
    c.bare_reset(Server, acknowledged);
    c.label("bare");
    c.trip(50 * US);
    c
}

#[test]
fn data_that_the_senders_resets_overtook_does_not_tell_that_it_went_on() {
    for form in Form::ALL {
        let mut capture = server_aborts(form).capture(Client);
        capture.move_behind("answer", "bare");
        let store = judged(&capture);
        assert_eq!(of_rule(&store, "rst-ignored"), None, "{form:?}");
        let close = close(&store);
        assert_eq!(close.rule, "rst-with-request", "{}", describe(close));
        assert_eq!(close.verdict, Verdict::Fault);
    }
}

#[test]
fn data_behind_what_the_sender_had_sent_when_it_aborted_tells_that_it_went_on() {
    for form in Form::ALL {
        let mut c = server_aborts(form);
        let last = c
            .segments
            .iter()
            .rposition(|s| s.label == "answer")
            .unwrap();
        let again = c.segments[last].payload.clone();
        c.data(Server, &again);
        let store = judged(&c.capture(Client));
        assert!(of_rule(&store, "rst-ignored").is_some(), "{form:?}");
    }
}

#[test]
fn a_copy_of_what_was_sent_before_a_reset_does_not_tell_that_its_sender_went_on() {
    for form in Form::ALL {
        let mut c = opened(form, &[0]);
        let seq = c.snd_nxt(Client);
        labelled(&mut c, "request", |c| c.ask(0, "select 1"));
        c.bare_reset(Client, seq);
        c.label("bare");
        c.trip(50 * US);
        for view in Side::BOTH {
            let mut capture = c.capture(view);
            assert_eq!(of_rule(&judged(&capture), "rst-ignored"), None, "{form:?}");
            copy_behind(&mut capture, "request", "bare");
            let store = judged(&capture);
            assert!(of_rule(&store, "dup-frames").is_some(), "{form:?}");
            assert_eq!(of_rule(&store, "rst-ignored"), None, "{form:?} {view:?}");
        }
    }
}

#[test]
fn a_control_packet_at_both_ends_does_not_tell_that_its_sender_went_on() {
    for form in Form::ALL {
        let mut c = opened(form, &[0]);
        c.hops = 3;
        scripts::ask_and_answer_in_part(&mut c, 0);
        // Forged, and in the server's file only.
        let (seq, ack) = (c.snd_nxt(Client), c.received(Client));
        c.abort(Client, seq, ack);
        c.label("forged");
        c.smp(Client, smp::ACK, 0);
        c.trip(50 * US);
        let (client, server) = (c.capture(Client).without("forged"), c.capture(Server));
        let capture = client.merge(server);
        let store = judged(&capture);
        assert_eq!(of_rule(&store, "rst-ignored"), None, "{form:?}");
        assert_eq!(close(&store).rule, "rst-with-request");
    }
}

#[test]
fn a_copied_reset_is_one_reset() {
    let mut capture = triggers("close-rst-abortive");
    let last = capture.frames.len() - 1;
    let mut copy = capture.frames[last].clone();
    copy.time += 10 * US;
    capture.frames.push(copy);
    let store = judged(&capture);
    assert!(of_rule(&store, "dup-frames").is_some());
    assert_eq!(close(&store).rule, "close-rst-abortive");
}

#[test]
fn the_last_acknowledgement_of_a_close_is_found_with_and_without_smp() {
    for mars in [false, true] {
        let mut c = if mars {
            opened(Form::LinuxL, &[])
        } else {
            let hosts = opened(Form::LinuxL, &[]).hosts;
            let [client, server] = hosts;
            let mut c = Conn::new(client, server);
            rule_scripts::plain_work(&mut c);
            c
        };
        rule_scripts::four_way(&mut c);
        for view in Side::BOTH {
            let store = judged(&c.capture(view));
            let close = close(&store);
            assert_eq!(close.rule, "close-4way", "{}", describe(close));
            assert_eq!(close.confidence, Confidence::Proven, "{}", describe(close));
            let last = store.last_frame().unwrap();
            assert!(close.evidence.iter().any(|shown| shown.frame == last));
        }
        let mut c = c.clone();
        c.segments.pop();
        let store = judged(&c.capture(Server));
        assert_eq!(close(&store).confidence, Confidence::Likely);
    }
}

/// The server sends two segments; the first arrives `late` after the second, and only then can both be acknowledged.
fn behind_a_hole(late: i64, hole: bool) -> Capture {
    let mut c = opened(Form::LinuxL, &[0]);
    c.ask(0, "select id, text from dbo.Note");
    c.trip(300 * US);
    let [first, second] = [0, 1].map(|at| scripts::long_answer(&c)[at].clone());
    labelled(&mut c, "first", |c| c.send_tds(Server, 0, &first));
    labelled(&mut c, "second", |c| c.send_tds(Server, 0, &second));
    c.trip(100 * US);
    c.wait(late);
    c.send(Client, ACK, &[]);
    c.label("ack");
    let mut capture = c.capture(Client);
    if hole {
        capture.move_behind("first", "second");
        let until = capture
            .frames
            .iter()
            .find(|f| f.label == "ack")
            .unwrap()
            .time;
        for frame in capture.frames.iter_mut().filter(|f| f.label == "first") {
            frame.time = until - 50 * US;
        }
    }
    capture
}

#[test]
fn an_acknowledgement_that_waited_for_a_hole_to_be_filled_is_not_slow() {
    let slow = judged(&behind_a_hole(700 * MS, false));
    assert!(of_rule(&slow, "slow-ack").is_some());
    let held_back = judged(&behind_a_hole(700 * MS, true));
    assert_eq!(of_rule(&held_back, "slow-ack"), None);
}

/// A request is sent again so many times, without an answer; then the server may be heard once more.
fn sent_in_vain(times: u32, heard: bool) -> Capture {
    let mut c = opened(Form::LinuxL, &[0]);
    c.ask(0, "select 1");
    let ask = c.segments.len() - 1;
    scripts::again_with_growing_gaps(&mut c, ask, times);
    if heard {
        c.trip(50 * US);
        let (seq, ack) = (c.snd_nxt(Server), c.segments[ask].seq);
        c.push(Server, ACK, seq, ack, &[]);
    }
    c.capture(Client)
}

#[test]
fn data_sent_in_vain_up_to_the_end_of_the_file_is_a_fault() {
    let store = judged(&sent_in_vain(5, false));
    let close = close(&store);
    assert_eq!(close.rule, "retransmit-timeout", "{}", describe(close));
    assert_eq!(close.verdict, Verdict::Fault);
    assert_eq!(close.confidence, Confidence::Likely);
    for (times, heard) in [(4, false), (5, true)] {
        let store = judged(&sent_in_vain(times, heard));
        assert_eq!(
            of_rule(&store, "retransmit-timeout"),
            None,
            "{times} {heard}"
        );
    }
}
