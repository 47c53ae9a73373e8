//! What is chosen for an export, and what is made of it: tickets, tables, listings and pictures.

mod captures;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;

use marstui::capture::{Capture, OpenOptions};
use marstui::export::{
    Choice, Context, ExportError, Format, FrameSet, Job, Options, Plan, Target, What, Written,
};
use marstui::store::{Store, Verdict};
use marstui::units::{ConnId, FrameNo, InterfaceId, Sid};
use marstui::{rules, track};

use crate::support::shared_or_skip;

/// A capture with its index and findings.
struct Opened {
    capture: Capture,
    store: Store,
    rules: rules::Settings,
}

impl Opened {
    fn new(path: &Path) -> Self {
        Self::of(&[path.to_owned()])
    }

    fn of(paths: &[PathBuf]) -> Self {
        let capture = Capture::open(paths, &OpenOptions::default()).unwrap();
        let rules = rules::Settings::default();
        let mut store = track::load(&capture);
        rules::judge(&mut store, &rules);
        Self {
            capture,
            store,
            rules,
        }
    }

    fn export(&self, what: What, options: &Options, to: &Path) -> Result<Written, ExportError> {
        self.export_with(&Choice::of(what), options, |job| {
            job.save(&Target::File(to.to_owned()))
        })
    }

    fn text(&self, what: What, format: Format) -> String {
        self.export_with(&Choice::of(what), &Options::of(format), |job| {
            let mut out = Vec::new();
            job.write_to(&mut out).unwrap();
            String::from_utf8(out).unwrap()
        })
    }

