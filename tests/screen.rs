//! The screen of the real program in a pseudo-terminal: the way from opening to the exported range, and what becomes of
//! the terminal.

use std::path::Path;

use marstui::capture::{Capture, OpenOptions};
use marstui::units::Side;

use crate::support::pty::Terminal;
use crate::support::synth::conn::{Conn, Host, Stack};
use crate::support::synth::mars::Encryption;

const DESIGN: (u16, u16) = (80, 24);

/// The frames of a capture: bytes, time, length on the wire.
fn frames(capture: &Capture) -> Vec<(Vec<u8>, i64, u32)> {
    let mut out = Vec::new();
    let mut chunks = capture.chunks();
    while let Some(chunk) = chunks.next_chunk() {
        for record in &chunk.records {
            out.push((chunk.bytes(record).to_vec(), record.time.0, record.wire));
        }
    }
    out
}

fn demo() -> Vec<(Vec<u8>, i64, u32)> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/demo.pcapng.zst");
    frames(&Capture::open(&[file], &OpenOptions::default()).unwrap())
}

#[test]
fn from_the_demo_to_the_exported_range() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("range.pcapng");
    let mut term = Terminal::start(DESIGN, &["--demo", "--no-state"], &[]);
    term.wait_for("1 benign. e");
    term.press("e");
    term.wait_for("Rule  mars-close-rst");
    let screen = term.screen();
    assert!(screen.contains("> B 93704"), "{screen}");
    assert!(screen.contains("verdict B Benign"), "{screen}");
    term.offer_the_close();
    // Back up to the file.
    term.press("\x1b[Z");
    term.press("\x1b[Z");
    term.press("\x15");
    term.press(target.to_str().unwrap());
    term.wait_for("16 frames, 1 connection");
    term.press("\r");
    term.wait_for("16 frames written");
    term.press("q");
    assert_eq!(term.end().exit_code(), 0);
    assert!(!term.is_alternate());

    let all = demo();
    let written = frames(&Capture::open(&[target], &OpenOptions::default()).unwrap());
    assert_eq!(written, all[93688..93704]);
}

#[test]
fn marked_frames_are_listed_where_the_shell_goes_on() {
    let wide = (200, 30);
    for (print, arguments) in [
        (true, &["--demo", "--no-state", "--print-marks"][..]),
        (false, &["--demo", "--no-state"]),
    ] {
        let mut term = Terminal::start(wide, arguments, &[]);
        term.wait_for("1 benign");
        for frame in ["93689", "93692", "93704"] {
            term.press(&format!(":{frame}\r"));
            term.press("m");
        }
        term.wait_for("3 marked");
        term.press("q");
        assert_eq!(term.end().exit_code(), 0);
        assert!(!term.is_alternate());
        let left = term.screen();
        for line in [
            "Frame Time Offset Source IP   Dest IP     Description",
            "93689 569.9170056 10.10.10.10 10.10.10.22 SMP:FIN, Sid = 0, Length = 16, SeqNum = 559, Wndw = 614",
            "93692 569.9173178 10.10.10.10 10.10.10.22 TCP:Flags=...A...F, SrcPort=52965, DstPort=1433, PayloadLen=0, \
             Seq=661892741, Ack=493774858, Win=",
            "93704 569.9173178 10.10.10.10 10.10.10.22 TCP:Flags=...A.R.., SrcPort=52965, DstPort=1433, PayloadLen=0, \
             Seq=661892742, Ack=493774874, Win=0",
        ] {
            assert_eq!(left.contains(line), print, "{line}\n{left}");
        }
    }
}

#[test]
fn an_existing_file_is_replaced_only_after_a_question() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("there.pcapng");
    std::fs::write(&target, b"keep me").unwrap();
    let mut term = Terminal::start(DESIGN, &["--demo", "--no-state"], &[]);
    term.wait_for("1 benign. e");
    term.press("em");
    term.press("w");
    term.press("\x1b[Z");
    term.press("\x15");
    term.press(target.to_str().unwrap());
    term.press("\r");
    term.wait_for("the file exists; Enter again replaces it");
    assert_eq!(std::fs::read(&target).unwrap(), b"keep me");
    term.press("\r");
    term.wait_for("frames written");
    assert_ne!(std::fs::read(&target).unwrap(), b"keep me");
    term.press("q");
    assert_eq!(term.end().exit_code(), 0);
}

#[test]
fn keys_that_come_at_once_act_on_the_frame_that_they_lead_to() {
    let all = demo();
    let length = |frame: &(Vec<u8>, i64, u32)| frame.0.len();
    let at = all.iter().position(|f| length(f) != length(&all[0]));
    let (no, bytes) = (at.unwrap() + 1, &all[at.unwrap()].0);
    for slow in [&[][..], &["--low-bandwidth"]] {
        let args = [&["--demo", "--no-state", "--no-osc52"], slow].concat();
        let mut term = Terminal::start(DESIGN, &args, &[]);
        term.wait_for("1 benign. e");
        term.send(&format!("{no}Gyh"));
        let hex: Vec<_> = bytes[16..32].iter().map(|b| format!("{b:02x}")).collect();
        term.wait_for(&hex.join(" "));
        // The pane opens and the cursor moves in one go; in the other order, too.
        term.press("qgg");
        for (keys, frame) in [
            (format!("b{no}G"), &all[at.unwrap()]),
            ("bbgg".into(), &all[0]),
        ] {
            term.send(&keys);
            term.wait_for(&format!("Bytes {:>4} B", length(frame)));
        }
        term.press("q");
        assert_eq!(term.end().exit_code(), 0);
    }
}

