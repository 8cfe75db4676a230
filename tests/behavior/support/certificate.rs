//! A self-signed certificate for 127.0.0.1, made anew for each test: no key rests in the
//! repository, and none expires in it.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A certificate and its key.
pub struct Certificate {
    pub der: Vec<u8>,
    pub certificate_pem: String,
    pub key_pem: String,
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT_ID: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const UTC_TIME: u8 = 0x17;
/// Context-specific tags: `version`, `extensions`, and an address in a list of names.
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
const IP_ADDRESS: u8 = 0x87;

const ECDSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// Valid from 2020 to 2049.
pub fn self_signed() -> Certificate {
    let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
    let key = EcdsaKeyPair::generate(algorithm).unwrap();
    let public = key.public_key().as_der().unwrap();

    let signature_algorithm = tlv(SEQUENCE, &[&tlv(OBJECT_ID, &[ECDSA_WITH_SHA256])]);
    let name = tlv(
        SEQUENCE,
        &[&tlv(
            SET,
            &[&tlv(
                SEQUENCE,
                &[
                    &tlv(OBJECT_ID, &[COMMON_NAME]),
                    &tlv(UTF8_STRING, &[b"weir test"]),
                ],
            )],
        )],
    );
    let validity = tlv(
        SEQUENCE,
        &[
            &tlv(UTC_TIME, &[b"200101000000Z"]),
            &tlv(UTC_TIME, &[b"491231235959Z"]),
        ],
    );
    let names = tlv(SEQUENCE, &[&tlv(IP_ADDRESS, &[&[127, 0, 0, 1]])]);
    let extension = tlv(
        SEQUENCE,
        &[
            &tlv(OBJECT_ID, &[SUBJECT_ALT_NAME]),
            &tlv(OCTET_STRING, &[&names]),
        ],
    );
    let unsigned = tlv(
        SEQUENCE,
        &[
            &tlv(VERSION, &[&tlv(INTEGER, &[&[2]])]),
            &tlv(INTEGER, &[&[1]]),
            &signature_algorithm,
            &name,
            &validity,
            &name,
            public.as_ref(),
            &tlv(EXTENSIONS, &[&tlv(SEQUENCE, &[&extension])]),
        ],
    );
    let signature = key.sign(&SystemRandom::new(), &unsigned).unwrap();
    let der = tlv(
        SEQUENCE,
        &[
            &unsigned,
            &signature_algorithm,
            &tlv(BIT_STRING, &[&[0], signature.as_ref()]),
        ],
    );
    Certificate {
        certificate_pem: pem("CERTIFICATE", &der),
        key_pem: pem("PRIVATE KEY", key.to_pkcs8v1().unwrap().as_ref()),
        der,
    }
}

/// Tag, length, value.
fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut bytes = vec![tag];
    match content.len() {
        length @ 0..128 => bytes.push(length as u8),
        length @ 128..256 => bytes.extend([0x81, length as u8]),
        length => {
            let length = u16::try_from(length).expect("a certificate is small");
            bytes.push(0x82);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes.extend(content);
    bytes
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}
