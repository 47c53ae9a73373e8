//! The command table: one row per command with its name, keys, sentence and group, and with what it takes, acts on and
//! needs. Key tree, key line, help, completion, configuration and the manual's table of keys are all made from it.

/// Where a key means this command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Context {
    /// Everywhere, unless the focused pane has a meaning of its own for the key.
    Anywhere,
    /// The frame list has the focus.
    List,
    /// The lanes have the focus.
    Lanes,
    /// The decode pane has the focus.
    Decode,
    /// The bytes pane has the focus.
    Bytes,
    /// One of the full-width lists (connections, findings, requests) is open.
    Table,
}

impl Context {
    /// Its name in help and errors.
    pub fn name(self) -> &'static str {
        match self {
            Self::Anywhere => "everywhere",
            Self::List => "frame list",
            Self::Lanes => "timeline",
            Self::Decode => "decode pane",
            Self::Bytes => "bytes pane",
            Self::Table => "lists",
        }
    }
}

/// Where a command stands in the help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Group {
    /// Moving.
    Move,
    /// Jumping by meaning.
    Jump,
    /// Lists of the whole capture.
    Lists,
    /// Find and filter.
    Search,
    /// Marks and what is done with them.
    Marks,
    /// The timeline.
    Timeline,
    /// Panes and what they show.
    View,
    /// The program itself.
    Program,
}

impl Group {
    /// All groups, in the order of the help.
    pub const ALL: [Self; 8] = [
        Self::Move,
        Self::Jump,
        Self::Lists,
        Self::Search,
        Self::Marks,
        Self::Timeline,
        Self::View,
        Self::Program,
    ];

    /// Its heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Move => "Move",
            Self::Jump => "Jump",
            Self::Lists => "Lists",
            Self::Search => "Find and filter",
            Self::Marks => "Marks and export",
            Self::Timeline => "Timeline",
            Self::View => "View",
            Self::Program => "Program",
        }
    }
}

/// What of the screen a command acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActsOn {
    /// The frame list with its cursor, or the panes beside it.
    Frames,
    /// The row under the cursor, of the frame list or of a list over it.
    Row,
    /// Neither, or it closes what lies over the frames and moves there.
    Anything,
}

/// What of the cursor's frame must have been decoded before a command can be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// Nothing.
    Nothing,
    /// What its row says.
    Line,
    /// Its fields and bytes.
    Tree,
    /// Its fields and bytes, where the pane that shows them has the focus.
    TreeInPanes,
}

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The command.
    pub command: Command,
    /// Its name in the command line and the configuration.
    pub name: &'static str,
    /// Its keys; a sequence has blanks between its keys. Empty: command line only.
    pub keys: &'static [&'static str],
    /// What it does, in one sentence without a full stop.
    pub sentence: &'static str,
    /// A word or two for the key line; empty if it never stands there.
    pub short: &'static str,
    /// Where it stands in the help.
    pub group: Group,
    /// Where its keys mean it.
    pub context: Context,
    /// What may follow its name in the command line; empty for nothing.
    pub argument: &'static str,
    /// A number before it says how often, or where to.
    pub counted: bool,
    /// What of the screen it acts on.
    pub acts_on: ActsOn,
    /// What must have been decoded before.
    pub reads: Reads,
    /// It sets the timeline's window, which stays where it was set.
    pub by_hand: bool,
}

/// The words that a row can have in brackets, for what most commands are not.
impl Entry {
    const fn counted(self) -> Self {
        let counted = true;
        Self { counted, ..self }
    }

    const fn of_frames(self) -> Self {
        let acts_on = ActsOn::Frames;
        Self { acts_on, ..self }
    }

    const fn of_row(self) -> Self {
        let acts_on = ActsOn::Row;
        Self { acts_on, ..self }
    }

    const fn reads_line(self) -> Self {
        let reads = Reads::Line;
        Self { reads, ..self }
    }

    const fn reads_tree(self) -> Self {
        let reads = Reads::Tree;
        Self { reads, ..self }
    }

