//! What a connection says before its first command: PRELOGIN, TLS hellos, LOGIN7 and the login's answer. Secrets
//! are not read.

use std::sync::Arc;

use crate::decode::tds::login7::Login7;
use crate::decode::tds::packet_type as pt;
use crate::decode::tds::prelogin::{Prelogin, option};
use crate::decode::tds::version::Version;
use crate::decode::tls::hello::Hello;
use crate::decode::tls::{RecordHeader, names};
use crate::store::{Auth, ConnRow, Encryption, LoginInfo, Phase, PhaseRow, TlsInfo, TlsOffer};
use crate::units::{End, FrameNo, PerEnd};

use super::order::At;
use super::out::Ctx;
use super::tokens::{Agreed, Note, Outcome};

/// Bytes kept of each end's TLS handshake until its hello is read.
const MAX_HELLO: usize = 16 << 10;

/// How far a login has come.
#[derive(Debug, Default)]
pub(super) struct LoginState {
    tds_version: Option<Version>,
    assumed: Option<Version>,
    column_encryption: bool,
    classification: Option<u8>,
    prelogin_sent: bool,
    prelogin_answered: bool,
    handshake: bool,
    login_sent: bool,
    pub(super) logged_in: bool,
    hidden: HiddenLogin,
    hellos: PerEnd<Vec<u8>>,
    hello_read: PerEnd<bool>,
}

/// How far a login inside TLS has come, of which only the records are seen.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum HiddenLogin {
    /// None was sent.
    #[default]
    Unsent,
    /// The client has sent it, or its first packet.
    Sent,
    /// The server has said something since.
    Answered,
    /// What is said now may be anything.
    Over,
}

impl LoginState {
    /// What it says about the shape of the tokens behind it.
    pub(super) fn agreed(&self) -> Agreed {
        Agreed {
            version: self.tds_version.or(self.assumed),
            column_encryption: self.column_encryption,
            classification: self.classification,
        }
    }

    /// Whether the server's next message is the answer to PRELOGIN.
    pub(super) fn awaits_prelogin(&self) -> bool {
        !self.is_over() && self.prelogin_sent && !self.prelogin_answered
    }

    /// Whether the server's next message may be part of a TLS handshake; or the login is not in the file, and it is
    /// the login's answer.
    pub(super) fn awaits_handshake(&self) -> bool {
        !self.is_over() && self.handshake && !self.awaits_prelogin()
    }

    fn is_over(&self) -> bool {
        self.login_sent || self.logged_in
    }

    /// Whether the login went by, readable or not.
    pub(super) fn login_was_sent(&self) -> bool {
        self.login_sent
    }

