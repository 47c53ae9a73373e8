//! Opening, sorting and writing the full-width lists.

use super::command::Command;
use super::prompt::{Ask, Mistake, Prompt};
use super::tables::{Kind, Row, Table};
use super::{App, Effect, Layer, Tone};
use crate::export::{ExportError, List, stem};
use crate::store::{RequestEnd, RequestRow};
use crate::units::{ConnId, RequestId};

impl App {
    pub(super) fn open_table(&mut self, kind: Kind) {
        self.layers
            .retain(|layer| !matches!(layer, Layer::Table(_)));
        let mut table = Table::new(kind, self);
        let at = match kind {
            Kind::Connections => self.conn().map(ConnId::index),
            Kind::Requests(_) => self.telling_request(&table),
            Kind::Findings | Kind::Phases(_) => None,
        };
        if let Some(at) = at {
            table.cursor = at.min(table.rows.len().saturating_sub(1));
            table.step(0, self.table_height(&table));
        }
        self.layers.push(Layer::Table(table));
    }

    /// The row of the request that the cursor's frame belongs to, else of the first one of its connection that was
    /// never answered, else of the last one before it.
    fn telling_request(&self, table: &Table) -> Option<usize> {
        let here = self.list.cursor;
        let conn = self.conn();
        let sessions = super::facts::sessions_of(&self.store, here);
        let own = |request: &RequestRow| {
            let last = request.answer_last_frame.unwrap_or(request.last_frame);
            (request.first_frame..=last).contains(&here)
                && request.session.is_none_or(|id| sessions.contains(&id))
        };
        let waits = |request: &RequestRow| request.end == RequestEnd::Outstanding;
        let (mut waiting, mut before) = (None, None);
        for (at, row) in table.rows.iter().enumerate() {
            let (Row::One(id) | Row::Folded(id, _)) = *row;
            let request = self.store.request(RequestId(id));
            let of_conn = |r: &RequestRow| conn.is_none_or(|conn| r.conn == conn);
            let Some(request) = request.filter(of_conn) else {
                continue;
            };
            if own(&request) {
                return Some(at);
            }
            if waits(&request) {
                waiting = waiting.or(Some(at));
            }
            if request.first_frame <= here {
                before = Some(at);
            }
        }
        waiting.or(before)
    }

    /// Requests of the connection; asked again, of all.
    pub(super) fn open_requests(&mut self) {
        let own = self.conn();
        let open = match self.layers.last() {
            Some(Layer::Table(table)) => match table.kind {
                Kind::Requests(Some(_)) => Some(None),
                Kind::Connections => Some(table.conn(self)),
                _ => None,
            },
            _ => None,
        };
        self.open_table(Kind::Requests(open.unwrap_or(own)));
    }

    /// Asks for the column to sort the list on top by.
    pub(super) fn ask_column(&mut self) -> Vec<Effect> {
        if matches!(self.layers.last(), Some(Layer::Table(_))) {
            return self.ask(Ask::Column, "");
        }
        self.say_no_list();
        Vec::new()
    }

    fn say_no_list(&mut self) {
        let keys = [Command::Connections, Command::Findings, Command::Requests];
        let keys = keys.map(|command| self.key_of(command)).join(", ");
        self.say(
            Tone::Info,
            format!("no list is open that could be sorted; {keys} open one"),
        );
    }

    /// The columns of the list on top whose names begin so.
    pub(super) fn columns_like(&self, typed: &str) -> Vec<String> {
        match self.layers.last() {
            Some(Layer::Table(table)) => table.columns_like(typed),
            _ => Vec::new(),
        }
    }

    /// Shows which columns may be meant while one is typed, or that none is.
    pub(super) fn offer_columns(&mut self, typed: &str) {
        let offers = self.columns_like(typed);
        let Some(prompt) = self.prompt.as_mut().filter(|p| p.chosen.is_none()) else {
            return;
        };
        if offers.is_empty() {
            prompt.mistake = Some(Mistake {
                at: 0,
                len: typed.chars().count().max(1),
                text: "no column is called so".to_string(),
            });
        }
        prompt.offers = offers;
    }

