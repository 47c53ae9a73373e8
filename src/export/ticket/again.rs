//! How the frames are found again: filters for other programs, and the command that writes the small capture.

use std::path::Path;

use super::{Page, told};
use crate::export::error::ExportError;
use crate::export::format::stem;
use crate::export::frames::FrameSet;
use crate::export::job::Job;
use crate::report::words;
use crate::units::Side;

pub(super) fn filters(job: &Job<'_>, page: &mut Page<'_>) -> Result<(), ExportError> {
    page.heading("Display filters")?;
    for (file, frames) in by_file(job) {
        let which = match file {
            Some(name) => format!("Wireshark, these frames of {name}"),
            None => "Wireshark, these frames".to_owned(),
        };
        page.code_item(&which, &frame_filter(&frames))?;
    }
    for conn in told(job).into_iter().filter_map(|id| job.store.conn(id)) {
        let client = conn.endpoint(Side::Client);
        let (wireshark, monitor) = if client.ip.is_ipv6() {
            ("ipv6.addr", "IPv6")
        } else {
            ("ip.addr", "IPv4")
        };
        let (shark_for, monitor_for) = if job.plan.several_conns() {
            (
                format!("Wireshark, connection {}", conn.id),
                format!("Network Monitor, connection {}", conn.id),
            )
        } else {
            (
                "Wireshark, the connection".to_owned(),
                "Network Monitor".to_owned(),
            )
        };
        page.code_item(
            &shark_for,
            &format!("{wireshark}=={} && tcp.port=={}", client.ip, client.port),
        )?;
        page.code_item(
            &monitor_for,
            &format!(
                "{monitor}.Address=={} and tcp.port=={}",
                client.ip, client.port
            ),
        )?;
    }
    Ok(())
}

/// The frames with the numbers that they have in their own files; the file's name is left out where it is the only one.
fn by_file(job: &Job<'_>) -> Vec<(Option<String>, FrameSet)> {
    let store = job.store;
    if store.files().len() == 1 {
        return vec![(None, job.plan.frames.clone())];
    }
    let places: Vec<_> = job
        .plan
        .frames
        .iter()
        .filter_map(|no| store.place(no))
        .collect();
    let of_file = |index| {
        let in_it = places.iter().filter(|(file, _)| file.index == index);
        in_it.map(|(_, no)| *no).collect::<FrameSet>()
    };
    let files = store.files().iter();
    files
        .map(|file| {
            (
                Some(words::file_name(&file.path).into_owned()),
                of_file(file.index),
            )
        })
        .filter(|(_, frames)| !frames.is_empty())
        .collect()
}

/// Wireshark's filter for frames by their numbers. Two neighbours are named one by one: a range of two reads worse.
fn frame_filter(frames: &FrameSet) -> String {
    let ranges: Vec<_> = frames
        .ranges()
        .map(|(first, last)| match last.0.saturating_sub(first.0) {
            0 => first.to_string(),
            1 => format!("{first},{last}"),
            _ => format!("{first}..{last}"),
        })
        .collect();
    format!("frame.number in {{{}}}", ranges.join(","))
}

pub(super) fn small_capture(job: &Job<'_>, page: &mut Page<'_>) -> Result<(), ExportError> {
    page.heading("Small capture")?;
    let source = job
        .store
        .files()
        .first()
        .map_or("capture", |f| f.path.as_str());
    let name = small_name(source, job.plan.title.ends_with(" marked"));
    page.code_item("name", &name)?;
    page.item(&format!("holds {}", job.plan.summary()))?;
    // Where the file lies on this host is nobody's business.
    let name_of = |path: &str| Path::new(path).file_name()?.to_str().map(shell_word);
    let files = job.store.files().iter();
    let paths: Vec<_> = files.filter_map(|file| name_of(&file.path)).collect();
    page.code_item(
        "written by",
        &format!(
            "marstui export {} --frames {} -o {}",
            paths.join(" "),
            job.plan.frames,
            shell_word(&name)
        ),
    )?;
    Ok(())
}

/// The name of the small capture of a file: `order-svc.pcapng` gives `order-svc-marked.pcapng` where the frames are
/// those that were marked, and `order-svc-part.pcapng` where they were chosen otherwise.
pub fn small_name(path: &str, marked: bool) -> String {
    let stem = stem(path);
    let what = if marked { "marked" } else { "part" };
    format!("{stem}-{what}.pcapng")
}

/// A word as a POSIX shell takes it.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._/-+:@%,=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_commands_survive_a_shell() {
        assert_eq!(
            small_name("/a/b/order-svc.pcapng.gz", true),
            "order-svc-marked.pcapng"
        );
        assert_eq!(small_name("order.cap", false), "order-part.pcapng");
        assert_eq!(
            small_name("a1.client.pcapng", false),
            "a1.client-part.pcapng"
        );
        assert_eq!(
            small_name("a1.server.PCAP3", false),
            "a1.server-part.pcapng"
        );
        assert_eq!(
            small_name("day.2026-11-27", true),
            "day.2026-11-27-marked.pcapng"
        );
        assert_eq!(small_name("standard input", false), "stdin-part.pcapng");
        assert_eq!(small_name(".pcap", false), "capture-part.pcapng");
        assert_eq!(shell_word("a b'c"), "'a b'\\''c'");
        assert_eq!(shell_word("/x/y-1.pcap"), "/x/y-1.pcap");
    }
}
