//! Lists and settings that are written to files.

use super::*;

#[test]
fn a_list_is_written_as_it_stands_and_replaced_only_after_a_question() {
    let mut app = app(80, 24);
    press(&mut app, "c w");
    assert!(
        app.prompt
            .as_ref()
            .unwrap()
            .text()
            .ends_with("-connections.csv")
    );
    let effects = press(&mut app, "Ctrl-U x Enter");
    let Some(Effect::WriteList {
        list,
        path,
        replace,
    }) = effects.first()
    else {
        panic!("{effects:?}");
    };
    assert_eq!((path.as_str(), *replace), ("x", false));
    assert_eq!(list.rows.len(), app.store.conns().len());
    assert!(
        list.heads.iter().any(|head| head == "Retr"),
        "hidden columns too"
    );
    let exists = crate::export::ExportError::Exists("x".into());
    update(&mut app, Event::ListWritten("x".into(), Err(exists)));
    assert_eq!(
        app.prompt.as_ref().unwrap().remark,
        "it exists; Enter again replaces it"
    );
    let effects = press(&mut app, "Enter");
    assert!(matches!(
        effects[..],
        [Effect::WriteList { replace: true, .. }]
    ));
}

#[test]
fn chosen_columns_and_named_filters_are_kept_in_the_config_file() {
    let mut app = app(80, 24);
    let kept = |effects: Vec<Effect>| match effects.into_iter().next_back() {
        Some(Effect::Keep {
            section,
            key,
            value,
        }) => format!("[{section}] {key} = {value}"),
        other => panic!("{other:?}"),
    };
    let effects = answer(&mut app, ":", "columns no info");
    assert_eq!(kept(effects), "[view] columns = [\"no\", \"info\"]");
    let effects = answer(&mut app, ":", "columns auto");
    assert_eq!(kept(effects), "[view] columns = []");
    answer(&mut app, "&", "sid == 0");
    let effects = answer(&mut app, "& Ctrl-U", "save zero");
    assert_eq!(kept(effects), "[filters] \"zero\" = \"sid == 0\"");
}
