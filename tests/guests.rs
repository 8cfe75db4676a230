//! The limits and the checkpoints of guests, shown by a guest small enough to be read whole: what
//! holds here holds for every interpreter, whatever its language does.

use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use weir::files::{LibraryBuilder, Preopen, Timestamp};
use weir::guest::{
    Checkpoint, Ended, FUEL_PER_SECOND, GuestLimits, GuestState, Instance, Interpreter, Language,
    Metering, Plan, Randomness, Rungs, Running, Soundness, StopCause, Surroundings, TurnControl,
    TurnEnd, TurnInput, TurnLimits, TurnSink, prepare,
};
use weir::limits::Limits;
use weir::protocol::event::{ErrorDetail, Status, Stream};

/// The language of `tests/guests/reactor.wat`.
struct Letters;

impl Language for Letters {
    fn arguments(&self) -> Vec<String> {
        vec!["letters".into()]
    }

    fn environment(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    fn link(&self, _linker: &mut wasmtime::Linker<GuestState>) -> wasmtime::Result<()> {
        Ok(())
    }

    fn initialize<'a>(&'a self, _guest: &'a mut Instance) -> Running<'a, Value> {
        Box::pin(async { Ok(Value::Null) })
    }

    fn turn<'a>(
        &'a self,
        guest: &'a mut Instance,
        input: &'a TurnInput,
        _randomness: Randomness,
    ) -> Running<'a, Ended> {
        Box::pin(async move {
            let at: u32 = guest.call("code_at", ()).await?;
            let code = input.code.as_bytes();
            guest.memory_mut()[at as usize..at as usize + code.len()].copy_from_slice(code);
            match guest.call("turn", (at, code.len() as u32)).await? {
                0 => Ok(Ended::Normally),
                errno => Ok(Ended::Exit(errno)),
            }
        })
    }

    fn notice(&self, _memory: &mut [u8], _cause: StopCause) {}

    fn endless_loop(&self) -> Option<&'static str> {
        None
    }

    fn is_out_of_memory(&self, _error: &ErrorDetail) -> bool {
        false
    }

    fn is_notice(&self, _error: &ErrorDetail, _cause: StopCause) -> bool {
        false
    }
}

/// Keeps what the guest writes.
#[derive(Default)]
struct Kept(Mutex<Vec<u8>>);

impl TurnSink for Kept {
    fn output(&self, _stream: Stream, bytes: &[u8]) {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
    }

    fn has_room(&self) -> bool {
        true
    }

    fn room(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }

    fn stdin_request(&self, _prompt: String) {}
    fn display(&self, _data: Map<String, Value>, _metadata: Map<String, Value>) {}
    fn result(&self, _text: String, _json: Option<Box<RawValue>>) {}
}

/// A guest and the state to which it is rolled back.
struct Session {
    interpreter: Arc<Interpreter>,
    guest: Instance,
    checkpoint: Option<Checkpoint>,
}

const GUEST_LIMITS: fn() -> GuestLimits = || GuestLimits {
    memory_bytes_max: 16 << 20,
    ..GuestLimits::from(&Limits::default())
};

impl Session {
    async fn start(metering: Metering, directory: &Path) -> Self {
        let binary = directory.join("reactor.wasm");
        let wasm = wat::parse_file("tests/guests/reactor.wat").expect("the guest parses");
        std::fs::write(&binary, &wasm).expect("write the guest");
        let plan = Plan {
            name: "letters",
            binary: &binary,
            binary_sha256: "0000000000000000letters",
            directory,
            metering,
            language: Arc::new(Letters),
            surroundings: Surroundings {
                library: LibraryBuilder::new(Timestamp(0)).build(),
                preopens: vec![Preopen::root()].into(),
            },
            available_memory_bytes: None,
        };
        let interpreter = prepare(&plan, &mut |_| {}).await.expect("set-up");
        let guest = Instance::start(&interpreter, &GUEST_LIMITS())
            .await
            .expect("start");
        Self {
            interpreter,
            guest,
            checkpoint: None,
        }
    }

