//! What findings tell beyond rule and verdict: the numbers, names and hints that an engineer needs next.

use marstui::report::{self, Format};
use marstui::rules::{Settings, catalogue, judge, order};
use marstui::store::{Confidence, Finding, Outcome, RequestEnd, Store, Verdict};
use marstui::units::{FrameNo, Side};

use crate::generated::index;
use crate::support::synth::cases;
use crate::support::synth::close::Form;
use crate::support::synth::conn::{Conn, MS};
use crate::support::synth::wire::{ACK, SYN};
use crate::support::synth::{file, seed, smp, tds};

fn judged(capture: &file::Capture, set: &[(&str, &str)]) -> Store {
    let mut settings = Settings::default();
    for (name, value) in set {
        settings.set(name, value).unwrap();
    }
    let mut store = index(capture);
    judge(&mut store, &settings);
    store
}

/// The capture that triggers a rule, judged, with the rule's finding.
fn triggered(rule: &str) -> (Store, Finding) {
    let case = cases::rules().into_iter().find(|c| c.rule == rule).unwrap();
    let store = judged(&(case.triggers)(), &[]);
    let finding = found(&store, rule).clone();
    (store, finding)
}

fn found<'s>(store: &'s Store, rule: &str) -> &'s Finding {
    let all = store.findings();
    let found = all.iter().find(|f| f.rule == rule);
    found.unwrap_or_else(|| panic!("no {rule} among {all:#?}"))
}

fn assert_tells(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {text:?}");
    }
}

#[test]
fn closes_that_a_mass_close_explains_say_so_and_stay_faults() {
    let (store, mass) = triggered("mass-close");
    let closes: Vec<_> = store.findings().iter().filter(|f| f.close).collect();
    assert_eq!(closes.len(), 6);
    for close in closes {
        assert_eq!(
            (&*close.rule, close.verdict),
            ("server-fin-first", Verdict::Fault)
        );
        let note = close
            .notes
            .iter()
            .find(|n| n.starts_with("explained: part of mass-close"));
        assert_tells(
            note.expect("a note that explains it"),
            &[&mass.text.to_string()],
        );
    }
    let case = cases::rules()
        .into_iter()
        .find(|c| c.rule == "mass-close")
        .unwrap();
    let store = judged(&(case.nearly)(), &[]);
    let notes = store.findings().iter().flat_map(|f| &f.notes);
    assert_eq!(notes.filter(|n| n.starts_with("explained")).count(), 0);
}

#[test]
fn many_sids_are_told_by_the_ends_of_their_runs() {
    let sids: Vec<u16> = (0..50).filter(|sid| *sid != 30).collect();
    let mut c = cases::opened(Form::LinuxL, &sids);
    c.close_benign(Form::LinuxL, &sids);
    let store = judged(&c.capture(Side::Client), &[]);
    let close = found(&store, "mars-close-rst");
    let told = "Sids 0-29, 31-49";
    assert_tells(&close.text.to_string(), &[&format!("{told} closed")]);
    let closed = close.conditions.iter().find(|c| c.id == "M2").unwrap();
    assert_eq!(closed.fact, told);
}

#[test]
fn a_reset_with_packets_unread_is_told_as_what_it_is() {
    let case = cases::near_misses().into_iter().find(|c| c.id == "H8");
    let capture = case.unwrap().capture(Form::LinuxW, Side::Client);
    let store = judged(&capture, &[]);
    let text = found(&store, "rst-abort-client").text.to_string();
    assert_tells(&text, &["data unread (1 packet on Sid 0)", "M14"]);
    assert!(!text.contains("nothing explains"), "{text}");
}

/// Two frames change places; the times stay.
fn swap(capture: &mut file::Capture, one: &str, other: &str) {
    let at = |label: &str| {
        let found = capture.frames.iter().position(|f| f.label == label);
        found.unwrap_or_else(|| panic!("no frame is labelled {label}"))
    };
    let (one, other) = (at(one), at(other));
    let times = [capture.frames[one].time, capture.frames[other].time];
    capture.frames.swap(one, other);
    (capture.frames[one].time, capture.frames[other].time) = (times[0], times[1]);
}

