//! The connection of the page *Normal MARS Closing Connection* as its server saw it, and as its client saw it: every
//! line of the page at its own frame number, what the page leaves out filled in so that all numbers come out.

use marstui::units::Side;

use super::conn::{Conn, Host, MS, START, Stack, US};
use super::file::{Capture, Frame, Interface};
use super::mars::{NAMES, ntlm_messages};
use super::noise::Noise;
use super::rng::Rng;
use super::wire::{ACK, CWR, ECE, FIN, SYN};
use super::{smp, tds, tls};

/// The lines of the page as the server saw them: frame number, and time in units of 100 ns after the first frame.
pub const SERVER_LINES: [(u32, i64); 30] = [
    (6704, 5_680_608_108),
    (6713, 5_680_608_483),
    (6754, 5_680_613_015),
    (6777, 5_680_615_479),
    (6786, 5_680_616_817),
    (6833, 5_680_622_426),
    (6873, 5_680_627_953),
    (6900, 5_680_632_639),
    (6977, 5_680_643_795),
    (7045, 5_680_655_160),
    (7233, 5_680_679_639),
    (7275, 5_680_684_467),
    (7331, 5_680_692_389),
    (11791, 5_681_295_675),
    (17978, 5_682_162_145),
    (18024, 5_682_170_301),
    (18028, 5_682_170_301),
    (18031, 5_682_170_676),
    (18038, 5_682_173_641),
    (18079, 5_682_178_650),
    (40874, 5_685_121_135),
    (40876, 5_685_121_237),
    (40911, 5_685_124_644),
    (40950, 5_685_128_422),
    (93665, 5_699_165_034),
    (93689, 5_699_170_056),
    (93691, 5_699_170_640),
    (93692, 5_699_173_178),
    (93704, 5_699_173_178),
    // Not on the page: the capture goes on for a moment.
    (LAST_FRAME, 5_699_178_000),
];

/// Bytes in each direction up to the SMP:FINs, their own included for the client.
pub const CLIENT_BYTES: usize = 59_840;
pub const SERVER_BYTES: usize = 864_339;
/// DATA packets in each direction.
pub const REQUESTS: usize = 559;
pub const ANSWER_PACKETS: usize = 610;

const LAST_FRAME: u32 = 93_730;
const PACKET_SIZE: usize = 4096;
const BODY: usize = PACKET_SIZE - 8;

/// How many packets the answer to a request has. The page fixes three facts: 33 answers in 34 packets came before
/// request 34, whose own answer has at least three packets; 559 answers have 610 packets.
fn answer_packets(request: usize) -> usize {
    match request {
        17 => 2,
        34 => 4,
        _ if request >= 40 && request.is_multiple_of(65) => 4,
        _ if request >= 40 && request % 21 == 5 && request < 530 => 2,
        _ => 1,
    }
}

/// The whole connection. Segments are labelled with the server's frame number where the page lists them, else with
/// `x` and their position.
pub fn connection() -> Conn {
    let mut client = Host::new(10, 52965, 661_832_900, Stack::Windows);
    client.offload = true;
    let mut server = Host::new(22, 1433, 492_910_518, Stack::Windows);
    server.offload = true;
    let mut c = Conn::new(client, server);
    c.delay = 120 * US;
    c.hops = 0;
    c.spid = 255;
    login(&mut c);
    session(&mut c);
    close(&mut c);
    for (i, segment) in c.segments.iter_mut().enumerate() {
        if segment.label.is_empty() {
            segment.label = format!("x{i}");
        }
    }
    c
}