    /// Runs one letter, and restores the last checkpoint if that broke the guest.
    async fn run(&mut self, code: &str, rungs: Rungs, fuel: u64) -> (TurnEnd, String) {
        let bump = self.guest.epoch_bump();
        let stdin = Some("input".to_owned());
        let control = TurnControl::new(rungs, stdin, false, bump, Instant::now());
        let watched = control.clone();
        let watch = tokio::spawn(async move { watched.watch().await });
        let input = TurnInput {
            purpose: weir::guest::Purpose::Run,
            code: code.into(),
            filename: "<test>".into(),
        };
        let limits = TurnLimits {
            fuel,
            output_bytes_max: 1 << 20,
        };
        let kept = Arc::new(Kept::default());
        let end = self.guest.run(&input, &limits, control, kept.clone()).await;
        watch.abort();
        match end.soundness {
            Soundness::Sound => {
                self.checkpoint = Some(self.guest.checkpoint(self.checkpoint.as_ref()));
            }
            Soundness::Broken => {
                self.guest = match &self.checkpoint {
                    Some(checkpoint) => {
                        let packed = checkpoint.packed(self.interpreter.image());
                        Instance::restore(&self.interpreter, &GUEST_LIMITS(), &packed).await
                    }
                    None => Instance::start(&self.interpreter, &GUEST_LIMITS()).await,
                }
                .expect("a guest can always be restored");
            }
        }
        let said = String::from_utf8_lossy(&kept.0.lock().expect("no panic")).into_owned();
        (end, said)
    }

    async fn quick(&mut self, code: &str) -> (TurnEnd, String) {
        self.run(code, rungs(200), FUEL_PER_SECOND).await
    }
}

fn rungs(timeout_ms: u64) -> Rungs {
    Rungs {
        timeout: Duration::from_millis(timeout_ms),
        wait_max: Duration::from_secs(5),
        grace: Duration::from_millis(100),
        interrupt_grace: Duration::from_millis(100),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_ends_a_turn_the_state_from_before_it_goes_on() {
    let directory = tempfile::tempdir().expect("a directory");
    for metering in [Metering::FuelAndEpoch, Metering::Epoch] {
        let mut session = Session::start(metering, directory.path()).await;
        assert_eq!(session.quick("c").await.1, "1\n");
        for (code, status) in [
            ("l", Status::Timeout),
            ("t", Status::Crashed),
            ("d", Status::Crashed),
            ("g", Status::MemoryLimit),
            ("w", Status::OutputLimit),
            ("x", Status::Exit),
            ("s", Status::Crashed),
        ] {
            let timeout_ms = if code == "l" { 200 } else { 20_000 };
            let fuel = 30 * FUEL_PER_SECOND;
            let (end, _) = session.run(code, rungs(timeout_ms), fuel).await;
            assert_eq!(end.status, status, "{code}: {:?}", end.error);
            assert_eq!(end.soundness, Soundness::Broken, "{code}");
            assert!(end.error.is_some(), "{code}");
        }
        assert_eq!(session.quick("c").await.1, "2\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fuel_ends_a_loop_before_its_time() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut session = Session::start(Metering::FuelAndEpoch, directory.path()).await;
    let started = Instant::now();
    let (end, _) = session.run("l", rungs(30_000), 1_000_000).await;
    assert_eq!(end.status, Status::CpuLimit);
    assert_eq!(end.exit_code, 152);
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_reads_its_input_and_nothing_of_the_host() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut session = Session::start(Metering::FuelAndEpoch, directory.path()).await;
    assert_eq!(session.quick("r").await.1, "input");
    let (end, _) = session.quick("p").await;
    assert_eq!(end.exit_code, 44, "no such file");
    let (end, said) = session.quick("o").await;
    assert_eq!((end.exit_code, said.as_str()), (21, ""), "a bad address");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_holds_what_differs_from_the_image_and_nothing_else() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut session = Session::start(Metering::Epoch, directory.path()).await;
    session.quick("c").await;
    let checkpoint = session
        .checkpoint
        .as_ref()
        .expect("a sound turn leaves one");
    let pages = checkpoint.page_count();
    assert!(
        (1..=4).contains(&pages),
        "{pages} pages for three small writes"
    );
    let packed = checkpoint.packed(session.interpreter.image());
    assert!(packed.held_bytes() < 512);
    for state in [checkpoint, &packed] {
        let restored = Instance::restore(&session.interpreter, &GUEST_LIMITS(), state)
            .await
            .expect("restore");
        assert_eq!(restored.memory(), session.guest.memory());
    }
}
