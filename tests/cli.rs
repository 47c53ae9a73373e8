//! The program from outside: exit codes, messages, and what goes to which stream.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn marstui() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_marstui"));
    // Whatever the user of this machine has set stays out of the test.
    command
        .env("XDG_CONFIG_HOME", "/nonexistent")
        .env_remove("MARSTUI_LOW_BW");
    command
}

fn run(args: &[&str]) -> Output {
    marstui().args(args).output().unwrap()
}

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name);
    path.display().to_string()
}

fn benign() -> String {
    fixture("closes/V1.pcapng.zst")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

#[test]
fn without_arguments_it_says_how_to_ask() {
    let output = run(&[]);
    assert_eq!(code(&output), 2);
    assert!(out(&output).is_empty());
    assert_eq!(err(&output).matches("marstui capture.pcapng").count(), 1);
    assert_eq!(
        err(&output)
            .matches("marstui report capture.pcapng")
            .count(),
        1
    );
}

#[test]
fn wrong_usage_ends_with_2_and_names_the_mistake() {
    for (args, expected) in [
        (vec!["report", "--nonsense", "x"], "--nonsense"),
        (
            vec!["report", &benign(), "--set", "mars-close-rst.late"],
            "NAME=VALUE",
        ),
        (vec!["report", &benign(), "--set", "nothing=1"], "nothing"),
        (
            vec!["report", &benign(), "--set", "mars-close-rst.late=soon"],
            "soon",
        ),
        (
            vec!["export", &benign(), "--frames", "5-x", "--as", "text"],
            "`x` is no frame number",
        ),
        (
            vec!["export", &benign(), "--conn", "99", "--as", "text"],
            "no connection 99",
        ),
        (
            vec!["export", &benign(), "--frames", "1"],
            "--as pcapng|pcap|text",
        ),
        (
            vec![
                "export",
                &benign(),
                "--as",
                "csv",
                "--fields",
                "tcp.sprcport",
            ],
            "tcp.srcport",
        ),
        (
            vec!["export", &benign(), "--as", "text", "--context", "more"],
            "opening",
        ),
        (
            vec!["show", &benign(), "--frame", "100000"],
            "there is no frame 100000",
        ),
        (
            vec![
                "export",
                &benign(),
                "--finding",
                "99",
                "--as",
                "text",
                "-o",
                "-",
            ],
            "there is no finding 99; this capture has findings 0 to ",
        ),
        (
            vec![
                "export",
                &benign(),
                "--conn",
                "99",
                "--as",
                "text",
                "-o",
                "-",
            ],
            "there is no connection 99; this capture has only connection 0",
        ),
        (vec!["rules", "explain", "mars-close-rts"], "mars-close-rst"),
    ] {
        let output = run(&args);
        assert_eq!(code(&output), 2, "{args:?}: {}", err(&output));
        assert!(
            err(&output).contains(expected),
            "{args:?}: {}",
            err(&output)
        );
    }
}

#[test]
fn options_may_stand_before_the_subcommand() {
    let file = benign();
    let frames = ["--frames", "1"];
    for (head, tail) in [
        (vec!["--set", "mars-close-rst=off"], vec!["report", &file]),
        (
            vec!["--set=mars-close-rst=off"],
            vec!["report", "--format", "json", &file],
        ),
        (
            vec!["--config", "/dev/null"],
            vec!["list", frames[0], frames[1], &file],
        ),
        (
            vec!["--config", "/dev/null"],
            vec!["export", "--as", "text", "-o", "-", &file],
        ),
        (
            vec!["--config", "/dev/null"],
            vec!["show", "--frame", "3", &file],
        ),
        (vec!["--set", "syn-backlog=off"], vec!["rules", "list"]),
        (
            vec!["--config", "/dev/null"],
            vec!["rules", "explain", "mars-close-rst"],
        ),
    ] {
        let before = run(&[&head[..], &tail[..]].concat());
        let behind = run(&[&tail[..], &head[..]].concat());
        assert_eq!(code(&before), 0, "{head:?} {tail:?}: {}", err(&before));
        assert_eq!(out(&before), out(&behind), "{head:?} {tail:?}");
        assert!(!out(&before).is_empty(), "{head:?} {tail:?}");
    }
    // What only the screen takes is said to be none of the subcommand's.
    let output = run(&["--theme", "dark", "report", &file]);
    assert_eq!(code(&output), 2);
    assert!(err(&output).contains("--theme") && err(&output).contains("marstui report"));
    // A file of that name is opened.
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(&file, folder.path().join("report")).unwrap();
    let output = marstui()
        .current_dir(&folder)
        .arg("report")
        .output()
        .unwrap();
    assert_eq!(code(&output), 2, "a subcommand alone stays one");
    let output = marstui()
        .current_dir(&folder)
        .args(["--set", "syn-backlog=off", "report"])
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", err(&output));
}

#[test]
fn a_mistake_in_a_filter_is_shown_under_the_word() {
    let output = run(&["list", &benign(), "-F", "sidd == 5"]);
    assert_eq!(code(&output), 2);
    let text = err(&output);
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].contains("nearest: sid"), "{text}");
    assert_eq!(lines[2].find('^'), lines[1].find("sidd"), "{text}");
}

