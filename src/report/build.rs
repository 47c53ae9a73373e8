//! From rows of the store to the facts of a report.

use super::alias::Aliases;
use super::facts;
use super::words;
use crate::decode::tds::version::Version;
use crate::decode::tls::names;
use crate::rules;
use crate::rules::order;
use crate::store::{
    ConnRow, ErrorRow, Finding, LoginInfo, Outcome, Protocol, RequestRow, SessionRow, SmpCounts,
    Store, TcpStats, TdsCounts, TlsInfo,
};
use crate::units::{End, Side, SmpSeq};

/// Makes the facts of one store; with aliases, names are replaced and texts of requests left out.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    store: &'a Store,
    aliases: Option<&'a Aliases>,
}

impl<'a> Facts<'a> {
    /// The facts as they are, or under aliases.
    pub fn new(store: &'a Store, aliases: Option<&'a Aliases>) -> Self {
        Self { store, aliases }
    }

    /// The rows behind them.
    pub fn store(&self) -> &'a Store {
        self.store
    }

    /// The capture as a whole.
    pub fn capture(&self) -> facts::Capture {
        let store = self.store;
        let progress = store.progress();
        let (view, evidence) = store.view();
        facts::Capture {
            files: store
                .files()
                .iter()
                .map(|f| facts::File {
                    path: self.path(f.index, &f.path),
                    format: f.format,
                    bytes: f.bytes,
                    frames: f.frames,
                })
                .collect(),
            frames: store.frame_count() as u64,
            bytes: store.files().iter().map(|f| f.bytes).sum(),
            first_time: store.start_time().and_then(words::time),
            last_time: store.end_time().and_then(words::time),
            complete: progress.complete && progress.stopped.is_none(),
            problems: store
                .problems()
                .iter()
                .map(|p| facts::Problem {
                    file: store
                        .files()
                        .get(p.file)
                        .map(|f| self.path(f.index, &f.path)),
                    offset: p.offset.0,
                    frame: p.frame.map(|f| f.0),
                    what: p.what.clone(),
                })
                .collect(),
            view: view.name(),
            view_evidence: evidence.iter().map(|e| self.scrubbed(e, None)).collect(),
        }
    }

    /// A connection.
    pub fn connection(&self, conn: &ConnRow) -> facts::Connection {
        self.connection_with(conn, usize::MAX)
    }

    /// A connection with the first so many of its requests, for those who show no more.
    pub fn connection_with(&self, conn: &ConnRow, requests: usize) -> facts::Connection {
        let store = self.store;
        let sides = |side: Side| conn.end_of(side);
        let close = store.conn_findings(conn.id).find(|f| f.close);
        facts::Connection {
            id: conn.id.0,
            client: self.endpoint(conn, Side::Client),
            server: self.endpoint(conn, Side::Server),
            client_evidence: conn.client_evidence,
            incarnation: conn.incarnation,
            first_frame: conn.first_frame.0,
            last_frame: conn.last_frame.0,
            frames: conn.frames,
            first_time: words::time(conn.first_time),
            last_time: words::time(conn.last_time),
            protocol: match conn.protocol {
                Protocol::Tds => "tds",
                Protocol::Other => "other",
            },
            mars: conn.mars,
            encryption: conn.encryption.map(crate::store::Encryption::name),
            tls: conn.tls.as_deref().map(|tls| self.tls(tls)),
            login: conn.login.as_deref().map(|login| self.login(login)),
            tcp: both(|side| tcp(conn.tcp.get(sides(side)))),
            smp: both(|side| smp(&self.smp_counts(conn, sides(side)))),
            tds: both(|side| tds(conn.tds.get(sides(side)))),
            sessions: store
                .conn_sessions(conn.id)
                .map(|s| session(conn, s))
                .collect(),
            requests: store
                .conn_requests(conn.id)
                .take(requests)
                .map(|r| self.request(&r))
                .collect(),
            close: close.map(|finding| facts::Close {
                rule: finding.rule.to_string(),
                verdict: finding.verdict.name(),
                finding: finding.id.0,
            }),
            resets: self.resets(conn),
        }
    }

    /// The order of a close's frames at the other end, where it is another than in this capture.
    fn other_end(&self, finding: &Finding) -> Option<facts::OtherEnd> {
        let orders =
            order::of_finding(self.store, finding).filter(|o| finding.close && o.differ())?;
        let steps = orders.inferred.into_iter().map(|step| facts::Step {
            frame: step.frame.0,
            known: step.known,
            reason: step.reason,
        });
        Some(facts::OtherEnd {
            side: orders.here.other().word(),
            order: steps.collect(),
        })
    }

    /// A finding.
    pub fn finding(&self, finding: &Finding) -> facts::Finding {
        let conn = finding.conn.and_then(|id| self.store.conn(id));
        facts::Finding {
            id: finding.id.0,
            rule: finding.rule.to_string(),
            verdict: finding.verdict.name(),
            confidence: finding.confidence.name(),
            connection: finding.conn.map(|c| c.0),
            sid: finding
                .session
                .and_then(|id| self.store.session(id))
                .map(|s| s.sid.0),
            frames: finding.frames().iter().map(|f| f.0).collect(),
            evidence: finding
                .evidence
                .iter()
                .map(|e| facts::Evidence {
                    frame: e.frame.0,
                    role: e.role.to_string(),
                    fact: self.scrubbed(&e.fact, conn),
                })
                .collect(),
            conditions: finding
                .conditions
                .iter()
                .map(|c| facts::Condition {
                    id: c.id.to_string(),
                    holds: match c.outcome {
                        Outcome::Held => Some(true),
                        Outcome::Failed => Some(false),
                        Outcome::Unknown => None,
                    },
                    text: self.scrubbed(&c.text, conn),
                    frames: c.frames.iter().map(|f| f.0).collect(),
                    fact: self.scrubbed(&c.fact, conn),
                })
                .collect(),
            notes: finding
                .notes
                .iter()
                .map(|n| self.scrubbed(n, conn))
                .collect(),
            text: self.said(finding, conn),
            other_end: self.other_end(finding),
        }
    }

    fn endpoint(&self, conn: &ConnRow, side: Side) -> facts::Endpoint {
        let endpoint = conn.endpoint(side);
        facts::Endpoint {
            ip: self
                .name(Some(&endpoint.ip.to_string()))
                .unwrap_or_default(),
            port: endpoint.port,
        }
    }

    fn tls(&self, tls: &TlsInfo) -> facts::Tls {
        facts::Tls {
            version: tls.version,
            cipher: tls.cipher.map(names::cipher_or_number),
            sni: self.name(tls.sni.as_deref()),
            alpn: tls.alpn.clone(),
        }
    }

    /// The SMP counts of one end, with the DATA packets that only the numbers of later packets show.
    fn smp_counts(self, conn: &ConnRow, end: End) -> SmpCounts {
        let mut counts = *conn.smp.get(end);
        for session in self.store.conn_sessions(conn.id) {
            counts.data = counts.data.saturating_add(session.hidden_data(end));
        }
        counts
    }

    fn login(&self, login: &LoginInfo) -> facts::Login {
        facts::Login {
            host: self.name(login.host.as_deref()),
            user: self.name(login.user.as_deref()),
            app: self.name(login.app.as_deref()),
            server: self.name(login.server.as_deref()),
            database: self.name(login.database.as_deref()),
            library: login.library.as_deref().map(str::to_owned),
            tds_version: login.tds_version.map(tds_version),
            packet_size: login.packet_size,
            spid: login.spid,
            auth: login.auth.map(crate::store::Auth::name),
            error: login.error.as_deref().map(|e| self.error(e)),
        }
    }

    fn request(&self, request: &RequestRow) -> facts::Request {
        facts::Request {
            sid: request
                .session
                .and_then(|id| self.store.session(id))
                .map(|s| s.sid.0),
            kind: request.kind.name(),
            text: self
                .aliases
                .is_none()
                .then(|| self.store.text(request.text).to_owned()),
            first_frame: request.first_frame.0,
            last_frame: request.last_frame.0,
            answer_first_frame: request.answer_first_frame.map(|f| f.0),
            answer_last_frame: request.answer_last_frame.map(|f| f.0),
            first_byte_ms: request.first_byte_ns.map(words::ms),
            duration_ms: request.duration_ns.map(words::ms),
            rows: request.rows,
            error: request.error.as_deref().map(|e| self.error(e)),
            end: request.end.name(),
        }
    }

    fn error(&self, error: &ErrorRow) -> facts::ServerError {
        facts::ServerError {
            number: error.number,
            class: error.class,
            state: error.state,
            message: match self.aliases {
                Some(_) => "(left out)".to_owned(),
                None => error.text.to_string(),
            },
        }
    }

    fn resets(&self, conn: &ConnRow) -> Vec<facts::Reset> {
        let store = self.store;
        let mut resets: Vec<_> = store
            .conn_frames_back(conn.id)
            .filter(|(_, frame)| frame.tcp_flags.rst())
            .map(|(no, frame)| facts::Reset {
                frame: no.0,
                from: store.side(&frame).map(Side::word),
                seq: frame.seq.0,
                ack: frame.ack.0,
                window: frame.window,
                flags: words::flag_letters(frame.tcp_flags),
                duplicate: frame.flags.has(crate::store::FrameFlags::DUPLICATE),
                finding: store.finding_on(no).map(|f| f.id.0),
            })
            .collect();
        resets.reverse();
        resets
    }

    /// A file's path; under aliases only which file it is, because names of files tell much.
    fn path(&self, index: usize, path: &str) -> String {
        match self.aliases {
            Some(_) => format!("file-{}", index.saturating_add(1)),
            None => path.to_owned(),
        }
    }

    fn name(&self, name: Option<&str>) -> Option<String> {
        name.map(|name| match self.aliases {
            Some(aliases) => aliases.name(name),
            None => name.to_owned(),
        })
    }

    /// What a finding says. A rule of the user's own may quote whatever a filter can ask for: redacted, it says nothing.
    fn said(&self, finding: &Finding, conn: Option<&ConnRow>) -> String {
        if self.aliases.is_some() && rules::rule(&finding.rule).is_none() {
            return "(left out)".to_owned();
        }
        self.scrubbed(&finding.text.to_string(), conn)
    }

    fn scrubbed(&self, text: &str, conn: Option<&ConnRow>) -> String {
        match self.aliases {
            Some(aliases) => aliases.scrub(text, conn),
            None => text.to_owned(),
        }
    }
}

