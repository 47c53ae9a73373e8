//! What goes over a scripted connection: the login, and SMP sessions with requests and answers.

use marstui::units::Side;

use super::conn::{Conn, MS, US, ix};
use super::rng::Rng;
use super::{ntlm, smp, tds, tls};

/// Numbers of one SMP session, by side.
#[derive(Debug, Clone, Copy, Default)]
pub struct Session {
    /// SEQNUM of the last DATA sent.
    pub sent: [u32; 2],
    /// DATA of the other side that was taken.
    pub taken: [u32; 2],
}

/// What a login hides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// Nothing: no TLS at all.
    None,
    /// The LOGIN7 only.
    Login,
    /// Everything from the login on.
    Full,
}

impl Conn {
    /// A new connection of the same addresses and ports, after login.
    pub fn reconnect(&mut self, client_isn: u32, server_isn: u32) {
        self.set_isns(client_isn, server_isn);
        self.sessions.clear();
        self.handshake();
        self.login(Encryption::None, true);
    }

    /// PRELOGIN, TLS handshake as the encryption asks for, LOGIN7 and its answer.
    pub fn login(&mut self, encryption: Encryption, mars: bool) {
        let wish = match encryption {
            Encryption::None => tds::ENCRYPT_NOT_SUP,
            Encryption::Login => tds::ENCRYPT_OFF,
            Encryption::Full => tds::ENCRYPT_ON,
        };
        self.prelogin(wish, mars, mars);
        if encryption != Encryption::None {
            self.tls_handshake();
        }
        let login = login_packet();
        let body = tds::login_answer("Shop", "SQLPROD1");
        self.wait(300 * US);
        if encryption == Encryption::None {
            self.data(Side::Client, &login);
        } else {
            self.tls(Side::Client, login.len());
        }
        self.trip(2 * MS);
        if encryption == Encryption::Full {
            self.tls(Side::Server, body.len() + 8);
        } else {
            self.answer_login(&body);
        }
        self.trip(100 * US);
    }

    /// LOGIN7 in clear; it arrives.
    pub fn send_login(&mut self) {
        self.wait(300 * US);
        self.data(Side::Client, &login_packet());
        self.trip(2 * MS);
    }

    /// The tokens of a login answer, in one packet.
    pub fn answer_login(&mut self, body: &[u8]) {
        let answer = tds::packet(tds::RESPONSE, tds::EOM, self.spid, 1, body);
        self.data(Side::Server, &answer);
    }

    /// PRELOGIN and its answer.
    pub fn prelogin(&mut self, encryption: u8, client_mars: bool, server_mars: bool) {
        let ask = tds::Prelogin {
            version: [17, 10, 0, 5, 0, 0],
            encryption,
            mars: u8::from(client_mars),
            from_client: true,
        };
        let answer = tds::Prelogin {
            version: [11, 0, 0x1B, 0x99, 0, 0],
            mars: u8::from(server_mars),
            from_client: false,
            ..ask
        };
        self.wait(200 * US);
        self.data(Side::Client, &ask.packet());
        self.trip(100 * US);
        self.data(Side::Server, &answer.packet());
        self.trip(100 * US);
    }

    /// A strict login (TDS 8.0): the TLS handshake first and bare, then PRELOGIN, LOGIN7 and the answer inside it.
    pub fn strict_login(&mut self) {
        let hello = tls::strict_client_hello(240, &mut self.rng);
        self.data(Side::Client, &hello);
        self.trip(500 * US);
        let flight = tls::server_flight(2301, "sqlprod1.corp.contoso.example", &mut self.rng);
        self.data(Side::Server, &flight);
        self.trip(900 * US);
        let finish = tls::client_finish(&mut self.rng);
        self.data(Side::Client, &finish);
        self.trip(700 * US);
        let finish = tls::server_finish(&mut self.rng);
        self.data(Side::Server, &finish);
        self.trip(0);
        for (from, plain) in [
            (Side::Client, 80),
            (Side::Server, 43),
            (Side::Client, 310),
            (Side::Server, 420),
        ] {
            self.tls(from, plain);
            self.trip(300 * US);
        }
    }

    fn tls_handshake(&mut self) {
        let wrap = |bytes: &[u8]| tds::packet(tds::PRELOGIN, tds::EOM, 0, 0, bytes);
        let hello = wrap(&tls::client_hello(193, &mut self.rng));
        self.data(Side::Client, &hello);
        self.trip(500 * US);
        let flight = wrap(&tls::server_flight(
            2301,
            "sqlprod1.corp.contoso.example",
            &mut self.rng,
        ));
        self.data(Side::Server, &flight);
        self.trip(900 * US);
        let finish = wrap(&tls::client_finish(&mut self.rng));
        self.data(Side::Client, &finish);
        self.trip(700 * US);
        let finish = wrap(&tls::server_finish(&mut self.rng));
        self.data(Side::Server, &finish);
        self.trip(0);
    }

