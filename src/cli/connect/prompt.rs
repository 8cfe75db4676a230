//! The interactive loop: a line, a turn, a line.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::complete::Blocks;
use super::conversation::{Connection, Conversation, Input, Outcome, Stdin};
use super::credential::Credential;
use super::dial::Target;
use super::editor::{Answer, Editor};
use super::typed::Typed;
use crate::cli::outcome::FAILED;

/// What the user decided at the prompt, or what was decided elsewhere.
enum Choice {
    Run(String),
    Leave,
    Over(String),
}

/// A prompt on a session until the user leaves, or the session ends.
pub(super) async fn run(
    target: Target,
    credential: Credential,
    timeout_seconds: Option<f64>,
    history: PathBuf,
) -> anyhow::Result<ExitCode> {
    let address = target.address.clone();
    let mut conversation = Conversation::open(target, credential, timeout_seconds).await?;
    let attached = conversation.attached.clone();
    conversation.screen.note(&format!(
        "{} {}, session {}; Ctrl-C interrupts, Ctrl-D leaves it running",
        attached.language, attached.version, attached.session
    ));
    let mut editor = Editor::start(history, Blocks::of_language(&attached.language))?;
    let typed = Typed::open().context("cannot open the terminal")?;
    let mut interrupts = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
    let over = loop {
        match ask(&mut conversation, &mut editor).await? {
            Choice::Run(code) if code.trim().is_empty() => {}
            Choice::Run(code) => {
                conversation.execute(&code, Stdin::Open)?;
                let ended = run_turn(&mut conversation, &typed, &mut interrupts).await?;
                conversation.screen.fresh_line();
                if let Some(over) = ended {
                    break Some(over);
                }
            }
            Choice::Leave => break None,
            Choice::Over(why) => break Some(why),
        }
    };
    if let Some(why) = over {
        conversation.screen.error(&why);
        return Ok(ExitCode::from(FAILED));
    }
    let session = &attached.session;
    conversation.screen.note(&format!(
        "the session goes on; come back with: weir connect --url {address} --session {session}"
    ));
    conversation.hang_up().await;
    Ok(ExitCode::SUCCESS)
}

/// Asks for a line. What happens in the session meanwhile is shown above it.
async fn ask(conversation: &mut Conversation, editor: &mut Editor) -> anyhow::Result<Choice> {
    editor.ask();
    loop {
        let news = tokio::select! {
            answer = editor.answer() => match choice(answer)? {
                Some(choice) => return Ok(choice),
                None => {
                    editor.ask();
                    continue;
                }
            },
            news = conversation.next() => news,
        };
        if !conversation.shows(&news) {
            if let Outcome::Over(why) = conversation.hear(news)? {
                return Ok(Choice::Over(why));
            }
            continue;
        }
        editor.step_aside();
        let answer = editor.answer().await;
        editor.no_need();
        if matches!(answer, Answer::Aside) {
            conversation.screen.erase_prompt();
        }
        let mut next = Some(news);
        while let Some(news) = next {
            if let Outcome::Over(why) = conversation.hear(news)? {
                return Ok(Choice::Over(why));
            }
            next = conversation.waiting();
        }
        conversation.screen.fresh_line();
        match answer {
            Answer::Aside => editor.ask(),
            answer => match choice(answer)? {
                Some(choice) => return Ok(choice),
                None => editor.ask(),
            },
        }
    }
}

/// `None`: ask again.
fn choice(answer: Answer) -> anyhow::Result<Option<Choice>> {
    match answer {
        Answer::Code(code) => Ok(Some(Choice::Run(code))),
        Answer::Leave => Ok(Some(Choice::Leave)),
        Answer::Dropped | Answer::Aside => Ok(None),
        Answer::Failed(why) => anyhow::bail!("the prompt failed: {why}"),
    }
}

/// Follows our turn to its end; `Some`: the session's.
async fn run_turn(
    conversation: &mut Conversation,
    typed: &Typed,
    interrupts: &mut Signal,
) -> anyhow::Result<Option<String>> {
    loop {
        let asked = conversation.input() == Input::Asked;
        tokio::select! {
            news = conversation.next() => match conversation.hear(news)? {
                Outcome::GoOn => {}
                Outcome::TurnEnded { .. } => return Ok(None),
                Outcome::Over(why) => return Ok(Some(why)),
            },
            line = typed.line(), if asked => {
                conversation.answer(line.context("cannot read the terminal")?)?;
            }
            _ = interrupts.recv() => {
                if conversation.connection() == Connection::Broken {
                    return Ok(Some("interrupted while there was no connection".into()));
                }
                conversation.interrupt()?;
            }
        }
    }
}
