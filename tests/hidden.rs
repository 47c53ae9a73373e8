//! What TLS hides is named as hidden, not as the part of the connection that was seen last.

use marstui::report::Format;
use marstui::rules::{Settings, judge};
use marstui::store::{Finding, Phase, Store};
use marstui::units::ConnId;
use marstui::units::Side::{Client, Server};

use crate::generated::index;
use crate::support::pty::Terminal;
use crate::support::synth::conn::{Conn, Host, Stack, US};
use crate::support::synth::mars::Encryption;
use crate::support::synth::wire::{ACK, FIN};

/// A login and a request, with TLS as it is told; then the close.
fn talk(strict: bool, encryption: Encryption) -> Store {
    let client = Host::new(31, 48_212, 1_911_000_007, Stack::Linux);
    let server = Host::new(77, 1433, 3_020_400_551, Stack::Linux);
    let mut c = Conn::new(client, server);
    c.handshake();
    if strict {
        c.strict_login();
    } else {
        c.login(encryption, true);
    }
    if encryption == Encryption::Full {
        c.tls(Client, 120);
        c.trip(300 * US);
        c.tls(Server, 900);
    } else {
        c.open(0);
        c.request(0, "select 1", &[]);
    }
    c.trip(300 * US);
    c.send(Client, ACK | FIN, &[]);
    index(&c.capture(Client))
}

fn phases(store: &Store) -> Vec<Phase> {
    let conn = store.conn(ConnId(0)).unwrap();
    conn.phases.iter().map(|row| row.phase).collect()
}

#[test]
fn behind_a_hidden_login_nothing_is_called_login() {
    use Phase::{Closing, Commands, Connect, Encrypted, Login, Prelogin, SessionOpen, Tls};
    let full = talk(false, Encryption::Full);
    assert_eq!(
        phases(&full),
        [Connect, Prelogin, Tls, Login, Encrypted, Closing]
    );
    // With TLS from the first byte not even PRELOGIN is seen.
    let strict = talk(true, Encryption::Full);
    assert_eq!(phases(&strict), [Connect, Tls, Encrypted, Closing]);
    // Only the login was inside TLS.
    let login = talk(false, Encryption::Login);
    assert_eq!(
        phases(&login),
        [
            Connect,
            Prelogin,
            Tls,
            Login,
            SessionOpen,
            Commands,
            Closing
        ]
    );
}

#[test]
fn the_lists_say_that_requests_are_encrypted() {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/fixtures/rules/rst-encrypted.pcapng.zst"
    );
    let mut term = Terminal::start((80, 24), &[file, "--no-state"], &[]);
    term.wait_for("1 connection, 1 MARS");
    term.press("Q");
    term.wait_for("the connection is encrypted: its requests cannot be seen");
    term.press("Q");
    term.wait_for("none can be seen: those of 1 encrypted connection are hidden by TLS");
    term.press("q");
    term.press(":phases\r");
    term.wait_for("encrypted, not known what");
    term.press("q");
    term.press("&phase == encrypted\r");
    term.wait_for("filter phase == encrypted (5)");
    term.press("q");
    assert_eq!(term.end().exit_code(), 0);
}

/// A connection to a port of its own that begins with a login before TDS 7 of this version.
fn old_login(version: u8) -> Store {
    let client = Host::new(31, 48_212, 1_911_000_007, Stack::Linux);
    let server = Host::new(77, 5000, 3_020_400_551, Stack::Linux);
    let mut c = Conn::new(client, server);
    c.handshake();
    let mut packet = vec![0; 512];
    packet[..8].copy_from_slice(&[2, 0, 2, 0, 0, 0, 1, 0]);
    packet[8 + 458] = version;
    c.data(Client, &packet);
    c.trip(300 * US);
    let mut store = index(&c.capture(Client));
    judge(&mut store, &Settings::default());
    store
}

#[test]
fn a_login_of_tds_5_is_of_a_sybase_server() {
    for (version, sybase) in [(5, true), (4, false)] {
        let store = old_login(version);
        let conn = store.conn(ConnId(0)).unwrap();
        assert_eq!(conn.is_sybase(), sybase);
        assert_eq!(conn.mars, sybase.then_some(false));
        let port = |f: &Finding| f.rule.as_ref() == "nonstandard-port";
        assert_eq!(store.findings().iter().any(port), !sybase);
        let mut report = Vec::new();
        marstui::report::write(&store, Format::Text, false, None, &mut report).unwrap();
        let report = String::from_utf8(report).unwrap();
        assert_eq!(report.contains("of a Sybase server"), sybase, "{report}");
    }
}

#[test]
fn a_spid_without_the_login_is_called_no_login() {
    let store = talk(false, Encryption::Full);
    let mut report = Vec::new();
    marstui::report::write(&store, Format::Text, false, None, &mut report).unwrap();
    let report = String::from_utf8(report).unwrap();
    assert!(!report.contains("login: SPID"), "{report}");
}
