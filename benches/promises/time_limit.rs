//! How exactly a turn's time limit holds, and whether the session survives it.

use std::time::Instant;

use anyhow::ensure;

use crate::Effort;
use crate::client::{Appetite, Client};
use crate::gateway::{Gateway, Program};
use crate::row::{Bound, Row};
use crate::samples::Samples;

const ROUNDS: usize = 10;
const LIMIT_SECONDS: u32 = 1;

pub async fn measure(program: &Program, effort: Effort) -> anyhow::Result<Vec<Row>> {
    let gateway = Gateway::start(program)?;
    let token = gateway.token("overrunner")?;
    let mut client = Client::connect(&gateway, &token, "", Appetite::Small).await?;
    client.turn("import time\nkept = 0").await?;
    let (mut loops, mut sleeps) = (Vec::new(), Vec::new());
    let rounds = effort.count(ROUNDS);
    for _ in 0..rounds {
        loops.push(lateness(&mut client, "kept += 1\nwhile True: pass").await?);
        sleeps.push(lateness(&mut client, "kept += 1\ntime.sleep(30)").await?);
    }
    let kept = client.output_of("print(kept)").await?;
    ensure!(
        kept.trim() == (2 * rounds).to_string(),
        "{} turns changed the state, of {} it is kept",
        2 * rounds,
        kept.trim()
    );
    let row = |what: &str, late: Vec<f64>| {
        Row::new(
            format!("a {LIMIT_SECONDS} s time limit ends {what}, lateness"),
            "ms",
            &Samples::new(late),
        )
        .promise_median(Bound::AtMost(10.0))
        .promise_p99(Bound::AtMost(10.0))
        .note("from `started` to `finished` at the client; the state was kept every time")
    };
    Ok(vec![row("a loop", loops), row("a sleep", sleeps)])
}

/// Milliseconds between the turn's limit and its end.
async fn lateness(client: &mut Client, code: &str) -> anyhow::Result<f64> {
    client.execute_within(code, LIMIT_SECONDS).await?;
    client.wait_for("started").await?;
    let began = Instant::now();
    let finished = client.finished().await?;
    let late = began.elapsed().as_secs_f64() - f64::from(LIMIT_SECONDS);
    ensure!(
        finished.status == "timeout" && finished.session_state == "kept",
        "{code:?} ended {} and its state {}",
        finished.status,
        finished.session_state
    );
    Ok(late * 1e3)
}
