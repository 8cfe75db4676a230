//! A small turn in a session that is used: from `execute` to `finished`, one after the other.

use crate::Effort;
use crate::client::{Appetite, Client};
use crate::gateway::{Gateway, Program};
use crate::row::{Bound, Row};
use crate::samples::Samples;

/// A connection may send this many messages at once before it is read more slowly (500), so the
/// turns are spread over sessions.
const TURNS: usize = 400;
const SESSIONS: usize = 5;
const WARM_UP: usize = 50;

const CODE: &str = "print(1)";

pub async fn measure(program: &Program, effort: Effort) -> anyhow::Result<Vec<Row>> {
    let gateway = Gateway::start(program)?;
    let (mut round_trips, mut walls, mut cpus) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..SESSIONS {
        let token = gateway.token(&format!("turner-{number}"))?;
        let mut client = Client::connect(&gateway, &token, "", Appetite::Small).await?;
        for _ in 0..WARM_UP {
            client.turn(CODE).await?;
        }
        for _ in 0..effort.count(TURNS) {
            let began = std::time::Instant::now();
            client.execute(CODE).await?;
            let finished = client.finished().await?;
            round_trips.push(began.elapsed().as_secs_f64() * 1e3);
            if let Some(metrics) = finished.metrics {
                walls.push(metrics.wall_ms);
                cpus.push(metrics.cpu_ms);
            }
        }
        client.close_session().await?;
    }
    let (wall, cpu) = (Samples::new(walls), Samples::new(cpus));
    Ok(vec![
        Row::new("warm turn, round trip", "ms", &Samples::new(round_trips))
            .promise_median(Bound::AtMost(0.2))
            .promise_p99(Bound::AtMost(1.0))
            .note(format!("`{CODE}`, the next one sent as soon as the last has finished"))
            .note(format!(
                "of the median, {:.3} ms from started to finished by the gateway's clock, {:.3} ms of \
                 CPU in the guest",
                wall.median(),
                cpu.median()
            )),
    ])
}
