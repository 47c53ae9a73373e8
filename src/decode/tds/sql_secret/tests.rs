//! Transact-SQL with secrets in it: what is left to read.

use super::*;

/// A text as it is shown, secrets as `***`.
fn masked(text: &str, reading: Reading) -> String {
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let secrets = find(&wide, Width::Wide, reading);
    let mut out = String::new();
    let mut at = 0;
    for range in &secrets.ranges {
        out.push_str(&utf16(&wide[at..range.start]));
        out.push_str("***");
        at = range.end;
    }
    out.push_str(&utf16(&wide[at..]));
    // What is stored in bytes is read in the same way.
    if text.is_ascii() {
        let narrow = find(text.as_bytes(), Width::Narrow, reading);
        let doubled = |range: &Range<usize>| 2 * range.start..2 * range.end;
        let ranges: Vec<_> = narrow.ranges.iter().map(doubled).collect();
        assert_eq!(ranges, secrets.ranges, "{text}");
    }
    out
}

fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(masked(text, Reading::Statement), *expected, "{text}");
    }
}

fn unchanged(cases: &[&str]) {
    for text in cases {
        assert_eq!(masked(text, Reading::Statement), *text);
    }
}

#[test]
fn passwords_of_logins_and_users_are_hidden() {
    check(&[
        (
            "ALTER LOGIN x WITH PASSWORD = N'secret' OLD_PASSWORD = 'o''ld', DEFAULT_DATABASE = [y]",
            "ALTER LOGIN x WITH PASSWORD = N'***' OLD_PASSWORD = '***', DEFAULT_DATABASE = [y]",
        ),
        (
            "create login x with password=0x0200AB12 hashed, sid = 0x11AA, check_policy = off",
            "create login x with password=0x*** hashed, sid = 0x11AA, check_policy = off",
        ),
        (
            "create login x with password = 0x02\\\r\n00AB hashed",
            "create login x with password = 0x*** hashed",
        ),
        (
            "CREATE USER u WITH PASSWORD\r\n\t=\r\n\t'a''b' -- it's new\r\n, DEFAULT_SCHEMA = dbo; select 'c'",
            "CREATE USER u WITH PASSWORD\r\n\t=\r\n\t'***' -- it's new\r\n, DEFAULT_SCHEMA = dbo; select 'c'",
        ),
        (
            "alter user u with password /* x */ = /* '*/ \"pw\" old_password=\"o\"",
            "alter user u with password /* x */ = /* '*/ \"***\" old_password=\"***\"",
        ),
        (
            "ALTER APPLICATION ROLE r WITH NAME = s, PASSWORD = 'p', DEFAULT_SCHEMA = t",
            "ALTER APPLICATION ROLE r WITH NAME = s, PASSWORD = '***', DEFAULT_SCHEMA = t",
        ),
        (
            "alter login x with password = hunter2",
            "alter login x with password = ***",
        ),
    ]);
}

#[test]
fn secrets_of_keys_credentials_and_backups_are_hidden() {
    check(&[
        (
            "CREATE CREDENTIAL c WITH IDENTITY = 'joe', SECRET = 'sv=1&sig=x'",
            "CREATE CREDENTIAL c WITH IDENTITY = 'joe', SECRET = '***'",
        ),
        (
            "OPEN SYMMETRIC KEY k DECRYPTION BY PASSWORD = 'p' select 'a'",
            "OPEN SYMMETRIC KEY k DECRYPTION BY PASSWORD = '***' select 'a'",
        ),
        (
            "alter certificate c with private key (decryption by password = 'a', encryption by password = 'b')",
            "alter certificate c with private key (decryption by password = '***', encryption by password = '***')",
        ),
        (
            "CREATE SYMMETRIC KEY k WITH KEY_SOURCE = 'phrase', IDENTITY_VALUE = 'v' ENCRYPTION BY PASSWORD = 'p'",
            "CREATE SYMMETRIC KEY k WITH KEY_SOURCE = '***', IDENTITY_VALUE = 'v' ENCRYPTION BY PASSWORD = '***'",
        ),
        (
            "BACKUP DATABASE d TO DISK = 'f.bak' WITH PASSWORD = 'a', MEDIAPASSWORD = N'b', NAME = 'n'",
            "BACKUP DATABASE d TO DISK = 'f.bak' WITH PASSWORD = '***', MEDIAPASSWORD = N'***', NAME = 'n'",
        ),
        ("REVERT WITH COOKIE = 0xABCD", "REVERT WITH COOKIE = 0x***"),
        (
            "select encryptbypassphrase('p', 'clear'), pwdcompare(N'a', h), 'x'",
            "select encryptbypassphrase('***', '***'), pwdcompare(N'***', h), 'x'",
        ),
        (
            "select DecryptByCert(Cert_Id('c'), @c, N'p'), signbyasymkey(asymkey_id('k'), 'd', 'p')",
            "select DecryptByCert(Cert_Id('c'), @c, N'***'), signbyasymkey(asymkey_id('k'), 'd', '***')",
        ),
    ]);
}

