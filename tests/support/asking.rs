//! Asks for every field that columns of the index hold, with values that it may be compared with.

use marstui::decode::registry;
use marstui::query::{self, Context, Eval, Filter, TableColumn};
use marstui::store::Store;
use marstui::units::FrameNo;

/// Protocols, which are no fields of the registry.
const PROTOCOLS: [&str; 5] = ["ip", "ipv6", "tcp", "smp", "tds"];

/// A protocol or field that columns answer for.
#[derive(Debug)]
pub struct Asked {
    /// Its name.
    pub name: &'static str,
    values: Vec<String>,
}

/// All protocols and fields that columns answer for.
pub fn indexed_fields(store: &Store) -> impl Iterator<Item = Asked> {
    PROTOCOLS
        .into_iter()
        .chain(registry::all().map(|def| def.name))
        .filter(|name| indexed(name).is_some())
        .map(|name| Asked {
            name,
            values: values(store, name),
        })
}

impl Asked {
    /// The filter that a way to ask makes of it, where its type has that way: `F` stands for the field, `V` for a value.
    pub fn filter(&self, way: &str) -> Option<Filter> {
        let mut texts = self
            .values
            .iter()
            .map(|value| way.replace('F', self.name).replace('V', value));
        texts.find_map(|text| indexed(&text))
    }
}

fn indexed(text: &str) -> Option<Filter> {
    let filter = query::parse(text, &Context::default()).ok()?;
    filter.is_indexed().then_some(filter)
}

/// Values that a field may be compared with: one that it has, then some of each type.
fn values(store: &Store, name: &str) -> Vec<String> {
    let mut values = Vec::new();
    if let Ok(column) = TableColumn::new(name) {
        let step = (store.frame_count() / 40).max(1);
        let frames = (0..store.frame_count()).step_by(step);
        let cell = frames
            .map(FrameNo::from_index)
            .flat_map(|no| query::table_row(&[column], &Eval::of(store), no))
            .flatten()
            .next();
        values.extend(cell.map(|cell| cell.as_str().map_or(cell.to_string(), str::to_owned)));
    }
    let some = ["1", "10.0.0.1", "2001:db8::1", "Benign", "mars-close-rst"];
    values.extend(some.map(str::to_owned));
    values
}
