//! Words for coded values, as Wireshark prints them (so that a filter may compare with the word) or, where it has
//! none, as [MS-TDS] names them.

/// The word for a field's value.
pub fn word(name: &str, value: u64) -> Option<&'static str> {
    values(name)
        .iter()
        .find(|(code, _)| *code == value)
        .map(|(_, word)| *word)
}

/// All codes of a field with their words; empty where it has none. A code may have several words, the one to
/// show first.
pub fn values(name: &str) -> &'static [(u64, &'static str)] {
    match name {
        "tds.type" => TDS_TYPE,
        "tds.prelogin.option.token" => PRELOGIN_TOKEN,
        "tds.prelogin.option.encryption" => ENCRYPTION,
        "tds.prelogin.option.mars" => &[(0, "Off"), (1, "On")],
        "tds.rpc.proc_id" => PROC_ID,
        "tds.rpc.separator" => &[
            (128, "Batch flag"),
            (255, "Batch flag 7.2"),
            (254, "No exec flag"),
        ],
        "tds.transmgr" => TRANSMGR,
        "tds.transmgr.isolation" => ISOLATION,
        "tds.all_headers.header.type" => &[
            (1, "Query notifications"),
            (2, "Transaction descriptor"),
            (3, "Trace activity"),
        ],
        "tds.envchange.type" => ENVCHANGE,
        "tds.featureextack.featureid" | "tds.7login.feature" => FEATURE,
        "tds.done.curcmd" | "tds.doneproc.curcmd" | "tds.doneinproc.curcmd" => CURCMD,
        "tls.record.content_type" | "tls.record.opaque_type" => &[
            (20, "Change Cipher Spec"),
            (21, "Alert"),
            (22, "Handshake"),
            (23, "Application Data"),
            (24, "Heartbeat"),
            (25, "Connection ID"),
        ],
        "tls.handshake.type" => HANDSHAKE,
        "tls.alert_message.level" => &[(1, "Warning"), (2, "Fatal")],
        "ntlmssp.messagetype" => &[
            (1, "NTLMSSP_NEGOTIATE"),
            (2, "NTLMSSP_CHALLENGE"),
            (3, "NTLMSSP_AUTH"),
            (4, "NTLMSSP_UNKNOWN"),
        ],
        "spnego.state" => &[
            (0, "accept-completed"),
            (1, "accept-incomplete"),
            (2, "reject"),
            (3, "request-mic"),
        ],
        "ip.proto" | "ipv6.nxt" => &[(1, "ICMP"), (6, "TCP"), (17, "UDP"), (58, "ICMPv6")],
        "ip.checksum.status" | "tcp.checksum.status" => &[
            (0, "Bad"),
            (1, "Good"),
            (2, "Unverified"),
            (3, "Not present"),
            (4, "Illegal"),
        ],
        "eth.type" | "sll.etype" => &[
            (0x0800, "IPv4"),
            (0x0806, "ARP"),
            (0x8100, "802.1Q VLAN"),
            (0x86dd, "IPv6"),
            (0x88a8, "802.1ad VLAN"),
        ],
        _ => &[],
    }
}

const TDS_TYPE: &[(u64, &str)] = &[
    (1, "SQL batch"),
    (2, "TDS4/5 login"),
    (3, "Remote Procedure Call"),
    (3, "rpc"),
    (4, "Response"),
    (6, "Attention"),
    (7, "Bulk load data"),
    (8, "Federated authentication token"),
    (14, "Transaction Manager Request"),
    (15, "TDS5 query"),
    (16, "TDS7 login"),
    (17, "SSPI message"),
    (18, "TDS7 pre-login message"),
    (23, "TLS exchange"),
    (5, "Unused"),
    (8, "Unused"),
    (9, "Unused"),
    (10, "Unused"),
    (11, "Unused"),
    (12, "Unused"),
    (13, "Unused"),
];

const PRELOGIN_TOKEN: &[(u64, &str)] = &[
    (0, "Version"),
    (1, "Encryption"),
    (2, "InstOpt"),
    (3, "ThreadID"),
    (4, "MARS"),
    (5, "TraceID"),
    (6, "FedAuthRequired"),
    (7, "NonceOpt"),
    (255, "Terminator"),
];

const ENCRYPTION: &[(u64, &str)] = &[
    (0, "Encryption is available but off"),
    (1, "Encryption is available and on"),
    (2, "Encryption is not available"),
    (3, "Encryption is required"),
    (0x80, "Encryption off, with a client certificate"),
    (0x81, "Encryption on, with a client certificate"),
    (0x83, "Encryption required, with a client certificate"),
];

