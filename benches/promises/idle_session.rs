//! What memory a live session takes that has done something and now waits.

use std::time::Duration;

use tokio::time::sleep;

use crate::Effort;
use crate::client::{Appetite, Client};
use crate::gateway::{Gateway, Program};
use crate::row::{Bound, Row};
use crate::samples::Samples;

const SESSIONS: usize = 200;
/// Sessions that are there before and stay: what all sessions share is then shared already, and
/// the pools of threads and of memory have grown.
const EARLIER: usize = 10;
/// A session's state is packed a second after its turn.
const REST: Duration = Duration::from_secs(4);
/// A subject may have 20.
const SESSIONS_PER_SUBJECT: usize = 10;

const CODE: &str = "x = 1\nprint(x)";

pub async fn measure(program: &Program, effort: Effort) -> anyhow::Result<Vec<Row>> {
    let gateway = Gateway::start(program)?;
    let process = gateway.process();
    let mut clients = Vec::new();
    for number in 0..EARLIER {
        clients.push(session(&gateway, number).await?);
    }
    sleep(REST).await;
    let before = process.footprint()?;
    let count = effort.count(SESSIONS);
    for number in EARLIER..EARLIER + count {
        clients.push(session(&gateway, number).await?);
    }
    sleep(REST).await;
    let after = process.footprint()?;

    let each = |after: u64, before: u64| after.saturating_sub(before) as f64 / 1e6 / count as f64;
    let private = Samples::new(vec![each(after.private, before.private)]);
    Ok(vec![
        Row::new(
            "private memory of a live idle session, its connection included",
            "MB",
            &private,
        )
        .promise_median(Bound::AtMost(1.2))
        .note(format!(
            "the mean of {count} sessions, {} s after a turn of each",
            REST.as_secs()
        ))
        .note(format!(
            "{:.3} MB of it are pages of no file; the kernel's page tables take {:.3} MB more",
            each(after.anonymous, before.anonymous),
            each(after.page_tables, before.page_tables)
        )),
    ])
}

async fn session(gateway: &Gateway, number: usize) -> anyhow::Result<Client> {
    let token = gateway.token(&format!("idler-{}", number / SESSIONS_PER_SUBJECT))?;
    let mut client = Client::connect(gateway, &token, "", Appetite::Small).await?;
    client.turn(CODE).await?;
    Ok(client)
}