#[test]
fn arguments_of_procedures_that_take_secrets_are_hidden() {
    check(&[
        ("sp_addlogin 'u','pw','db'", "sp_addlogin 'u','***','db'"),
        (
            "exec master..sp_addlogin u, hunter2, db",
            "exec master..sp_addlogin u, ***, db",
        ),
        (
            "exec \"sp_addlogin\" 'u', 'pw', 'db'",
            "exec \"sp_addlogin\" 'u', '***', 'db'",
        ),
        (
            "exec master..\"sp_addlogin\" 'u', 'pw', 'db'",
            "exec master..\"sp_addlogin\" 'u', '***', 'db'",
        ),
        (
            "exec sp_change_users_login 'Auto_Fix', 'u', NULL, 'pw'",
            "exec sp_change_users_login 'Auto_Fix', 'u', NULL, '***'",
        ),
        (
            "exec msdb.dbo.sysmail_add_account_sp 'a','e@x','d','r','','s','SMTP',25,'u','pw',0",
            "exec msdb.dbo.sysmail_add_account_sp 'a','e@x','d','r','','s','SMTP',25,'u','***',0",
        ),
        (
            "exec sysmail_update_account_sp 1,'a','e@x','d','r','','s','SMTP',25,'u','pw',0",
            "exec sysmail_update_account_sp 1,'a','e@x','d','r','','s','SMTP',25,'u','***',0",
        ),
        (
            "exec xp_sqlagent_proxy_account N'SET', N'd', N'u', N'pw'",
            "exec xp_sqlagent_proxy_account N'SET', N'd', N'u', N'***'",
        ),
        (
            "exec sp_addsubscriber 's', 0, 'u', 'pw' exec sp_changesubscriber 's', 0, 'u', 'pw', 1",
            "exec sp_addsubscriber 's', 0, 'u', '***' exec sp_changesubscriber 's', 0, 'u', '***', 1",
        ),
        (
            "exec sp_link_publication 'p', 'd', 'x', 0, 'u', 'pw', 's'",
            "exec sp_link_publication 'p', 'd', 'x', 0, 'u', '***', 's'",
        ),
        (
            "exec sp_executesql N'exec sp_addlogin @u, @p', N'@u sysname, @p sysname', 'u', 'pw'",
            "exec sp_executesql N'exec sp_addlogin @u, @p', N'@u sysname, @p sysname', '***', '***'",
        ),
        (
            "EXEC sp_addlogin @loginame = 'u', @passwd = 'pw', @defdb = 'db'",
            "EXEC sp_addlogin @loginame = 'u', @passwd = '***', @defdb = 'db'",
        ),
        (
            "exec sp_password 'old','new','u'",
            "exec sp_password '***','***','***'",
        ),
        ("sp_password 'old','new'", "sp_password '***','***'"),
        (
            "exec @rc = sys.sp_password null, 'new' print 'x'",
            "exec @rc = sys.sp_password null, '***' print 'x'",
        ),
        (
            "{call sp_password('old','new')}",
            "{call sp_password('***','***')}",
        ),
        (
            "exec sp_addlinkedsrvlogin @rmtsrvname = N's', @rmtuser = N'u', @rmtpassword = 'p'",
            "exec sp_addlinkedsrvlogin @rmtsrvname = N's', @rmtuser = N'u', @rmtpassword = '***'",
        ),
        (
            "exec sp_addlinkedsrvlogin 's','false',null,'u','p'",
            "exec sp_addlinkedsrvlogin 's','false',null,'u','***'",
        ),
        (
            "exec [sp_setapprole] 'r', {Encrypt N'p'}, 'odbc'",
            "exec [sp_setapprole] 'r', {Encrypt N'***'}, 'odbc'",
        ),
        (
            "exec sp_setapprole r, @password = p",
            "exec sp_setapprole r, @password = ***",
        ),
        (
            "exec sp_change_subscription_properties @property = N'x', @value = N'p'",
            "exec sp_change_subscription_properties @property = N'x', @value = N'***'",
        ),
        (
            "exec dbo.ResetPassword 'joe', 'new'",
            "exec dbo.ResetPassword '***', '***'",
        ),
        (
            "exec sp_executesql N'select 1 where password = @p and x = @q', N'@p int, @q int', 'pw', 'x'",
            "exec sp_executesql N'select 1 where password = ***', N'@p int, @q int', '***', '***'",
        ),
    ]);
}