    const fn reads_tree_in_panes(self) -> Self {
        let reads = Reads::TreeInPanes;
        Self { reads, ..self }
    }

    const fn by_hand(self) -> Self {
        let by_hand = true;
        Self { by_hand, ..self }
    }
}

macro_rules! commands {
    ($($variant:ident $name:literal [$($key:literal)*] $short:literal $group:ident $context:ident $arg:literal ($($word:ident)*) $sentence:literal;)*) => {
        /// Everything that a key or a name can ask for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Command {
            $(#[doc = $sentence] $variant,)*
        }

        /// The table.
        pub const COMMANDS: &[Entry] = &[
            $(Entry {
                command: Command::$variant,
                name: $name,
                keys: &[$($key),*],
                sentence: $sentence,
                short: $short,
                group: Group::$group,
                context: Context::$context,
                argument: $arg,
                counted: false,
                acts_on: ActsOn::Anything,
                reads: Reads::Nothing,
                by_hand: false,
            }$(.$word())*,)*
        ];
    };
}

commands! {
    Down "down" ["j" "Down"] "move" Move Anywhere "" (counted reads_tree_in_panes) "one row down; a number before it repeats: 20j";
    Up "up" ["k" "Up"] "" Move Anywhere "" (counted reads_tree_in_panes) "one row up";
    PageDown "page-down" ["PgDn" "Ctrl-F"] "page" Move Anywhere "" (counted reads_tree_in_panes) "one page down";
    PageUp "page-up" ["PgUp"] "" Move Anywhere "" (counted reads_tree_in_panes) "one page up";
    HalfDown "half-down" ["Ctrl-D"] "" Move Anywhere "" (counted reads_tree_in_panes) "half a page down";
    HalfUp "half-up" ["Ctrl-U"] "" Move Anywhere "" (counted reads_tree_in_panes) "half a page up";
    First "first" ["g g" "Home"] "" Move Anywhere "" (reads_tree_in_panes) "to the first row";
    Last "last" ["G" "End"] "" Move Anywhere "" (counted reads_tree_in_panes) "to the last row, or with a number before it to that frame: 1049G";
    Goto "goto" ["g f"] "" Move Anywhere "frame" (counted) "to a frame by number; :1049 does the same";
    GotoTime "goto-time" ["t"] "" Move Anywhere "time" () "to a time: 12.024, +5ms, -2s, 09:31:12.024, 2026-03-14T09:31";
    NextSameSid "next-same-sid" ["."] "same Sid" Jump Anywhere "" (counted of_frames) "next frame that completes a packet of the same Sid";
    PrevSameSid "prev-same-sid" [","] "" Jump Anywhere "" (counted of_frames) "previous frame that completes a packet of the same Sid";
    NextSameConn "next-same-conn" [">"] "" Jump Anywhere "" (counted of_frames) "next frame of the same connection";
    PrevSameConn "prev-same-conn" ["<"] "" Jump Anywhere "" (counted of_frames) "previous frame of the same connection";
    Pair "pair" ["p"] "" Jump Anywhere "" (counted) "from a request to its reply and back";
    NextFinding "next-finding" ["e"] "finding" Jump Anywhere "" (counted) "next finding; the first time, the gravest";
    PrevFinding "prev-finding" ["E"] "" Jump Anywhere "" (counted) "previous finding";
    NextReset "next-reset" ["r"] "reset" Jump Anywhere "" (counted) "next TCP reset";
    PrevReset "prev-reset" ["R"] "" Jump Anywhere "" (counted) "previous TCP reset";
    NextPhase "next-phase" ["]"] "" Jump Anywhere "" (counted) "next phase of the connection";
    PrevPhase "prev-phase" ["["] "" Jump Anywhere "" (counted) "previous phase of the connection";
    NextGap "next-gap" ["s"] "" Jump Anywhere "" (counted) "next wait longer than gap-ms (default 100)";
    PrevGap "prev-gap" ["S"] "" Jump Anywhere "" (counted) "previous wait longer than gap-ms";
    Back "back" ["("] "" Jump Anywhere "" () "back to where the last jump came from, a frame or a list";
    Forward "forward" [")"] "" Jump Anywhere "" () "forward again";
    NextMark "next-mark" ["'"] "" Jump Anywhere "" (counted) "next marked frame";
    PrevMark "prev-mark" ["\""] "" Jump Anywhere "" (counted) "previous marked frame";
    Connections "connections" ["c"] "conns" Lists Anywhere "" () "all connections, with how each of them ended";
    Findings "findings" ["F"] "findings" Lists Anywhere "" () "all findings, faults first";
    Requests "requests" ["Q"] "requests" Lists Anywhere "" () "the requests of the connection, or of all";
    Card "card" ["g c"] "" Lists Anywhere "" () "the connection on one page: opening, login, Sids, requests, findings";
    Phases "phases" [] "" Lists Anywhere "" () "the phases of the connection, with first frame and length in time";
    Sort "sort" ["S"] "sort" Lists Table "column" () "sort by a column: its name, or Enter for the next; once more the other way round";
    Find "find" ["/"] "find" Search Anywhere "text" (reads_tree_in_panes) "find text, re:pattern, hex:bytes or a filter";
    FindNext "find-next" ["n"] "next" Search Anywhere "" () "next hit";
    FindPrev "find-prev" ["N"] "" Search Anywhere "" () "previous hit";
    Filter "filter" ["&"] "filter" Search Anywhere "filter" (reads_tree_in_panes) "show only matching frames; empty clears; save NAME keeps it";
    OnlySid "only-sid" ["o"] "" Search Anywhere "" (of_row) "filter to every frame that carries a part of the Sid's packets; again: to the connection; again: off";
    CopyFilter "copy-filter" [] "" Search Anywhere "" () "copy the filter in Wireshark's form";
    Mark "mark" ["m"] "mark" Marks Anywhere "" (of_row) "mark the row, the range or the finding's frames, or take the mark off";
    MarkDown "mark-down" ["Space"] "" Marks Anywhere "" (of_row) "mark the row, or take the mark off, and step down";
    MarkFinding "mark-finding" ["g m"] "" Marks Anywhere "" (of_row) "mark all frames that the finding under the cursor names";
    Range "range" ["v"] "range" Marks Anywhere "" (of_frames) "start a range; move; m marks it, Esc drops it";
    MarkToHere "mark-to-here" ["M"] "" Marks Anywhere "" (of_frames) "mark from the last mark to the row";
    ClearMarks "clear-marks" [] "" Marks Anywhere "" () "take all marks off";
    Undo "undo" ["u"] "" Marks Anywhere "" () "undo the last change of marks, filter, time reference or ignored frames";
    Redo "redo" ["U"] "" Marks Anywhere "" () "do it again";
    TimeRef "time-ref" ["T"] "" Marks Anywhere "" (of_row) "set the time reference to the row, or clear it";
    Ignore "ignore" ["i"] "" Marks Anywhere "" (of_frames) "leave the frame out of the lanes, or take it in again; rules stay";
    Export "export" ["w"] "export" Marks Anywhere "" () "write frames or text to a file";
    CopyRow "copy-row" ["y r"] "" Marks Anywhere "" (of_row reads_line) "copy the row";
    CopyField "copy-field" ["y f"] "" Marks Anywhere "" (of_frames reads_tree) "copy the field under the decode cursor";
    CopyHex "copy-hex" ["y h"] "" Marks Anywhere "" (of_frames reads_tree) "copy the frame's bytes as hex";
    CopyFrame "copy-frame" ["y n"] "" Marks Anywhere "" (of_row) "copy the frame number, or the numbers of the marked frames";
    CopyLadder "copy-ladder" ["y l"] "" Marks Anywhere "" (of_frames) "copy the range, or the marked frames, as a ladder";
    ZoomIn "zoom-in" ["+"] "zoom" Timeline Anywhere "" (of_frames by_hand) "less time per column";
    ZoomOut "zoom-out" ["-"] "" Timeline Anywhere "" (of_frames by_hand) "more time per column";
    ZoomAll "zoom-all" ["0"] "" Timeline Anywhere "" (of_frames by_hand) "the whole capture";
    Fit "fit" ["f"] "fit" Timeline Anywhere "" (of_frames by_hand) "fit the Sid of the cursor; again: the connection";
    EventScale "event-scale" ["="] "" Timeline Anywhere "" (of_frames) "one column per frame instead of linear time";
    Ladder "ladder" ["L"] "ladder" Timeline Anywhere "" (of_frames) "a ladder of arrows instead of lanes";
    Pin "pin" ["P"] "" Timeline Anywhere "" (of_frames) "keep the lane of the Sid in view";
    PanLeft "pan-left" ["h" "Left"] "pan" Timeline Lanes "" (by_hand) "a quarter to the left";
    PanRight "pan-right" ["l" "Right"] "" Timeline Lanes "" (by_hand) "a quarter to the right";
    PanLeftPage "pan-left-page" ["H"] "" Timeline Lanes "" (by_hand) "a full width to the left";
    PanRightPage "pan-right-page" ["L"] "" Timeline Lanes "" (by_hand) "a full width to the right";
    LaneNext "lane-next-event" ["."] "event" Timeline Lanes "" () "next event of the lane";
    LanePrev "lane-prev-event" [","] "" Timeline Lanes "" () "previous event of the lane";
    LaneHere "lane-here" ["Enter"] "to list" Timeline Lanes "" () "put the list where the lane cursor stands";
    Pane "pane" ["Tab"] "pane" View Anywhere "" (of_frames) "focus to the next pane";
    PaneBack "pane-back" ["Shift-Tab"] "" View Anywhere "" (of_frames) "focus to the previous pane";
    ZoomPane "zoom-pane" ["z"] "zoom pane" View Anywhere "" (of_frames) "the focused pane on the whole screen, and back";
    Bytes "bytes" ["b"] "bytes" View Anywhere "" (of_frames) "bytes pane: shown with all lines, hidden, on a wide screen with its first lines";
    Fold "fold" ["Left"] "" View Anywhere "" (of_frames reads_tree_in_panes) "close the tree node, or the row's packets; in the bytes pane, one byte back";
    Open "open" ["Right"] "open" View Anywhere "" (of_frames reads_tree_in_panes) "open the tree node, or the row's packets; in the bytes pane, one byte on";
    Follow "follow" ["Enter"] "follow" View Anywhere "" (reads_tree_in_panes) "follow a frame reference, or enter the decode pane";
    GrowPane "grow-pane" ["Ctrl-W +"] "" View Anywhere "" (of_frames) "more height for the focused pane";
    ShrinkPane "shrink-pane" ["Ctrl-W -"] "" View Anywhere "" (of_frames) "less height for the focused pane";
    Delta "delta" ["d"] "" View Anywhere "" () "what the d column counts from: shown frame, same Sid, same connection; it has four digits, the rest is cut";
    TimeFormat "time-format" ["D"] "" View Anywhere "" () "what the Time column shows: start, reference, UTC, local, delta";
    LaneGutter "lane-gutter" ["|"] "" View Anywhere "" (of_frames) "lanes as columns of the list";
    Columns "columns" [] "" View Anywhere "names" () "choose the list's columns";
    Theme "theme" [] "" View Anywhere "name" () "dark, light, mono or contrast";
    Glyphs "glyphs" [] "" View Anywhere "name" () "ascii, unicode or braille";
    Set "set" [] "" View Anywhere "name value" () "change a setting";
    CommandLine "command" [":"] "command" Program Anywhere "" () "every command by name, with completion";
    Help "help" ["?"] "help" Program Anywhere "" () "the keys of the focused pane first; type to search";
    Shift "shift" [] "" Program Anywhere "file time" () "move the times of one of several files: shift b +0.8ms";
    FollowFile "follow-file" [] "" Program Anywhere "" () "read on while the last file is still being written, as --follow does; :follow in the list, too";
    Explain "explain" ["g e"] "" Program Anywhere "rule" () "what a rule means, needs and forbids";
    Map "map" [] "" Program Anywhere "key command" () "give a key another command";
    Messages "messages" ["g l"] "" Program Anywhere "" () "all messages so far";
    Stats "stats" [] "" Program Anywhere "" () "bytes written, draws, memory of the index";
    Summary "summary" ["g s"] "" Program Anywhere "" () "sum the capture up in the message line";
    Close "close" ["q"] "quit" Program Anywhere "" () "close the top layer; with none open, quit";
    Quit "quit" [] "" Program Anywhere "" () "quit at once";
    Escape "escape" ["Esc"] "" Program Anywhere "" () "drop a range, a count or the top layer; never quits";
    Cancel "cancel" ["Ctrl-C"] "" Program Anywhere "" () "stop the running job; with none running, quit";
    Redraw "redraw" ["Ctrl-L"] "" Program Anywhere "" () "draw the screen anew";
    Suspend "suspend" ["Ctrl-Z"] "" Program Anywhere "" () "back to the shell; fg returns";
}