fn both<T>(make: impl Fn(Side) -> T) -> facts::Sides<T> {
    facts::Sides {
        client: make(Side::Client),
        server: make(Side::Server),
    }
}

fn tcp(stats: &TcpStats) -> facts::Tcp {
    facts::Tcp {
        bytes: stats.bytes,
        missing_bytes: stats.missing_bytes,
        retransmissions: stats.retransmissions,
        out_of_order: stats.out_of_order,
        keepalives: stats.keepalives,
    }
}

fn smp(counts: &SmpCounts) -> facts::Smp {
    facts::Smp {
        syn: counts.syn,
        ack: counts.ack,
        fin: counts.fin,
        data: counts.data,
    }
}

fn tds(counts: &TdsCounts) -> facts::Tds {
    facts::Tds {
        sql_batch: counts.sql_batch,
        rpc: counts.rpc,
        tabular_result: counts.tabular_result,
        attention: counts.attention,
        bulk_load: counts.bulk_load,
        fed_auth_token: counts.fed_auth_token,
        transaction_manager: counts.transaction_manager,
        login7: counts.login7,
        sspi: counts.sspi,
        prelogin: counts.prelogin,
        tls: counts.tls,
        other: counts.other,
    }
}

fn session(conn: &ConnRow, session: &SessionRow) -> facts::Session {
    let side = |side: Side| {
        let end = conn.end_of(side);
        session_side(session, end)
    };
    facts::Session {
        sid: session.sid.0,
        life: session.life,
        open_frame: session.open_frame.0,
        client: side(Side::Client),
        server: side(Side::Server),
        requests: session.requests,
        outstanding: session.outstanding,
    }
}

fn session_side(session: &SessionRow, end: End) -> facts::SessionSide {
    let stalls = session.stall(end);
    let mut counts = session.ends.get(end).counts;
    counts.data = counts.data.saturating_add(session.hidden_data(end));
    let end = session.ends.get(end);
    // A session that is seen from its SYN starts at number 0; a side that sent nothing still stands there.
    let number = |n: Option<SmpSeq>| {
        n.map(|n| n.0)
            .or((session.syn_seen && !session.holes).then_some(0))
    };
    facts::SessionSide {
        smp: smp(&counts),
        last_seqnum: number(end.last_seqnum),
        last_wndw: number(end.last_wndw),
        fin_frame: end.fin_frame.map(|f| f.0),
        stalls: stalls.count,
        stalled_ms: words::ms(stalls.total_ns),
        longest_stall_ms: words::ms(stalls.longest_ns),
    }
}

/// A TDS version as people write it, or its number.
pub fn tds_version(number: u32) -> String {
    match Version::from_number(number) {
        Some(version) => version.name().to_owned(),
        None if number >> 24 == 5 => "5.0".to_owned(),
        None => format!("0x{number:08x}"),
    }
}
