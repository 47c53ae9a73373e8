//! The man page: one page with the keys of the screen and all subcommands.

use std::io::{self, Write};

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use super::args::{Args, EXAMPLES};
use crate::app::command;

/// Writes the page.
pub(super) fn write(page: &mut dyn Write) -> io::Result<()> {
    let whole = Args::command();
    let man = Man::new(whole.clone());
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    let subs = || {
        whole
            .get_subcommands()
            .filter(|sub| sub.get_name() != "help")
    };
    writeln!(page, ".SH SUBCOMMANDS")?;
    for sub in subs() {
        let about = sub.get_about().map(ToString::to_string);
        let about = escaped(&about.unwrap_or_default());
        writeln!(page, ".TP\n\\fBmarstui {}\\fR\n{about}", sub.get_name())?;
    }
    keys(page)?;
    writeln!(page, ".SH EXAMPLES\n.nf")?;
    for line in EXAMPLES.lines().skip_while(|line| !line.starts_with(' ')) {
        writeln!(page, "{}", escaped(line.trim_start()))?;
    }
    writeln!(page, ".fi")?;
    for sub in subs() {
        subcommand(page, sub)?;
    }
    Ok(())
}

fn subcommand(page: &mut dyn Write, sub: &Command) -> io::Result<()> {
    let name = format!("marstui {}", sub.get_name());
    writeln!(page, ".SH \"{}\"", name.to_uppercase())?;
    let man = Man::new(sub.clone().bin_name(name));
    man.render_synopsis_section(page)?;
    man.render_options_section(page)
}

/// The keys of the screen, by the groups of its help.
fn keys(page: &mut dyn Write) -> io::Result<()> {
    writeln!(
        page,
        ".SH KEYS\n? shows these keys in the program, those of the focused pane first. A command without a key is given \
         behind a colon; one with a key can be, too."
    )?;
    for (group, rows) in command::by_group() {
        writeln!(page, ".SS {}", escaped(group.title()))?;
        for entry in rows {
            let keys: Vec<_> = entry.keys.iter().map(|keys| escaped(keys)).collect();
            let keys = if keys.is_empty() {
                format!(":{}", escaped(entry.name))
            } else {
                keys.join("\\fR, \\fB")
            };
            let place = match entry.place() {
                Some(place) => format!(" ({place})"),
                None => String::new(),
            };
            let (name, sentence) = (escaped(entry.name), escaped(entry.sentence));
            writeln!(
                page,
                ".TP\n\\&\\fB{keys}\\fR{place}  \\fI{name}\\fR\n{sentence}"
            )?;
        }
    }
    Ok(())
}

/// Text as roff prints it: nothing in it is a request or an escape, and minus is minus.
fn escaped(text: &str) -> String {
    let text = text
        .replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('\'', "\\(aq");
    if text.starts_with('.') {
        format!("\\&{text}")
    } else {
        text
    }
}