const PROC_ID: &[(u64, &str)] = &[
    (1, "sp_cursor"),
    (2, "sp_cursoropen"),
    (3, "sp_cursorprepare"),
    (4, "sp_cursorexecute"),
    (5, "sp_cursorprepexec"),
    (6, "sp_cursorunprepare"),
    (7, "sp_cursorfetch"),
    (8, "sp_cursoroption"),
    (9, "sp_cursorclose"),
    (10, "sp_executesql"),
    (11, "sp_prepare"),
    (12, "sp_execute"),
    (13, "sp_prepexec"),
    (14, "sp_prepexecrpc"),
    (15, "sp_unprepare"),
];

const TRANSMGR: &[(u64, &str)] = &[
    (0, "TM_GET_DTC_ADDRESS"),
    (1, "TM_PROPAGATE_XACT"),
    (5, "TM_BEGIN_XACT"),
    (6, "TM_PROMOTE_XACT"),
    (7, "TM_COMMIT_XACT"),
    (8, "TM_ROLLBACK_XACT"),
    (9, "TM_SAVE_XACT"),
];

const ISOLATION: &[(u64, &str)] = &[
    (0, "unchanged"),
    (1, "read uncommitted"),
    (2, "read committed"),
    (3, "repeatable read"),
    (4, "serializable"),
    (5, "snapshot"),
];

const ENVCHANGE: &[(u64, &str)] = &[
    (1, "Database"),
    (2, "Language"),
    (3, "Character set"),
    (4, "Packet size"),
    (5, "Unicode data sorting local id"),
    (6, "Unicode data sorting comparison flags"),
    (7, "SQL Collation"),
    (8, "Begin Transaction"),
    (9, "Commit Transaction"),
    (10, "Rollback Transaction"),
    (11, "Enlist DTC Transaction"),
    (12, "Defect Transaction"),
    (13, "Real Time Log Shipping"),
    (15, "Promote Transaction"),
    (16, "Transaction Manager Address"),
    (17, "Transaction ended"),
    (
        18,
        "RESETCONNECTION/RESETCONNECTIONSKIPTRAN Completion Acknowledgement",
    ),
    (
        19,
        "Sends back name of user instance started per login request",
    ),
    (20, "Sends routing information to client"),
    (21, "Enhanced routing"),
];

const FEATURE: &[(u64, &str)] = &[
    (0, "Reserved"),
    (1, "SessionRecovery"),
    (2, "FedAuth"),
    (4, "ColumnEncryption"),
    (5, "GlobalTransactions"),
    (8, "AzureSQLSupport"),
    (9, "DataClassification"),
    (10, "UTF8Support"),
    (11, "AzureSQLDNSCaching"),
    (13, "JSONSupport"),
    (14, "VectorSupport"),
    (15, "EnhancedRoutingSupport"),
    (16, "UserAgent"),
    (255, "Terminator"),
];

const CURCMD: &[(u64, &str)] = &[
    (0xc1, "SELECT"),
    (0xc2, "SELECT INTO"),
    (0xc3, "INSERT"),
    (0xc4, "DELETE"),
    (0xc5, "UPDATE"),
    (0xc6, "CREATE TABLE"),
    (0xc7, "DROP TABLE"),
    (0xc8, "CREATE INDEX"),
    (0xc9, "DROP INDEX"),
    (0xcb, "CREATE DATABASE"),
    (0xcc, "DROP DATABASE"),
    (0xcd, "GRANT"),
    (0xce, "REVOKE"),
    (0xcf, "CREATE VIEW"),
    (0xd0, "DROP VIEW"),
    (0xd8, "ALTER TABLE"),
    (0xdd, "CREATE TRIGGER"),
    (0xde, "CREATE PROC"),
    (0xdf, "DROP PROC"),
    (0xe0, "EXECUTE"),
    (0xe1, "DROP TRIGGER"),
    (0xe6, "DBCC"),
    (0xf0, "BULK INSERT"),
    (0x117, "MERGE"),
];

const HANDSHAKE: &[(u64, &str)] = &[
    (0, "Hello Request"),
    (1, "Client Hello"),
    (2, "Server Hello"),
    (3, "Hello Verify Request"),
    (4, "New Session Ticket"),
    (5, "End of Early Data"),
    (6, "Hello Retry Request"),
    (8, "Encrypted Extensions"),
    (11, "Certificate"),
    (12, "Server Key Exchange"),
    (13, "Certificate Request"),
    (14, "Server Hello Done"),
    (15, "Certificate Verify"),
    (16, "Client Key Exchange"),
    (20, "Finished"),
    (21, "Client Certificate URL"),
    (22, "Certificate Status"),
    (23, "Supplemental Data"),
    (24, "Key Update"),
    (25, "Compressed Certificate"),
    (67, "Encrypted Extensions"),
];
