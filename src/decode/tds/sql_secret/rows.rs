//! What rows have for the columns whose names have a word of secrets in them.

use super::lexer::{Kind, Token};
use super::scan::{Armed, Scan};

impl Scan<'_> {
    /// Whether rows begin here that are inserted into a column, or a table, whose name has a word of secrets in it; what
    /// is inserted is marked.
    pub(super) fn inserts_at(&mut self, at: usize, name: &str, is_item: bool) -> bool {
        let Some(columns) = &self.columns else {
            return false;
        };
        let behind_list = self.before(at).is_some_and(|(_, token)| token.is(')'));
        let values = name == "values";
        let begins = values || behind_list && matches!(name, "select" | "exec" | "execute");
        if !begins {
            return false;
        }
        let by_row = values && columns.are_few();
        if is_item || !by_row && !columns.secret.is_empty() {
            self.armed = Armed::Statement;
            return true;
        }
        if let Some(columns) = self
            .columns
            .take()
            .filter(|columns| !columns.secret.is_empty())
        {
            self.rows(at, &columns);
        }
        values
    }

    /// Marks what rows have for columns that are secret; of a row that does not fit the columns, all.
    fn rows(&mut self, at: usize, columns: &Columns) {
        let mut row = Row::default();
        for here in at.saturating_add(1)..self.tokens.len() {
            let Some(token) = self.token(here) else {
                return;
            };
            if !row.take(here, token) {
                break;
            }
            if row.is_over() {
                self.row(&row, columns);
                row = Row::default();
            }
        }
        self.row(&row, columns);
    }

    fn row(&mut self, row: &Row, columns: &Columns) {
        let fits = row.depth > 0 || row.place.saturating_add(1) == columns.count;
        for (place, at) in &row.literals {
            let Some(token) = self
                .token(*at)
                .filter(|_| !fits || columns.secret.contains(place))
            else {
                continue;
            };
            match token.kind {
                Kind::Text | Kind::Quoted => self.hide_literal(token),
                Kind::Binary => self.hide(token.inside()),
                Kind::Number => self.hide_number(token),
                _ => {
                    let name = self.name(token);
                    if name.starts_with('@') {
                        self.found.variables.push(name);
                    }
                }
            }
        }
    }
}

/// The columns that rows are inserted into.
#[derive(Debug)]
pub(super) struct Columns {
    /// The depth of parentheses that their list stands in.
    depth: usize,
    /// In the list: the column, from 0.
    pub(super) place: usize,
    inside: bool,
    count: usize,
    /// Those whose names have words of secrets in them.
    pub(super) secret: Vec<usize>,
}

impl Columns {
    /// Behind INSERT at a depth of parentheses.
    pub(super) fn behind(depth: usize) -> Self {
        Self {
            depth,
            place: 0,
            inside: false,
            count: 0,
            secret: Vec::new(),
        }
    }

    /// Goes on by a sign that stands at a depth.
    pub(super) fn take(&mut self, token: Token, depth: usize) {
        let is_list = depth == self.depth.saturating_add(1);
        if token.is('(') && depth == self.depth && self.secret.is_empty() {
            self.inside = true;
            self.place = 0;
        } else if token.is(')') && is_list && self.inside {
            self.inside = false;
            self.count = self.place.saturating_add(1);
        } else if token.is(',') && is_list && self.inside {
            self.place = self.place.saturating_add(1);
        }
    }

    /// Whether a name at a depth is one of a column.
    pub(super) fn has(&self, depth: usize) -> bool {
        self.inside && depth == self.depth.saturating_add(1)
    }

    fn are_few(&self) -> bool {
        self.secret.len() <= 64
    }
}

/// A row of values on its way.
#[derive(Debug, Default)]
struct Row {
    depth: usize,
    /// The value, from 0.
    place: usize,
    over: bool,
    /// Literals and variables: the value that they belong to, and their token.
    literals: Vec<(usize, usize)>,
}

impl Row {
    /// Goes on by a token; whether it may belong to rows.
    fn take(&mut self, at: usize, token: Token) -> bool {
        if self.depth == 0 {
            if token.is('(') {
                self.depth = 1;
            }
            return token.is('(') || token.is(',') || token.kind == Kind::Comment;
        }
        match token.kind {
            Kind::Text | Kind::Quoted | Kind::Binary | Kind::Number | Kind::Word => {
                self.literals.push((self.place, at));
            }
            _ if token.is('(') => self.depth = self.depth.saturating_add(1),
            _ if token.is(')') => {
                self.depth = self.depth.saturating_sub(1);
                self.over = self.depth == 0;
            }
            _ if token.is(',') && self.depth == 1 => self.place = self.place.saturating_add(1),
            _ => {}
        }
        true
    }

    fn is_over(&self) -> bool {
        self.over
    }
}
