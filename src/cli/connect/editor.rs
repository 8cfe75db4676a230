//! The line editor, on a thread of its own: it holds the terminal in raw mode while it is asked for
//! a line, and leaves it alone otherwise. The custodian of `reedline`.

use std::borrow::Cow;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc as blocking;

use anyhow::Context;
use reedline::{
    FileBackedHistory, Prompt, PromptEditMode, PromptHistorySearch, Reedline, Signal,
    ValidationResult, Validator,
};
use tokio::sync::mpsc;

use super::complete::{Blocks, is_complete};
use crate::cli::settings::make_data_dir;

const HISTORY_LINES_MAX: usize = 2_000;

/// What became of a line.
#[derive(Debug)]
pub(super) enum Answer {
    Code(String),
    /// Ctrl-C: the line was dropped.
    Dropped,
    /// Ctrl-D on an empty line, or a terminal that is gone.
    Leave,
    /// It was asked to step aside; what was typed so far comes back with the next question.
    Aside,
    Failed(String),
}

/// The conversation's end of the editor.
pub(super) struct Editor {
    ask: blocking::Sender<()>,
    answers: mpsc::Receiver<Answer>,
    aside: Arc<AtomicBool>,
}

impl Editor {
    /// Starts the thread; nothing is shown yet.
    pub(super) fn start(history: PathBuf, blocks: Blocks) -> anyhow::Result<Self> {
        let (ask, asked) = blocking::channel();
        let (said, answers) = mpsc::channel(1);
        let aside = Arc::new(AtomicBool::new(false));
        let mut editor = Reedline::create()
            .with_validator(Box::new(Whole(blocks)))
            .with_break_signal(aside.clone());
        match history_at(&history) {
            Ok(kept) => editor = editor.with_history(Box::new(kept)),
            Err(error) => eprintln!("weir: {}: {error}; no history is kept", history.display()),
        }
        std::thread::Builder::new()
            .name("editor".into())
            .spawn(move || {
                while asked.recv().is_ok() {
                    if said.blocking_send(answer(&mut editor)).is_err() {
                        return;
                    }
                }
            })
            .context("cannot start a thread for the prompt")?;
        Ok(Self {
            ask,
            answers,
            aside,
        })
    }

    /// Shows the prompt. Each call has one answer.
    pub(super) fn ask(&self) {
        // A thread that is gone answers below.
        let _ = self.ask.send(());
    }

    /// The answer to the last question. Cancel-safe.
    pub(super) async fn answer(&mut self) -> Answer {
        let gone = || Answer::Failed("the line editor ended".into());
        self.answers.recv().await.unwrap_or_else(gone)
    }

    /// Has the editor leave the terminal for a while; its answer, mostly `Aside`, follows.
    pub(super) fn step_aside(&self) {
        self.aside.store(true, Ordering::Relaxed);
    }

    /// Forgets a wish that came too late: the line had been answered already.
    pub(super) fn no_need(&self) {
        self.aside.store(false, Ordering::Relaxed);
    }
}

fn answer(editor: &mut Reedline) -> Answer {
    match editor.read_line(&Prompts) {
        Ok(Signal::Success(code)) => Answer::Code(code),
        Ok(Signal::CtrlC) => Answer::Dropped,
        Ok(Signal::CtrlD) => Answer::Leave,
        Ok(Signal::ExternalBreak(_)) => Answer::Aside,
        Ok(_) => Answer::Dropped,
        Err(error) => Answer::Failed(error.to_string()),
    }
}

/// The history, in a file that only this user reads: code may hold anything.
fn history_at(path: &Path) -> anyhow::Result<FileBackedHistory> {
    if let Some(directory) = path.parent() {
        make_data_dir(directory)?;
    }
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)?;
    Ok(FileBackedHistory::with_file(
        HISTORY_LINES_MAX,
        path.to_owned(),
    )?)
}

struct Whole(Blocks);

impl Validator for Whole {
    fn validate(&self, line: &str) -> ValidationResult {
        match is_complete(line, self.0) {
            true => ValidationResult::Complete,
            false => ValidationResult::Incomplete,
        }
    }
}

struct Prompts;

impl Prompt for Prompts {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        "".into()
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        "".into()
    }

    fn render_prompt_indicator(&self, _mode: PromptEditMode) -> Cow<'_, str> {
        ">>> ".into()
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        "... ".into()
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        format!("(search {:?}) ", search.term).into()
    }
}
