//! What of the frames on screen was decoded, what must still be, and when it is forgotten.

use super::command::{Command, Reads};
use super::layout::Pane;
use super::tree::Tree;
use super::{App, Looked, Wanted};
use crate::units::{FrameNo, PduId};

/// Info lines kept; more than any screen shows.
const LINES_KEPT: usize = 2000;

impl App {
    /// What a frame says, once it was decoded.
    pub fn line(&self, frame: FrameNo) -> Option<&str> {
        self.lines.get(&frame).map(String::as_str)
    }

    /// What a packet of an opened row says, once it was decoded.
    pub fn packet_line(&self, id: PduId) -> Option<&str> {
        self.packets.get(&id).map(String::as_str)
    }

    /// The decoded frame of the cursor, once it has come.
    pub fn decoded(&self) -> Option<&Tree> {
        self.decoded.as_ref()
    }

    /// Whether a command acts on something of the cursor's frame that is not decoded yet.
    pub(super) fn must_decode(&self, command: Command) -> bool {
        let here = self.list.cursor;
        if !self.layers.is_empty() || self.store.frame(here).is_none() {
            return false;
        }
        let in_panes = matches!(self.focus, Pane::Decode | Pane::Bytes);
        match command.entry().reads {
            Reads::Nothing => false,
            Reads::Line => self.line(here).is_none(),
            Reads::Tree => self.decoded.is_none(),
            Reads::TreeInPanes => in_panes && self.decoded.is_none(),
        }
    }

    /// What must be decoded before the screen is complete.
    pub fn wanted(&self) -> Wanted {
        let lines = self
            .visible()
            .into_iter()
            .filter(|no| !self.lines.contains_key(no))
            .collect();
        let here = self.store.frame(self.list.cursor).map(|_| self.list.cursor);
        let tree = here.filter(|_| !self.decoded.as_ref().is_some_and(|tree| tree.complete));
        let opened = self.list.opened;
        let packets = opened
            .into_iter()
            .flat_map(|no| self.store.pdus_in(no).map(|(id, _)| id))
            .filter(|id| !self.packets.contains_key(id))
            .collect();
        Wanted {
            lines,
            packets,
            tree,
        }
    }

    /// Takes in what was decoded.
    pub(super) fn looked(&mut self, looked: Looked) {
        if self.lines.len().saturating_add(looked.lines.len()) > LINES_KEPT {
            self.lines.clear();
        }
        self.lines.extend(looked.lines);
        if self.packets.len() > LINES_KEPT {
            self.packets.clear();
        }
        self.packets.extend(looked.packets);
        if let Some(mut tree) = looked.tree
            && tree.frame == self.list.cursor
        {
            tree.add_findings(&self.store);
            self.fit_tree();
            let height = self.decode_height();
            match self
                .decoded
                .as_ref()
                .filter(|before| before.frame == tree.frame)
            {
                Some(before) => self.tree.come_again(before, &tree, height),
                None => self.tree.arrive(&tree, height),
            }
            self.decoded = Some(tree);
        }
    }

    /// Brings the most telling part of the decoded frame into the decode pane, unless the user is at work in it.
    pub(super) fn show_telling_part(&mut self) {
        self.fit_tree();
        let height = self.decode_height();
        if self.focus != Pane::Decode
            && let Some(tree) = &self.decoded
        {
            self.tree.arrive(tree, height);
        }
    }

    /// Forgets the decoded frame when the cursor has left it: nothing may act on it any more. Tells the tree how wide
    /// its pane is.
    pub(super) fn settle_tree(&mut self) {
        self.decoded.take_if(|tree| tree.frame != self.list.cursor);
        self.fit_tree();
    }

    /// Tells the tree how wide its pane is; where the pane's height changes, its cursor stays in it and no line of it
    /// empty that could be filled.
    fn fit_tree(&mut self) {
        let area = self.layout().decode;
        self.tree.width = area.map_or(0, |area| usize::from(area.w));
        let height = self.decode_height();
        if std::mem::replace(&mut self.tree.height, height) != height
            && let Some(tree) = &self.decoded
        {
            let lines = self.tree.lines(tree).len();
            self.tree.fit(lines, height);
        }
    }

    /// Lines of the decode pane, its head not counted.
    pub(super) fn decode_height(&self) -> usize {
        self.layout()
            .decode
            .map_or(0, |a| usize::from(a.h.saturating_sub(1)))
    }

    /// Forgets what was decoded, because its meaning may have changed.
    pub(super) fn forget_decoded(&mut self) {
        self.lines.clear();
        self.packets.clear();
        if let Some(tree) = &mut self.decoded {
            tree.complete = false;
        }
    }
}
