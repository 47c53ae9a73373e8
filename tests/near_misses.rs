//! The catalogue's cases, judged: every reset (or the close, where there is none) gets the rule and the verdict that
//! the catalogue's table says, at both ends and in the forms of both systems.

use marstui::rules::{Settings, judge};
use marstui::store::{Finding, Outcome, RequestEnd, RequestKind, Store, Verdict};
use marstui::units::{FrameNo, Side};

use crate::generated::{each, index};
use crate::support::synth::cases::{self, Case};
use crate::support::synth::close::Form;
use crate::support::synth::rng::Rng;
use crate::support::synth::{file, seed, tds};

fn judged(capture: &file::Capture) -> Store {
    judged_with(capture, &Settings::default())
}

fn judged_with(capture: &file::Capture, settings: &Settings) -> Store {
    let mut store = index(capture);
    judge(&mut store, settings);
    store
}

/// The frames whose label begins with a word.
fn labelled(capture: &file::Capture, label: &str) -> Vec<FrameNo> {
    let frames = capture.frames.iter().enumerate();
    frames
        .filter(|(_, frame)| frame.label.starts_with(label))
        .map(|(i, _)| FrameNo::from_index(i))
        .collect()
}

/// What the judge says of a frame.
fn said(store: &Store, frame: FrameNo) -> Result<&Finding, String> {
    store
        .finding_on(frame)
        .ok_or(format!("frame {frame}: no finding"))
}

pub fn describe(finding: &Finding) -> String {
    let conditions = |outcome: Outcome| {
        let lines = finding
            .conditions
            .with(outcome)
            .map(|c| format!("{} ({})", c.id, c.fact));
        lines.collect::<Vec<_>>().join(", ")
    };
    format!(
        "{} {} {}; failed: {}; unknown: {}; notes {:?}",
        finding.rule,
        finding.verdict.name(),
        finding.confidence.name(),
        conditions(Outcome::Failed),
        conditions(Outcome::Unknown),
        finding.notes
    )
}

fn check(case: &Case, form: Form, view: Side) -> Result<(), String> {
    check_capture(case, &case.capture(form, view))
}

fn check_capture(case: &Case, capture: &file::Capture) -> Result<(), String> {
    let store = judged(capture);
    let resets = labelled(capture, "rst");
    let mut findings = Vec::new();
    for reset in &resets {
        findings.push(said(&store, *reset)?);
    }
    if findings.is_empty() {
        // Without reset the finding of the close speaks; the last one, where the ports were used before.
        let close = store.findings().iter().rev().find(|finding| finding.close);
        findings.push(close.ok_or("no finding about the close")?);
    }
    let expect = &case.expect;
    for finding in findings {
        let wrong = |what: &str| Err(format!("{what}: {}", describe(finding)));
        let accepted = expect.accepted.iter().any(|(rule, verdict)| {
            (rule.is_empty() || finding.rule == *rule) && finding.verdict == *verdict
        });
        if !accepted {
            return wrong(&format!("expected {:?}", expect.accepted));
        }
        for id in expect.failed {
            // A fall-back whose own condition is that this one failed names it as held.
            let own = finding.conditions.iter().find(|c| c.id == *id);
            if own.is_none_or(|c| c.outcome == Outcome::Unknown) {
                return wrong(&format!("{id} is not named as failed"));
            }
        }
        for id in expect.unknown {
            if !finding
                .conditions
                .with(Outcome::Unknown)
                .any(|c| c.id == *id)
            {
                return wrong(&format!("{id} is not named as unknown"));
            }
        }
        if !finding.notes.iter().any(|note| note.contains(expect.note)) && !expect.note.is_empty() {
            return wrong(&format!("no note says {}", expect.note));
        }
        if finding.verdict == Verdict::Benign
            && finding
                .conditions
                .iter()
                .any(|c| c.outcome != Outcome::Held)
        {
            return wrong("benign in spite of");
        }
    }
    for (label, rule, verdict) in expect.also {
        for frame in labelled(capture, label) {
            let finding = said(&store, frame)?;
            if finding.rule != *rule || finding.verdict != *verdict {
                return Err(format!(
                    "{label}, expected {rule} {verdict:?}: {}",
                    describe(finding)
                ));
            }
        }
    }
    Ok(())
}