#[test]
fn what_lay_over_the_panes_is_gone_when_keys_keep_coming() {
    let mut term = Terminal::start(DESIGN, &["--demo", "--no-state", "--low-bandwidth"], &[]);
    term.wait_for("1 benign. e");
    term.press("F");
    // Sent apart, so that the list is drawn between them.
    for key in ["q", "j", "j", "j"] {
        term.send(key);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    term.wait_until("frame 4/");
    assert!(term.screen().contains("-- Sids"), "{}", term.screen());
}

#[test]
fn signals_give_the_terminal_back() {
    for signal in ["TERM", "HUP"] {
        let mut term = Terminal::start(DESIGN, &["--demo", "--no-state"], &[]);
        term.wait_for("1 benign. e");
        assert!(term.is_alternate());
        term.signal(signal);
        assert_eq!(term.end().exit_code(), 130, "{signal}");
        assert!(!term.is_alternate(), "{signal}");
        let raw = term.raw();
        let tail = String::from_utf8_lossy(&raw[raw.len().saturating_sub(60)..]).into_owned();
        assert!(
            tail.contains("\x1b[?25h"),
            "{signal}: the cursor stays hidden: {tail:?}"
        );
    }
}

#[test]
fn resizing_down_to_one_line_and_back_keeps_the_place() {
    let mut term = Terminal::start(DESIGN, &["--demo", "--no-state"], &[]);
    term.wait_for("1 benign. e");
    term.press("e");
    for size in [(160, 48), (60, 12), (20, 5), (10, 1), (1, 1), (80, 24)] {
        term.resize(size);
    }
    term.wait_for("> B 93704");
    term.resize((30, 1));
    assert!(
        term.line(0).contains("terminal too small"),
        "{}",
        term.screen()
    );
    term.resize((19, 5));
    term.wait_for("20x5 needed");
    term.press("q");
    assert_eq!(term.end().exit_code(), 0);
}

#[test]
fn nothing_is_written_when_nothing_happens() {
    let term = Terminal::start(DESIGN, &["--demo", "--no-state"], &[]);
    term.wait_for("1 benign. e");
    let before = term.written();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!(term.written(), before);
}

#[test]
fn marks_filter_and_place_are_there_again_the_next_time() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("renamed.pcapng.zst");
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/demo.pcapng.zst");
    std::fs::copy(&demo, &file).unwrap();
    let state = folder.path().to_str().unwrap();
    let env = [("XDG_STATE_HOME", state)];
    let mut term = Terminal::start(DESIGN, &[demo.to_str().unwrap()], &env);
    term.wait_for("1 benign");
    term.press(":93692\r");
    term.press("mo");
    term.wait_for("(1232)");
    term.press("q");
    assert_eq!(term.end().exit_code(), 0);

    // The same content under another name.
    let mut term = Terminal::start(DESIGN, &[file.to_str().unwrap()], &env);
    term.wait_for(">*  93692");
    term.press("j");
    term.wait_for("(1232)");
    term.press("q");
    term.end();

    let mut term = Terminal::start(DESIGN, &[file.to_str().unwrap(), "--no-state"], &env);
    term.wait_for("1 benign");
    term.press("j");
    term.wait_for("0 marked");
    term.press("q");
    term.end();
}

#[test]
fn of_many_sessions_those_on_the_rows_have_a_lane_and_the_rest_is_counted() {
    let client = Host::new(31, 48_212, 1_911_000_007, Stack::Linux);
    let server = Host::new(77, 1433, 3_020_400_551, Stack::Linux);
    let mut conn = Conn::new(client, server);
    conn.handshake();
    conn.login(Encryption::None, true);
    for sid in 0..12 {
        conn.open(sid);
    }
    for _ in 0..20 {
        conn.request(10, "select 1", &[]);
        conn.request(3, "select 1", &[]);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("many.pcapng");
    std::fs::write(&file, conn.capture(Side::Client).to_pcapng()).unwrap();
    let mut term = Terminal::start((160, 48), &[file.to_str().unwrap(), "--no-state"], &[]);
    term.wait_for("1 connection, 1 MARS");
    term.press("G");
    let head = term.line(1);
    assert!(head.contains(" 3  5  6  7  8  9  10 11 T +4 "), "{head}");
    let lane = head.find(" 10 11 T").unwrap() + 1;
    let screen = term.screen();
    let row = screen.lines().find(|line| line.contains("->  10 DATA"));
    let row = row.unwrap_or_else(|| panic!("{screen}"));
    assert_eq!(row.get(lane..=lane), Some(">"), "{row}\n{head}");
    term.press("q");
    assert_eq!(term.end().exit_code(), 0);
}
