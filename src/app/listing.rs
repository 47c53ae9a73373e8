//! Opening and sorting the full-width lists.

use super::tables::{Kind, Table};
use super::{App, Layer};

impl App {
    pub(super) fn open_table(&mut self, kind: Kind) {
        self.layers
            .retain(|layer| !matches!(layer, Layer::Table(_)));
        let mut table = Table::new(kind, self);
        if let Kind::Connections = kind
            && let Some(conn) = self.conn()
        {
            table.cursor = conn.index().min(table.rows.len().saturating_sub(1));
            table.step(0, self.layer_height());
        }
        self.layers.push(Layer::Table(table));
    }

    /// Requests of the connection; asked again, of all.
    pub(super) fn open_requests(&mut self) {
        let own = self.conn();
        let open = match self.layers.last() {
            Some(Layer::Table(table)) => match table.kind {
                Kind::Requests(Some(_)) => Some(None),
                Kind::Connections => Some(
                    table
                        .target(self)
                        .and_then(|no| self.store.frame(no).and_then(|frame| frame.conn)),
                ),
                _ => None,
            },
            _ => None,
        };
        self.open_table(Kind::Requests(open.unwrap_or(own)));
    }

    pub(super) fn sort_table(&mut self, name: &str) {
        let Some(Layer::Table(table)) = self.layers.last() else {
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
        let way = if table.descending {
            ", greatest first"
        } else {
            ""
        };
        let text = format!("sorted by {by}{way}");
        if let Some(Layer::Table(slot)) = self.layers.last_mut() {
            *slot = table;
        }
        self.tell(result.map(|()| text));
    }
}
