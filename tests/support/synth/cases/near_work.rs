//! The near misses N04 and N05 of the catalogue: a request or an attention is outstanding.

use marstui::store::Verdict::{Fault, Undecided};
use marstui::units::Side::{Client, Server};

use super::super::close::Form;
use super::super::conn::{Conn, MS, US};
use super::super::tds;
use super::super::wire::{ACK, FIN};
use super::scripts::{ask_and_answer_in_part, long_answer};
use super::{Case, opened};

const ALL: &[Form] = &Form::ALL;
const ABORTS: &[Form] = &Form::ABORTS;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "N04",
            "the last packet of the answer never comes",
            ALL,
            |form| {
                let mut c = opened(form, &[0]);
                ask_and_answer_in_part(&mut c, 0);
                c.close_benign(form, &[0]);
                c
            },
            &[("rst-with-request", Fault)],
        )
        .failing(&["M3"]),
        Case::new(
            "N04b",
            "the final DONE says that more follows",
            ALL,
            |form| close_behind(form, "select 1 select 2", &[one_row(), more()].concat()),
            &[("rst-with-request", Fault)],
        )
        .failing(&["M3"]),
        Case::new(
            "N04i",
            "rows follow a DONE that says that more does, and the message ends",
            ALL,
            |form| {
                let rest = [tds::columns(), tds::row(2, "two")].concat();
                close_behind(form, "select 1 select 2", &[one_row(), more(), rest].concat())
            },
            &[("rst-with-request", Fault)],
        )
        .failing(&["M3"]),
        Case::new(
            "N04j",
            "the message with the answer ends without a DONE",
            ALL,
            |form| close_behind(form, "select 1", &one_row()),
            &[("rst-with-request", Fault)],
        )
        .failing(&["M3"]),
        Case::new(
            "N04c",
            "a request of session 1 has no answer at all",
            ALL,
            |form| {
                let mut c = opened(form, &[0, 1]);
                c.ask(1, "exec dbo.Slow");
                c.trip(200 * US);
                c.close_benign(form, &[0, 1]);
                c
            },
            &[("rst-with-request", Fault)],
        )
        .failing(&["M3"]),
        Case::new(
            "N04f",
            "the answer, behind what the client's FIN acknowledges, was lost before the capture point",
            ALL,
            |form| {
                let mut c = opened(form, &[0]);
                c.ask(0, "select 1");
                c.trip(200 * US);
                c.close_crossing(form, &[0], &|c| {
                    c.answer(0, &tds::rows(1));
                    c.label("lost");
                    c.server_fins(&[0]);
                });
                c
            },
            &[("rst-with-request", Fault)],
        )
        .edited(|capture| *capture = std::mem::take(capture).without("lost")),
        Case::new(
            "N04g",
            "the answer is not in the file, and only the reset acknowledges it",
            ABORTS,
            |form| {
                let mut c = opened(form, &[0]);
                c.request(0, "select 1", &tds::rows(1));
                c.ask(0, "select 2");
                c.trip(300 * US);
                c.answer(0, &tds::rows(1));
                c.label("lost");
                c.trip(400 * US);
                let (seq, ack) = (c.snd_nxt(Client), c.snd_nxt(Server));
                c.abort(Client, seq, ack);
                c.label("rst");
                c
            },
            &[("rst-abort-client", Undecided)],
        )
        .edited(|capture| *capture = std::mem::take(capture).without("lost")),
        Case::new(
            "N04h",
            "the end of the answer had arrived, is not in the file, and was left by the client",
            &[Form::LinuxL],
            |form| {
                let mut c = opened(form, &[0]);
                c.ask(0, "exec dbo.Slow");
                c.trip(300 * US);
                for (packet, label) in long_answer(&c).iter().zip(["first", "lost"]) {
                    c.send_tds(Server, 0, packet);
                    c.label(label);
                }
                c.trip(200 * US);
                c.untake(Server, 0, 1);
                c.client_fins(&[0]);
                c.wait(80 * US);
                c.client_tcp_fin();
                c.trip(40 * US);
                c.send(Server, ACK | FIN, &[]);
                c
            },
            &[("mars-close-clean", Undecided)],
        )
        .edited(|capture| *capture = std::mem::take(capture).without("lost")),
        Case::new(
            "N04k",
            "what came of the answer behind what the client's FIN acknowledges has a hole",
            &[Form::LinuxL],
            |form| {
                let mut c = opened(form, &[0]);
                c.ask(0, "exec dbo.Slow");
                c.client_tcp_fin();
                c.trip(300 * US);
                let answers = c.now;
                for (packet, label) in long_answer(&c).iter().zip(["lost", "last"]) {
                    c.send_tds(Server, 0, packet);
                    c.label(label);
                }
                c.answer_with_resets(answers);
                c
            },
            &[("rst-with-request", Fault)],
        )
        .edited(|capture| *capture = std::mem::take(capture).without("lost"))
        .failing(&["M3"]),
        Case::new(
            "N05",
            "an attention is not acknowledged",
            ALL,
            |form| {
                let mut c = opened(form, &[0]);
                c.ask(0, "exec dbo.Slow");
                c.wait(300 * MS);
                c.send_tds(Client, 0, &tds::attention());
                c.trip(200 * US);
                c.close_benign(form, &[0]);
                c
            },
            &[("rst-after-attention", Fault)],
        )
        .failing(&["M3"]),
        Case::new(
            "N05b",
            "an attention after a complete answer is not acknowledged",
            ALL,
            |form| {
                let mut c = opened(form, &[0]);
                c.send_tds(Client, 0, &tds::attention());
                c.trip(200 * US);
                c.close_benign(form, &[0]);
                c
            },
            &[("rst-after-attention", Fault)],
        )
        .failing(&["M3"]),
    ]
}

