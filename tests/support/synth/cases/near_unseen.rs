//! Near misses with requests and closes of which the file shows a part, or would show nothing with one frame less.

use marstui::store::Verdict::{Fault, Normal, Undecided};
use marstui::units::Side::{Client, Server};

use super::super::close::Form;
use super::super::conn::{Conn, MS, US};
use super::super::file::{Capture, Frame};
use super::super::wire::{ACK, SYN};
use super::super::{smp, tds};
use super::rule_scripts::four_way;
use super::scripts::{close_session, close_without_smp, plain};
use super::{Case, logged_in, opened};

const ALL: &[Form] = &Form::ALL;
const BARE: &[Form] = &[Form::LinuxL];

pub fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "N28c",
            "the file begins behind the client's first SMP:FIN",
            ALL,
            |form| {
                let mut c = opened(form, &[0, 1]);
                c.close_benign(form, &[0, 1]);
                c
            },
            &[("mars-close-rst", Undecided)],
        )
        .edited(|capture| {
            let first = capture.frames.iter().position(|f| f.label == "cfin:0");
            capture.frames.drain(..=first.unwrap());
        }),
        Case::new(
            "H1",
            "session 1 is opened with a request in one segment, and left open",
            ALL,
            |form| {
                let mut c = opened(form, &[0]);
                open_and_ask(&mut c, 1);
                c.close_benign(form, &[0]);
                c
            },
            &[("rst-with-request", Fault)],
        )
        .failing(&["M2", "M3"]),
        Case::new(
            "H2",
            "the same of a session that was closed before",
            ALL,
            |form| {
                let mut c = opened(form, &[0, 1]);
                close_session(&mut c, 1);
                c.trip(10 * MS);
                open_and_ask(&mut c, 1);
                c.close_benign(form, &[0]);
                c
            },
            &[("rst-with-request", Fault)],
        )
        .failing(&["M2", "M3"]),
        Case::new(
            "H3",
            "of a request only the headers of SMP and TDS were sent",
            ALL,
            |form| {
                let mut c = opened(form, &[0]);
                begin_request(&mut c, 24);
                close_without_smp(&mut c, form);
                c
            },
            &[("rst-with-request", Fault)],
        )
        .failing(&["M3"]),
        Case::new(
            "H4",
            "half a request was sent, and no reset followed",
            BARE,
            |form| {
                let mut c = opened(form, &[0]);
                begin_request(&mut c, 3000);
                four_way(&mut c);
                c
            },
            &[("close-with-request", Fault)],
        ),
        Case::new(
            "H5",
            "half a request was sent without MARS",
            BARE,
            |form| {
                let mut c = plain(form);
                let request = request();
                c.data(Client, &request[..3000]);
                c.trip(40 * MS);
                four_way(&mut c);
                c
            },
            &[("close-with-request", Fault)],
        ),
        Case::new(
            "H6",
            "of a packet too little was sent to say what it was to be",
            BARE,
            |form| {
                let mut c = opened(form, &[0]);
                begin_request(&mut c, 20);
                four_way(&mut c);
                c
            },
            &[("close-4way", Undecided)],
        )
        .not_knowing(&["answered"]),
        Case::new(
            "H7",
            "the last SMP:FIN and the FIN were lost on their way to the server",
            BARE,
            |form| {
                let mut c = opened(form, &[0, 1]);
                c.client_fins(&[0, 1]);
                c.segment("cfin:1").lost = true;
                c.client_tcp_fin();
                c.segment("tf").lost = true;
                c.trip(58 * US);
                let answers = c.now;
                c.server_fins(&[0]);
                c.answer_with_resets(answers);
                c
            },
            &[("mars-close-rst-nofin", Undecided)],
        )
        .seen_by(&[Server])
        .not_knowing(&["M2", "M3", "M4"]),
        Case::new(
            "H8",
            "the client resets with the last packet of the answer unread, before the server's SMP:FIN",
            &Form::ABORTS,
            |form| {
                let mut c = opened(form, &[0]);
                c.untake(Server, 0, 1);
                c.client_fins(&[0]);
                c.client_tcp_fin();
                c.wait(5 * US);
                c.client_abort();
                c
            },
            &[("rst-abort-client", Undecided)],
        )
        .failing(&["M5", "M8", "M14"]),
        Case::new(
            "H11",
            "the file begins where all sessions but one that asked nothing were closed",
            ALL,
            |form| {
                let mut c = opened(form, &[0]);
                c.open(1);
                c.trip(100 * US);
                close_session(&mut c, 0);
                c.trip(10 * MS);
                c.send(Client, ACK, &[]);
                c.label("begin");
                c.close_benign(form, &[1]);
                c
            },
            &[("mars-close-rst", Undecided)],
        )
        .edited(|capture| {
            let first = capture.frames.iter().position(|f| f.label == "begin");
            capture.frames.drain(..=first.unwrap());
        })
        .not_knowing(&["M2", "M3"]),
        Case::new(
            "H12",
            "the login's answer is cut, and nothing was asked until the close",
            BARE,
            |form| {
                let mut c = logged_in(form, false);
                c.wait(20_000 * MS);
                four_way(&mut c);
                c
            },
            &[("close-4way", Undecided)],
        )
        .edited(|capture| *capture = std::mem::take(capture).snap(96)),
        Case::new(
            "H13",
            "the login's answer stands behind the FIN that acknowledges it",
            BARE,
            |form| {
                let mut c = logged_in(form, false);
                c.label("answer");
                four_way(&mut c);
                c
            },
            &[("close-4way", Normal)],
        )
        .edited(|capture| capture.move_behind("answer", "tf")),
        Case::new(
            "H14",
            "of the server only acknowledgements are in the file",
            BARE,
            |form| {
                let mut c = plain(form);
                four_way(&mut c);
                c
            },
            &[("close-with-request", Undecided)],
        )
        .edited(only_acknowledgements_of_server),
        Case::new(
            "H9",
            "frames are cut, and with them the headers of all packets of an answer but the first",
            BARE,
            |form| {
                let mut c = long_plain_answer(form);
                four_way(&mut c);
                c
            },
            &[("close-4way", Undecided)],
        )
        .edited(|capture| *capture = std::mem::take(capture).snap(160))
        .not_knowing(&["answered"]),
        Case::new(
            "H10",
            "the same where resets follow the FIN",
            BARE,
            |form| {
                let mut c = long_plain_answer(form);
                close_without_smp(&mut c, form);
                c
            },
            &[("rst-after-close", Undecided), ("rst-abort-client", Undecided)],
        )
        .edited(|capture| *capture = std::mem::take(capture).snap(160)),
    ]
}

