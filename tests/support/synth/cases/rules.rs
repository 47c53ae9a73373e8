//! For each rule of the catalogue a capture that triggers it, and one that nearly does.

use marstui::store::Verdict::{self, Benign, Fault, LikelyBenign, Normal, Notice, Undecided};
use marstui::units::Side::{Client, Server};

use super::super::close::Form;
use super::super::conn::{Conn, MS, US};
use super::super::file::Capture;
use super::super::mars::Encryption;
use super::super::tds;
use super::super::wire::{ACK, FIN};
use super::rule_scripts::{four_way, plain_work};
use super::{Case, begin, benign, near, near_more, near_work, opened, scripts};
use super::{rules_beside, rules_login};

/// A rule with its two captures.
pub struct RuleCase {
    pub rule: &'static str,
    pub verdict: Verdict,
    /// What triggers it.
    pub what: &'static str,
    pub triggers: fn() -> Capture,
    /// What nearly does.
    pub nearly: fn() -> Capture,
}

pub const fn rule(
    rule: &'static str,
    verdict: Verdict,
    what: &'static str,
    triggers: fn() -> Capture,
    nearly: fn() -> Capture,
) -> RuleCase {
    RuleCase {
        rule,
        verdict,
        what,
        triggers,
        nearly,
    }
}

/// A case of the tables by its id, in its first form, at its last view.
pub fn case(id: &str) -> Capture {
    let mut cases: Vec<Case> = near::cases();
    cases.extend(near_more::cases());
    cases.extend(near_work::cases());
    cases.extend(benign::cases());
    let case = cases
        .iter()
        .find(|c| c.id == id)
        .unwrap_or_else(|| panic!("no case {id}"));
    case.capture(case.forms[0], *case.views.last().unwrap())
}

pub const W: Form = Form::WindowsW;

pub fn cases() -> Vec<RuleCase> {
    let mut cases = rules_login::connect();
    cases.extend(rules_login::login());
    cases.extend(closes());
    cases.extend(failures());
    cases.extend(rules_beside::beside());
    cases.extend(artefacts());
    cases
}

fn closes() -> Vec<RuleCase> {
    vec![
        rule(
            "mars-close-rst",
            Benign,
            "the page's close",
            || case("V1"),
            || case("N08"),
        ),
        rule(
            "mars-close-rst-nofin",
            LikelyBenign,
            "a reset instead of the FIN",
            || case("V8"),
            || case("V1"),
        ),
        rule(
            "mars-close-rst-tls",
            LikelyBenign,
            "full TLS: late records of the size of an SMP:FIN",
            || encrypted_close(16),
            || encrypted_close(40),
        ),
        rule(
            "rst-encrypted",
            Undecided,
            "full TLS: a late record of another size",
            || encrypted_close(40),
            || case("V1"),
        ),
        rule(
            "mars-close-clean",
            Normal,
            "all SMP:FINs and both FINs, no reset",
            || case("V7"),
            || case("V1"),
        ),
        rule(
            "close-unread-data",
            Notice,
            "a clean close with a packet not taken",
            || clean(|c| c.untake(Server, 0, 1)),
            || case("V7"),
        ),
        rule(
            "close-4way",
            Normal,
            "no MARS: FIN, ACK and FIN, ACK",
            || {
                let mut c = begin(W);
                plain_work(&mut c);
                four_way(&mut c);
                c.capture(Server)
            },
            || {
                let mut c = begin(W);
                plain_work(&mut c);
                c.send(Server, FIN | ACK, &[]);
                c.trip(10 * US);
                c.send(Client, FIN | ACK, &[]);
                c.capture(Server)
            },
        ),
        rule(
            "close-idle",
            Normal,
            "closed after a keep-alive and ten seconds of silence",
            || idle_close(11_000 * MS),
            || idle_close(2_000 * MS),
        ),
        rule(
            "rst-after-close",
            Normal,
            "no MARS: the server's late FIN is reset",
            || {
                let mut c = begin(Form::LinuxL);
                plain_work(&mut c);
                reset_after_fin(&mut c);
                c.capture(Server)
            },
            || {
                let mut c = opened(Form::LinuxL, &[0]);
                reset_after_fin(&mut c);
                c.capture(Server)
            },
        ),
        rule(
            "close-rst-abortive",
            LikelyBenign,
            "no MARS: a reset where a FIN would be",
            || {
                let mut c = begin(W);
                plain_work(&mut c);
                c.client_abort();
                c.capture(Server)
            },
            || {
                let mut c = begin(W);
                plain_work(&mut c);
                c.data(
                    Client,
                    &tds::packet(tds::SQL_BATCH, tds::EOM, 0, 1, &tds::batch("exec dbo.Slow")),
                );
                c.wait(100 * MS);
                c.client_abort();
                c.capture(Server)
            },
        ),
    ]
}

