//! One program through a session, without a terminal.

use std::io::Read;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use super::conversation::{Connection, Conversation, Outcome, Stdin};
use super::credential::Credential;
use super::dial::Target;
use crate::cli::outcome::{self, FAILED, Usage};

/// What a shell sees of an interrupted program.
const INTERRUPTED: i64 = 130;
/// After so many Ctrl-Cs the answer is not waited for.
const INTERRUPTS_MAX: u32 = 3;
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// All of stdin.
pub(super) fn read_program() -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .read_to_end(&mut bytes)
        .context("cannot read stdin")?;
    let code = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Usage(format!(
            "stdin is not a program in UTF-8: see its byte {at}"
        ))
    })?;
    match code.trim().is_empty() {
        true => Err(Usage("stdin is empty: there is no program to run".into()).into()),
        false => Ok(code),
    }
}

/// Runs `code`, and ends as it ended.
pub(super) async fn run(
    target: Target,
    credential: Credential,
    timeout_seconds: Option<f64>,
    code: String,
) -> anyhow::Result<ExitCode> {
    let is_own = target.session.is_none();
    let mut conversation = Conversation::open(target, credential, timeout_seconds).await?;
    let ended = run_turn(&mut conversation, &code).await?;
    if is_own {
        close(&mut conversation).await?;
    }
    conversation.hang_up().await;
    Ok(match ended {
        Some(code) => outcome::exit_code(code),
        None => ExitCode::from(FAILED),
    })
}

/// The turn's exit code; `None` when it never ran.
async fn run_turn(conversation: &mut Conversation, code: &str) -> anyhow::Result<Option<i64>> {
    let mut interrupts = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
    let mut interrupted = 0;
    conversation.execute(code, Stdin::Closed)?;
    loop {
        tokio::select! {
            news = conversation.next() => match conversation.hear(news)? {
                Outcome::GoOn => {}
                Outcome::TurnEnded { exit_code } => return Ok(exit_code),
                Outcome::Over(why) => anyhow::bail!(why),
            },
            _ = interrupts.recv() => {
                interrupted += 1;
                let unheard = conversation.connection() == Connection::Broken;
                if unheard || interrupted >= INTERRUPTS_MAX {
                    return Ok(Some(INTERRUPTED));
                }
                conversation.interrupt()?;
            }
        }
    }
}

/// Ends a session that nobody knows of.
async fn close(conversation: &mut Conversation) -> anyhow::Result<()> {
    conversation.close()?;
    let closed = async {
        loop {
            let news = conversation.next().await;
            if let Outcome::Over(_) = conversation.hear(news)? {
                return Ok(());
            }
        }
    };
    // It ends by itself, later.
    tokio::time::timeout(CLOSE_TIMEOUT, closed)
        .await
        .unwrap_or(Ok(()))
}