#[test]
fn passwords_in_connection_strings_are_hidden() {
    check(&[
        (
            "select * from OPENROWSET('MSOLEDBSQL','server';'user';'pw', 'select 1')",
            "select * from OPENROWSET('MSOLEDBSQL','server';'user';'***', 'select 1')",
        ),
        (
            "select * from OPENDATASOURCE('SQLNCLI', 'Server=s;UID=u;PWD=p w;Database=d').d.dbo.t",
            "select * from OPENDATASOURCE('SQLNCLI', 'Server=s;UID=u;PWD=***;Database=d').d.dbo.t",
        ),
        (
            "exec x 'Password = it''s;App=y', 'z'",
            "exec x 'Password = ***', 'z'",
        ),
        ("exec x 'PWD={a;b}}c};App=y'", "exec x 'PWD=***;App=y'"),
        (
            "exec x 'Password=\"a;b\";App=y'",
            "exec x 'Password=\"***\";App=y'",
        ),
        (
            "set @j = '{\"name\":\"joe\",\"password\":\"x\"}'",
            "set @j = '{\"name\":\"joe\",\"password\":\"***\"}'",
        ),
        (
            "set @x = '<a><password>x</password></a>'",
            "set @x = '<a><password>***</password></a>'",
        ),
    ]);
    assert_eq!(
        masked("Server=s;pwd=x;App=y", Reading::Value),
        "Server=s;pwd=***;App=y"
    );
    assert_eq!(masked("Password=x", Reading::Value), "Password=***");
}

#[test]
fn literals_compared_with_a_password_are_hidden() {
    check(&[
        (
            "select * from users where name = 'joe' and password = 'x' and city = 'y'",
            "select * from users where name = 'joe' and password = '***' and city = 'y'",
        ),
        (
            "select 1 where 'x' = u.[password] and a = 'b'",
            "select 1 where '***' = u.[password] and a = 'b'",
        ),
        (
            "select 1 where a = 'b' and hashbytes('MD5', 'x') = lower(password)",
            "select 1 where a = 'b' and hashbytes('***', '***') = lower(password)",
        ),
        (
            "select 1 where password in ('a', 'b') or c = 'd'",
            "select 1 where password in ('***', '***') or c = 'd'",
        ),
        (
            "select 1 where password between 'a' and 'b' and c = 'd'",
            "select 1 where password between '***' and '***' and c = 'd'",
        ),
        (
            "select 1 where isnull(password, '') = 'x'",
            "select 1 where isnull(password, '') = '***'",
        ),
        (
            "update t set password = 'x' + 'y', city = 'z'",
            "update t set password = '***' + '***', city = 'z'",
        ),
        (
            "declare @pwd nvarchar(50) = N'x', @a int",
            "declare @pwd nvarchar(50) = N'***', @a int",
        ),
        (
            "insert t (name, password) values ('a', 'b'), ('c', 'd')",
            "insert t (name, password) values ('a', '***'), ('c', '***')",
        ),
        (
            "insert top (5) into t (a, pwd, b) output inserted.id values ('a', f('b', 'c'), 'd'), ('e', 'f')",
            "insert top (5) into t (a, pwd, b) output inserted.id values ('a', f('***', '***'), 'd'), ('***', '***')",
        ),
        (
            "insert into passwords (a) values ('b'); insert t (a, cookie) values ('c', 'd')",
            "insert into passwords (a) values ('***'); insert t (a, cookie) values ('c', 'd')",
        ),
        (
            "insert into t (password) select 'a' union select 'b'",
            "insert into t (password) select '***' union select '***'",
        ),
        (
            "select 1 where password = 123456",
            "select 1 where password = ***",
        ),
    ]);
}