#[test]
fn the_proof_of_a_close_names_the_frames_of_its_packets_in_whatever_order_they_were_captured() {
    for form in Form::ALL {
        let mut c = cases::opened(form, &[0, 1, 2]);
        c.close_benign(form, &[0, 1, 2]);
        let mut capture = c.capture(Side::Client);
        swap(&mut capture, "cfin:0", "cfin:2");
        swap(&mut capture, "sfin:0", "sfin:1");
        let store = judged(&capture, &[]);
        let close = found(&store, "mars-close-rst");
        for (side, word) in [("client", "cfin"), ("server", "sfin")] {
            for sid in 0..3 {
                let role = format!("{side} SMP:FIN Sid {sid}");
                let named = close.evidence.iter().find(|e| e.role == role.as_str());
                let named = named.unwrap_or_else(|| panic!("{form:?}: no {role}"));
                let label = &capture.frames[named.frame.index()].label;
                assert_eq!(label, &format!("{word}:{sid}"), "{form:?}");
            }
        }
    }
}

#[test]
fn a_request_that_was_only_begun_is_outstanding() {
    let outstanding = |id: &str| {
        let case = cases::near_misses().into_iter().find(|c| c.id == id);
        let store = judged(&case.unwrap().capture(Form::LinuxL, Side::Server), &[]);
        let last = store.requests().last().unwrap();
        assert_eq!((last.end, last.complete), (RequestEnd::Outstanding, false));
        let text = store.text(last.text).to_owned();
        let open = store.sessions().iter().map(|s| s.outstanding).sum::<u32>();
        (text, open)
    };
    let (text, open) = outstanding("H4");
    assert!(text.starts_with("insert into dbo.Note"), "{text}");
    assert_eq!(open, 1);
    assert_eq!(outstanding("H3"), (String::new(), 1));
    assert!(outstanding("H5").0.starts_with("insert into dbo.Note"));
}

#[test]
fn an_answer_that_came_behind_the_close_is_told_to_have_come_too_late() {
    for view in Side::BOTH {
        let mut c = cases::opened(Form::LinuxL, &[0]);
        c.ask(0, "exec dbo.Slow");
        c.trip(300 * MS);
        let asked = c.now;
        c.wait(-MS / 10);
        c.client_tcp_fin();
        c.now = asked;
        c.answer(0, &tds::rows(2));
        c.label("answer");
        c.answer_with_resets(asked);
        let capture = c.capture(view);
        let answer = capture.frames.iter().position(|f| f.label == "answer");
        let store = judged(&capture, &[]);
        let close = found(&store, "rst-with-request");
        // The answer is in the file, so that its request has ended there.
        let session = &store.sessions()[0];
        assert_eq!((session.requests, session.outstanding), (3, 0));
        let end = format!(
            "bytes of answer (its end in frame {} came too late)",
            FrameNo::from_index(answer.unwrap())
        );
        assert_tells(&close.text.to_string(), &["Work was outstanding", &end]);
    }
}

#[test]
fn a_server_that_closes_after_the_hello_is_told_with_what_the_client_offers() {
    let (_, finding) = triggered("close-in-tls");
    assert_tells(
        &finding.text.to_string(),
        &[
            "up to TLS 1.2",
            "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
            "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
        ],
    );
}

#[test]
fn errors_are_told_with_number_class_state_server_and_text() {
    for rule in ["login-failed", "server-error-close"] {
        let (_, finding) = triggered(rule);
        assert_tells(
            &finding.text.to_string(),
            &["error ", "class ", "state ", "from SQLPROD1: "],
        );
    }
}

