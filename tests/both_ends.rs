//! Files of both ends of a connection, opened together: what only the two of them can tell, and that they say of a
//! close what each of them says.

use std::fs;
use std::path::{Path, PathBuf};

use marstui::capture::{Capture, OpenOptions};
use marstui::rules::{Settings, judge};
use marstui::store::{Confidence, Finding, Outcome, Store, Verdict};
use marstui::track;
use marstui::units::{FrameNo, Side};
use serde_json::Value;

use crate::near_misses::describe;
use crate::support::synth::cases;
use crate::support::synth::close::Form;
use crate::support::synth::conn::{Conn, MS, US};
use crate::support::synth::wire::ACK;
use crate::support::synth::{file, tds};
use crate::support::{shared_or_skip, truth_files};
use crate::verdicts::accepted;

/// By how much the server's clock is ahead of the client's.
pub const SKEWS: [i64; 5] = [0, 700 * US, -30 * MS, 40_000 * MS, -40_000 * MS];

pub fn judged(capture: &Capture) -> Store {
    let mut store = track::load(capture);
    judge(&mut store, &Settings::default());
    store
}

/// The captures of both ends, written as two files and opened together.
pub fn opened_together(client: &file::Capture, server: &file::Capture, skew: i64) -> Store {
    let folder = tempfile::tempdir().unwrap();
    let mut server = server.clone();
    for frame in &mut server.frames {
        frame.time += skew;
    }
    let paths = [("client", client), ("server", &server)].map(|(name, capture)| {
        let path = folder.path().join(format!("{name}.pcapng"));
        fs::write(&path, capture.to_pcapng()).unwrap();
        path
    });
    judged(&Capture::open(&paths, &OpenOptions::default()).unwrap())
}

pub fn opened_alone(capture: &file::Capture) -> Store {
    judged(&Capture::from_bytes("one.pcapng", capture.to_pcapng()).unwrap())
}

pub fn of_rule<'s>(store: &'s Store, rule: &str) -> Option<&'s Finding> {
    store.findings().iter().find(|f| f.rule == rule)
}

fn outcome(finding: &Finding, condition: &str) -> Outcome {
    let found = finding.conditions.iter().find(|c| c.id == condition);
    found
        .unwrap_or_else(|| panic!("{condition}: {}", describe(finding)))
        .outcome
}

fn closes(store: &Store) -> Vec<&Finding> {
    store.findings().iter().filter(|f| f.close).collect()
}

/// A device resets both ends of a connection three routers long, with the times to live that the ends would have.
/// Gives the captures of the client's and of the server's end.
fn forged(form: Form, busy: bool) -> [file::Capture; 2] {
    let mut c = cases::opened(form, &[0, 1]);
    c.hops = 3;
    if busy {
        c.ask(1, "exec dbo.Slow");
        c.trip(2 * MS);
        c.send(Side::Server, ACK, &[]);
    }
    c.wait(600 * MS);
    for side in Side::BOTH {
        let (seq, ack) = (c.snd_nxt(side), c.received(side));
        c.abort(side, seq, ack);
        c.label(&format!("forged:{}", side.word()));
    }
    Side::BOTH.map(|view| c.capture(view).without(&format!("forged:{}", view.word())))
}

/// A firewall between the ends that writes sequence numbers of its own, as many do: nothing of the one file fits the other.
#[test]
fn ends_with_other_numbers_are_judged_each_by_its_own_file() {
    for form in Form::ALL {
        // With the SYNs, or from later on.
        for (raised, from) in [
            (1, 0),
            (5000, 0),
            (1 << 31, 0),
            (3_000_000_000, 0),
            (1 << 31, 4),
        ] {
            let mut c = cases::opened(form, &[0, 1]);
            c.ask(1, "select 1");
            c.trip(MS);
            c.answer(1, &tds::rows(3));
            c.trip(MS);
            c.close_benign(form, &[0, 1]);
            let mut client = c.capture(Side::Client);
            c.raise_client_numbers(raised);
            let mut server = c.capture(Side::Server);
            client.frames.drain(..from);
            server.frames.drain(..from);
            for skew in SKEWS {
                let store = opened_together(&client, &server, skew);
                let closes = closes(&store);
                let said: Vec<_> = closes.iter().map(|f| describe(f)).collect();
                let why = format!("{form:?} raised by {raised} from {from} skew {skew}: {said:?}");
                assert_eq!(closes.len(), 2, "{why}");
                let verdict = [Verdict::Benign, Verdict::LikelyBenign][usize::from(from > 0)];
                let is_benign = |f: &&Finding| f.rule == "mars-close-rst" && f.verdict <= verdict;
                assert!(closes.iter().all(is_benign), "{why}");
            }
        }
    }
}