#[test]
fn texts_without_secrets_stay_as_they_are() {
    unchanged(&[
        "select password from users",
        "select name, password from users where name = 'joe'",
        "select password, 'x' from users order by password, name",
        "create table t (password nvarchar(50) not null)",
        "select 1 where password = @p and len(password) > 8",
        "select 1 where u.password = v.password and name = 'joe'",
        "create login x from windows with default_database = [y]",
        "alter login x with password = ''",
        "select 'a', [b], \"c\" from t where d = 0x12",
        "passw",
        "",
    ]);
}

#[test]
fn what_a_literal_leaves_open_is_secret_to_the_end() {
    check(&[
        (
            "alter login x with password = N'sec",
            "alter login x with password = N'***",
        ),
        (
            "alter login x with password = 'it's secret', a = b",
            "alter login x with password = '***",
        ),
        (
            "alter login x with password = \u{2018}secret\u{2019}",
            "alter login x with password = \u{2018}***",
        ),
        (
            "exec('alter login x with password = ''se",
            "exec('alter login x with password = ''***",
        ),
        ("exec x 'Server=s;PWD=se", "exec x 'Server=s;PWD=***"),
    ]);
}

#[test]
fn texts_in_texts_and_comments_are_read_too() {
    check(&[
        (
            "exec('alter login x with password = ''se''''cret'', a = b')",
            "exec('alter login x with password = ''***'', a = b')",
        ),
        (
            "exec('exec(''alter login x with password = ''''secret'''''')')",
            "exec('exec(''alter login x with password = ''''***'''''')')",
        ),
        (
            "exec('alter login x with password = ''' + 'secret' + ''' ')",
            "exec('alter login x with password = ''' + '***' + '***')",
        ),
        (
            "set @c = 'Server=s;PWD=' + 'x' + ';App=y'",
            "set @c = 'Server=s;PWD=' + '***' + '***'",
        ),
        (
            "/* alter login x with password = 'a' */ select 'b'",
            "/* alter login x with password = '***' */ select 'b'",
        ),
        (
            "/* old: PWD=a;b */ select 1",
            "/* old: PWD=***;b */ select 1",
        ),
        (
            "-- password = 'a'\r\nselect 'b' /* /* */ ' */, 'c'",
            "-- password = '***'\r\nselect 'b' /* /* */ ' */, 'c'",
        ),
    ]);
}

