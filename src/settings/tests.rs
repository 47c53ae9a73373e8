use super::*;

fn read(text: &str) -> (Settings, Vec<String>) {
    let mut settings = Settings::default();
    let problems = settings.read_file(text);
    (settings, problems.iter().map(ToString::to_string).collect())
}

#[test]
fn every_section_is_read() {
    let (s, problems) = read(
        r#"
[view]
columns = ["No", "Time", "Info"]
theme = "mono"
gap-ms = 250
color = 256
mouse = true
[keys]
preset = "less"
next-reset = ["r", "x"]
mark = "*"
[rules]
off = ["slow-response"]
folder = "/etc/marstui/rules"
[rules.limits]
login-slow.total = "1.5s"
"keepalive-timeout.probes" = 7
[export]
format = "csv"
[filters]
closes = "kind in {FIN, RST}"
"#,
    );
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(s.view.columns, ["No", "Time", "Info"]);
    assert_eq!(s.view.theme, "mono");
    assert_eq!(s.view.gap_ms, 250);
    assert_eq!(s.view.color, "256");
    assert!(s.view.mouse);
    assert_eq!(s.view.glyphs, "auto", "what is not named keeps its default");
    assert_eq!(s.keys.preset, "less");
    assert_eq!(s.keys.bindings.len(), 2);
    assert_eq!(s.keys.bindings[0].keys, ["r", "x"]);
    assert_eq!(s.rules.off[0].text, "slow-response");
    assert_eq!(s.rules.folder.as_deref(), Some("/etc/marstui/rules"));
    let limits: Vec<_> = s
        .rules
        .limits
        .iter()
        .map(|(n, l)| (n.as_str(), &l.value))
        .collect();
    assert!(limits.contains(&("login-slow.total", &LimitValue::Span(1_500_000_000))));
    assert!(limits.contains(&("keepalive-timeout.probes", &LimitValue::Number(7.0))));
    assert_eq!(s.export.format, "csv");
    assert_eq!(s.filters["closes"].text, "kind in {FIN, RST}");
}

#[test]
fn a_mistake_names_its_line_and_the_nearest_name_and_the_rest_counts() {
    let cases = [
        (
            "[view]\nthemee = \"mono\"\n",
            "line 2, column 1: no setting `view.themee`; nearest: theme",
        ),
        (
            "[veiw]\ntheme = \"mono\"\n",
            "line 1, column 2: no section `veiw`; nearest: view",
        ),
        (
            "[view]\n theme = \"dak\"\n",
            "line 2, column 10: `theme` is one of dark, light, mono, contrast, not `dak`; nearest: dark",
        ),
        (
            "[view]\nmouse = 3\n",
            "line 2, column 9: `mouse` takes true or false",
        ),
        (
            "[view]\ngap-ms = 0\n",
            "line 2, column 10: `gap-ms` is a number from 1 to 86400000",
        ),
        (
            "view = 3\n",
            "line 1, column 8: `view` is a section: [view]",
        ),
        (
            "[rules.limits]\nslow = [1]\n",
            "line 2, column 8: `slow` takes a number or a time (\"200ms\")",
        ),
        (
            "[keys]\nmark = \"x\"\nnext-gap = \"x\"\n",
            "line 3, column 1: the key `x` is given to `next-gap` here and to `mark` in line 2, column 1",
        ),
    ];
    for (text, wanted) in cases {
        let with_more = format!("{text}[export]\nformat = \"csv\"\n");
        let (s, problems) = read(&with_more);
        assert_eq!(problems, [wanted], "for {text:?}");
        assert_eq!(s.export.format, "csv", "for {text:?}");
    }
}

#[test]
fn text_that_is_no_toml_leaves_the_defaults() {
    let (s, problems) = read("[view]\ntheme = \"light\"\nmouse = \n");
    assert_eq!(s, Settings::default());
    assert_eq!(problems.len(), 1);
    assert!(problems[0].starts_with("line 3, column "), "{problems:?}");
}

#[test]
fn the_printed_config_is_the_default_with_and_without_its_comment_signs() {
    let (s, problems) = read(&print_config());
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(s, Settings::default());

    let bare = print_config()
        .lines()
        .filter(|l| !l.starts_with("# "))
        .map(|l| l.trim_start_matches('#'))
        .collect::<Vec<_>>()
        .join("\n");
    let (mut s, problems) = read(&bare);
    assert!(problems.is_empty(), "{problems:?}\n{bare}");
    assert_eq!(s.keys.bindings.len(), 1);
    s.keys.bindings.clear();
    s.rules.limits.clear();
    s.filters.clear();
    assert_eq!(s, Settings::default());
}

#[test]
fn flags_beat_the_environment_and_that_beats_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, "[view]\ntheme = \"light\"\nglyphs = \"ascii\"\n").unwrap();
    let env = |name: &str| match name {
        "MARSTUI_THEME" => Some("mono".to_owned()),
        "MARSTUI_LOW_BW" | "NO_COLOR" => Some("1".to_owned()),
        _ => None,
    };
    let (mut s, problems) = Settings::load(Some(&path), env);
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(s.view.theme, "mono");
    assert_eq!(s.view.glyphs, "ascii");
    assert_eq!(s.view.color, "never");
    assert!(s.view.low_bandwidth);
    s.set("view.theme", "contrast").unwrap();
    assert_eq!(s.view.theme, "contrast");
    s.set("mouse", "on").unwrap();
    assert!(s.view.mouse);
    s.set("login-slow.total", "3s").unwrap();
    assert_eq!(s.rules.limits[0].1.value, LimitValue::Span(3_000_000_000));
    let error = s.set("view.them", "mono").unwrap_err();
    assert_eq!(
        error.to_string(),
        "command line: no setting `view.them`; nearest: view.theme"
    );
}

#[test]
fn a_named_file_that_is_not_there_is_a_problem() {
    let (_, problems) = Settings::load(Some(Path::new("/nowhere/at/all.toml")), |_| None);
    assert!(problems[0].to_string().contains("/nowhere/at/all.toml"));
}

#[test]
fn spans_of_time_are_exact() {
    let cases = [
        ("100ms", Some(100_000_000)),
        ("1.5s", Some(1_500_000_000)),
        ("0.000001 s", Some(1_000)),
        ("-2us", Some(-2_000)),
        ("3min", Some(180_000_000_000)),
        ("9999999999999999999s", None),
        ("12", None),
        ("ms", None),
        ("1.2.3s", None),
        ("5 parsecs", None),
    ];
    for (text, wanted) in cases {
        assert_eq!(span_ns(text), wanted, "{text}");
        // Without a unit, and only then, it is seconds.
        let seconds = (text == "12").then_some(12_000_000_000);
        assert_eq!(span_or_seconds(text), wanted.or(seconds), "{text}");
    }
    assert_eq!(span_or_seconds("5m"), None);
}
