//! The way of an engineer through the page's close, in the real program on a terminal: from opening to the ticket,
//! bare and inside tmux; then the client's file, and closes in which one thing is different.

use std::path::Path;
use std::process::Command;

use portable_pty::CommandBuilder;

use crate::support::pty::Terminal;
use crate::support::skip;

const DESIGN: (u16, u16) = (80, 24);

fn fixture(name: &str) -> String {
    format!("{}/fixtures/{name}.pcapng.zst", env!("CARGO_MANIFEST_DIR"))
}

fn expect(term: &Terminal, texts: &[&str]) {
    let screen = term.screen();
    for text in texts {
        assert!(screen.contains(text), "no {text:?} in\n{screen}");
    }
}

/// From the list of connections to the listing in a file.
fn walk(term: &mut Terminal, listing: &Path) {
    // Intake: what there is, and which connection it is about.
    term.wait_for("11 connections, 4 MARS, ");
    term.press("c");
    term.wait_for("10.10.10.10:52965");
    term.press("/52965\r");
    let screen = term.screen();
    let row = screen.lines().find(|l| l.starts_with(">B")).unwrap();
    for cell in ["10.10.10.10:52965", "yes", "mars-close-rst"] {
        assert!(row.contains(cell), "{row}");
    }
    term.press("gc");
    term.wait_for("Connection 7");
    expect(
        term,
        &[
            "MARS, login encrypted",
            "opened in 156.2 ms",
            "login 149 ms",
            "client 59840 B; server 864355 B; 1 reset",
            "Normal MARS close, the reset is benign: Sid 0 closed",
        ],
    );
    term.press("q");

    // The end first: Enter lands on it, and the frames before it say what part they play.
    term.press("\r");
    term.wait_for("> B 93704");
    expect(term, &["verdict B Benign", "Rule  mars-close-rst"]);
    for (frame, role) in [
        (93689, "this frame: client SMP:FIN Sid 0"),
        (93691, "this frame: server SMP:FIN Sid 0"),
        (93692, "this frame: client TCP FIN"),
    ] {
        term.press(&format!(":{frame}\r"));
        term.wait_for(role);
    }

    // Why: the conditions with their frames and numbers.
    term.press(":93704\r");
    term.press("\r");
    term.press("z");
    term.wait_for("M12");
    for condition in 1..=12 {
        expect(term, &[&format!("M{condition}  yes")]);
    }
    expect(
        term,
        &["form W: RST.Seq = FIN.Seq + 1, RST.Ack = FIN.Ack + 16"],
    );
    term.press("z");
    term.press("\t");

    // The ticket: the frames of the close as a listing.
    term.offer_the_close();
    // Past the last frames and everything between, to the formats.
    term.press("\t\t\t");
    term.press("\x1b[C\x1b[C");
    term.wait_for("(*) text");
    term.press("\t\t");
    term.press("\x15");
    term.press(listing.to_str().unwrap());
    term.wait_for("16 frames, 1 connection");
    term.press("\r");
    term.wait_for("16 frames written");
    term.press("q");
    assert_eq!(term.end().exit_code(), 0);
    assert!(!term.is_alternate());
}

/// The frames as the page prints them, none of their numbers cut.
fn check_listing(listing: &Path) {
    let text = std::fs::read_to_string(listing).unwrap();
    let client = "10.10.10.10 10.10.10.22";
    let server = "10.10.10.22 10.10.10.10";
    for line in [
        format!(
            "93689 569.9170056 {client} SMP:FIN, Sid = 0, Length = 16, SeqNum = 559, Wndw = 614"
        ),
        format!(
            "93691 569.9170640 {server} SMP:FIN, Sid = 0, Length = 16, SeqNum = 610, Wndw = 563"
        ),
        format!(
            "93692 569.9173178 {client} TCP:Flags=...A...F, SrcPort=52965, DstPort=1433, PayloadLen=0, \
             Seq=661892741, Ack=493774858"
        ),
        format!(
            "93704 569.9173178 {client} TCP:Flags=...A.R.., SrcPort=52965, DstPort=1433, PayloadLen=0, \
             Seq=661892742, Ack=493774874, Win=0"
        ),
    ] {
        assert!(text.contains(&line), "no {line} in\n{text}");
    }
}

#[test]
fn the_page_s_close_from_opening_to_the_ticket() {
    let folder = tempfile::tempdir().unwrap();
    let listing = folder.path().join("close.txt");
    let mut term = Terminal::start(DESIGN, &["--demo", "--no-state"], &[]);
    walk(&mut term, &listing);
    check_listing(&listing);

    let term = Terminal::start((160, 48), &["--demo", "--no-state"], &[]);
    term.wait_for("taken on: server");
}

#[test]
fn the_same_inside_tmux() {
    if Command::new("tmux").arg("-V").output().is_err() {
        skip("the_same_inside_tmux", "tmux is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let listing = folder.path().join("close.txt");
    let settings = folder.path().join("tmux.conf");
    std::fs::write(&settings, "set -g status off\nset -g escape-time 10\n").unwrap();
    let socket = folder.path().join("socket");
    let mut tmux = CommandBuilder::new("tmux");
    let (socket, settings) = (socket.to_str().unwrap(), settings.to_str().unwrap());
    tmux.args(["-S", socket, "-f", settings, "new-session"]);
    tmux.args([env!("CARGO_BIN_EXE_marstui"), "--demo", "--no-state"]);
    let mut term = Terminal::command(DESIGN, tmux, &[]);
    walk(&mut term, &listing);
    check_listing(&listing);
    assert!(term.raw().is_ascii(), "the C locale gets ASCII");
}

#[test]
fn the_client_s_file_gives_the_same_verdict_in_its_own_order() {
    let file = fixture("seed-client");
    let mut term = Terminal::start(DESIGN, &[&file, "--no-state"], &[]);
    term.wait_for("1 benign");
    term.press("e");
    term.wait_for("> B 12374");
    term.wait_for("Normal MARS close");
    term.press("o");
    term.wait_for("filter conn == 0");
    let screen = term.screen();
    let numbers: Vec<u32> = screen
        .lines()
        .skip(2)
        .take(10)
        .filter_map(|line| line.get(3..9)?.trim().parse().ok())
        .collect();
    assert!(
        numbers.ends_with(&[12346, 12352, 12361, 12374]),
        "{numbers:?}"
    );
    // The answer is stamped earlier than the FIN that stands before it: shown as it is.
    let row = screen.lines().find(|l| l.contains(" 12361 ")).unwrap();
    assert!(row.contains("-0.253"), "{row}");
    assert!(
        !screen.contains('!'),
        "nothing louder than a note\n{screen}"
    );
    term.press("q");
    term.end();
}

#[test]
fn one_thing_changed_flips_the_verdict_and_is_named() {
    for (name, texts) in [
        (
            "near-misses/N04c",
            ["verdict ! Fault", "M3  no  (Sid 1: a request without"],
        ),
        ("near-misses/N01", ["verdict ? Undecided", "M8, M9 failed"]),
        (
            "near-misses/N08",
            [
                "verdict ? Undecided",
                "M8  no  (frame 19: RST.Ack = FIN.Ack",
            ],
        ),
    ] {
        let file = fixture(name);
        let mut term = Terminal::start(DESIGN, &[&file, "--no-state"], &[]);
        term.wait_for("MARS, ");
        term.press("e");
        term.wait_for("verdict");
        expect(&term, &texts);
        term.press("q");
        term.end();
    }
}
