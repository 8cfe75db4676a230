//! What the frames mean: one turn of ours at a time, and whatever else happens in the session.

use std::io;

use serde_json::{Value, json};

use super::credential::Credential;
use super::dial::Target;
use super::link::{Congested, Link, News};
use super::screen::{self, Screen};
use crate::ids::SessionId;

/// A session, as seen from this terminal.
pub(super) struct Conversation {
    link: Link,
    pub screen: Screen,
    pub attached: Attached,
    timeout_seconds: Option<f64>,
    turn: Option<OwnTurn>,
    connection: Connection,
    /// How far the journal was heard.
    heard: u64,
    /// Once is enough to know that turns are not saved.
    unsaved_told: bool,
}

/// What the gateway said about the session.
#[derive(Debug, Clone, Default)]
pub(super) struct Attached {
    pub session: String,
    pub language: String,
    pub version: String,
}

/// A turn that was asked for here and has not ended.
struct OwnTurn {
    id: String,
    /// Sent again after a break: under its id, it runs once.
    request: Value,
    number: Option<u64>,
    progress: Progress,
    input: Input,
    /// The event that ended it, known before its place in the journal was reached.
    ended_at: Option<(u64, Value)>,
}

/// How far our turn is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Waiting,
    Running,
}

/// Whether the program waits for a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    NotAsked,
    Asked,
}

/// Whether the program may ask for lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stdin {
    Open,
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Connection {
    Up,
    Broken,
}

/// What a frame amounts to.
#[derive(Debug)]
pub(super) enum Outcome {
    GoOn,
    /// Our turn ended; `None`: it never ran.
    TurnEnded {
        exit_code: Option<i64>,
    },
    /// There is no session any more, or no way to it.
    Over(String),
}

impl Conversation {
    /// Connects and hears what session this is.
    pub(super) async fn open(
        target: Target,
        credential: Credential,
        timeout_seconds: Option<f64>,
    ) -> anyhow::Result<Self> {
        let mut this = Self {
            link: Link::open(target, credential).await?,
            screen: Screen::new(),
            attached: Attached::default(),
            timeout_seconds,
            turn: None,
            connection: Connection::Up,
            heard: 0,
            unsaved_told: false,
        };
        while this.attached.session.is_empty() {
            let news = this.next().await;
            if let Outcome::Over(why) = this.hear(news)? {
                anyhow::bail!(why);
            }
        }
        Ok(this)
    }

    /// What the link says next; pass it to `hear`. Cancel-safe.
    pub(super) async fn next(&mut self) -> News {
        self.link.next().await
    }

    /// What it has said already.
    pub(super) fn waiting(&mut self) -> Option<News> {
        self.link.waiting()
    }

    /// Whether hearing it writes to the terminal.
    pub(super) fn shows(&self, news: &News) -> bool {
        let News::Frame(frame) = news else {
            return true;
        };
        matches!(
            frame["type"].as_str().unwrap_or_default(),
            "attached"
                | "output"
                | "display"
                | "result"
                | "gap"
                | "error"
                | "token_expiring"
                | "unsaved"
        )
    }

    /// Asks for a turn. Its end is an outcome of `hear`.
    pub(super) fn execute(&mut self, code: &str, stdin: Stdin) -> Result<(), Congested> {
        let id = request_id();
        let mut request = json!({"type": "execute", "id": id, "code": code});
        if stdin == Stdin::Closed {
            request["stdin_open"] = false.into();
        }
        if let Some(seconds) = self.timeout_seconds {
            request["timeout_seconds"] = seconds.into();
        }
        self.link.send(request.clone())?;
        self.turn = Some(OwnTurn {
            id,
            request,
            number: None,
            progress: Progress::Waiting,
            input: Input::NotAsked,
            ended_at: None,
        });
        Ok(())
    }

    /// Whether our turn waits for a line.
    pub(super) fn input(&self) -> Input {
        self.turn
            .as_ref()
            .map_or(Input::NotAsked, |turn| turn.input)
    }