    /// A message of the login is complete (its first bytes are in `head`).
    #[expect(
        clippy::too_many_arguments,
        reason = "one place of call, one fact each"
    )]
    pub(super) fn message(
        &mut self,
        end: End,
        kind: u8,
        head: &[u8],
        wrapped: bool,
        first_frame: FrameNo,
        at: At,
        ctx: &mut Ctx<'_>,
    ) {
        let from_client = ctx.row.client == end;
        if wrapped {
            self.handshake = true;
            ctx.phase(Phase::Tls, first_frame, None);
            self.handshake_bytes(end, head, first_frame, ctx);
            return;
        }
        match kind {
            pt::PRELOGIN | pt::TABULAR_RESULT => {
                self.prelogin(from_client, head, first_frame, at, ctx);
            }
            pt::LOGIN7 => self.login7(head, first_frame, ctx),
            pt::LOGIN_OLD => {
                self.login_sent = true;
                info(ctx.row).login_frame = Some(first_frame);
                ctx.phase(Phase::Login, first_frame, None);
            }
            pt::FED_AUTH => info(ctx.row).auth = Some(Auth::FedAuth),
            _ => {}
        }
    }

    fn prelogin(
        &mut self,
        from_client: bool,
        body: &[u8],
        first_frame: FrameNo,
        at: At,
        ctx: &mut Ctx<'_>,
    ) {
        let read = Prelogin::read(body);
        ctx.phase(Phase::Prelogin, first_frame, None);
        let said = &mut ctx.row.prelogin;
        if from_client {
            self.prelogin_sent = true;
            said.client_frame = Some(at.done);
            if let Some(read) = &read {
                said.client_mars = mars_said(read);
                said.client_encryption = read.encryption;
                said.connection_guid = read.connection_guid;
            }
        } else {
            self.prelogin_answered = true;
            said.server_frame = Some(at.done);
            if let Some(read) = &read {
                said.server_mars = mars_said(read);
                said.server_encryption = read.encryption;
                said.server_major = read.version.map(|(major, ..)| major);
            }
        }
        if said.server_major.is_some() {
            self.assumed = Some(Version::assumed_for_server(said.server_major));
        }
        let mars = match (said.client_mars, said.server_mars) {
            (Some(true), Some(true)) => Some(true),
            (Some(false), _) | (_, Some(false)) => Some(false),
            _ => None,
        };
        let encryption = match (said.client_encryption, said.server_encryption) {
            (_, Some(2)) => Some(Encryption::None),
            (Some(0), Some(0)) => Some(Encryption::Login),
            (_, Some(1 | 3)) => Some(Encryption::Full),
            _ => None,
        };
        if mars.is_some() && !ctx.row.smp_seen {
            ctx.row.mars = mars;
        }
        if ctx.row.encryption != Some(Encryption::Strict) {
            ctx.row.encryption = encryption.or(ctx.row.encryption);
        }
    }

    fn login7(&mut self, body: &[u8], first_frame: FrameNo, ctx: &mut Ctx<'_>) {
        self.login_sent = true;
        ctx.phase(Phase::Login, first_frame, None);
        if ctx.row.encryption.is_none() {
            ctx.row.encryption = Some(Encryption::None);
        }
        let info = info(ctx.row);
        info.login_frame = Some(first_frame);
        let Some((login, _)) = Login7::read(body) else {
            return;
        };
        let names = &mut ctx.out.names;
        let mut text = |part| {
            let text = login.text(body, part);
            (!text.is_empty()).then(|| names.name(&text))
        };
        info.host = text(&login.host);
        info.user = text(&login.user);
        info.app = text(&login.app);
        info.server = text(&login.server);
        info.database = text(&login.database);
        info.library = text(&login.library);
        info.tds_version = Some(login.tds_version);
        self.tds_version = Version::from_number(login.tds_version);
        let fed_auth = login.features(body).iter().any(|(id, _)| *id == 2);
        info.auth = if login.uses_sspi() {
            let blob = body.get(login.sspi.data.clone()).unwrap_or_default();
            Some(mechanism(blob))
        } else if fed_auth {
            Some(Auth::FedAuth)
        } else {
            info.user.is_some().then_some(Auth::Sql)
        };
    }

    /// Tokens of the login's answer.
    #[cold]
    pub(super) fn tokens(&mut self, notes: Vec<Note>, at: At, ctx: &mut Ctx<'_>) {
        for note in notes {
            self.token(note, at, ctx);
        }
    }

    fn token(&mut self, note: Note, at: At, ctx: &mut Ctx<'_>) {
        match note {
            Note::LoginAck { version } => {
                self.login_sent = true;
                self.logged_in = true;
                let read = Version::from_number(version);
                self.tds_version = read.or(self.tds_version);
                let info = info(ctx.row);
                info.accepted = true;
                info.answer_frame = Some(at.done);
                if let Some(read) = read {
                    info.tds_version = Some(read.number());
                }
            }
            Note::PacketSize(size) => info(ctx.row).packet_size = Some(size),
            Note::Database(name) if !self.logged_in => {
                info(ctx.row).database = Some(ctx.out.names.name(&name));
            }
            Note::Database(_) => {}
            Note::Routing => info(ctx.row).routed = true,
            Note::ColumnEncryption => self.column_encryption = true,
            Note::Classification(version) => self.classification = Some(version),
            Note::Sspi(blob) => info(ctx.row).auth = Some(mechanism(&blob)),
            Note::FedAuthInfo => info(ctx.row).auth = Some(Auth::FedAuth),
        }
    }

    /// An answer is complete; before LOGINACK it is the login's.
    #[inline]
    pub(super) fn answer(&mut self, outcome: &Outcome, at: At, ctx: &mut Ctx<'_>) {
        if self.logged_in || !self.login_sent {
            return;
        }
        if let Some(error) = &outcome.error {
            let info = info(ctx.row);
            info.answer_frame = Some(at.done);
            info.error.get_or_insert_with(|| error.clone());
        }
    }

    /// A TLS record outside TDS packets is complete.
    pub(super) fn record(&mut self, end: End, content: u8, frame: FrameNo, ctx: &mut Ctx<'_>) {
        if content != 23 {
            return;
        }
        let from_client = ctx.row.client == end;
        match self.hidden {
            HiddenLogin::Unsent if from_client && !self.login_sent => {
                // The first record that carries data holds the login, or its first packet.
                self.login_sent = true;
                info(ctx.row).login_frame = Some(frame);
                // That is certain behind a handshake of TDS 7; with TLS from the first byte PRELOGIN is hidden too.
                if self.handshake {
                    self.hidden = HiddenLogin::Sent;
                    ctx.phase(Phase::Login, frame, None);
                } else {
                    self.hidden = HiddenLogin::Over;
                    ctx.phase(Phase::Encrypted, frame, None);
                }
            }
            HiddenLogin::Sent if !from_client => self.hidden = HiddenLogin::Answered,
            HiddenLogin::Answered if from_client && !is_clear_behind_login(ctx.row) => {
                self.hidden = HiddenLogin::Over;
                ctx.phase(Phase::Encrypted, frame, None);
            }
            _ => {}
        }
    }

    /// Bytes of TLS records that may hold a hello or an alert in clear.
    pub(super) fn handshake_bytes(
        &mut self,
        end: End,
        bytes: &[u8],
        frame: FrameNo,
        ctx: &mut Ctx<'_>,
    ) {
        let tls = Arc::make_mut(ctx.row.tls.get_or_insert_default());
        if let Some(header) = RecordHeader::read(bytes)
            && (header.content, header.length) == (21, 2)
            && let Some([level, description]) = bytes.get(5..7)
            && tls.alert.is_none()
        {
            tls.alert = Some((end, *level, *description, frame));
        }
        if *self.hello_read.get(end) {
            return;
        }
        let buffer = self.hellos.get_mut(end);
        let room = MAX_HELLO.saturating_sub(buffer.len());
        buffer.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        let Some(hello) = Hello::read_records(buffer) else {
            *self.hello_read.get_mut(end) = buffer.len() >= 6;
            buffer.clear();
            return;
        };
        if hello.cut && buffer.len() < MAX_HELLO {
            note_hello(tls, &hello, frame);
            return;
        }
        note_hello(tls, &hello, frame);
        *self.hello_read.get_mut(end) = true;
        *self.hellos.get_mut(end) = Vec::new();
    }
}

