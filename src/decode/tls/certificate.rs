//! Certificates of a handshake: who, by whom, from when to when, with which key (RFC 5280, RFC 5246 7.4.2).

use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
use x509_parser::public_key::PublicKey;

use crate::decode::field::{Field, Value};
use crate::decode::reader::Reader;
use crate::decode::walk::Walk;

/// Most certificates of a chain that are shown.
const MAX_CHAIN: usize = 10;
/// Subject of the certificate that SQL Server makes for itself.
const FALLBACK: &str = "SSL_Self_Signed_Fallback";

/// The certificates of a Certificate message of TLS 1.2 and before.
pub fn chain(w: &mut Walk<'_>, mut r: Reader<'_>) {
    let Some(total) = r.u24_be() else {
        return;
    };
    let (mut list, _) = r.sub_lax(total);
    for _ in 0..MAX_CHAIN {
        let Some(len) = list.u24_be() else {
            return;
        };
        let (part, cut) = list.sub_lax(len);
        let range = part.position()..list.position();
        let field = certificate(part.rest(), cut).at(range);
        w.push(field);
        if cut {
            return;
        }
    }
}

fn certificate(der: &[u8], cut: bool) -> Field {
    let mut field = Field::new("tls.handshake.certificate", "certificate", Value::None);
    if cut {
        field.text = format!("cut: {} bytes are there", der.len());
        return field;
    }
    let Ok((_, cert)) = X509Certificate::from_der(der) else {
        return field.text("does not decode");
    };
    let subject = cert.subject().to_string();
    let issuer = cert.issuer().to_string();
    field.text.clone_from(&subject);
    let text = |name, label: &'static str, text: String| Field::new(name, label, Value::Text(text));
    let time = |name, label: &'static str, seconds: i64| {
        Field::new(
            name,
            label,
            Value::Time(seconds.saturating_mul(1_000_000_000)),
        )
    };
    let mut remarks = Vec::new();
    if subject == issuer {
        remarks.push("self-signed".to_owned());
    }
    if subject.contains(FALLBACK) {
        remarks.push("made by SQL Server for itself".to_owned());
    }
    let (key, weak) = key_words(&cert);
    if weak {
        remarks.push("key below 2048 bits".to_owned());
    }
    let signature = signature_name(&cert.signature_algorithm.algorithm.to_id_string());
    if signature.contains("SHA1") || signature.contains("MD5") {
        remarks.push(format!("signed with {signature}"));
    }
    field.children = vec![
        text("x509.subject", "subject", subject),
        text("x509.issuer", "issuer", issuer),
        time(
            "x509.not_before",
            "valid from",
            cert.validity().not_before.timestamp(),
        ),
        time(
            "x509.not_after",
            "valid to",
            cert.validity().not_after.timestamp(),
        ),
        Field::new(
            "x509af.serialNumber",
            "serial number",
            Value::Bytes(cert.raw_serial().iter().copied().take(64).collect()),
        ),
    ];
    if let Ok(Some(names)) = cert.subject_alternative_name() {
        for name in names.value.general_names.iter().take(64) {
            if let GeneralName::DNSName(name) = name {
                field
                    .children
                    .push(text("x509ce.dNSName", "host name", (*name).to_owned()));
            }
        }
    }
    field.children.push(text("x509.key", "key", key));
    field
        .children
        .push(text("x509.signature", "signature", signature));
    field.children.push(Field::new(
        "x509.fingerprint",
        "SHA-256",
        Value::Bytes(Sha256::digest(der).to_vec()),
    ));
    for remark in remarks {
        field.children.push(text("x509.remark", "remark", remark));
    }
    field
}

/// The key in words, and whether it is an RSA key below 2048 bits.
fn key_words(cert: &X509Certificate<'_>) -> (String, bool) {
    match cert.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => {
            let bits = key.key_size();
            (format!("RSA {bits} bits"), bits < 2048)
        }
        Ok(PublicKey::EC(point)) => (format!("EC {} bits", point.key_size()), false),
        _ => (
            oid_words(&cert.public_key().algorithm.algorithm.to_id_string()),
            false,
        ),
    }
}

fn signature_name(id: &str) -> String {
    match id {
        "1.2.840.113549.1.1.4" => "RSA with MD5",
        "1.2.840.113549.1.1.5" => "RSA with SHA1",
        "1.2.840.113549.1.1.10" => "RSA-PSS",
        "1.2.840.113549.1.1.11" => "RSA with SHA256",
        "1.2.840.113549.1.1.12" => "RSA with SHA384",
        "1.2.840.113549.1.1.13" => "RSA with SHA512",
        "1.2.840.10045.4.1" => "ECDSA with SHA1",
        "1.2.840.10045.4.3.2" => "ECDSA with SHA256",
        "1.2.840.10045.4.3.3" => "ECDSA with SHA384",
        "1.2.840.10045.4.3.4" => "ECDSA with SHA512",
        "1.3.101.112" => "Ed25519",
        other => return oid_words(other),
    }
    .to_owned()
}

fn oid_words(id: &str) -> String {
    format!("algorithm {id}")
}