#[test]
fn a_header_error_tells_what_is_wrong_in_the_headers_of_its_request() {
    let refused = |headers: &[u8]| {
        let mut c = cases::opened(Form::WindowsW, &[0]);
        let text: Vec<u8> = "select 1"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let body = [headers, &text].concat();
        c.send_tds(
            Side::Client,
            0,
            &tds::packet(tds::SQL_BATCH, tds::EOM, 0, 1, &body),
        );
        c.trip(MS);
        let mut body = tds::message_token(
            true,
            4011,
            16,
            "MARS TDS header contained errors.",
            "SQLPROD1",
        );
        body.extend(tds::done(0xFD, tds::ERROR, 0xC1, 0));
        c.answer(0, &body);
        c.send(Side::Server, 0x11, &[]);
        let store = judged(&c.capture(Side::Server), &[]);
        let finding = found(&store, "mars-header-error");
        let headers = finding
            .conditions
            .iter()
            .find(|c| c.id == "headers")
            .unwrap();
        (headers.outcome, headers.fact.clone())
    };
    let descriptor = |len: u8, count: u8| {
        let mut bytes = vec![4 + len, 0, 0, 0, len, 0, 0, 0, 2, 0];
        bytes.resize(usize::from(len), 0);
        bytes.extend([count, 0, 0, 0]);
        bytes
    };
    let sound = descriptor(18, 1);
    let mut total = sound.clone();
    total[0] = 30;
    let mut kind = sound.clone();
    kind[8] = 3;
    for (headers, outcome, word) in [
        (&sound, Outcome::Unknown, "as they should be"),
        (&total, Outcome::Held, "do not sum up"),
        (
            &kind,
            Outcome::Held,
            "no header is a transaction descriptor",
        ),
        (&descriptor(14, 1), Outcome::Held, "not 18 bytes"),
        (&descriptor(18, 0), Outcome::Held, "0 outstanding requests"),
        (
            &descriptor(18, 9),
            Outcome::Held,
            "9 outstanding requests on 1 session",
        ),
    ] {
        let (found, fact) = refused(headers);
        assert_eq!(found, outcome, "{fact}");
        assert_tells(&fact, &[word]);
    }
}

#[test]
fn the_steps_of_the_login_on_the_page_name_the_largest() {
    let store = judged(&seed::server_view(), &[("login-slow.total", "100ms")]);
    let page = |f: &&Finding| f.evidence.frames().next() == Some(FrameNo(6704));
    let mut slow = store.findings().iter().filter(|f| f.rule == "login-slow");
    let finding = slow.find(page).unwrap();
    assert_tells(
        &finding.text.to_string(),
        &["155.4 ms", "SSPI response to login answer with 147.0 ms"],
    );
    let evidence: Vec<_> = finding.evidence.iter().collect();
    let steps: Vec<_> = evidence.iter().map(|e| (e.frame.0, &*e.role)).collect();
    assert_eq!(
        steps,
        [
            (6704, "SYN"),
            (6713, "SYN+ACK"),
            (6754, "ACK of the handshake"),
            (6777, "PRELOGIN"),
            (6786, "PRELOGIN answer"),
            (6833, "ClientHello"),
            (6873, "ServerHello"),
            (6977, "key exchange"),
            (7045, "change of cipher"),
            (7233, "LOGIN7"),
            (7275, "SSPI challenge"),
            (7331, "SSPI response"),
            (17978, "login answer"),
        ]
    );
}

#[test]
fn sessions_left_open_are_counted_over_time() {
    let mut c = cases::opened(Form::WindowsW, &[0, 1, 2, 3, 4, 5]);
    c.close_benign(Form::WindowsW, &[0]);
    let store = judged(&c.capture(Side::Server), &[]);
    let finding = found(&store, "orphan-sid");
    assert_tells(
        &finding.text.to_string(),
        &["5 sessions left open", "1 after", "6 after", "never fell"],
    );

    // Still open at the end of the file: told where it is many, and not where their number went down.
    let many = |closed: bool| {
        let sids: Vec<u16> = (0..8).collect();
        let mut c = cases::opened(Form::WindowsW, &sids);
        if closed {
            c.smp(Side::Client, smp::FIN, 3);
            c.trip(MS);
            c.smp(Side::Server, smp::FIN, 3);
            c.open(9);
            c.open(10);
        }
        let store = judged(&c.capture(Side::Server), &[("orphan-sid.open", "8")]);
        let found = store.findings().iter().find(|f| f.rule == "orphan-sid");
        found.map(|f| f.text.to_string())
    };
    assert_tells(
        &many(false).unwrap(),
        &["8 sessions open at the end of the file", "never fell"],
    );
    assert_eq!(many(true), None);
}

#[test]
fn an_attention_is_told_with_its_times() {
    let case = cases::near_misses()
        .into_iter()
        .find(|c| c.id == "N05")
        .unwrap();
    let store = judged(&case.capture(Form::WindowsW, Side::Server), &[]);
    let finding = found(&store, "rst-after-attention");
    assert_tells(
        &finding.text.to_string(),
        &[
            "attention in frame ",
            "300.0 ms after its request",
            " before the end",
        ],
    );
}