fn login(c: &mut Conn) {
    let mut rng = Rng::new(0x5EED);
    let [negotiate, challenge, authenticate] = ntlm_messages(&mut rng);
    c.send(Side::Client, SYN | ECE | CWR, &[]);
    c.last().win = 8192;
    c.label("6704");
    c.trip(37 * US);
    c.send(Side::Server, SYN | ECE | ACK, &[]);
    c.last().win = 8192;
    c.label("6713");
    c.trip(200 * US);
    c.send(Side::Client, ACK, &[]);
    c.label("6754");
    c.wait(246 * US);
    let ask = tds::Prelogin {
        version: [17, 10, 0, 5, 0, 0],
        encryption: tds::ENCRYPT_OFF,
        mars: 1,
        from_client: true,
    };
    c.data(Side::Client, &ask.packet());
    c.label("6777");
    c.trip(130 * US);
    let reply = tds::Prelogin {
        version: [11, 0, 0x1B, 0x99, 0, 0],
        from_client: false,
        ..ask
    }
    .packet();
    c.data(Side::Server, &reply);
    c.label("6786");

    let wrap = |bytes: &[u8]| tds::packet(tds::PRELOGIN, tds::EOM, 0, 0, bytes);
    // Frame 6900 acknowledges 3065 bytes of the server and starts at byte 289 of the client.
    let hello = 289 - ask.packet().len() - 8;
    let flight = 3065 - reply.len() - 8;
    let host = "sqlprod1.corp.contoso.example";
    let say = |c: &mut Conn, from: Side, bytes: &[u8], label: &str| {
        c.trip(500 * US);
        c.data(from, bytes);
        c.label(label);
    };
    say(
        c,
        Side::Client,
        &wrap(&tls::client_hello(hello, &mut rng)),
        "6833",
    );
    say(
        c,
        Side::Server,
        &wrap(&tls::server_flight(flight, host, &mut rng)),
        "6873",
    );
    c.trip(400 * US);
    c.send(Side::Client, ACK, &[]);
    c.label("6900");
    say(
        c,
        Side::Client,
        &wrap(&tls::client_finish(&mut rng)),
        "6977",
    );
    say(
        c,
        Side::Server,
        &wrap(&tls::server_finish(&mut rng)),
        "7045",
    );
    let login = tds::Login {
        host: NAMES.2,
        user: "",
        password: "",
        app: "Order Entry",
        server: "SQLPROD1",
        library: "ODBC",
        database: "SalesOrders",
        sspi: &negotiate,
    };
    let record = tls::application_data(login.packet().len(), &mut rng);
    say(c, Side::Client, &record, "7233");
    let challenge = tds::packet(tds::RESPONSE, tds::EOM, 0, 1, &tds::sspi_token(&challenge));
    say(c, Side::Server, &challenge, "7275");
    let proof = tds::packet(tds::SSPI, tds::EOM, 0, 1, &authenticate);
    say(c, Side::Client, &proof, "7331");
    c.trip(60 * MS);
    c.send(Side::Server, ACK, &[]);
    c.label("11791");
    c.wait(86 * MS);
    let answer = tds::login_answer("SalesOrders", "SQLPROD1");
    let answer = tds::packet(tds::RESPONSE, tds::EOM, c.spid, 1, &answer);
    c.data(Side::Server, &answer);
    c.label("17978");
    c.trip(600 * US);
}

fn session(c: &mut Conn) {
    c.open(0);
    c.label("18024");
    let texts = request_texts(c);
    let sizes = answer_sizes();
    for request in 1..=REQUESTS {
        c.ask(0, &texts[request - 1]);
        match request {
            1 => c.label("18028"),
            2 => c.label("18079"),
            _ => {}
        }
        c.trip(37 * US);
        if request == 1 {
            c.send(Side::Server, ACK, &[]);
            c.label("18031");
        }
        c.wait(260 * US);
        let width = 40 + request % 3 * 20;
        let body = tds::result_of(sizes[request - 1], width, ROW_TEXT);
        for (i, packet) in tds::message(tds::RESPONSE, c.spid, &body, PACKET_SIZE)
            .iter()
            .enumerate()
        {
            c.send_tds(Side::Server, 0, packet);
            match (request, i) {
                (1, 0) => c.label("18038"),
                (34, 0) => c.label("40874"),
                (34, 1) => c.label("40876"),
                (34, 2) => c.label("40950"),
                (REQUESTS, 0) => c.label("93665"),
                _ => {}
            }
            c.wait(10 * US);
            if i % 2 == 1 {
                c.trip(100 * US);
                c.smp(Side::Client, smp::ACK, 0);
                if (request, i) == (34, 1) {
                    c.label("40911");
                }
                c.trip(100 * US);
            }
        }
        c.trip(300 * US);
    }
}

