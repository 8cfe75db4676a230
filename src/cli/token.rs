//! `weir token`: a JWT signed with this gateway's secret.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use super::outcome::{self, Usage};
use super::settings::{self, Settings};
use super::signing;
use crate::auth::Algorithm;
use crate::auth::{ClaimLimits, Claims, Scopes, UnknownScope, mint};
use crate::config::Config;
use crate::ids::Owner;

const EXAMPLES: &str = "\
Examples:
  weir token --sub alice
  weir token --sub alice --tenant acme --ttl 30d --scope session --scope session:read
  weir token --sub guest --ttl 10m --memory-mb 256 --timeout-seconds 10 --sessions 2
  curl -H \"Authorization: Bearer $(weir token --sub alice)\" http://127.0.0.1:8080/v1/me";

/// Prints a token for the configured secret, or for the one that `weir serve` makes for itself.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{}", settings::NOTE))]
pub(super) struct Arguments {
    /// Whose token it is: sessions belong to a subject
    #[arg(long, value_name = "NAME")]
    sub: String,
    /// The tenant the subject belongs to [default: none, a namespace of the subject's own]
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// What the bearer may do: session, session:read, admin; may be given again
    #[arg(long, value_name = "WORDS", default_value = "session", value_parser = scopes)]
    scope: Vec<Scopes>,
    /// How long it is good, such as 15m, 8h or 30d
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = humantime::parse_duration)]
    ttl: Duration,
    /// Who it is meant for (`aud`) [default: the first configured audience]
    #[arg(long, value_name = "NAME")]
    audience: Option<String>,
    /// Who it is from (`iss`) [default: the first configured issuer]
    #[arg(long, value_name = "NAME")]
    issuer: Option<String>,
    /// Lowers the longest wall time of a turn
    #[arg(long, value_name = "SECONDS", help_heading = "Limits of this token")]
    timeout_seconds: Option<f64>,
    /// Lowers the memory of a session, in MiB
    #[arg(long, value_name = "MIB", help_heading = "Limits of this token")]
    memory_mb: Option<u64>,
    /// Lowers how many sessions the subject may have
    #[arg(long, value_name = "COUNT", help_heading = "Limits of this token")]
    sessions: Option<u64>,
    /// Lowers the fuel of a turn, in Wasmtime's units
    #[arg(long, value_name = "UNITS", help_heading = "Limits of this token")]
    fuel: Option<u64>,
    #[command(flatten)]
    settings: Settings,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let config = arguments.settings.load_to_work_here()?;
    expect_hs256(&config)?;
    let secret = signing::load_or_create(&config)?.ok_or_else(|| {
        Usage(
            "the keys of WEIR_JWT_KEYS only verify: have their owner sign the token, or set \
             WEIR_JWT_SECRET as well"
                .into(),
        )
    })?;
    let claims = Claims {
        owner: Owner {
            tenant: arguments.tenant,
            subject: arguments.sub,
        },
        scopes: union(&arguments.scope),
        ttl: arguments.ttl,
        lowered: ClaimLimits {
            timeout_seconds: arguments.timeout_seconds,
            memory_mb: arguments.memory_mb,
            sessions: arguments.sessions,
            fuel: arguments.fuel,
        },
        audience: arguments.audience.or(config.jwt.audience.first().cloned()),
        issuer: arguments.issuer.or(config.jwt.issuer.first().cloned()),
    };
    let token =
        mint(&secret, &claims, SystemTime::now()).map_err(|error| Usage(error.to_string()))?;
    outcome::print(token)?;
    Ok(ExitCode::SUCCESS)
}

/// Our own tokens are signed with HS256, which the gateway may have been told to refuse.
pub(super) fn expect_hs256(config: &Config) -> Result<(), Usage> {
    if config.jwt.algorithms.contains(&Algorithm::Hs256) {
        return Ok(());
    }
    Err(Usage(
        "WEIR_JWT_ALGORITHMS does not list HS256, so the gateway would refuse a token signed with \
         the secret; add HS256, or have the owner of the keys sign the token"
            .into(),
    ))
}

fn scopes(text: &str) -> Result<Scopes, UnknownScope> {
    text.parse()
}

fn union(given: &[Scopes]) -> Scopes {
    use crate::auth::Scope;

    let granted = |scope: &Scope| given.iter().any(|scopes| scopes.contains(*scope));
    Scope::ALL.into_iter().filter(granted).collect()
}