#[test]
fn what_cannot_be_read_ends_with_3() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pcap");
    std::fs::write(&empty, "").unwrap();
    let text = folder.path().join("text.pcap");
    std::fs::write(&text, "this is no capture at all, only a text file").unwrap();
    for (path, expected) in [
        (folder.path().join("none.pcap"), "no such file"),
        (folder.path().to_owned(), "folder"),
        (empty, "empty"),
        (text, "not a capture file"),
    ] {
        let output = run(&["report", path.to_str().unwrap()]);
        assert_eq!(code(&output), 3, "{}", path.display());
        assert!(err(&output).contains(expected), "{}", err(&output));
        assert!(out(&output).is_empty());
    }
}

/// A capture file that holds its header and nothing else.
const NO_FRAMES: [u8; 24] = [
    0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0,
];

#[test]
fn a_capture_without_frames_is_said_to_hold_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("header.pcap");
    std::fs::write(&path, NO_FRAMES).unwrap();
    let output = run(&["show", path.to_str().unwrap(), "--frame", "1"]);
    assert_eq!(code(&output), 2);
    assert!(
        err(&output).contains("this capture holds no frames"),
        "{}",
        err(&output)
    );
}

#[test]
fn damage_is_told_once_on_standard_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cut.pcapng");
    let whole = std::fs::read(fixture("closes/V1.pcapng.zst")).unwrap();
    let whole = zstd::decode_all(&whole[..]).unwrap();
    std::fs::write(&file, &whole[..whole.len() - 200]).unwrap();
    let (file, copy) = (file.to_str().unwrap(), folder.path().join("copy.pcap"));
    let copy = copy.to_str().unwrap();
    for args in [
        &["list", file][..],
        &["list", file, "-F", "tcp.port == 9"],
        &["show", file, "--frame", "3"],
        &["show", file, "--frame", "9999"],
        &["export", file, "--frames", "1-3", "-o", copy],
        &[file],
    ] {
        let output = run(args);
        let said = err(&output).matches("marstui: problem at byte ").count();
        assert_eq!(said, 1, "{args:?}: {}", err(&output));
        assert!(!out(&output).contains("problem"), "{args:?}");
    }
    let whole = run(&["list", &fixture("closes/V1.pcapng.zst")]);
    assert_eq!(err(&whole), "");
}

#[test]
fn a_command_that_is_written_wrong_is_named() {
    let output = run(&["reprot", &benign()]);
    assert_eq!(code(&output), 3);
    let said = "reprot: there is no such file; nearest command: report";
    assert!(err(&output).contains(said), "{}", err(&output));
    let output = run(&["nothere.pcapng"]);
    assert!(!err(&output).contains("nearest"), "{}", err(&output));
}

