//! Which parameters of a procedure call are secrets, or have secrets in their text: by their names, by the procedure,
//! and by what the statement that it runs gives them to.

use super::cell::{self, Hide};
use super::sql_secret::{self, Reading};
use super::type_info::{TypeInfo, token as t};

/// Where a procedure that runs a statement has it among its parameters, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Runs {
    /// The statement.
    pub statement: usize,
    /// The definition of its parameters, and the first of their values.
    pub values: Option<(usize, usize)>,
}

/// Where a procedure has the statement that it runs.
pub fn runs(procedure: &str) -> Option<Runs> {
    let (statement, values) = match sql_secret::system_name(procedure).as_str() {
        "sp_executesql" => (0, Some((1, 2))),
        "sp_prepexecrpc" => (1, None),
        "sp_cursoropen" => (1, Some((5, 6))),
        "sp_prepare" | "sp_cursorprepare" => (2, None),
        "sp_prepexec" => (2, Some((1, 3))),
        "sp_cursorprepexec" => (3, Some((2, 7))),
        _ => return None,
    };
    Some(Runs { statement, values })
}

/// What is known of the parameters of a call before each of them.
#[derive(Debug)]
pub(super) struct Hiding {
    procedure: String,
    /// The procedure's name says that it takes secrets.
    all: bool,
    runs: Option<Runs>,
    place: usize,
    /// Parameters of the statement, in order.
    defined: Vec<String>,
    /// Those of them that the statement gives to something secret.
    variables: Vec<String>,
}

impl Hiding {
    /// Before the parameters of a procedure.
    pub(super) fn of(procedure: &str) -> Self {
        Self {
            procedure: procedure.to_owned(),
            all: sql_secret::is_name_of_secret(procedure),
            runs: runs(procedure),
            place: 0,
            defined: Vec::new(),
            variables: Vec::new(),
        }
    }

    /// What of the next parameter is secret.
    pub(super) fn next(&self, name: &str, info: &TypeInfo) -> Hide {
        if is_number(info) {
            return Hide::Nothing;
        }
        let values = self.runs.and_then(|runs| runs.values);
        let place = values.and_then(|(_, first)| self.place.checked_sub(first));
        let defined = place.and_then(|place| self.defined.get(place));
        let called = match defined {
            Some(defined) if name.is_empty() => defined.clone(),
            _ => name.to_ascii_lowercase(),
        };
        let secret = self.all
            || sql_secret::is_name_of_secret(&called)
            || self.variables.contains(&called)
            || sql_secret::is_secret_argument(&self.procedure, self.place, name);
        if secret {
            return Hide::All;
        }
        if !cell::is_textual(info) && info.token != t::VARIANT {
            return Hide::Nothing;
        }
        let is_statement = self.runs.is_some_and(|runs| runs.statement == self.place);
        Hide::Text(if is_statement {
            Reading::Statement
        } else {
            Reading::Value
        })
    }

    /// Goes on behind a parameter, with its text and the variables that stand for secrets in it.
    pub(super) fn took(&mut self, text: &str, variables: Vec<String>) {
        if let Some(runs) = self.runs {
            if runs.statement == self.place {
                self.variables = variables;
            }
            if runs
                .values
                .is_some_and(|(definition, _)| definition == self.place)
            {
                self.defined = defined(text);
            }
        }
        self.place = self.place.saturating_add(1);
    }
}

/// The names in a definition of parameters, in small letters: `@a int, @b decimal(5, 2)`.
fn defined(text: &str) -> Vec<String> {
    let mut depth = 0_usize;
    let items = text.split(move |sign| {
        match sign {
            '(' => depth = depth.saturating_add(1),
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        sign == ',' && depth == 0
    });
    let name = |item: &str| {
        let name = item.split_whitespace().next().unwrap_or_default();
        name.to_ascii_lowercase()
    };
    items.map(name).collect()
}

/// Whether values of a type are numbers, flags or times, which are no secrets.
fn is_number(info: &TypeInfo) -> bool {
    matches!(
        info.token,
        t::NULL
            | t::INT1
            | t::INT2
            | t::INT4
            | t::INT8
            | t::INT_N
            | t::BIT
            | t::BIT_N
            | t::FLOAT4
            | t::FLOAT8
            | t::FLOAT_N
            | t::MONEY
            | t::MONEY4
            | t::MONEY_N
            | t::DECIMAL
            | t::NUMERIC
            | t::DECIMAL_OLD
            | t::NUMERIC_OLD
            | t::DATETIME
            | t::DATETIME4
            | t::DATETIME_N
            | t::DATE
            | t::TIME
            | t::DATETIME2
            | t::DATETIMEOFFSET
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_name_parameters_in_order() {
        let names = defined("@a int, @B decimal(5, 2) output,\n @c nvarchar(max)");
        assert_eq!(names, ["@a", "@b", "@c"]);
    }

    #[test]
    fn procedures_run_statements_however_they_are_qualified() {
        for name in [
            "sp_executesql",
            "SYS.SP_EXECUTESQL",
            "master..sp_executesql",
            "[sys].[sp_executesql]",
            "\"sp_executesql\"",
        ] {
            assert_eq!(runs(name).unwrap().values, Some((1, 2)), "{name}");
        }
        assert_eq!(runs("executesql"), None);
    }
}