    /// Answers our turn's question; an empty line, without its newline, ends the input.
    pub(super) fn answer(&mut self, line: String) -> Result<(), Congested> {
        let Some(turn) = &mut self.turn else {
            return Ok(());
        };
        turn.input = Input::NotAsked;
        // The user ended the line that the prompt began.
        self.screen.answered();
        let mut frame = match line.is_empty() {
            true => json!({"type": "stdin", "eof": true}),
            false => json!({"type": "stdin", "data": line}),
        };
        if let Some(number) = turn.number {
            frame["turn"] = number.into();
        }
        self.link.send(frame)
    }

    /// Interrupts our turn, softly at first, the second time at once; takes it back if it has not
    /// started.
    pub(super) fn interrupt(&mut self) -> Result<(), Congested> {
        let Some(turn) = &self.turn else {
            return Ok(());
        };
        let id = request_id();
        self.link.send(match turn.progress {
            Progress::Waiting => json!({"type": "cancel", "id": id, "target": turn.id}),
            Progress::Running => json!({"type": "interrupt", "id": id, "turn": turn.number}),
        })
    }

    pub(super) fn connection(&self) -> Connection {
        self.connection
    }

    /// Ends the session.
    pub(super) fn close(&mut self) -> Result<(), Congested> {
        self.link.send(json!({"type": "close", "id": request_id()}))
    }

    /// Leaves the session to itself.
    pub(super) async fn hang_up(self) {
        self.link.hang_up().await;
    }

    /// Shows what there is to be shown, and tells what it amounts to.
    ///
    /// # Errors
    /// When stdout is closed.
    pub(super) fn hear(&mut self, news: News) -> io::Result<Outcome> {
        let frame = match news {
            News::Frame(frame) => frame,
            News::Broken(why) => {
                self.connection = Connection::Broken;
                self.screen
                    .note(&format!("connection lost: {why}; reconnecting"));
                return Ok(Outcome::GoOn);
            }
            News::Over(why) => return Ok(Outcome::Over(why)),
        };
        let outcome = self.hear_frame(&frame)?;
        let seq = match frame["type"] == "gap" {
            true => frame["to"].as_u64(),
            false => frame["seq"].as_u64(),
        };
        if let Some(seq) = seq.filter(|_| frame["type"] != "attached") {
            self.heard = seq;
        }
        match outcome {
            Outcome::GoOn => Ok(self.reached()),
            Outcome::TurnEnded { .. } | Outcome::Over(_) => Ok(outcome),
        }
    }

    fn hear_frame(&mut self, frame: &Value) -> io::Result<Outcome> {
        match frame["type"].as_str().unwrap_or_default() {
            "attached" => self.attach(frame),
            "queued" if self.is_ours(frame) => self.queued(frame),
            "started" if self.is_ours(frame) => self.started(frame),
            "output" => self.screen.output(frame)?,
            "stdin_request" => self.asked(frame),
            "display" => self.screen.note(&screen::describe(frame)),
            "result" => self
                .screen
                .result(frame["text"].as_str().unwrap_or_default())?,
            "finished" if self.is_ours(frame) => return Ok(self.finished(frame)),
            "duplicate" if self.is_ours(frame) => self.duplicate(frame),
            "error" if self.is_ours(frame) => {
                self.turn = None;
                self.screen.error(&message(frame));
                return Ok(Outcome::TurnEnded { exit_code: None });
            }
            "closed" => return Ok(Outcome::Over("the session has ended".into())),
            // An interrupt that came after the end.
            "error" if frame["code"] == "conflict" => {}
            "error" => self.screen.error(&message(frame)),
            "gap" => self.screen.note(&format!(
                "events {} to {} are no longer kept",
                frame["from"], frame["to"]
            )),
            "unsaved" if !std::mem::replace(&mut self.unsaved_told, true) => {
                self.screen.note(&format!(
                    "turns are not saved: {}",
                    frame["reason"].as_str().unwrap_or_default()
                ));
            }
            "token_expiring" => self
                .screen
                .note("the token ends soon; the session goes on: come back with a new one"),
            _ => {}
        }
        Ok(Outcome::GoOn)
    }

