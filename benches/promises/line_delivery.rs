//! How long a printed line takes to its reader, while the code that printed it runs on.
//!
//! The guest writes the time into the line itself; both ends read the clock of one machine.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};

use crate::Effort;
use crate::client::{Appetite, Client, kind, parse_finished, text_of};
use crate::gateway::{Gateway, Program};
use crate::row::{Bound, Row};
use crate::samples::Samples;

const LINES: usize = 2_000;
const CLOCK_READINGS: usize = 20;

/// Prints lines without a flush, one after a pause asleep and one after a pause at work, in turns.
const PROGRAM: &str = "
import time
def lines(count):
    for number in range(count):
        if number % 2:
            time.sleep(0.003)
        else:
            until = time.perf_counter() + 0.003
            while time.perf_counter() < until:
                pass
        print('asleep' if number % 2 else 'working', time.time_ns())
";

pub async fn measure(program: &Program, effort: Effort) -> anyhow::Result<Vec<Row>> {
    let gateway = Gateway::start(program)?;
    let token = gateway.token("reader")?;
    let mut client = Client::connect(&gateway, &token, "", Appetite::Small).await?;
    client.turn(PROGRAM).await?;
    for _ in 0..CLOCK_READINGS {
        expect_one_clock(&mut client).await?;
    }
    client.turn("lines(10)").await?;

    let count = effort.count(LINES);
    client.execute(&format!("lines({count})")).await?;
    let (mut asleep, mut working) = (Vec::new(), Vec::new());
    // A message may end within a line: the line is there when its end is.
    let mut unread = String::new();
    loop {
        let message = client.next().await?;
        let now = unix_ns();
        match kind(&message)? {
            "output" => {
                unread.push_str(&text_of(&message)?);
                while let Some((line, rest)) = unread.split_once('\n') {
                    let (pause, printed) = line.split_once(' ').context("a line of two words")?;
                    let late = now - printed.parse::<i128>().context("a time")?;
                    let late_ms = late as f64 / 1e6;
                    match pause {
                        "asleep" => asleep.push(late_ms),
                        _ => working.push(late_ms),
                    }
                    unread = rest.to_owned();
                }
            }
            "finished" => {
                ensure!(
                    parse_finished(&message)?.status == "ok",
                    "it ended {message}"
                );
                break;
            }
            _ => {}
        }
    }
    ensure!(
        asleep.len() + working.len() == count,
        "{count} lines were printed, {} came",
        asleep.len() + working.len()
    );
    let all = Samples::new(asleep.iter().chain(&working).copied().collect());
    let (asleep, working) = (Samples::new(asleep), Samples::new(working));
    Ok(vec![
        Row::new("a printed line reaches the client", "ms", &all)
            .promise_median(Bound::AtMost(0.5))
            .promise_p99(Bound::AtMost(5.0))
            .note("a line every 3 ms, never flushed, the program running on")
            .note(format!(
                "after time.sleep p50 {:.3}, p99 {:.3}; after busy work p50 {:.3}, p99 {:.3}",
                asleep.median(),
                asleep.quantile(0.99),
                working.median(),
                working.quantile(0.99)
            )),
    ])
}

/// The guest's time of day must lie between our sending the question and our reading the answer.
async fn expect_one_clock(client: &mut Client) -> anyhow::Result<()> {
    let before = unix_ns();
    let answer = client.output_of("print(time.time_ns())").await?;
    let after = unix_ns();
    let guest: i128 = answer.trim().parse().context("a time")?;
    ensure!(
        (before..=after).contains(&guest),
        "the guest's clock differs from ours: {guest} is not from {before} to {after}"
    );
    Ok(())
}

fn unix_ns() -> i128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos() as i128)
}
