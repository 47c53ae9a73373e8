//! The filter language against tshark: a filter written with Wireshark's names selects the same frames.

use std::path::{Path, PathBuf};
use std::process::Command;

use marstui::capture::{Capture, OpenOptions};
use marstui::export::{Choice, Plan, What};
use marstui::query::find::{Find, Needle};
use marstui::query::{self, Context, Dissected, Eval, user_rules};
use marstui::store::Store;
use marstui::track;
use marstui::units::Sid;

use crate::support::{shared_or_skip, skip};

/// Filters that the store's columns answer.
const INDEXED: &[&str] = &[
    "smp.sid == 1",
    "smp.sid != 1",
    "smp.sid == 1 && smp.flags.fin == 1",
    "smp.sid > 0 and smp.flags.data == 0",
    "smp.flags.syn == 1 or smp.flags.fin == 1",
    "smp.flags.ack == 1",
    "smp.flags.fin",
    "smp.flags == 8",
    "!smp",
    "smp and not smp.flags.data == 1",
    "smp.seqnum > 3 and smp.seqnum < 9",
    "smp.seqnum in {1, 3, 5..9}",
    "smp.wndw == 4",
    "smp.wndw != 4",
    "smp.length == 16",
    "smp.length > 1000",
    "tcp.flags.reset == 1",
    "tcp.flags.fin == 1 || tcp.flags.reset == 1",
    "tcp.flags.syn == 1 && tcp.flags.ack == 0",
    "tcp.flags == 0x014",
    "tcp.flags & 0x05",
    "tcp.len == 0",
    "tcp.len in {16, 32..200}",
    "tcp.stream == 0",
    "tcp.stream != 0",
    "tcp.port == 1433",
    "tcp.srcport == 1433 and tcp.len > 0",
    "tcp.dstport != 1433",
    "tcp.seq == 1",
    "tcp.seq > 1000 and tcp.seq < 5000",
    "tcp.ack == 1",
    "tcp.ack > 2000",
    "tcp.nxtseq > 3000",
    "tcp.window_size_value < 500",
    "tcp.time_delta > 0.01",
    "tcp.time_relative > 0.2",
    "frame.number in {3..9, 12}",
    "frame.len > 100",
    "frame.cap_len != frame.len",
    "frame.time_delta > 0.01",
    "frame.time_relative < 0.05",
    "ip.addr == 10.0.0.0/8",
    "ip.ttl == 64",
    "ip.id == 0",
    "tds.type == 4",
    "tds.type in {1, 3, 7, 14}",
    "tds.type == \"SQL batch\"",
    "tds.type != 4",
    "tds.status == 1",
    "tds.status.eom == 0",
    "tds.length > 1000",
    "(smp.sid == 0 or smp.sid == 1) and tcp.srcport != 1433",
    "smp.seqnum < smp.wndw",
    "smp.wndw - smp.seqnum < 4",
    "all smp.sid == 0",
    "smp.sid ~= 0",
    "tcp.seq + 16 == tcp.nxtseq",
    "tcp.flags & 0x12 == 0x12",
    "ip.src != ip.dst",
    "ip.src == ip.dst",
    "ip.addr != 10.0.0.0/8",
    "count(smp.sid) > 1",
    "tcp.port in {1433, 50000..65535}",
    "!(tcp.srcport == 1433)",
];

