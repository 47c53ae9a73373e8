//! What of Transact-SQL is given secrets, from its reference: the words in front of them, and the procedures and
//! functions that take them by position. SQL Server hides the same from its own traces.

/// Parts of names, in any letter case; a literal that is given to, or compared with, what has one in its name is a
/// secret.
pub(super) const WORDS: &[&str] = &[
    // CREATE and ALTER LOGIN, USER and APPLICATION ROLE (PASSWORD, OLD_PASSWORD), ENCRYPTION and DECRYPTION BY PASSWORD
    // of keys and certificates, BACKUP and RESTORE (PASSWORD, MEDIAPASSWORD), @passwd, @rmtpassword and the like of
    // system procedures, sp_password, connection strings.
    "passw",
    // Connection strings (ODBC, OLE DB), PWDCOMPARE, PWDENCRYPT.
    "pwd",
    // CREATE and ALTER CREDENTIAL, COPY INTO.
    "secret",
    // ENCRYPTBYPASSPHRASE, DECRYPTBYPASSPHRASE.
    "passphrase",
    // CREATE SYMMETRIC KEY: the phrase that the key is made from.
    "key_source",
    // Connection strings of storage and queues, and tokens in place of passwords.
    "accountkey",
    "sharedaccesskey",
    "accesstoken",
    "access_token",
];

/// Names of variables, or what they end with behind `_`, that are short for a password. Elsewhere they are parts of too
/// many words.
const SHORT: &[&str] = &["pw", "pass"];

/// Which arguments of a procedure or function are secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Args {
    /// The one at this place, counted from 0.
    At(usize),
    /// The one at this place, or with this name, which does not say that it is a secret.
    Named(usize, &'static str),
    /// What stands behind the second semicolon: `'server';'user';'password'`.
    Third,
    /// The values behind a statement and a definition of parameters, if one of these tells of secrets.
    Executed,
}

/// Procedures and functions whose names do not say that they take secrets.
pub(super) const CALLS: &[(&str, Args)] = &[
    ("sp_addlogin", Args::At(1)),
    ("sp_addapprole", Args::At(1)),
    ("sp_setapprole", Args::At(1)),
    ("sp_unsetapprole", Args::Named(0, "@cookie")),
    ("sp_addlinkedsrvlogin", Args::At(4)),
    ("sp_adddistributor", Args::At(2)),
    ("sp_adddistpublisher", Args::At(4)),
    ("sp_changedistpublisher", Args::Named(2, "@value")),
    (
        "sp_change_subscription_properties",
        Args::Named(4, "@value"),
    ),
    ("sp_xp_cmdshell_proxy_account", Args::At(1)),
    ("sp_change_users_login", Args::At(3)),
    ("sp_addsubscriber", Args::At(3)),
    ("sp_changesubscriber", Args::At(3)),
    ("sp_link_publication", Args::At(5)),
    ("sysmail_add_account_sp", Args::At(9)),
    ("sysmail_update_account_sp", Args::At(10)),
    ("xp_sqlagent_proxy_account", Args::At(3)),
    ("decryptbycert", Args::At(2)),
    ("decryptbyasymkey", Args::At(2)),
    ("decryptbykeyautocert", Args::At(1)),
    ("decryptbykeyautoasymkey", Args::At(1)),
    ("signbycert", Args::At(2)),
    ("signbyasymkey", Args::At(2)),
    ("openrowset", Args::Third),
    ("opendatasource", Args::Third),
    ("sp_executesql", Args::Executed),
];

/// Words with which another statement begins.
const STATEMENTS: &[&str] = &[
    "alter",
    "backup",
    "begin",
    "close",
    "commit",
    "create",
    "declare",
    "delete",
    "deny",
    "drop",
    "exec",
    "execute",
    "fetch",
    "go",
    "goto",
    "grant",
    "if",
    "insert",
    "kill",
    "merge",
    "open",
    "print",
    "raiserror",
    "restore",
    "return",
    "revert",
    "revoke",
    "rollback",
    "save",
    "set",
    "throw",
    "truncate",
    "update",
    "use",
    "waitfor",
    "while",
];

/// Words with which another part of a statement begins.
const CLAUSES: &[&str] = &[
    "and",
    "or",
    "select",
    "from",
    "where",
    "group",
    "order",
    "having",
    "union",
    "except",
    "intersect",
    "join",
    "on",
    "into",
    "option",
];

/// Words that stand for no text where an argument is expected.
const NO_TEXT: &[&str] = &[
    "null", "default", "out", "output", "encrypt", "true", "false",
];

