//! What TLS hides is named as hidden, not as the part of the connection that was seen last.

use marstui::store::{Phase, Store};
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