#[test]
fn resets_that_neither_end_sent_are_a_devices() {
    for form in Form::ALL {
        for busy in [false, true] {
            let [client, server] = forged(form, busy);
            for skew in SKEWS {
                let store = opened_together(&client, &server, skew);
                let [close] = closes(&store)[..] else {
                    panic!("one close");
                };
                let said = format!("{form:?} busy {busy} skew {skew}: {}", describe(close));
                assert_eq!(close.rule, "rst-middlebox", "{said}");
                assert_eq!(close.verdict, Verdict::Fault, "{said}");
                assert_eq!(close.confidence, Confidence::Proven, "{said}");
                assert_eq!(outcome(close, "both-ends"), Outcome::Held, "{said}");
                assert_eq!(close.marks.len(), 2, "{said}");
            }
        }
    }
}

#[test]
fn one_end_alone_cannot_prove_it() {
    for form in Form::ALL {
        for capture in forged(form, true) {
            let store = opened_alone(&capture);
            let [close] = closes(&store)[..] else {
                panic!("one close");
            };
            assert_eq!(close.rule, "rst-with-request", "{}", describe(close));
            assert_eq!(close.verdict, Verdict::Fault);
        }
        // With another time to live it is suspected, and the finding says what was not checked.
        let [mut client, _] = forged(form, true);
        let reset = client
            .frames
            .iter_mut()
            .find(|f| f.label == "forged:server");
        // The time to live in an IPv4 header behind an Ethernet header.
        reset.unwrap().data[14 + 8] -= 9;
        let store = opened_alone(&client);
        let close = of_rule(&store, "rst-middlebox").unwrap();
        assert_eq!(close.confidence, Confidence::Likely);
        assert_eq!(outcome(close, "both-ends"), Outcome::Unknown);
        let unchecked = close.conditions.with(Outcome::Unknown).next().unwrap();
        assert!(unchecked.fact.contains("could not be checked"));
    }
}

#[test]
fn a_reset_that_its_sender_did_send_is_no_devices() {
    for form in Form::ALL {
        // The server resets; what the client then sends, its own host answers with a reset.
        let mut c = cases::opened(form, &[0, 1]);
        c.hops = 3;
        c.ask(1, "exec dbo.Slow");
        c.trip(2 * MS);
        let (seq, ack) = (c.snd_nxt(Side::Server), c.received(Side::Server));
        c.abort(Side::Server, seq, ack);
        c.trip(100 * US);
        for skew in SKEWS {
            let [client, server] = Side::BOTH.map(|view| c.capture(view));
            let store = opened_together(&client, &server, skew);
            let [close] = closes(&store)[..] else {
                panic!("one close");
            };
            assert_eq!(close.rule, "rst-with-request", "{}", describe(close));
            assert_eq!(of_rule(&store, "rst-ignored").map(describe), None);
        }
        // One end's file that has lost the frame is no proof either.
        let [client, server] = Side::BOTH.map(|view| c.capture(view));
        let last = server.frames.len() - 1;
        let mut lacking = server.clone();
        lacking.frames.truncate(last);
        let store = opened_together(&client, &lacking, 0);
        let close = closes(&store)[0];
        assert_eq!(close.rule, "rst-with-request", "{}", describe(close));
    }
}

/// A benign close with bare resets, and the client's file without some of its frames.
fn closed_without(labels: &[&str]) -> Store {
    let mut c = cases::opened(Form::LinuxL, &[0, 1]);
    c.hops = 3;
    c.close_benign(Form::LinuxL, &[0, 1]);
    let [client, server] = Side::BOTH.map(|view| c.capture(view));
    let client = labels
        .iter()
        .fold(client, |file, label| file.without(label));
    opened_together(&client, &server, 0)
}