fn tshark(file: &Path, filter: &str) -> Vec<u32> {
    let output = Command::new("tshark")
        .args(["-o", "tcp.reassemble_out_of_order:TRUE", "-r"])
        .arg(file)
        .args(["-Y", filter, "-T", "fields", "-e", "frame.number"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "tshark refuses {filter}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|l| l.trim().parse().unwrap()).collect()
}

fn ours(store: &Store, filter: &str) -> Vec<u32> {
    let filter = query::parse(filter, &Context::default()).unwrap();
    assert!(filter.is_indexed(), "{}", filter.text());
    let hits = query::run(&filter, &Eval::of(store));
    hits.into_iter().map(|f| f.0).collect()
}

/// The rows of a capture, and the capture itself: it knows its interfaces once it was read.
fn both(path: &Path) -> (Store, Capture) {
    let capture = Capture::open(&[PathBuf::from(path)], &OpenOptions::default()).unwrap();
    (track::load(&capture), capture)
}

fn load(path: &Path) -> Store {
    both(path).0
}

fn have_tshark(test: &str) -> bool {
    let there = Command::new("tshark").arg("--version").output().is_ok();
    if !there {
        skip(test, "tshark is not there");
    }
    there
}

/// What differs on one capture.
fn differences(file: &Path, filters: &[&str]) -> Vec<String> {
    let store = load(file);
    let mut wrong = Vec::new();
    for filter in filters {
        let (ours, theirs) = (ours(&store, filter), tshark(file, filter));
        if ours != theirs {
            let only = |a: &[u32], b: &[u32]| -> Vec<u32> {
                a.iter()
                    .filter(|n| !b.contains(n))
                    .take(8)
                    .copied()
                    .collect()
            };
            wrong.push(format!(
                "{}: {filter}: {} frames, tshark {}; only here {:?}, only there {:?}",
                file.display(),
                ours.len(),
                theirs.len(),
                only(&ours, &theirs),
                only(&theirs, &ours),
            ));
        }
    }
    wrong
}

#[test]
fn the_same_frames_as_tshark() {
    let Some(shared) = shared_or_skip("the_same_frames_as_tshark") else {
        return;
    };
    if !have_tshark("the_same_frames_as_tshark") {
        return;
    }
    // Each call of tshark takes half a second, so that each filter is tried on one capture here.
    let files = [
        "a5-wiki-shape-two-sids.server.pcap",
        "b1-interleaved-odbc.client.pcapng",
        "k1-loss-reorder.server.pcap",
    ];
    let mut wrong = Vec::new();
    for (at, name) in files.iter().enumerate() {
        let file = shared.join("captures/recorded").join(name);
        let filters: Vec<_> = INDEXED
            .iter()
            .copied()
            .skip(at)
            .step_by(files.len())
            .collect();
        wrong.extend(differences(&file, &filters));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Filters that need decoding, on captures where one session at a time is active: tshark mixes those of several.
const DECODED: &[&str] = &[
    "tds.query contains \"SELECT\"",
    "tds.query matches \"select\"",
    "tds.rpc.name",
    "tds.prelogin.option.mars == 1",
    "tds.7login.username",
    "tds.loginack",
    "tds.envchange.type == 1",
    "tds.colmetadata",
    "tds.error or tds.info",
    "tds.done.status.more == 1",
    "tds.row",
    "tcp.options.mss_val > 0",
    "tcp.hdr_len == 32",
    "ip.len > 100",
    "eth.type == 0x0800",
    "tcp.payload",
    "tcp.payload[0] == 53",
    "tcp.payload[0:4] == 53:01:00:00",
    "tcp.payload contains 53:08",
    "tcp.payload[0:2] contains 53:04",
    "tcp.payload contains \"S\\x00E\\x00L\"",
    "tcp.payload matches \"s\\x00e\\x00l\"",
    "len(tcp.payload) == 16",
    "not tcp.payload and tcp",
    "lower(tds.query) contains \"select\"",
    "upper(tds.query) matches \"FROM\"",
    "tds.query[0:6] == \"SELECT\"",
    "tds.info.number == 5701",
    "tds.envchange.type in {1, 4}",
    "ip.flags.df == 1",
    "tcp.options.timestamp.tsval > 0",
];

#[test]
fn decoded_fields_select_the_frames_that_tshark_selects() {
    let Some(shared) = shared_or_skip("decoded_fields") else {
        return;
    };
    if !have_tshark("decoded_fields") {
        return;
    }
    let mut wrong = Vec::new();
    for name in [
        "a1-one-sid-benign-rst.client.pcapng",
        "h1-nonmars-normal.server.pcap",
    ] {
        let file = shared.join("captures/recorded").join(name);
        let (store, capture) = both(&file);
        let fields = Dissected::new(&capture);
        let eval = Eval {
            decode: Some(&fields),
            ..Eval::of(&store)
        };
        for text in DECODED {
            let filter = query::parse(text, &Context::default()).unwrap();
            let ours: Vec<u32> = query::run(&filter, &eval)
                .into_iter()
                .map(|f| f.0)
                .collect();
            let theirs = tshark(&file, text);
            if ours != theirs {
                wrong.push(format!("{name}: {text}: {ours:?}, tshark {theirs:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn filters_with_our_names_select_the_same_frames_in_wireshark() {
    let Some(shared) = shared_or_skip("filters_with_our_names") else {
        return;
    };
    if !have_tshark("filters_with_our_names") {
        return;
    }
    let file = shared.join("captures/recorded/a5-wiki-shape-two-sids.server.pcap");
    let store = load(&file);
    for text in [
        "sid == 1 and kind in {FIN, RST}",
        "kind == T.ACK or kind == TDS",
        "kind != DATA and conn == 0",
        "delta > 1ms and not (smp.sid == 1 or smp.sid == 0)",
        "all smp.sid < 1",
        "frame in 5..9 or seq in {2, 5..7}",
        "tcp.ack - tcp.seq > 100",
        "frame.time >= \"2020-01-01\" and time < 100ms",
    ] {
        let filter = query::parse(text, &Context::default()).unwrap();
        let carried = query::to_wireshark(&filter).unwrap();
        assert_eq!(
            ours(&store, text),
            tshark(&file, &carried),
            "{text}: {carried}"
        );
    }
}

#[test]
fn a_sid_has_the_frames_that_its_export_has() {
    let Some(shared) = shared_or_skip("a_sid_has_the_frames_that_its_export_has") else {
        return;
    };
    let mut parts = 0;
    for name in [
        "d1-client-killed-mid-result.client.pcapng",
        "l1-small-mtu.server.pcap",
        "k1-loss-reorder.client.pcapng",
        "b1-interleaved-odbc.server.pcap",
    ] {
        let store = load(&shared.join("captures/recorded").join(name));
        let conns = store.conns().iter().map(|conn| conn.id);
        for (conn, sid) in conns.flat_map(|conn| (0..9).map(move |sid| (conn, Sid(sid)))) {
            let filtered = ours(&store, &format!("conn == {conn} and sid == {sid}"));
            let choice = Choice::of(What::Sid(conn, sid));
            let chosen: Vec<u32> = Plan::new(&store, &choice)
                .frames
                .iter()
                .map(|f| f.0)
                .collect();
            assert_eq!(filtered, chosen, "{name}: Sid {sid} of connection {conn}");
            let completed = ours(&store, &format!("conn == {conn} and smp.sid == {sid}"));
            assert!(completed.iter().all(|frame| filtered.contains(frame)));
            parts += filtered.len() - completed.len();
        }
    }
    assert!(parts > 100, "{parts} frames hold only a part of a packet");
}

fn found(file: &Path, typed: &str) -> Vec<u32> {
    let (store, capture) = both(file);
    let needle = Needle::parse(typed, &Context::default()).unwrap();
    let fields = Dissected::new(&capture);
    let mut hits = Vec::new();
    let mut find = Find::new(needle);
    loop {
        // One PDU at a time: what is found does not depend on where a slice ends.
        let progress = find.step(&Eval::of(&store), &fields, &mut || true, &mut |frames| {
            hits.extend(frames.iter().map(|f| f.0));
        });
        if progress.done {
            assert_eq!(progress.hits, hits.len() as u64);
            return hits;
        }
    }
}

#[test]
fn text_is_found_in_messages() {
    let Some(shared) = shared_or_skip("text_is_found_in_messages") else {
        return;
    };
    let file = shared.join("captures/recorded/a1-one-sid-benign-rst.client.pcapng");
    let with_sql = {
        let (store, capture) = both(&file);
        let fields = Dissected::new(&capture);
        let eval = Eval {
            decode: Some(&fields),
            ..Eval::of(&store)
        };
        let filter = query::parse("tds.query ~ \"select\"", &Context::default()).unwrap();
        query::run(&filter, &eval)
            .into_iter()
            .map(|f| f.0)
            .collect::<Vec<_>>()
    };
    assert!(!with_sql.is_empty());
    let text = found(&file, "select");
    for frame in &with_sql {
        assert!(
            text.contains(frame),
            "{frame} of {with_sql:?} is not in {text:?}"
        );
    }
    assert_eq!(text, found(&file, "SeLeCt"));
    assert_eq!(text, found(&file, "re:se[l]ect"));
    assert!(found(&file, "no such text").is_empty());
    // SMID, FIN, Sid 0, length 16.
    assert_eq!(
        found(&file, "hex:53 04 00 00 10 00 00 00"),
        ours(&load(&file), "smp.flags.fin == 1")
    );
    assert_eq!(
        found(&file, "smp.flags.fin == 1"),
        ours(&load(&file), "smp.flags.fin == 1")
    );
}

#[test]
fn text_is_found_across_the_borders_of_small_segments() {
    let Some(shared) = shared_or_skip("text_is_found_across_borders") else {
        return;
    };
    for name in ["l2-dribble.client.pcapng", "l5-tiny-mtu-packed.server.pcap"] {
        let file = shared.join("captures/recorded").join(name);
        assert!(!found(&file, "select").is_empty(), "{name}");
    }
}

#[test]
fn the_example_rules_find_what_they_say() {
    let Some(shared) = shared_or_skip("the_example_rules") else {
        return;
    };
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/rules/close.toml");
    let rules = user_rules::load(&example).unwrap();
    let findings = |name: &str| -> Vec<String> {
        let file = shared.join("captures/recorded").join(name);
        let (store, capture) = both(&file);
        let fields = Dissected::new(&capture);
        let eval = Eval {
            decode: Some(&fields),
            ..Eval::of(&store)
        };
        let applied = user_rules::apply(&rules, &eval, &mut || false);
        assert!(applied.too_broad.is_empty());
        applied
            .findings
            .iter()
            .map(|f| f.rule.to_string())
            .collect()
    };
    // The reset of the page that marstui starts from, seen from both ends.
    assert_eq!(
        findings("a3-wiki-shape-rst-ack.server.pcap"),
        ["late-server-fin"]
    );
    assert_eq!(
        findings("a3-wiki-shape-rst-ack.client.pcapng"),
        ["late-server-fin"]
    );
    assert_eq!(
        findings("g1-attention-timeout.client.pcapng"),
        ["hasty-attention"]
    );
    for fault in [
        "e1-server-rst-mid-result.server.pcap",
        "d1-client-killed-mid-result.client.pcapng",
    ] {
        assert!(findings(fault).is_empty(), "{fault}");
    }
}

#[test]
fn the_readme_shows_the_rule_of_the_example_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let example = std::fs::read_to_string(root.join("fixtures/rules/close.toml")).unwrap();
    let shown = readme
        .split("<!-- user-rule -->\n```toml\n")
        .nth(1)
        .unwrap();
    let shown = shown.split("\n```\n<!-- /user-rule -->").next().unwrap();
    assert!(example.contains(shown), "{shown}");
    assert_eq!(user_rules::read(shown).unwrap().len(), 1);
}

#[test]
fn the_filters_of_the_readme_are_filters() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let section = readme.split("## Filters and find").nth(1).unwrap();
    let block = section.split("```").nth(1).unwrap();
    let filters: Vec<_> = block.lines().filter(|l| !l.is_empty()).collect();
    assert!(filters.len() > 4);
    for filter in filters {
        query::parse(filter, &Context::default()).unwrap_or_else(|e| panic!("{filter}: {e}"));
    }
}

fn marstui(args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_marstui"))
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("XDG_CONFIG_HOME")
        .env("HOME", "/nowhere")
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn the_command_line_takes_rules_of_ones_own() {
    let rules = "fixtures/rules/close.toml";
    let (code, out, _) = marstui(&["rules", "check", rules]);
    assert_eq!(code, Some(0));
    assert!(out.contains("late-server-fin: 3 steps, Notice"), "{out}");
    let (_, out, _) = marstui(&["rules", "list", "--rules", rules]);
    assert!(out.contains("hasty-attention"), "{out}");
    let (_, out, _) = marstui(&["rules", "explain", "late-server-fin", "--rules", rules]);
    assert!(out.contains("tcp.ack == fin.tcp.ack + 16"), "{out}");
    // The connection of the well-known page, as its client saw it.
    let seed = "fixtures/seed-client.pcapng.zst";
    let (code, out, err) = marstui(&["report", "--rules", rules, seed]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("late-server-fin"), "{out}");
    assert!(out.contains("Ack 493774874 is that of the FIN"), "{out}");
}

#[test]
fn mistakes_in_rule_and_config_files_name_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.toml");
    std::fs::write(
        &rules,
        "[[rule]]\nid = \"x\"\nverdict = \"Fault\"\n[[rule.step]]\nevent = \"tcp\"\nwhere = \"tcp.flags.rset == 1\"\n",
    )
    .unwrap();
    let path = rules.to_str().unwrap();
    let (code, _, err) = marstui(&["rules", "check", path]);
    assert_eq!(code, Some(2));
    let wanted = "rules.toml:6:10: no such field: `tcp.flags.rset`; nearest: tcp.flags.reset";
    assert!(err.contains(wanted), "{err}");
    let (code, _, _) = marstui(&["rules", "check", "/nowhere.toml"]);
    assert_eq!(code, Some(3));

    let config = folder.path().join("config.toml");
    let text = format!("[view]\nthem = \"dark\"\n[rules]\nfiles = [\"{path}\"]\n");
    std::fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    let (code, out, err) = marstui(&["rules", "list", "--config", config]);
    assert_eq!(code, Some(0), "the rest counts");
    assert!(out.contains("mars-close-rst"));
    assert!(
        err.contains("config.toml:2:1: no setting `view.them`; nearest: theme"),
        "{err}"
    );
    assert!(err.contains(wanted), "{err}");
}
