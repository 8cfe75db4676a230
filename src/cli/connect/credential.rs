//! What proves to the gateway who is at this terminal.

use std::time::{Duration, SystemTime};

use super::address::Address;
use crate::auth::{ClaimLimits, Claims, MintError, Scopes, Secret, mint};
use crate::cli::{signing, token};
use crate::config::Config;
use crate::ids::Owner;

/// A token of our own is renewed long before the user would notice.
const TTL: Duration = Duration::from_secs(3600);

/// A token, or what makes one.
pub(super) enum Credential {
    Given(String),
    Minted { secret: Secret, claims: Box<Claims> },
}

impl Credential {
    /// Signs tokens for `subject` with this machine's secret. Only for a gateway on this machine:
    /// any other could use such a token here.
    pub(super) fn minted(
        config: &Config,
        address: &Address,
        subject: String,
    ) -> anyhow::Result<Self> {
        anyhow::ensure!(
            address.is_local(),
            "{address} wants a token: give --token or WEIR_TOKEN, from `weir token` on that machine \
             or from whoever signs its tokens"
        );
        let Some(secret) = signing::load(config)? else {
            anyhow::bail!(
                "there is no token and no secret to sign one with: give --token or WEIR_TOKEN, or \
                 start `weir serve` here first"
            );
        };
        token::expect_hs256(config)?;
        let claims = Claims {
            owner: Owner {
                tenant: None,
                subject,
            },
            scopes: Scopes::default(),
            ttl: TTL,
            lowered: ClaimLimits::default(),
            audience: config.jwt.audience.first().cloned(),
            issuer: config.jwt.issuer.first().cloned(),
        };
        Ok(Self::Minted {
            secret,
            claims: Box::new(claims),
        })
    }

    /// A token that is good now, as far as is known here.
    pub(super) fn token(&self) -> Result<String, MintError> {
        match self {
            Self::Given(token) => Ok(token.clone()),
            Self::Minted { secret, claims } => mint(secret, claims, SystemTime::now()),
        }
    }

    /// A token with a later end, where one can be had.
    pub(super) fn renewed(&self) -> Option<String> {
        match self {
            Self::Given(_) => None,
            Self::Minted { .. } => self.token().ok(),
        }
    }
}