/// The first packet of a login before TDS 7 is there. Those of TDS 4.2 go to early SQL Servers, those of TDS 5.0 only to
/// Sybase's: the version stands behind names, passwords and options of fixed lengths, which are the same in both.
pub(super) fn before_tds7(head: &[u8], ctx: &mut Ctx<'_>) {
    const VERSION: usize = 458;
    let version = head.get(VERSION..).and_then(|rest| rest.first_chunk());
    let Some(number) = version.map(|bytes| u32::from_be_bytes(*bytes)) else {
        return;
    };
    if number >> 24 == 5 {
        info(ctx.row).tds_version = Some(number);
        ctx.row.mars = Some(false);
    }
}

/// Whether what follows the login is known to be clear.
fn is_clear_behind_login(row: &ConnRow) -> bool {
    matches!(row.encryption, Some(Encryption::None | Encryption::Login))
}

/// Clear text behind TLS: only the login was encrypted, and what was said inside TLS was the login.
pub(super) fn clear_again(row: &mut ConnRow) {
    row.encryption = Some(Encryption::Login);
    let hidden = |p: &PhaseRow| p.phase == Phase::Encrypted;
    if !row.phases.iter().any(hidden) {
        return;
    }
    let phases = Arc::make_mut(&mut row.phases);
    if phases.iter().any(|p| p.phase == Phase::Login) {
        phases.retain(|p| !hidden(p));
    } else {
        for phase in phases.iter_mut().filter(|p| hidden(p)) {
            phase.phase = Phase::Login;
        }
    }
}

/// The server's SPID stands in the header of its packets.
pub(super) fn spid(spid: u16, ctx: &mut Ctx<'_>) {
    let known = ctx.row.login.as_ref().and_then(|l| l.spid);
    if spid != 0 && known.is_none() {
        info(ctx.row).spid = Some(spid);
    }
}

