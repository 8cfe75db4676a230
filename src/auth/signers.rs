//! Test issuers: key pairs made at test time, signing with aws-lc directly, so that the crate under
//! test never checks its own work.

use std::sync::LazyLock;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
    RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// An issuer of tokens.
pub(super) enum Signer {
    Secret(Vec<u8>),
    Rsa(Box<RsaKeyPair>),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

pub(super) static RSA: LazyLock<Signer> =
    LazyLock::new(|| Signer::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())));

impl Signer {
    pub(super) fn secret(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Secret(bytes.into())
    }

    pub(super) fn p256() -> Self {
        Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(super) fn p384() -> Self {
        Self::P384(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap())
    }

    pub(super) fn ed25519() -> Self {
        Self::Ed25519(Ed25519KeyPair::generate().unwrap())
    }

    /// A token with this header, whatever it claims, signed by this key as `alg` says.
    pub(super) fn token_with(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", base64url(header), base64url(claims));
        let alg = header["alg"].as_str().unwrap_or_default();
        let signature = self.signature(alg, message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    pub(super) fn token(&self, alg: &str, claims: &Value) -> String {
        self.token_with(&json!({"typ": "JWT", "alg": alg}), claims)
    }

    fn signature(&self, alg: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Signer::Secret(bytes) => {
                let hash = match alg {
                    "HS384" => hmac::HMAC_SHA384,
                    "HS512" => hmac::HMAC_SHA512,
                    _ => hmac::HMAC_SHA256,
                };
                hmac::sign(&hmac::Key::new(hash, bytes), message)
                    .as_ref()
                    .to_vec()
            }
            Signer::Rsa(pair) => {
                let padding: &'static dyn RsaEncoding = match alg {
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    "PS256" => &RSA_PSS_SHA256,
                    "PS384" => &RSA_PSS_SHA384,
                    "PS512" => &RSA_PSS_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut signature)
                    .unwrap();
                signature
            }
            Signer::P256(pair) | Signer::P384(pair) => {
                pair.sign(&random, message).unwrap().as_ref().to_vec()
            }
            Signer::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// The public half as a JWK without `kid` and `alg`; the secret itself for a shared one.
    pub(super) fn jwk(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let ec = |pair: &EcdsaKeyPair, curve: &str| {
            let point = &pair.public_key().as_ref()[1..];
            let (x, y) = point.split_at(point.len() / 2);
            json!({"kty": "EC", "crv": curve, "x": text(x), "y": text(y)})
        };
        match self {
            Signer::Secret(bytes) => json!({"kty": "oct", "k": text(bytes)}),
            Signer::Rsa(pair) => {
                let public = pair.public_key();
                json!({
                    "kty": "RSA",
                    "n": text(public.modulus().big_endian_without_leading_zero()),
                    "e": text(public.exponent().big_endian_without_leading_zero()),
                })
            }
            Signer::P256(pair) => ec(pair, "P-256"),
            Signer::P384(pair) => ec(pair, "P-384"),
            Signer::Ed25519(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": text(pair.public_key().as_ref())})
            }
        }
    }

    /// Every encoding of the public key that an attacker may try as an HMAC secret.
    pub(super) fn public_encodings(&self) -> Vec<Vec<u8>> {
        let (raw, spki): (Vec<u8>, PublicKeyX509Der<'_>) = match self {
            Signer::Secret(_) => return Vec::new(),
            Signer::Rsa(pair) => (
                pair.public_key().as_ref().to_vec(),
                pair.public_key().as_der().unwrap(),
            ),
            Signer::P256(pair) | Signer::P384(pair) => (
                pair.public_key().as_ref().to_vec(),
                pair.public_key().as_der().unwrap(),
            ),
            Signer::Ed25519(pair) => (
                pair.public_key().as_ref().to_vec(),
                pair.public_key().as_der().unwrap(),
            ),
        };
        let pem = |label: &str, der: &[u8]| {
            let base64 = base64::engine::general_purpose::STANDARD.encode(der);
            let lines: Vec<_> = base64
                .as_bytes()
                .chunks(64)
                .map(|line| str::from_utf8(line).unwrap())
                .collect();
            let body = lines.join("\n");
            format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n").into_bytes()
        };
        let jwk = self.jwk();
        let modulus = jwk["n"].as_str().or(jwk["x"].as_str()).unwrap();
        vec![
            pem("PUBLIC KEY", spki.as_ref()),
            pem("RSA PUBLIC KEY", &raw),
            spki.as_ref().to_vec(),
            raw,
            modulus.as_bytes().to_vec(),
            URL_SAFE_NO_PAD.decode(modulus).unwrap(),
            jwk.to_string().into_bytes(),
        ]
    }
}

pub(super) fn base64url(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}
