//! Texts that are no filters: what is wrong is said where it stands, and no text makes the parser fall.

use proptest::prelude::*;

use super::*;

#[test]
fn mistakes_are_shown_where_they_stand() {
    let cases: &[(&str, usize, usize, &str, Option<&str>)] = &[
        ("sidd == 5", 0, 4, "no such field: `sidd`", Some("sid")),
        (
            "conn == 1 and smp.flags.fni == 1",
            14,
            13,
            "no such field: `smp.flags.fni`",
            Some("smp.flags.fin"),
        ),
        ("kind == FIM", 8, 3, "no kind `FIM`", Some("FIN")),
        (
            "sid == five",
            7,
            4,
            "`five` does not fit: sid takes a number",
            None,
        ),
        // Neither minutes nor milliseconds.
        ("delta > 5m", 8, 2, "`5m` does not fit", None),
        ("frame.time > 5m", 13, 2, "`5m` does not fit", None),
        (
            "delta > 100 parsec",
            12,
            6,
            "`and`, `or` or the end is expected here, not `parsec`",
            None,
        ),
        (
            "sid ==",
            6,
            0,
            "a field or a value is expected here, not the end",
            None,
        ),
        (
            "sid == 5 an conn == 2",
            9,
            2,
            "`and`, `or` or the end is expected here, not `an`",
            Some("and"),
        ),
        (
            "conn == 2 and sid 5",
            18,
            1,
            "`==`, `and`, `or` or the end is expected here, not `5`",
            None,
        ),
        ("(sid == 5", 9, 0, "`)` is expected here, not the end", None),
        (
            "sid in {1, 2",
            12,
            0,
            "`}` is expected here, not the end",
            None,
        ),
        (
            "frame in 9..1",
            9,
            4,
            "the range ends before it begins",
            None,
        ),
        (
            "tds.query contains \"abc",
            19,
            4,
            "the closing \" is missing",
            None,
        ),
        (
            "tds.query ~ \"(\"",
            12,
            3,
            "no pattern: unclosed group",
            None,
        ),
        (
            "sid ~ \"5\"",
            6,
            3,
            "`~` compares text; sid is a number",
            None,
        ),
        (
            "smp == 1",
            7,
            1,
            "`smp` is there or not; write `smp` alone",
            None,
        ),
        (
            "ip.addr > 10.0.0.1",
            10,
            8,
            "`ip.addr` has no order; only == and != fit",
            None,
        ),
        (
            "sid == %",
            7,
            1,
            "`%` stands for nothing here; write the value",
            None,
        ),
        ("@late", 0, 5, "no saved filter `@late`", None),
        ("tcp.srcport == ip.src", 15, 6, "cannot be compared", None),
        ("5 == 5", 0, 1, "no such field: `5`", None),
        ("tcp.len + 5", 0, 11, "this is compared with nothing", None),
        (
            "",
            0,
            0,
            "a field or a value is expected here, not the end",
            None,
        ),
        ("sid # 5", 4, 1, "`#` means nothing here", None),
        (
            "tcp.flags[0:1] == 53",
            0,
            14,
            "only bytes and text have parts",
            None,
        ),
    ];
    for (text, column, length, message, nearest) in cases {
        let error = parse(text, &Context::default())
            .err()
            .unwrap_or_else(|| panic!("{text} is no error"));
        assert!(error.message.starts_with(message), "{text}: {error:?}");
        assert_eq!(
            (error.column, error.length),
            (*column, *length),
            "{text}: {error:?}"
        );
        assert_eq!(error.nearest.as_deref(), *nearest, "{text}");
    }
}

#[test]
fn deep_and_long_filters_are_refused_not_run_into_the_ground() {
    let deep = format!("{}sid == 1{}", "(".repeat(10_000), ")".repeat(10_000));
    assert!(
        parse(&deep, &Context::default())
            .unwrap_err()
            .message
            .contains("brackets")
    );
    let long = "sid == 1 or ".repeat(2000) + "sid == 2";
    assert!(
        parse(&long, &Context::default())
            .unwrap_err()
            .message
            .contains("conditions")
    );
    let nots = format!("{}smp", "!".repeat(10_000));
    assert!(parse(&nots, &Context::default()).is_err());
    let refused = |text: &str| parse(text, &Context::default()).unwrap_err().message;
    let minus = format!("sid == {}1", "-".repeat(100_000));
    assert!(refused(&minus).starts_with("a number is expected"));
    for sign in ["+", "*"] {
        let long = format!("sid {} == 5", format!("{sign} 1 ").repeat(100_000));
        assert!(refused(&long).contains("calculations"), "{sign}");
    }
    let set = format!("frame in {{{}1}}", "1, ".repeat(100_000));
    assert!(refused(&set).contains("values in a set"));
}

#[test]
fn a_bare_flag_of_wireshark_is_about_the_header_and_says_so() {
    let filter = parse("smp.flags.fin", &Context::default()).unwrap();
    assert!(filter.hints()[0].contains("`smp.flags.fin == 1`"));
    assert!(
        parse("smp.flags.fin == 1", &Context::default())
            .unwrap()
            .hints()
            .is_empty()
    );
    assert!(
        parse("marked", &Context::default())
            .unwrap()
            .hints()
            .is_empty()
    );
}

#[test]
fn a_rule_that_does_not_exist_is_a_mistake_with_the_nearest_name() {
    let own = ["late-answer".to_string()];
    let context = Context {
        own_rules: Some(&own),
        ..Context::default()
    };
    let wrong = |text: &str| {
        let error = parse(text, &context).unwrap_err();
        (error.column, error.length, error.to_string())
    };
    assert_eq!(
        wrong("finding == mars-close-rs"),
        (
            11,
            13,
            "no rule `mars-close-rs`; nearest: mars-close-rst".to_string()
        )
    );
    assert_eq!(wrong("finding in {late-anser}").0, 12);
    assert_eq!(
        wrong("finding != \"late-anser\"").2,
        "no rule `late-anser`; nearest: late-answer"
    );
    for fine in [
        "finding == mars-close-rst",
        "finding in {late-answer, mars-close-rst}",
        "finding",
        "finding ~ \"close\"",
        "finding contains \"rs\"",
    ] {
        assert!(parse(fine, &context).is_ok(), "{fine}");
    }
    // Where the user's rules are not known, any name may be one of them.
    assert!(parse("finding == mine", &Context::default()).is_ok());
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_fall(text in "[a-z0-9.=!<>~&|(){}\\[\\]\" %@:,+*/-]{0,40}") {
        let _ = parse(&text, &Context::default());
        let _ = complete(&text, text.chars().count(), &Context::default());
        let _ = find::Needle::parse(&text, &Context::default());
    }
}