    /// A TLS record that hides `plain` bytes.
    pub fn tls(&mut self, from: Side, plain: usize) {
        let record = tls::application_data(plain, &mut self.rng);
        self.data(from, &record);
    }

    /// The bytes of the next SMP control packet (SYN, ACK or FIN) of a session.
    pub fn control(&mut self, from: Side, flags: u8, sid: u16) -> Vec<u8> {
        if flags == smp::SYN {
            self.sessions.insert(sid, Session::default());
        }
        let session = &self.sessions[&sid];
        let wndw = session.taken[ix(from)].wrapping_add(smp::WINDOW);
        smp::packet(flags, sid, session.sent[ix(from)], wndw, &[])
    }

    /// Sends an SMP control packet in a segment of its own.
    pub fn smp(&mut self, from: Side, flags: u8, sid: u16) {
        let bytes = self.control(from, flags, sid);
        self.data(from, &bytes);
    }

    /// Opens a session.
    pub fn open(&mut self, sid: u16) {
        self.smp(Side::Client, smp::SYN, sid);
    }

    /// The bytes of an SMP DATA packet around a TDS packet; the other side takes it.
    pub fn smp_data(&mut self, from: Side, sid: u16, tds: &[u8]) -> Vec<u8> {
        let session = self.sessions.get_mut(&sid).expect("the session is open");
        let (me, other) = (ix(from), 1 - ix(from));
        session.sent[me] = session.sent[me].wrapping_add(1);
        session.taken[other] = session.taken[other].wrapping_add(1);
        let wndw = session.taken[me].wrapping_add(smp::WINDOW);
        smp::packet(smp::DATA, sid, session.sent[me], wndw, tds)
    }

    /// The other side leaves the last `n` packets of this one untaken.
    pub fn untake(&mut self, from: Side, sid: u16, n: u32) {
        let session = self.sessions.get_mut(&sid).expect("the session is open");
        let taken = &mut session.taken[1 - ix(from)];
        *taken = taken.wrapping_sub(n);
    }

    /// Sends one TDS packet in a session.
    pub fn send_tds(&mut self, from: Side, sid: u16, tds: &[u8]) {
        let bytes = self.smp_data(from, sid, tds);
        self.data(from, &bytes);
    }

    /// Sends a SQL batch in a session.
    pub fn ask(&mut self, sid: u16, text: &str) {
        let body = tds::batch(text);
        self.send_tds(
            Side::Client,
            sid,
            &tds::packet(tds::SQL_BATCH, tds::EOM, 0, 1, &body),
        );
    }

    /// Sends the answer's packets; after every second one the client sends an SMP ACK, as native drivers do.
    pub fn answer(&mut self, sid: u16, body: &[u8]) {
        for (i, packet) in tds::message(tds::RESPONSE, self.spid, body, 4096)
            .iter()
            .enumerate()
        {
            self.send_tds(Side::Server, sid, packet);
            if i % 2 == 1 {
                self.trip(30 * US);
                self.smp(Side::Client, smp::ACK, sid);
                self.trip(20 * US);
            } else {
                self.wait(8 * US);
            }
        }
    }

    /// A SQL batch and its whole answer.
    pub fn request(&mut self, sid: u16, text: &str, answer: &[u8]) {
        self.ask(sid, text);
        self.trip(300 * US);
        self.answer(sid, answer);
        self.trip(400 * US);
    }
}

fn login_packet() -> Vec<u8> {
    tds::Login {
        host: "JOEWKS",
        user: "joe133",
        password: "not a real password",
        app: "marstui fixtures",
        server: "SQLPROD1",
        library: "ODBC",
        database: "Shop",
        sspi: &[],
    }
    .packet()
}

/// NTLM names of the scripts: domain, user, workstation.
pub const NAMES: (&str, &str, &str) = ("CONTOSO", "joe133", "JOEWKS");

/// The three NTLM messages of an integrated login.
pub fn ntlm_messages(rng: &mut Rng) -> [Vec<u8>; 3] {
    let (domain, user, workstation) = NAMES;
    [
        ntlm::negotiate(),
        ntlm::challenge(domain, "SQLPROD1", "corp.contoso.example", rng),
        ntlm::authenticate(domain, user, workstation, rng),
    ]
}