#[test]
fn a_finding_is_exported_by_the_number_that_the_report_prints() {
    let capture = fixture("near-misses/N07.pcapng.zst");
    let report = out(&run(&["report", &capture]));
    let (_, behind) = report.split_once("(finding ").expect("a number");
    let (number, _) = behind.split_once(')').unwrap();
    let output = run(&["export", &capture, "--finding", number, "--plan"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert!(!out(&output).contains("problem"), "{}", out(&output));
}

#[test]
fn a_plan_tells_of_a_table_how_large_it_is_and_of_a_capture_its_bytes() {
    let planned = |more: &[&str]| {
        let capture = benign();
        let args: Vec<&str> = ["export", &capture, "--plan"]
            .iter()
            .chain(more)
            .copied()
            .collect();
        let output = run(&args);
        assert_eq!(code(&output), 0, "{more:?}: {}", err(&output));
        out(&output).lines().next().unwrap_or_default().to_owned()
    };
    assert!(planned(&[]).ends_with(" kB, link type Ethernet, times unchanged"));
    for (more, told) in [
        (&["--as", "csv"][..], " CSV: 19 rows, 18 columns"),
        (
            &["--as", "json", "--fields", "frame.number,kind"],
            " JSON lines: 19 rows, 2 columns",
        ),
        (&["--as", "requests"], " CSV: 2 rows, 16 columns"),
        (&["--as", "text"], " listing of frames in columns"),
    ] {
        let plan = planned(more);
        assert!(plan.ends_with(told), "{plan}");
        assert!(!plan.contains("kB"), "{plan}");
    }
}

#[test]
fn what_was_written_of_requests_is_told_in_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("requests.csv");
    let path = path.to_str().unwrap();
    let output = run(&["export", &benign(), "--as", "requests", "-o", path]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert!(
        err(&output).contains(": 2 rows written, "),
        "{}",
        err(&output)
    );
    let written = std::fs::read_to_string(path).unwrap();
    assert_eq!(written.lines().count(), 3, "{written}");
}

#[test]
fn a_sid_of_several_connections_is_refused_with_their_numbers() {
    let demo = fixture("demo.pcapng.zst");
    let output = run(&["export", &demo, "--sid", "0", "--plan"]);
    assert_eq!(code(&output), 2);
    let said = err(&output);
    assert!(said.contains("choose one with --conn: 7 8 9 10"), "{said}");
}

#[test]
fn a_report_succeeds_and_fails_only_when_asked_to() {
    let fault = fixture("near-misses/N07.pcapng.zst");
    assert_eq!(code(&run(&["report", &benign()])), 0);
    assert_eq!(code(&run(&["report", &benign(), "--fail-on", "fault"])), 0);
    assert_eq!(code(&run(&["report", &fault])), 0);
    assert_eq!(code(&run(&["report", &fault, "--fail-on", "notice"])), 1);
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    for args in [&["report"][..], &["list"], &["export", "--as", "text"]] {
        let (command, rest) = args.split_first().unwrap();
        let mut child = marstui()
            .arg(command)
            .arg(fixture("demo.pcapng.zst"))
            .args(rest)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", err(&output));
        assert!(err(&output).is_empty(), "{args:?}: {}", err(&output));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_ends_with_4() {
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = marstui()
        .args(["report", &benign()])
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(code(&output), 4);
    assert!(err(&output).contains("not complete"), "{}", err(&output));
}

#[test]
fn without_a_terminal_the_list_is_printed() {
    let output = run(&[&benign()]);
    assert_eq!(code(&output), 0);
    let text = out(&output);
    let listed = run(&["list", &benign()]);
    assert_eq!(text, out(&listed));
    assert!(text.lines().next().unwrap().contains("Info"));
    assert!(
        text.lines()
            .any(|l| l.starts_with('B') && l.contains("T.RST")),
        "{text}"
    );
}

#[test]
fn the_built_in_capture_shows_the_lines_of_the_page() {
    let output = run(&["--demo"]);
    assert_eq!(code(&output), 0);
    let text = out(&output);
    for (frame, kind) in [
        ("93689", "FIN"),
        ("93691", "FIN"),
        ("93692", "T.FIN"),
        ("93704", "T.RST"),
    ] {
        let line = text
            .lines()
            .find(|l| l.split_whitespace().any(|w| w == frame))
            .unwrap();
        assert!(line.contains(kind), "{line}");
    }
}

#[test]
fn the_program_explains_itself() {
    let man = run(&["--man"]);
    assert_eq!(code(&man), 0);
    for word in [".TH", "MARSTUI REPORT", "MARSTUI EXPORT", "fail\\-on"] {
        assert!(out(&man).contains(word), "{word}");
    }
    // The keys are those of the table.
    let keys = out(&man);
    for (_, entries) in marstui::app::command::by_group() {
        for entry in entries {
            let name = format!("\\fI{}\\fR\n", entry.name.replace('-', "\\-"));
            assert!(keys.contains(&name), "{name}");
        }
    }
    for line in [
        "\\fBg g\\fR, \\fBHome\\fR  \\fIfirst\\fR",
        "\\fB:phases\\fR  \\fIphases\\fR",
    ] {
        assert!(keys.contains(line), "{line}");
    }
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let completions = run(&["--completions", shell]);
        assert_eq!(code(&completions), 0);
        assert!(out(&completions).contains("marstui"));
    }
    let config = run(&["--print-config"]);
    assert_eq!(code(&config), 0);
    assert!(out(&config).contains("[view]"));
    assert_eq!(code(&run(&["--help"])), 0);
    assert_eq!(code(&run(&["--version"])), 0);
    let rules = run(&["rules", "list"]);
    assert!(out(&rules).contains("mars-close-rst"));
    assert!(out(&rules).contains("\n  mars-close-rst.late = 1s\n"));
    let set = run(&["rules", "list", "--set", "mars-close-rst.late=2.5s"]);
    assert!(out(&set).contains("\n  mars-close-rst.late = 2500ms\n"));
    let explained = run(&["rules", "explain", "mars-close-rst"]);
    assert!(out(&explained).contains("M5"));
}

#[test]
fn an_export_that_cannot_be_says_what_is_missing() {
    for (args, said) in [
        (
            &["-o", "-"][..],
            "no format was named for standard output; add --as pcapng|",
        ),
        (&[], "no file was named; use -o NAME.pcapng"),
        (&["-o", "frames"], "frames: the name says no format"),
        (
            &["--with-keys", "--as", "csv", "-o", "-"],
            "--with-keys takes TLS keys along in pcapng only",
        ),
        (
            &["--with-keys", "--as", "pcap", "-o", "-"],
            "--with-keys takes TLS keys along in pcapng only",
        ),
        (
            &["--fields", "kind", "--as", "pcapng", "-o", "-"],
            "--fields chooses columns of CSV and JSON lines only",
        ),
    ] {
        let capture = benign();
        let output = run(&[&["export", &capture, "--frames", "1-3"], args].concat());
        assert_eq!(code(&output), 2, "{args:?}");
        assert!(err(&output).contains(said), "{}", err(&output));
        assert_eq!(out(&output), "");
    }
}

#[test]
fn a_wrong_setting_is_said_and_does_not_stop_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    std::fs::write(&config, "[view]\nthem = \"dark\"\n").unwrap();
    let output = run(&["report", &benign(), "--config", config.to_str().unwrap()]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert!(err(&output).contains("theme"), "{}", err(&output));
    let missing: PathBuf = folder.path().join("none.toml");
    let output = run(&["report", &benign(), "--config", missing.to_str().unwrap()]);
    assert_eq!(code(&output), 3);
    assert!(!err(&output).contains("defaults"), "{}", err(&output));
}

#[test]
fn the_cost_of_a_run_is_told_when_asked_for() {
    let output = run(&["report", &benign(), "--stats", "--format", "json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["stats"]["frames"], report["capture"]["frames"]);
    assert!(report["stats"]["index_bytes"].as_u64().unwrap() > 0);
    assert!(out(&run(&["report", &benign(), "--stats"])).contains("index memory"));
    assert!(!out(&run(&["report", &benign()])).contains("index memory"));
}

#[test]
fn a_frame_is_shown_with_its_fields() {
    let text = out(&run(&["show", &benign(), "--frame", "1"]));
    assert!(text.contains("sequence number"), "{text}");
    let json = run(&["show", &benign(), "--frame", "1", "--format", "json"]);
    let tree: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(tree["frame"], 1);
}

#[test]
fn standard_input_has_as_many_bytes_as_were_read_of_it() {
    let capture = zstd::decode_all(std::fs::File::open(benign()).unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("benign.pcapng");
    std::fs::write(&file, &capture).unwrap();
    let output = marstui()
        .args(["report", "-", "--stats", "--format", "json"])
        .stdin(std::fs::File::open(&file).unwrap())
        .output()
        .unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for bytes in [
        &report["stats"]["bytes"],
        &report["capture"]["bytes"],
        &report["capture"]["files"][0]["bytes"],
    ] {
        assert_eq!(bytes.as_u64(), u64::try_from(capture.len()).ok());
    }
}

/// Gives a report bytes on a pipe that stays open, and interrupts it.
#[cfg(target_os = "linux")]
fn interrupted(bytes: &[u8]) -> Output {
    use std::io::Write;
    use std::time::Duration;
    let mut child = marstui()
        .args(["report", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(bytes).unwrap();
    stdin.flush().unwrap();
    let id = child.id().to_string();
    let listens = || {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let caught = status
            .lines()
            .find_map(|l| l.strip_prefix("SigCgt:"))
            .unwrap_or_default();
        u64::from_str_radix(caught.trim(), 16).is_ok_and(|mask| mask & 0b10 != 0)
    };
    for _ in 0..500 {
        if listens() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    // The frames that were sent are read within this time, also on a busy machine.
    std::thread::sleep(Duration::from_millis(500));
    let killed = Command::new("kill").args(["-INT", &id]).status().unwrap();
    assert!(killed.success());
    // Without the interrupt the program would wait for more.
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    output
}

#[cfg(target_os = "linux")]
#[test]
fn an_interrupt_ends_the_wait_for_the_first_bytes_with_130() {
    for bytes in [&b""[..], b"\x0a"] {
        let output = interrupted(bytes);
        assert_eq!(code(&output), 130, "{}", err(&output));
        let said = err(&output);
        assert!(said.contains("nothing was read"), "{said}");
        assert_eq!(out(&output), "");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_interrupt_keeps_what_was_read_and_ends_with_130() {
    let capture = zstd::decode_all(std::fs::File::open(benign()).unwrap()).unwrap();
    let output = interrupted(&capture);
    assert_eq!(code(&output), 130, "{}", err(&output));
    assert!(
        err(&output).contains("stopped after frame"),
        "{}",
        err(&output)
    );
    assert!(out(&output).contains("Connection 0"), "{}", out(&output));
}

#[test]
fn a_redacted_report_leaves_out_what_a_rule_of_one_s_own_quotes() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("quotes.toml");
    let rule = [
        "[[rule]]",
        "id = \"quotes\"",
        "title = \"Quotes a request\"",
        "verdict = \"Notice\"",
        "text = \"It was {batch.tds.query}, in frame {batch.frame}.\"",
        "[[rule.step]]",
        "name = \"batch\"",
        "event = \"tds\"",
        "where = \"tds.type == sqlbatch\"",
    ];
    std::fs::write(&rules, rule.join("\n")).unwrap();
    let rules = rules.display().to_string();
    for format in ["text", "json", "markdown"] {
        let args = ["report", &benign(), "--rules", &rules, "--format", format];
        let open = out(&run(&args));
        assert!(
            open.contains("It was ") && open.contains("quotes"),
            "{open}"
        );
        let redacted = out(&run(&[&args[..], &["--redact"]].concat()));
        assert!(redacted.contains("quotes"), "{redacted}");
        assert!(!redacted.contains("It was "), "{redacted}");
        assert!(!redacted.to_lowercase().contains("select"), "{redacted}");
    }
}

#[test]
fn a_table_of_requests_says_what_tls_hides_of_it() {
    let file = fixture("rules/rst-encrypted.pcapng.zst");
    let output = run(&["export", &file, "--as", "requests", "-o", "-"]);
    assert_eq!(code(&output), 0);
    let said = "the requests of 1 encrypted connection cannot be seen";
    assert!(err(&output).contains(said), "{}", err(&output));
    let output = run(&["export", &file, "--sid", "7", "-o", "x.txt"]);
    let said = "no connection has a Sid 7; no Sid is to be seen in this capture; nothing written";
    assert!(err(&output).contains(said), "{}", err(&output));
    let output = run(&["export", &benign(), "--sid", "7", "-o", "x.txt"]);
    assert!(err(&output).contains("; the Sids are "), "{}", err(&output));
}
