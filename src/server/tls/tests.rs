//! Promises of TLS, with the pair in `tests/tls/` and a rustls client over a pipe in memory.

use std::fs::{self, Permissions};

use aws_lc_rs::encoding::{AsDer, EcPrivateKeyRfc5915Der};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use super::*;

const CERT: &str = include_str!("../../../tests/tls/test-only-cert.pem");
const KEY: &str = include_str!("../../../tests/tls/test-only-key.pem");

/// A certificate file and a key file, for their owner only.
struct Files {
    dir: TempDir,
}

impl Files {
    fn new(cert: &str, key: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [("cert.pem", cert), ("key.pem", key)] {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        }
        Self { dir }
    }

    fn cert(&self) -> PathBuf {
        self.dir.path().join("cert.pem")
    }

    fn key(&self) -> PathBuf {
        self.dir.path().join("key.pem")
    }

    fn load(&self) -> Result<LoadedTls, TlsError> {
        ServerTls::load(&self.cert(), &self.key())
    }

    fn refused(&self) -> String {
        self.load().unwrap_err().to_string()
    }
}

fn loaded() -> ServerTls {
    Files::new(CERT, KEY).load().unwrap().tls
}

/// A client that trusts the test certificate and asks for these versions and protocols.
fn client(versions: &[&'static SupportedProtocolVersion], alpn: &[&[u8]]) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let cert = CertificateDer::from_pem_slice(CERT.as_bytes()).unwrap();
    roots.add(cert).unwrap();
    let mut config = ClientConfig::builder_with_provider(default_provider().into())
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

/// What both ends agreed on: the version and the protocol.
async fn agreed(client: TlsConnector) -> io::Result<(ProtocolVersion, Option<Vec<u8>>)> {
    let tls = loaded();
    let (near, far) = tokio::io::duplex(16 << 10);
    let name = ServerName::try_from("localhost").unwrap();
    let (server, client) = tokio::join!(tls.accept(far), client.connect(name, near));
    let (mut server, mut client) = (server?, client?);
    server.write_all(b"ready").await?;
    server.flush().await?;
    let mut read = [0; 5];
    client.read_exact(&mut read).await?;
    assert_eq!(&read, b"ready");
    let (_, session) = server.get_ref();
    let version = session.protocol_version().unwrap();
    Ok((version, session.alpn_protocol().map(<[u8]>::to_vec)))
}

/// A fresh key that belongs to no certificate.
fn stranger() -> String {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let document = pair.to_pkcs8v1().unwrap();
    section("PRIVATE KEY", document.as_ref())
}

fn section(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

#[tokio::test]
async fn a_client_gets_tls_1_3_or_1_2_and_the_protocol_it_knows() {
    let both: &[&SupportedProtocolVersion] = &[&TLS12, &TLS13];
    for (versions, offered, version, alpn) in [
        (
            both,
            &[&b"http/1.1"[..], b"h2"][..],
            ProtocolVersion::TLSv1_3,
            Some("h2"),
        ),
        (
            both,
            &[b"http/1.1"],
            ProtocolVersion::TLSv1_3,
            Some("http/1.1"),
        ),
        (&[&TLS12], &[b"h2"], ProtocolVersion::TLSv1_2, Some("h2")),
        (&[&TLS12], &[], ProtocolVersion::TLSv1_2, None),
    ] {
        let (seen_version, seen_alpn) = agreed(client(versions, offered)).await.unwrap();
        assert_eq!(seen_version, version);
        assert_eq!(seen_alpn.as_deref(), alpn.map(str::as_bytes));
    }
}

#[tokio::test]
async fn a_client_of_another_protocol_is_refused() {
    assert!(agreed(client(&[&TLS13], &[b"smtp"])).await.is_err());
}

#[tokio::test]
async fn a_client_without_tls_is_refused() {
    let (mut near, far) = tokio::io::duplex(1 << 10);
    near.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(loaded().accept(far).await.is_err());
}

#[test]
fn certificate_and_key_may_be_one_file() {
    let files = Files::new(&format!("{KEY}\n{CERT}"), "");
    assert!(ServerTls::load(&files.cert(), &files.cert()).is_ok());
}

#[test]
fn a_sec1_key_loads_as_well_as_pkcs8() {
    let pkcs8 = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let pair =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.secret_der()).unwrap();
    let sec1: EcPrivateKeyRfc5915Der<'_> = pair.private_key().as_der().unwrap();
    let files = Files::new(CERT, &section("EC PRIVATE KEY", sec1.as_ref()));
    assert!(files.load().is_ok());
}

#[test]
fn what_is_wrong_is_said_with_the_name_of_the_file() {
    let cut = KEY.split_at(KEY.len() - 20).0;
    let not_x509 = section("CERTIFICATE", b"nonsense");
    let not_a_key = section("PRIVATE KEY", b"nonsense");
    let encrypted = section("ENCRYPTED PRIVATE KEY", b"nonsense");
    let long = " ".repeat(PEM_BYTES_MAX as usize + 1);
    for (cert, key, file, problem) in [
        ("", KEY, "cert.pem", "holds no certificate"),
        (KEY, KEY, "cert.pem", "holds no certificate"),
        (&not_x509, KEY, "cert.pem", "is not X.509"),
        (&long, KEY, "cert.pem", "has more than 1048576 bytes"),
        (CERT, "", "key.pem", "holds no private key"),
        (CERT, CERT, "key.pem", "holds no private key"),
        (CERT, &encrypted, "key.pem", "unencrypted"),
        (CERT, &not_a_key, "key.pem", "cannot be used"),
        (CERT, cut, "key.pem", "a section has no END line"),
        (CERT, &KEY.replace("MIG", "M?G"), "key.pem", "not base64"),
        (CERT, &long, "key.pem", "has more than 1048576 bytes"),
        (
            CERT,
            &stranger(),
            "key.pem",
            "is not that of the first certificate",
        ),
        (
            CERT,
            &stranger(),
            "cert.pem",
            "is not that of the first certificate",
        ),
    ] {
        let refused = Files::new(cert, key).refused();
        assert!(refused.contains(file), "{refused}");
        assert!(refused.contains(problem), "{refused}");
    }
}

#[test]
fn an_unreadable_file_is_named_with_its_reason() {
    for gone in [Files::cert, Files::key] {
        let files = Files::new(CERT, KEY);
        let path = gone(&files);
        fs::remove_file(&path).unwrap();
        let refused = files.load().unwrap_err();
        assert!(refused.to_string().contains(path.to_str().unwrap()));
        let TlsError::Unreadable { source, .. } = refused else {
            panic!("{refused}");
        };
        assert_eq!(source.kind(), io::ErrorKind::NotFound);
    }
}

#[test]
fn the_first_certificate_is_the_one_that_the_key_must_fit() {
    let other = section(
        "CERTIFICATE",
        b"an intermediate, which is the client's to judge",
    );
    assert!(Files::new(&format!("{CERT}{other}"), KEY).load().is_ok());
    let refused = Files::new(&format!("{other}{CERT}"), KEY).refused();
    assert!(refused.contains("the first certificate"), "{refused}");
}

#[test]
fn a_key_that_others_may_touch_is_served_with_a_warning() {
    let files = Files::new(CERT, KEY);
    assert_eq!(files.load().unwrap().warnings, []);
    for mode in [0o644, 0o640, 0o620] {
        fs::set_permissions(files.key(), Permissions::from_mode(mode)).unwrap();
        let path = files.key();
        let expected = TlsWarning::KeyExposed { path, mode };
        assert!(expected.to_string().contains(&format!("{mode:04o}")));
        assert_eq!(files.load().unwrap().warnings, [expected]);
    }
}

#[test]
fn no_message_and_no_debug_output_shows_the_key() {
    let secret = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg";
    assert!(KEY.contains(secret));
    let shown = [
        format!("{:?}", Files::new(CERT, KEY).load()),
        format!("{:?}", Files::new(KEY, CERT).load()),
        format!(
            "{:?}",
            Files::new(CERT, &KEY.replace("-----\n", "-----")).load()
        ),
        format!(
            "{:?}",
            Files::new(CERT, &KEY.replace("BEGIN PRIVATE KEY-----\n", "BEGIN ")).load()
        ),
        format!("{:?}", Files::new(CERT, &KEY.replace('/', "?")).load()),
        format!("{:?}", Files::new(CERT, &stranger()).load()),
    ];
    for text in shown {
        assert!(
            !text.contains(&secret[..12]) && !text.contains("GKE2SriI"),
            "{text}"
        );
    }
}
