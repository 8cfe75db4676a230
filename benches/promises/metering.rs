//! What it costs to bound a guest, and how fast its Python is beside the machine's own.
//!
//! The one experiment without a gateway: the same program runs in three guests that differ in
//! nothing but their metering, and in a Python of this machine. They take turns, so whatever else the
//! machine does meets them alike, and CPU time is compared, not the wall clock.

use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, ensure};
use weir::guest::{
    GuestLimits, Instance, Interpreter, Metering, Purpose, Silence, TurnControl, TurnInput,
    TurnLimits,
};
use weir::limits::Limits;
use weir::protocol::event::Status;

use crate::Effort;
use crate::row::{Bound, Row};
use crate::samples::Samples;
use crate::variants;

const ROUNDS: usize = 9;
/// More than any program here needs.
const FUEL: u64 = u64::MAX / 2;

/// A program, and how much slower than natively it may be with fuel and epochs, and with epochs only.
struct Subject {
    name: &'static str,
    source: &'static str,
    fuel_and_epoch_max: f64,
    epoch_max: f64,
}

const SUBJECTS: [Subject; 2] = [
    Subject {
        name: "loop",
        source: include_str!("programs/loop.py"),
        fuel_and_epoch_max: 4.2,
        epoch_max: 3.3,
    },
    Subject {
        name: "mixed program",
        source: include_str!("programs/mixed.py"),
        fuel_and_epoch_max: 3.5,
        epoch_max: 2.8,
    },
];

const METERINGS: [Metering; 3] = [Metering::FuelAndEpoch, Metering::Epoch, Metering::Unmetered];

/// Compares the guests with `python`, a program.
pub async fn measure(python: &str, effort: Effort) -> anyhow::Result<Vec<Row>> {
    if effort == Effort::Quick
        && let Some(missing) = variants::first_unready(&METERINGS)?
    {
        println!(
            "  metering: left out, because Python is not compiled for {} here; a run without \
             --quick does it once",
            missing.name()
        );
        return Ok(Vec::new());
    }
    let mut interpreters = Vec::new();
    for metering in METERINGS {
        interpreters.push(variants::open(metering).await?);
    }
    let native = Native::find(python)?;
    let mut rows = Vec::new();
    for subject in &SUBJECTS {
        rows.extend(compare(subject, &interpreters, &native, effort).await?);
    }
    Ok(rows)
}

/// Runs one program everywhere, in turns.
async fn compare(
    subject: &Subject,
    interpreters: &[Arc<Interpreter>],
    native: &Native,
    effort: Effort,
) -> anyhow::Result<Vec<Row>> {
    let mut guests = Vec::new();
    for interpreter in interpreters {
        let limits = GuestLimits::from(&Limits::default());
        let mut guest = Instance::start(interpreter, &limits).await?;
        run(&mut guest, subject.source).await?;
        run(&mut guest, "program()").await?;
        guests.push(guest);
    }
    let mut native_seconds = Vec::new();
    let mut guest_seconds = vec![Vec::new(); guests.len()];
    for _ in 0..effort.count(ROUNDS) {
        native_seconds.push(native.seconds(subject)?);
        for (guest, seconds) in guests.iter_mut().zip(&mut guest_seconds) {
            seconds.push(run(guest, "program()").await?);
        }
    }
    let native_median = Samples::new(native_seconds.clone()).median();
    let row = |metering: Metering, seconds: &[f64]| {
        let ratios = seconds
            .iter()
            .zip(&native_seconds)
            .map(|(guest, native)| guest / native);
        Row::new(
            format!(
                "Python {}, {}, against native",
                subject.name,
                metering.name()
            ),
            "×",
            &Samples::new(ratios.collect()),
        )
        .note(format!(
            "CPU {:.3} s against {native_median:.3} s in {}",
            Samples::new(seconds.to_vec()).median(),
            native.name
        ))
    };
    Ok(METERINGS
        .into_iter()
        .zip(&guest_seconds)
        .map(|(metering, seconds)| match metering {
            Metering::FuelAndEpoch => {
                row(metering, seconds).promise_median(Bound::AtMost(subject.fuel_and_epoch_max))
            }
            Metering::Epoch => {
                row(metering, seconds).promise_median(Bound::AtMost(subject.epoch_max))
            }
            Metering::Unmetered => row(metering, seconds),
        })
        .collect())
}

/// Runs `code` as a turn, and returns the CPU time it took, in seconds.
async fn run(guest: &mut Instance, code: &str) -> anyhow::Result<f64> {
    let input = TurnInput {
        purpose: Purpose::Run,
        code: code.into(),
        filename: "<bench>".into(),
    };
    let limits = TurnLimits {
        fuel: FUEL,
        output_bytes_max: 1 << 20,
    };
    let control = TurnControl::unattended(guest.epoch_bump());
    let end = guest.run(&input, &limits, control, Arc::new(Silence)).await;
    ensure!(end.status == Status::Ok, "{code:?} ended {end:?}");
    Ok(end.cpu.as_secs_f64())
}

/// The machine's own Python.
struct Native {
    program: String,
    /// Which one it is: builds of one version differ by half.
    name: String,
}

impl Native {
    fn find(program: &str) -> anyhow::Result<Self> {
        let mut native = Self {
            program: program.into(),
            name: String::new(),
        };
        native.name =
            native.run("import platform, sys\nprint(platform.python_version(), sys.executable)")?;
        Ok(native)
    }

    /// The CPU time of the subject, in seconds; the second run of two counts.
    fn seconds(&self, subject: &Subject) -> anyhow::Result<f64> {
        let printed = self.run(&format!(
            "{}\nimport time\nprogram()\nbegan = time.process_time()\nprogram()\n\
             print(time.process_time() - began)",
            subject.source
        ))?;
        printed
            .parse()
            .with_context(|| format!("no time: {printed:?}"))
    }

    fn run(&self, code: &str) -> anyhow::Result<String> {
        let output = Command::new(&self.program)
            .args(["-c", code])
            .output()
            .with_context(|| {
                format!("starting {}, with which guests are compared", self.program)
            })?;
        ensure!(
            output.status.success(),
            "{} failed: {}",
            self.program,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}