#[test]
fn an_attention_behind_a_complete_answer_cancels_nothing() {
    let cancel = |c: &mut Conn| {
        c.wait(300 * MS);
        c.send_tds(Side::Client, 0, &tds::attention());
        c.trip(MS);
        c.answer(0, &tds::done(0xFD, tds::ATTN, 0, 0));
        c.trip(MS);
    };
    let mut c = cases::opened(Form::WindowsW, &[0]);
    c.request(0, "select 1", &tds::rows(1));
    cancel(&mut c);
    let store = judged(&c.capture(Side::Server), &[]);
    let finding = found(&store, "attention-ok");
    assert_tells(
        &finding.text.to_string(),
        &[
            "1 attention behind a complete answer",
            "nothing was cancelled",
        ],
    );
    assert!(!finding.text.to_string().contains("waited"));

    c.ask(0, "exec dbo.Slow");
    cancel(&mut c);
    let store = judged(&c.capture(Side::Server), &[]);
    let finding = found(&store, "attention-ok");
    assert_tells(
        &finding.text.to_string(),
        &["cancelled 1 request", "it had waited 300"],
    );
    assert_eq!(
        finding.notes,
        ["1 attention behind a complete answer cancelled nothing"]
    );
}

#[test]
fn a_second_capture_point_tells_where_syns_were_lost() {
    let note = |reached: bool, running: bool| {
        let mut c = cases::opened(Form::WindowsW, &[0]);
        c.close_benign(Form::WindowsW, &[0]);
        let mut lonely = c.clone();
        lonely.hosts[0].port += 1;
        lonely.segments.clear();
        lonely.set_isns(7000, 0);
        for round in 0..3 {
            lonely.now = c.segments[0].sent + 5 * MS + round * 2 * MS;
            lonely.push(Side::Client, SYN, 7000, 0, &[]);
            lonely.last().lost = !reached;
        }
        let mut both = c.capture(Side::Client);
        both.frames.extend(lonely.capture(Side::Client).frames);
        let mut far = c.capture(Side::Server);
        far.frames.extend(lonely.capture(Side::Server).frames);
        if !running {
            far.frames.truncate(0);
        }
        both.frames.sort_by_key(|f| f.time);
        let store = judged(&both.merge(far), &[]);
        let finding = found(&store, "syn-no-answer");
        assert_eq!(finding.verdict, Verdict::Fault);
        finding.notes.join("; ")
    };
    assert_tells(&note(true, true), &["in the files of both capture points"]);
    assert_tells(&note(false, true), &["dropped on the way"]);
    assert!(!note(false, false).contains("capture point"));
}

#[test]
fn delayed_acknowledgements_are_told_where_there_are_many() {
    let slow = |times: usize| {
        let mut c = cases::opened(Form::WindowsW, &[0]);
        for _ in 0..times {
            c.ask(0, "select 1");
            c.trip(200_000);
            c.answer(0, &tds::rows(1));
            c.trip(200 * MS);
            c.send(Side::Client, 0x10, &[]);
            c.wait(10 * MS);
        }
        c.close_clean(&[0]);
        let store = judged(&c.capture(Side::Client), &[]);
        let found = store.findings().iter().find(|f| f.rule == "slow-ack");
        found.map(|f| f.text.to_string())
    };
    assert_tells(
        &slow(12).unwrap(),
        &["12 acknowledgements of the client", "200 ms"],
    );
    assert_eq!(slow(5), None);
}

#[test]
fn a_window_that_stays_closed_is_told_too() {
    let mut c = cases::opened(Form::WindowsW, &[0]);
    c.send(Side::Client, 0x10, &[]);
    c.last().win = 0;
    c.wait(3_000 * MS);
    c.send(Side::Server, 0x10, &[]);
    let store = judged(&c.capture(Side::Client), &[]);
    let finding = found(&store, "zero-window");
    assert_tells(
        &finding.evidence.iter().next().unwrap().fact,
        &["3.0 s", "not opened again"],
    );
}

#[test]
fn a_pooled_use_without_the_servers_confirmation_is_noted() {
    let (_, finding) = triggered("pool-reset");
    assert_tells(&finding.notes.join("; "), &["ENVCHANGE 18"]);
}