    /// Sorts the list on top by a column; without a name by the next one.
    pub(super) fn sort_table(&mut self, name: &str) {
        let Some(Layer::Table(table)) = self.layers.last() else {
            self.say_no_list();
            return;
        };
        let mut table = table.clone();
        let result = if name.is_empty() {
            table.sort_next(self);
            Ok(())
        } else {
            table.sort_by(self, name)
        };
        let by = table
            .sort
            .and_then(|c| table.columns().get(c))
            .map_or("the list's own order", |h| h.name);
        let by_verdict = table.kind == Kind::Connections && matches!(by, "" | "End");
        let way = match (by_verdict, table.descending) {
            (true, false) => ", gravest first",
            (true, true) => ", gravest last",
            (false, true) => ", greatest first",
            (false, false) => "",
        };
        // The column of the letters has no head.
        let by = if by.is_empty() { "verdict" } else { by };
        let text = format!("sorted by {by}{way}");
        if let Some(Layer::Table(slot)) = self.layers.last_mut() {
            *slot = table;
        }
        self.tell(result.map(|()| text));
    }

    /// Asks where the list on top is to be written.
    pub(super) fn ask_list_file(&mut self) -> Vec<Effect> {
        let what = match self.layers.last() {
            Some(Layer::Table(table)) => table.word(),
            _ => return Vec::new(),
        };
        let stem = stem(self.first_path());
        let folder = self.settings.export_folder.clone().unwrap_or_default();
        let path = std::path::Path::new(&folder).join(format!("{stem}-{what}.csv"));
        self.list_refused = None;
        self.ask(Ask::ListFile, &path.to_string_lossy())
    }

    /// Writes the list on top, as it is sorted and filtered, with all its columns; folded findings one by one.
    pub(super) fn write_list(&mut self, path: &str) -> Vec<Effect> {
        let Some(Layer::Table(table)) = self.layers.last() else {
            return Vec::new();
        };
        if path.is_empty() {
            return Vec::new();
        }
        let mut table = table.clone();
        table.unfolded = true;
        table.refresh(self);
        let heads = table.columns().iter().map(|head| match head.name {
            "" => "Verdict letter".to_string(),
            name => name.to_string(),
        });
        let cells = |row| {
            let columns = 0..table.columns().len();
            columns.map(|c| table.cell(self, row, c)).collect()
        };
        let list = List {
            heads: heads.collect(),
            rows: table.rows.iter().copied().map(cells).collect(),
        };
        let replace = self.list_refused.as_deref() == Some(path);
        vec![Effect::WriteList {
            list: Box::new(list),
            path: path.to_string(),
            replace,
        }]
    }

    /// A list was written, or not. About a file that exists the user is asked.
    pub(super) fn list_written(&mut self, path: String, result: Result<u64, ExportError>) {
        match result {
            Ok(bytes) => self.say(Tone::Info, format!("{path}: {bytes} bytes written")),
            Err(ExportError::Exists(_)) => {
                let mut prompt = Prompt::new(Ask::ListFile, path.clone());
                prompt.remark = "it exists; Enter again replaces it".to_string();
                self.prompt = Some(prompt);
                self.list_refused = Some(path);
            }
            Err(error) => self.say(Tone::Error, error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::app::testing::{app, press};

    #[test]
    fn every_order_of_a_list_is_told_in_words() {
        let mut app = app(80, 24);
        press(&mut app, "c");
        for (column, words) in [
            ("", "sorted by verdict, gravest first"),
            ("end", "sorted by End, gravest first"),
            ("end", "sorted by End, gravest last"),
            ("frames", "sorted by Frames, greatest first"),
            ("client", "sorted by Client"),
        ] {
            app.sort_table(column);
            let told = app.message.take().map(|(_, text)| text);
            assert_eq!(told.as_deref(), Some(words));
        }
    }
}