/// Leaves of the server's frames only those with nothing but an ACK, or a FIN.
fn only_acknowledgements_of_server(capture: &mut Capture) {
    let is_kept = |frame: &Frame| {
        let tcp = &frame.data[34..];
        let from_server = tcp[..2] == 1433_u16.to_be_bytes();
        let ip_len = usize::from(u16::from_be_bytes([frame.data[16], frame.data[17]]));
        let header = usize::from(tcp[12] >> 4) * 4;
        !from_server || (tcp[13] & SYN == 0 && ip_len == 20 + header)
    };
    capture.frames.retain(is_kept);
}

/// A connection without MARS; the packets of its answer share segments.
fn long_plain_answer(form: Form) -> Conn {
    let mut c = plain(form);
    let ask = tds::packet(tds::SQL_BATCH, tds::EOM, 0, 1, &tds::batch("select 2"));
    c.data(Client, &ask);
    c.trip(100 * US);
    let body = tds::result_of(12_000, 90, "An answer of three packets. ");
    c.data(
        Server,
        &tds::message(tds::RESPONSE, c.spid, &body, 4096).concat(),
    );
    c.trip(40 * MS);
    c
}

/// A request of two segments and more.
fn request() -> Vec<u8> {
    let text = format!("insert into dbo.Note values ('{}')", "x".repeat(1500));
    tds::packet(tds::SQL_BATCH, tds::EOM, 0, 1, &tds::batch(&text))
}

/// Sends so many bytes of a request on session 0, and no more.
fn begin_request(c: &mut Conn, bytes: usize) {
    let whole = c.smp_data(Client, 0, &request());
    c.data(Client, &whole[..bytes]);
    c.trip(40 * MS);
}

/// Opens a session and asks on it in the same segment; no answer comes.
fn open_and_ask(c: &mut Conn, sid: u16) {
    let mut bytes = c.control(Client, smp::SYN, sid);
    let ask = tds::batch("exec dbo.Slow");
    let ask = tds::packet(tds::SQL_BATCH, tds::EOM, 0, 1, &ask);
    bytes.extend(c.smp_data(Client, sid, &ask));
    c.data(Client, &bytes);
    c.trip(40 * MS);
}