#[test]
fn a_reset_that_the_clients_file_does_not_show_is_not_proved_to_be_the_clients() {
    let whole = closed_without(&[]);
    assert_eq!(closes(&whole)[0].verdict, Verdict::Benign);
    // The other resets show that the client's capture was running.
    let lacking = closed_without(&["rst", "rst:sfin:1"]);
    let close = closes(&lacking)[0];
    assert_eq!(close.rule, "mars-close-rst", "{}", describe(close));
    assert_eq!(close.verdict, Verdict::LikelyBenign, "{}", describe(close));
    assert_eq!(outcome(close, "M11"), Outcome::Unknown);
    // A client's file that ends before the last reset says nothing about that one.
    let shorter = closed_without(&["rst:stf"]);
    let close = closes(&shorter)[0];
    assert_eq!(close.verdict, Verdict::Benign, "{}", describe(close));
}

/// From some moment on the server's frames are lost on the way (or both sides' are); the client probes, the server
/// answers.
fn dropped(form: Form, both_ways: bool) -> Conn {
    let mut c = cases::opened(form, &[0]);
    c.hops = 2;
    c.wait(30_000 * MS);
    for _ in 0..8 {
        let (seq, ack) = (
            c.snd_nxt(Side::Client).wrapping_sub(1),
            c.received(Side::Client),
        );
        c.push(Side::Client, ACK, seq, ack, &[0]);
        c.last().lost = both_ways;
        c.trip(20 * US);
        let (seq, ack) = (c.snd_nxt(Side::Server), c.snd_nxt(Side::Client));
        if both_ways {
            c.push(Side::Server, ACK, seq.wrapping_sub(1), ack, &[0]);
        } else {
            c.push(Side::Server, ACK, seq, ack, &[]);
        }
        c.last().lost = true;
        c.wait(1_000 * MS);
    }
    c.client_abort();
    c
}

#[test]
fn loss_in_one_direction_is_seen_with_both_files_only() {
    for form in Form::ABORTS {
        let c = dropped(form, false);
        let [client, server] = Side::BOTH.map(|view| c.capture(view));
        for skew in SKEWS {
            let store = opened_together(&client, &server, skew);
            let finding = of_rule(&store, "one-way-loss").unwrap_or_else(|| panic!("skew {skew}"));
            assert_eq!(finding.verdict, Verdict::Fault);
            assert_eq!(outcome(finding, "both-ends"), Outcome::Held);
            assert!(
                finding
                    .text
                    .to_string()
                    .contains("The server's file shows 8 frames of it in a row"),
                "{}",
                finding.text
            );
            let close = closes(&store)[0];
            assert_eq!(close.rule, "keepalive-timeout", "{}", describe(close));
            let note = "the other end's file has all 8 probes";
            assert!(
                close.notes.iter().any(|n| n.starts_with(note)),
                "{}",
                describe(close)
            );
        }
        for capture in [&client, &server] {
            let store = opened_alone(capture);
            assert_eq!(of_rule(&store, "one-way-loss").map(describe), None);
        }
    }
}

#[test]
fn loss_in_both_directions_or_of_few_frames_is_not_one_way() {
    for form in Form::ABORTS {
        let c = dropped(form, true);
        let [client, server] = Side::BOTH.map(|view| c.capture(view));
        for skew in SKEWS {
            let store = opened_together(&client, &server, skew);
            assert_eq!(of_rule(&store, "one-way-loss").map(describe), None);
            let close = closes(&store)[0];
            assert_eq!(close.rule, "keepalive-timeout", "{}", describe(close));
            let note = "the other end's file lacks 8 of the 8 probes";
            assert!(
                close.notes.iter().any(|n| n.starts_with(note)),
                "{}",
                describe(close)
            );
        }
        // Four answers are lost, the fifth arrives.
        let mut c = dropped(form, false);
        let mut answers: Vec<_> = (0..c.segments.len())
            .filter(|at| c.segments[*at].from == Side::Server && c.segments[*at].lost)
            .collect();
        for at in answers.drain(4..) {
            c.segments[at].lost = false;
        }
        let [client, server] = Side::BOTH.map(|view| c.capture(view));
        let store = opened_together(&client, &server, 0);
        assert_eq!(of_rule(&store, "one-way-loss").map(describe), None);
    }
}

/// A file that simply ends earlier has not lost anything on the way.
#[test]
fn a_file_that_ends_earlier_proves_no_loss() {
    let c = dropped(Form::WindowsW, false);
    let [client, server] = Side::BOTH.map(|view| c.capture(view));
    let mut short = client.clone();
    let end = short.frames.len() - 9;
    short.frames.truncate(end);
    let store = opened_together(&short, &server, 0);
    assert_eq!(of_rule(&store, "one-way-loss").map(describe), None);
}

