//! What memory a WebSocket takes on which nothing happens.

use std::time::Duration;

use tokio::time::sleep;

use crate::Effort;
use crate::client::{Appetite, Client};
use crate::gateway::{Gateway, Program};
use crate::row::{Bound, Row};
use crate::samples::Samples;

const CONNECTIONS: usize = 2_000;
/// Viewers that are there before and stay, so that the pools of memory have grown.
const EARLIER: usize = 50;
/// A subject may have 100.
const CONNECTIONS_PER_SUBJECT: usize = 50;
const REST: Duration = Duration::from_secs(2);

const OWNER: &str = "shown";
const SESSION: &str = "watched";

pub async fn measure(program: &Program, effort: Effort) -> anyhow::Result<Vec<Row>> {
    let gateway = Gateway::start(program)?;
    let process = gateway.process();
    let token = gateway.token(OWNER)?;
    let query = format!("?session={SESSION}");
    let mut owner = Client::connect(&gateway, &token, &query, Appetite::Small).await?;
    owner.turn("print(1)").await?;
    let mut viewers = Vec::new();
    for number in 0..EARLIER {
        viewers.push(viewer(&gateway, number).await?);
    }
    sleep(REST).await;
    let before = process.footprint()?;
    let count = effort.count(CONNECTIONS);
    for number in EARLIER..EARLIER + count {
        viewers.push(viewer(&gateway, number).await?);
    }
    sleep(REST).await;
    let after = process.footprint()?;

    let grown = after.resident.saturating_sub(before.resident);
    let each = Samples::new(vec![grown as f64 / 1e3 / count as f64]);
    Ok(vec![
        Row::new("resident memory of an idle WebSocket", "kB", &each)
            .promise_median(Bound::AtMost(12.0))
            .note(format!(
                "the mean of {count} viewers of one session; the kernel's own not counted"
            )),
    ])
}

async fn viewer(gateway: &Gateway, number: usize) -> anyhow::Result<Client> {
    let token = gateway.token(&format!("viewer-{}", number / CONNECTIONS_PER_SUBJECT))?;
    let query = format!("?session={SESSION}&owner={OWNER}&role=viewer");
    let mut viewer = Client::connect(gateway, &token, &query, Appetite::Small).await?;
    viewer.wait_for("attached").await?;
    Ok(viewer)
}