const ROW_TEXT: &str =
    "Open order, to be shipped with the next delivery to the warehouse of the region. ";

/// The SQL texts: their lengths add up to what the page leaves for them.
fn request_texts(c: &Conn) -> Vec<String> {
    let acks: usize = (1..=REQUESTS).map(|r| answer_packets(r) / 2).sum();
    // What was sent so far, with the SMP:SYN; for each request the headers of SMP and TDS and ALL_HEADERS; SMP:FIN.
    let sent = usize::try_from(c.snd_nxt(Side::Client).wrapping_sub(661_832_901)).unwrap();
    let room = CLIENT_BYTES - sent - 16 * acks - 16 - REQUESTS * (16 + 8 + 22);
    assert_eq!(room % 2, 0);
    let mut texts: Vec<String> = (1..=REQUESTS)
        .map(|i| match i % 4 {
            0 => format!("exec dbo.GetOrder {}", 1000 + i),
            1 => format!("exec dbo.GetStock {}", 200 + i % 700),
            2 => format!("exec dbo.GetCustomer {}", 300 + i % 500),
            _ => format!("select * from dbo.Item where id={}", 100 + i % 800),
        })
        .collect();
    let mut spare = room / 2 - texts.iter().map(String::len).sum::<usize>();
    // Numbers written with more leading zeros take up the rest.
    let each = spare / REQUESTS;
    for (i, text) in texts.iter_mut().enumerate() {
        let zeros = each + usize::from(i < spare % REQUESTS);
        let digits = text.rfind(|ch: char| !ch.is_ascii_digit()).unwrap() + 1;
        text.insert_str(digits, &"0".repeat(zeros));
    }
    spare = room / 2 - texts.iter().map(String::len).sum::<usize>();
    assert_eq!(spare, 0);
    texts
}

/// The bytes of token stream in each answer: together with all headers they add up to the page's numbers.
fn answer_sizes() -> Vec<usize> {
    let packets: usize = (1..=REQUESTS).map(answer_packets).sum();
    assert_eq!(packets, ANSWER_PACKETS);
    let full = (packets - REQUESTS) * BODY;
    // 3065 and 344 bytes of handshake and challenge, 401 of login answer.
    let room = SERVER_BYTES - 3065 - 344 - 401 - packets * (16 + 8) - full;
    let mut last: Vec<usize> = (0..REQUESTS)
        .map(|i| room / REQUESTS + i % 5 * 40 - 80)
        .collect();
    let total: usize = last.iter().sum();
    // The pattern's mean is not quite zero; the rest goes to the largest answer.
    last[REQUESTS - 2] += room - total;
    (1..=REQUESTS)
        .map(|r| (answer_packets(r) - 1) * BODY + last[r - 1])
        .collect()
}

/// Form W: the server's SMP:FIN and the client's TCP FIN cross.
fn close(c: &mut Conn) {
    c.smp(Side::Client, smp::FIN, 0);
    c.label("93689");
    let sent = c.now;
    c.trip(58 * US);
    c.smp(Side::Server, smp::FIN, 0);
    c.label("93691");
    let late = c.last().arrives;
    c.now = sent + c.delay + 60 * US;
    assert!(c.now < late, "the FIN leaves before the SMP:FIN is there");
    c.send(Side::Client, FIN | ACK, &[]);
    c.label("93692");
    let fin = c.last().clone();
    c.now = late;
    let ack = c.received(Side::Client);
    c.abort(Side::Client, fin.end(), ack);
    c.label("93704");
}

/// The demo: the server's capture, 93 730 frames.
pub fn server_view() -> Capture {
    let frames = connection().capture(Side::Server).frames;
    let fixed = |label: &str| label.parse().ok();
    let placed = place(&frames, &fixed, 6704);
    let time = |number: u32| time_of(number, &SERVER_LINES);
    let noise = Noise::at_the_server();
    fill("Ethernet 10G", LAST_FRAME, placed, noise, &time)
}