    fn export_with<T>(
        &self,
        choice: &Choice,
        options: &Options,
        run: impl FnOnce(&Job<'_>) -> T,
    ) -> T {
        let plan = Plan::new(&self.store, choice);
        run(&Job {
            store: &self.store,
            capture: &self.capture,
            plan: &plan,
            options,
            rules: &self.rules,
            stop: &AtomicBool::new(false),
            progress: &|_| (),
        })
    }

    /// Everything about some frames that an export must not change.
    fn frames(&self, frames: &FrameSet) -> Vec<(i64, u32, u32, u32, Vec<u8>)> {
        use marstui::capture::FrameSource;
        let mut buf = Vec::new();
        frames
            .iter()
            .map(|no| {
                let row = self.store.frame(no).unwrap();
                self.capture
                    .read_frame(row.interface, row.offset, row.captured, &mut buf)
                    .unwrap();
                let link = self.store.interface(row.interface).unwrap().link_type;
                (row.time.0, row.captured, row.wire, link, buf.clone())
            })
            .collect()
    }

    fn all(&self) -> FrameSet {
        FrameSet::range(FrameNo(1), self.store.last_frame().unwrap())
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name)
}

#[test]
fn plans_take_what_was_chosen_and_what_belongs_to_it() {
    let opened = Opened::new(&fixture("closes/V1.pcapng.zst"));
    let plan = |what: What, context: Context| {
        Plan::new(
            &opened.store,
            &Choice {
                context,
                ..Choice::of(what)
            },
        )
    };
    let none = Context::default();
    let frames = |plan: &Plan| plan.frames.to_string();
    assert_eq!(frames(&plan(What::Connection(ConnId(0)), none)), "1-19");
    let sid = plan(What::Sid(ConnId(0), Sid(0)), none);
    assert!(sid.frames.contains(FrameNo(16)) && sid.frames.contains(FrameNo(17)));
    assert!(!sid.frames.contains(FrameNo(1)) && !sid.frames.contains(FrameNo(19)));
    assert_eq!(
        frames(&plan(What::Finding(marstui::units::FindingId(0)), none)),
        "16-19"
    );
    let opening = Context {
        opening: true,
        ..none
    };
    let with_opening = plan(What::Typed("19".into()), opening);
    assert_eq!(frames(&with_opening), "1-7,19");
    assert_eq!(with_opening.context.to_string(), "1-7");
    let last = Context {
        last_frames: 1,
        ..none
    };
    assert_eq!(frames(&plan(What::Typed("3".into()), last)), "3,17,19");
    let between = Context {
        between: true,
        ..none
    };
    assert_eq!(frames(&plan(What::Typed("3,6".into()), between)), "3-6");
    let mut choice = Choice::of(What::All);
    choice.ignored = FrameSet::range(FrameNo(2), FrameNo(18));
    let plan = Plan::new(&opened.store, &choice);
    assert_eq!(frames(&plan), "1,19");
    assert_eq!(plan.interfaces, [InterfaceId(0)]);
    assert!(
        plan.summary().starts_with("2 frames, 1 connection, "),
        "{}",
        plan.summary()
    );
}

#[test]
fn what_cannot_be_chosen_says_why() {
    let opened = Opened::new(&fixture("closes/V1.pcapng.zst"));
    let problem = |what: What| {
        Plan::new(&opened.store, &Choice::of(what))
            .problems
            .join("; ")
    };
    assert!(problem(What::Marked(FrameSet::new())).contains("no frame is marked"));
    assert!(problem(What::Filtered(FrameSet::new())).contains("the filter matches no frame"));
    assert!(problem(What::Sid(ConnId(0), Sid(9))).contains("its Sids are 0"));
    assert!(problem(What::Connection(ConnId(7))).contains("no connection 7"));
    assert!(problem(What::Typed("77-".into())).contains("no such frames"));
}

#[test]
fn texts_and_pictures_read_as_before() {
    let opened = Opened::new(&fixture("closes/V1.pcapng.zst"));
    let folder = fixture("closes");
    for format in Format::ALL.into_iter().filter(|f| !f.is_capture()) {
        let text = opened
            .text(What::All, format)
            .replace(&*folder.to_string_lossy(), "FOLDER");
        insta::assert_snapshot!(format!("export_{}", format.name().replace('-', "_")), text);
    }
}

#[test]
fn the_ticket_of_the_page_holds_its_four_lines_and_the_verdict() {
    let opened = Opened::new(&fixture("demo.pcapng.zst"));
    let ticket = opened.text(
        What::Typed("93689,93691,93692,93704".into()),
        Format::TicketText,
    );
    for line in [
        "Frame Time Offset Source IP   Dest IP     Description",
        "93689 569.9170056 10.10.10.10 10.10.10.22 SMP:FIN, Sid = 0, Length = 16, SeqNum = 559, Wndw = 614",
        "93691 569.9170640 10.10.10.22 10.10.10.10 SMP:FIN, Sid = 0, Length = 16, SeqNum = 610, Wndw = 563",
        "93692 569.9173178 10.10.10.10 10.10.10.22 TCP:Flags=...A...F, SrcPort=52965, DstPort=1433, PayloadLen=0, \
         Seq=661892741, Ack=493774858, Win=",
        "93704 569.9173178 10.10.10.10 10.10.10.22 TCP:Flags=...A.R.., SrcPort=52965, DstPort=1433, PayloadLen=0, \
         Seq=661892742, Ack=493774874, Win=0",
        "frame.number in {93689,93691,93692,93704}",
        "ip.addr==10.10.10.10 && tcp.port==52965",
        "IPv4.Address==10.10.10.10 and tcp.port==52965",
        "Frames 93689-93704: ",
        "RST.Ack = FIN.Ack + 16",
        "demo-part.pcapng",
    ] {
        assert!(ticket.contains(line), "{line}\nis not in\n{ticket}");
    }
    let hash = tool_or("sha256sum", &[fixture("demo.pcapng.zst").to_str().unwrap()]);
    if let Some(hash) = hash {
        assert!(ticket.contains(hash.split_whitespace().next().unwrap()));
    }
}

#[test]
fn a_ticket_on_both_ends_says_which_file_is_which_and_counts_in_each() {
    let Some(shared) = shared_or_skip("a_ticket_on_both_ends_says_which_file_is_which") else {
        return;
    };
    let recorded = shared.join("captures/recorded");
    let ends = ["client", "server"].map(|end| format!("x3-clock-skew.{end}.pcapng"));
    let files = ends.each_ref().map(|name| recorded.join(name));
    let opened = Opened::of(&files);
    // Each frame of the close, by its number in its own file.
    let frames = FrameSet::range(FrameNo(64), FrameNo(70))
        .union(&FrameSet::range(FrameNo(132), FrameNo(140)));
    let ticket = opened.text(What::Typed(frames.to_string()), Format::TicketText);
    let lines: Vec<_> = ticket.lines().collect();
    for (name, end) in ends.iter().zip(["client", "server"]) {
        let at = lines
            .iter()
            .position(|line| line.starts_with(&format!("- file: {name}")));
        let taken = lines[at.unwrap() + 2];
        assert!(taken.starts_with(&format!("- taken on: {end}")), "{taken}");
        let filter = lines
            .iter()
            .find(|line| line.contains(&format!("frames of {name}")));
        let mut of_file = FrameSet::new();
        for no in frames.iter() {
            let (file, own) = opened.store.place(no).unwrap();
            if file.path.ends_with(name.as_str()) {
                of_file = of_file.union(&FrameSet::range(own, own));
            }
        }
        let numbers = of_file.to_string().replace('-', "..");
        assert!(
            filter.unwrap().ends_with(&format!("{{{numbers}}}")),
            "{filter:?} {numbers}"
        );
    }
    // The clock of the server's file was set 2.35 s ahead.
    let clocks = lines
        .iter()
        .find(|line| line.starts_with("- clocks: "))
        .unwrap();
    assert!(clocks.contains("server.pcapng is 2.35"), "{clocks}");
    assert!(
        clocks.contains("s ahead of that of x3-clock-skew.client"),
        "{clocks}"
    );
    assert!(!ticket.contains("was not looked at"), "{ticket}");
    assert!(!ticket.contains("taken on: middle"), "{ticket}");

    let alone = Opened::of(&files[..1]).text(What::Typed("64-70".into()), Format::TicketText);
    assert!(alone.contains("The other end's capture was not looked at."));
    assert!(alone.contains("frame.number in {64..70}"), "{alone}");
}

#[test]
fn a_ticket_on_many_connections_tells_of_the_gravest() {
    let mut opened = Opened::new(&fixture("demo.pcapng.zst"));
    let frames: Vec<String> = opened
        .store
        .conns()
        .iter()
        .map(|conn| conn.first_frame.to_string())
        .collect();
    let last = opened.store.conns().last().unwrap().id;
    let mut fault = opened.store.findings()[0].clone();
    (fault.conn, fault.verdict) = (Some(last), Verdict::Fault);
    opened.store.add_finding(fault);
    let ticket = opened.text(What::Typed(frames.join(",")), Format::TicketText);
    assert!(
        ticket.contains(&format!("- connection {last}: ")),
        "{ticket}"
    );
    assert!(
        ticket.contains("- and 1 more connection, none of them graver"),
        "{ticket}"
    );
}

#[test]
fn a_reset_behind_an_unfinished_packet_is_listed_as_the_segment_that_it_is() {
    let Some(shared) = shared_or_skip("a reset behind an unfinished packet") else {
        return;
    };
    let file = shared.join("captures/recorded/h2-nonmars-server-rst.client.pcapng");
    let listing = Opened::new(&file).text(What::Typed("34-".into()), Format::Listing);
    let resets: Vec<_> = listing
        .lines()
        .filter(|line| line.contains("R..,"))
        .collect();
    assert_eq!(resets.len(), 5);
    for line in resets {
        assert!(
            line.contains(" TCP:Flags=") && !line.contains("Data:"),
            "{line}"
        );
    }
}

#[test]
fn a_picture_is_well_formed_and_holds_no_script() {
    let opened = Opened::new(&fixture("closes/V1.pcapng.zst"));
    for format in [Format::Svg, Format::SvgLanes, Format::SvgLadder] {
        let text = opened.text(What::All, format);
        assert!(!text.contains("<script") && !text.contains("href"));
        let mut depth = 0_i32;
        for event in svg::read(&text).unwrap() {
            match event {
                svg::parser::Event::Tag(_, svg::node::element::tag::Type::Start, _) => depth += 1,
                svg::parser::Event::Tag(_, svg::node::element::tag::Type::End, _) => depth -= 1,
                svg::parser::Event::Error(error) => panic!("{error}"),
                _ => {}
            }
        }
        assert_eq!(depth, 0);
        assert!(text.contains("Benign, proven"));
    }
}

#[test]
fn a_long_ladder_keeps_the_beginning_and_the_end() {
    let opened = Opened::new(&fixture("seed-client.pcapng.zst"));
    let long = opened
        .store
        .conns()
        .iter()
        .max_by_key(|c| c.frames)
        .unwrap();
    let frames = opened.store.conn_frames(long.id);
    let text = opened.text(What::Connection(long.id), Format::SvgLadder);
    assert!(text.contains(&format!("... {} frames left out ...", frames.len() - 400)));
    let shown = |no: FrameNo| {
        let no = no.to_string();
        let mut words = text
            .split(['>', '<', '\n'])
            .map(|text| text.split(' ').next());
        words.any(|word| word == Some(no.as_str()))
    };
    assert!(shown(frames[0]) && shown(*frames.last().unwrap()));
    assert!(!shown(frames[frames.len() / 2]));
}

fn tool_or(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}
