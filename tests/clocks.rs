//! Files of both ends whose clocks are apart: what is said of times is what one of them says alone.

use std::collections::BTreeSet;

use marstui::capture::{Capture, OpenOptions};
use marstui::store::{StallInfo, Store};
use marstui::units::Side;

use crate::both_ends::{judged, opened_alone, opened_together, pairs};
use crate::support::shared_or_skip;
use crate::support::synth::cases;
use crate::support::synth::close::Form;
use crate::support::synth::conn::{Conn, MS, US};
use crate::support::synth::wire::ACK;
use crate::support::synth::{file, smp, tds};

/// By how much the server's clock is ahead of the client's.
const SKEWS: [i64; 4] = [0, 3_000 * MS, -3_000 * MS, 40 * MS];

/// A text without the numbers of frames, which are others where there are two files.
fn without_frames(text: &str) -> String {
    let mut out = Vec::new();
    let mut before = "";
    for word in text.split(' ') {
        let is_number = word.chars().next().is_some_and(|c| c.is_ascii_digit());
        out.push(if is_number && before.trim_start_matches('(') == "frame" {
            "N"
        } else {
            word
        });
        before = word;
    }
    out.join(" ")
}

/// Notes that say at which ends files were taken.
const OF_THE_ENDS: [&str; 4] = [
    "the file was taken at",
    "the other end's file",
    "the SYNs are in the files of both",
    "a window costs about one round trip",
];

/// Rules on the capture itself, which is another with two files.
const OF_THE_CAPTURE: [&str; 5] = [
    "bad-checksum",
    "clock-step",
    "dup-frames",
    "offload-checksum",
    "snaplen",
];

/// What findings say, with their notes and the facts of their evidence.
fn said(store: &Store) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for finding in store.findings() {
        if OF_THE_CAPTURE.contains(&finding.rule.as_ref()) {
            continue;
        }
        let rule = &finding.rule;
        let text = without_frames(&finding.text.to_string());
        out.insert(format!("{rule} {:?}: {text}", finding.verdict));
        let of_the_capture = |note: &&String| {
            OF_THE_CAPTURE
                .iter()
                .chain(&OF_THE_ENDS)
                .any(|of| note.starts_with(of))
        };
        let notes = finding.notes.iter().filter(|note| !of_the_capture(note));
        out.extend(notes.map(|note| format!("{rule} note {}", without_frames(note))));
        for shown in finding.evidence.iter() {
            let fact = without_frames(&shown.fact);
            out.insert(format!("{rule} {}: {fact}", shown.role));
        }
    }
    out
}

/// How much later the other end sees what one sends.
const WAY: i64 = 500;

/// The same frames as the server's end has them.
fn at_the_server(client: &file::Capture) -> file::Capture {
    let mut server = client.clone();
    for frame in &mut server.frames {
        // Behind the headers of Ethernet and IPv4; a server's port is the lower one.
        let ports = frame.data.get(34..38).unwrap_or_default();
        let from_client = ports.get(..2) > ports.get(2..);
        frame.time += if from_client { WAY } else { -WAY };
    }
    server
}