fn note_hello(tls: &mut TlsInfo, hello: &Hello, frame: FrameNo) {
    if hello.client {
        tls.client_hello.get_or_insert(frame);
        tls.sni.clone_from(&hello.sni);
        tls.alpn = hello.alpn.first().cloned().or(tls.alpn.take());
        tls.offer = tls.server_hello.is_none().then(|| offer(hello));
    } else {
        tls.offer = None;
        tls.server_hello.get_or_insert(frame);
        tls.version = names::version(hello.version());
        tls.cipher = hello.cipher();
        // From 1.3 on the choice is encrypted, and what the client offered stands.
        if hello.version() <= 0x0303 || !hello.alpn.is_empty() {
            tls.alpn = hello.alpn.first().cloned();
        }
    }
}

/// What a ClientHello offers.
fn offer(hello: &Hello) -> TlsOffer {
    let real = |list: &[u16]| {
        let real = list.iter().copied().filter(|n| !names::is_grease(*n));
        real.collect::<Vec<_>>()
    };
    let mut versions = real(&hello.versions);
    if versions.is_empty() {
        versions.push(hello.legacy_version);
    }
    TlsOffer {
        versions,
        ciphers: real(&hello.ciphers),
    }
}

/// The login's row, made when first needed.
fn info(row: &mut ConnRow) -> &mut LoginInfo {
    Arc::make_mut(row.login.get_or_insert_default())
}

/// Which mechanism an SSPI blob shows (`tds.md` 6).
fn mechanism(blob: &[u8]) -> Auth {
    const KERBEROS: [&[u8]; 2] = [
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02],
        &[0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 0x01, 0x02, 0x02],
    ];
    let holds = |what: &[u8]| memchr::memmem::find(blob, what).is_some();
    if holds(b"NTLMSSP\0") {
        Auth::Ntlm
    } else if KERBEROS.iter().any(|oid| holds(oid)) {
        Auth::Kerberos
    } else {
        Auth::Spnego
    }
}

/// Whether the body of a PRELOGIN packet is TLS: a PRELOGIN proper begins with option 0.
pub(super) fn is_wrapped_tls(body: &[u8]) -> bool {
    matches!(body, [0x14..=0x17, 3, 0..=4, ..])
}

/// An end sends a packet of a type, which says who is the client where nothing has told that before.
#[inline]
pub(super) fn client_by_type(row: &mut ConnRow, end: End, tds_type: u8) {
    if row.client_evidence.is_none() {
        learn_client(row, end, tds_type);
    }
}

#[cold]
fn learn_client(row: &mut ConnRow, end: End, tds_type: u8) {
    let (client, why) = match tds_type {
        pt::TABULAR_RESULT => (end.other(), "the other end sends results"),
        _ => (end, "it sends requests"),
    };
    row.client = client;
    row.client_evidence = Some(why);
}

/// Counts a PDU whose reset bits are wrong.
#[cold]
pub(super) fn count_wrong_reset_bits(row: &mut ConnRow, end: End) {
    let count = &mut row.tds.get_mut(end).wrong_reset_bits;
    *count = count.saturating_add(1);
}

/// Counts a complete message.
#[inline]
pub(super) fn count(row: &mut ConnRow, end: End, kind: u8, login_step: bool, wrapped: bool) {
    let counts = row.tds.get_mut(end);
    let slot = match kind {
        _ if wrapped => &mut counts.tls,
        pt::TABULAR_RESULT if login_step => &mut counts.prelogin,
        pt::SQL_BATCH => &mut counts.sql_batch,
        pt::RPC => &mut counts.rpc,
        pt::TABULAR_RESULT => &mut counts.tabular_result,
        pt::ATTENTION => &mut counts.attention,
        pt::BULK_LOAD => &mut counts.bulk_load,
        pt::FED_AUTH => &mut counts.fed_auth_token,
        pt::TRANSACTION_MANAGER => &mut counts.transaction_manager,
        pt::LOGIN7 => &mut counts.login7,
        pt::SSPI => &mut counts.sspi,
        pt::PRELOGIN => &mut counts.prelogin,
        _ => &mut counts.other,
    };
    *slot = slot.saturating_add(1);
}

/// What a PRELOGIN says about MARS: leaving the option out is a no; a value behind the snap length is not known.
fn mars_said(read: &Prelogin) -> Option<bool> {
    let listed = read.options.iter().any(|o| o.token == option::MARS);
    if listed {
        return read.mars.map(|value| value == 1);
    }
    read.terminated.then_some(false)
}