/// Several messages of the client with one answer: only all that was said on the session tells which of them has it. Where
/// something is missing, the last packet decides (catalogue, M3).
pub fn told_by_all() -> Vec<Case> {
    vec![
        Case::new(
            "N04d",
            "two requests in one DATA have one answer",
            ALL,
            |form| {
                let mut c = opened(form, &[0]);
                let both = [asking("select 1"), asking("select 2")].concat();
                c.send_tds(Client, 0, &both);
                c.trip(300 * US);
                c.answer(0, &tds::rows(1));
                c.trip(400 * US);
                c.close_benign(form, &[0]);
                c
            },
            &[("rst-with-request", Fault)],
        )
        .failing(&["M3"]),
        Case::new(
            "N04e",
            "two requests one after the other have one answer",
            ALL,
            |form| {
                let mut c = opened(form, &[0]);
                c.ask(0, "select 1");
                c.request(0, "select 2", &tds::rows(1));
                c.close_benign(form, &[0]);
                c
            },
            &[("rst-with-request", Fault)],
        )
        .failing(&["M3"]),
        Case::new(
            "N05c",
            "a request and an attention in one DATA, which is not acknowledged",
            ALL,
            |form| {
                let mut c = opened(form, &[0]);
                let both = [asking("select 1"), tds::attention()].concat();
                c.send_tds(Client, 0, &both);
                c.trip(300 * US);
                c.answer(0, &tds::rows(1));
                c.trip(400 * US);
                c.close_benign(form, &[0]);
                c
            },
            &[("rst-after-attention", Fault)],
        )
        .failing(&["M3"]),
    ]
}

/// A SQL batch in one TDS packet.
fn asking(text: &str) -> Vec<u8> {
    tds::packet(tds::SQL_BATCH, tds::EOM, 0, 1, &tds::batch(text))
}

/// A request with such an answer, and the benign close.
fn close_behind(form: Form, text: &str, answer: &[u8]) -> Conn {
    let mut c = opened(form, &[0]);
    c.request(0, text, answer);
    c.close_benign(form, &[0]);
    c
}

fn one_row() -> Vec<u8> {
    [tds::columns(), tds::row(1, "one")].concat()
}

/// A DONE behind a row that says that more follows.
fn more() -> Vec<u8> {
    tds::done(0xFD, tds::MORE | tds::COUNT, 0xC1, 1)
}