#[test]
fn every_rule_says_the_same_of_times_with_clocks_apart() {
    let mut wrong = Vec::new();
    // One of them is of two capture points itself.
    let of_one_point = |case: &cases::RuleCase| case.rule != "seq-rewritten";
    for case in cases::rules().into_iter().filter(of_one_point) {
        for build in [case.triggers, case.nearly] {
            let client = build();
            let server = at_the_server(&client);
            let alone = said(&opened_alone(&client));
            for skew in SKEWS {
                let together = said(&opened_together(&client, &server, skew));
                for line in alone.difference(&together) {
                    wrong.push(format!("{} skew {}: - {line}", case.rule, skew / MS));
                }
                for line in together.difference(&alone) {
                    wrong.push(format!("{} skew {}: + {line}", case.rule, skew / MS));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

/// What is told of how long each sender of a session stood still.
fn stalls(store: &Store) -> Vec<String> {
    let sessions = store.sessions().iter().map(|session| {
        let stalls = session.stalls.as_deref().map(|stalls| {
            let told = |stall: StallInfo| (stall.count, stall.total_ns, stall.longest_ns);
            stalls.0.map(told)
        });
        format!("Sid {}: {stalls:?}", session.sid)
    });
    sessions.collect()
}

/// A server stands still while the client takes nothing, over a way of 15 milliseconds.
fn stalled(form: Form) -> Conn {
    let mut c = cases::opened(form, &[0]);
    c.delay = 15 * MS;
    c.ask(0, "select id, text from dbo.Note");
    c.trip(MS);
    let body = tds::result_of(7 * 4088, 90, "An answer of many packets. ");
    let packets = tds::message(tds::RESPONSE, c.spid, &body, 4096);
    for packet in &packets[..4] {
        c.send_tds(Side::Server, 0, packet);
        c.untake(Side::Server, 0, 1);
    }
    c.trip(0);
    c.send(Side::Client, ACK, &[]);
    c.wait(500 * MS);
    c.sessions.get_mut(&0).unwrap().taken[0] += 4;
    c.smp(Side::Client, smp::ACK, 0);
    c.trip(0);
    for packet in &packets[4..] {
        c.send_tds(Side::Server, 0, packet);
    }
    c.trip(0);
    c
}

/// The server waits for all of it: it stands still from its last packet on until the client's comes.
#[test]
fn a_sender_stands_still_as_long_as_its_own_end_shows() {
    for form in Form::ALL {
        let c = stalled(form);
        let [client, server] = Side::BOTH.map(|view| c.capture(view));
        let expected = stalls(&opened_alone(&server));
        assert!(expected[0].contains("Some"), "{expected:?}");
        for skew in SKEWS {
            let store = opened_together(&client, &server, skew);
            assert_eq!(stalls(&store), expected, "{form:?} skew {skew}");
        }
    }
}

/// The one file goes on for thousands of frames before the other begins to show the same.
#[test]
fn times_of_many_requests_are_those_of_the_clients_end() {
    let mut c = cases::opened(Form::WindowsW, &[0]);
    c.delay = MS;
    for at in 0..4_500 {
        c.ask(0, "select 1");
        c.trip(MS + at * US);
        c.answer(0, &tds::rows(1));
        c.trip(0);
    }
    let [client, server] = Side::BOTH.map(|view| c.capture(view));
    let times = |store: &Store| {
        let requests = store.requests();
        let times: Vec<_> = requests.map(|r| (r.first_byte_ns, r.duration_ns)).collect();
        let resent = store.conns().iter().flat_map(|conn| conn.tcp.0);
        (times, resent.map(|end| end.retransmissions).sum::<u32>())
    };
    let expected = times(&opened_alone(&client));
    assert!(expected.0.len() >= 4_500);
    for skew in SKEWS.into_iter().chain([-100_000 * MS]) {
        let store = opened_together(&client, &server, skew);
        let (found, resent) = times(&store);
        let other = found.iter().zip(&expected.0).position(|(a, b)| a != b);
        let other = other.map(|at| (at, found[at], expected.0[at]));
        assert_eq!(other, None, "skew {}", skew / MS);
        // The few packets of more than a segment leave a server's card otherwise than its capture has them.
        assert!(resent < 10, "skew {}: {resent} sent again", skew / MS);
    }
}

/// The recorded files of both ends say the same whatever is done to the clock of one of them.
#[test]
fn recorded_pairs_say_the_same_with_clocks_apart() {
    let Some(shared) = shared_or_skip("recorded_pairs_say_the_same_with_clocks_apart") else {
        return;
    };
    let mut wrong = Vec::new();
    for (name, files, _) in pairs(&shared) {
        // A port that is used again within the difference makes other connections of the frames, and which of the two
        // resets of a device came first no clock tells.
        if name.starts_with(['s', 'm']) {
            continue;
        }
        let capture = Capture::open(&files, &OpenOptions::default()).unwrap();
        let of_server = capture.files().iter().position(|f| f.path() == files[1]);
        let told = |skew: i64| {
            let store = judged(&capture.shifted(of_server.unwrap(), skew));
            let mut told = said(&store);
            told.extend(stalls(&store));
            // The connection is over at the one end before it is at the other.
            let lasted = store
                .conns()
                .iter()
                .map(|conn| store.lasted(conn) / (100 * MS));
            (told, lasted.collect::<Vec<_>>())
        };
        let (expected, lasted) = told(0);
        for skew in [3_000 * MS, -3_000 * MS] {
            let (apart, lasting) = told(skew);
            let near = |(a, b): (&i64, &i64)| a.abs_diff(*b) <= 1;
            if !lasted.iter().zip(&lasting).all(near) {
                wrong.push(format!("{name} skew {}: lasted {lasting:?}", skew / MS));
            }
            let lines = expected.symmetric_difference(&apart);
            wrong.extend(lines.map(|line| format!("{name} skew {}: {line}", skew / MS)));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}