/// The client's capture, with the times that the page gives it: 12 400 frames.
pub fn client_view() -> Capture {
    let conn = connection();
    let numbers = [
        ("93665", 12345),
        ("93689", 12346),
        ("93692", 12352),
        ("93691", 12361),
        ("93704", 12374),
    ];
    let fixed = |label: &str| numbers.iter().find(|(l, _)| *l == label).map(|(_, n)| *n);
    let frames = conn.capture(Side::Client).frames;
    // The stamps are the server's, as on the page, so they follow the server's frame numbers.
    let seen_by_server = conn.capture(Side::Server).frames;
    let server = place(&seen_by_server, &|label: &str| label.parse().ok(), 6704);
    let stamp = |label: &str| {
        let number = server.iter().find(|(_, f)| f.label == label).unwrap().0;
        time_of(number, &SERVER_LINES)
    };
    let placed = place(&frames, &fixed, 1201);
    let times: Vec<(u32, i64)> = placed.iter().map(|(n, f)| (*n, stamp(&f.label))).collect();
    let time = |number: u32| {
        let at = times.partition_point(|(n, _)| *n <= number);
        match at {
            0 => times[0].1 * i64::from(number - 1) / i64::from(times[0].0 - 1),
            // Other traffic takes the time of the frame before it; after the reset it goes on.
            _ if at == times.len() => times[at - 1].1 + i64::from(number - times[at - 1].0) * 200,
            _ => times[at - 1].1,
        }
    };
    fill("Ethernet", 12_400, placed, Noise::at_the_client(), &time)
}

/// Frame numbers for a connection's frames: the fixed ones, and the others evenly between them. Several frames with
/// one fixed label (a segment that the card has cut) end at the number. The first frame gets `first`.
fn place<'a>(
    frames: &'a [Frame],
    fixed: &dyn Fn(&str) -> Option<u32>,
    first: u32,
) -> Vec<(u32, &'a Frame)> {
    let anchors: Vec<(usize, u32)> = frames
        .iter()
        .enumerate()
        .filter(|(i, f)| frames.get(i + 1).is_none_or(|next| next.label != f.label))
        .filter_map(|(i, f)| fixed(&f.label).map(|n| (i, n)))
        .collect();
    let mut numbers = Vec::with_capacity(frames.len());
    let (mut at, mut number) = match anchors.first() {
        Some((0, n)) => (0, *n),
        _ => (0, first),
    };
    numbers.push(number);
    for (to, last) in anchors.into_iter().filter(|(i, _)| *i > 0) {
        let (steps, span) = (to - at, usize::try_from(last - number).unwrap());
        assert!(
            span >= steps,
            "frames {number} to {last} have no room for {steps}"
        );
        numbers.extend((1..=steps).map(|s| number + u32::try_from(span * s / steps).unwrap()));
        (at, number) = (to, last);
    }
    numbers.into_iter().zip(frames).collect()
}

/// The time of a frame between lines of the page, in units of 100 ns.
fn time_of(number: u32, lines: &[(u32, i64)]) -> i64 {
    let at = lines.partition_point(|(n, _)| *n <= number);
    let (n0, t0) = if at == 0 { (1, 0) } else { lines[at - 1] };
    let Some((n1, t1)) = lines.get(at).copied() else {
        return t0;
    };
    t0 + (t1 - t0) * i64::from(number - n0) / i64::from(n1 - n0)
}

/// A capture with the placed frames at their numbers and other traffic at all others.
fn fill(
    name: &str,
    last: u32,
    placed: Vec<(u32, &Frame)>,
    mut noise: Noise,
    time: &dyn Fn(u32) -> i64,
) -> Capture {
    let mut placed = placed.into_iter().peekable();
    let frames = (1..=last)
        .map(|number| {
            let mut frame = match placed.next_if(|(n, _)| *n == number) {
                Some((_, frame)) => frame.clone(),
                None => noise.next(number),
            };
            frame.time = START + time(number) * 100;
            frame
        })
        .collect();
    assert!(
        placed.next().is_none(),
        "every frame of the connection found its place"
    );
    Capture {
        interfaces: vec![Interface {
            name: name.to_owned(),
            link_type: 1,
            snap_len: 0,
            digits: 7,
        }],
        frames,
    }
}