/// Statements of the reference, `~` for a secret and a space for what may stand between two words.
const STATEMENTS: &[&str] = &[
    "alter login x with password = ~",
    "alter login x with password = ~ old_password = ~",
    "alter login x with password = ~ must_change unlock, check_policy = off",
    "create login x with password = ~, sid = 0x01",
    "create user x with password = ~, default_schema = dbo",
    "alter user x with name = y, password = ~ old_password = ~",
    "create application role r with password = ~, default_schema = s",
    "create credential c with identity = 'i', secret = ~",
    "create database scoped credential c with identity = 'i', secret = ~",
    "alter credential c with identity = 'i' , secret = ~",
    "create master key encryption by password = ~",
    "open master key decryption by password = ~",
    "alter master key drop encryption by password = ~",
    "restore master key from file = 'f' decryption by password = ~ encryption by password = ~ force",
    "alter service master key with old_account = 'a', old_password = ~",
    "create symmetric key k with algorithm = AES_256, key_source = ~ encryption by password = ~",
    "open symmetric key k decryption by certificate c with password = ~",
    "create asymmetric key k from file = 'f' encryption by password = ~",
    "create certificate c from file = 'f' with private key ( file = 'f', decryption by password = ~, encryption by password = ~ )",
    "backup certificate c to file = 'f' with private key ( encryption by password = ~, file = 'f' )",
    "backup database d to disk = 'f' with mediapassword = ~, password = ~",
    "copy into t from 'u' with ( credential = ( identity = 'i', secret = ~ ) )",
    "exec sp_addlogin 'u', ~, 'd'",
    "exec sp_addlogin @passwd = ~, @loginame = 'u'",
    "execute @r = master.dbo.sp_password ~, ~, 'u'",
    "exec sp_password @new = ~, @loginame = 'u', @old = ~",
    "exec sp_addapprole 'r', ~",
    "exec sp_approlepassword 'r', ~",
    "exec sp_setapprole 'r', {encrypt ~} , 'odbc'",
    "exec sp_addlinkedsrvlogin 's', 'false', null, 'u', ~",
    "exec sp_addlinkedsrvlogin @rmtpassword = ~, @rmtsrvname = 's'",
    "exec sp_adddistributor @distributor = 'd', @password = ~",
    "exec sp_adddistpublisher 'p', 'd', 0, 'l', ~",
    "exec sp_changedistpublisher 'p', 'password', ~",
    "exec sp_change_subscription_properties @property = 'publisher_password', @value = ~",
    "exec sp_changereplicationserverpasswords @login_type = 0, @login = 'l', @password = ~",
    "exec sp_control_dbmasterkey_password @db_name = 'd', @password = ~, @action = 'add'",
    "exec sp_xp_cmdshell_proxy_account 'u', ~",
    "exec msdb.dbo.sysmail_add_account_sp @username = 'u', @password = ~",
    "select * from openrowset ( 'p', 's' ; 'u' ; ~, 'q' ) as a",
    "select * from opendatasource ( 'p', 's' ; 'u' ; ~ ).d.s.t where pwd = ~",
    "select decryptbycert ( cert_id ( 'c' ), @c, ~ )",
    "select decryptbykeyautocert ( cert_id ( 'c' ), ~, c )",
    "select signbyasymkey ( 1, @d, ~ )",
    "select encryptbypassphrase ( ~, @c )",
    "select pwdcompare ( ~, h )",
    "select 1 where ~ = u . [password]",
    "if not exists ( select 1 from t where lower ( password ) = lower ( ~ ) ) print 'no'",
    "merge t using s on a = b when not matched then insert ( a, pwd ) values ( 1, ~ )",
];

#[test]
fn statements_of_the_reference_show_no_secret() {
    let separators = [" ", "\r\n\t ", " /* it's */ ", "-- don't\n", "/**/"];
    let secrets = [
        "'Tr0ub4dor'",
        "N'Tr0ub4dor'",
        "N'''Tr0ub''4dor'",
        "N'Tr0ub;4dor'",
    ];
    for statement in STATEMENTS {
        for (round, separator) in separators.iter().enumerate() {
            for secret in secrets {
                let mut text = statement.replace(' ', separator);
                if round % 2 == 1 {
                    text = text.to_uppercase();
                }
                text = text.replace('~', secret);
                for level in 0..4 {
                    let shown = masked(&text, Reading::Statement);
                    let seen = ["Tr0", "ub4", "4dor", "r0ub"]
                        .iter()
                        .any(|part| shown.contains(part));
                    assert!(!seen, "level {level}: {text}\n{shown}");
                    text = format!("exec ('{}')", text.replace('\'', "''"));
                }
            }
        }
    }
}

#[test]
fn variables_that_stand_for_secrets_are_named() {
    let text = "update t set Password = @P2, c = @P3 where @P4 = password; insert t (a, pwd) values (@p5, @p6)";
    let secrets = find(text.as_bytes(), Width::Narrow, Reading::Statement);
    assert_eq!(secrets.variables, ["@p2", "@p4", "@p6"]);
}

#[test]
fn of_a_piece_only_sql_without_literals_is_harmless() {
    let harmless = |text: &str, skip: usize| {
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let piece = &wide[skip..];
        utf16(&piece[harmless_piece(piece)])
    };
    let sql = "le from haystack where needle > 1";
    assert_eq!(harmless(sql, 0), " from haystack where needle > ");
    assert_eq!(harmless(sql, 1), " from haystack where needle > ");
    for other in [
        "",
        "orrect horse battery stapl",
        "cret', default_database = x from",
        "from t where password = @p and",
        "a from t where b = 0x0102 and",
        "a from t where b = 12345 and",
        "ret\" from t where",
    ] {
        assert_eq!(harmless(other, 0), "", "{other}");
    }
}