    fn attach(&mut self, frame: &Value) {
        let text = |name: &str| frame[name].as_str().unwrap_or_default().to_owned();
        self.attached = Attached {
            session: text("session"),
            language: text("language"),
            version: text("version"),
        };
        // `seq` is the head of the journal, which is not what was heard.
        if frame["recovered"] != true {
            self.heard = frame["common_seq"].as_u64().unwrap_or(0);
        }
        if self.connection == Connection::Broken {
            self.connection = Connection::Up;
            self.screen.note(match frame["recovered"] == true {
                true => "connected again; nothing was lost",
                false => {
                    "connected again; the session was restored, and what was not saved is gone"
                }
            });
        }
        // Whether the gateway had seen it is not known; under its id, it runs once.
        if let Some(turn) = &self.turn {
            let _ = self.link.send(turn.request.clone());
        }
    }

    fn queued(&mut self, frame: &Value) {
        if let Some(turn) = &mut self.turn {
            turn.number = frame["turn"].as_u64();
        }
        if frame["position"].as_u64().unwrap_or(0) > 0 {
            let position = &frame["position"];
            self.screen
                .note(&format!("waiting; {position} in this session come first"));
        }
    }

    fn started(&mut self, frame: &Value) {
        if let Some(turn) = &mut self.turn {
            turn.number = frame["turn"].as_u64();
            turn.progress = Progress::Running;
        }
    }

    fn asked(&mut self, frame: &Value) {
        if let Some(turn) = &mut self.turn
            && turn.number.is_some()
            && turn.number == frame["turn"].as_u64()
        {
            turn.input = Input::Asked;
        }
    }

    /// What the program printed of its own end is on the screen; the rest is said here.
    fn finished(&mut self, frame: &Value) -> Outcome {
        self.turn = None;
        let error = &frame["error"];
        let untold = error["traceback"].as_str().unwrap_or_default().is_empty();
        let status = frame["status"].as_str().unwrap_or_default();
        if !matches!(status, "ok" | "exit") && untold {
            self.screen.error(&match error["message"].as_str() {
                Some(message) if !message.is_empty() => format!("{status}: {message}"),
                Some(_) | None => status.to_owned(),
            });
        }
        if frame["session_state"] == "rolled_back" {
            self.screen
                .note("memory and files are as they were before this turn");
        }
        Outcome::TurnEnded {
            exit_code: frame["exit_code"].as_i64(),
        }
    }

    /// The gateway had seen our request. What ended it is in the journal, and is heard in its place;
    /// from here only if that place is behind us, in a gap.
    fn duplicate(&mut self, frame: &Value) {
        let Some(turn) = &mut self.turn else {
            return;
        };
        turn.number = turn.number.or(frame["turn"].as_u64());
        let event = &frame["event"];
        match frame["state"].as_str() {
            Some("running") => turn.progress = Progress::Running,
            Some("done") if event.is_object() => {
                turn.ended_at = Some((event["seq"].as_u64().unwrap_or(0), event.clone()));
            }
            Some(_) | None => {}
        }
    }

    /// What was told of our turn's end counts once the journal was heard up to there.
    fn reached(&mut self) -> Outcome {
        let heard = self.heard;
        let ended = self.turn.as_mut().and_then(|turn| match &turn.ended_at {
            Some((at, _)) if *at <= heard => turn.ended_at.take(),
            Some(_) | None => None,
        });
        match ended {
            Some((_, event)) => self.finished(&event),
            None => Outcome::GoOn,
        }
    }

    fn is_ours(&self, frame: &Value) -> bool {
        self.turn
            .as_ref()
            .is_some_and(|turn| frame["id"] == turn.id.as_str())
    }
}

fn message(frame: &Value) -> String {
    let text = |name: &str| frame[name].as_str().unwrap_or_default();
    format!("{}: {}", text("code"), text("message"))
}

/// A random name, as clients should use for requests.
fn request_id() -> String {
    SessionId::random().to_string()
}
