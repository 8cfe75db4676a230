//! From nothing to the first byte of a new session's first turn.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::Effort;
use crate::client::{Appetite, Client};
use crate::gateway::{Gateway, Program};
use crate::row::{Bound, Row};
use crate::samples::Samples;

const SAMPLES: usize = 300;
const WARM_UP: usize = 20;
/// Between two sessions: this is about one that starts, not about how many can.
const PAUSE: Duration = Duration::from_millis(15);

const PLAIN: &str = "print('first')";
const SCIENTIFIC: &str = "import numpy, pandas\nprint('first')";

/// The moments of one start, in milliseconds since its beginning.
struct Start {
    upgraded: f64,
    first_byte: f64,
}

pub async fn measure(program: &Program, effort: Effort) -> anyhow::Result<Vec<Row>> {
    let gateway = Gateway::start(program)?;
    for number in 0..WARM_UP {
        start(&gateway, number, SCIENTIFIC).await?;
    }
    let (mut plain, mut scientific, mut upgraded) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..effort.count(SAMPLES) {
        let start_plain = start(&gateway, number, PLAIN).await?;
        plain.push(start_plain.first_byte);
        upgraded.push(start_plain.upgraded);
        scientific.push(start(&gateway, number, SCIENTIFIC).await?.first_byte);
    }
    let (plain, scientific) = (Samples::new(plain), Samples::new(scientific));
    let differences = Samples::new(vec![scientific.median() - plain.median()]);
    Ok(vec![
        Row::new(
            "connect + authenticate + new Python session + first byte",
            "ms",
            &plain,
        )
        .promise_median(Bound::AtMost(1.5))
        .promise_p99(Bound::AtMost(5.0))
        .note(format!(
            "one start every {} ms or so, each from a fresh TCP connection",
            PAUSE.as_millis()
        ))
        .note(format!(
            "of the median, {:.2} ms until the upgrade is answered",
            Samples::new(upgraded).median()
        )),
        Row::new(
            "the same with `import numpy, pandas`, difference of medians",
            "ms",
            &differences,
        )
        .promise_median(Bound::AtMost(0.5))
        .note(format!(
            "in turns with the above; itself p50 {:.2} ms, p99 {:.2} ms",
            scientific.median(),
            scientific.quantile(0.99)
        )),
    ])
}

async fn start(gateway: &Gateway, number: usize, code: &str) -> anyhow::Result<Start> {
    // Everybody starts few sessions: no bound of one subject comes near.
    let token = gateway.token(&format!("starter-{number}"))?;
    sleep(PAUSE).await;
    let began = Instant::now();
    let mut client = Client::connect(gateway, &token, "", Appetite::Small).await?;
    let upgraded = began.elapsed();
    client.execute(code).await?;
    client.wait_for("output").await?;
    let first_byte = began.elapsed();
    client.finished().await?;
    client.close_session().await?;
    Ok(Start {
        upgraded: upgraded.as_secs_f64() * 1e3,
        first_byte: first_byte.as_secs_f64() * 1e3,
    })
}