#[test]
fn a_redacted_report_leaves_out_what_a_server_wrote() {
    for (rule, text) in [
        ("login-failed", "Login failed for user"),
        ("server-error-close", "Something is wrong"),
    ] {
        let (store, finding) = triggered(rule);
        assert!(finding.text.to_string().contains(text));
        for format in [Format::Text, Format::Json, Format::Markdown] {
            let mut out = Vec::new();
            report::write(&store, format, true, None, &mut out).unwrap();
            let out = String::from_utf8(out).unwrap();
            assert!(!out.contains(text), "{rule} as {format:?}");
            assert!(!out.contains("SQLPROD1"), "{rule} as {format:?}");
        }
    }
}

/// Every threshold is named after a rule, so that `rules explain` shows it there.
#[test]
fn every_threshold_belongs_to_a_rule() {
    for threshold in marstui::rules::Threshold::ALL {
        let owner = threshold.name().split('.').next().unwrap();
        assert!(
            catalogue().iter().any(|r| r.id == owner),
            "{}",
            threshold.name()
        );
    }
}

/// The order of the other end is told for a finding of the close, and only there.
#[test]
fn the_page_shows_the_order_at_the_client() {
    let store = judged(&seed::server_view(), &[]);
    let close = found(&store, "mars-close-rst");
    let orders = order::of_finding(&store, close).unwrap();
    let inferred: Vec<_> = orders.inferred.iter().map(|s| s.frame.0).collect();
    assert_eq!(inferred, [93689, 93692, 93691, 93704]);
}

/// What can be told of a connection of which the frames' headers alone were captured, or its PRELOGIN besides.
#[test]
fn of_headers_it_is_told_who_closed_and_not_that_it_was_before_the_login() {
    let closes = |rule: &str, cut: &dyn Fn(&mut file::Capture)| {
        let case = cases::rules().into_iter().find(|c| c.rule == rule).unwrap();
        let mut capture = (case.triggers)();
        cut(&mut capture);
        let store = judged(&capture, &[]);
        let mut closes = store.findings().iter().filter(|f| f.close).cloned();
        closes.next().unwrap_or_else(|| panic!("{rule}: no close"))
    };
    let headers = |capture: &mut file::Capture| *capture = std::mem::take(capture).snap(54);
    let by_server = closes("server-fin-first", &headers);
    assert_eq!(&*by_server.rule, "server-fin-first");
    assert_ne!(by_server.confidence, Confidence::Proven);
    let orderly = closes("close-4way", &headers);
    assert_eq!(orderly.verdict, Verdict::Undecided, "{}", orderly.text);
    let behind_prelogins = |capture: &mut file::Capture| {
        let mut carried = 0;
        for frame in &mut capture.frames {
            carried += usize::from(frame.data.len() > 80);
            if carried > 2 {
                frame.data.truncate(54);
            }
        }
    };
    let later = closes("close-4way", &behind_prelogins);
    assert_eq!(later.verdict, Verdict::Undecided, "{}", later.text);
}

/// A client that sends its request again and again, though the server acknowledges and answers it each time: nothing of
/// the server's arrives, which the server's own file shows.
#[test]
fn an_answer_in_vain_to_a_request_that_keeps_coming_tells_that_one_direction_is_lost() {
    let capture = |times: usize, arrives: bool| {
        let mut c = cases::opened(Form::WindowsW, &[0]);
        c.ask(0, "select 1");
        let request = c.segments.len() - 1;
        c.trip(MS);
        c.answer(0, &tds::rows(1));
        let answer = c.segments.len() - 1;
        c.segments[answer].lost = true;
        for i in 0..times {
            c.wait((100 * MS) << i);
            c.resend(request);
            c.trip(0);
            c.send(Side::Server, ACK, &[]);
            c.last().lost = true;
            c.wait((100 * MS) << i);
            c.resend(answer);
            c.last().lost = true;
        }
        if arrives {
            c.last().lost = false;
            c.trip(0);
            c.send(Side::Client, ACK, &[]);
        }
        judged(&c.capture(Side::Server), &[])
    };
    let of_rule = |store: &Store| {
        let mut findings = store.findings().iter();
        findings.find(|f| f.rule == "one-way-loss").cloned()
    };
    let finding = of_rule(&capture(6, false)).expect("it is told");
    assert_eq!(finding.verdict, Verdict::Fault);
    assert_tells(
        &finding.text.to_string(),
        &[
            "server",
            "again 6 times in vain",
            "packets of one direction",
        ],
    );
    // What arrives at last was only late, and a few times nobody can tell.
    assert_eq!(of_rule(&capture(6, true)), None);
    assert_eq!(of_rule(&capture(3, false)), None);
}