/// What a word is in a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It begins a statement.
    Statement,
    /// It begins a part of one.
    Clause,
    /// It is a name, or another word.
    Other,
}

/// What a word in small letters is in a statement.
pub(super) fn role(word: &str) -> Role {
    if STATEMENTS.contains(&word) {
        Role::Statement
    } else if CLAUSES.contains(&word) {
        Role::Clause
    } else {
        Role::Other
    }
}

/// Whether a word without quotes can be a text, as it can among the arguments of a procedure.
pub(super) fn is_text(word: &str) -> bool {
    !word.starts_with('@') && !NO_TEXT.contains(&word) && role(word) == Role::Other
}

/// Whether a name in small letters has a word of secrets in it, or is that of a variable for a password.
pub(super) fn has_word(name: &str) -> bool {
    WORDS.iter().any(|word| name.contains(word)) || is_short(name)
}

fn is_short(name: &str) -> bool {
    name.strip_prefix('@')
        .and_then(|name| name.rsplit(['_', '@']).next())
        .is_some_and(|last| SHORT.contains(&last))
}

/// The secret arguments of what has a name in small letters, without what qualifies it.
pub(super) fn call(name: &str) -> Option<Args> {
    let found = CALLS.iter().find(|(call, _)| *call == name);
    found.map(|(_, args)| *args)
}

/// Whether a text in small letters has a word of secrets, or the name of what takes them, anywhere in it.
pub(super) fn tells(text: &str) -> bool {
    let mut takers = CALLS.iter().filter(|(_, args)| *args != Args::Executed);
    let mut names = text.split(|sign: char| !sign.is_alphanumeric() && !"@_#$".contains(sign));
    has_word(text) || takers.any(|(name, _)| text.contains(name)) || names.any(is_short)
}

/// With what every word and every call of the tables begins or goes on, by its first letter.
fn stems(first: u8) -> &'static [&'static [u8]] {
    match first.to_ascii_lowercase() {
        b'p' => &[b"passw", b"pwd", b"passphrase"],
        b's' => &[
            b"secret",
            b"sp_add",
            b"sp_setapp",
            b"sp_unset",
            b"sp_change",
            b"sp_xp_cmd",
            b"sp_link_pub",
            b"sysmail_",
            b"signby",
            b"sharedaccesskey",
        ],
        b'a' => &[b"accountkey", b"accesstoken", b"access_token"],
        b'c' => &[b"cookie"],
        b'd' => &[b"decryptby"],
        b'k' => &[b"key_source"],
        b'o' => &[b"openrowset", b"opendatasource"],
        b'x' => &[b"xp_sqlagent"],
        b'@' => &[b"@pw", b"@pass"],
        b'_' => &[b"_pw", b"_pass"],
        _ => &[],
    }
}

/// Whether one of the words stands in bytes, as UTF-16LE or in one byte a character, in any letter case. Text without
/// them has no secrets, which is told of most texts at little cost.
pub(super) fn is_in(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let [first, behind @ ..] = rest {
        let stems = stems(*first);
        if !stems.is_empty() {
            let step = if behind.first() == Some(&0) { 2 } else { 1 };
            if stems.iter().any(|stem| stands_at(rest, stem, step)) {
                return true;
            }
        }
        rest = behind;
    }
    false
}

/// Whether bytes begin with a word whose letters are `step` bytes apart.
fn stands_at(bytes: &[u8], word: &[u8], step: usize) -> bool {
    let mut letters = bytes.iter().step_by(step);
    word.iter().all(|letter| {
        letters
            .next()
            .is_some_and(|byte| byte.eq_ignore_ascii_case(letter))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_and_call_is_found_in_bytes() {
        let calls = CALLS.iter().filter(|(_, args)| *args != Args::Executed);
        for word in WORDS.iter().chain(calls.map(|(name, _)| name)) {
            for text in [format!("x {word}="), format!("[{}]", word.to_uppercase())] {
                assert!(is_in(text.as_bytes()), "{word}");
                let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
                assert!(is_in(&wide), "{word}");
                assert!(is_in(&[&[0], &wide[..]].concat()), "{word}");
            }
        }
        for variable in ["@pw", "@pass", "@new_pw", "@db_pass"] {
            assert!(
                has_word(variable) && is_in(variable.as_bytes()),
                "{variable}"
            );
        }
        for other in ["pass", "@passes", "@bypass", "@pwr", "@pw_count", "user_pw"] {
            assert!(!has_word(other), "{other}");
        }
        assert!(!is_in(b"select pass, w from sp where a = 'secre'"));
    }
}