fn failures() -> Vec<RuleCase> {
    vec![
        rule(
            "rst-with-request",
            Fault,
            "the last packet of the answer never comes",
            || case("N04"),
            || case("V1"),
        ),
        rule(
            "close-with-request",
            Fault,
            "FINs of both sides with a request open",
            || {
                clean(|c| {
                    c.ask(0, "exec dbo.Slow");
                    c.trip(200 * US);
                })
            },
            || case("V7"),
        ),
        rule(
            "rst-after-attention",
            Fault,
            "an attention is not acknowledged",
            || case("N05"),
            || case("S9"),
        ),
        rule(
            "close-after-attention",
            Fault,
            "FINs of both sides with an attention open",
            || {
                clean(|c| {
                    c.send_tds(Client, 0, &tds::attention());
                    c.trip(200 * US);
                })
            },
            || {
                clean(|c| {
                    c.ask(0, "exec dbo.Slow");
                    c.send_tds(Client, 0, &tds::attention());
                    c.trip(200 * US);
                    c.answer(0, &tds::done(0xFD, tds::ATTN, 0, 0));
                    c.trip(200 * US);
                })
            },
        ),
        rule(
            "keepalive-timeout",
            Fault,
            "ten keep-alives without answer",
            || case("N12d"),
            || case("N12b"),
        ),
        rule(
            "retransmit-timeout",
            Fault,
            "one segment six times, then an abort",
            || case("N12c"),
            || case("N12"),
        ),
        rule(
            "zero-window",
            Fault,
            "a reset while the client's window is 0",
            || zero_window(false),
            || zero_window(true),
        ),
        rule(
            "rst-middlebox",
            Fault,
            "the reset has another TTL",
            || case("N13"),
            || case("V1"),
        ),
        rule(
            "rst-ignored",
            Fault,
            "a reset that nobody minds",
            || case("N31"),
            || case("V1"),
        ),
        rule(
            "smp-violation",
            Fault,
            "FLAGS 0x06",
            || case("N16"),
            || case("V6"),
        ),
        rule(
            "mars-header-error",
            Fault,
            "error 4011, then the server's FIN",
            || server_error(4011, 16),
            || server_error(4012, 20),
        ),
        rule(
            "server-error-close",
            Fault,
            "an error of class 20, then the server's FIN",
            || server_error(596, 21),
            || server_error(596, 16),
        ),
        rule(
            "server-fin-first",
            Fault,
            "the server closes first",
            || case("N14"),
            || case("V7"),
        ),
        rule(
            "rst-data-lost",
            Fault,
            "DATA behind a complete answer comes late",
            || case("N07b"),
            || case("V6"),
        ),
        rule(
            "rst-unread-data",
            Notice,
            "one packet was not taken",
            || case("N27"),
            || case("V1"),
        ),
        rule(
            "smp-server-closed-sid",
            Notice,
            "the server closes a session that the client did not",
            || case("N15"),
            || case("V3"),
        ),
        rule(
            "rst-open-sids",
            Notice,
            "a session is left open",
            || case("N03"),
            || case("V3"),
        ),
        rule(
            "rst-odd-seq",
            Undecided,
            "a reset's Seq that nothing explains",
            || case("N09c"),
            || case("V4"),
        ),
        rule(
            "rst-abort-server",
            Fault,
            "the server resets an idle connection",
            || {
                let mut c = opened(W, &[0]);
                let (seq, ack) = (c.snd_nxt(Server), c.received(Server));
                c.abort(Server, seq, ack);
                c.capture(Client)
            },
            || case("N01"),
        ),
        rule(
            "rst-server-after-close",
            Undecided,
            "the reset is the server's",
            || case("N01"),
            || case("V1"),
        ),
        rule(
            "rst-abort-client",
            Undecided,
            "FIN and reset without any SMP:FIN",
            || case("N02"),
            || case("V1"),
        ),
    ]
}