/// The close of a case says the same with the other end's file beside it, also through routers and with clocks apart.
#[test]
fn both_files_say_of_a_close_what_each_says() {
    let mut all = cases::near_misses();
    all.extend(cases::benign());
    let mut wrong = Vec::new();
    let mut count = 0;
    for case in all
        .iter()
        .filter(|case| !case.at_both_points && case.views.len() == 2)
    {
        for form in case.forms {
            let [client, server] = Side::BOTH.map(|view| case.capture(*form, view));
            let alone = [&client, &server].map(|capture| {
                let store = opened_alone(capture);
                let last = closes(&store).last().copied();
                last.map(|f| (f.rule.to_string(), f.verdict))
            });
            for skew in [0, 40_000 * MS] {
                count += 1;
                let store = opened_together(&client, &server, skew);
                let close = closes(&store).last().copied();
                let said = close.map(|f| (f.rule.to_string(), f.verdict));
                if !alone.contains(&said) {
                    wrong.push(format!(
                        "{} {form:?} skew {skew}: alone {alone:?}, together {}",
                        case.id,
                        close.map_or_else(String::new, describe)
                    ));
                }
            }
        }
    }
    assert!(count > 100, "only {count} pairs");
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

/// A reset is sent once, though the files of both ends show it.
#[test]
fn the_resets_of_a_close_are_counted_once() {
    // Several are counted behind the form; one is not.
    let counted = |store: &Store| {
        let text = of_rule(store, "mars-close-rst")?.text.to_string();
        let resets = text.trim_end_matches('.').strip_suffix(" resets");
        Some(resets.and_then(|text| text.rsplit(' ').next()?.parse::<u32>().ok()))
    };
    let mut several = 0;
    for case in cases::benign().iter().filter(|case| case.views.len() == 2) {
        for form in case.forms {
            let [client, server] = Side::BOTH.map(|view| case.capture(*form, view));
            let Some(alone) = counted(&opened_alone(&client)) else {
                continue;
            };
            several += usize::from(alone.is_some());
            let together = counted(&opened_together(&client, &server, 0));
            assert_eq!(together, Some(alone), "{} {form:?}", case.id);
        }
    }
    assert!(several > 0, "no close with several resets");
}

/// The files of both ends of every recorded scenario, with the truth of the client's view.
pub fn pairs(shared: &Path) -> Vec<(String, [PathBuf; 2], Value)> {
    let folder = shared.join("captures/recorded");
    let truths = truth_files(shared);
    let pair = |path: PathBuf| {
        let truth: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let file = |view: &str| Some(folder.join(truth["views"][view]["file"].as_str()?));
        let files = [file("client")?, file("server")?];
        let name = truth["scenario"].as_str()?.to_owned();
        Some((name, files, truth["views"]["client"].clone()))
    };
    truths.into_iter().filter_map(pair).collect()
}

#[test]
fn recorded_pairs_get_the_verdicts_of_their_single_files() {
    let Some(shared) = shared_or_skip("recorded_pairs_get_the_verdicts_of_their_single_files")
    else {
        return;
    };
    let mut wrong = Vec::new();
    let all = pairs(&shared);
    for (name, files, truth) in &all {
        let store = judged(&Capture::open(files, &OpenOptions::default()).unwrap());
        for expected in truth["connections"].as_array().unwrap() {
            let port = expected["client_port"].as_u64().unwrap();
            let code = expected["connection_verdict"].as_str().unwrap();
            let (rules, verdicts) = accepted(code);
            let of_port: Vec<&Finding> = closes(&store)
                .into_iter()
                .filter(|f| {
                    let conn = f.conn.and_then(|id| store.conn(id)).unwrap();
                    u64::from(conn.endpoint(Side::Client).port) == port
                })
                .collect();
            let encrypted = name.starts_with('j');
            let fits = |f: &&Finding| {
                rules.contains(&f.rule.as_ref()) && verdicts.contains(&f.verdict)
                    || encrypted && f.rule == "mars-close-rst-tls"
            };
            if of_port.is_empty() || !of_port.iter().all(fits) {
                let said: Vec<_> = of_port.into_iter().map(describe).collect();
                wrong.push(format!("{name} port {port}: {code}, but {said:?}"));
            }
        }
        for rule in ["one-way-loss", "rst-ignored"] {
            wrong.extend(of_rule(&store, rule).map(|f| format!("{name}: {}", describe(f))));
        }
        let device = of_rule(&store, "rst-middlebox");
        if device.is_some_and(|f| f.confidence == Confidence::Proven) != name.starts_with('m') {
            wrong.push(format!("{name}: rst-middlebox {:?}", device.map(describe)));
        }
        for (no, row) in store.frames_from(FrameNo(1)) {
            let owners = store.findings().iter().filter(|f| f.marks.contains(&no));
            if row.is_tcp() && row.tcp_flags.rst() && owners.count() != 1 {
                wrong.push(format!("{name}: reset {no} has not one finding"));
            }
        }
    }
    assert!(all.len() > 40, "only {} pairs", all.len());
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

/// What is said of the times of a capture's requests, and of those that were answered late.
fn times(store: &Store) -> (Vec<[Option<i64>; 2]>, Option<String>) {
    let requests = store.requests();
    let times = requests.map(|r| [r.first_byte_ns, r.duration_ns]).collect();
    (
        times,
        of_rule(store, "slow-response").map(|f| f.text.to_string()),
    )
}

/// A request's frames come first at the client's end, those of its answer at the server's: a time from the one to the
/// other would be neither end's.
#[test]
fn times_of_requests_are_those_of_the_clients_end() {
    for form in Form::ALL {
        let mut c = cases::opened(form, &[0, 1]);
        c.delay = 40 * MS;
        c.request(0, "select 1", &tds::rows(2));
        // A second for the client, and less for the server.
        c.ask(1, "exec dbo.Slow");
        c.trip(930 * MS);
        c.answer(1, &tds::rows(2));
        c.trip(0);
        // A long answer, of which a segment is lost and sent again, and one that is under way at the end of the file.
        c.ask(0, "select id, text from dbo.Note");
        c.trip(2 * MS);
        let lost = c.segments.len();
        let long = tds::result_of(9000, 80, "A longer note of somebody about something. ");
        for packet in tds::message(tds::RESPONSE, c.spid, &long, 4096) {
            c.send_tds(Side::Server, 0, &packet);
            c.segments[lost].lost = true;
        }
        c.wait(200 * MS);
        c.resend(lost);
        c.trip(0);
        c.ask(1, "exec dbo.Endless");
        c.trip(20 * MS);
        let part = tds::packet(tds::RESPONSE, 0, c.spid, 1, &tds::rows(2));
        c.send_tds(Side::Server, 1, &part);
        let [client, server] = Side::BOTH.map(|view| c.capture(view));
        let [expected, at_server] = [&client, &server].map(|c| times(&opened_alone(c)));
        assert_eq!(
            expected.1.as_deref(),
            Some("1 answer came late; the longest took 1.0 s.")
        );
        assert_eq!(at_server.1, None);
        for skew in SKEWS {
            let store = opened_together(&client, &server, skew);
            assert_eq!(times(&store), expected, "{form:?} skew {skew}");
        }
    }
}

/// Where one file goes on where the other ends, there is one clock, and one end.
#[test]
fn times_go_from_one_file_of_a_series_to_the_next() {
    let mut c = cases::opened(Form::WindowsW, &[0]);
    c.ask(0, "exec dbo.Slow");
    c.trip(2_000 * MS);
    let asked = c.capture(Side::Client);
    c.answer(0, &tds::rows(2));
    c.trip(0);
    let whole = c.capture(Side::Client);
    let mut rest = whole.clone();
    rest.frames.drain(..asked.frames.len());
    let together = opened_together(&asked, &rest, 0);
    assert_eq!(times(&together), times(&opened_alone(&whole)));
}

#[test]
fn recorded_pairs_have_the_times_of_the_clients_file() {
    let Some(shared) = shared_or_skip("recorded_pairs_have_the_times_of_the_clients_file") else {
        return;
    };
    for (name, files, _) in pairs(&shared) {
        let open =
            |files: &[PathBuf]| judged(&Capture::open(files, &OpenOptions::default()).unwrap());
        let alone = open(&files[..1]);
        assert_eq!(times(&open(&files)), times(&alone), "{name}");
    }
}