#[test]
fn near_misses_get_what_the_table_says() {
    each(&cases::near_misses(), &check);
    each(&cases::told_by_all(), &check);
}

#[test]
fn variants_and_harmless_differences_stay_benign() {
    each(&cases::benign(), &check);
}

#[test]
fn the_page_is_benign_and_proven_in_both_views() {
    let frames = |numbers: [u32; 4]| numbers.map(FrameNo);
    for (capture, evidence) in [
        (seed::server_view(), frames([93689, 93691, 93692, 93704])),
        (seed::client_view(), frames([12346, 12352, 12361, 12374])),
    ] {
        let store = judged(&capture);
        let finding = said(&store, evidence[3]).unwrap();
        assert_eq!(finding.rule, "mars-close-rst", "{}", describe(finding));
        assert_eq!(finding.verdict, Verdict::Benign, "{}", describe(finding));
        assert_eq!(finding.frames(), evidence, "{}", describe(finding));
        let facts = finding
            .conditions
            .iter()
            .map(|c| c.fact)
            .chain(finding.evidence.iter().map(|e| e.fact))
            .fold(String::new(), |all, fact| all + &fact + "\n");
        let numbers = ["661892742", "661892741", "493774874", "493774858"];
        for fact in numbers
            .iter()
            .chain(&["RST.Seq = FIN.Seq + 1", "RST.Ack = FIN.Ack + 16"])
        {
            assert!(facts.contains(fact), "{fact} is not in\n{facts}");
        }
        // Nothing else in the demo asks for attention.
        let loud: Vec<_> = store
            .findings()
            .iter()
            .filter(|f| !matches!(f.verdict, Verdict::Benign | Verdict::Normal))
            .map(describe)
            .collect();
        assert!(loud.is_empty(), "{loud:?}");
    }
}

/// Rules that come before the benign one and would hide that one of its conditions failed.
const BEFORE: &[&str] = &[
    "keepalive-timeout",
    "retransmit-timeout",
    "rst-ignored",
    "rst-middlebox",
    "smp-violation",
    "rst-after-attention",
    "rst-with-request",
    "server-fin-first",
    "rst-data-lost",
];

#[test]
fn each_condition_of_the_benign_reset_matters() {
    let mut alone = Settings::default();
    for rule in BEFORE {
        alone.set(rule, "off").unwrap();
    }
    let mut captures = Vec::new();
    for case in cases::near_misses() {
        for form in case.forms {
            captures.push((case.id, case.capture(*form, Side::Client)));
        }
    }
    let benign = |capture: &file::Capture, settings: &Settings| {
        let store = judged_with(capture, settings);
        let close = store.findings().iter().rev().find(|f| f.close);
        close.is_some_and(|f| f.rule == "mars-close-rst" && f.verdict == Verdict::Benign)
    };
    captures.retain(|(_, capture)| !benign(capture, &alone));
    let mut idle = Vec::new();
    for number in 1..=15 {
        let id = format!("M{number}");
        let mut without = alone.clone();
        without.skip_condition("mars-close-rst", &id);
        if !captures
            .iter()
            .any(|(_, capture)| benign(capture, &without))
        {
            idle.push(id);
        }
    }
    assert!(idle.is_empty(), "no case becomes benign without {idle:?}");
}

