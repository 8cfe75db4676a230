//! How fast one session's output arrives, and what that costs the gateway in memory.

use std::time::Instant;

use anyhow::{Context, ensure};

use crate::Effort;
use crate::client::{Appetite, Client, kind, parse_finished};
use crate::gateway::{Gateway, Program};
use crate::row::{Bound, Row};
use crate::samples::Samples;

const ROUNDS: usize = 7;
/// Below the 256 MiB that a turn may write.
const WRITES: u64 = 3_000;
const WRITE_BYTES: u64 = 65_536;
const LINES: u64 = 300_000;
/// `print` writes a newline after each of these.
const LINE: &str = "a short line";

/// What one turn wrote, and how long its client had to read.
struct Flood {
    seconds: f64,
    output_bytes: u64,
    messages: u64,
}

pub async fn measure(program: &Program, effort: Effort) -> anyhow::Result<Vec<Row>> {
    let gateway = Gateway::start(program)?;
    let process = gateway.process();
    let token = gateway.token("reader")?;
    let mut client = Client::connect(&gateway, &token, "", Appetite::Large).await?;
    let write = format!("chunk = 'x' * {} + '\\n'", WRITE_BYTES - 1);
    client.turn(&format!("import sys\n{write}")).await?;
    let writes = format!("for _ in range({WRITES}): sys.stdout.write(chunk)");
    let lines = format!("for _ in range({LINES}): print('{LINE}')");
    let line_bytes = LINE.len() as u64 + 1;

    let before = process.footprint()?;
    let watch = process.watch();
    flood(&mut client, &writes, WRITES * WRITE_BYTES).await?;
    flood(&mut client, &lines, LINES * line_bytes).await?;
    let (mut megabytes, mut line_rates, mut messages) = (Vec::new(), Vec::new(), 0);
    for _ in 0..effort.count(ROUNDS) {
        let flooded = flood(&mut client, &writes, WRITES * WRITE_BYTES).await?;
        megabytes.push(flooded.output_bytes as f64 / 1e6 / flooded.seconds);
        let flooded = flood(&mut client, &lines, LINES * line_bytes).await?;
        line_rates.push(LINES as f64 / flooded.seconds);
        messages = flooded.messages;
    }
    let after = process.footprint()?;
    let peak = Samples::new(vec![watch.peak() as f64 / 1e6]);
    Ok(vec![
        Row::new("output of one session in 64 kB writes", "MB/s", &Samples::new(megabytes))
            .promise_median(Bound::AtLeast(500.0))
            .note(format!("{WRITES} writes a turn, to a client that only counts")),
        Row::new("output of one session in short lines", "lines/s", &Samples::new(line_rates))
            .promise_median(Bound::AtLeast(300_000.0))
            .note(format!(
                "{LINES} times print('{LINE}') a turn, which came in {messages} messages"
            )),
        Row::new("the gateway's own memory meanwhile, peak", "MB", &peak)
            .promise_median(Bound::AtMost(100.0))
            .note(format!(
                "all pages that belong to no file; {:.0} MB before. Its resident set peaks at {:.0} \
                 MB, in which the shared image counts once for each guest that maps it",
                before.anonymous as f64 / 1e6,
                after.resident_peak as f64 / 1e6
            )),
    ])
}

/// Runs a turn that writes much, and reads all of it.
async fn flood(client: &mut Client, code: &str, output_bytes: u64) -> anyhow::Result<Flood> {
    let (mut message_bytes, mut messages) = (0, 0);
    let began = Instant::now();
    client.execute(code).await?;
    let last = loop {
        let message = client.next().await?;
        match kind(&message)? {
            "output" => {
                messages += 1;
                message_bytes += message.len() as u64;
            }
            "finished" => break message,
            _ => {}
        }
    };
    let seconds = began.elapsed().as_secs_f64();
    let finished = parse_finished(&last)?;
    ensure!(finished.status == "ok", "it ended {last}");
    let metrics = finished.metrics.context("a turn that ran has metrics")?;
    ensure!(
        metrics.output_bytes == output_bytes && message_bytes >= output_bytes,
        "{output_bytes} bytes were to be written, {} were, in messages of {message_bytes}",
        metrics.output_bytes
    );
    Ok(Flood {
        seconds,
        output_bytes,
        messages,
    })
}
