//! `weir connect`: a terminal on a session of a gateway, or one program through it.
//!
//! ```text
//! editor ─┐                      ┌─ dial ── gateway
//! typed  ─┼─ conversation ─ link ┤
//! screen ─┘                      └─ (again, from where it broke)
//! ```
//!
//! The link is a task of its own and alone knows of sockets; the conversation alone knows what the
//! frames mean. All they share is two bounded channels.

mod address;
mod complete;
mod conversation;
mod credential;
mod dial;
mod editor;
mod link;
mod piped;
mod prompt;
mod screen;
mod typed;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use super::settings::{self, Settings};
use crate::ids::SessionId;
use address::Address;
use credential::Credential;
use dial::Target;

const EXAMPLES: &str = "\
Examples:
  weir connect                            a new session on this machine's gateway
  weir connect --session analysis         one that has a name: made, or found as it was left
  weir connect --url wss://weir.example.org --token \"$TOKEN\"
  echo 'print(x)' | weir connect --session analysis

At the prompt, a line that ends in a colon or leaves a bracket open goes on until an empty line. Ctrl-C \
interrupts the turn that runs, Ctrl-D leaves the session to itself: variables, files and a running turn \
stay. When the connection breaks, it is made again, and nothing is lost or shown twice.

Without a terminal, all of stdin is one program: its output is passed on and its exit code returned. \
Without --session, it gets a session of its own, which is closed afterwards.";

/// Opens a prompt in a session, new or old.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{}", settings::NOTE))]
pub(super) struct Arguments {
    /// Where the gateway is: ws:// or wss:// [default: the configured listen address,
    /// ws://127.0.0.1:8080]
    #[arg(long, value_name = "URL")]
    url: Option<Address>,
    /// The session's id [default: a new one]
    #[arg(long, value_name = "ID")]
    session: Option<SessionId>,
    /// The interpreter of a new session [default: python]
    #[arg(long, value_name = "NAME")]
    language: Option<String>,
    /// A JWT [default: one signed with this machine's own secret, for a gateway on this machine]
    #[arg(long, value_name = "JWT", env = "WEIR_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The subject of a token that is signed here
    #[arg(long, value_name = "NAME", default_value = "local")]
    sub: String,
    /// Wall time of each turn, in seconds [default: the gateway's]
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<f64>,
    /// PEM file with the authorities that wss:// certificates may come from [default: the system's]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let config = arguments.settings.load_to_work_here()?;
    let address = match arguments.url {
        Some(address) => address,
        None => Address::of_listener(&config),
    };
    let credential = match arguments.token {
        Some(token) => Credential::Given(token),
        None => Credential::minted(&config, &address, arguments.sub)?,
    };
    if address.exposes_credentials() {
        eprintln!("weir: {address} is not encrypted: others on the way can read the token");
    }
    let target = Target {
        address,
        session: arguments.session,
        language: arguments.language,
        authorities: arguments.ca,
    };
    let runtime = super::run::runtime()?;
    if std::io::stdin().is_terminal() {
        let history = config.data_dir.join("history");
        runtime.block_on(prompt::run(target, credential, arguments.timeout, history))
    } else {
        let code = piped::read_program()?;
        runtime.block_on(piped::run(target, credential, arguments.timeout, code))
    }
}
