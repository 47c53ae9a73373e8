//! Closes as cases of the catalogue of close patterns: what is built, and what a judge has to say of it.

mod benign;
mod benign_scripts;
mod near;
mod near_more;
mod near_unseen;
mod near_work;
pub mod rule_scripts;
mod rules;
mod rules_beside;
mod rules_login;
pub mod scripts;

pub use rules::RuleCase;

use marstui::store::Verdict;
use marstui::units::Side;

use super::close::Form;
use super::conn::{Conn, Host, Stack};
use super::file::Capture;
use super::mars::Encryption;
use super::tds;

/// A case of the catalogue.
pub struct Case {
    /// The catalogue's id, with a letter where one row is several cases.
    pub id: &'static str,
    /// What is special about it.
    pub what: &'static str,
    /// The forms of close in which it makes sense.
    pub forms: &'static [Form],
    /// The ends at which it can be captured.
    pub views: &'static [Side],
    /// One capture of both ends, each on its own interface.
    pub at_both_points: bool,
    pub build: fn(Form) -> Conn,
    /// What is done to the capture afterwards.
    pub edit: fn(&mut Capture),
    pub expect: Expect,
}

/// What a judge may say of the resets (or of the close, where there are none).
pub struct Expect {
    /// Rule and verdict; an empty rule stands for any.
    pub accepted: &'static [(&'static str, Verdict)],
    /// Conditions that have to be reported as failed.
    pub failed: &'static [&'static str],
    /// Conditions that have to be reported as unknown.
    pub unknown: &'static [&'static str],
    /// A note that has to be there; empty for none.
    pub note: &'static str,
    /// Other frames, by label, with the rule and the verdict that marks them.
    pub also: &'static [(&'static str, &'static str, Verdict)],
}

const BOTH: &[Side] = &Side::BOTH;

impl Case {
    /// A case with one accepted rule and verdict, captured at both ends.
    const fn new(
        id: &'static str,
        what: &'static str,
        forms: &'static [Form],
        build: fn(Form) -> Conn,
        accepted: &'static [(&'static str, Verdict)],
    ) -> Self {
        Self {
            id,
            what,
            forms,
            views: BOTH,
            at_both_points: false,
            build,
            edit: |_| {},
            expect: Expect {
                accepted,
                failed: &[],
                unknown: &[],
                note: "",
                also: &[],
            },
        }
    }

    const fn failing(mut self, conditions: &'static [&'static str]) -> Self {
        self.expect.failed = conditions;
        self
    }

    const fn not_knowing(mut self, conditions: &'static [&'static str]) -> Self {
        self.expect.unknown = conditions;
        self
    }

    const fn noting(mut self, note: &'static str) -> Self {
        self.expect.note = note;
        self
    }

    const fn also(mut self, also: &'static [(&'static str, &'static str, Verdict)]) -> Self {
        self.expect.also = also;
        self
    }

    const fn edited(mut self, edit: fn(&mut Capture)) -> Self {
        self.edit = edit;
        self
    }

    const fn at_both_points(mut self) -> Self {
        self.at_both_points = true;
        self
    }

    const fn seen_by(mut self, views: &'static [Side]) -> Self {
        self.views = views;
        self
    }

    /// Its capture at one end.
    pub fn capture(&self, form: Form, view: Side) -> Capture {
        let conn = (self.build)(form);
        let mut capture = conn.capture(view);
        if self.at_both_points {
            capture = capture.merge(conn.capture(view.other()));
        }
        (self.edit)(&mut capture);
        capture
    }
}

/// N01 to N32 and more of their kind: like the benign close, and not it (or, where the table says so, still it).
pub fn near_misses() -> Vec<Case> {
    let mut cases = near::cases();
    cases.extend(near_more::cases());
    cases.extend(near_unseen::cases());
    cases.extend(near_work::cases());
    cases
}

/// More of the kind, which can be told only from a whole file.
pub fn told_by_all() -> Vec<Case> {
    near_work::told_by_all()
}

/// V1 to V13 and all that must stay benign.
pub fn benign() -> Vec<Case> {
    benign::cases()
}

/// For each rule a capture that triggers it, and one that nearly does.
pub fn rules() -> Vec<RuleCase> {
    rules::cases()
}

/// One client that uses so many ports twice, a second apart.
pub fn reused_ports(count: u16) -> Capture {
    rules_beside::reused_ports(count)
}

/// A connection that has not begun.
fn begin(form: Form) -> Conn {
    let client = Host::new(10, 52965, 661_832_900, form.stack());
    let mut server = Host::new(22, 1433, 492_910_518, Stack::Windows);
    server.offload = true;
    Conn::new(client, server)
}

/// A connection after its login, without sessions.
pub fn logged_in(form: Form, mars: bool) -> Conn {
    let mut c = begin(form);
    c.handshake();
    c.login(Encryption::None, mars);
    c
}

/// A MARS connection whose sessions have each had two requests, all answered.
pub fn opened(form: Form, sids: &[u16]) -> Conn {
    let mut c = logged_in(form, true);
    work(&mut c, sids);
    c
}

/// Opens sessions and has each of them ask twice; the second answer needs three packets.
fn work(c: &mut Conn, sids: &[u16]) {
    for sid in sids {
        c.open(*sid);
        c.request(
            *sid,
            "select id, text from dbo.Note where id < 4",
            &tds::rows(3),
        );
        let long = tds::result_of(9000, 80, "A longer note of somebody about something. ");
        c.request(*sid, "select id, text from dbo.Note", &long);
    }
    c.wait(500_000);
}

/// The benign close of a connection with one session, as the page has it.
fn page_close(form: Form) -> Conn {
    let mut c = opened(form, &[0]);
    c.close_benign(form, &[0]);
    c
}