fn artefacts() -> Vec<RuleCase> {
    vec![
        rule(
            "dup-frames",
            Notice,
            "every frame twice",
            || case("S3"),
            || case("V1"),
        ),
        rule(
            "one-direction",
            Notice,
            "only the client's frames",
            || {
                let mut capture = case("V1");
                capture
                    .frames
                    .retain(|f| f.data[34..36] != 1433u16.to_be_bytes());
                capture
            },
            || case("V1"),
        ),
        rule(
            "snaplen",
            Notice,
            "frames cut to 60 bytes",
            || case("N22"),
            || case("V1"),
        ),
        rule(
            "file-gap",
            Notice,
            "a frame is missing",
            || case("V10b"),
            || case("V1"),
        ),
        rule(
            "mid-stream",
            Notice,
            "the capture begins after the login",
            || {
                let mut capture = case("V1");
                capture.frames.drain(..7);
                capture
            },
            || case("V1"),
        ),
        rule(
            "nonstandard-port",
            Notice,
            "SQL Server on port 51433",
            || {
                let mut c = opened(W, &[0]);
                c.hosts[1].port = 51433;
                c.close_benign(W, &[0]);
                c.capture(Server)
            },
            || case("V1"),
        ),
        rule(
            "clock-step",
            Normal,
            "time runs backwards",
            || case("S5"),
            || case("V1"),
        ),
        rule(
            "offload-checksum",
            Normal,
            "wrong checksums of the capturing host",
            || case("V1"),
            || {
                let mut c = opened(W, &[0]);
                c.close_benign(W, &[0]);
                c.capture(Client)
            },
        ),
        rule(
            "bad-checksum",
            Notice,
            "wrong checksums of both ends at one capture point",
            || {
                let mut c = opened(W, &[0]);
                c.close_benign(W, &[0]);
                let mut capture = c.capture(Server);
                for frame in &mut capture.frames {
                    // The checksum of TCP behind Ethernet and IPv4.
                    frame.data[50] ^= 0x5A;
                }
                capture
            },
            || case("V1"),
        ),
    ]
}

fn reset_after_fin(c: &mut Conn) {
    c.client_tcp_fin();
    let since = c.now;
    c.trip(30 * US);
    c.send(Server, ACK | FIN, &[]);
    c.answer_with_resets(since);
}

/// Full TLS: the page's close with records that hide `late` bytes each.
fn encrypted_close(late: usize) -> Capture {
    let mut c = begin(W);
    c.handshake();
    c.login(Encryption::Full, true);
    c.tls(Client, 16);
    c.tls(Client, 80);
    c.trip(300 * US);
    c.tls(Server, 400);
    c.trip(400 * US);
    c.tls(Client, 16);
    let sent = c.now;
    c.now = sent + c.delay + 58 * US;
    c.tls(Server, late);
    let arrives = c.last().arrives;
    c.now = arrives - 2 * US;
    c.client_tcp_fin();
    c.now = arrives + US;
    c.client_abort();
    c.capture(Server)
}

/// A MARS connection that is closed cleanly after something.
fn clean(before: fn(&mut Conn)) -> Capture {
    let mut c = opened(W, &[0]);
    before(&mut c);
    c.close_clean(&[0]);
    c.capture(Server)
}

fn idle_close(silence: i64) -> Capture {
    let mut c = begin(W);
    plain_work(&mut c);
    c.wait(30_000 * MS);
    let (seq, ack) = (c.snd_nxt(Client).wrapping_sub(1), c.received(Client));
    c.push(Client, ACK, seq, ack, &[0]);
    c.trip(20 * US);
    c.send(Server, ACK, &[]);
    c.wait(silence);
    // Without silence the last exchange was a request.
    if silence < 10_000 * MS {
        scripts::plain_request(&mut c);
    }
    four_way(&mut c);
    c.capture(Server)
}

/// The client's window is 0 and, in one case, opens again before it resets.
fn zero_window(opens: bool) -> Capture {
    let mut c = begin(W);
    plain_work(&mut c);
    c.wait(50 * MS);
    c.send(Client, ACK, &[]);
    c.last().win = 0;
    c.wait(300 * MS);
    if opens {
        c.send(Client, ACK, &[]);
        c.wait(5 * MS);
    }
    c.client_abort();
    c.capture(Server)
}

/// An error in an answer, then the server's FIN.
fn server_error(number: i32, class: u8) -> Capture {
    let mut c = opened(W, &[0]);
    let mut body = tds::message_token(true, number, class, "Something is wrong.", "SQLPROD1");
    body.extend(tds::done(0xFD, tds::ERROR, 0xC1, 0));
    c.request(0, "select 1", &body);
    c.send(Server, FIN | ACK, &[]);
    c.trip(30 * US);
    c.send(Client, FIN | ACK, &[]);
    c.trip(0);
    c.send(Server, ACK, &[]);
    c.capture(Server)
}
