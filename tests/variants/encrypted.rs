//! Closes of connections whose SMP is inside TLS.

use super::*;

/// A connection whose contents are inside TLS, MARS agreed where that can be seen, with one request answered.
fn encrypted(s: &Setting, strict: bool) -> Conn {
    let full = Setting {
        encryption: Encryption::Full,
        ..s.clone()
    };
    let mut c = if strict {
        let client = Host::new(31, s.ports.0, 1_911_000_007, s.stacks[0]);
        let server = Host::new(77, s.ports.1, 3_020_400_551, s.stacks[1]);
        let mut c = Conn::new(client, server);
        (c.mss, c.delay, c.link, c.hops) = (s.mss, s.delay, s.link.clone(), s.hops);
        c.handshake();
        c.strict_login();
        c
    } else {
        logged_in(&full, true)
    };
    c.tls(Client, 16);
    c.tls(Client, 120);
    c.trip(300 * US);
    c.tls(Server, 900);
    c.trip(900 * US);
    c
}

/// The close of two sessions as far as TLS shows it, with records of the size that SMP:FINs make.
fn encrypted_close(c: &mut Conn) {
    let start = c.now;
    c.tls(Client, 16);
    c.tls(Client, 16);
    c.wait(30 * US);
    c.client_tcp_fin();
    let fin = c.now;
    c.now = start + c.delay + 40 * US;
    let since = c.now;
    c.tls(Server, 16);
    c.tls(Server, 16);
    c.now = c.now.max(fin + c.delay) + 40 * US;
    c.send(Server, ACK | FIN, &[]);
    c.answer_with_resets(since);
}

/// What happens inside TLS, and what may be said of it, without and with TLS from the first byte.
type Hidden = (
    &'static str,
    fn(&mut Conn),
    [&'static [(&'static str, Verdict)]; 2],
);

const GUESS: &[(&str, Verdict)] = &[("mars-close-rst-tls", LikelyBenign)];
const HIDDEN: &[(&str, Verdict)] = &[("rst-encrypted", Undecided)];
const ABORTED: &[(&str, Verdict)] = &[("rst-abort-server", Fault)];

const ENCRYPTED: &[Hidden] = &[
    ("a benign close", encrypted_close, [GUESS, HIDDEN]),
    (
        "the client dies while an answer comes",
        |c| {
            c.tls(Client, 120);
            c.trip(300 * US);
            c.tls(Server, 4096);
            c.trip(10 * US);
            died(c, &|c| {
                c.tls(Server, 4096);
                c.tls(Server, 4096);
            });
        },
        [HIDDEN, HIDDEN],
    ),
    (
        "the client aborts",
        |c| {
            c.tls(Client, 120);
            c.trip(300 * US);
            c.client_abort();
        },
        [HIDDEN, HIDDEN],
    ),
    (
        "the server aborts",
        |c| {
            c.wait(2_000 * MS);
            server_abort(c, &|c| c.tls(Client, 16));
        },
        [ABORTED, ABORTED],
    ),
    (
        "the server closes",
        |c| {
            c.wait(2_000 * MS);
            c.send(Server, ACK | FIN, &[]);
            c.trip(100 * US);
            c.client_tcp_fin();
            c.trip(10 * US);
            c.send(Server, ACK, &[]);
        },
        [
            &[("server-fin-first", Fault)],
            &[("server-fin-first", Fault)],
        ],
    ),
    (
        "a device resets in the server's name",
        |c| {
            c.tls(Client, 120);
            c.trip(700 * MS);
            let seq = c.snd_nxt(Server);
            c.bare_reset(Server, seq);
            c.last().ttl = Some(250);
        },
        [&[("rst-middlebox", Fault)], &[("rst-middlebox", Fault)]],
    ),
];

#[test]
fn inside_tls_nothing_is_called_benign() {
    for (name, happens, accepted) in ENCRYPTED {
        for (strict, accepted) in [(false, accepted[0]), (true, accepted[1])] {
            for setting in settings().iter().filter(|s| s.snap.is_none() && !s.v6) {
                for view in Side::BOTH {
                    let mut c = encrypted(setting, strict);
                    happens(&mut c);
                    let mut store = index(&c.capture(view));
                    judge(&mut store, &Settings::default());
                    let close = store.findings().iter().find(|f| f.close).unwrap();
                    assert!(
                        accepted.contains(&(&close.rule, close.verdict)),
                        "{name} ({}, strict: {strict}, {} view): {} {}",
                        setting.name,
                        view.word(),
                        close.text,
                        describe(close)
                    );
                    let row = store.conns().first().unwrap();
                    let word = row.encryption.map(marstui::store::Encryption::name);
                    assert_eq!(word, Some(if strict { "strict" } else { "full" }), "{name}");
                }
            }
        }
    }
}