impl Command {
    /// Its row of the table.
    pub fn entry(self) -> &'static Entry {
        // The macro makes enum and table from the same list, in the same order.
        #[expect(
            clippy::indexing_slicing,
            reason = "the table has a row for every variant"
        )]
        &COMMANDS[self as usize]
    }

    /// The command with a name.
    pub fn by_name(name: &str) -> Option<Self> {
        COMMANDS.iter().find(|e| e.name == name).map(|e| e.command)
    }
}

impl Entry {
    /// Where its keys mean it, if not everywhere.
    pub fn place(&self) -> Option<&'static str> {
        (self.context != Context::Anywhere).then(|| self.context.name())
    }
}

/// The table of keys by groups, in the order of the help.
pub fn by_group() -> impl Iterator<Item = (Group, impl Iterator<Item = &'static Entry>)> {
    Group::ALL
        .into_iter()
        .map(|group| (group, COMMANDS.iter().filter(move |e| e.group == group)))
}

/// The table of keys as Markdown, for the manual.
pub fn markdown() -> String {
    let mut out = String::from("| keys | command | meaning |\n|---|---|---|\n");
    for (_, entries) in by_group() {
        for entry in entries {
            let mut keys = entry
                .keys
                .iter()
                .map(|k| format!("`{}`", k.replace('|', "\\|")))
                .collect::<Vec<_>>()
                .join(" ");
            if keys.is_empty() {
                keys = format!("`:{}`", entry.name);
            }
            if let Some(place) = entry.place() {
                keys.push_str(" (");
                keys.push_str(place);
                keys.push(')');
            }
            out.push_str("| ");
            out.push_str(&keys);
            out.push_str(" | `");
            out.push_str(entry.name);
            out.push_str("` | ");
            out.push_str(&entry.sentence.replace('|', "\\|"));
            out.push_str(" |\n");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::key::parse_sequence;

    #[test]
    fn every_command_has_a_name_a_sentence_and_readable_keys() {
        let mut names = std::collections::BTreeSet::new();
        for entry in COMMANDS {
            assert_eq!(entry.command.entry(), entry);
            assert!(names.insert(entry.name), "{} is there twice", entry.name);
            assert!(entry.sentence.len() > 5, "{}", entry.name);
            assert!(!entry.sentence.ends_with('.'), "{}", entry.name);
            assert_eq!(Command::by_name(entry.name), Some(entry.command));
            for key in entry.keys {
                parse_sequence(key).unwrap();
            }
        }
        assert_eq!(markdown().lines().count(), COMMANDS.len() + 2);
    }

    #[test]
    fn no_key_is_one_that_terminals_or_multiplexers_keep() {
        for entry in COMMANDS {
            for key in entry.keys {
                for taken in ["Ctrl-S", "Ctrl-Q", "Ctrl-A", "Ctrl-B", "Ctrl-I"] {
                    assert!(!key.contains(taken), "{} uses {taken}", entry.name);
                }
            }
        }
    }
}