#[test]
fn many_secrets_are_one_to_the_end() {
    let text = "insert t (password) values ".to_owned() + &"('abcd'),".repeat(2000);
    let secrets = find(text.as_bytes(), Width::Narrow, Reading::Statement);
    assert_eq!(secrets.ranges.len(), MOST);
    assert_eq!(secrets.ranges.last().unwrap().end, text.len());
}

#[test]
fn long_texts_are_read_in_little_time() {
    for part in [
        "password=",
        "'x'=password.",
        "sp_addlogin ",
        "(password=",
        "((('",
        "/**/",
        "a.password.",
        "'''",
        "[password",
    ] {
        let text = part.repeat((1 << 16) / part.len());
        let start = std::time::Instant::now();
        find(text.as_bytes(), Width::Narrow, Reading::Value);
        assert!(start.elapsed().as_secs() < 20, "{part}");
    }
}

proptest::proptest! {
    #[test]
    fn ranges_are_in_order_and_within_the_text(
        parts in proptest::collection::vec(
            proptest::sample::select(vec![
                "password", "=", "'", "''", "N'", "\"", "[", "]", "(", ")", ",", ";", " ", "insert t", "values", "pwd",
                "exec", "sp_addlogin", "openrowset", "@p", "0x12", "12345", "--", "\n", "/*", "*/", "{", "}", "select",
                ".", "<", ">", "\u{2018}", "\u{1f600}", "and", "between", "sp_executesql", "a",
            ]),
            0..60,
        ),
        cut in 0_usize..4,
    ) {
        let wide: Vec<u8> = parts.concat().encode_utf16().flat_map(u16::to_le_bytes).collect();
        let text = &wide[..wide.len().saturating_sub(cut)];
        for reading in [Reading::Statement, Reading::Value] {
            let mut at = 0;
            for range in find(text, Width::Wide, reading).ranges {
                proptest::prop_assert!(at <= range.start && range.start < range.end);
                proptest::prop_assert!(range.end <= text.len() && range.start % 2 == 0);
                at = range.end + 1;
            }
            shown(text, reading);
        }
        let piece = harmless_piece(text);
        proptest::prop_assert!(piece.start <= piece.end && piece.end <= text.len());
    }
}

#[test]
fn what_is_given_to_variables_for_passwords_is_hidden() {
    check(&[
        (
            "declare @pw nvarchar(20) = 'a1b2', @b varchar(9) = 'hello'",
            "declare @pw nvarchar(20) = '***', @b varchar(9) = 'hello'",
        ),
        (
            "set @pass = 'a1b2' print 'x'",
            "set @pass = '***' print 'x'",
        ),
        (
            "select @db_pw = N'a1b2', @name = 'joe'",
            "select @db_pw = N'***', @name = 'joe'",
        ),
        (
            "declare @p nvarchar(20) = 'a1b2', @n sysname = 'joe'; exec sp_addlogin @n, @p",
            "declare @p nvarchar(20) = '***', @n sysname = 'joe'; exec sp_addlogin @n, @p",
        ),
        (
            "declare @p as sys.nvarchar(max) = N'a1b2' update u set password = @p where name = 'joe'",
            "declare @p as sys.nvarchar(max) = N'***' update u set password = @p where name = 'joe'",
        ),
        (
            "set @p = 'a1'; set @p += 'b2'; set @q = upper(@p); set @n = 'joe'; update u set name = @n, pwd = @q",
            "set @p = '***'; set @p += '***'; set @q = upper(@p); set @n = 'joe'; update u set name = @n, pwd = @q",
        ),
        (
            "declare @p sysname = N'a1b2' exec (N'create login x with password = ''' + @p + '''')",
            "declare @p sysname = N'***' exec (N'create login x with password = ''' + @p + '***')",
        ),
    ]);
    unchanged(&[
        "declare @bypass varchar(3) = 'yes', @passes int = 12345, @pw_mode varchar(9) = 'strict'",
        "declare @p varchar(9) = 'joe' select password from u where name = @p and kind = 'x'",
        "select pass from exams where pass = 'yes'",
        "insert into u (name, password) values (@n, @p) select @m = 'hello' where @n in ('a', 'b')",
    ]);
}
