//! Fields as columns of a table: the values of a named field at a frame, as text and as JSON.

use serde_json::Value as Json;

use super::eval::{Eval, Event, Moment};
use super::field::{FieldRef, Ty, find, nearest_name, refusal};
use super::value::Val;
use crate::units::FrameNo;

/// A field of the registry as a column of a table.
#[derive(Debug, Clone, Copy)]
pub struct TableColumn {
    field: FieldRef,
}

/// All values that one frame has for a list of columns; it is decoded at most once.
pub fn row(columns: &[TableColumn], eval: &Eval<'_>, frame: FrameNo) -> Vec<Vec<Json>> {
    if eval.store.frame(frame).is_none() {
        return columns.iter().map(|_| Vec::new()).collect();
    }
    let moment = Moment::new(eval, Event { frame, pdu: None }, &[]);
    columns
        .iter()
        .map(|column| {
            let values = moment.values(&column.field);
            values.iter().map(|v| column.json(v)).collect()
        })
        .collect()
}

impl TableColumn {
    /// The column of a field.
    ///
    /// # Errors
    /// There is no such field; the text names the nearest one.
    pub fn new(name: &str) -> Result<Self, String> {
        find(name).map(|field| Self { field }).ok_or_else(|| {
            refusal(name).unwrap_or_else(|| {
                let near = nearest_name(name)
                    .map_or_else(String::new, |near| format!("; nearest: {near}"));
                format!("no field is named `{name}`{near}")
            })
        })
    }

    /// The field's name in the registry.
    pub fn name(&self) -> &'static str {
        self.field.name
    }

    fn json(&self, value: &Val) -> Json {
        match value {
            Val::Num(n) => self.number(*n),
            Val::Float(n) => serde_json::Number::from_f64(*n).map_or(Json::Null, Json::Number),
            Val::Text(text) => Json::from(text.as_str()),
            Val::Bytes(bytes) => {
                let digits: Vec<_> = bytes.iter().map(|b| format!("{b:02x}")).collect();
                Json::from(digits.concat())
            }
            Val::Ip(ip) => Json::from(ip.to_string()),
        }
    }

    fn number(&self, n: i128) -> Json {
        match self.field.ty {
            Ty::Bool => Json::from(n != 0),
            Ty::Word(words) => words
                .iter()
                .find(|(code, _)| i128::from(*code) == n)
                .map_or_else(|| Json::from(n.to_string()), |(_, word)| Json::from(*word)),
            // Exact: nanoseconds do not fit into a double beside the seconds of today.
            Ty::Span | Ty::Time => {
                let sign = if n < 0 { "-" } else { "" };
                let ns = n.unsigned_abs();
                Json::from(format!(
                    "{sign}{}.{:09}",
                    ns / 1_000_000_000,
                    ns % 1_000_000_000
                ))
            }
            _ => i64::try_from(n)
                .map(Json::from)
                .or_else(|_| u64::try_from(n).map(Json::from))
                .unwrap_or_else(|_| Json::from(n.to_string())),
        }
    }
}
