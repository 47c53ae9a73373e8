use super::*;
use crate::query::Eval;
use crate::query::testing::{ACK, Builder, FIN_ACK, RST_ACK, close};
use crate::store::{PduKind, Store};
use crate::units::{End, FrameNo, Nanos, SessionId, TcpSeq};

fn rules(text: &str) -> Vec<UserRule> {
    read(text).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn frames(text: &str, store: &Store) -> Vec<Vec<u32>> {
    let applied = apply(&rules(text), &Eval::of(store), &mut || false);
    assert!(!applied.stopped);
    applied
        .findings
        .iter()
        .map(|f| f.evidence.iter().map(|e| e.frame.0).collect())
        .collect()
}

const LATE: &str = r#"
[[rule]]
id = "late"
title = "late"
verdict = "Notice"
text = "reset {rst.frame} with {rst.tcp.ack_raw} on Sid {bye.sid} from {rst.side}"
[[rule.step]]
name = "bye"
event = "smp"
where = "smp.flags.fin == 1 and side == client"
[[rule.step]]
name = "fin"
event = "tcp"
where = "tcp.flags.fin == 1"
[[rule.step]]
name = "rst"
event = "tcp"
where = "tcp.flags.reset == 1 and tcp.ack == fin.tcp.ack + 16"
within = "1s"
"#;

#[test]
fn steps_are_bound_in_file_order_and_make_a_finding() {
    let store = close();
    let applied = apply(&rules(LATE), &Eval::of(&store), &mut || false);
    let [finding] = applied.findings.as_slice() else {
        panic!("{:?}", applied.findings);
    };
    assert_eq!(finding.rule, "late");
    assert_eq!(finding.verdict, Verdict::Notice);
    assert_eq!(finding.marks, [FrameNo(7)]);
    assert_eq!(
        finding.text,
        "reset 7 with 6016 on Sid 0 from client".into()
    );
    let evidence: Vec<_> = finding.evidence.iter().collect();
    let roles: Vec<_> = evidence.iter().map(|e| (e.frame.0, &*e.role)).collect();
    assert_eq!(roles, [(4, "bye"), (5, "fin"), (7, "rst")]);
    assert!(!finding.close);
    assert!(applied.too_broad.is_empty());
}

#[test]
fn a_segment_is_found_by_the_sid_that_it_carries() {
    let on = |sid: u16| {
        let text = format!(
            r#"
[[rule]]
id = "carries"
title = "carries"
verdict = "Notice"
text = "{{it.frame}}"
[[rule.step]]
name = "it"
event = "tcp"
where = "sid == {sid}"
"#
        );
        frames(&text, &close())
    };
    assert_eq!(on(5), [[4]]);
    assert!(on(9).is_empty());
}

#[test]
fn one_wrong_number_and_nothing_is_found() {
    assert_eq!(frames(LATE, &close()), [[4, 5, 7]]);
    let other = LATE.replace("+ 16", "+ 32");
    assert!(frames(&other, &close()).is_empty());
    let order = LATE.replace("kind = \"tcp\"", "").replace(
        "where = \"tcp.flags.fin == 1\"",
        "where = \"tcp.flags.syn == 1\"",
    );
    assert!(frames(&order, &close()).is_empty(), "the SYN stands before");
    let anywhere = order
        .replace(
            "tcp.ack == fin.tcp.ack + 16",
            "frame.number > fin.frame.number",
        )
        .replace("syn == 1\"", "syn == 1\"\nanywhere = true")
        .replace("within = \"1s\"", "");
    assert_eq!(frames(&anywhere, &close()), [[1, 4, 7]]);
}

#[test]
fn time_between_steps_is_limited() {
    let in_time = LATE.replace("1s", "2ms");
    assert_eq!(frames(&in_time, &close()).len(), 1);
    let too_late = LATE.replace("1s", "1ms");
    assert!(frames(&too_late, &close()).is_empty());
    let whole = LATE.replace("title = ", "within = \"2ms\"\ntitle = ");
    assert!(
        frames(&whole, &close()).is_empty(),
        "the first step is 3 ms before"
    );
}

#[test]
fn what_must_not_happen_in_between() {
    let data = LATE.replace("within = \"1s\"", "not_between = \"smp.flags.data == 1\"");
    assert_eq!(frames(&data, &close()).len(), 1);
    let fin = LATE.replace(
        "within = \"1s\"",
        "not_between = \"smp.flags.fin == 1 and side == server\"",
    );
    assert!(frames(&fin, &close()).is_empty(), "frame 6 is in between");
}

/// Requests of two Sids, interleaved; only that of Sid 1 is answered.
fn two_sids() -> (Store, SessionId) {
    let mut b = Builder::new();
    let conn = b.conn(50_000);
    let (one, two) = (b.session(conn, 1), b.session(conn, 2));
    b.frame(conn, End::A, ACK, 100);
    b.tds(Some(one), 3, 1, 100);
    b.frame(conn, End::A, ACK, 200);
    b.tds(Some(two), 3, 1, 100);
    b.tds(Some(one), 6, 1, 24);
    b.frame(conn, End::B, ACK, 100);
    b.tds(Some(one), 4, 1, 100);
    (b.build(), one)
}

#[test]
fn steps_on_one_sid_are_of_one_session() {
    let rule = |same: &str| {
        format!(
            r#"
[[rule]]
id = "cancelled"
verdict = "Notice"
same = "{same}"
[[rule.step]]
name = "asked"
event = "tds"
where = "tds.type == rpc and tds.length != 99"
[[rule.step]]
name = "cancel"
event = "tds"
where = "tds.type == attention"
[[rule.step]]
name = "answer"
event = "tds"
where = "tds.type == 4 and sid == cancel.sid"
"#
        )
    };
    let (store, one) = two_sids();
    let applied = apply(&rules(&rule("sid")), &Eval::of(&store), &mut || false);
    assert_eq!(applied.findings.len(), 1);
    assert_eq!(applied.findings[0].session, Some(one));
    assert_eq!(
        applied.findings[0].evidence.frames().next(),
        Some(FrameNo(1))
    );
    // The attention shares its frame with a request of Sid 2: `!=` is about the packet, not about the frame.
    let other = rule("sid").replace("tds.type == attention", "tds.type == 6 and sid != 2");
    assert_eq!(frames(&other, &store).len(), 1);
    let none = rule("sid").replace("tds.type == rpc", "tds.type == rpc and sid == 2");
    assert!(frames(&none, &store).is_empty());
    let across = rule("connection").replace("tds.type == rpc", "tds.type == rpc and sid == 2");
    assert_eq!(frames(&across, &store).len(), 1);
}

#[test]
fn a_rule_that_fits_everything_gives_up() {
    let mut b = Builder::new();
    let conn = b.conn(50_000);
    for _ in 0..3_000 {
        b.frame(conn, End::A, ACK, 0);
    }
    let store = b.build();
    let rule = r#"
[[rule]]
id = "broad"
verdict = "Notice"
[[rule.step]]
name = "a"
event = "tcp"
where = "tcp"
[[rule.step]]
name = "b"
event = "tcp"
where = "tcp"
[[rule.step]]
name = "c"
event = "tcp"
where = "tcp.len == b.tcp.len + 1"
"#;
    let applied = apply(&rules(rule), &Eval::of(&store), &mut || false);
    assert!(applied.findings.is_empty());
    assert_eq!(applied.too_broad.len(), 1);
    let stopped = apply(&rules(rule), &Eval::of(&store), &mut || true);
    assert!(stopped.stopped);
}

#[test]
fn events_are_in_one_match_only_and_clocks_may_run_backwards() {
    let mut b = Builder::new();
    let conn = b.conn(50_000);
    for _ in 0..2 {
        b.frame(conn, End::A, FIN_ACK, 0);
        b.last_frame().time = Nanos(2_000_000_000);
        b.last_frame().ack = TcpSeq(7000);
        b.frame(conn, End::A, RST_ACK, 0);
        b.last_frame().time = Nanos(1_999_000_000);
        b.last_frame().ack = TcpSeq(7016);
        b.frame(conn, End::A, RST_ACK, 0);
        b.last_frame().ack = TcpSeq(7016);
    }
    let store = b.build();
    let rule = r#"
[[rule]]
id = "twice"
verdict = "Fault"
[[rule.step]]
name = "fin"
event = "tcp"
where = "tcp.flags.fin == 1"
[[rule.step]]
name = "rst"
event = "tcp"
where = "tcp.flags.reset == 1 and tcp.ack == fin.tcp.ack + 16"
within = "5ms"
"#;
    assert_eq!(frames(rule, &store), [[1, 2], [4, 5]]);
}

#[test]
fn a_segment_and_its_packet_may_be_two_steps() {
    let mut b = Builder::new();
    let conn = b.conn(50_000);
    let session = b.session(conn, 0);
    b.frame(conn, End::A, FIN_ACK, 16);
    b.pdu(PduKind::Fin, Some(session));
    let store = b.build();
    let rule = r#"
[[rule]]
id = "riding"
verdict = "Notice"
[[rule.step]]
name = "bye"
event = "smp"
where = "kind == FIN"
[[rule.step]]
name = "fin"
event = "tcp"
where = "tcp.flags.fin == 1"
"#;
    assert_eq!(frames(rule, &store), [[1, 1]]);
}

#[test]
fn mistakes_name_line_column_and_the_nearest_name() {
    let step = "[[rule.step]]\nevent = \"tcp\"\nwhere = \"tcp\"\n";
    let head = "[[rule]]\nid = \"x\"\nverdict = \"Fault\"\n";
    let cases = [
        (
            "[[rule]]\nid = \"x\"\nverdict = \"Fault\"\n[[rule.step]]\nname = \"fin\"\nevent = \"tcp\"\n\
             where = \"tcp\"\n[[rule.step]]\nevent = \"tcp\"\nwhere = \"tcp.len > 0 and tcp.ack == fin.tcp.akc + 16\"\n"
                .to_owned(),
            "10:41: no such field: `tcp.akc`; nearest: tcp.ack",
        ),
        (
            "[[rule]]\nid = \"x\"\nverdict = \"Fault\"\n[[rule.step]]\nevent = \"tcp\"\nwhere = '''\ntcp.flags.rest'''\n"
                .to_owned(),
            "7:1: no such field: `tcp.flags.rest`; nearest: tcp.flags.reset",
        ),
        (
            format!("{head}[[rule.step]]\nevent = \"tds\"\nwhere = \"tds.query ~ \\\"a\\\" or sidd\"\n"),
            "6:31: no such field: `sidd`; nearest: sid",
        ),
        (
            format!("{head}{step}[[rule.step]]\nevent = \"smb\"\nwhere = \"smp\"\n"),
            "8:9: `event` is one of tcp, smp, tds, not `smb`; nearest: smp",
        ),
        (
            format!("{head}[[rule.step]]\nevent = \"tcp\"\nwhere = \"tcp\"\nwithin = \"1s\"\n"),
            "7:1: `within` needs a step before; this is the first",
        ),
        (
            format!("{head}{step}[[rule.step]]\nevent = \"tcp\"\nwhere = \"tcp\"\nwithin = \"soon\"\n"),
            "10:10: `within` is a time with its unit, for example \"200ms\"",
        ),
        (
            format!("[[rule]]\nverdict = \"Fault\"\n{step}"),
            "1:1: a rule needs an `id`",
        ),
        (
            format!("[[rule]]\nid = \"mars-close-rst\"\nverdict = \"Fault\"\n{step}"),
            "2:6: `mars-close-rst` is the id of a built-in rule",
        ),
        (
            format!("[[rule]]\nid = \"x\"\nverdict = \"Benin\"\n{step}"),
            "3:11: `verdict` is one of Benign, Normal, LikelyBenign, Notice, Fault, Undecided, not `Benin`; nearest: Benign",
        ),
        (
            format!("[[rule]]\nid = \"x\"\nverdict = \"Fault\"\ntittle = \"t\"\n{step}"),
            "4:1: no key `tittle` in a rule; nearest: title",
        ),
        (
            format!("{head}text = \"at {{step1.tcp.akc}}\"\n{step}"),
            "4:8: `{step1.tcp.akc}` is no field of a step (write {step.field}); nearest field: tcp.ack",
        ),
        (
            format!("{head}[[rule.step]]\nname = \"tcp\"\nevent = \"tcp\"\nwhere = \"tcp\"\n"),
            "5:8: `tcp` begins the names of fields; take another",
        ),
        (head.to_owned(), "1:1: a rule needs at least one [[rule.step]]"),
        ("[[rules]]\n".to_owned(), "1:3: no key `rules`; nearest: rule"),
        ("[[rule]\n".to_owned(), "1:8: "),
        (String::new(), "1:1: no rule here; a rule begins with [[rule]]"),
        (
            format!("{head}same = \"sid\"\n{step}"),
            "4:8: `same = \"sid\"` needs a step of SMP or TDS",
        ),
    ];
    for (text, wanted) in cases {
        let errors = read(&text)
            .err()
            .unwrap_or_else(|| panic!("no error: {text}"));
        let first = errors[0].to_string();
        assert!(
            first.starts_with(wanted),
            "{first}\n  wanted: {wanted}\n{text}"
        );
    }
}

#[test]
fn several_mistakes_are_reported_together() {
    let errors = read("[[rule]]\nid = \"X\"\n[[rule.step]]\nevent = \"tcp\"\n").unwrap_err();
    assert_eq!(errors.len(), 3, "{errors:?}");
}

/// A mistake in a step is told once, not again for the text that speaks of the step.
#[test]
fn a_mistake_is_told_once_and_in_the_words_of_rules() {
    let rule = |first: &str, second: &str| {
        let text = format!(
            "[[rule]]\nid = \"r\"\ntitle = \"t\"\nverdict = \"Notice\"\ntext = \"{{a.frame}} {{b.frame}}\"\n\
             [[rule.step]]\nname = \"a\"\nevent = \"tcp\"\nwhere = \"{first}\"\n\
             [[rule.step]]\nname = \"b\"\nevent = \"tcp\"\nwhere = \"{second}\"\n"
        );
        let errors = read(&text).unwrap_err();
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        errors.join("; ")
    };
    assert_eq!(
        rule("tcp.flag.reset == 1", "tcp.len == 0"),
        "9:10: no such field: `tcp.flag.reset`; nearest: tcp.flags.reset"
    );
    assert_eq!(
        rule("tcp.seq == b.tcp.seq", "tcp.len == 0"),
        "9:21: `b` is no earlier step than this one, and only those can be referred to"
    );
    assert_eq!(
        rule("tcp.len = 0", "tcp.len == 0"),
        "9:18: `=` means nothing here; `==` compares"
    );
}

#[test]
fn a_rule_explains_itself() {
    let text = rules(LATE)[0].explain();
    assert!(text.contains("late: late"), "{text}");
    assert!(
        text.contains("rst           tcp: tcp.flags.reset == 1"),
        "{text}"
    );
    assert!(text.contains("within 1 s of the step before"), "{text}");
}

#[test]
fn folders_and_files_are_read_together() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("b.toml", &LATE.replace("\"late\"", "\"second\""));
    write("a.toml", LATE);
    write("c.toml", "[[rule]]\n");
    write("d.toml", LATE);
    write("e.txt", "no rule");
    let (rules, errors) = load_all(&[], Some(folder.path()));
    let ids: Vec<_> = rules.iter().map(|r| r.id.as_str()).collect();
    assert_eq!(ids, ["late", "second"]);
    assert!(
        errors
            .iter()
            .any(|e| e.to_string().contains("c.toml:1:1: ")),
        "{errors:?}"
    );
    assert!(errors.iter().any(|e| {
        e.to_string()
            .contains("d.toml: the rule `late` is there already")
    }));
    let (_, errors) = load_all(&["/nowhere.toml".into()], None);
    assert!(
        errors[0]
            .to_string()
            .starts_with("/nowhere.toml: cannot read the rules")
    );
}
