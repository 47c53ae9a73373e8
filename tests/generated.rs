//! The index of generated captures: whatever the script sent is what the store holds.

use std::collections::BTreeMap;

use marstui::capture::Capture;
use marstui::store::{Severity, Store};
use marstui::track;
use marstui::units::{Sid, Side};

use crate::support::synth::cases::{self, Case};
use crate::support::synth::close::Form;
use crate::support::synth::conn::ix;
use crate::support::synth::{file, seed};

/// The store of a generated capture.
pub fn index(capture: &file::Capture) -> Store {
    let capture = Capture::from_bytes("generated.pcapng", capture.to_pcapng()).unwrap();
    track::load(&capture)
}

/// Runs a check on every case in every form and view, and names all that do not pass.
pub fn each(cases: &[Case], check: &dyn Fn(&Case, Form, Side) -> Result<(), String>) {
    let mut wrong = Vec::new();
    let mut count = 0;
    for case in cases {
        for form in case.forms {
            for view in case.views {
                count += 1;
                if let Err(error) = check(case, *form, *view) {
                    let (id, what, view) = (case.id, case.what, view.word());
                    wrong.push(format!("{id} {form:?} {view} view ({what}):\n    {error}"));
                }
            }
        }
    }
    assert!(count > 0);
    assert!(
        wrong.is_empty(),
        "{} of {count} are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn sessions_have_the_numbers_that_the_script_gave_them() {
    each(&cases::benign(), &|case, form, view| {
        let conn = (case.build)(form);
        let store = index(&case.capture(form, view));
        let port = conn.hosts[0].port;
        let row = store
            .conns()
            .iter()
            .find(|row| row.endpoint(Side::Client).port == port)
            .ok_or("no connection")?;
        let mut last = BTreeMap::new();
        for session in store.conn_sessions(row.id) {
            let number = |side: Side| {
                let end = session.ends.get(row.end_of(side));
                end.last_data_seqnum.map_or(0, |n| n.0)
            };
            last.insert(session.sid, [number(Side::Client), number(Side::Server)]);
        }
        let scripted: BTreeMap<_, _> = conn
            .sessions
            .iter()
            .map(|(sid, s)| (Sid(*sid), s.sent))
            .collect();
        if last != scripted {
            return Err(format!("last SEQNUMs {last:?}, scripted {scripted:?}"));
        }
        let grave: Vec<_> = store
            .violations()
            .iter()
            .filter(|v| v.severity == Severity::Error)
            .map(|v| format!("frame {}: {}", v.frame, v.fact))
            .collect();
        if grave.is_empty() {
            Ok(())
        } else {
            Err(format!("violations {grave:?}"))
        }
    });
}

#[test]
fn the_demo_has_the_numbers_of_the_page() {
    let conn = seed::connection();
    for capture in [seed::server_view(), seed::client_view()] {
        let store = index(&capture);
        let row = store
            .conns()
            .iter()
            .find(|row| row.endpoint(Side::Client).port == 52965)
            .unwrap();
        let bytes = |side| row.tcp.get(row.end_of(side)).bytes;
        // The server's SMP:FIN comes after the 864 339 bytes of the page.
        assert_eq!(bytes(Side::Client), seed::CLIENT_BYTES as u64);
        assert_eq!(bytes(Side::Server), seed::SERVER_BYTES as u64 + 16);
        assert_eq!(row.mars, Some(true));
        let session = store.conn_sessions(row.id).next().unwrap();
        let end = |side| *session.ends.get(row.end_of(side));
        let fin = |side| {
            (
                end(side).last_seqnum.unwrap().0,
                end(side).last_wndw.unwrap().0,
            )
        };
        assert_eq!(fin(Side::Client), (559, 614));
        assert_eq!(fin(Side::Server), (610, 563));
        assert_eq!(conn.sessions[&0].sent[ix(Side::Client)], 559);
        assert_eq!(session.requests, 559);
        assert_eq!(session.outstanding, 0);
        assert!(
            store
                .violations()
                .iter()
                .all(|v| v.severity != Severity::Error)
        );
    }
}
