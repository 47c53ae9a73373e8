//! Which frames filters select, one by one and in scans.

mod mistakes;
mod scans;

use super::testing::{Builder, close};
use super::*;
use crate::decode::field::{Field, Value};
use crate::store::{PduKind, Store};
use crate::units::{End, PduId};

fn hits(store: &Store, text: &str) -> Vec<u32> {
    let context = Context {
        start: store.start_time(),
        ..Context::default()
    };
    let filter = parse(text, &context).unwrap_or_else(|e| panic!("{text}: {e:?}"));
    let eval = Eval {
        marked: &[(2, 3), (7, 7)],
        ..Eval::of(store)
    };
    let found: Vec<u32> = run(&filter, &eval).iter().map(|f| f.0).collect();
    let single: Vec<u32> = (1..=store.last_frame().map_or(0, |f| f.0))
        .filter(|n| filter.matches(&eval, FrameNo(*n)))
        .collect();
    assert_eq!(found, single, "scan and single frames differ for {text}");
    found
}

#[test]
fn filters_select_frames() {
    let store = close();
    let cases: &[(&str, &[u32])] = &[
        // Names of our own.
        ("sid == 5", &[4]),
        ("sid == 5 and kind in {FIN, RST}", &[4]),
        ("kind in {FIN, RST}", &[4, 6, 7]),
        ("kind == t.rst", &[7]),
        ("kind ~ \"^t\"", &[1, 5, 7, 8, 9]),
        ("kind == T.ACK", &[9]),
        ("kind == part", &[]),
        ("conn == 1", &[8, 9]),
        ("conn == 0 and not smp", &[1, 5, 7]),
        ("frame in 4..6", &[4, 5, 6]),
        ("frame in {1, 4..5, 9}", &[1, 4, 5, 9]),
        ("no >= 8", &[8, 9, 10]),
        ("finding == mars-close-rst", &[7]),
        ("finding ~ mars or marked", &[2, 3, 7]),
        ("finding", &[7]),
        ("verdict == benign", &[7]),
        ("verdict != Benign", &[]),
        ("marked", &[2, 3, 7]),
        ("marked == false", &[1, 4, 5, 6, 8, 9, 10]),
        ("not marked and tcp.flags.reset == 1", &[]),
        ("side == server", &[3, 6, 9]),
        ("smp.dir == s2c", &[3, 6]),
        ("delta >= 1ms", &[2, 3, 4, 5, 6, 7, 8, 9, 10]),
        ("delta.sid >= 1ms", &[3, 4, 6]),
        ("delta.sid > 1ms", &[6]),
        ("delta.sid == 0", &[2, 4]),
        ("delta.sid != 0", &[3, 6]),
        (
            "frame.time_delta_displayed >= 1ms",
            &[2, 3, 4, 5, 6, 7, 8, 9, 10],
        ),
        ("delta > 1000us", &[]),
        ("delta > 0.0005", &[2, 3, 4, 5, 6, 7, 8, 9, 10]),
        ("time < 2ms", &[1, 2]),
        ("frame.time >= 09:31:12.009", &[9, 10]),
        ("frame.time > \"2026-03-14 09:31:12.0085\"", &[9, 10]),
        ("len == 16", &[4, 6]),
        ("len == 0", &[1, 5, 7, 8, 9]),
        // A field that occurs twice in frame 4: == is any, != is none.
        ("smp.sid == 0", &[2, 3, 4, 6]),
        ("smp.sid != 0", &[]),
        ("smp.sid != 5", &[2, 3, 6]),
        ("smp.sid ~= 0", &[4]),
        ("smp.sid === 0", &[2, 3, 6]),
        ("any smp.sid != 0", &[4]),
        ("all smp.sid <= 5", &[2, 3, 4, 6]),
        ("not smp.sid == 0", &[1, 5, 7, 8, 9, 10]),
        ("smp.sid > 0", &[4]),
        ("count(smp.sid) == 2", &[4]),
        // Names of Wireshark.
        ("smp.flags.fin == 1", &[4, 6]),
        ("smp.flags.fin == true && tcp.len > 16", &[4]),
        ("smp.flags == FIN", &[4, 6]),
        ("smp.flags.fin", &[2, 3, 4, 6]),
        ("tcp.flags.reset == 1", &[7]),
        ("tcp.flags & 0x05", &[5, 7]),
        ("tcp.flags == 0x14", &[7]),
        ("tcp.port == 50123", &[1, 2, 3, 4, 5, 6, 7]),
        ("tcp.srcport == 1433", &[3, 6, 9]),
        ("1433 == tcp.srcport", &[3, 6, 9]),
        ("tcp.port in {50124, 9}", &[8, 9]),
        ("tcp.port != 50123", &[8, 9]),
        ("ip.src == 10.0.0.9", &[3, 6, 9]),
        ("ip.addr == 10.0.0.0/24", &[1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("ip.addr == 10.0.1.0/24", &[]),
        ("ip.addr != 10.0.0.5", &[]),
        ("ip.dst in {10.0.0.6..10.0.0.9}", &[1, 2, 4, 5, 7, 8]),
        ("ipv6", &[]),
        ("ip", &[1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("!tcp", &[10]),
        ("tds", &[2, 3]),
        ("tds.type == rpc", &[2]),
        ("tds.type == \"Remote Procedure Call\"", &[2]),
        ("tds.type in {1, 3, 7, 14}", &[2]),
        ("tds.status.eom == 1", &[2, 3]),
        ("tcp.stream eq 1", &[8, 9]),
        ("frame.len > 0x5f", &[2, 3]),
        ("tcp.seq == 0", &[]),
        ("tcp.seq == 1", &[1]),
        ("tcp.analysis.retransmission", &[]),
        // Structure.
        ("(conn == 0 or conn == 1) and (side == server)", &[3, 6, 9]),
        ("conn == 0 and side == server or conn == 1", &[3, 6, 8, 9]),
        ("!(conn == 0) && !(conn == 1)", &[10]),
        ("sid not in {0}", &[1, 5, 7, 8, 9, 10]),
        // Arithmetic.
        ("tcp.ack_raw - 6000 == 16", &[7]),
        ("tcp.ack_raw == 6000 + 16", &[7]),
        ("(tcp.len + 2) * 2 == 36", &[6]),
        ("(tcp.srcport) == 1433", &[3, 6, 9]),
        ("tcp.srcport == tcp.dstport", &[]),
        ("tcp.srcport > tcp.dstport", &[1, 2, 4, 5, 7, 8]),
        ("frame.len - tcp.len != 54", &[]),
        ("tcp.ack_raw - tcp.seq_raw > 4900", &[5, 7]),
        ("tcp.seq_raw - tcp.ack_raw < -4900", &[5, 7]),
        ("tcp.seq_raw - 1001 > 0x7fffffff", &[]),
        ("tcp.seq_raw - 1002 > 0x7fffffff", &[1]),
    ];
    for (text, wanted) in cases {
        assert_eq!(hits(&store, text), *wanted, "{text}");
    }
}

#[test]
fn saved_filters_and_the_value_under_the_cursor() {
    let named = |text: &str| Named {
        text: text.to_owned(),
        place: crate::settings::Place::Default,
    };
    let saved = BTreeMap::from([
        ("closes".to_owned(), named("kind in {FIN, RST}")),
        ("loop".to_owned(), named("@loop")),
        ("bad".to_owned(), named("conn == 0 and sidd == 1")),
    ]);
    let context = Context {
        saved: Some(&saved),
        cursor: Some(UnderCursor::Value("5")),
        ..Context::default()
    };
    let store = close();
    let all = |text: &str| -> Vec<u32> {
        let filter = parse(text, &context).unwrap();
        run(&filter, &Eval::of(&store))
            .iter()
            .map(|f| f.0)
            .collect()
    };
    assert_eq!(all("@closes and sid == %"), [4]);
    let text = |text: &str, cursor: UnderCursor<'_>| {
        let context = Context {
            cursor: Some(cursor),
            ..Context::default()
        };
        parse(text, &context).map(|filter| filter.text().to_owned())
    };
    let row = [("sid", "5".to_owned()), ("conn", "0".to_owned())];
    let filled = text(
        "conn == % and sid in {%, 7} and tds.query == \"50 %\"",
        UnderCursor::Row(&row),
    );
    let wanted = "conn == 0 and sid in {5, 7} and tds.query == \"50 %\"";
    assert_eq!(filled.as_deref(), Ok(wanted));
    assert!(text("sid == % and frame == %", UnderCursor::Row(&row)).is_err());
    let filled = text("tds.query == %", UnderCursor::Value("ä \"%\" \n"));
    assert_eq!(filled.as_deref(), Ok(r#"tds.query == "ä \"%\" \x0a""#));
    assert_eq!(all("not @closes and conn == 0"), [1, 2, 3, 5]);
    let error = parse("conn == 0 or @bad", &context).unwrap_err();
    assert_eq!((error.column, error.length), (13, 4));
    assert_eq!(error.message, "in @bad, column 15: no such field: `sidd`");
    assert!(parse("@loop", &context).is_err());
    let error = parse("@closed", &context).unwrap_err();
    assert_eq!(error.nearest.as_deref(), Some("@closes"));
}

/// Says that every TDS packet holds the SQL text of its frame's number.
struct Fake<'a>(&'a std::cell::Cell<u32>);

impl Decode for Fake<'_> {
    fn fields(&self, store: &Store, frame: FrameNo, _: Option<PduId>) -> Vec<Field> {
        self.0.set(self.0.get() + 1);
        let tds = store.pdus_in(frame).filter(|(_, p)| p.carries_tds());
        tds.map(|_| {
            Field::new("tds.message", "message", Value::None)
                .child(Field::new(
                    "tds.query",
                    "sql",
                    Value::Text(format!("select {frame}")),
                ))
                .child(Field::new(
                    "tds.7login.password",
                    "password",
                    Value::Secret(8),
                ))
        })
        .collect()
    }
}

#[test]
fn only_frames_whose_answer_is_open_are_decoded() {
    let store = close();
    let count = std::cell::Cell::new(0);
    let fake = Fake(&count);
    let eval = Eval {
        decode: Some(&fake),
        ..Eval::of(&store)
    };
    let cases: &[(&str, &[u32], u32)] = &[
        ("tds.query contains \"select\"", &[2, 3], 2),
        ("tds.query ~ \"SELECT 3\"", &[3], 2),
        ("tds.query == \"select 2\" and side == server", &[], 1),
        ("side == server and tds.query", &[3], 1),
        ("kind == RST or tds.query", &[2, 3, 7], 2),
        ("tds.query and conn == 1", &[], 0),
        ("not tds.query and tcp.len > 0", &[4, 6], 2),
        ("len(tds.query) == 8", &[2, 3], 2),
        ("upper(tds.query) == \"SELECT 2\"", &[2], 2),
        ("tds.query[7] == \"3\"", &[3], 2),
        ("tds.7login.password == \"secret\"", &[], 2),
        ("tds.7login.password ~ \".\"", &[], 2),
        ("tds.7login.password", &[2, 3], 2),
    ];
    for (text, wanted, decoded) in cases {
        let filter = parse(text, &Context::default()).unwrap();
        assert!(!filter.is_indexed(), "{text}");
        count.set(0);
        let found: Vec<u32> = run(&filter, &eval).iter().map(|f| f.0).collect();
        assert_eq!(found, *wanted, "{text}");
        assert!(count.get() <= *decoded, "{text}: {} decoded", count.get());
    }
    assert!(
        parse("sid == 5 and finding", &Context::default())
            .unwrap()
            .is_indexed()
    );
}

#[test]
fn a_run_goes_on_where_it_stopped_and_takes_in_new_frames() {
    let mut b = Builder::new();
    let conn = b.conn(50000);
    let session = b.session(conn, 3);
    for n in 0..10_000 {
        b.frame(conn, if n % 3 == 0 { End::B } else { End::A }, 0x10, 16);
        if n % 5 == 0 {
            b.pdu(PduKind::Ack, Some(session));
        }
        if n % 25 == 0 {
            b.tds(Some(session), 4, 1, 100);
        }
    }
    let store = b.build();
    let count = std::cell::Cell::new(0);
    let fake = Fake(&count);
    let eval = Eval {
        decode: Some(&fake),
        ..Eval::of(&store)
    };
    for text in [
        "sid == 3",
        "tds.query contains \"1\"",
        "delta == 1ms and side == server",
    ] {
        let filter = parse(text, &Context::default()).unwrap();
        let whole = run(&filter, &eval);
        assert!(whole.len() > 50, "{text}");
        let mut slices = Vec::new();
        let mut steps = 0;
        let mut job = Run::new(filter.clone());
        loop {
            steps += 1;
            let progress = job.step(&eval, &mut || true, &mut |found| {
                slices.extend_from_slice(found);
            });
            assert_eq!(progress.hits, slices.len() as u64);
            if progress.done {
                break;
            }
        }
        assert!(job.filter().is_indexed() || steps > 2, "{text}");
        assert_eq!(slices, whole, "{text}");
        let mut part = Vec::new();
        let mut job = Run::over(filter, FrameNo(4000), FrameNo(4200));
        job.step(&eval, &mut || false, &mut |found| {
            part.extend_from_slice(found);
        });
        let wanted: Vec<_> = whole
            .into_iter()
            .filter(|f| (4000..=4200).contains(&f.0))
            .collect();
        assert_eq!(part, wanted, "{text}");
    }
}

#[test]
fn steps_of_a_rule_refer_to_earlier_ones() {
    let store = close();
    let steps = ["fin".to_owned()];
    let context = Context {
        steps: &steps,
        ..Context::default()
    };
    let filter = parse(
        "tcp.flags.reset == 1 and tcp.ack == fin.tcp.ack + 16",
        &context,
    )
    .unwrap();
    let eval = Eval::of(&store);
    let event = |n| Event {
        frame: FrameNo(n),
        pdu: None,
    };
    assert!(filter.matches_event(&eval, event(7), &[event(5)]));
    assert!(!filter.matches_event(&eval, event(7), &[event(3)]));
    assert!(!filter.matches_event(&eval, event(7), &[]));
    let error = parse("tcp.ack == fin.tcp.akc", &context).unwrap_err();
    assert_eq!((error.column, error.length), (15, 7));
    assert_eq!(error.nearest.as_deref(), Some("tcp.ack"));
}

#[test]
fn a_sid_is_found_on_every_part_of_its_packets() {
    let mut b = Builder::new();
    let conn = b.conn(50_000);
    let (five, six) = (b.session(conn, 5), b.session(conn, 6));
    let first = b.frame(conn, End::A, 0x10, 100);
    b.frame(conn, End::B, 0x10, 100);
    b.pdu(PduKind::Ack, Some(six));
    b.frame(conn, End::A, 0x10, 0);
    b.frame(conn, End::A, 0x18, 100);
    b.tds(Some(five), 1, 1, 150);
    b.pdus.last_mut().unwrap().first_frame = first;
    // The beginning of one that does not end.
    b.frame(conn, End::A, 0x10, 100);
    b.pdu(PduKind::Unknown, Some(five));
    let store = b.build();
    assert_eq!(hits(&store, "sid == 5"), [1, 4, 5]);
    assert_eq!(hits(&store, "sid == 5 and kind == part"), [1]);
    assert_eq!(hits(&store, "sid"), [1, 2, 4, 5]);
    assert_eq!(hits(&store, "not sid"), [3]);
    assert_eq!(hits(&store, "sid != 6"), [1, 4, 5]);
    // As in Wireshark, a field of the packet stands where the packet is completed.
    assert_eq!(hits(&store, "smp.sid == 5"), [4]);
    assert_eq!(hits(&store, "count(smp.sid) > 0"), [2, 4]);
}