#[test]
fn every_rule_has_a_capture_that_triggers_it_and_one_that_nearly_does() {
    let cases = cases::rules();
    let mut wrong = Vec::new();
    for case in &cases {
        let all = |store: &Store| {
            let lines = store.findings().iter().map(describe);
            lines.collect::<Vec<_>>().join("\n    ")
        };
        let store = judged(&(case.triggers)());
        // What a file lacks is said in a note on the connection's close.
        let noted = |f: &Finding| {
            f.notes
                .iter()
                .any(|note| note.starts_with(&format!("{}:", case.rule)))
        };
        let given = |store: &Store, verdict: Option<Verdict>| {
            store
                .findings()
                .iter()
                .any(|f| noted(f) || f.rule == case.rule && verdict.is_none_or(|v| f.verdict == v))
        };
        if !given(&store, Some(case.verdict)) {
            wrong.push(format!(
                "{} ({}) is not given:\n    {}",
                case.rule,
                case.what,
                all(&store)
            ));
        }
        let store = judged(&(case.nearly)());
        if given(&store, None) {
            wrong.push(format!(
                "{} is given where it only nearly holds:\n    {}",
                case.rule,
                all(&store)
            ));
        }
    }
    for rule in marstui::rules::catalogue() {
        if !cases.iter().any(|case| case.rule == rule.id) {
            wrong.push(format!("{} has no capture", rule.id));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn many_ports_that_a_client_uses_again_are_one_finding() {
    let reused = |ports: u16| {
        let store = judged(&cases::reused_ports(ports));
        assert_eq!(store.conns().len(), usize::from(ports) * 2);
        let found = store.findings().iter().filter(|f| f.rule == "port-reuse");
        found.map(|f| f.text.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(reused(3).len(), 3);
    let [one] = &reused(12)[..] else {
        panic!("one finding for all");
    };
    assert!(
        one.contains("12 ports") && one.contains("12 later connections"),
        "{one}"
    );
}

/// Copies some frames a few places further on, as a network or a mirrored port does.
fn with_copies(whole: &file::Capture, seed: u64) -> file::Capture {
    let mut rng = Rng::new(seed);
    let mut capture = whole.clone();
    let mut at = 0;
    while at < capture.frames.len() {
        if rng.below(100) < 15 {
            let copy = capture.frames[at].clone();
            let mut to =
                (at + 1 + usize::try_from(rng.below(4)).unwrap()).min(capture.frames.len());
            // No copy comes seconds later, when another connection may have the ports.
            while to > at + 1 && capture.frames[to - 1].time - copy.time > 1_000_000_000 {
                to -= 1;
            }
            capture.frames.insert(to, copy);
            at = to;
        }
        at += 1;
    }
    capture
}

/// Has some of the client's frames overtake the one before on their way to the server's capture. Where the server
/// speaks between the two, it has answered the first, and nothing can overtake it.
fn with_overtaking(whole: &file::Capture, seed: u64) -> file::Capture {
    let mut rng = Rng::new(seed);
    let mut capture = whole.clone();
    let from_client = |f: &file::Frame| f.data[36..38] == 1433u16.to_be_bytes();
    // The handshake stays: what would overtake a SYN does not exist yet.
    let mut at = 2;
    while at + 1 < capture.frames.len() {
        let (first, second) = (&capture.frames[at], &capture.frames[at + 1]);
        if from_client(first) && from_client(second) && rng.below(100) < 60 {
            let times = (first.time, second.time);
            capture.frames.swap(at, at + 1);
            (capture.frames[at].time, capture.frames[at + 1].time) = times;
            at += 1;
        }
        at += 1;
    }
    capture
}

/// A capture point can write an answer before the request that it answers, and a request before the answer to the one
/// before it. By the sequence numbers they are read in the order in which they were sent.
#[test]
fn what_stands_before_what_it_answers_is_read_behind_it() {
    for form in Form::ALL {
        for mss in [1460, 80] {
            let mut c = cases::opened(form, &[0]);
            c.mss = mss;
            for i in 1..4 {
                c.ask(0, &format!("select id, text from dbo.Note where id = {i}"));
                c.label(&format!("ask {i}"));
                c.trip(300_000);
                c.answer(0, &tds::rows(i));
                c.label(&format!("answer {i}"));
                c.trip(400_000);
            }
            c.close_benign(form, &[0]);
            for (early, late) in [
                ("answer 1", "ask 1"),
                ("ask 2", "answer 1"),
                ("answer 3", "ask 3"),
            ] {
                for view in Side::BOTH {
                    let mut capture = c.capture(view);
                    capture.move_behind(late, early);
                    let store = judged(&capture);
                    let close = store.findings().iter().find(|f| f.close).unwrap();
                    let seen = format!(
                        "{form:?} {mss} {} {early}: {}",
                        view.word(),
                        describe(close)
                    );
                    assert_eq!(close.verdict, Verdict::Benign, "{seen}");
                    let conn = store.conns().first().unwrap();
                    assert!(
                        conn.tcp.0.iter().all(|tcp| tcp.missing_bytes == 0),
                        "{seen}"
                    );
                    let asked = store.requests().filter(|r| r.kind == RequestKind::SqlBatch);
                    let rows: Vec<_> = asked.map(|request| (request.end, request.rows)).collect();
                    let done = |rows| (RequestEnd::Done, Some(rows));
                    assert!(
                        rows.ends_with(&[done(1), done(2), done(3)]),
                        "{seen}: {rows:?}"
                    );
                }
            }
        }
    }
}

/// One frame with a wrong acknowledgement number does not make those behind it unreadable, but for the answers that are
/// held back as long as what it acknowledges may still come.
#[test]
fn what_nobody_sent_is_not_missing_though_a_frame_acknowledges_it() {
    for form in Form::ALL {
        let mut c = cases::opened(form, &[0]);
        for i in 1..8 {
            c.ask(0, &format!("select id, text from dbo.Note where id = {i}"));
            c.trip(300_000);
            c.answer(0, &tds::rows(i));
            c.label(&format!("answer {i}"));
            c.trip(400_000);
        }
        c.close_benign(form, &[0]);
        for view in Side::BOTH {
            let mut capture = c.capture(view);
            let wrong = capture.frames.iter_mut().find(|f| f.label == "answer 2");
            let ack = &mut wrong.unwrap().data[42..46];
            let number = u32::from_be_bytes(<[u8; 4]>::try_from(&*ack).unwrap());
            ack.copy_from_slice(&number.wrapping_add(20_000).to_be_bytes());
            let store = judged(&capture);
            let conn = store.conns().first().unwrap();
            assert!(conn.tcp.0.iter().all(|tcp| tcp.missing_bytes == 0));
            let asked = store.requests().filter(|r| r.kind == RequestKind::SqlBatch);
            let rows: Vec<_> = asked.filter_map(|request| request.rows).collect();
            assert!(rows.ends_with(&[6, 7]), "{form:?}: {rows:?}");
            let close = store.findings().iter().find(|f| f.close).unwrap();
            assert_ne!(close.verdict, Verdict::Fault, "{}", describe(close));
        }
    }
}

#[test]
fn copies_of_frames_change_no_verdict() {
    let check = |case: &Case, form: Form, view: Side| {
        let whole = case.capture(form, view);
        for seed in 0..3 {
            check_capture(case, &with_copies(&whole, seed))
                .map_err(|e| format!("seed {seed}: {e}"))?;
        }
        Ok(())
    };
    let mut cases = cases::near_misses();
    cases.extend(cases::benign());
    each(&cases, &check);
}

#[test]
fn overtaking_changes_no_benign_verdict() {
    let mut cases = cases::benign();
    // Ethernet without tags only: the check looks for ports at their usual place.
    cases.retain(|case| case.views.contains(&Side::Server) && !case.id.starts_with('L'));
    for case in &mut cases {
        case.views = &[Side::Server];
    }
    each(&cases, &|case, form, view| {
        let whole = case.capture(form, view);
        for seed in 0..6 {
            check_capture(case, &with_overtaking(&whole, seed))
                .map_err(|e| format!("seed {seed}: {e}"))?;
        }
        Ok(())
    });
}

#[test]
fn silence_is_counted_from_the_last_payload_in_the_file_though_the_clock_went_back() {
    let case = cases::rules().into_iter().find(|c| c.rule == "close-idle");
    let mut capture = (case.unwrap().triggers)();
    for frame in &mut capture.frames[..8] {
        frame.time += 100_000_000_000;
    }
    let store = judged(&capture);
    let close = store.findings().iter().find(|f| f.close).unwrap();
    assert_eq!(close.rule, "close-idle");
}
